"""Tables that others made: Parquet files, folders of them and Delta tables, read in the catalogue's columns.

Belongs here: finding their rows, and what their columns mean for one of our tables. Not here: what is done with them.

Known forms: ours; the legacy warehouse's (Elexon's names, DATETIME without zone in UTC, `_ingested_utc` as text).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from deltalake import DeltaTable

from gbpm_dagster.catalogue.model import Dataset, Kind
from gbpm_dagster.warehouse.delta import explained
from gbpm_dagster.warehouse.facts import london_day
from gbpm_dagster.warehouse.protocol import (
    DAY,
    FETCHED_AT,
    INSTANT,
    MONTH,
    POLARS_TYPE,
    SOURCE,
    WarehouseError,
    stored_schema,
)

_GIVEN = "_given"
RECEIPTS = (FETCHED_AT, "_ingested_utc", "_ingested_at", "ingested_at")
"""Columns that say when a row was received, the first that is there."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A table of somebody else's. files: its Parquet files; rows: of all of them, columns some lack null."""

    path: Path
    files: tuple[str, ...]

    def scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(
            list(self.files), missing_columns="insert", extra_columns="ignore", glob=False, hive_partitioning=True
        )

    def columns(self) -> list[str]:
        with explained(self.path, "reading the table"):
            return self.scan().collect_schema().names()


def find(path: Path) -> Foreign:
    """The table in a Parquet file, a folder of Parquet files (partition folders `a=b` included) or a Delta table.

    Raises WarehouseError if there is none.
    """
    if path.is_file() and path.suffix == ".parquet":
        return Foreign(path, (str(path),))
    if (path / "_delta_log").is_dir():
        with explained(path, "opening the table"):
            return Foreign(path, tuple(sorted(DeltaTable(str(path)).file_uris())))
    found = tuple(sorted(str(p) for p in path.rglob("*.parquet") if p.is_file())) if path.is_dir() else ()
    if not found:
        raise WarehouseError(f"{path} holds no table: name a Parquet file, a folder of them, or a Delta table")
    return Foreign(path, found)


def in_our_columns(dataset: Dataset, schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    """Expressions that make stored_schema rows of rows with that schema; columns that are absent are null.

    Names are Elexon's, upper and lower case alike. Instants without a zone are UTC (the legacy rule), texts may end
    in Z, UTC or an offset. Without a receipt it is null; without `_source` it is REST. Raises WarehouseError if a
    part of the natural key is in no column.
    """
    by_name = {n.lower(): n for n in schema}
    fallback = dict(dataset.unit_fallback)
    lost = [k for k in dataset.key if k.lower() not in by_name and fallback.get(k, k).lower() not in by_name]
    if lost:
        raise WarehouseError(
            f"it has no column {', '.join(lost)}, part of the key of {dataset.table}: it is another table's, or its "
            "columns have other names than Elexon's"
        )
    own = [
        _as(by_name[c.name.lower()], schema, c.kind).alias(c.name)
        if c.name.lower() in by_name
        else pl.lit(None, POLARS_TYPE[c.kind]).alias(c.name)
        for c in dataset.columns
    ]
    received = next((r for r in RECEIPTS if r in schema), None)
    at = _as(received, schema, Kind.INSTANT) if received else pl.lit(None, INSTANT)
    source = pl.col(SOURCE).cast(pl.String) if SOURCE in schema else pl.lit("REST")
    return [*own, at.alias(FETCHED_AT), source.alias(SOURCE)]


def in_stored_schema(dataset: Dataset, rows: pl.LazyFrame, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """Those rows in stored_schema: see `in_our_columns`.

    The day is the London day of the partition field, of a list without one its `_day` or that of its receipt.
    """
    given = [pl.col(DAY).alias(_GIVEN)] if schema.get(DAY) == pl.Date else []
    ours = rows.select(*in_our_columns(dataset, schema), *given)
    name = dataset.partition_field
    if name:
        day = pl.col(name) if dataset.column(name).kind is Kind.DATE else london_day(pl.col(name))
    else:
        day = pl.col(_GIVEN) if given else london_day(pl.col(FETCHED_AT))
    placed = ours.with_columns(day.cast(pl.Date).alias(DAY))
    return placed.with_columns(pl.col(DAY).dt.strftime("%Y-%m").alias(MONTH)).select(list(stored_schema(dataset)))


def read(dataset: Dataset, table: Foreign) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rows as they are, the same in stored_schema, row by row); raises WarehouseError."""
    if not table.files:
        raise WarehouseError(f"{table.path} has no rows")
    with explained(table.path, "reading the table"):
        rows = table.scan().collect()
    return rows, translated(dataset, rows, table.path)


def translated(dataset: Dataset, rows: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Rows of that path in stored_schema; raises WarehouseError naming the column that cannot be read."""
    with readable(dataset, path):
        return in_stored_schema(dataset, rows.lazy(), dict(rows.schema)).collect()


@contextlib.contextmanager
def readable(dataset: Dataset, path: Path) -> Iterator[None]:
    """Say of which path and table it is that rows cannot be read in our columns."""
    try:
        yield
    except WarehouseError as error:
        raise WarehouseError(f"{path} cannot be read as {dataset.table}: {error}") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        said = " ".join(str(error).split())[:300]
        raise WarehouseError(f"{path} cannot be read as {dataset.table}: {said}") from error


def _as(name: str, schema: Mapping[str, pl.DataType], kind: Kind) -> pl.Expr:
    """The column as a value of that kind."""
    value, given = pl.col(name), schema[name]
    if kind is Kind.INSTANT:
        return _instant(value, given)
    if kind is Kind.DATE:
        return _date(value, given)
    if kind is Kind.BOOLEAN and given == pl.String:
        return value.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None)
    return value.cast(POLARS_TYPE[kind])


def _date(value: pl.Expr, given: pl.DataType) -> pl.Expr:
    if given == pl.String:
        return value.str.strip_chars().str.slice(0, 10).str.to_date("%Y-%m-%d")
    return value.dt.date() if isinstance(given, pl.Datetime) else value.cast(pl.Date)


def _instant(value: pl.Expr, given: pl.DataType) -> pl.Expr:
    if given == pl.String:
        text = value.str.strip_chars().str.replace(r"^(\d{4}-\d{2}-\d{2})[ T]", "${1}T")
        text = text.str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00:00")
        text = text.str.replace(r"\s*(UTC|Z)$", "").str.replace(r"(T\d{2}:\d{2})(|[+-]\d{2}:?\d{2})$", "${1}:00${2}")
        zoned = text.str.contains(r"[+-]\d{2}:?\d{2}$")
        text = pl.when(zoned).then(text).otherwise(text + "+00:00")
        return text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC")
    if isinstance(given, pl.Datetime):
        value = value.dt.convert_time_zone("UTC") if given.time_zone else value.dt.replace_time_zone("UTC")
    else:
        value = value.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return value.dt.cast_time_unit("us")
