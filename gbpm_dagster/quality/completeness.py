"""How much of what is due is there: the ratio of market/domain.md 2.4, by slot and by day.

Belongs here: the ratio and what is read off it. Not here: what is due (`coverage`), a score made of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from gbpm_dagster.quality.states import State

RATIO_SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "day": pl.Date,
    "ratio": pl.Float64,  # 0 to 1; null: nothing was due
}
"""One row a table and day."""

USABLE = 0.98
"""A day of frequency with at least so much of its samples can be searched for events (domain.md 2.4)."""


def completeness_ratio(coverage_frame: pl.DataFrame) -> pl.DataFrame:
    """Of each day what is there of what is due: RATIO_SCHEMA, in the order of the frame (COVERAGE_SCHEMA).

    sum of min(rows, expected) / sum of expected over the slots that are neither `due` nor `not_due`: a surplus in one
    slot never makes up for another's lack. Of events: windows answered of windows asked, none while the day had not
    ended; of snapshots 1 or 0. What the source does not have (`missing_at_source`) lowers it too; of days
    that a person has excluded nothing is due.
    """
    wanted = (pl.col("due") > 0) & (pl.col("state") != State.EXCLUDED.value)
    share = pl.when(wanted).then(pl.col("there") / pl.col("due"))
    return coverage_frame.select("table", "day", ratio=share).cast(RATIO_SCHEMA)  # type: ignore[arg-type]


def ratio_of(slots: Iterable[tuple[int, int, State]]) -> float | None:
    """The same of single slots (rows, expected, state); None if none of them is due."""
    due = [(rows, expected) for rows, expected, state in slots if state not in (State.DUE, State.NOT_DUE)]
    whole = sum(expected for _, expected in due)
    return sum(min(rows, expected) for rows, expected in due) / whole if whole else None


def usable_for_events(ratio: float | None) -> bool:
    """Whether a day of frequency has enough samples for its events to be looked for: at least 98 % of them."""
    return ratio is not None and ratio >= USABLE
