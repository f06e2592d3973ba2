"""The lake: the `Warehouse` on Delta tables in one folder.

Belongs here: the public face, reads and upkeep. Not here: how a partition is replaced (replace), SQL (query).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue import registry as catalogue
from gbpm_dagster.catalogue.derived import DERIVED
from gbpm_dagster.catalogue.model import Dataset, Grain
from gbpm_dagster.catalogue.streams import IRIS, stream_of
from gbpm_dagster.catalogue.views import VIEWS
from gbpm_dagster.warehouse import derived, merge, snapshots, unified, views
from gbpm_dagster.warehouse import query as queries
from gbpm_dagster.warehouse.conditions import Where
from gbpm_dagster.warehouse.delta import Conflict, Table, explained
from gbpm_dagster.warehouse.incoming import month_of
from gbpm_dagster.warehouse.ledger import DRIFT, KNOWN_GAPS, QUARANTINE, SCHEMAS, Ledger
from gbpm_dagster.warehouse.locks import lock
from gbpm_dagster.warehouse.protocol import (
    DAY,
    EVIDENCE_SCHEMA,
    INSTANT,
    MONTH,
    Arrival,
    Outcome,
    Warehouse,
    WarehouseError,
    stored_schema,
)
from gbpm_dagster.warehouse.reading import Reader, reader
from gbpm_dagster.warehouse.replace import Replacement, data_table, vintage_table
from gbpm_dagster.warehouse.stream import Streams

RETENTION = timedelta(days=7)
STREAM_RETENTION = timedelta(hours=6)
_TRIES = 5
_TIME = ("settlementDate", "settlementPeriod", "startTime")
"""Columns of a key that put a person's rows in order before the others."""
_TARGET_FILE = 64 << 20  # bytes; replacing a day of a big table rewrites the files it lies in


class Lake(Warehouse):
    """Delta Lake under `root`: `<table>`, `<table>_vintages` and the five tables of the ledger.

    calendar: makes the settlement runs SQL shows (views.CALENDAR_SCHEMA), called where a query needs them; without it
    the calendar is empty and no row has a run.
    fault: called with the name of the step that comes next (vintages, forget, data, quarantine, drift, evidence,
    attempts, done), so that a test can fail there. Raises WarehouseError if `root` cannot be used.
    """

    def __init__(
        self,
        root: Path,
        datasets: Mapping[str, Dataset] = catalogue.DATASETS,
        *,
        calendar: Callable[[], pl.DataFrame] = lambda: pl.DataFrame(schema=views.CALENDAR_SCHEMA),
        fault: Callable[[str], None] | None = None,
    ) -> None:
        self.root = Path(root).expanduser().absolute()
        self.datasets = dict(datasets)
        self.ledger = Ledger(self.root)
        self._calendar = calendar
        self._fault = fault or (lambda step: None)
        self.streams = Streams(self.root, self._fault)
        with explained(self.root, "opening the lake"):
            self.root.mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.R_OK | os.X_OK):
                raise PermissionError(f"Permission denied: {self.root}")

    # writing

    def replace(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """See Warehouse.replace. Outcomes in the order of `arrivals`."""
        if not arrivals:
            return []
        for attempt in range(_TRIES):
            try:
                with lock(self.root, dataset.table):
                    done = Replacement(self.root, self.ledger, dataset, self._fault).run(arrivals)
                break
            except Conflict:
                # A writer that does not know our locks got in between: all steps are idempotent, so do it anew.
                if attempt == _TRIES - 1:
                    raise
        by_day = {o.day: o for o in done}
        return [by_day[a.day] for a in arrivals]

    def record_failures(self, outcomes: Iterable[Outcome], *, run_id: str = "", reason: str = "") -> None:
        """Append failed tries to the attempts log (outcomes that did not fail are left out)."""
        now = datetime.now(UTC)
        self.ledger.add_attempts([
            {
                "table": o.table, "day": o.day, "at": o.extra.get("at", now), "outcome": "failed",
                "error_class": o.error_class, "message": o.message, "rows": o.rows, "distinct_keys": None,
                "content_hash": None, "requests": o.requests, "run_id": run_id, "reason": reason,
            }
            for o in outcomes
            if o.outcome == "failed"
        ])  # fmt: skip

    # the stream

    def add_stream(self, dataset: Dataset, rows: pl.DataFrame) -> pl.Series:
        """Add rows of the stream to `<table>_iris`, each once, and what they supersede to its vintages.

        dataset: a stream entry (catalogue.streams.stream_of); rows: `stream_schema`. The tables end the same in any
        order of arrival, however often a row comes. Returns for each row written, superseded or exact_duplicates.
        """
        return self.streams.add(dataset, rows)

    def add_aside(
        self,
        table: str,
        quarantined: Sequence[dict[str, Any]],
        drift: Sequence[dict[str, Any]],
        windows: Collection[str],
    ) -> None:
        """Quarantined records and unknown fields of these messages (windows); again adds none."""
        self.ledger.add_quarantine(table, quarantined, windows)
        if drift:
            self.ledger.add_drift(table, drift)

    def add_messages(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append to the account of streamed messages (MESSAGE_SCHEMA)."""
        self.ledger.add_messages(rows)

    def replace_derived(
        self, frames: Mapping[str, pl.DataFrame], day: date, *, computed_at: datetime, digest: str, run_id: str = ""
    ) -> Outcome:
        """See Warehouse.replace_derived."""
        return derived.replace_derived(
            self.root, self.ledger, frames, day, computed_at=computed_at, digest=digest, run_id=run_id
        )

    # reading

    def read_derived(self, name: str, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        """See Warehouse.read_derived."""
        return derived.read_derived(self.root, name, start, end)

    def read(
        self,
        dataset: Dataset,
        start: date | None = None,
        end: date | None = None,
        columns: Collection[str] | None = None,
    ) -> pl.DataFrame:
        """Current rows of partitions start..end (both included), sorted by day and key."""
        wanted = list(stored_schema(dataset)) if columns is None else list(columns)
        unknown = [c for c in wanted if c not in stored_schema(dataset)]
        if unknown:
            raise WarehouseError(f"{dataset.table} has no column {', '.join(unknown)}")
        frame = self._rows(data_table(self.root, dataset), start, end)
        with explained(self.root / dataset.table, "reading the table"):
            needed = dict.fromkeys([DAY, *dataset.key_columns, *wanted])
            rows = frame.select(list(needed)).collect()
        return merge.with_keys(rows, dataset).sort(DAY, *merge.key_names(dataset)).select(wanted)

    def count_rows(self, dataset: Dataset, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        """See Warehouse.count_rows."""
        with explained(self.root / dataset.table, "reading the table"):
            rows = self._rows(data_table(self.root, dataset), start, end)
            counted = rows.group_by(pl.col(DAY).alias("day")).agg(pl.len().cast(pl.Int64).alias("rows"))
            return counted.sort("day").collect()

    def vintages(self, dataset: Dataset, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        """Superseded rows: stored_schema and `_superseded_at`, sorted by day and key."""
        with explained(self.root / f"{dataset.table}_vintages", "reading the table"):
            rows = self._rows(vintage_table(self.root, dataset), start, end).collect()
        ordered = merge.with_keys(rows, dataset).sort(DAY, *merge.key_names(dataset), merge.SUPERSEDED_AT)
        return ordered.select(*stored_schema(dataset), merge.SUPERSEDED_AT)

    def evidence(
        self,
        tables: Collection[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        columns: Collection[str] = tuple(EVIDENCE_SCHEMA),
    ) -> pl.DataFrame:
        """See Warehouse.evidence; columns: only these, table and day among them."""
        return self.ledger.evidence(tables, start, end, columns)

    def attempts(self, tables: Collection[str] | None = None, since: datetime | None = None) -> pl.DataFrame:
        """See Warehouse.attempts."""
        return self.ledger.attempts(tables, since)

    def quarantine(self, tables: Collection[str] | None = None) -> pl.DataFrame:
        """See Warehouse.quarantine."""
        return self.ledger.aside(QUARANTINE, tables)

    def drift(self, tables: Collection[str] | None = None) -> pl.DataFrame:
        """Rows of DRIFT_SCHEMA."""
        return self.ledger.aside(DRIFT, tables)

    def known_gaps(self, tables: Collection[str] | None = None) -> pl.DataFrame:
        """See Warehouse.known_gaps."""
        return self.ledger.known_gaps(tables)

    def put_known_gaps(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """See Warehouse.put_known_gaps; to write what depends on what is there: `ledger.change_known_gaps`."""
        self.ledger.change_known_gaps(lambda _: rows)

    def sql(self, query: str, *, dialect: str = "duckdb") -> pl.DataFrame:
        """See Warehouse.sql."""
        return queries.run(query, dialect, self._sources(), self.root)

    def count_days(self, dataset: Dataset, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        """What the partitions hold, to compare with the evidence: columns day, rows, distinct_keys."""
        rows = merge.with_keys(self.read(dataset, start, end, [DAY, *dataset.key_columns]), dataset)
        distinct = pl.struct(merge.key_names(dataset)).n_unique().cast(pl.Int64).alias("distinct_keys")
        counted = rows.group_by(pl.col(DAY).alias("day")).agg(pl.len().cast(pl.Int64).alias("rows"), distinct)
        return counted.sort("day")

    # upkeep

    def tables(self) -> list[str]:
        """Names of the catalogue's tables that have rows, in its order."""
        found = []
        for name, dataset in self.datasets.items():
            actions = data_table(self.root, dataset).actions()
            if "num_records" in actions.columns and actions["num_records"].sum():
                found.append(name)
        return found

    def compact(self, tables: Collection[str] | None = None) -> dict[str, int]:
        """Join small files; returns files removed by table."""
        return {name: self._upkeep(name, lambda t: t.compact(_TARGET_FILE)) for name in self._present(tables)}

    def vacuum(self, tables: Collection[str] | None = None, keep: timedelta = RETENTION) -> dict[str, int]:
        """Delete files that no version younger than `keep` needs; returns files removed by table."""
        found = {}
        for name in self._present(tables):
            # Files of a day of the stream are joined all day long: what they were before would be most of the disk.
            least = min(keep, STREAM_RETENTION) if IRIS in name else keep
            found[name] = self._upkeep(name, lambda t, least=least: t.vacuum(least))  # type: ignore[misc]
        return found

    def disk_usage(self) -> dict[str, int]:
        """Bytes on disk of each table that is there (old versions and logs included)."""
        usage = {}
        for name in self._present(None):
            total = 0
            for folder, _, files in os.walk(self.root / name):
                for file in files:
                    with contextlib.suppress(FileNotFoundError):  # vacuumed meanwhile
                        total += (Path(folder) / file).stat().st_size
            usage[name] = total
        return usage

    def _upkeep(self, name: str, work: Callable[[Table], int]) -> int:
        with lock(self.root, name.removesuffix("_vintages")):
            return work(self._table(name))

    def _table(self, name: str) -> Table:
        if name in SCHEMAS:
            return self.ledger.table(name)
        if name in DERIVED:
            return derived.derived_table(self.root, DERIVED[name])
        table = name.removesuffix("_vintages")
        if table.endswith(IRIS):
            return self.streams.table(stream_of(self.datasets[table.removesuffix(IRIS)]), vintages=table != name)
        dataset = self.datasets[table]
        return (vintage_table if name.endswith("_vintages") else data_table)(self.root, dataset)

    def own_names(self) -> list[str]:
        """Names of all folders of the lake that are its own, there or not."""
        names = [n for t in self.datasets for s in (t, f"{t}{IRIS}") for n in (s, f"{s}_vintages")]
        return [*names, *DERIVED, *SCHEMAS]

    def _present(self, tables: Collection[str] | None) -> list[str]:
        names = self.own_names()
        there = [n for n in names if (self.root / n / "_delta_log").is_dir()]
        return there if tables is None else [n for n in there if n in set(tables)]

    @staticmethod
    def _rows(table: Table, start: date | None, end: date | None) -> pl.LazyFrame:
        files = None
        actions = table.actions()
        if actions.height:
            month = pl.col(f"partition.{MONTH}")
            if start is not None:
                actions = actions.filter(month >= month_of(start))
            if end is not None:
                actions = actions.filter(month <= month_of(end))
            files = [str(table.path / p) for p in actions["path"]]
        frame = table.scan(files)
        if start is not None:
            frame = frame.filter(pl.col(DAY) >= start)
        if end is not None:
            frame = frame.filter(pl.col(DAY) <= end)
        return frame

    def _sources(self) -> dict[str, queries.Source]:
        sources: dict[str, queries.Source] = {}
        for name, dataset in self.datasets.items():
            raw = {n: stored_schema(dataset)[n] for n in views.shown(dataset)}
            order = tuple(dict.fromkeys((DAY, *(t for t in _TIME if t in dataset.key), *dataset.key_columns)))
            history = queries.Source(f"{name}_history", {}, view=views.history_view(dataset), dataset=dataset)
            table = self._source(name, raw, order, views.table_view(dataset), dataset)
            if dataset.grain is Grain.SNAPSHOT:
                table, history = snapshots.sources(table, history)
            old, at = f"{name}_vintages", merge.SUPERSEDED_AT
            vintages = self._source(old, {**raw, at: INSTANT}, (*order, at), None, dataset)
            history = replace(history, order=history.order or (*order, views.KNOWN_FROM))
            sources |= {name: table, old: vintages, history.name: history}
            for alias in dataset.aliases:
                sources.setdefault(alias, table)
            for streamed in unified.sources(self.root, dataset, table):
                sources[streamed.name] = streamed
                for alias in dataset.aliases:
                    sources.setdefault(streamed.name.replace(name, alias, 1), streamed)
        for name, computed in DERIVED.items():
            sources[name] = self._source(name, derived.shown(computed), (DAY, "settlementPeriod", *computed.key))
        for name, schema in SCHEMAS.items():
            sources[name] = self._source(name, schema, tuple(c for c in ("table", "day", "at") if c in schema))
        sources[KNOWN_GAPS] = queries.Source(KNOWN_GAPS, SCHEMAS[KNOWN_GAPS], frame=self.known_gaps)
        sources[views.CALENDAR] = queries.Source(views.CALENDAR, views.CALENDAR_SCHEMA, frame=self._calendar)
        return sources

    def _source(
        self,
        name: str,
        schema: Mapping[str, Any],
        order: tuple[str, ...],
        view: views.Shape | None = None,
        dataset: Dataset | None = None,
    ) -> queries.Source:
        table = self._table(name)
        return queries.Source(name, schema, table.files, view=view, dataset=dataset, table=table, order=order)

    def reader(
        self,
        table: str,
        start: date | None = None,
        end: date | None = None,
        columns: Sequence[str] | None = None,
        where: Where = None,
    ) -> Reader:
        """A checked request of rows of one table, view or alias, as SQL shows it; see reading.Reader.

        start, end: London days, both included; of a reference table the lists of these days (without days its newest
        list), of its history what was valid on one of them. Raises UnknownTable, QueryError.
        """
        sources = self._sources()
        name = table.strip().lower()
        if name in VIEWS:
            sources[name] = queries.expanded(name, sources)
        found = sources.get(name) or sources[catalogue.get(name).table]
        return reader(sources, found.name, self.root, start, end, columns, where)
