"""Coverage seen from afar: ranges of days that are not complete, and one cell a table and month.

Belongs here: folding coverage into ranges, cells and totals. Not here: judging a day (`coverage`), drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import polars as pl

from gbpm_dagster.quality.states import FAILING, State


class Unit(StrEnum):
    """What one column of the map is, finest first. A week begins on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


UNITS = tuple(Unit)
FEW_DAYS, FEW_WEEKS = 62, 60
"""So many days are shown one by one, and so many weeks by the week, where the map has room for them."""

_TRUNCATE = {Unit.DAY: "1d", Unit.WEEK: "1w", Unit.MONTH: "1mo", Unit.QUARTER: "1q", Unit.YEAR: "1y"}

RANGE_SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "first": pl.Date,
    "last": pl.Date,
    "days": pl.Int64,
    "state": pl.String,
    "reason": pl.String,  # of the first of its days
    "known": pl.Boolean,  # the register of known gaps names these days
}
"""One row for each run of consecutive days of a table that are in one state, not `complete`."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One table in one column of the map: its days by state, and how many of the failing ones are known gaps."""

    days: Mapping[State, int]
    known: int = 0

    @property
    def failing(self) -> int:
        return sum(n for state, n in self.days.items() if state in FAILING)


@dataclass(frozen=True, slots=True)
class Row:
    """One table: its wanted days by state, the cells by the first day of their column, the ratio of domain.md 2.4."""

    table: str
    states: Mapping[State, int]
    cells: Mapping[date, Cell] = field(default_factory=dict)
    ratio: float | None = None

    @property
    def days(self) -> int:
        return sum(self.states.values())

    @property
    def failing(self) -> int:
        return sum(n for state, n in self.states.items() if state in FAILING)


def column_of(day: date, unit: Unit) -> date:
    """The first day of the column a day lies in."""
    match unit:
        case Unit.DAY:
            return day
        case Unit.WEEK:
            return day - timedelta(days=day.weekday())
        case Unit.MONTH:
            return day.replace(day=1)
        case Unit.QUARTER:
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case Unit.YEAR:
            return day.replace(month=1, day=1)


def columns(first: date, last: date, unit: Unit) -> list[date]:
    """The first days of all columns from first to last, ascending, none left out."""
    found = [column_of(first, unit)]
    while True:
        after = column_of(found[-1] + _LEAST[unit], unit)
        if after > last:
            return found
        found.append(after)


_LEAST = {
    Unit.DAY: timedelta(days=1),
    Unit.WEEK: timedelta(days=7),
    Unit.MONTH: timedelta(days=31),
    Unit.QUARTER: timedelta(days=92),
    Unit.YEAR: timedelta(days=366),
}
"""From the first day of a column so much leads into the next one."""


def unit_for(first: date, last: date, room: int) -> Unit:
    """The unit of a map of so many columns: days or weeks where they are few, else months, or what fits."""
    if len(columns(first, last, Unit.DAY)) <= min(room, FEW_DAYS):
        return Unit.DAY
    if len(columns(first, last, Unit.WEEK)) <= min(room, FEW_WEEKS):
        return Unit.WEEK
    coarse = UNITS[UNITS.index(Unit.MONTH) :]
    return next((unit for unit in coarse if len(columns(first, last, unit)) <= room), Unit.YEAR)


def span(frames: Sequence[pl.DataFrame]) -> tuple[date, date] | None:
    """The first and last day of all frames (COVERAGE_SCHEMA, ascending); None if they have no day."""
    edges = [(frame["day"][0], frame["day"][-1]) for frame in frames if not frame.is_empty()]
    return (min(first for first, _ in edges), max(last for _, last in edges)) if edges else None


def rows(frames: Sequence[pl.DataFrame], unit: Unit) -> list[Row]:
    """The tables of the map, worst first: most missing days, then partial, then late, then by name.

    frames: COVERAGE_SCHEMA, one a table; empty ones (no day is wanted) are left out.
    """
    found = [_row(frame, unit) for frame in frames if not frame.is_empty()]
    return sorted(found, key=lambda r: (*(-r.states.get(s, 0) for s in _WORST), r.table))


_WORST = (State.MISSING, State.PARTIAL, State.LATE)


def _row(frame: pl.DataFrame, unit: Unit) -> Row:
    counted = (
        frame.group_by(pl.col("day").dt.truncate(_TRUNCATE[unit]), "state")
        .agg(n=pl.len(), known=pl.col("known").is_not_null().sum())
        .sort("day")
    )
    states: dict[State, int] = {}
    cells: dict[date, tuple[dict[State, int], list[int]]] = {}
    for day, name, n, known in counted.iter_rows():
        state = State(name)
        states[state] = states.get(state, 0) + n
        by_state, knowns = cells.setdefault(day, ({}, []))
        by_state[state] = n
        if state in FAILING:
            knowns.append(known)
    wanted = frame.filter(pl.col("state") != State.EXCLUDED.value)
    due = int(wanted["due"].sum())
    return Row(
        frame["table"][0],
        states,
        {day: Cell(by_state, sum(knowns)) for day, (by_state, knowns) in cells.items()},
        int(wanted["there"].sum()) / due if due else None,
    )


def ranges(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """RANGE_SCHEMA, in the order of the frames (COVERAGE_SCHEMA), ascending by day."""
    parts = [_ranges(frame) for frame in frames if not frame.is_empty()]
    return pl.concat(parts) if parts else pl.DataFrame(schema=RANGE_SCHEMA)


def _ranges(frame: pl.DataFrame) -> pl.DataFrame:
    gaps = frame.filter(pl.col("state") != State.COMPLETE.value).with_columns(known=pl.col("known").is_not_null())
    next_day = pl.col("day").shift(1).dt.offset_by("1d")
    begins = pl.col("day").ne_missing(next_day) | (
        pl.struct("state", "known") != pl.struct("state", "known").shift(1)
    )
    return (
        gaps.with_columns(run=begins.cum_sum())
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("table", "state", "reason", "known").first(),
            first=pl.col("day").first(),
            last=pl.col("day").last(),
            days=pl.len(),
        )
        .select(pl.col(n).cast(t) for n, t in RANGE_SCHEMA.items())
    )
