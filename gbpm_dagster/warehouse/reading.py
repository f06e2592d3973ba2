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
from gbpm_dagster.warehouse.query import Source
from gbpm_dagster.warehouse.views import FINAL, RUN, ident, spans_days

ROWS_AT_ONCE = 500_000
"""Rows of a piece, about: one or two of the largest days, so that memory does not grow with the range."""

ONE = timedelta(days=1)
_DAYS = (DAY, "day", "settlementDate")
"""Columns that tell a row's London day, the first that a view shows."""
_TIME = ("settlementPeriod", "startTime", "publishTime")
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

    sources: all there are, as a view may stand over several. columns: those asked, as the table writes them.
    start, end: London days, None = open.
    """

    sources: Mapping[str, Source]
    source: Source
    root: Path
    columns: tuple[str, ...]
    condition: Condition
    start: date | None = None
    end: date | None = None

    @property
    def judged(self) -> Dataset | None:
        """The entry whose days the rows are, where they are a table's own; None of views, vintages and evidence."""
        dataset = self.source.dataset
        return dataset if dataset and dataset.table == self.source.name else None

    def pieces(self, *, by_month: bool = False) -> Iterator[Piece]:
        """The rows in bounded pieces, ascending by day; at least one, which may be empty.

        Only files that may hold a piece's days are opened. by_month: no piece spans two calendar months. Raises
        QueryError (the condition does not fit the columns), WarehouseError.
        """
        source = self._listed()
        named = _named(self.columns, self.condition)
        over = query.view_of(source, named).over
        with query.connect(self.root) as con:
            for first, last, files in self._spans(source, over, by_month):
                parts = {**self.sources, source.name: source}
                for name, found in files.items():
                    parts[name] = dataclasses.replace(parts[name], files=partial(list, found))
                query.make_view(con, source.name, parts, named)
                yield Piece(first, last, self._rows(con, source, first, last))

    def _listed(self) -> Source:
        """The table's current rows; of a reference table, where days are asked, all lists of these days."""
        dataset = self.judged
        if dataset and dataset.grain is Grain.SNAPSHOT and (self.start or self.end):
            return dataclasses.replace(self.source, view=None)
        return self.source

    def _rows(
        self, con: duckdb.DuckDBPyConnection, source: Source, first: date | None, last: date | None
    ) -> pa.Table:
        try:
            found = con.view(source.name).set_alias(source.name)
            # The engine's own parser takes exactly one expression here, whatever a text holds.
            for text in (*_day_conditions(found.columns, first, last), self.condition.text):
                found = found.filter(text) if text else found
            if order := source.order or _order(found.columns):
                found = found.order(", ".join(f"{ident(c)} ASC NULLS FIRST" for c in order))
            return found.project(", ".join(map(ident, self.columns))).to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(f"{source.name} cannot be read so: {query.plain(str(error))}") from error

    def _spans(
        self, source: Source, over: Sequence[str], by_month: bool
    ) -> Iterator[tuple[date | None, date | None, dict[str, list[str]]]]:
        """First and last day of each piece, and the files to open of the tables it stands over (not named: all)."""
        low, high = day_bounds(self.condition, _telling(source))
        start = max((d for d in (self.start, low) if d), default=None)
        end = min((d for d in (self.end, high) if d), default=None)
        parts = [self.sources[n] for n in over if _by_day(source) and DAY in self.sources[n].schema]
        actions = {s.name: s.table.actions() for s in parts if s.table is not None}
        filled = [a for a in actions.values() if a.height]
        if not filled or not all({_LOW, _HIGH, _MONTH, _COUNT} <= set(a.columns) for a in filled):
            yield start, end, {}
            return
        months = pl.concat([a.select(_MONTH, _LOW, _HIGH, _COUNT) for a in filled], how="vertical_relaxed")
        spans = list(_cut(_months(months, start or date.min, end or date.max), by_month))
        for first, last in spans:
            yield first, last, {n: _files(self.sources[n], a, first, last) for n, a in actions.items()}
        if not spans:
            yield start, end, {n: [] for n in actions}


def reader(
    sources: Mapping[str, Source],
    name: str,
    root: Path,
    start: date | None = None,
    end: date | None = None,
    columns: Sequence[str] | None = None,
    where: Where = None,
) -> Reader:
    """A checked request of a table; columns: None = all. Raises QueryError."""
    known = _shown(sources, name, root)
    if isinstance(columns, str) or (columns is not None and not columns):
        raise QueryError(f"columns is {columns!r}: give a list of names, or nothing for all columns of {name}")
    wanted = known if columns is None else [column_named(str(c), known, name) for c in columns]
    if (start or end) and not any(c in known for c in (*_DAYS, _FROM)):
        raise QueryError(f"{name} has no days: leave the first and the last day away")
    asked = condition(where, known, name)
    return Reader(sources, sources[name], root, tuple(dict.fromkeys(wanted)), asked, start, end)


def _shown(sources: Mapping[str, Source], name: str, root: Path) -> list[str]:
    """The columns SQL shows of a source, in order."""
    empty = {n: dataclasses.replace(s, files=None, frame=None) for n, s in sources.items()}
    with query.connect(root) as con:
        query.make_view(con, name, empty, True)
        return list(con.view(name).columns)


def _named(columns: Iterable[str], asked: Condition) -> bool:
    """Whether the computed columns are needed (views.Shape)."""
    return bool({RUN, FINAL} & {*columns, *asked.columns})


def _order(columns: Sequence[str]) -> list[str]:
    """Where a view does not say what puts its rows in order: the day and the time."""
    return [c for c in (*_DAYS, *_TIME) if c in columns]


def _day_conditions(columns: Iterable[str], first: date | None, last: date | None) -> list[str]:
    """Rows of these days; of a history by validity, rows that were valid on one of them."""
    day = next((c for c in _DAYS if c in columns), "")
    low, high = (ident(day), ident(day)) if day else (f"coalesce({ident(_TO)}, DATE '9999-12-31')", ident(_FROM))
    found = [f"{low} >= DATE '{first.isoformat()}'"] if first else []
    return found + ([f"{high} <= DATE '{last.isoformat()}'"] if last else [])


def _telling(source: Source) -> Mapping[str, timedelta]:
    """Columns (lower case) that tell a row's day, and how far their own date may lie from it."""
    found = dict.fromkeys((DAY, "day"), timedelta(0))
    dataset = source.dataset
    if dataset is not None and dataset.partition_field:
        exact = dataset.column(dataset.partition_field).kind is Kind.DATE
        found[dataset.partition_field.lower()] = timedelta(0) if exact else ONE
    return found


def _by_day(source: Source) -> bool:
    """Whether what SQL shows of a day follows from the files `_files` names: not so of newest lists and intervals of
    lists, nor of the history of keys that stand in several days."""
    dataset = source.dataset
    if dataset is None or source.view is None:
        return source.view is None
    return dataset.grain is Grain.DAILY and (source.name == dataset.table or not spans_days(dataset))


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
    if actions.is_empty() or source.table is None:
        return []
    low, high = pl.col(_LOW), pl.col(_HIGH)
    keep = high.is_null() | (high >= first)
    dataset = source.dataset
    if source.view is None or dataset is None or not spans_days(dataset):
        keep &= low.is_null() | (low <= last)
    elif dataset.version[0] != dataset.partition_field:
        keep = pl.lit(True)  # something else decides before the day: a document's revision
    return [str(source.table.path / p) for p in actions.filter(keep).sort(_LOW, "path").get_column("path")]
