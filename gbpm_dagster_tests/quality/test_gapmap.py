"""Coverage folded into cells and ranges: nothing is lost, the worst comes first."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.market.calendar import days
from gbpm_dagster.quality.coverage import COVERAGE_SCHEMA
from gbpm_dagster.quality.gapmap import RANGE_SCHEMA, Unit, column_of, columns, ranges, rows, span, unit_for
from gbpm_dagster.quality.states import FAILING, State

DAY = date(2024, 2, 27)  # a Tuesday, two days before the 29th
STATES = [s.value for s in State]
DATES = st.dates(date(2016, 1, 1), date(2030, 12, 31))


def frame(table: str, states: list[str], first: date = DAY, known: list[int] | None = None) -> pl.DataFrame:
    """Coverage of consecutive days; `known`: positions of days the register names."""
    n = len(states)
    said = {
        "table": [table] * n,
        "day": days(first, first + timedelta(days=n - 1)),
        "state": states,
        "reason": [f"why {i}" for i in range(n)],
        "due": [10] * n,
        "there": [10 if s == "complete" else 4 for s in states],
        "known": ["suspected" if i in (known or ()) else None for i in range(n)],
    }
    return pl.DataFrame({**dict.fromkeys(COVERAGE_SCHEMA), **said}, schema=COVERAGE_SCHEMA)


@pytest.mark.parametrize(
    ("unit", "first"),
    [
        (Unit.DAY, date(2024, 2, 29)),
        (Unit.WEEK, date(2024, 2, 26)),  # its Monday
        (Unit.MONTH, date(2024, 2, 1)),
        (Unit.QUARTER, date(2024, 1, 1)),
        (Unit.YEAR, date(2024, 1, 1)),
    ],
)
def test_the_column_of_a_day(unit: Unit, first: date) -> None:
    assert column_of(date(2024, 2, 29), unit) == first


@given(DATES, st.integers(0, 900), st.sampled_from(list(Unit)))
def test_columns_are_those_of_all_days_and_none_twice(first: date, length: int, unit: Unit) -> None:
    last = first + timedelta(days=length)
    assert columns(first, last, unit) == sorted({column_of(d, unit) for d in days(first, last)})


@given(st.lists(st.sampled_from(STATES), min_size=1, max_size=120), st.sampled_from(list(Unit)))
def test_every_day_is_in_one_cell_in_its_state(states: list[str], unit: Unit) -> None:
    (row,) = rows([frame("t", states)], unit)
    assert (row.days, row.failing) == (len(states), sum(s in {f.value for f in FAILING} for s in states))
    for first, cell in row.cells.items():
        own = [s for i, s in enumerate(states) if column_of(DAY + timedelta(days=i), unit) == first]
        assert cell.days == {State(s): own.count(s) for s in own}
    assert sum(sum(c.days.values()) for c in row.cells.values()) == len(states)
    wanted = [s for s in states if s != "excluded"]
    there = sum(10 if s == "complete" else 4 for s in wanted)
    assert row.ratio == (pytest.approx(there / (10 * len(wanted))) if wanted else None)


@given(st.lists(st.sampled_from(STATES), max_size=60), st.sets(st.integers(0, 59)))
def test_ranges_are_exactly_the_days_that_are_not_complete(states: list[str], known: set[int]) -> None:
    found = ranges([frame("t", states, known=list(known))] if states else [])
    assert found.schema == pl.Schema(RANGE_SCHEMA)
    told = {}
    for r in found.iter_rows(named=True):
        own = days(r["first"], r["last"])
        assert r["days"] == len(own)
        assert r["reason"] == f"why {(r['first'] - DAY).days}"
        told.update(dict.fromkeys(own, (r["state"], r["known"])))
    expected = {DAY + timedelta(days=i): (s, i in known) for i, s in enumerate(states) if s != "complete"}
    assert told == expected
    before = [(r["last"] + timedelta(days=1), r["state"], r["known"]) for r in found.iter_rows(named=True)]
    after = [(r["first"], r["state"], r["known"]) for r in found.iter_rows(named=True)]
    assert not set(before[:-1]) & set(after[1:]), "neighbours in one state are one range"


def test_a_range_ends_where_days_are_left_out() -> None:
    gaps = frame("t", ["missing"] * 5).filter(pl.col("day") != DAY + timedelta(days=2))
    assert ranges([gaps])["days"].to_list() == [2, 2]


def test_the_worst_table_comes_first_and_tables_without_days_not_at_all() -> None:
    frames = [
        frame("late", ["late", "late", "late"]),
        frame("whole", ["complete", "not_due", "due"]),
        frame("one_missing", ["missing", "complete", "complete"]),
        frame("two_missing", ["missing", "missing", "complete"]),
        frame("lost", ["missing_at_source", "excluded", "complete"]),
        frame("partial", ["partial", "complete", "complete"]),
        pl.DataFrame(schema=COVERAGE_SCHEMA),
    ]
    assert [r.table for r in rows(frames, Unit.MONTH)] == [
        "two_missing", "one_missing", "partial", "late", "lost", "whole",
    ]  # fmt: skip
    assert span(frames) == (DAY, DAY + timedelta(days=2))
    assert span([]) is None


def test_a_known_gap_is_counted_as_such() -> None:
    (row,) = rows([frame("t", ["missing", "missing", "excluded"], known=[1, 2])], Unit.YEAR)
    (cell,) = row.cells.values()
    assert (cell.failing, cell.known) == (2, 1), "an excluded day does not fail"


@pytest.mark.parametrize(
    ("last", "room", "unit"),
    [
        (DAY + timedelta(days=61), 100, Unit.DAY),
        (DAY + timedelta(days=61), 40, Unit.WEEK),  # 62 days do not fit
        (DAY + timedelta(days=300), 100, Unit.WEEK),
        (DAY + timedelta(days=1400), 100, Unit.MONTH),
        (DAY + timedelta(days=1400), 30, Unit.QUARTER),
        (DAY + timedelta(days=1400), 3, Unit.YEAR),
    ],
)
def test_the_unit_suits_the_range_and_the_room(last: date, room: int, unit: Unit) -> None:
    assert unit_for(DAY, last, room) is unit
