"""The check of freshness: how old the newest value is (market/domain.md 8.3).

Belongs here: age against the table's limits. Not here: whether days are complete (`coverage`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.market.calendar import HALF_HOUR, ONE_DAY, day_bounds
from gbpm_dagster.quality import sql
from gbpm_dagster.quality.known import CONNECTION_FAIL, CONNECTION_WARN, known_until
from gbpm_dagster.quality.result import ERROR, FRESHNESS, WARN, CheckResult, nothing_to_check
from gbpm_dagster.quality.states import CLOCK_TOLERANCE, freshness_band
from gbpm_dagster.warehouse.protocol import Warehouse

MEASURED = frozenset({"time", "halfHourEndTime", "acceptanceTime"})
TARGET = "target day's end"

AHEAD = frozenset({"timeFrom", "timeTo"})
"""Columns of notifications and bids: what the value is for, which may lie ahead."""


def holds_future(dataset: Dataset) -> bool:
    """True for tables whose values are for times to come: physical notifications, bids and offers, forecasts."""
    return dataset.family.startswith("forecasts") or dataset.freshness.column in AHEAD


def usual_wait(dataset: Dataset) -> timedelta:
    """How long after the value's own time its row is due.

    Limits are for the age of the newest publication or measurement. Where a table has only the start of the period
    or the day that the value is for, its row comes after the end of it and the table's lag. So does a measurement
    that is published later than the limit itself would allow (domain.md 8.3 counts B1610's 7 days into its limits).
    """
    column = dataset.freshness.column
    if column in MEASURED and dataset.lag.lag >= dataset.freshness.warn:
        return dataset.lag.lag
    if column == "startTime" or (column == "settlementDate" and dataset.has_period):
        return HALF_HOUR + dataset.lag.lag
    return ONE_DAY + dataset.lag.lag if column == "settlementDate" else timedelta()


def is_aged_by_target(dataset: Dataset) -> bool:
    """True for forecasts kept by the day they are for: a home that holds the days up to yesterday does not hold what
    was published yesterday for days to come, so that the last target says whether it is up to date."""
    column = dataset.freshness.column
    return dataset.family.startswith("forecasts") and column == "publishTime" != dataset.partition_field


def check_freshness(
    warehouse: Warehouse,
    dataset: Dataset,
    now: datetime,
    wanted_days: Sequence[date],
    recorded: bool,
    nightly: bool = False,
) -> CheckResult:
    """Age of the newest value (or of the last answer) at the earlier of `now` and the end of the last wanted day.

    nightly: only the schedules feed the table, so that its age is judged at `known_until` (docs/decisions.md, 32);
    the age of an answer is judged at `now` all the same.
    A value over 5 minutes ahead of `now` fails (a wrong clock), but not in recorded data and not where values lie
    ahead by nature. An empty table fails. Severity WARN between the two limits, else ERROR.
    Raises WarehouseError if the table cannot be read.
    """
    if not dataset.freshness.judged:
        return nothing_to_check(dataset.table, FRESHNESS, "nothing says when its next value is due")
    if not wanted_days:
        return nothing_to_check(dataset.table, FRESHNESS, "no day of this table is wanted")
    as_of = min(now, day_bounds(max(wanted_days))[1])
    newest, what = _newest(warehouse, dataset, nightly)
    if nightly and what != "answer":
        as_of = min(as_of, known_until(dataset, now))
    label = "recorded data: " if recorded else ""
    step = f"gbpm backfill {dataset.table} --from {max(wanted_days)} --to {max(wanted_days)}"
    if newest is None:
        details = {"as of": iso(as_of), "recorded": recorded, "next step": step}
        return CheckResult(dataset.table, FRESHNESS, False, ERROR, f"{label}no rows at all", details=details)
    wait = timedelta() if what == TARGET else usual_wait(dataset)
    age = max(as_of - newest - wait, timedelta())
    limits = dataset.freshness
    band = freshness_band(age, limits.warn, limits.fail)
    clock = what != "answer" and not recorded and not holds_future(dataset) and newest - now > CLOCK_TOLERANCE
    details = {
        "newest": iso(newest),
        "as of": iso(as_of),
        "age minutes": round(age.total_seconds() / 60, 1),
        "warn minutes": limits.warn.total_seconds() / 60,
        "fail minutes": limits.fail.total_seconds() / 60,
        "usual wait minutes": wait.total_seconds() / 60,
        "recorded": recorded,
    }
    if clock:
        summary = (
            f"newest {what} {iso(newest)} is {span(newest - now)} in the future: check the clock of this machine"
        )
        return CheckResult(dataset.table, FRESHNESS, False, ERROR, summary, details=details)
    said = "on time" if wait and not age else f"{span(age)} {'late' if wait else 'old'}"
    summary = f"{label}newest {what} {iso(newest)}, {said} at {iso(as_of)}"
    if band != "ok":
        summary += f" (limit {span(limits.fail if band == 'fail' else limits.warn)})"
        details["next step"] = step
    severity = WARN if band == "warn" else ERROR
    result = CheckResult(dataset.table, FRESHNESS, band == "ok", severity, summary, details=details)
    silent = _unanswered(warehouse, dataset, now) if limits.rule == "remit" and not recorded else None
    return silent if silent and (result.passed or silent.severity == ERROR) else result


def _unanswered(warehouse: Warehouse, dataset: Dataset, now: datetime) -> CheckResult | None:
    """The failure of events that flow and of which nothing was even asked for too long (domain.md 8.3, REMIT)."""
    answered = _aware(warehouse.evidence([dataset.table])["fetched_at"].max())
    age = now - (answered or now)
    band = freshness_band(max(age, timedelta()), CONNECTION_WARN, CONNECTION_FAIL)
    if band == "ok":
        return None
    limit = CONNECTION_FAIL if band == "fail" else CONNECTION_WARN
    summary = f"no answer since {iso(answered or now)}, {span(age)} (limit {span(limit)})"
    details = {"as of": iso(now), "next step": f"gbpm backfill {dataset.table} --missing"}
    return CheckResult(dataset.table, FRESHNESS, False, WARN if band == "warn" else ERROR, summary, details=details)


def _newest(warehouse: Warehouse, dataset: Dataset, nightly: bool) -> tuple[datetime | None, str]:
    """The newest value and what it is; None when there is none."""
    evidence = warehouse.evidence([dataset.table])
    column = dataset.freshness.column
    if evidence.is_empty():
        return None, column
    if not column:
        return _aware(evidence["fetched_at"].max()), "answer"
    if nightly and is_aged_by_target(dataset):
        last = evidence.filter(pl.col("rows") > 0)["day"].max()
        return (day_bounds(last)[1] if isinstance(last, date) else None), TARGET
    found = warehouse.sql(sql.newest(dataset, column)).row(0, named=True)
    start = _aware(found["newest"])
    if start is not None and found.get("period"):
        start += HALF_HOUR * (found["period"] - 1)
    return start, column


def _aware(value: Any) -> datetime | None:
    """An aware UTC instant of what the warehouse returned: an instant, a date (its London start) or nothing."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return day_bounds(value)[0] if isinstance(value, date) else None


def iso(instant: datetime) -> str:
    """An instant as checks show it: 2024-01-03T12:00:00Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(length: timedelta) -> str:
    """A length for people: 45 min, 3.5 h, 2.1 days."""
    minutes = length.total_seconds() / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 2880 else f"{minutes / 1440:.1f} days"
