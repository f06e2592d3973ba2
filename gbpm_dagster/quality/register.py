"""The register of known gaps: what is said of a table's days, by whom, and what of it counts.

Belongs here: entries and the pure rules over them (strongest, overlap, open ends, reopening). Not here: storing them
(warehouse.ledger), judging days (`coverage`), deciding what to ask (`healing`).
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

import polars as pl

from gbpm_dagster.market.calendar import days
from gbpm_dagster.quality.states import FAILING, State
from gbpm_dagster.warehouse.protocol import KNOWN_GAP_SCHEMA, KNOWN_GAP_STATUSES

ID_LENGTH = 10
WAS = "was"
"""Key of the evidence: the status that a person's `resolved` ended."""


class Status(StrEnum):
    """What an entry says of its days."""

    EXCLUDED = "excluded"  # a person does not want them: shown, passes, never asked
    MISSING_AT_SOURCE = "missing_at_source"  # proved by decision 7: shown, passes, asked again now and then
    GIVEN_UP = "given_up"  # attempts are used up: fails, not asked by itself
    SUSPECTED = "suspected"  # a note: to be looked for
    RESOLVED = "resolved"  # over: says nothing of its days any more


RANK = {Status(name): rank for rank, name in enumerate(KNOWN_GAP_STATUSES)}
"""0 is the strongest: of several entries for a day it is the one that counts."""

PASSES = {Status.EXCLUDED: State.EXCLUDED, Status.MISSING_AT_SOURCE: State.MISSING_AT_SOURCE}
"""Entries that end the failing of a day, and the state it then has."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the register as it is now; fields are the columns of KNOWN_GAP_SCHEMA."""

    id: str
    table: str
    first: date
    last: date | None
    status: Status
    reason: str
    evidence: str
    recoverable: bool | None
    since: datetime
    by: str
    changed_at: datetime
    retry_at: datetime | None = None

    def overlaps(self, first: date, last: date | None) -> bool:
        """Whether a day lies in both; last None: open end."""
        return (last is None or self.first <= last) and (self.last is None or first <= self.last)

    @property
    def days(self) -> list[date]:
        """The days of an entry that has an end, ascending; none where the end is open."""
        return [] if self.last is None else days(self.first, self.last)

    @property
    def span(self) -> str:
        """'2024-01-05', '2024-01-05 to 2024-01-07', '2024-01-05 on'."""
        if self.last is None:
            return f"{self.first} on"
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"

    def row(self) -> dict[str, Any]:
        """A row of KNOWN_GAP_SCHEMA, for `Warehouse.put_known_gaps`."""
        return {**asdict(self), "status": self.status.value}

    def become(
        self,
        status: Status,
        by: str,
        at: datetime,
        *,
        reason: str | None = None,
        evidence: Mapping[str, Any] | None = None,
        recoverable: bool | None = None,
        retry_at: datetime | None = None,
    ) -> Entry:
        """The entry in another state; reason and recoverable stay where none is given, evidence is added to."""
        return replace(
            self,
            status=status,
            by=by,
            changed_at=at,
            reason=reason or self.reason,
            evidence=json.dumps({**json.loads(self.evidence), **(evidence or {})}),
            recoverable=self.recoverable if recoverable is None else recoverable,
            retry_at=retry_at,
        )

    def resolved(self, by: str, at: datetime, reason: str | None = None) -> Entry:
        """The entry ended. A person who ends `missing_at_source` reopens its days (`reopened`)."""
        return self.become(Status.RESOLVED, by, at, reason=reason, evidence={WAS: self.status.value})


def new_entry(
    table: str,
    first: date,
    last: date | None,
    status: Status,
    reason: str,
    by: str,
    at: datetime,
    *,
    evidence: Mapping[str, Any] | None = None,
    recoverable: bool | None = None,
    retry_at: datetime | None = None,
) -> Entry:
    """An entry made now. Its id follows from table, days and author, so that said twice it is one entry."""
    return Entry(
        entry_id(table, first, last, by), table, first, last, status, reason, json.dumps(dict(evidence or {})),
        recoverable, at, by, at, retry_at,
    )  # fmt: skip


def entry_id(table: str, first: date, last: date | None, by: str) -> str:
    """Ten hex digits: among 10,000 entries two are alike once in 20,000 registers."""
    return sha256(f"{table} {first} {last} {by}".encode()).hexdigest()[:ID_LENGTH]


def entries(register: pl.DataFrame, table: str | None = None) -> list[Entry]:
    """The entries of a frame of KNOWN_GAP_SCHEMA (of one table), in its order."""
    rows = register if table is None else register.filter(pl.col("table") == table)
    return [Entry(**{**r, "status": Status(r["status"])}) for r in rows.select(list(KNOWN_GAP_SCHEMA)).to_dicts()]


def known_days(register: pl.DataFrame, table: str, days: Iterable[date]) -> dict[date, Entry]:
    """Of those days the ones the register knows, each with its strongest entry; of equals the one changed last."""
    active = [e for e in entries(register, table) if e.status is not Status.RESOLVED]
    active.sort(key=lambda e: (-RANK[e.status], e.changed_at, e.id))  # the strongest last: it overwrites the others
    ordered = sorted(set(days)) if active else []
    return {day: e for e in active for day in _within(ordered, e)}


def excluded_days(register: pl.DataFrame, table: str, days: Iterable[date]) -> set[date]:
    """Of those days the ones a person has excluded: nobody asks for them but a person who names them."""
    return {day for day, e in known_days(register, table, days).items() if e.status is Status.EXCLUDED}


def reopened(register: pl.DataFrame, table: str, days: Iterable[date]) -> dict[date, datetime]:
    """Days that a person has opened again, with the instant: what the source answered up to it proves nothing."""
    found: dict[date, datetime] = {}
    ordered = sorted(set(days))
    for entry in entries(register, table):
        if entry.status is Status.RESOLVED and entry.by == "person":
            if json.loads(entry.evidence).get(WAS) != Status.MISSING_AT_SOURCE:
                continue
            for day in _within(ordered, entry):
                found[day] = max(entry.changed_at, found.get(day, entry.changed_at))
    return found


def _within(ordered: Sequence[date], entry: Entry) -> Sequence[date]:
    return ordered[bisect_left(ordered, entry.first) : bisect_right(ordered, entry.last or date.max)]


def overlapping(register: pl.DataFrame, entry: Entry) -> list[Entry]:
    """Entries of the same table and status that share a day with this one."""
    return [
        e
        for e in entries(register, entry.table)
        if e.id != entry.id and e.status is entry.status and e.overlaps(entry.first, entry.last)
    ]


def with_known(states: pl.DataFrame, register: pl.DataFrame, table: str) -> pl.DataFrame:
    """Coverage with what the register says of days that are not complete.

    states: day, state, reason. Failing days of an entry in PASSES take its state. Adds `known` (status of the
    strongest entry, null: none) and `known_as` ('ID: reason').
    """
    open_days = states.filter(pl.col("state") != State.COMPLETE.value)["day"]
    known = known_days(register, table, open_days)
    said = pl.DataFrame(
        [(day, e.status.value, PASSES.get(e.status), f"{e.id}: {e.reason}") for day, e in known.items()],
        schema={"day": pl.Date, "known": pl.String, "_state": pl.String, "known_as": pl.String},
        orient="row",
    )
    frame = states.join(said, on="day", how="left", maintain_order="left")
    fails = pl.col("state").is_in([s.value for s in FAILING])
    says = pl.format("{}; {} ({})", "reason", pl.col("known").str.replace_all("_", " "), "known_as")
    return frame.with_columns(
        state=pl.when(fails & pl.col("_state").is_not_null()).then("_state").otherwise("state"),
        reason=pl.when(pl.col("known").is_null()).then("reason").otherwise(says),
    ).drop("_state")
