"""Which row of a key stays: the worked example, and the rule over rows in any order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse import dedupe
from gbpm_dagster.warehouse.dedupe import CONFLICT, CURRENT, EXACT, FATE, SUPERSEDED
from gbpm_dagster.warehouse.protocol import stored_schema
from gbpm_dagster_tests.examples import example, instant
from gbpm_dagster_tests.warehouse.rows import BOALF, COSTS, DAY, FREQ, MID, T0, later

Row = dict[str, Any]


def stored(dataset: Dataset, rows: list[Row], day: date = DAY) -> pl.DataFrame:
    """Stored rows of one day; `received` is the receipt, REST unless said otherwise."""
    full = [
        {"_day": day, "_month": f"{day:%Y-%m}", "_source": "REST", **r, "_fetched_at": r.get("received", T0)}
        for r in rows
    ]
    schema = stored_schema(dataset)
    return pl.DataFrame({c: [r.get(c) for r in full] for c in schema}, schema=schema, strict=False)


def price(value: float, created: int | None, received: int, period: int = 1, source: str = "REST") -> Row:
    """A price of a period, its run and receipt so many hours after T0."""
    return {
        "settlementDate": DAY,
        "settlementPeriod": period,
        "systemSellPrice": value,
        "createdDateTime": None if created is None else later(created),
        "received": later(received),
        "_source": source,
    }


def test_dup_01() -> None:
    given_, expected = example("dup-01")
    day = date.fromisoformat(given_["rows"][0]["settlementDate"])
    rows = [
        {
            "settlementDate": day,
            "settlementPeriod": r["settlementPeriod"],
            "systemSellPrice": r["systemSellPrice"],
            "createdDateTime": r["createdDateTime"] and instant(r["createdDateTime"]),
            "received": instant(r["ingested_at"]),
        }
        for r in given_["rows"]
    ]
    found = dedupe.resolve(COSTS, stored(COSTS, rows, day))
    current = dict(found.current.select("settlementPeriod", "systemSellPrice").iter_rows())
    assert {str(k): v for k, v in current.items()} == expected["current"]
    counts = found.counts.row(0, named=True)
    assert counts["exact_duplicates"] == expected["exact_duplicates"]
    assert counts["superseded"] == expected["superseded"] == found.superseded.height
    assert counts["conflicts"] == 0
    # The repeat that stays is the first arrival: its receipt says since when the row was known.
    older = found.superseded.filter(settlementPeriod=10)
    assert older["_fetched_at"].to_list() == [instant("2023-05-02T06:00:00Z")]
    assert older["_superseded_at"].to_list() == [instant("2023-05-09T06:00:00Z")]


def test_an_old_vintage_that_arrives_late_does_not_win_and_was_never_believed() -> None:
    found = dedupe.resolve(COSTS, stored(COSTS, [price(95, 200, 201), price(80, 5, 300)]))
    assert found.current["systemSellPrice"].to_list() == [95]
    assert found.superseded.select("systemSellPrice", "_superseded_at").row(0) == (80, later(300))


def test_a_chain_of_runs_is_superseded_link_by_link() -> None:
    found = dedupe.resolve(COSTS, stored(COSTS, [price(3, 30, 31), price(1, 10, 11), price(2, 20, 21)]))
    assert found.current["systemSellPrice"].to_list() == [3]
    ends = dict(found.superseded.select("systemSellPrice", "_superseded_at").iter_rows())
    assert ends == {1: later(21), 2: later(31)}


@pytest.mark.parametrize("created", [None, 7])
def test_without_a_stamp_that_decides_the_later_received_stays_and_it_is_a_conflict(created: int | None) -> None:
    found = dedupe.resolve(COSTS, stored(COSTS, [price(20, created, 2), price(10, created, 1)]))
    assert found.current["systemSellPrice"].to_list() == [20]
    assert found.counts.row(0, named=True)["conflicts"] == 1


def test_where_the_receipt_is_the_stamp_only_one_receipt_is_a_conflict() -> None:
    def sample(hz: float, received: int) -> Row:
        return {"measurementTime": datetime(2024, 1, 3, 12, tzinfo=UTC), "frequency": hz, "received": later(received)}

    later_one = dedupe.resolve(FREQ, stored(FREQ, [sample(50.02, 2), sample(50.01, 1)]))
    assert later_one.current["frequency"].to_list() == [50.02]
    assert later_one.counts["conflicts"].to_list() == [0]
    together = dedupe.resolve(FREQ, stored(FREQ, [sample(50.02, 1), sample(50.01, 1)]))
    assert together.counts["conflicts"].to_list() == [1]


def test_a_value_that_left_and_came_back_is_known_from_its_return() -> None:
    """Else what was believed in between would still be believed beside it."""
    rows = [price(10, None, 1), price(20, None, 2), price(10, None, 3), price(10, None, 4)]
    found = dedupe.resolve(COSTS, stored(COSTS, rows))
    assert found.current.select("systemSellPrice", "_fetched_at").row(0) == (10, later(3))
    assert found.superseded.select("systemSellPrice", "_superseded_at").row(0) == (20, later(3))
    assert found.counts.row(0, named=True)["exact_duplicates"] == 2


def test_on_a_tie_rest_stays_before_iris() -> None:
    rows = [price(10, 5, 1, source="IRIS"), price(20, 5, 1), price(30, 5, 1, source="IRIS")]
    found = dedupe.resolve(COSTS, stored(COSTS, rows))
    assert found.current.select("systemSellPrice", "_source").row(0) == (20, "REST")


def test_a_deletion_of_an_acceptance_wins_over_what_it_deletes() -> None:
    def acceptance(flag: str, received: int) -> Row:
        return {
            "nationalGridBmUnit": "A-1",
            "acceptanceNumber": 7,
            "acceptanceTime": T0,
            "timeFrom": T0,
            "amendmentFlag": flag,
            "received": later(received),
        }

    rows = [acceptance("DEL", 1), acceptance("ORI", 2), acceptance("UPD", 3)]
    found = dedupe.resolve(BOALF, stored(BOALF, rows))
    assert found.current["amendmentFlag"].to_list() == ["DEL"]


def test_the_unit_that_stands_in_and_nulls_are_part_of_the_key() -> None:
    mid = {"settlementDate": DAY, "dataProvider": "APXMIDP", "price": 50.0}
    rows = [
        {**mid, "settlementPeriod": n, "received": later(r)}
        for n, r in ((1, 1), (1, 2), (2, 1), (None, 1), (None, 2))
    ]
    found = dedupe.resolve(MID, stored(MID, rows))
    assert found.current["settlementPeriod"].to_list() == [None, 1, 2]
    acceptances = [
        {"nationalGridBmUnit": None, "bmUnit": "X", "acceptanceNumber": 1, "acceptanceTime": T0, "timeFrom": T0},
        {"nationalGridBmUnit": "X", "bmUnit": "X", "acceptanceNumber": 1, "acceptanceTime": T0, "timeFrom": T0},
    ]
    assert dedupe.resolve(BOALF, stored(BOALF, acceptances)).current.height == 1


def test_samples_say_which_stamp_wins_and_why() -> None:
    rows = stored(COSTS, [price(80, 5, 6), price(80, 5, 9), price(95, 200, 201), price(1, 1, 1, period=2)])
    (said,) = dedupe.samples(COSTS, rows, dedupe.judge(COSTS, rows), 5)
    assert said["key"] == {"settlementDate": DAY, "settlementPeriod": 1}
    assert said["kept"] == {"createdDateTime": later(200), "_fetched_at": later(201)}
    assert said["superseded"] == [{"createdDateTime": later(5), "_fetched_at": later(6)}]
    assert said["why"] == "1 exact; 1 superseded, the greatest createdDateTime wins"


prices = st.builds(
    price,
    value=st.sampled_from([10.0, 20.0, 30.0]),
    created=st.sampled_from([None, 1, 2, 3]),
    received=st.integers(0, 6),
    period=st.integers(1, 3),
    source=st.sampled_from(["REST", "IRIS"]),
)


def stamp_and_receipt(row: Row) -> tuple[datetime, datetime]:
    """(createdDateTime, receipt) to compare: no stamp is lowest."""
    return row["createdDateTime"] or T0 - timedelta(days=1), row["received"]


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(prices, min_size=1, max_size=14), data=st.data())
def test_one_row_a_key_whatever_the_order(rows: list[Row], data: st.DataObject) -> None:
    found = dedupe.resolve(COSTS, stored(COSTS, rows))
    by_key: dict[int, list[Row]] = {}
    for row in rows:
        by_key.setdefault(row["settlementPeriod"], []).append(row)
    assert sorted(found.current["settlementPeriod"]) == sorted(by_key)
    contents = 0
    for row in found.current.iter_rows(named=True):
        group = by_key[row["settlementPeriod"]]
        greatest = max(map(stamp_and_receipt, group))
        values = {r["systemSellPrice"] for r in group if stamp_and_receipt(r) == greatest}
        assert row["createdDateTime"] == max(
            (r["createdDateTime"] for r in group if r["createdDateTime"]), default=None
        )
        assert row["systemSellPrice"] in values  # never a mean
        contents += len({(r["systemSellPrice"], r["createdDateTime"]) for r in group})
    counts = found.counts.sum().row(0, named=True)
    assert counts["rows"] == len(rows) == counts["current"] + counts["superseded"] + counts["exact_duplicates"]
    assert counts["exact_duplicates"] == len(rows) - contents
    assert found.superseded.height == counts["superseded"]
    # any order
    shuffled = data.draw(st.permutations(rows))
    again = dedupe.resolve(COSTS, stored(COSTS, shuffled))
    assert again.current.equals(found.current) and again.superseded.equals(found.superseded)
    # idempotent
    once_more = dedupe.resolve(COSTS, found.current)
    assert once_more.current.equals(found.current) and once_more.superseded.is_empty()


@given(rows=st.lists(prices, min_size=1, max_size=14))
@settings(max_examples=50, deadline=None)
def test_each_row_has_one_fate_and_each_content_one_row(rows: list[Row]) -> None:
    frame = stored(COSTS, rows)
    judged = pl.concat([frame, dedupe.judge(COSTS, frame)], how="horizontal")
    content = ["settlementPeriod", "systemSellPrice", "createdDateTime"]
    kept = judged.filter(pl.col(FATE) != EXACT)
    assert not kept.select(content).is_duplicated().any()
    assert kept.filter(pl.col(FATE) == CURRENT)["settlementPeriod"].is_unique().all()
    assert set(judged[FATE]) <= {CURRENT, SUPERSEDED, EXACT}
    for (period,), group in judged.filter(pl.col(CONFLICT)).partition_by("settlementPeriod", as_dict=True).items():
        stamp = group.filter(pl.col(FATE) == CURRENT)["createdDateTime"][0]
        rivals = [
            r["systemSellPrice"] for r in rows if r["settlementPeriod"] == period and r["createdDateTime"] == stamp
        ]
        assert len(set(rivals)) > 1
