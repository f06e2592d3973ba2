"""The exact path of decoding: row by row, every oddity seen, kept and named.

Belongs here: unknown and absent columns, values of the wrong type, null keys. Not here: speed (`fast`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

import orjson
import polars as pl

from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Kind
from gbpm_dagster.elexon import envelope, values
from gbpm_dagster.market.calendar import london_day
from gbpm_dagster.warehouse.protocol import INSTANT, POLARS_TYPE, frame_schema

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class Decoded:
    """A body as typed rows (`frame_schema(dataset)`) and all that could not be one.

    fetched = len(rows) + len(quarantined). quarantined: (London day if known, reason, record JSON). drift: (day,
    unknown column, JSON of the row's key and the value); drift_rows: the place in `rows` of each drift entry, None
    if the row is quarantined. absent_columns: those that no row has (of columns that may not be null: or no row has
    a value of). Where only some rows lack a column it is null if it may be, else those rows are quarantined.
    """

    rows: pl.DataFrame
    fetched: int
    quarantined: list[tuple[date | None, str, str]] = field(default_factory=list)
    drift: list[tuple[date | None, str, str]] = field(default_factory=list)
    drift_rows: list[int | None] = field(default_factory=list)
    absent_columns: tuple[str, ...] = ()
    unknown_columns: tuple[str, ...] = ()
    fast: bool = False


def required(dataset: Dataset) -> tuple[tuple[str, ...], ...]:
    """Columns without which a row has no place, in groups of which one must be there: key, partition, window."""
    fallback = dict(dataset.unit_fallback)
    key = [(name, fallback[name]) if name in fallback else (name,) for name in dataset.key]
    selects = dataset.endpoint.selects
    window = ("settlementDate", "settlementPeriod") if selects == PERIOD_START else (selects,)
    needed = (*key, *((name,) for name in (dataset.partition_field, *window) if name))
    return tuple(dict.fromkeys(group for group in needed if group[0] not in dataset.nullable_key))


def never_null(dataset: Dataset) -> tuple[str, ...]:
    """Columns that Elexon's document says are never null, and that a row could do without to have a place."""
    placed = {name for group in required(dataset) for name in group}
    return tuple(c.name for c in dataset.columns if not c.nullable and c.name not in placed)


def absent(dataset: Dataset, rows: pl.DataFrame, present: Collection[str]) -> tuple[str, ...]:
    """The columns an answer does not have: not among its fields, or never null by the document and null in all."""
    empty = {
        name for name in never_null(dataset) if rows.height and rows.get_column(name).null_count() == rows.height
    }
    return tuple(name for name in dataset.names if name not in present or name in empty)


def read(dataset: Dataset, body: bytes, given: Mapping[str, str] = NOTHING) -> Decoded:
    """Every row of a body; raises `envelope.NotRows`. given: columns with the one value that all rows have."""
    reader = _Reader(dataset, given)
    for row in _rows(dataset, envelope.rows(body, dataset.endpoint.single)):
        reader.take(row)
    return reader.finish()


def _rows(dataset: Dataset, outer: list[Any]) -> Iterator[Any]:
    """The table's rows: those of the answer, or the elements nested in them with the outer fields repeated."""
    nest = dataset.endpoint.rows_at
    bare = dataset.names[0] if len(dataset.names) == 1 else ""
    for row in outer:
        if bare and isinstance(row, str):  # a list of texts
            yield {bare: row}
            continue
        inner = row.get(nest) if nest and isinstance(row, dict) else None
        if not isinstance(inner, list):
            yield row
            continue
        around = {name: value for name, value in row.items() if name != nest}
        for element in inner:
            yield {**around, **element} if isinstance(element, dict) else element


def nested_names(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Nested objects whose members are columns: name -> their columns (pairVolumes -> pairVolumes.negative1, ...)."""
    found: dict[str, tuple[str, ...]] = {}
    for name in dataset.names:
        outer, dot, _ = name.partition(".")
        if dot:
            found[outer] = (*found.get(outer, ()), name)
    return found


class _Reader:
    def __init__(self, dataset: Dataset, given: Mapping[str, str]) -> None:
        self.dataset, self.given = dataset, given
        self.nested = nested_names(dataset)
        self.columns = [(c.name, values.CONVERT[c.kind]) for c in dataset.columns]
        self.kept: list[dict[str, Any]] = []
        self.known = frozenset(dataset.names)
        self.required = required(dataset)
        self.taken: dict[str, list[Any]] = {name: [] for name in dataset.names}
        self.out = Decoded(pl.DataFrame(schema=frame_schema(dataset)), 0)
        self.present: set[str] = set()
        self.unknown: dict[str, None] = {}

    def take(self, row: Any) -> None:
        self.out.fetched += 1
        if not isinstance(row, dict):
            self._set_aside(row, "the row is not an object")
            return
        if self.dataset.endpoint.rows_at and self.dataset.endpoint.rows_at in row:
            self._set_aside(row, f"{self.dataset.endpoint.rows_at} is not a list")
            return
        place = len(self.kept)
        as_it_came, row = row, self._flat(row)
        typed = self._typed(row)
        if isinstance(typed, str):
            self._set_aside(as_it_came, typed)
        else:
            for (name, _), value in zip(self.columns, typed, strict=True):
                self.taken[name].append(value)
            self.kept.append(as_it_came)
        self.present |= row.keys()
        if not row.keys() <= self.known:
            self._note_columns(row, None if isinstance(typed, str) else place)

    def _flat(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with what the request says of it, and with the members of nested objects as fields of its own."""
        if not (self.given or self.nested):
            return row
        flat = {**self.given, **row}
        for outer, names in self.nested.items():
            inner = flat.get(outer)
            if outer in flat and inner is None:  # null as a whole: so is each member
                del flat[outer]
                flat.update(dict.fromkeys(names))
            elif isinstance(inner, dict):
                del flat[outer]
                flat.update({f"{outer}.{name}": value for name, value in inner.items()})
        return flat

    def _typed(self, row: dict[str, Any]) -> list[Any] | str:
        """The row's values in the catalogue's order and types, or the reason why it cannot be a row."""
        typed: list[Any] = []
        for name, convert in self.columns:
            value = row.get(name)
            try:
                typed.append(None if value is None else convert(value))
            except ValueError as error:
                return f"{name}: {error}"
        for group in self.required:
            if all(row.get(name) is None for name in group):
                what = "null" if any(name in row for name in group) else "absent"
                return f"{' and '.join(group)} {'are' if len(group) > 1 else 'is'} {what}"
        return typed

    def finish(self) -> Decoded:
        self.out.rows = pl.DataFrame([_series(c.name, c.kind, self.taken[c.name]) for c in self.dataset.columns])
        if self.present:
            self.out.absent_columns = absent(self.dataset, self.out.rows, self.present)
        self.out.unknown_columns = tuple(self.unknown)
        self._set_damaged_aside()
        return self.out

    def _set_damaged_aside(self) -> None:
        """Quarantine rows without a value that is never null, where other rows of the same answer have it.

        An answer in which no row has it is a property of the source (recordings that were restored are like that);
        one in which some rows have it is damaged.
        """
        rows = self.out.rows
        names = [n for n in never_null(self.dataset) if 0 < rows.get_column(n).null_count() < rows.height]
        if not names:
            return
        damaged = rows.select(pl.any_horizontal(pl.col(names).is_null())).to_series()
        for place in damaged.arg_true().to_list():
            name = next(n for n in names if rows.get_column(n)[place] is None)
            self._set_aside(self.kept[place], f"{name} has no value, though it is never null and other rows have it")
        self.out.rows = rows.filter(~damaged)
        new_place = (~damaged).cum_sum().to_list()
        self.out.drift_rows = [None if i is None or damaged[i] else new_place[i] - 1 for i in self.out.drift_rows]

    def _note_columns(self, row: dict[str, Any], place: int | None) -> None:
        for name in sorted(row.keys() - self.known):
            self.unknown[name] = None
            record = {k: row.get(k) for k in self.dataset.key_columns} | {name: row[name]}
            self.out.drift.append((self._day(row), name, _dump(record)))
            self.out.drift_rows.append(place)

    def _set_aside(self, row: Any, reason: str) -> None:
        self.out.quarantined.append((self._day(row), reason, _dump(row)))

    def _day(self, row: Any) -> date | None:
        """The London day a row belongs to, if its partition field can be read."""
        name = self.dataset.partition_field
        value = row.get(name) if name and isinstance(row, dict) else None
        if value is None:
            return None
        try:
            if self.dataset.column(name).kind is Kind.DATE:
                return values.day(value)
            values.instant(value)
            return london_day(_aware(value))
        except (ValueError, OverflowError):
            return None


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else datetime.fromisoformat(text + "+00:00")


def _series(name: str, kind: Kind, taken: list[Any]) -> pl.Series:
    if kind is Kind.INSTANT:
        return pl.Series(name, taken, dtype=pl.Int64).cast(INSTANT)
    return pl.Series(name, taken, dtype=POLARS_TYPE[kind])


def _dump(value: Any) -> str:
    return orjson.dumps(value).decode()
