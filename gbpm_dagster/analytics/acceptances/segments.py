"""One settlement day as integers: units and instants as numbers, straight lines cut at every edge.

Belongs here: turning PN, BOALF and BOD rows into arrays, finding which elementary intervals a line covers. Not here:
what a line means (profiles, stack).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from gbpm_dagster.market.calendar import HALF_HOUR, day_bounds, periods_in_day

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

UNIT = "_unit"
"""nationalGridBmUnit, else bmUnit: what rows of different tables are joined on (decision 2)."""

MICROSECOND = timedelta(microseconds=1)
PERIOD_US = HALF_HOUR // MICROSECOND
HOUR_US = 2 * PERIOD_US
LINE = ("timeFrom", "timeTo", "levelFrom", "levelTo")


def with_unit(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with UNIT; rows that name no unit are left out."""
    return rows.with_columns(pl.coalesce("nationalGridBmUnit", "bmUnit").alias(UNIT)).drop_nulls(UNIT)


@dataclass(frozen=True, slots=True)
class Lines:
    """Straight lines of units, clipped to the day; of each its place in the frame it came from.

    unit: index of the unit. start, end: microseconds from the day's first instant, start < end. level_from, level_to:
    MW at the clipped ends. row: index in the frame.
    """

    unit: Ints
    start: Ints
    end: Ints
    level_from: Floats
    level_to: Floats
    row: Ints

    def values_at(self, which: Ints, start: Ints, end: Ints) -> tuple[Floats, Floats]:
        """Level of the lines `which` at two instants each, which lie on them."""
        length = self.end[which] - self.start[which]
        slope = (self.level_to[which] - self.level_from[which]) / length
        base = self.level_from[which]
        # The last point is taken from the row itself: no rounding of it.
        at_end = np.where(end == self.end[which], self.level_to[which], base + slope * (end - self.start[which]))
        return base + slope * (start - self.start[which]), at_end


class Grid:
    """The elementary intervals of each unit of a day: within one, every line given is straight and has no edge.

    An interval is named by its index in `start`; some are gaps between units (`width` 0) and no line covers them.
    """

    def __init__(self, units: int, periods: int, edges: list[Lines]) -> None:
        self._span = periods * PERIOD_US + 1
        starts = np.arange(periods + 1, dtype=np.int64) * PERIOD_US
        fixed = (np.arange(units, dtype=np.int64)[:, None] * self._span + starts[None, :]).ravel()
        keys = [fixed] + [line.unit * self._span + at for line in edges for at in (line.start, line.end)]
        # What np.unique returns, at a third of its time.
        every = np.sort(np.concatenate(keys))
        self.cuts = every[np.append(True, every[1:] != every[:-1])]
        self.unit, self.start = np.divmod(self.cuts, self._span)
        following = np.append(self.start[1:], 0)
        self.end = np.maximum(following, self.start)
        self.hours: Floats = (self.end - self.start) / HOUR_US
        self.period = self.start // PERIOD_US

    def within(self, finer: Grid, interval: Ints) -> tuple[Ints, Floats]:
        """(interval of this grid that each of those of a finer one lies in, where its two ends lie in it, 0 to 1)."""
        place = np.searchsorted(self.cuts, finer.cuts[interval], side="right") - 1
        length = (self.end - self.start)[place]
        ends = np.column_stack((finer.start[interval], finer.end[interval])) - self.start[place][:, None]
        return place, ends / length[:, None]

    def covered(self, lines: Lines) -> tuple[Ints, Ints]:
        """(interval, line) of every elementary interval that each line covers."""
        first = np.searchsorted(self.cuts, lines.unit * self._span + lines.start)
        last = np.searchsorted(self.cuts, lines.unit * self._span + lines.end)
        counts = last - first
        which = np.repeat(np.arange(len(counts)), counts)
        offset = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(first, counts) + offset, which


def instants(rows: pl.DataFrame, column: str, origin: datetime) -> Ints:
    """Microseconds from `origin`."""
    since = rows.select((pl.col(column) - origin).dt.total_microseconds()).to_series()
    return since.to_numpy().astype(np.int64)


def clipped(rows: pl.DataFrame, unit: Ints, day: date, within: tuple[Ints, Ints] | None = None) -> Lines:
    """The lines of these rows (LINE columns) inside the day; `within`: each also inside its own (start, end).

    Left out: lines of no length, those wholly outside, and those without both levels or instants.
    """
    begin, finish = day_bounds(day)
    length = (finish - begin) // MICROSECOND
    whole = rows.select(pl.all_horizontal(pl.col(*LINE).is_not_null())).to_series().to_numpy()
    place = np.flatnonzero(whole)
    rows, unit = rows[place], unit[place]
    at, to = instants(rows, "timeFrom", begin), instants(rows, "timeTo", begin)
    low, high = (np.zeros_like(at), np.full_like(at, length)) if within is None else (w[place] for w in within)
    start, end = np.clip(at, low, high), np.clip(to, low, high)
    kept = np.flatnonzero((end > start) & (to > at))
    full = Lines(
        unit[kept],
        at[kept],
        to[kept],
        _floats(rows, "levelFrom")[kept],
        _floats(rows, "levelTo")[kept],
        place[kept],
    )
    every = np.arange(len(kept))
    level_from, level_to = full.values_at(every, start[kept], end[kept])
    return Lines(full.unit, start[kept], end[kept], level_from, level_to, full.row)


def period_bounds(rows: pl.DataFrame, day: date) -> tuple[Ints, Ints]:
    """Start and end of each row's settlementPeriod, microseconds from the day's first instant; a period that the day
    does not have is empty."""
    period = rows.get_column("settlementPeriod").fill_null(0).to_numpy().astype(np.int64)
    real = (period >= 1) & (period <= periods_in_day(day))
    start = np.where(real, (period - 1) * PERIOD_US, 0)
    return start, np.where(real, start + PERIOD_US, 0)


def _floats(rows: pl.DataFrame, column: str) -> Floats:
    found: npt.NDArray[Any] = rows.get_column(column).cast(pl.Float64).to_numpy()
    return found.astype(np.float64)
