"""What an answer over some days lacks: days that are not complete, or that nothing is stored of.

Belongs here: telling a reader of rows what is not in them. Not here: how a day is judged (coverage).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Grain
from gbpm_dagster.market.calendar import london_day
from gbpm_dagster.quality.coverage import coverage
from gbpm_dagster.quality.expected import Scope, wanted_days
from gbpm_dagster.quality.result import day_ranges
from gbpm_dagster.quality.states import FAILING, State
from gbpm_dagster.warehouse.protocol import Warehouse, WarehouseError


class NothingStored(WarehouseError):
    """Nothing is stored of a table, or of the days asked; the message says what is, and how to fetch it."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A day that is not complete."""

    day: date
    state: State
    reason: str

    @property
    def fails(self) -> bool:
        """Whether the gap check fails on it: not so days that are not due yet, or proven not to exist."""
        return self.state in FAILING


def stored_span(
    warehouse: Warehouse, dataset: Dataset, start: date | None, end: date | None, home: object
) -> tuple[date, date]:
    """The days asked, open ends closed by the first and last stored day; raises NothingStored if none is stored.

    A day that was answered without rows is stored: the evidence says so. home: what the message calls the warehouse.
    """
    held = warehouse.evidence([dataset.table])["day"].to_list()
    if not held:
        raise NothingStored(f"{dataset.table} holds nothing yet in the home {home}: {_fetch(dataset, start, end)}")
    first, last = start or held[0], end or held[-1]
    if not any(first <= day <= last for day in held):
        which = f"from {start} on" if end is None else f"up to {end}" if start is None else f"from {start} to {end}"
        raise NothingStored(
            f"{dataset.table} holds no day {which} in the home {home}, only {held[0]} to {held[-1]}: "
            f"{_fetch(dataset, start, end)}"
        )
    return first, last


def lacking(
    warehouse: Warehouse, dataset: Dataset, wanted: Sequence[date], now: datetime, recorded: bool = False
) -> list[Lack]:
    """The wanted days that are not complete, ascending; of a reference table none, as any of its lists is whole.

    now, recorded: as for `coverage`.
    """
    if dataset.grain is Grain.SNAPSHOT or not wanted:
        return []
    evidence, attempts = warehouse.evidence([dataset.table]), warehouse.attempts([dataset.table])
    known = warehouse.known_gaps([dataset.table])
    states = coverage(dataset, wanted, evidence, attempts, now, recorded, register=known)
    rows = states.filter(pl.col("state") != State.COMPLETE.value).select("day", "state", "reason")
    return [Lack(day, State(state), reason) for day, state, reason in rows.iter_rows()]


def wanted_between(
    dataset: Dataset, first: date, last: date, now: datetime, scope: Scope | None = None
) -> list[date]:
    """The days of the range that the source can have, and the home is about: none after today in London."""
    return wanted_days(dataset, first, min(last, london_day(now)), scope)


def in_words(lacks: Sequence[Lack], most: int = 5) -> str:
    """'2024-01-05 (missing), 2024-01-07 to 2024-01-09 (partial) and 3 more': the first ranges of one state."""
    found = []
    for state, group in groupby(lacks, key=lambda lack: lack.state):
        found += [(a, b, state) for a, b in day_ranges(lack.day for lack in group)]
    said = [f"{a if a == b else f'{a} to {b}'} ({state.value.replace('_', ' ')})" for a, b, state in found[:most]]
    return ", ".join(said) + (f" and {len(found) - most} more" if len(found) > most else "")


def _fetch(dataset: Dataset, start: date | None, end: date | None) -> str:
    if dataset.grain is Grain.SNAPSHOT:
        return f"`gbpm backfill {dataset.table}` fetches today's list"
    first, last = start or end or "yyyy-mm-dd", end or start or "yyyy-mm-dd"
    return f"`gbpm backfill {dataset.table} --from {first} --to {last}` fetches days of it"
