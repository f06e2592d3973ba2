"""Columns by name: what the shared vocabulary gives, what is wrong with a list of names, and derived names."""

from __future__ import annotations

import pytest

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Column, Kind
from gbpm_dagster.catalogue.vocabulary import columns, vocabulary


def test_names_become_columns_in_their_order_and_the_mark_makes_one_never_null() -> None:
    start, price = columns("startTime! price")
    assert (start.name, start.kind, start.nullable) == ("startTime", Kind.INSTANT, False)
    assert (price.name, price.kind, price.unit, price.nullable) == ("price", Kind.NUMBER, "GBP/MWh", True)
    assert columns("startTime")[0].nullable and vocabulary()["startTime"].nullable, "the shared one stays as it is"


def test_a_tables_own_meaning_takes_the_place_of_the_shared_one() -> None:
    own = Column("price", Kind.NUMBER, "Price of this table", "GBP/MW", nullable=False)
    assert columns("startTime price!", own)[1] is own
    assert columns("price", own) == (own,)


@pytest.mark.parametrize(
    ("names", "own", "said"),
    [
        ("startTime prize", [], "no column 'prize' in vocabulary.csv: did you mean 'price'?"),
        ("settlementdate!", [], "no column 'settlementdate' in vocabulary.csv: did you mean 'settlementDate'?"),
        ("qqqqqqq", [], "no column 'qqqqqqq' in vocabulary.csv"),
        ("startTime", ["price", "adjuster"], "columns adjuster, price are defined and not listed"),
    ],
)
def test_a_name_that_nobody_knows_or_lists_is_refused(names: str, own: list[str], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        columns(names, *(Column(name, Kind.NUMBER, "x") for name in own))
    assert str(caught.value) == said


def test_every_shared_column_is_used_and_says_what_it_is() -> None:
    used = {c.name for d in DATASETS.values() for c in d.columns}
    assert set(vocabulary()) <= used
    assert all(c.meaning for c in vocabulary().values())


@pytest.mark.parametrize(
    ("name", "unit", "derived"),
    [
        # decision 1: snake_case with the unit's suffix
        ("systemSellPrice", "GBP/MWh", "system_sell_price_gbp_per_mwh"),
        ("netImbalanceVolume", "MWh", "net_imbalance_volume_mwh"),
        ("quantity", "MW?", "quantity_mw"),
        ("frequency", "Hz", "frequency_hz"),
        ("nationalGridBmUnit", "", "national_grid_bm_unit"),
        ("createdDateTime", "", "created_datetime"),
        ("soFlag", "", "so_flag"),
        ("mRID", "", "mrid"),
        ("affectedUnitEIC", "", "affected_unit_eic"),
        ("pairVolumes.negative1", "MWh", "pair_volume_negative_1_mwh"),
        ("bidOfferPairCashflows.positive6", "GBP", "pair_cashflow_positive_6_gbp"),
        ("rate1", "MW/min", "rate1_mw_min"),
        ("volume_mwh", "MWh", "volume_mwh"),  # never the suffix twice
        ("temperature", "degC", "temperature_c"),
        ("price", "furlongs", "price"),  # a unit without a suffix
    ],
)
def test_derived_names(name: str, unit: str, derived: str) -> None:
    assert Column(name, Kind.NUMBER, "x", unit).derived_name == derived


@pytest.mark.parametrize(
    ("unit", "meaning", "inferred"),
    [("MW", "Output", False), ("MW?", "Output", True), ("MW", "Output?", True), ("", "Is it? No", False)],
)
def test_a_column_is_inferred_while_its_unit_or_meaning_ends_in_a_question_mark(
    unit: str, meaning: str, inferred: bool
) -> None:
    assert Column("x", Kind.NUMBER, meaning, unit).inferred is inferred
