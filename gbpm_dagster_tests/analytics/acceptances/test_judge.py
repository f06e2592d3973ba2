"""The checks over stored days: green where Elexon's figures agree, red where not, neither where there are none."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.analytics.acceptances.judge import CASHFLOWS, PRICED, VOLUMES, judge
from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.derived import ACCEPTANCE_PAIRS, ACCEPTANCES
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival, frame_schema
from gbpm_dagster_tests.analytics.acceptances.made import priced
from gbpm_dagster_tests.examples import example

DAY = date(2025, 1, 15)
AT = datetime(2025, 1, 20, tzinfo=UTC)
BOAV = [
    {"acceptanceId": 106, "bidOffer": "offer", "totalVolumeAccepted": 10.0, "pairVolumes.positive1": 10.0},
    {"acceptanceId": 107, "bidOffer": "bid", "totalVolumeAccepted": -5.0, "pairVolumes.positive1": -5.0},
]
EBOCF = [{"bidOffer": "offer", "totalCashflow": 950.0}, {"bidOffer": "bid", "totalCashflow": -300.0}]
"""What settlement says of the worked example bo-05."""


def _store(lake: Lake, problem: dict[str, Any]) -> None:
    found = priced(problem, DAY)
    frames = {ACCEPTANCES: found.rows, ACCEPTANCE_PAIRS: found.pairs}
    lake.replace_derived(frames, DAY, computed_at=AT, digest="")


def _publish(lake: Lake, table: str, rows: list[dict[str, Any]]) -> None:
    dataset = DATASETS[table]
    base = {
        "settlementDate": DAY, "settlementPeriod": 21, "nationalGridBmUnit": "UNIT-1", "bmUnit": "T_UNIT-1",
        "createdDateTime": AT, "startTime": AT, "bmUnitType": "T",
    }  # fmt: skip
    schema = frame_schema(dataset)
    frame = pl.DataFrame([{k: v for k, v in {**base, **r}.items() if k in schema} for r in rows], schema=schema)
    lake.replace(dataset, [Arrival(DAY, frame, AT, windows_asked=1, windows_answered=1)])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    _store(made, example("bo-05")[0])
    return made


def test_what_agrees_is_green(lake: Lake) -> None:
    _publish(lake, "bmrs_boav", BOAV)
    _publish(lake, "bmrs_ebocf", EBOCF)
    found = {j.check: j for j in judge(lake, [DAY])}
    assert {name: j.passed for name, j in found.items()} == {VOLUMES: True, CASHFLOWS: True, PRICED: True}
    day = found[CASHFLOWS].details["days"][0]
    assert (day["match"], day["implied loss multiplier"]) == (2, pytest.approx(1.0))
    assert [d["what"] for d in found[VOLUMES].details["days"]] == ["acceptances", "pairs"]


def test_wrong_pairs_are_red_though_the_sums_are_right(lake: Lake) -> None:
    moved = [{**BOAV[0], "pairVolumes.positive1": 4.0, "pairVolumes.positive2": 6.0}, BOAV[1]]
    _publish(lake, "bmrs_boav", moved)
    (found,) = judge(lake, [DAY], [VOLUMES])
    assert (found.passed, found.unknown) == (False, False)
    assert [d["passed"] for d in found.details["days"]] == [True, False]


def test_cash_of_another_price_is_red_and_names_the_unit(lake: Lake) -> None:
    _publish(lake, "bmrs_ebocf", [{**EBOCF[0], "totalCashflow": 600.0}, EBOCF[1]])
    (found,) = judge(lake, [DAY], [CASHFLOWS])
    assert (found.passed, found.unknown) == (False, False)
    assert "1 differ: 2025-01-15" in found.summary
    assert found.details["units"][0]["unit"] == "UNIT-1"
    assert found.details["unmatched rows"][0]["ours"] == pytest.approx(950.0)


def test_without_published_figures_it_is_neither_green_nor_our_fault(lake: Lake) -> None:
    for found in judge(lake, [DAY], [VOLUMES, CASHFLOWS]):
        assert (found.passed, found.unknown) == (False, True)
        assert "nothing is published, or stored, to reconcile 2025-01-15 with" in found.summary
    for found in judge(lake, []):
        assert (found.passed, found.unknown) == (False, True)


def test_one_day_without_figures_among_others_is_named(lake: Lake) -> None:
    _publish(lake, "bmrs_boav", BOAV)
    (found,) = judge(lake, [DAY, DAY + timedelta(days=1)], [VOLUMES])
    assert (found.passed, found.unknown) == (False, True)
    assert "1 of 2 day(s) agree" in found.summary and "2025-01-16" in found.summary


def test_an_acceptance_beyond_its_stack_counts_against_the_share_of_priced(lake: Lake) -> None:
    """bo-08 is one acceptance and Unmatched: a share of nothing."""
    _store(lake, example("bo-08")[0])
    (found,) = judge(lake, [DAY], [PRICED])
    assert (found.passed, found.unknown, found.details["share"]) == (False, False, 0.0)
    assert found.details["with a reason, whatever their flag"] == {"outside_stack": 1}


def test_acceptances_without_pairs_are_not_judged_and_said(lake: Lake) -> None:
    _store(lake, {**example("bo-05")[0], "bod": []})
    (found,) = judge(lake, [DAY], [PRICED])
    assert (found.passed, found.unknown) == (False, True)
    assert "no acceptance could be priced" in found.summary
