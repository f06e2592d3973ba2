"""One Delta table on disk: open, read, append, overwrite, compact, vacuum, with errors a person can act on.

Belongs here: everything that calls `deltalake`. Not here: what the rows mean.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from gbpm_dagster.warehouse import appending
from gbpm_dagster.warehouse.protocol import WarehouseError

Schema = Mapping[str, Any]
_PROPERTIES = WriterProperties(compression="ZSTD", compression_level=appending.LEVEL)


class Conflict(WarehouseError):
    """Another process committed to the same table in between; doing it again succeeds."""


@contextlib.contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn errors of the file system and of Delta into a WarehouseError that names the path and the way out."""
    try:
        yield
    except CommitFailedError as error:
        raise Conflict(f"{doing}: another process changed {path} meanwhile ({_short(error)})") from error
    except (OSError, DeltaError, pl.exceptions.PolarsError) as error:
        raise WarehouseError(f"{doing} failed at {path}: {_advice(path, error)}") from error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _advice(path: Path, error: BaseException) -> str:
    text = str(error)
    if "No space left" in text or "Disk quota" in text:
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(_existing(path)).free
            return (
                f"the disk is full ({free / 1e6:.0f} MB free); free some, then run it again: nothing is half-written"
            )
        return "the disk is full; free some space, then run it again: nothing is half-written"
    if "Permission denied" in text or "Read-only file system" in text or isinstance(error, PermissionError):
        return f"no permission ({_short(error)}); make the folder readable and writable for this user"
    if isinstance(error, NotADirectoryError | FileExistsError) or "Not a directory" in text or "File exists" in text:
        return f"there is a file where a folder must be ({_short(error)}); move it away or choose another home"
    hint = "if files were removed or damaged by hand, restore them or remove the table's folder and backfill it"
    return f"{_short(error)}; {hint}"


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def day_predicate(days: Collection[date], column: str) -> str:
    """SQL condition for exactly these days: runs as BETWEEN, joined by OR."""
    runs: list[list[date]] = []
    for day in sorted(set(days)):
        if runs and day - runs[-1][1] == timedelta(days=1):
            runs[-1][1] = day
        else:
            runs.append([day, day])
    parts = [f"({column} >= '{a}' AND {column} <= '{b}')" for a, b in runs]
    return "(" + " OR ".join(parts) + ")"


class Table:
    """A Delta table at `path`. schema: column -> polars type, in physical order; partition: its partition columns.

    An instance sees the version it opened first plus its own commits: make a new one to see what others wrote.
    """

    def __init__(
        self, path: Path, schema: Schema, partition: Sequence[str] = (), *, keep_log: str = "interval 7 days"
    ) -> None:
        self.path, self.schema, self.partition = path, dict(schema), tuple(partition)
        self._configuration = {"delta.checkpointInterval": "100", "delta.logRetentionDuration": keep_log}
        self._table: DeltaTable | None = None

    @property
    def table(self) -> DeltaTable | None:
        """The opened table, None if there is none yet."""
        if self._table is None:
            with explained(self.path, "opening the table"):
                if not (self.path / "_delta_log").is_dir():
                    if self.path.exists() and not self.path.is_dir():
                        raise NotADirectoryError(f"Not a directory: {self.path}")
                    return None
                with contextlib.suppress(TableNotFoundError):
                    self._table = DeltaTable(str(self.path))
        return self._table

    def refresh(self) -> None:
        """See what others have committed since: a fraction of what opening costs, which reads the log since the last
        checkpoint."""
        if self._table is not None:
            try:
                self._table.update_incremental()
            except (OSError, DeltaError):  # the table was removed, or its log cut meanwhile
                self._table = None

    @property
    def version(self) -> int | None:
        return self.table.version() if self.table is not None else None

    def actions(self) -> pl.DataFrame:
        """One row a live file: path, size_bytes, num_records, partition.*, min.*, max.* (empty without a table)."""
        if self.table is None:
            return pl.DataFrame({"path": []}, schema={"path": pl.String})
        with explained(self.path, "listing the table's files"):
            return pl.DataFrame(self.table.get_add_actions(flatten=True))

    def files(self, **wanted: Collection[str]) -> list[str]:
        """Paths of the live files, limited to those values of partition columns."""
        actions = self.actions()
        for name, values in wanted.items():
            if f"partition.{name}" in actions.columns:
                actions = actions.filter(pl.col(f"partition.{name}").is_in(list(values)))
        return [str(self.path / p) for p in actions.get_column("path")]

    def scan(self, files: Sequence[str] | None = None) -> pl.LazyFrame:
        """The rows of these files (all by default), `schema` columns; columns older files lack are null."""
        files = self.files() if files is None else files
        if not files:
            return pl.LazyFrame(schema=self.schema)
        inner = {n: t for n, t in self.schema.items() if n not in self.partition}
        outer = {n: self.schema[n] for n in self.partition}
        return pl.scan_parquet(
            list(files),
            schema={**inner, **outer} if outer else inner,
            hive_partitioning=bool(outer),
            hive_schema=outer or None,
            missing_columns="insert",
            extra_columns="ignore",
            glob=False,
        ).select(list(self.schema))

    def read(
        self,
        files: Sequence[str] | None = None,
        where: pl.Expr | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        with explained(self.path, "reading the table"):
            frame = self.scan(files)
            frame = frame.filter(where) if where is not None else frame
            return (frame if columns is None else frame.select(columns)).collect()

    def append(self, rows: pl.DataFrame) -> None:
        self._write(rows, "append", None)

    def overwrite(self, rows: pl.DataFrame, predicate: str) -> None:
        """Replace exactly the rows the predicate names, in one commit; rows must satisfy it."""
        if self.table is None:
            self._write(rows, "append", None)
        else:
            self._write(rows, "overwrite", predicate)

    def delete(self, predicate: str) -> None:
        if self.table is not None:
            with explained(self.path, "deleting rows"):
                self.table.delete(predicate)

    def _write(self, rows: pl.DataFrame, mode: Any, predicate: str | None) -> None:
        if not rows.height and self.table is None:
            return
        with explained(self.path, "writing to the table"):
            table = self.table
            data = rows.select(list(self.schema))
            if table is None:
                self.path.mkdir(parents=True, exist_ok=True)
                schema = data.head(0).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
                table = self._table = DeltaTable.create(
                    str(self.path), schema, partition_by=list(self.partition), configuration=self._configuration
                )
            if not rows.height:
                if predicate:
                    table.delete(predicate)
                return
            if predicate is None and appending.append(table, data, self.partition):
                return
            write_deltalake(
                table, data, mode=mode, predicate=predicate, schema_mode="merge", writer_properties=_PROPERTIES
            )

    def compact(self, target_size: int, **wanted: str) -> int:
        """Join small files, of those values of partition columns; returns how many files it removed."""
        if self.table is None:
            return 0
        with explained(self.path, "compacting"):
            result = self.table.optimize.compact(
                partition_filters=[(name, "=", value) for name, value in wanted.items()] or None,
                target_size=target_size,
                writer_properties=_PROPERTIES,
            )
            return int(result.get("numFilesRemoved", 0))

    def vacuum(self, retention: timedelta) -> int:
        """Remove files no version younger than `retention` needs; returns how many."""
        if self.table is None:
            return 0
        with explained(self.path, "vacuuming"):
            hours = int(retention.total_seconds() // 3600)
            gone = self.table.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False)
            self.table.cleanup_metadata()
            return len(gone)
