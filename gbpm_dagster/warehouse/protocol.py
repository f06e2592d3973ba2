"""What a warehouse must do: the one interface between rows and the rooms above.

Belongs here: the `Warehouse` protocol, the records it exchanges and their schemas. Not here: any storage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

import polars as pl

from gbpm_dagster.catalogue.derived import Derived
from gbpm_dagster.catalogue.model import Dataset, Kind

INSTANT = pl.Datetime("us", "UTC")

POLARS_TYPE: dict[Kind, pl.DataType | type[pl.DataType]] = {
    Kind.STRING: pl.String,
    Kind.INTEGER: pl.Int64,
    Kind.NUMBER: pl.Float64,
    Kind.BOOLEAN: pl.Boolean,
    Kind.DATE: pl.Date,
    Kind.INSTANT: INSTANT,
    Kind.JSON: pl.String,
}

DAY, MONTH, FETCHED_AT, SOURCE = "_day", "_month", "_fetched_at", "_source"
"""Our own columns on every raw table: London day, its month (physical partition), time of receipt, REST or IRIS."""


def frame_schema(dataset: Dataset) -> dict[str, pl.DataType | type[pl.DataType]]:
    """Polars schema of the dataset's own columns, in the catalogue's order, without ours."""
    return {c.name: POLARS_TYPE[c.kind] for c in dataset.columns}


def stored_schema(dataset: Dataset) -> dict[str, pl.DataType | type[pl.DataType]]:
    """`frame_schema` and our own columns: what a stored row has."""
    return {**frame_schema(dataset), DAY: pl.Date, MONTH: pl.String, FETCHED_AT: INSTANT, SOURCE: pl.String}


SOURCE_FILE, LOADED_AT = "_source_file", "_loaded_at"
"""Further columns of the stream's tables: the message a row came in, and when it was stored. `_fetched_at` of a
streamed row is the time its message was enqueued."""


def stream_schema(dataset: Dataset) -> dict[str, pl.DataType | type[pl.DataType]]:
    """`stored_schema` and the stream's own columns: what a row of `<table>_iris` has."""
    return {**stored_schema(dataset), SOURCE_FILE: pl.String, LOADED_AT: INSTANT}


def derived_schema(derived: Derived) -> dict[str, Any]:
    """Polars schema of a computed table's own columns, in the catalogue's order."""
    return {c.name: POLARS_TYPE[c.kind] for c in derived.columns}


SLOT = pl.Struct({"date": pl.Date, "period": pl.Int32, "rows": pl.Int32})
"""Rows that count, of one settlement period (settlement date, period)."""

EVIDENCE_SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "day": pl.Date,
    "fetched_at": INSTANT,  # when the last answer came
    "source": pl.String,  # REST, IRIS, archive
    "run_id": pl.String,
    "windows_asked": pl.Int32,
    "windows_answered": pl.Int32,
    "requests": pl.Int32,
    "bytes": pl.Int64,
    "rows": pl.Int64,  # rows the partition holds
    "distinct_keys": pl.Int64,
    "newest_version": pl.String,
    "first_time": INSTANT,
    "last_time": INSTANT,
    "content_hash": pl.String,
    "fetched": pl.Int64,  # rows that came for the day; = written + superseded + exact_duplicates (+ quarantined)
    "written": pl.Int64,
    "superseded": pl.Int64,
    "exact_duplicates": pl.Int64,
    "quarantined": pl.Int64,
    "contradictions": pl.Int64,  # see warehouse.contradictions; null: written before they were counted
    "absent_columns": pl.List(pl.String),
    "unknown_columns": pl.List(pl.String),
    "slots": pl.List(SLOT),
    "table_version": pl.Int64,
}
"""One row a table and day: how the partition came to be (decision 5). Unique on (table, day)."""

ATTEMPT_SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "day": pl.Date,
    "at": INSTANT,
    "outcome": pl.String,  # written, unchanged, empty, held, failed
    "error_class": pl.String,  # transient, permanent, ours; empty when it did not fail
    "message": pl.String,
    "rows": pl.Int64,
    "distinct_keys": pl.Int64,
    "content_hash": pl.String,
    "requests": pl.Int32,
    "run_id": pl.String,
    "reason": pl.String,  # backfill, heal, schedule, ...
}
"""Append-only: every try at a table and day, whatever came of it."""

QUARANTINE_SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "day": pl.Date,
    "reason": pl.String,
    "record": pl.String,  # the row as it came, JSON
    "window": pl.String,
    "fetched_at": INSTANT,
    "run_id": pl.String,
}
"""Rows that could not be stored, with the reason; replaced with their (table, day)."""

DRIFT_SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "day": pl.Date,
    "column": pl.String,  # a field the catalogue does not know
    "record": pl.String,  # JSON: the row's key and the field's value
    "fetched_at": INSTANT,
    "run_id": pl.String,
}
"""Values of unknown fields, kept aside; replaced with their (table, day)."""

KNOWN_GAP_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "table": pl.String,
    "first": pl.Date,  # London days, both included
    "last": pl.Date,  # null: open end
    "status": pl.String,  # one of KNOWN_GAP_STATUSES
    "reason": pl.String,
    "evidence": pl.String,  # JSON object
    "recoverable": pl.Boolean,  # null: nobody knows
    "since": INSTANT,  # when the entry was made
    "by": pl.String,  # one of KNOWN_GAP_AUTHORS: who said the present status
    "changed_at": INSTANT,
    "retry_at": INSTANT,  # when the source is to be asked again; null: not by itself
}
"""Append-only: every state of every entry of the register of known gaps; the newest of an id counts."""

KNOWN_GAP_STATUSES = ("excluded", "missing_at_source", "given_up", "suspected", "resolved")
"""Strongest first. What each means: quality.register.Status."""

KNOWN_GAP_AUTHORS = ("seed", "healer", "person")


MESSAGE_SCHEMA: dict[str, Any] = {
    "name": pl.String,  # the source's file name, made safe
    "subject": pl.String,  # as received
    "table": pl.String,  # where its rows went; null: an unknown subject
    "status": pl.String,  # loaded, empty, undecodable, unknown, not_wanted, failed
    "reason": pl.String,  # why it is undecodable or failed; else empty
    "enqueued_at": INSTANT,
    "landed_at": INSTANT,
    "loaded_at": INSTANT,
    "bytes": pl.Int64,
    "fetched": pl.Int64,  # rows in the body; = written + superseded + exact_duplicates + quarantined
    "written": pl.Int64,
    "superseded": pl.Int64,
    "exact_duplicates": pl.Int64,
    "quarantined": pl.Int64,
}
"""Append-only: every message of the stream that was taken from the landing, each time it was."""


SCORE_SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "day": pl.Date,
    "completeness": pl.Float64,  # these four 0 to 1; null: nothing was due, or nobody knows
    "timeliness": pl.Float64,
    "uniqueness": pl.Float64,
    "validity": pl.Float64,
    "score": pl.Float64,  # 0 to 100
    "grade": pl.String,  # A to D
}
"""How good the data of a table and day are (market/domain.md 8.2); written whole by the asset gbpm_scorecard."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the source answered for one whole London day (or one snapshot): the input of `Warehouse.replace`.

    rows: columns of `frame_schema(dataset)`; only rows of that day, not yet de-duplicated, any order.
    quarantined: list of (reason, record JSON); drift: list of (column, record JSON).
    """

    day: date
    rows: pl.DataFrame
    fetched_at: datetime
    source: str = "REST"
    run_id: str = ""
    reason: str = ""
    windows_asked: int = 0
    windows_answered: int = 0
    requests: int = 0
    bytes: int = 0
    quarantined: Sequence[tuple[str, str]] = ()
    drift: Sequence[tuple[str, str]] = ()
    absent_columns: Sequence[str] = ()
    unknown_columns: Sequence[str] = ()
    window: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one day.

    outcome: written | unchanged (the same rows were there) | empty (answered, no rows) | held (shrink guard) |
        failed.
    error_class: "" or transient, permanent, ours. rows: rows the partition holds now.
    """

    table: str
    day: date
    outcome: str
    rows: int = 0
    written: int = 0
    superseded: int = 0
    exact_duplicates: int = 0
    quarantined: int = 0
    requests: int = 0
    bytes: int = 0
    first_time: datetime | None = None
    last_time: datetime | None = None
    message: str = ""
    error_class: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.outcome in ("written", "unchanged", "empty")


class WarehouseError(Exception):
    """The warehouse could not do it; the message says what happened, to which table, and what to do."""


class QueryError(WarehouseError):
    """The SQL is wrong or names a table that is not there."""


class Warehouse(Protocol):
    """Where rows live. All times aware UTC; frames are polars."""

    def replace(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Replace each arrival's partition whole: vintages, data, evidence, in this order; one commit for
        days of months that have none of them yet, one a month for the others.

        Applies decisions 3 (newest vintage current, superseded appended), 6 (shrink guard: `held`) and 8 (the
        account adds up, else WarehouseError). Running it again changes nothing. Safe against kill -9 at any point
        and against other processes.
        """
        ...

    def record_failures(self, outcomes: Iterable[Outcome], *, run_id: str = "", reason: str = "") -> None:
        """Append failed tries to the attempts log."""
        ...

    def read(
        self,
        dataset: Dataset,
        start: date | None = None,
        end: date | None = None,
        columns: Collection[str] | None = None,
    ) -> pl.DataFrame:
        """Current rows of partitions start..end (both included), `stored_schema` columns (or those asked)."""
        ...

    def count_rows(self, dataset: Dataset, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        """How many rows the partitions start..end hold: columns day, rows. Cheap; days without rows are left out."""
        ...

    def vintages(self, dataset: Dataset, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        """Superseded rows: stored_schema and `_superseded_at`."""
        ...

    def evidence(
        self, tables: Collection[str] | None = None, start: date | None = None, end: date | None = None
    ) -> pl.DataFrame:
        """Rows of EVIDENCE_SCHEMA, sorted by table, day."""
        ...

    def attempts(self, tables: Collection[str] | None = None, since: datetime | None = None) -> pl.DataFrame:
        """Rows of ATTEMPT_SCHEMA, sorted by table, day, at."""
        ...

    def quarantine(self, tables: Collection[str] | None = None) -> pl.DataFrame:
        """Rows of QUARANTINE_SCHEMA."""
        ...

    def known_gaps(self, tables: Collection[str] | None = None) -> pl.DataFrame:
        """The register of known gaps: rows of KNOWN_GAP_SCHEMA, the newest state of each id, by table, first, id."""
        ...

    def put_known_gaps(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append states of entries (every column of KNOWN_GAP_SCHEMA) to the register: one commit. What is appended
        last counts, whatever the clocks say. WarehouseError for a row that makes no sense."""
        ...

    def replace_derived(
        self, frames: Mapping[str, pl.DataFrame], day: date, *, computed_at: datetime, digest: str, run_id: str = ""
    ) -> Outcome:
        """Replace one day of tables that are computed together (catalogue.derived), and their evidence.

        frames: by table name, all rows of the day, the catalogue's columns. digest: of the inputs, kept in the
        evidence. The outcome is of the first table: written, empty, or unchanged when the rows were there.
        WarehouseError for rows of another day, other columns, or two rows of one key.
        """
        ...

    def read_derived(self, name: str, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        """Rows of a computed table of days start..end (both included), and `_day`, `_computed_at`; by day and key."""
        ...

    def sql(self, query: str, *, dialect: str = "duckdb") -> pl.DataFrame:
        """Run one SELECT over the tables (raw tables, <table>_vintages, gbpm_evidence, gbpm_attempts,
        gbpm_quarantine, gbpm_drift, gbpm_known_gaps). dialect bigquery: transpiled, project and dataset qualifiers
        dropped. Raises QueryError with a readable message."""
        ...
