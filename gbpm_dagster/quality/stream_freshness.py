"""The check of freshness of the stream's tables: how long ago its last message came (market/domain.md 8.3).

Belongs here: the age of messages against a table's limits. Not here: the history's tables (`freshness`), reading the
account of messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.quality.freshness import iso, span
from gbpm_dagster.quality.result import ERROR, FRESHNESS, WARN, CheckResult
from gbpm_dagster.quality.states import freshness_band

LOOKED_BACK = timedelta(days=3)
"""So much of the account is read. A table that may be silent for longer is judged by the connection."""

SILENT_WARN, SILENT_FAIL = timedelta(minutes=30), timedelta(minutes=60)
"""Limits of the connection: of frequency alone a message comes every two minutes."""

STEP = "gbpm iris status"

CAME = ("loaded", "empty")
"""States of messages that say that the stream works and of what table."""


def check_stream_freshness(datasets: Sequence[Dataset], messages: pl.DataFrame, now: datetime) -> list[CheckResult]:
    """One result a stream entry (catalogue.streams.stream_of), in their order.

    messages: MESSAGE_SCHEMA rows of the last LOOKED_BACK (more do no harm). The age is that of the last message of
    the table by when it was put on the queue; a stream that began later than that is as old as its first message.
    Where no steady flow is to be expected the last message of any table counts: the connection.
    """
    recent = messages.filter(pl.col("landed_at") >= now - LOOKED_BACK, pl.col("status").is_in(CAME))
    sent = recent.with_columns(sent=pl.coalesce("enqueued_at", "landed_at"))
    newest = dict(sent.group_by("table").agg(pl.col("sent").max()).iter_rows())
    began, last = recent["landed_at"].min(), recent["landed_at"].max()
    assert began is None or isinstance(began, datetime)
    assert last is None or isinstance(last, datetime)
    return [_result(d, newest.get(d.table), began, last, now) for d in datasets]


def is_steady(dataset: Dataset) -> bool:
    """True where a table of the stream is never silent for long."""
    return bool(dataset.freshness.column) and dataset.freshness.fail <= LOOKED_BACK


def _result(
    dataset: Dataset, newest: datetime | None, began: datetime | None, last: datetime | None, now: datetime
) -> CheckResult:
    details = {"as of": iso(now), "last message of any table": iso(last) if last else None, "next step": STEP}
    if began is None or last is None:
        said = f"no message of any table for {span(LOOKED_BACK)} or more: the stream is down, or never began"
        return CheckResult(dataset.table, FRESHNESS, False, ERROR, said, details=details)
    if is_steady(dataset):
        warn, fail = dataset.freshness.warn, dataset.freshness.fail
        age = now - max(newest or began, began)
        said = f"last message {iso(newest)}" if newest else f"no message since {iso(began)}"
    else:
        warn, fail, age = SILENT_WARN, SILENT_FAIL, now - last
        said = f"no steady flow; the stream's last message {iso(last)}"
    band = freshness_band(age, warn, fail)
    said += f", {span(max(age, timedelta()))} old at {iso(now)}"
    if band != "ok":
        said += f" (limit {span(fail if band == 'fail' else warn)})"
    else:
        details.pop("next step")
    severity = WARN if band == "warn" else ERROR
    return CheckResult(dataset.table, FRESHNESS, band == "ok", severity, said, details=details)
