"""Answers that are no plain list of flat rows: one object, bare texts, nested objects, columns out of the request."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.elexon import decode as decoding
from gbpm_dagster.elexon import envelope, exact, fast
from gbpm_dagster.elexon.decode import decode
from gbpm_dagster.elexon.envelope import NotRows
from gbpm_dagster.elexon.plan import plan

EBOCF, BOAV, SUMMARY, FUELS = (
    get(t) for t in ("bmrs_ebocf", "bmrs_boav", "bmrs_settlement_summary", "ref_fueltypes")
)
STATUS, COSTS = get("meta_data_status"), get("bmrs_costs")
PAIRS = [f"{side}{n}" for side in ("negative", "positive") for n in range(1, 7)]
BID = {"bidOffer": "bid"}


def body(rows: Any) -> bytes:
    return orjson.dumps(rows)


def cashflow(unit: str = "A-1", **changes: Any) -> dict[str, Any]:
    """A row of /balancing/settlement/indicative/cashflows: the document nests the pairs and lacks the side."""
    return {
        "createdDateTime": "2024-01-03T01:00:00Z",
        "settlementDate": "2024-01-03",
        "settlementPeriod": 1,
        "startTime": "2024-01-03T00:00:00Z",
        "bmUnit": f"T_{unit}",
        "bmUnitType": "T",
        "leadPartyName": "A",
        "nationalGridBmUnit": unit,
        "totalCashflow": 28080.002,
        "bidOfferPairCashflows": dict.fromkeys(PAIRS) | {"positive1": 23062.377, "positive2": 5017.6255},
        **changes,
    }


# --- envelopes


def test_one_object_is_one_row_only_where_the_path_answers_so() -> None:
    row = {"settlementDate": "2024-01-03", "settlementPeriod": 1, "netImbalanceVolume": 291.9136}
    assert envelope.rows(body(row), single=True) == [row]
    with pytest.raises(NotRows, match="an object without `data`"):
        envelope.rows(body(row))
    assert envelope.rows(body({"data": [row]}), single=True) == [row], "an envelope stays one"
    with pytest.raises(NotRows):
        envelope.rows(b"{}", single=True)
    with pytest.raises(NotRows, match="null where the list of rows should be"):
        envelope.rows(body({"data": None}), single=True)


def test_a_summary_of_one_period_is_a_row_with_its_prices_taken_apart() -> None:
    found = decode(
        SUMMARY,
        body(
            {
                "settlementDate": "2024-01-03",
                "settlementPeriod": 1,
                "createdDateTime": "2024-01-03T00:44:58Z",
                "mainPrice": {"cost": -53.66, "volume": -0.994, "value": 54},
                "marketPrice": {"cost": None, "volume": 1.5, "value": "54.5"},
                "demandControlVolume": 240,
            }
        ),
    )
    (row,) = found.rows.iter_rows(named=True)
    assert (row["mainPrice.cost"], row["mainPrice.volume"], row["mainPrice.value"]) == (-53.66, -0.994, 54.0)
    assert (row["marketPrice.cost"], row["marketPrice.value"]) == (None, 54.5)
    assert (row["settlementDate"], found.quarantined) == (date(2024, 1, 3), [])
    assert found.unknown_columns == ("demandControlVolume",)


@pytest.mark.parametrize(
    ("answer", "values", "reasons"),
    [
        (["CCGT", "WIND"], ["CCGT", "WIND"], []),
        ([], [], []),
        (["CCGT", None, 7], ["CCGT"], ["the row is not an object"] * 2),
        ([{"value": "CCGT"}, "WIND"], ["CCGT", "WIND"], []),
    ],
)
def test_a_list_of_texts_is_a_table_of_one_column(answer: list[Any], values: list[str], reasons: list[str]) -> None:
    found = decode(FUELS, body(answer))
    assert found.rows["value"].to_list() == values
    assert [reason for _, reason, _ in found.quarantined] == reasons
    assert found.fetched == len(answer)


# --- nested objects


def test_members_of_a_nested_object_are_columns() -> None:
    answer = body({"data": [cashflow(), cashflow("B-1")]})
    assert fast.read(EBOCF, answer, BID) is None, "nested rows are the exact path's"
    found = decode(EBOCF, answer, BID)
    assert found.rows["bidOfferPairCashflows.positive2"].to_list() == [5017.6255, 5017.6255]
    assert found.rows["bidOfferPairCashflows.negative1"].to_list() == [None, None]
    assert found.rows["bidOffer"].to_list() == ["bid", "bid"]
    assert (found.absent_columns, found.unknown_columns, found.quarantined) == ((), (), [])


def test_a_nested_object_that_is_null_is_null_in_each_member() -> None:
    found = exact.read(EBOCF, body([cashflow(bidOfferPairCashflows=None)]), BID)
    assert all(found.rows[f"bidOfferPairCashflows.{pair}"].to_list() == [None] for pair in PAIRS)
    assert found.absent_columns == (), "the answer has it, as null"
    assert (found.drift, found.quarantined) == ([], [])


def test_a_nested_object_that_is_absent_is_reported() -> None:
    row = cashflow()
    del row["bidOfferPairCashflows"]
    found = exact.read(EBOCF, body([row]), BID)
    assert set(found.absent_columns) == {f"bidOfferPairCashflows.{pair}" for pair in PAIRS}
    assert found.rows.height == 1


def test_a_member_that_nobody_knows_is_kept_aside_with_the_rows_key() -> None:
    pairs = cashflow()["bidOfferPairCashflows"] | {"positive7": 1.5}
    found = exact.read(EBOCF, body([cashflow(), cashflow("B-1", bidOfferPairCashflows=pairs)]), BID)
    assert found.unknown_columns == ("bidOfferPairCashflows.positive7",)
    ((day, column, record),) = found.drift
    assert (day, column, found.drift_rows) == (date(2024, 1, 3), "bidOfferPairCashflows.positive7", [1])
    kept = json.loads(record)
    assert kept["bidOfferPairCashflows.positive7"] == 1.5
    assert (kept["nationalGridBmUnit"], kept["bidOffer"]) == ("B-1", "bid")
    assert found.rows.height == 2


def test_something_else_in_the_place_of_a_nested_object_is_drift() -> None:
    found = exact.read(EBOCF, body([cashflow(bidOfferPairCashflows=[1, 2])]), BID)
    assert found.unknown_columns == ("bidOfferPairCashflows",)
    assert json.loads(found.drift[0][2])["bidOfferPairCashflows"] == [1, 2]
    assert found.rows.height == 1


def test_a_row_set_aside_is_kept_as_it_came_nested() -> None:
    bad = cashflow(settlementPeriod="x")
    found = exact.read(EBOCF, body([bad, cashflow()]), BID)
    ((_, reason, record),) = found.quarantined
    assert reason.startswith("settlementPeriod: ")
    assert json.loads(record) == bad


# --- columns out of the request


def test_what_the_request_says_of_its_rows_is_a_column_of_each() -> None:
    boav = plan(BOAV, [date(2024, 1, 3)])
    assert [decoding.given(BOAV, w) for w in boav] == [{"bidOffer": "bid"}, {"bidOffer": "offer"}]
    physical = get("bmrs_physical_all")
    assert decoding.given(physical, plan(physical, [date(2024, 1, 3)])[0]) == {}, "the rows have it themselves"
    assert decoding.given(COSTS, plan(COSTS, [date(2024, 1, 3)])[0]) == {}


@pytest.mark.parametrize("said", ["offer", None, "BID"])
def test_a_row_that_says_otherwise_than_its_request_is_believed(said: str | None) -> None:
    """The row's own field wins, whichever way it is read; without one it has no side, which is part of its key."""
    rows = [cashflow(bidOffer=said), cashflow("B-1", bidOffer=said)]
    assert fast.read(EBOCF, body(rows), BID) is None
    found = exact.read(EBOCF, body(rows), BID)
    if said is None:
        assert [reason for _, reason, _ in found.quarantined] == ["bidOffer is null"] * 2
    else:
        assert found.rows["bidOffer"].to_list() == [said, said]


def status(period: int, count: Any = 31) -> dict[str, Any]:
    return {"settlementDate": "2024-01-03", "settlementPeriod": period, "dataPointCount": count}


def test_the_fast_path_fills_the_column_of_the_request() -> None:
    answer = body({"metadata": {"datasets": ["BOALF"]}, "data": [status(1), status(2, 0)]})
    quick, slow = fast.read(STATUS, answer, {"code": "BOALF"}), exact.read(STATUS, answer, {"code": "BOALF"})
    assert quick is not None and quick.rows["code"].to_list() == ["BOALF", "BOALF"]
    assert_frame_equal(quick.rows, slow.rows)
    assert quick.absent_columns == slow.absent_columns == ()


def test_the_fast_path_declines_rows_that_have_the_column_of_the_request_themselves() -> None:
    assert fast.read(STATUS, body([{**status(1), "code": "PN"}]), {"code": "BOALF"}) is None


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "settlementDate": st.sampled_from(["2024-01-03", None]),
                "settlementPeriod": st.one_of(st.integers(1, 50), st.none(), st.just(1.5)),
                "dataPointCount": st.one_of(st.integers(-(2**60), 2**60), st.none(), st.just("7")),
            },
            optional={"code": st.sampled_from(["PN", None]), "more": st.integers(0, 1)},
        ),
        max_size=5,
    )
)
def test_with_a_given_column_the_fast_path_is_the_exact_one_or_declines(rows: list[dict[str, Any]]) -> None:
    answer = body({"data": rows})
    slow = exact.read(STATUS, answer, {"code": "FREQ"})
    assert slow.fetched == len(rows) == slow.rows.height + len(slow.quarantined)
    quick = fast.read(STATUS, answer, {"code": "FREQ"})
    if quick is not None:
        assert_frame_equal(quick.rows, slow.rows)
        assert (quick.quarantined, quick.drift) == (slow.quarantined, slow.drift) == ([], [])
        assert (quick.absent_columns, quick.unknown_columns) == (slow.absent_columns, slow.unknown_columns)


@pytest.mark.parametrize("dataset", [EBOCF, BOAV, STATUS], ids=lambda d: d.table)
def test_an_empty_answer_has_the_given_column_too(dataset: Dataset) -> None:
    name = dataset.endpoint.each.column if dataset.endpoint.each else ""
    for read in (fast.read, exact.read):
        found = read(dataset, b'{"data":[]}', {name: "x"})
        assert found is not None and (found.fetched, found.rows.height, found.absent_columns) == (0, 0, ())
        assert found.rows.columns == list(dataset.names)
