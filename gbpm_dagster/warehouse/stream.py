"""The stream's tables in the lake: `<table>_iris` and `<table>_iris_vintages`, written a few rows at a time.

Belongs here: the steps of adding rows, joining small files, forgetting old days. Not here: the rule of duplicates
(fold), messages and their account (ingest).

Rows of new keys are appended; only where a key that is there gets another row is its day rewritten. Each day is a
partition of its own and its small files are joined as they become many, so that a day that grows all day stays cheap
to look into. The steps: vintages, then rows; after a crash in between the same rows come again and are folded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse import merge
from gbpm_dagster.warehouse.delta import Conflict, Table, explained
from gbpm_dagster.warehouse.fold import Folded, fold, of_keys
from gbpm_dagster.warehouse.incoming import check_days
from gbpm_dagster.warehouse.locks import lock
from gbpm_dagster.warehouse.protocol import (
    DAY,
    FETCHED_AT,
    INSTANT,
    LOADED_AT,
    MONTH,
    SOURCE,
    SOURCE_FILE,
    frame_schema,
    stream_schema,
)

PART = "_part"
"""Second partition column: the London day as text, so that each day has files of its own."""

MANY_FILES = 40
"""Small files of a day that are joined: each write looks into all files of its days."""

TARGET_FILE = 64 << 20
_TRIES = 5


def stream_table(root: Path, dataset: Dataset) -> Table:
    """The table of a stream entry (catalogue.streams.stream_of); its log is kept for a day, as it grows fast."""
    return Table(root / dataset.table, _physical(dataset), (MONTH, PART), keep_log="interval 1 days")


def stream_vintages(root: Path, dataset: Dataset) -> Table:
    schema = {**_physical(dataset), merge.SUPERSEDED_AT: INSTANT}
    return Table(root / f"{dataset.table}_vintages", schema, (MONTH, PART), keep_log="interval 1 days")


def _physical(dataset: Dataset) -> dict[str, Any]:
    ours = {DAY: pl.Date, FETCHED_AT: INSTANT, SOURCE: pl.String, SOURCE_FILE: pl.String, LOADED_AT: INSTANT}
    return {**ours, **frame_schema(dataset), MONTH: pl.String, PART: pl.String}


class Streams:
    """The stream's tables under one root.

    fault: called with the name of the step that comes next (stream_vintages, stream_rows, stream_joined), so that a
    test can fail there.
    """

    def __init__(self, root: Path, fault: Callable[[str], None]) -> None:
        self.root, self._fault = root, fault
        self._open: dict[str, tuple[Table, Table]] = {}

    def add(self, dataset: Dataset, rows: pl.DataFrame) -> pl.Series:
        """Add rows (`stream_schema(dataset)`) of a stream entry; see Warehouse.add_stream."""
        check_days(dataset, rows)
        for attempt in range(_TRIES):
            try:
                with lock(self.root, dataset.table):
                    return self._add(dataset, rows)
            except Conflict:  # somebody who does not know our locks; all steps can be done anew
                self._open.pop(dataset.table, None)
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _add(self, dataset: Dataset, rows: pl.DataFrame) -> pl.Series:
        data, old = self._tables(dataset)
        parts = _parts(rows)
        held = self._of_keys(data, dataset, rows, parts)
        lost = self._of_keys(old, dataset, rows, parts)
        found = fold(dataset, rows, held, lost)
        self._fault("stream_vintages")
        self._put_vintages(old, dataset, rows, found)
        self._fault("stream_rows")
        self._put_rows(data, dataset, found)
        self._fault("stream_joined")
        for table in (data, old):
            _join_files(table, parts)
        return found.verdicts

    def _tables(self, dataset: Dataset) -> tuple[Table, Table]:
        """The table and its vintages as they are now. They stay open from one batch to the next."""
        found = self._open.get(dataset.table)
        if found is None:
            found = stream_table(self.root, dataset), stream_vintages(self.root, dataset)
            self._open[dataset.table] = found
        for table in found:
            table.refresh()
        return found

    @staticmethod
    def _of_keys(table: Table, dataset: Dataset, rows: pl.DataFrame, parts: Sequence[str]) -> pl.DataFrame:
        """Stored rows of the keys of `rows`, in their columns. The keys are read first, as they are mostly new."""
        files = table.files(**{PART: parts})
        if not files:
            return rows.head(0)
        key = list(dict.fromkeys((DAY, *dataset.key_columns)))
        with explained(table.path, "reading the table"):
            if not of_keys(dataset, table.scan(files).select(key).collect(), rows).height:
                return rows.head(0)
            return of_keys(dataset, table.scan(files).select(rows.columns).collect(), rows)

    @staticmethod
    def _put_vintages(table: Table, dataset: Dataset, rows: pl.DataFrame, found: Folded) -> None:
        now = datetime.now(UTC)
        if found.retaken is None:
            if found.vintages.height:
                table.append(_placed(found.vintages, now))
            return
        parts = _parts(rows)
        there = table.read(table.files(**{PART: parts}))
        ours = of_keys(dataset, there, rows)
        others = there.join(ours.select(DAY, *dataset.names), on=[DAY, *dataset.names], how="anti", nulls_equal=True)
        again = _placed(found.retaken, now).select(table.schema)
        table.overwrite(pl.concat([others.select(list(table.schema)), again]), _of_parts(parts))

    @staticmethod
    def _put_rows(table: Table, dataset: Dataset, found: Folded) -> None:
        days = found.changed[DAY].unique()
        apart = found.fresh.filter(~pl.col(DAY).is_in(days.implode()))
        if found.changed.height:
            parts = _parts(found.changed)
            there = table.read(table.files(**{PART: parts}))
            replaced = of_keys(dataset, there, found.changed).select(DAY, *dataset.names)
            kept = there.join(replaced, on=[DAY, *dataset.names], how="anti", nulls_equal=True)
            beside = found.fresh.filter(pl.col(DAY).is_in(days.implode()))
            new = [_placed(f).select(list(table.schema)) for f in (found.changed, beside)]
            table.overwrite(pl.concat([kept.select(list(table.schema)), *new]), _of_parts(parts))
        if apart.height:
            table.append(_placed(apart))

    # reading and upkeep

    def table(self, dataset: Dataset, *, vintages: bool = False) -> Table:
        """The Delta table of a stream entry, or that of its vintages."""
        return (stream_vintages if vintages else stream_table)(self.root, dataset)

    def read(
        self, dataset: Dataset, start: date | None = None, end: date | None = None, *, vintages: bool = False
    ) -> pl.DataFrame:
        """Rows of a stream entry of these London days, `stream_schema`, sorted by day and key."""
        table = self.table(dataset, vintages=vintages)
        where = pl.col(DAY).is_between(start or date.min, end or date.max)
        rows = merge.with_keys(table.read(where=where), dataset).sort(DAY, *merge.key_names(dataset))
        return rows.select(list(stream_schema(dataset)))

    def newest(self, dataset: Dataset) -> dict[date, datetime]:
        """The latest enqueue of each London day's rows; reads the list of files only."""
        actions = stream_table(self.root, dataset).actions()
        if f"partition.{PART}" not in actions.columns:
            return {}
        by_day = actions.group_by(f"partition.{PART}").agg(pl.col(f"max.{FETCHED_AT}").max())
        return {date.fromisoformat(part): at for part, at in by_day.rows()}

    def forget(self, dataset: Dataset, days: Collection[date]) -> None:
        """Remove these London days from the table and its vintages: whole files, nothing is rewritten."""
        if not days:
            return
        parts = [str(d) for d in days]
        with lock(self.root, dataset.table):
            for table in (stream_table(self.root, dataset), stream_vintages(self.root, dataset)):
                if table.files(**{PART: parts}):
                    table.delete(_of_parts(parts))


def _parts(rows: pl.DataFrame) -> list[str]:
    return [str(d) for d in rows[DAY].unique().sort().to_list()]


def _of_parts(parts: Collection[str]) -> str:
    """The predicate that names whole days: their partitions, and so no file needs to be read to know."""
    listed = ", ".join(f"'{p}'" for p in sorted(parts))
    return f"{PART} IN ({listed})"


def _placed(rows: pl.DataFrame, superseded_at: datetime | None = None) -> pl.DataFrame:
    """Rows with the columns that say where they lie, and of vintages since when they are none."""
    placed = rows.with_columns(pl.col(DAY).dt.strftime("%Y-%m-%d").alias(PART))
    return (
        placed
        if superseded_at is None
        else placed.with_columns(pl.lit(superseded_at, INSTANT).alias(merge.SUPERSEDED_AT))
    )


def _join_files(table: Table, parts: Sequence[str]) -> None:
    actions = table.actions()
    if f"partition.{PART}" not in actions.columns:
        return
    counted = actions.group_by(f"partition.{PART}").len()
    for part, many in counted.rows():
        if part in parts and many > MANY_FILES:
            table.compact(TARGET_FILE, **{PART: part})
