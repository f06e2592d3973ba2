"""Rows of one table for a person: some days, some columns, one condition, in order and in bounded pieces.

Belongs here: what is asked of a table, checked, and the pieces it is read in. Not here: what a condition may be
(conditions), how a view is made (query), what becomes of the rows (export, notebook).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from gbpm_dagster.catalogue.model import Dataset, Grain, Kind
from gbpm_dagster.warehouse import query
from gbpm_dagster.warehouse.conditions import Condition, Where, column_named, condition, day_bounds
from gbpm_dagster.warehouse.protocol import DAY, MONTH, QueryError
from gbpm_dagster.warehouse.query import Source, ident

ROWS_AT_ONCE = 500_000
"""Rows of a piece, about: one or two of the largest days, so that memory does not grow with the range."""

ONE = timedelta(days=1)
_DAYS = (DAY, "day")
_FROM, _TO = "_valid_from", "_valid_to"
_LOW, _HIGH, _MONTH, _COUNT = f"min.{DAY}", f"max.{DAY}", f"partition.{MONTH}", "num_records"


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of some days, both ends included; None, None: of all there are. rows: in the table's order."""

    first: date | None
    last: date | None
    rows: pa.Table


@dataclass(frozen=True)
class Reader:
    """What was asked of a table, checked; nothing is read before `pieces`.

    columns: those asked, as the table writes them. start, end: London days, None = open.
    """

    source: Source
    root: Path
    columns: tuple[str, ...]
    condition: Condition
    start: date | None = None
    end: date | None = None

    def pieces(self, *, by_month: bool = False) -> Iterator[Piece]:
        """The rows in bounded pieces, ascending by day; at least one, which may be empty.

        Only files that may hold a piece's days are opened. by_month: no piece spans two calendar months. Raises
        QueryError (the condition does not fit the columns), WarehouseError.
        """
        source = self._listed()
        with query.connect(self.root) as con:
            for first, last, files in self._spans(source, by_month):
                part = source if files is None else dataclasses.replace(source, files=partial(list, files))
                query.make_view(con, source.name, part)
                yield Piece(first, last, self._rows(con, source, first, last))

    def _listed(self) -> Source:
        """The table's current rows; of a reference table, where days are asked, all lists of these days."""
        dataset = self.source.dataset
        if dataset and dataset.grain is Grain.SNAPSHOT and DAY in self.source.schema and (self.start or self.end):
            return dataclasses.replace(self.source, shape=None, dataset=None)
        return self.source

    def _rows(
        self, con: duckdb.DuckDBPyConnection, source: Source, first: date | None, last: date | None
    ) -> pa.Table:
        try:
            found = con.view(source.name).set_alias(source.name)
            # The engine's own parser takes exactly one expression here, whatever a text holds.
            for text in (*_day_conditions(source.schema, first, last), self.condition.text):
                found = found.filter(text) if text else found
            if source.order:
                found = found.order(", ".join(f"{ident(c)} ASC NULLS FIRST" for c in source.order))
            return found.project(", ".join(map(ident, self.columns))).to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(f"{source.name} cannot be read so: {query.plain(str(error))}") from error

    def _spans(self, source: Source, by_month: bool) -> Iterator[tuple[date | None, date | None, list[str] | None]]:
        """First and last day of each piece and the files to open, None = all there are."""
        low, high = day_bounds(self.condition, _telling(source))
        start = max((d for d in (self.start, low) if d), default=None)
        end = min((d for d in (self.end, high) if d), default=None)
        actions = source.table.actions() if source.table and not source.shape else pl.DataFrame()
        if actions.is_empty() or not {_LOW, _HIGH, _MONTH, _COUNT} <= set(actions.columns):
            yield start, end, None
            return
        spans = list(_cut(_months(actions, start or date.min, end or date.max), by_month))
        for first, last in spans:
            yield first, last, _files(source, actions, first, last)
        if not spans:
            yield start, end, []


def reader(
    source: Source,
    root: Path,
    start: date | None = None,
    end: date | None = None,
    columns: Sequence[str] | None = None,
    where: Where = None,
) -> Reader:
    """A checked request of a table; columns: None = all. Raises QueryError."""
    name, known = source.name, list(source.schema)
    if isinstance(columns, str) or (columns is not None and not columns):
        raise QueryError(f"columns is {columns!r}: give a list of names, or nothing for all columns of {name}")
    wanted = known if columns is None else [column_named(str(c), known, name) for c in columns]
    if (start or end) and not any(c in known for c in (*_DAYS, _FROM)):
        raise QueryError(f"{name} has no days: leave the first and the last day away")
    return Reader(source, root, tuple(dict.fromkeys(wanted)), condition(where, known, name), start, end)


def _day_conditions(schema: Iterable[str], first: date | None, last: date | None) -> list[str]:
    """Rows of these days; of a history, rows that were valid on one of them."""
    day = next((c for c in _DAYS if c in schema), "")
    low, high = (ident(day), ident(day)) if day else (f"coalesce({ident(_TO)}, DATE '9999-12-31')", ident(_FROM))
    found = [f"{low} >= DATE '{first.isoformat()}'"] if first else []
    return found + ([f"{high} <= DATE '{last.isoformat()}'"] if last else [])


def _telling(source: Source) -> Mapping[str, timedelta]:
    """Columns (lower case) that tell a row's day, and how far their own date may lie from it."""
    found = {c: timedelta(0) for c in _DAYS if c in source.schema}
    dataset = source.dataset
    if dataset is not None and dataset.partition_field:
        exact = dataset.column(dataset.partition_field).kind is Kind.DATE
        found[dataset.partition_field.lower()] = timedelta(0) if exact else ONE
    return found


def _months(actions: pl.DataFrame, start: date, end: date) -> list[tuple[date, date, int]]:
    """(first day, last day, about how many rows) of each month, cut to start..end, ascending."""
    months = actions.group_by(_MONTH).agg(pl.col(_LOW).min(), pl.col(_HIGH).max(), pl.col(_COUNT).sum())
    found = []
    for month, low, high, rows in sorted(months.rows()):
        whole = date.fromisoformat(f"{month}-01")  # a file without statistics may hold any day of its month
        low, high = low or whole, high or (whole + 31 * ONE).replace(day=1) - ONE
        first, last = max(low, start), min(high, end)
        if first <= last:
            share = ((last - first).days + 1) / ((high - low).days + 1)
            found.append((first, last, round((rows or 0) * share)))
    return found


def _cut(months: Sequence[tuple[date, date, int]], by_month: bool) -> Iterator[tuple[date, date]]:
    """Months joined, or cut, into spans of about ROWS_AT_ONCE rows."""
    begin: date | None = None
    before, size = date.min, 0
    for first, last, rows in months:
        if begin and (by_month or size + rows > ROWS_AT_ONCE):
            yield begin, before
            begin, size = None, 0
        if rows > ROWS_AT_ONCE:
            per_piece = max(1, int(ROWS_AT_ONCE * ((last - first).days + 1) / rows)) * ONE
            while first <= last:
                yield first, min(first + per_piece - ONE, last)
                first += per_piece
            continue
        begin, before, size = begin or first, last, size + rows
    if begin:
        yield begin, before


def _files(source: Source, actions: pl.DataFrame, first: date, last: date) -> list[str]:
    """The files that may hold rows of these days, and rows that supersede them."""
    low, high = pl.col(_LOW), pl.col(_HIGH)
    keep = high.is_null() | (high >= first)
    spread = _supersedes_later(source.dataset)
    if spread is None:
        keep &= low.is_null() | (low <= last)
    elif not spread:
        keep = pl.lit(True)
    found = actions.filter(keep).sort(_LOW, "path").get_column("path")
    return [str(source.table.path / p) for p in found] if source.table else []


def _supersedes_later(dataset: Dataset | None) -> bool | None:
    """Where keys stand in several days, as the version holds the day's column: whether the later day wins (INDO), or
    something else decides before (a document's revision). None where a key has one day."""
    if dataset is None or not dataset.partition_field or dataset.partition_field not in dataset.version:
        return None
    return dataset.version[0] == dataset.partition_field
