"""What a decision of the healer looks at, and what it says: records.

Belongs here: limits, situation, decision, classes of days. Not here: deciding (`healing`), words (`healing_words`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.quality.source_health import UP, Health

Cost = Callable[[Dataset, Sequence[date]], int]
"""Requests the planner needs for those days."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of healing. delays_s: waits before the 2nd, 3rd, ... attempt; their number is the attempt cap.

    tries: so many requests one window may take; all but one are kept back. join_days: ranges that so many complete
    days part share a run. jitter: waits are longer by up to this share.
    probe_s, probe_max_s: first and longest wait before a source that is down is probed.
    """

    delays_s: tuple[float, ...]
    max_partitions: int
    max_runs: int
    requests_a_day: int = 1_000_000
    tries: int = 1
    join_days: int = 0
    jitter: float = 0.0
    probe_s: float = 300.0
    probe_max_s: float = 21_600.0


@dataclass(frozen=True, slots=True)
class Situation:
    """All a decision looks at.

    missing: days each table's gap check failed for. attempts: ATTEMPT_SCHEMA rows of all tables and reasons. again:
    days missing at the source whose turn to be asked again has come. complete: days that lie between and are there.
    excluded, given_up: by the register. cancelled: until when a person's cancel is respected. forgiven: tries before
    that instant no longer count. forced: tables that a person wants now, whatever the delays, the cap, a cancel and
    the state of the source say.
    """

    missing: Mapping[str, Sequence[date]]
    attempts: pl.DataFrame
    now: datetime
    again: Mapping[str, Sequence[date]] = field(default_factory=dict)
    complete: Mapping[str, Collection[date]] = field(default_factory=dict)
    excluded: Mapping[str, Collection[date]] = field(default_factory=dict)
    given_up: Mapping[str, Collection[date]] = field(default_factory=dict)
    cancelled: Mapping[str, Mapping[date, datetime]] = field(default_factory=dict)
    forgiven: Mapping[tuple[str, date], datetime] = field(default_factory=dict)
    forced: Collection[str] = ()


class Why(StrEnum):
    """Classes of the days a table lacks."""

    NOW = "now"
    BOUNDS = "bounds"
    BUDGET = "budget"
    WAITING = "waiting"
    SOURCE = "source"
    CANCELLED = "cancelled"
    GIVEN_UP = "given_up"
    EXCLUDED = "excluded"


@dataclass(slots=True)
class TableDecision:
    """days: by class, ascending. until: earliest instant at which a day of the class may be asked. requests: of the
    days of NOW. bridged: complete days between them that their runs cover and leave alone. again: of NOW those that
    are missing at the source and re-asked."""

    days: dict[Why, list[date]] = field(default_factory=dict)
    until: dict[Why, datetime] = field(default_factory=dict)
    requests: int = 0
    bridged: list[date] = field(default_factory=list)
    again: int = 0

    def put(self, why: Why, days: Sequence[date], until: datetime | None = None) -> None:
        if days:
            self.days[why] = sorted([*self.days.get(why, []), *days])
        if days and until is not None:
            self.until[why] = min(until, self.until.get(why, until))


@dataclass(slots=True)
class Decision:
    """tables: by name, the most important first. used: requests healing has made today (London), of `budget`. id: a
    name that two decisions share if they ask for the same days and nothing was tried at these between them."""

    id: str = ""
    tables: dict[str, TableDecision] = field(default_factory=dict)
    source: Health = UP
    used: int = 0
    budget: int = 0
    probe: bool = False

    @property
    def launch(self) -> dict[str, list[date]]:
        """The days to ask for, a table."""
        return {table: found.days[Why.NOW] for table, found in self.tables.items() if Why.NOW in found.days}

    @property
    def target(self) -> dict[str, list[date]]:
        """`launch` with the complete days between: what the backfill names, so that few runs do."""
        return {table: sorted({*days, *self.tables[table].bridged}) for table, days in self.launch.items()}

    @property
    def days(self) -> int:
        return sum(len(d) for d in self.launch.values())

    @property
    def requests(self) -> int:
        return sum(t.requests for t in self.tables.values())

    @property
    def next_at(self) -> datetime | None:
        """The earliest instant at which a day that waits may be asked."""
        return min((at for t in self.tables.values() for at in t.until.values()), default=None)
