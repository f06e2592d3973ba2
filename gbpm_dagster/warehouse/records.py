"""What is written down about a replaced day: its evidence, its outcome, its attempt.

Belongs here: putting these together from the arrival, the merge's account and the measured facts. Not here: the
facts themselves (facts), storing (ledger).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse import facts
from gbpm_dagster.warehouse.protocol import DAY, EVIDENCE_SCHEMA, Arrival, Outcome

_COUNTED = ("written", "superseded", "exact_duplicates")
_OF_THE_ANSWER = (
    "day", "fetched_at", "source", "run_id", "windows_asked", "windows_answered", "requests", "bytes", "quarantined",
    "absent_columns", "unknown_columns", "contradictions",
)  # fmt: skip


def evidence(
    dataset: Dataset,
    passed: Sequence[Arrival],
    measured: pl.DataFrame,
    account: pl.DataFrame,
    confirmed: Mapping[date, datetime],
    odd: Mapping[date, int],
    version: int | None,
) -> pl.DataFrame:
    """EVIDENCE_SCHEMA, a row an arrival, in their order.

    measured: `facts.measure`; account: `Merged.account`; confirmed: when each day was last confirmed before; odd:
    `contradictions` of the answer by day.
    """
    asked = pl.DataFrame(
        [
            (a.day, max(a.fetched_at, confirmed.get(a.day, a.fetched_at)), a.source, a.run_id, a.windows_asked,
             a.windows_answered, a.requests, a.bytes, len(a.quarantined), list(a.absent_columns),
             list(a.unknown_columns), odd.get(a.day, 0))
            for a in passed
        ],
        schema={name: EVIDENCE_SCHEMA[name] for name in _OF_THE_ANSWER},
        orient="row",
    )  # fmt: skip
    counted = account.select(pl.col(DAY).alias("day"), "fetched", *_COUNTED)
    return (
        asked.join(measured.rename({DAY: "day"}), on="day", how="left", maintain_order="left")
        .join(counted, on="day", how="left", maintain_order="left")
        .with_columns(
            pl.lit(dataset.table).alias("table"),
            pl.lit(version, pl.Int64).alias("table_version"),
            pl.col("rows", "distinct_keys", "fetched", *_COUNTED).fill_null(0),
            pl.col("content_hash").fill_null(facts.empty_hash(dataset)),
            pl.col("slots").fill_null(pl.lit([], EVIDENCE_SCHEMA["slots"])),
        )
        .with_columns(pl.col("fetched") + pl.col("quarantined"))
        .select(pl.col(name).cast(kind) for name, kind in EVIDENCE_SCHEMA.items())
    )


def outcomes(
    dataset: Dataset, passed: Sequence[Arrival], written: pl.DataFrame, account: pl.DataFrame
) -> list[tuple[dict[str, Any], Outcome]]:
    """Evidence (without slots) and outcome of each arrival, in their order; `written` is its `evidence`."""
    accounts = {r[DAY]: r for r in account.iter_rows(named=True)}
    rows = written.drop("slots").iter_rows(named=True)
    return [(row, _outcome(dataset, a, row, accounts.get(a.day, {}))) for a, row in zip(passed, rows, strict=True)]


def _outcome(dataset: Dataset, a: Arrival, row: Mapping[str, Any], account: Mapping[str, Any]) -> Outcome:
    changed = account.get("changed", False)
    word = "written" if changed else "unchanged"
    if not row["rows"]:
        word = "empty"
    return Outcome(
        dataset.table, a.day, word, rows=row["rows"], written=row["written"], superseded=row["superseded"],
        exact_duplicates=row["exact_duplicates"], quarantined=row["quarantined"], requests=a.requests,
        bytes=a.bytes, first_time=row["first_time"], last_time=row["last_time"],
        extra={"replaced": account.get("replaced", 0), "removed": account.get("removed", 0)},
    )  # fmt: skip


def attempt(dataset: Dataset, a: Arrival, outcome: Outcome, row: Mapping[str, Any]) -> dict[str, Any]:
    """ATTEMPT_SCHEMA of an answer that was taken; row: its evidence."""
    return {
        "table": dataset.table, "day": a.day, "at": a.fetched_at, "outcome": outcome.outcome, "error_class": "",
        "message": outcome.message, "rows": outcome.rows, "distinct_keys": row["distinct_keys"],
        "content_hash": row["content_hash"], "requests": a.requests, "run_id": a.run_id, "reason": a.reason,
    }  # fmt: skip


def held_attempt(dataset: Dataset, a: Arrival, outcome: Outcome) -> dict[str, Any]:
    """A held answer: distinct_keys and rows are the answer's, content_hash that of its set of keys."""
    return {
        "table": dataset.table, "day": a.day, "at": a.fetched_at, "outcome": "held", "error_class": "",
        "message": outcome.message, "rows": a.rows.height, "distinct_keys": outcome.extra["keys"],
        "content_hash": outcome.extra["key_set"], "requests": a.requests, "run_id": a.run_id, "reason": a.reason,
    }  # fmt: skip
