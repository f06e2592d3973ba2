"""What a check says: `CheckResult` and the small helpers all checks share.

Belongs here: the record and how days are worded. Not here: any check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

ERROR, WARN = "ERROR", "WARN"

GAPS, DUPLICATES, VALIDITY, FRESHNESS = "gaps", "duplicates", "validity", "freshness"
ALL = (GAPS, DUPLICATES, VALIDITY, FRESHNESS)
"""Names of the checks every table has, in the order they run."""

SAMPLE = 5
"""Offenders shown."""

LISTED_DAYS = 60
"""Days or ranges listed in details."""


@dataclass(frozen=True)
class CheckResult:
    """One check of one table.

    check: gaps, duplicates, validity or freshness. severity: ERROR or WARN, of a failure. missing: the days to fetch
    again (gaps only). details: JSON-able; an exact count, the first few offenders and what to do next.
    """

    table: str
    check: str
    passed: bool
    severity: str
    summary: str
    missing: tuple[date, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def nothing_to_check(table: str, check: str, why: str) -> CheckResult:
    """A pass because there is nothing to judge, which the summary says."""
    return CheckResult(table, check, True, ERROR, why)


def day_ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Maximal runs of consecutive days as (first, last), ascending."""
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def count(n: int, noun: str) -> str:
    """'1 day', '3 days', '1,400 days'."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def batches(days: Sequence[date], rows: Mapping[date, int], limit: int) -> list[list[date]]:
    """Days cut into ascending groups whose span (days in between included) holds at most `limit` rows.

    rows: rows of each stored day. A single day may be larger than the limit.
    """
    found: list[list[date]] = []
    size = 0
    for day in sorted(set(days)):
        between = 0
        if found:
            gap = (day - found[-1][-1]).days
            between = sum(rows.get(found[-1][-1] + timedelta(days=i), 0) for i in range(1, gap))
        if found and size + between + rows.get(day, 0) <= limit:
            found[-1].append(day)
            size += between + rows.get(day, 0)
        else:
            found.append([day])
            size = rows.get(day, 0)
    return found


def plain(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the values JSON has: times and dates as text."""
    return [{k: v if isinstance(v, str | int | float | bool | None) else str(v) for k, v in r.items()} for r in rows]
