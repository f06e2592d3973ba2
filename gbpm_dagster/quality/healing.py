"""What to heal next: a pure decision, with a reason for every table.

Belongs here: attempts, delays, caps, order, bounds (OPS-03..05, decision 19). Not here: launching anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl

from gbpm_dagster.catalogue.model import Dataset

HEAL = "heal"
"""The reason tag of tries that the healer launched."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of healing. delays_s: waits before the 2nd, 3rd, ... attempt; their number is the attempt cap."""

    delays_s: tuple[float, ...]
    max_partitions: int
    max_runs: int


@dataclass(slots=True)
class Decision:
    """launch: the days to ask for, a table. why: one sentence a table that has missing days."""

    launch: dict[str, list[date]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    next_at: datetime | None = None

    @property
    def days(self) -> int:
        return sum(len(d) for d in self.launch.values())


def decide(
    missing: Mapping[str, Sequence[date]],
    datasets: Sequence[Dataset],
    attempts: pl.DataFrame,
    now: datetime,
    limits: Limits,
) -> Decision:
    """Choose which missing days to ask for now.

    missing: days each table's gap check failed for. attempts: rows of ATTEMPT_SCHEMA. A try that failed because the
    source did is no attempt (domain.md 2.3). Most important tables first, newest days first, at most
    `max_partitions` days in at most `max_runs` ranges; a day that has used up its attempts is left to a person.
    """
    decision = Decision()
    tried = _tried(attempts)
    days_left, runs_left = limits.max_partitions, limits.max_runs
    for dataset in sorted(datasets, key=lambda d: (d.importance, d.table)):
        days = sorted(set(missing.get(dataset.table, ())), reverse=True)
        if not days:
            continue
        ready: list[date] = []
        waiting: list[date] = []
        given_up: list[date] = []
        for day in days:
            count, last = tried.get((dataset.table, day), (0, None))
            if count == 0 or last is None:
                ready.append(day)
            elif count > len(limits.delays_s):
                given_up.append(day)
            else:
                at = last + timedelta(seconds=limits.delays_s[count - 1])
                (ready if at <= now else waiting).append(day)
                if at > now:
                    decision.next_at = min(at, decision.next_at or at)
        chosen, runs = _bounded(ready, days_left, runs_left)
        days_left, runs_left = days_left - len(chosen), runs_left - runs
        if chosen:
            decision.launch[dataset.table] = chosen
        decision.why[dataset.table] = _sentence(len(days), len(chosen), len(ready), len(waiting), len(given_up))
    return decision


def _tried(attempts: pl.DataFrame) -> dict[tuple[str, date], tuple[int, datetime]]:
    counted = attempts.filter((pl.col("reason") == HEAL) & (pl.col("error_class") != "transient"))
    grouped = counted.group_by("table", "day").agg(pl.len().alias("n"), pl.col("at").max())
    return {(table, day): (n, at) for table, day, n, at in grouped.select("table", "day", "n", "at").iter_rows()}


def _bounded(ready: list[date], days_left: int, runs_left: int) -> tuple[list[date], int]:
    chosen: list[date] = []
    runs = 0
    for day in ready[: max(days_left, 0)]:
        new_range = not chosen or (chosen[-1] - day) != timedelta(days=1)
        if new_range and runs == runs_left:
            break
        runs += new_range
        chosen.append(day)
    return sorted(chosen), runs


def _sentence(missing: int, chosen: int, ready: int, waiting: int, given_up: int) -> str:
    parts = [f"{missing} day(s) missing", f"asking for {chosen} now"]
    if ready > chosen:
        parts.append(f"{ready - chosen} left for the next backfill (its bounds are reached)")
    if waiting:
        parts.append(f"{waiting} waiting for their next attempt")
    if given_up:
        parts.append(f"{given_up} left to a person after the last attempt (`gbpm backfill` asks again)")
    return ", ".join(parts)
