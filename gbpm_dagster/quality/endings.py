"""How a gap ends when it is not filled: entries of the register, from what was tried and answered. Pure.

Belongs here: missing at the source, given up, asked again, resolved (decision 7, OPS-06, OPS-07). Not here: the proof
(`coverage`), the entries' own rules (`register`), storing them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon.plan import plan, request
from gbpm_dagster.quality.healing import HEAL, counted
from gbpm_dagster.quality.register import Entry, Status, entries, entry_id, known_days, new_entry
from gbpm_dagster.quality.states import FAILING, State

HEALER = "healer"
WEEKS = 4
"""A day missing at the source is asked again every week for so many, then at each settlement run (domain.md 2.3)."""
NEIGHBOUR_DAYS = 7
SHOWN = 5
ANSWERED = ("written", "unchanged", "empty")


@dataclass(frozen=True, slots=True)
class Rules:
    """cap: attempts after which a day is given up. week_s: seconds between two askings of what the source lacks.
    runs_due: of a settlement date, when each of its runs is due to be fetched."""

    cap: int
    week_s: float
    runs_due: Callable[[date], Sequence[datetime]] = lambda day: ()


def endings(
    dataset: Dataset,
    states: pl.DataFrame,
    attempts: pl.DataFrame,
    held: pl.DataFrame,
    register: pl.DataFrame,
    now: datetime,
    rules: Rules,
) -> list[Entry]:
    """The entries that are new or have changed for those days of one table; said twice they are the same.

    states: coverage of the days without what the register says of them (day, state, reason). attempts, held: the
    table's ATTEMPT_SCHEMA and EVIDENCE_SCHEMA rows. Days a person excluded, or said to be missing, are left alone.
    """
    tries = attempts.filter(pl.col("table") == dataset.table)
    known = known_days(register, dataset.table, states["day"].to_list())
    own = {e.id: e for e in entries(register, dataset.table)}
    attempted = counted(tries, forgiven(register, dataset.table, states["day"].to_list()))
    found = []
    for day, state, reason in states.select("day", "state", "reason").iter_rows():
        mine = own.get(entry_id(dataset.table, day, day, HEALER))
        said = known.get(day)
        if said is not None and said.status in (Status.EXCLUDED, Status.MISSING_AT_SOURCE) and said != mine:
            continue
        context = _Context(dataset, tries, held, now, rules)
        entry = _ending(context, day, state, reason, mine, attempted.get((dataset.table, day), []))
        found += [entry] if entry is not None else []
    return found + _notes_resolved(register, dataset.table, states, now)


def forgiven(register: pl.DataFrame, table: str, days: Sequence[date]) -> dict[tuple[str, date], datetime]:
    """When entries of those days ended last: attempts before that no longer count, the day begins anew."""
    found: dict[tuple[str, date], datetime] = {}
    for entry in entries(register, table):
        if entry.status is Status.RESOLVED:
            for day in days:
                if entry.overlaps(day, day):
                    found[table, day] = max(entry.changed_at, found.get((table, day), entry.changed_at))
    return found


def due_again(register: pl.DataFrame, now: datetime) -> dict[str, list[date]]:
    """Days missing at the source whose turn to be asked again has come, a table."""
    found: dict[str, list[date]] = {}
    for entry in entries(register):
        due = entry.retry_at is not None and entry.retry_at <= now
        if entry.status is Status.MISSING_AT_SOURCE and due and entry.last is not None:
            found.setdefault(entry.table, []).extend(entry.days)
    return found


def next_ask(asked: int, now: datetime, week_s: float, runs_due: Sequence[datetime]) -> datetime | None:
    """When to ask again for what is missing at the source; None: never, its last settlement run has been.

    asked: how often it was asked since it was called so. Askings are counted, not weeks: a machine that was off for a
    month has asked for nothing.
    """
    if asked < WEEKS:
        return now + timedelta(seconds=week_s)
    return min((due for due in runs_due if due > now), default=None)


@dataclass(frozen=True, slots=True)
class _Context:
    dataset: Dataset
    tries: pl.DataFrame
    held: pl.DataFrame
    now: datetime
    rules: Rules


def _ending(
    c: _Context, day: date, state: str, reason: str, mine: Entry | None, attempted: Sequence[datetime]
) -> Entry | None:
    open_entry = mine if mine is not None and mine.status is not Status.RESOLVED else None
    if state == State.COMPLETE:
        return open_entry and open_entry.resolved(HEALER, c.now, "the day is complete")
    if state == State.MISSING_AT_SOURCE:
        return _at_source(c, day, open_entry)
    if state not in FAILING:
        return None
    if open_entry is not None and open_entry.status is Status.MISSING_AT_SOURCE:
        return open_entry.resolved(HEALER, c.now, f"no longer proved: {reason}")
    if open_entry is None and len(attempted) > c.rules.cap:
        said = f"still {state} after {len(attempted)} attempts: {reason}"
        return new_entry(c.dataset.table, day, day, Status.GIVEN_UP, said, HEALER, c.now, evidence=_evidence(c, day))
    return None


def _at_source(c: _Context, day: date, entry: Entry | None) -> Entry | None:
    if entry is not None and entry.status is Status.MISSING_AT_SOURCE:
        since = _healers(c, day).filter(pl.col("at") > entry.since)
        if (
            since.filter(pl.col("at") > entry.changed_at).is_empty()
            or entry.retry_at is None
            or entry.retry_at > c.now
        ):
            return None
        retry_at = next_ask(since.height, c.now, c.rules.week_s, c.rules.runs_due(day))
        return entry.become(Status.MISSING_AT_SOURCE, HEALER, c.now, evidence=_evidence(c, day), retry_at=retry_at)
    return new_entry(
        c.dataset.table,
        day,
        day,
        Status.MISSING_AT_SOURCE,
        "the source answered without these rows, again after a day, while a day near it has rows",
        HEALER,
        c.now,
        evidence=_evidence(c, day),
        retry_at=next_ask(0, c.now, c.rules.week_s, c.rules.runs_due(day)),
    )


def _healers(c: _Context, day: date) -> pl.DataFrame:
    """The healer's tries at a day that are attempts."""
    transient = pl.col("error_class").fill_null("") == "transient"
    return c.tries.filter((pl.col("day") == day) & (pl.col("reason") == HEAL) & ~transient)


def _evidence(c: _Context, day: date) -> dict[str, Any]:
    """requests (path and query, the first few), status (of every answer that was taken), answers (the last few: at,
    outcome, rows, content_hash, run), errors, control (the nearest day with rows)."""
    tries = c.tries.filter(pl.col("day") == day).sort("at")
    answers = tries.filter(pl.col("outcome").is_in(ANSWERED))
    windows = [] if c.dataset.endpoint.ids else plan(c.dataset, [day])
    asked = [request(c.dataset, window) for window in windows[:SHOWN]]
    found: dict[str, Any] = {
        "requests": [f"{r.path}?{'&'.join(f'{k}={v}' for k, v in r.params)}".rstrip("?") for r in asked],
        "requests_a_time": len(windows),
        "status": 200,
        "first_answer": _text(answers["at"].min()),
        "answers": [_answer(row) for row in answers.tail(SHOWN).iter_rows(named=True)],
        "control": _control(c.held, day),
    }
    failed = tries.filter(pl.col("outcome").is_in(["failed", "held"]))
    if not failed.is_empty():
        found["errors"] = [_answer(row) | {"message": row["message"]} for row in failed.tail(2).iter_rows(named=True)]
    return found


def _answer(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("outcome", "rows", "content_hash", "run_id")
    return {"at": _text(row["at"]), **{name: row[name] for name in kept}}


def _control(held: pl.DataFrame, day: date) -> dict[str, Any] | None:
    distance = (pl.col("day") - pl.lit(day)).dt.total_days().abs()
    near = held.filter((pl.col("rows") > 0) & (distance <= NEIGHBOUR_DAYS)).sort(distance, "day")
    return {"day": near["day"][0].isoformat(), "rows": near["rows"][0]} if near.height else None


def _text(instant: Any) -> str | None:
    return instant.isoformat() if isinstance(instant, datetime) else None


def _notes_resolved(register: pl.DataFrame, table: str, states: pl.DataFrame, now: datetime) -> list[Entry]:
    """Notes (`suspected`) whose every day is among these and complete."""
    by_day = dict(states.select("day", "state").iter_rows())
    found = []
    for entry in entries(register, table):
        if entry.status is not Status.SUSPECTED or entry.last is None:
            continue
        if all(by_day.get(day) == State.COMPLETE for day in entry.days):
            found.append(entry.resolved(HEALER, now, "every day is complete"))
    return found
