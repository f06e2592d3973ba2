"""Duplicates and vintages: the worked example and properties of the merge."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse import merge
from gbpm_dagster.warehouse.protocol import DAY as DAY_COLUMN
from gbpm_dagster.warehouse.protocol import FETCHED_AT, MONTH, SOURCE, stored_schema
from gbpm_dagster_tests.warehouse.rows import BOALF, BOD, COSTS, DAY, MID, T0, cost_row, frame, later, mid_row

EXAMPLES = Path(__file__).parents[1] / "data" / "worked_examples.json"


def stored(dataset: Dataset, rows: list[dict], at: list[datetime] | datetime, day: date = DAY) -> pl.DataFrame:
    times = at if isinstance(at, list) else [at] * len(rows)
    own = pl.DataFrame(
        {DAY_COLUMN: day, MONTH: f"{day:%Y-%m}", FETCHED_AT: times, SOURCE: "REST"},
        schema={n: stored_schema(dataset)[n] for n in (DAY_COLUMN, MONTH, FETCHED_AT, SOURCE)},
    )  # fmt: skip
    return pl.concat([frame(dataset, rows), own], how="horizontal").select(list(stored_schema(dataset)))


def step(dataset: Dataset, rows: pl.DataFrame, before: pl.DataFrame, at: datetime, known=None) -> merge.Merged:
    return merge.combine(dataset, merge.resolve(dataset, rows), before, merge.asked_frame([(DAY, at, known)]))


def nothing(dataset: Dataset) -> pl.DataFrame:
    return pl.DataFrame(schema=stored_schema(dataset))


def test_worked_example_dup_01() -> None:
    """Of each period the latest calculation stands, one exact duplicate, two superseded; nothing is averaged."""
    example = next(e for e in json.loads(EXAMPLES.read_text()) if e["id"] == "dup-01")
    day = date(2023, 5, 1)
    rows, times = [], []
    for r in example["input"]["rows"]:
        created = r["createdDateTime"] and datetime.fromisoformat(r["createdDateTime"])
        rows.append(cost_row(day, r["settlementPeriod"], r["systemSellPrice"], created))
        times.append(datetime.fromisoformat(r["ingested_at"]))
    answer = merge.resolve(COSTS, stored(COSTS, rows, times, day))
    merged = merge.combine(COSTS, answer, nothing(COSTS), merge.asked_frame([(day, max(times), None)]))
    current = {str(p): s for p, s in merged.current.select("settlementPeriod", "systemSellPrice").iter_rows()}
    account = merged.account.row(0, named=True)
    assert current == example["expected"]["current"]
    assert account["exact_duplicates"] == example["expected"]["exact_duplicates"]
    assert account["superseded"] == example["expected"]["superseded"] == merged.vintages.height
    assert merge.check_account(COSTS, merged.account) == []


def test_of_exact_duplicates_the_first_arrival_is_kept() -> None:
    rows = [cost_row(DAY, 1, 80.0, T0)] * 2
    winners = merge.resolve(COSTS, stored(COSTS, rows, [later(2), later(1)])).winners
    assert winners[FETCHED_AT].to_list() == [later(1)]


def test_unit_part_of_a_key_is_the_national_grid_name_else_elexons() -> None:
    base = {"settlementDate": DAY, "settlementPeriod": 1, "timeFrom": T0, "pairId": 1}
    rows = [
        {**base, "nationalGridBmUnit": "A-1", "bmUnit": "T_A-1", "bid": 1.0},
        {**base, "nationalGridBmUnit": None, "bmUnit": "T_B-1", "bid": 2.0},
        {**base, "nationalGridBmUnit": None, "bmUnit": "T_C-1", "bid": 3.0},
        {**base, "nationalGridBmUnit": "A-1", "bmUnit": "T_OTHER", "bid": 4.0},
    ]
    answer = merge.resolve(BOD, stored(BOD, rows, T0))
    assert answer.counts.row(0, named=True) == {
        DAY_COLUMN: DAY, "fetched": 4, "keys": 3, "losers": 1, "exact_duplicates": 0,
    }  # fmt: skip


def test_amendment_flags_rank_by_their_order_and_an_unknown_one_above_none() -> None:
    base = {"nationalGridBmUnit": "A", "acceptanceNumber": 1, "acceptanceTime": T0, "timeFrom": T0}
    flags = ["ORI", "DEL", "UPD", None, "INS", "XYZ"]
    for best, among in (
        ("DEL", flags),
        ("UPD", ["ORI", "UPD", "INS"]),
        ("ORI", [None, "ORI", "XYZ"]),
        ("XYZ", [None, "XYZ"]),
    ):
        rows = [{**base, "amendmentFlag": f} for f in among]
        assert merge.resolve(BOALF, stored(BOALF, rows, T0)).winners["amendmentFlag"].to_list() == [best]


def test_an_older_vintage_arriving_late_does_not_win_but_is_kept() -> None:
    now = stored(COSTS, [cost_row(DAY, 1, 95.0, later(10))], T0)
    merged = step(COSTS, stored(COSTS, [cost_row(DAY, 1, 80.0, later(1))], later(20)), now, later(20))
    assert merged.current["systemSellPrice"].to_list() == [95.0]
    assert merged.vintages["systemSellPrice"].to_list() == [80.0]
    assert merged.account.row(0, named=True)["changed"] is False


def test_a_value_that_comes_back_at_the_source_comes_back_here() -> None:
    """No stamp: what the source says last holds, even if it said so before."""
    held, known = nothing(MID), None
    for hour, price in enumerate((50.0, 60.0, 50.0)):
        merged = step(MID, stored(MID, [mid_row(DAY, 1, price=price)], later(hour)), held, later(hour), known)
        held, known = merged.current, later(hour)
    assert held["price"].to_list() == [50.0]


def test_an_older_answer_removes_nothing_it_could_not_know() -> None:
    now = stored(MID, [mid_row(DAY, 1), mid_row(DAY, 2)], later(5))
    merged = step(MID, stored(MID, [mid_row(DAY, 1), mid_row(DAY, 3)], later(1)), now, later(1), later(5))
    assert merged.current["settlementPeriod"].to_list() == [1, 2, 3]
    newer = step(MID, stored(MID, [mid_row(DAY, 1), mid_row(DAY, 3)], later(9)), now, later(9), later(5))
    assert newer.current["settlementPeriod"].to_list() == [1, 3]
    assert newer.vintages["settlementPeriod"].to_list() == [2]


# Properties. An answer: for each of three periods one or more rows (price, created or null), all asked at one hour.

ROW = st.tuples(st.sampled_from([10.0, 20.0, 30.0]), st.sampled_from([None, 1, 2, 3]))
ANSWER = st.lists(st.lists(ROW, min_size=1, max_size=3), min_size=3, max_size=3)


def built(answer: list[list[tuple[float, int | None]]], hour: int) -> pl.DataFrame:
    rows = [
        cost_row(DAY, period, price, None if created is None else T0 + timedelta(minutes=created))
        for period, options in enumerate(answer, start=1)
        for price, created in options
    ]
    return stored(COSTS, rows, later(hour))


def play(answers: list[tuple[int, pl.DataFrame]], dataset: Dataset = COSTS) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The business columns of `played`."""
    current, old = played(answers, dataset)
    return current.select(dataset.names), old.select(dataset.names)


def played(answers: list[tuple[int, pl.DataFrame]], dataset: Dataset = COSTS) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Current rows and vintages after these answers, as the lake would hold them."""
    current, old, known = nothing(dataset), None, None
    for hour, rows in answers:
        merged = step(dataset, rows, current, later(hour), known)
        assert merge.check_account(dataset, merged.account) == []
        assert merged.current.select("settlementPeriod").is_unique().all()
        known = max(later(hour), known) if known else later(hour)
        current = merged.current
        empty = merged.vintages.head(0) if old is None else old
        old = pl.concat([empty, merge.new_vintages(dataset, merged.vintages, empty)])
    assert old is not None
    return current, old


def test_a_value_that_went_came_back_and_went_again_is_kept_twice() -> None:
    """It was believed twice; said again by a cache that lags it was not, and adds nothing."""
    prices = (50.0, 60.0, 50.0, 70.0)
    answers = [(hour, stored(MID, [mid_row(DAY, 1, price=p)], later(hour))) for hour, p in enumerate(prices)]
    _, old = played(answers, MID)
    assert sorted(old.select("price", FETCHED_AT, merge.SUPERSEDED_AT).rows()) == [
        (50.0, later(0), later(1)), (50.0, later(2), later(3)), (60.0, later(1), later(2)),
    ]  # fmt: skip
    created = [(later(1), 80.0, 0), (later(10), 95.0, 1), (later(1), 80.0, 2), (later(1), 80.0, 3)]
    lagging = [(hour, stored(COSTS, [cost_row(DAY, 1, p, c)], later(hour))) for c, p, hour in created]
    current, old = played(lagging)
    assert current["systemSellPrice"].to_list() == [95.0] and old["systemSellPrice"].to_list() == [80.0]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(ANSWER, st.randoms(use_true_random=False))
def test_running_again_changes_nothing_and_the_order_of_rows_does_not_matter(answer, random) -> None:
    rows = built(answer, 0)
    order = list(range(rows.height))
    random.shuffle(order)
    once = play([(0, rows)])
    again = play([(0, rows), (1, built(answer, 1)[order]), (0, rows)])
    assert once[0].equals(again[0])
    assert once[1].sort(pl.all()).equals(again[1].sort(pl.all()))


def in_two_orders(answers: list[tuple[int, pl.DataFrame]], random, dataset: Dataset) -> None:
    mixed = [*answers, *random.sample(answers, k=1)]
    random.shuffle(mixed)
    assert play(answers, dataset)[0].equals(play(mixed, dataset)[0])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(ANSWER, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_any_order_of_arrival_of_vintages_gives_the_same_current_rows(answers, random) -> None:
    """Answers over the same keys, in whatever order they reach the warehouse, and however often; also calculations
    that appear again after a later one was seen."""
    stamped = [[[(float(v or 0), v) for _, v in options] for options in a] for a in answers]
    in_two_orders([(hour, built(a, hour)) for hour, a in enumerate(stamped)], random, COSTS)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.sampled_from([10.0, 20.0]), min_size=3, max_size=3), min_size=2, max_size=5),
       st.randoms(use_true_random=False))  # fmt: skip
def test_any_order_of_arrival_gives_the_same_current_rows_without_stamps_too(answers, random) -> None:
    """The last the source said stands, also where it had said it before."""
    known = [
        (hour, stored(MID, [mid_row(DAY, p, price=price) for p, price in enumerate(prices, 1)], later(hour)))
        for hour, prices in enumerate(answers)
    ]
    in_two_orders(known, random, MID)
    assert play(known, MID)[0]["price"].to_list() == answers[-1]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(ANSWER, min_size=1, max_size=3))
def test_nothing_that_came_is_lost(answers) -> None:
    """Every distinct row is current or among the vintages, and no vintage is there twice, but for one that came back
    and went again: that has a receipt of its own."""
    current, kept = played([(hour, built(a, hour)) for hour, a in enumerate(answers)])
    current, old = current.select(COSTS.names), kept.select(COSTS.names)
    came = pl.concat([built(a, 0).select(COSTS.names) for a in answers]).unique()
    there = pl.concat([current, old]).unique()
    assert came.join(there, on=list(COSTS.names), how="anti", nulls_equal=True).is_empty()
    assert there.height == came.height
    assert kept.select(*COSTS.names, FETCHED_AT).is_unique().all()
