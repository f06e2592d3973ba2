"""The check of gaps: which wanted days are late, missing or only partly there.

Belongs here: wording coverage as a check result. Not here: how a day gets its state (`coverage`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.quality.result import (
    ERROR,
    GAPS,
    LISTED_DAYS,
    WARN,
    CheckResult,
    count,
    day_ranges,
    nothing_to_check,
)
from gbpm_dagster.quality.states import FAILING, State
from gbpm_dagster.quality.witness import AGREES, MORE, SHORT

_BADNESS = {State.MISSING: 0, State.PARTIAL: 1, State.LATE: 2}


def check_gaps(dataset: Dataset, coverage_frame: pl.DataFrame, more: Mapping[str, Any] | None = None) -> CheckResult:
    """Fails on partial, late and missing days; `missing` holds them, ascending.

    WARN if every one of them is only late, or known to the register (suspected, given up): `known` of the details
    lists what is known, also of days that pass for it (excluded, missing at the source). more: put with the details.
    """
    if coverage_frame.is_empty():
        return nothing_to_check(dataset.table, GAPS, "no day of this table is wanted")
    states = dict(coverage_frame.group_by("state").len().iter_rows())
    bad = coverage_frame.filter(pl.col("state").is_in([s.value for s in FAILING])).sort("day")
    days: list[date] = bad["day"].to_list()
    complete = states.get(State.COMPLETE.value, 0)
    details: dict[str, Any] = {
        "days": len(coverage_frame),
        "states": {s.value: states[s.value] for s in State if s.value in states},
    }
    if days:
        details["ranges"] = _ranges(bad)
        details["next step"] = f"gbpm backfill {dataset.table} --from {days[0]} --to {days[-1]} --missing"
    thin = _thin(dataset, coverage_frame)
    if thin:
        details["suspiciously few rows"] = thin[:LISTED_DAYS]
    details |= more or {}
    noted = _remarks(coverage_frame)
    if noted:
        details["remarks"] = noted
    witness = _witness(coverage_frame)
    if witness:
        details["rows against data-status"] = witness
    known = _known(coverage_frame)
    if known:
        details["known"] = known
    unknown = bad.filter((pl.col("state") != State.LATE.value) & pl.col("known").is_null())
    severity = WARN if days and unknown.is_empty() else ERROR
    return CheckResult(
        dataset.table, GAPS, not days, severity, _summary(states, complete, bad, thin), tuple(days), details
    )


def _remarks(coverage_frame: pl.DataFrame) -> list[dict[str, Any]]:
    """What is worth knowing and no gap: each remark with its days, the most frequent first."""
    said = coverage_frame.drop_nulls("remark").group_by("remark", maintain_order=True)
    days = said.agg(n=pl.len(), first=pl.col("day").min(), last=pl.col("day").max()).sort("n", descending=True)
    return [
        {"remark": remark, "days": n, "first": first.isoformat(), "last": last.isoformat()}
        for remark, n, first, last in days.head(LISTED_DAYS).iter_rows()
    ]


def _witness(coverage_frame: pl.DataFrame) -> dict[str, Any]:
    """How many days hold the rows that Elexon's own count says, and which do not; empty where it was never asked."""
    judged = coverage_frame.drop_nulls("witness")
    if judged.is_empty():
        return {}
    found: dict[str, Any] = {
        "days that agree": judged.filter(witness=AGREES).height,
        "days not counted": coverage_frame.height - judged.height,
    }
    for witness, word in ((SHORT, "fewer"), (MORE, "more")):
        days = judged.filter(witness=witness)["day"].to_list()
        if days:
            found[f"{word} rows than it counts"] = [d.isoformat() for d in days[:LISTED_DAYS]]
    return found


def _summary(states: dict[str, int], complete: int, bad: pl.DataFrame, thin: list[str]) -> str:
    total = sum(states.values())
    text = f"{complete:,} of {count(total, 'day')} complete"
    others = [
        f"{states[s.value]:,} {s.value.replace('_', ' ')}"
        for s in State
        if s is not State.COMPLETE and s.value in states
    ]
    if others:
        text += ": " + ", ".join(others)
    if not bad.is_empty():
        first = bad.row(0, named=True)
        text += f"; first {first['day']}: {first['reason']}"
        known = bad["known"].count()
        if known:
            text += f"; {'all' if known == len(bad) else f'{known:,} of them'} known to the register"
    if thin:
        text += f"; suspiciously few rows on {count(len(thin), 'day')}"
    return text


def _known(coverage_frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Runs of consecutive days of one entry of the register and one state, ascending; the first LISTED_DAYS."""
    said = coverage_frame.drop_nulls("known")
    found = []
    for (status, entry, state), rows in said.group_by("known", "known_as", "state"):
        found += [(a, b, status, entry, state) for a, b in day_ranges(rows["day"])]
    return [
        {
            "from": first.isoformat(),
            "to": last.isoformat(),
            "days": (last - first).days + 1,
            "status": status,
            "state": state,
            "entry": entry,
        }
        for first, last, status, entry, state in sorted(found)[:LISTED_DAYS]
    ]


def _ranges(bad: pl.DataFrame) -> list[dict[str, Any]]:
    """Runs of consecutive days in one state (and of one known entry), worst and longest first."""
    found = []
    for (state, _), group in bad.group_by("state", "known_as"):
        rows = {r["day"]: r for r in group.iter_rows(named=True)}
        for first, last in day_ranges(rows):
            length = (last - first).days + 1
            found.append((_BADNESS[State(state)], -length, first, last, state, rows[first]["reason"]))
    return [
        {"from": first.isoformat(), "to": last.isoformat(), "days": -length, "state": state, "reason": why}
        for _, length, first, last, state, why in sorted(found)[:LISTED_DAYS]
    ]


def _thin(dataset: Dataset, coverage_frame: pl.DataFrame) -> list[str]:
    """Complete days with fewer rows than the table's floor: a remark, never a gap (domain.md 2.2)."""
    few = (pl.col("state") == State.COMPLETE.value) & (pl.col("rows") < dataset.completeness.floor)
    return [d.isoformat() for d in coverage_frame.filter(few)["day"].to_list()]
