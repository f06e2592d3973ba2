"""What to heal next: a pure decision, with a reason for every table and class of days.

Belongs here: attempts, delays, caps, order, bounds, the day's budget (OPS-03..05, decision 19). Not here: launching
anything, the state of the source (`source_health`), what ends in the register (`endings`), words
(`healing_words`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.market.calendar import day_bounds, london_day
from gbpm_dagster.quality.healing_model import Cost, Decision, Limits, Situation, TableDecision, Why
from gbpm_dagster.quality.source_health import clock, health

__all__ = ["HEAL", "Cost", "Decision", "Limits", "Situation", "TableDecision", "Why", "decide"]

HEAL = "heal"
"""The reason tag of tries that the healer launched."""


def decide(situation: Situation, datasets: Sequence[Dataset], limits: Limits, cost: Cost) -> Decision:
    """Choose which missing days to ask for now.

    A try that failed because the source did is no attempt (domain.md 2.3). Most important tables first, newest days
    first, at most `max_partitions` days in at most `max_runs` ranges that the planner serves with what is left of the
    day's requests; a day that has used up its attempts is left to a person. While the source is down one day is
    asked, when its time has come: the table that has waited longest for an answer.
    """
    s = situation
    used = requests_today(s.attempts, s.now)
    decision = Decision(used=used, budget=limits.requests_a_day)
    decision.source = health(s.attempts, limits.probe_s, limits.probe_max_s)
    ordered = sorted(datasets, key=lambda d: (d.importance, d.table))
    ready = {d.table: _ready(s, d.table, limits, decision) for d in ordered}
    ready = {table: days for table, days in ready.items() if days}
    left = _Left(limits.max_partitions, limits.max_runs, limits.requests_a_day - used - (limits.tries - 1))
    forced = {table for table in ready if table in s.forced}
    if not decision.source.up and not forced:
        _probe(s, ordered, ready, decision, left, cost)
    else:
        for dataset in ordered:
            if dataset.table in ready:
                _ask(s, dataset, ready[dataset.table], decision, left, cost, limits)
    for table, found in decision.tables.items():
        found.again = len(set(found.days.get(Why.NOW, ())) & set(s.again.get(table, ())))
    decision.id = _id_of(decision, s.attempts)
    return decision


def hold(
    now: datetime, paused_at: datetime | None, running: Sequence[str], last_began: datetime | None, cooldown_s: float
) -> str:
    """Why nothing may be launched whatever is missing; '' if it may. running: ids of healing backfills that have not
    ended (OPS-03: one at a time). last_began: when the newest one was asked for, ended or not."""
    if paused_at is not None:
        return f"paused by a person at {clock(paused_at)}: `gbpm heal --resume` ends it"
    if running:
        return f"backfill {running[0]} is healing: one at a time"
    if last_began is not None and now - last_began < timedelta(seconds=cooldown_s):
        return f"the last healing backfill began less than {cooldown_s:.0f} s ago (GBPM_HEAL_COOLDOWN_SECONDS)"
    return ""


def requests_today(attempts: pl.DataFrame, now: datetime) -> int:
    """Requests of the healer's tries since London midnight."""
    begin = day_bounds(london_day(now))[0]
    today = attempts.filter((pl.col("reason") == HEAL) & (pl.col("at") >= begin))
    return int(today["requests"].sum() or 0)


def counted(
    attempts: pl.DataFrame, forgiven: Mapping[tuple[str, date], datetime]
) -> dict[tuple[str, date], list[datetime]]:
    """The instants of the healer's attempts at each (table, day), ascending: its tries that the source answered."""
    tries = attempts.filter((pl.col("reason") == HEAL) & (pl.col("error_class").fill_null("") != "transient"))
    found: dict[tuple[str, date], list[datetime]] = {}
    for table, day, at in tries.sort("at").select("table", "day", "at").iter_rows():
        if (table, day) not in forgiven or at > forgiven[table, day]:
            found.setdefault((table, day), []).append(at)
    return found


def wait_s(table: str, attempts: int, limits: Limits) -> float:
    """Seconds before the next attempt after so many: the delay, and a share of jitter that is always the same.

    Days of one table that were tried together come due together, so that they stay one range; tables do not.
    """
    digest = hashlib.sha256(f"{table} {attempts}".encode()).digest()
    return limits.delays_s[attempts - 1] * (1 + limits.jitter * int.from_bytes(digest[:4], "big") / 2**32)


def _id_of(decision: Decision, attempts: pl.DataFrame) -> str:
    asked = pl.DataFrame(
        [(table, day) for table, days in sorted(decision.launch.items()) for day in days],
        schema={"table": pl.String, "day": pl.Date},
        orient="row",
    )
    last = attempts.group_by("table", "day").agg(pl.col("at").max())
    rows = asked.join(last, on=["table", "day"], how="left", maintain_order="left").rows()
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def _ready(s: Situation, table: str, limits: Limits, decision: Decision) -> list[date]:
    """The days that may be asked now, newest first; the others are put in their classes."""
    days = sorted({*s.missing.get(table, ()), *s.again.get(table, ())}, reverse=True)
    if not days:
        return []
    found = decision.tables.setdefault(table, TableDecision())
    tries = counted(s.attempts.filter(pl.col("table") == table), s.forgiven)
    classes: dict[Why, list[date]] = {why: [] for why in Why}
    for day in days:
        why, until = _class_of(s, table, day, tries.get((table, day), []), limits)
        classes[why].append(day)
        if until is not None:
            found.until[why] = min(until, found.until.get(why, until))
    for why, some in classes.items():
        if why is not Why.NOW:
            found.put(why, some)
    return classes[Why.NOW]


def _class_of(
    s: Situation, table: str, day: date, tries: Sequence[datetime], limits: Limits
) -> tuple[Why, datetime | None]:
    if day in s.excluded.get(table, ()):
        return Why.EXCLUDED, None
    if table in s.forced:
        return Why.NOW, None
    until = s.cancelled.get(table, {}).get(day)
    if until is not None and until > s.now:
        return Why.CANCELLED, until
    if day in s.again.get(table, ()):
        return Why.NOW, None
    if day in s.given_up.get(table, ()) or len(tries) > len(limits.delays_s):
        return Why.GIVEN_UP, None
    at = tries[-1] + timedelta(seconds=wait_s(table, len(tries), limits)) if tries else s.now
    return (Why.WAITING, at) if at > s.now else (Why.NOW, None)


@dataclass(slots=True)
class _Left:
    days: int
    runs: int
    requests: int


def _probe(
    s: Situation,
    datasets: Sequence[Dataset],
    ready: Mapping[str, list[date]],
    decision: Decision,
    left: _Left,
    cost: Cost,
) -> None:
    """The newest day of one table, if it is time; all others wait for what it shows.

    The table whose last try is the oldest: a path that is broken alone must not keep the others from being asked.
    """
    at = decision.source.probe_at
    assert at is not None
    chosen: tuple[str, date] | None = None
    if at <= s.now and ready:
        last = dict(s.attempts.group_by("table").agg(pl.col("at").max()).iter_rows())
        by_table = {d.table: d for d in datasets}
        table = min(ready, key=lambda t: (last[t].timestamp() if t in last else 0.0, list(ready).index(t)))
        requests = cost(by_table[table], ready[table][:1])
        if requests <= left.requests:
            chosen = table, ready[table][0]
            decision.probe = True
            decision.tables[table].put(Why.NOW, [chosen[1]])
            decision.tables[table].requests = requests
        else:
            at = _tomorrow(s.now)
    for table, days in ready.items():
        decision.tables[table].put(Why.SOURCE, [d for d in days if (table, d) != chosen], at)


def _ask(
    s: Situation, dataset: Dataset, ready: list[date], decision: Decision, left: _Left, cost: Cost, limits: Limits
) -> None:
    """Put the ready days of one table where they belong: as many as the bounds and the budget let be asked now."""
    found = decision.tables[dataset.table]
    if dataset.table not in s.forced:
        path = health(s.attempts.filter(pl.col("table") == dataset.table), limits.probe_s, limits.probe_max_s)
        if path.probe_at is not None:  # this path is down though others answer: one day shows whether it still is
            due = path.probe_at <= s.now
            found.put(Why.SOURCE, ready[1:] if due else ready, path.probe_at)
            ready = ready[:1] if due else []
    ranges = near_ranges(ready, s.complete.get(dataset.table, ()), limits.join_days)
    for n, days in enumerate(ranges):
        if not left.days or not left.runs:
            found.put(Why.BOUNDS, [d for some in ranges[n:] for d in some])
            return
        within = days[: left.days]
        chosen, requests = affordable(dataset, within, left.requests, cost)
        found.put(Why.BOUNDS, days[len(within) :])
        found.put(Why.BUDGET, within[len(chosen) :], _tomorrow(s.now))
        if not chosen:
            continue
        found.put(Why.NOW, chosen)
        found.bridged += between(chosen)
        found.requests += requests
        left.days, left.runs, left.requests = left.days - len(chosen), left.runs - 1, left.requests - requests


def near_ranges(days: Sequence[date], complete: Collection[date], join_days: int) -> list[list[date]]:
    """Days, newest first, as ranges that are a run each: neighbours, or parted by at most `join_days` days that are
    all complete (a run leaves those alone, so that joining asks for nothing needless)."""
    there = set(complete)
    found: list[list[date]] = []
    for day in days:
        if found and _joins(found[-1][-1], day, there, join_days):
            found[-1].append(day)
        else:
            found.append([day])
    return found


def _joins(newer: date, older: date, complete: set[date], join_days: int) -> bool:
    gap = (newer - older).days - 1
    return gap <= join_days and all(older + timedelta(days=n) in complete for n in range(1, gap + 1))


def between(days: Sequence[date]) -> list[date]:
    """The days of the calendar inside a range that are not in it."""
    first, last = min(days), max(days)
    inside = (first + timedelta(days=n) for n in range((last - first).days))
    return sorted(set(inside) - set(days))


def affordable(dataset: Dataset, days: list[date], requests: int, cost: Cost) -> tuple[list[date], int]:
    """The most of the newest of these days that the planner serves with so many requests, and how many it needs."""
    low, high, needed = 0, len(days), 0
    while low < high:
        middle = (low + high + 1) // 2
        asked = cost(dataset, days[:middle])
        if asked <= requests:
            low, needed = middle, asked
        else:
            high = middle - 1
    return days[:low], needed


def _tomorrow(now: datetime) -> datetime:
    return day_bounds(london_day(now))[1]
