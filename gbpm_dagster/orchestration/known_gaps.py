"""What `gbpm known-gaps` does, as plain functions that return plain values.

Belongs here: reading the command line against the register, and changing it. Not here: the rules (quality.register),
printing, what Dagster shows of it (known_gaps_asset).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from gbpm_dagster.catalogue import UnknownTable, get
from gbpm_dagster.console.args import UsageError, parse_day
from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.orchestration.ask import open_runtime
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.register import Entry, Status, entries, new_entry, overlapping
from gbpm_dagster.quality.seeds import seed_entries

LEAST = 4
"""Digits of an id that must be typed."""


def known_gaps(names: Sequence[str], status: str | None) -> dict[str, Any]:
    """`entries`: the register of those tables (all: none named), without what is resolved unless asked for by status;
    `left_out`: how many resolved ones that leaves out. Raises UnknownTable."""
    register = open_runtime().lake.known_gaps()
    tables = {_table(name, register) for name in names}
    found = [e for e in entries(register) if not tables or e.table in tables]
    chosen = [e for e in found if (e.status == status if status else e.status is not Status.RESOLVED)]
    return {"entries": chosen, "left_out": 0 if status else len(found) - len(chosen)}


def as_record(entry: Entry) -> dict[str, Any]:
    """An entry for JSON: its row, the evidence as the object it is."""
    return {**entry.row(), "evidence": json.loads(entry.evidence)}


def counts(runtime: Runtime) -> dict[str, int]:
    """How many entries each status has, strongest first; without those that have none."""
    held = dict(runtime.lake.known_gaps().group_by("status").len().iter_rows())
    return {s.value: held[s.value] for s in Status if s.value in held}


def add(
    name: str,
    first: str | None,
    last: str | None,
    open_end: bool,
    reason: str,
    status: str,
    evidence: str | None,
) -> tuple[Entry, Status | None]:
    """Enter a gap; said again, the entry takes the new reason and status. The entry, and the status it had if it was
    open. Raises UnknownTable, UsageError, CannotWork (exclusions overlap)."""
    runtime = open_runtime()
    dataset = get(name)
    begin, end = _span(first, last, open_end)
    if begin < dataset.first_day:
        raise UsageError(
            f"--from {begin} is before {dataset.table} begins: the source has it from {dataset.first_day} on"
        )
    if not reason.strip():
        raise UsageError("--reason is empty: say in a few words why these days are known")
    said = {"said": evidence} if evidence else {}
    found: list[Entry] = []
    made = new_entry(
        dataset.table, begin, end, Status(status), reason.strip(), "person", datetime.now(UTC), evidence=said
    )

    def change(register: pl.DataFrame) -> list[dict[str, Any]]:
        others = overlapping(register, made) if made.status is Status.EXCLUDED else []
        if others:
            raise CannotWork(
                f"{dataset.table} {others[0].span} is excluded already ({others[0].id}: {others[0].reason}): "
                f"`gbpm known-gaps resolve {others[0].id}` ends that, or choose other days"
            )
        same = (e for e in entries(register, made.table) if e.id == made.id and e.status is not Status.RESOLVED)
        found.extend(same)
        return [replace(made, since=found[0].since).row() if found else made.row()]

    runtime.lake.ledger.change_known_gaps(change)
    return made, found[0].status if found else None


def resolve(typed: str, reason: str | None) -> tuple[Entry, Status | None]:
    """End an entry, named by its id or how that begins; the entry, and the status it had, None if it was over.

    Raises UsageError when no entry, or more than one, is meant.
    """
    found: list[tuple[Entry, Status | None]] = []

    def change(register: pl.DataFrame) -> list[dict[str, Any]]:
        entry = _meant(typed, entries(register))
        if entry.status is Status.RESOLVED:
            found.append((entry, None))
            return []
        over = entry.resolved("person", datetime.now(UTC), reason)
        found.append((over, entry.status))
        return [over.row()]

    open_runtime().lake.ledger.change_known_gaps(change)
    return found[0]


def seed() -> Mapping[str, int]:
    """Enter the gaps that the legacy warehouse's documents state; how many were `added`, and `there`:
    entered before, and left as they are."""
    runtime = open_runtime()
    seeds = seed_entries(datetime.now(UTC), runtime.settings.today(), runtime.settings.history_start)

    def change(register: pl.DataFrame) -> list[dict[str, Any]]:
        known = set(register["id"])
        return [e.row() for e in seeds if e.id not in known]

    added = runtime.lake.ledger.change_known_gaps(change).height
    return {"added": added, "there": len(seeds) - added}


def _table(name: str, register: pl.DataFrame) -> str:
    """The table meant: of the catalogue, or one the register alone names (the stream's)."""
    try:
        return get(name).table
    except UnknownTable:
        if name.lower() in set(register["table"]):
            return name.lower()
        raise


def _span(first: str | None, last: str | None, open_end: bool) -> tuple[date, date | None]:
    begin, end = parse_day(first, "--from"), parse_day(last, "--to")
    if begin is None:
        raise UsageError("say which days: --from and --to, or --from and --open for a gap without an end")
    if (end is None) != open_end:
        raise UsageError(
            "say how the gap ends: --to for its last day, or --open for none" + (", not both" * open_end)
        )
    if end and end < begin:
        raise UsageError(f"--from {begin} is after --to {end}: swap them")
    return begin, end


def _meant(typed: str, register: Sequence[Entry]) -> Entry:
    wanted = typed.strip().lower()
    found = [e for e in register if e.id.startswith(wanted)]
    if len(wanted) < LEAST:
        raise UsageError(f"{typed!r} is too short for an id: give at least its first {LEAST} digits")
    if not found:
        raise UsageError(f"the register has no entry {typed!r}: `gbpm known-gaps list` shows the ids")
    if len(found) > 1:
        raise UsageError(f"{typed!r} may be {' or '.join(e.id for e in found[:5])}: give more digits")
    return found[0]
