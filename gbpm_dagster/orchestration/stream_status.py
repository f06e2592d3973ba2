"""How the stream of a home is: what came when, what waits, what went wrong. Judged by data, not by a live process.

Belongs here: reading the account of messages, the landing and the lock; ages against limits. Not here: printing
(console.iris), Dagster's checks (`stream_checks`), receiving.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.streams import IRIS, STREAMED
from gbpm_dagster.iris.access import AccessError
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.orchestration.stream import dead_letters_of, lock_of
from gbpm_dagster.quality.states import freshness_band
from gbpm_dagster.warehouse.home import held_by, who

WARN, FAIL = timedelta(minutes=30), timedelta(minutes=60)
"""A code's newest message may be so old (issue 6); longer where the table's own limits are (iris.md 10)."""

ANY_WARN, ANY_FAIL = timedelta(seconds=180), timedelta(seconds=600)
"""So long nothing at all may come: FREQ comes every two minutes."""

DAY, RECENT = timedelta(hours=24), timedelta(minutes=10)
EXPIRES_WARN_DAYS = 60
SUMS = ("fetched", "written", "exact_duplicates", "quarantined")


def limits(dataset: Dataset) -> tuple[timedelta, timedelta] | None:
    """Ages of the newest message at which a code warns and fails; None for codes that come when something happens."""
    freshness = dataset.freshness
    if not freshness.judged:
        return None
    return max(WARN, freshness.warn), max(FAIL, freshness.fail)


def stream_status(runtime: Runtime) -> dict[str, Any]:
    """The shape of `gbpm iris status` in docs/contract.md. Raises AccessError, WarehouseError."""
    from gbpm_dagster.iris.landing import Landing

    settings, now = runtime.settings, datetime.now(UTC)
    landing = Landing(settings.home / "landing")
    backlog = landing.backlog()
    # Of codes that are rare the newest message is older than a day: all that is kept is looked at for it.
    messages = runtime.lake.ledger.messages()
    recent = messages.filter(pl.col("loaded_at") >= now - DAY)
    newest = messages["enqueued_at"].max()
    codes = [_code(runtime, code, messages, recent, now) for code in settings.iris_wanted]
    unknown = recent.filter(pl.col("status") == "unknown")
    return {
        "configured": settings.streaming,
        "up_s": _seconds(now, messages["loaded_at"].min()),
        "source": _source(runtime),
        "draining": _draining(runtime),
        "newest_message": newest,
        "silent_s": _seconds(now, newest),
        "state": _overall(now, newest) if settings.streaming else "off",
        "messages_a_minute": _a_minute(recent, now),
        "lag_s": _lag(recent.filter(pl.col("loaded_at") >= now - timedelta(hours=1))),
        "waiting": {"files": backlog.files, "bytes": backlog.bytes, "oldest": backlog.oldest},
        "last_24h": {
            "messages": recent.height,
            **{name: int(recent[name].sum() or 0) for name in SUMS},
            **{s: recent.filter(pl.col("status") == s).height for s in ("empty", "undecodable", "failed", "unknown")},
        },
        "unknown_codes": dict(sorted(unknown.group_by("subject").len().iter_rows())),
        "dead_letters": dead_letters_of(runtime),
        "free_bytes": landing.free_bytes(),
        "secret_days": (settings.iris_secret_expires - now.date()).days if settings.iris_secret_expires else None,
        "codes": codes,
    }


def brief(runtime: Runtime) -> dict[str, Any] | None:
    """The stream in a few words, for `gbpm status`; None where there is none."""
    if not runtime.settings.streaming:
        return None
    found = stream_status(runtime)
    kept = ("state", "draining", "newest_message", "silent_s", "messages_a_minute", "lag_s", "waiting")
    late = {state: [c["code"] for c in found["codes"] if c["state"] == state] for state in ("warn", "fail")}
    quarantined = found["last_24h"]["quarantined"]
    return {**{k: found[k] for k in kept}, "quarantined_24h": quarantined, "codes": late}


def _code(runtime: Runtime, code: str, messages: pl.DataFrame, recent: pl.DataFrame, now: datetime) -> dict[str, Any]:
    table = f"{STREAMED[code].table}{IRIS}"
    mine, today = (frame.filter(pl.col("table") == table) for frame in (messages, recent))
    newest = mine["enqueued_at"].max()
    allowed = limits(STREAMED[code])
    state = "no messages"
    if isinstance(newest, datetime):
        state = freshness_band(now - newest, *allowed) if allowed else "not judged"
    return {
        "code": code,
        "table": table,
        "state": state,
        "newest_message": newest,
        "age_s": _seconds(now, newest),
        "messages_24h": today.height,
        "messages_a_minute": _a_minute(today, now),
        "rows_24h": int(today["written"].sum() or 0),
        "quarantined_24h": int(today["quarantined"].sum() or 0),
        "lag_s": _lag(today),
    }


def _source(runtime: Runtime) -> str:
    settings = runtime.settings
    if settings.iris_access.wanted:
        try:
            return f"queue {settings.iris_access.queue_name or '(none named)'} at {settings.iris_access.host}"
        except AccessError as error:
            return str(error)
    return str(settings.iris_folder or "")


def _draining(runtime: Runtime) -> str | None:
    holder = held_by(lock_of(runtime))
    return who(holder) if holder is not None else None


def _overall(now: datetime, newest: Any) -> str:
    """By the newest message of any kind."""
    if not isinstance(newest, datetime):
        return "no messages"
    return freshness_band(max(now - newest, timedelta()), ANY_WARN, ANY_FAIL)


def _a_minute(messages: pl.DataFrame, now: datetime) -> float:
    """Messages a minute over the last ten."""
    came = messages.filter(pl.col("loaded_at") >= now - RECENT).height
    return round(came / (RECENT / timedelta(minutes=1)), 1)


def _lag(messages: pl.DataFrame) -> dict[str, float] | None:
    """Seconds from enqueue to queryable: median, 95th percentile, longest."""
    lag = (messages["loaded_at"] - messages["enqueued_at"]).dt.total_milliseconds().drop_nulls() / 1000
    if lag.is_empty():
        return None
    at = {"median": lag.quantile(0.5), "p95": lag.quantile(0.95, "higher"), "longest": lag.max()}
    return {name: round(float(value or 0), 1) for name, value in at.items()}  # type: ignore[arg-type]


def _seconds(now: datetime, then: Any) -> float | None:
    return round((now - then).total_seconds(), 1) if isinstance(then, datetime) else None
