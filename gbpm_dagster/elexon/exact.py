"""The exact path of decoding: row by row, every oddity seen, kept and named.

Belongs here: unknown and absent columns, values of the wrong type, null keys. Not here: speed (`fast`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import orjson
import polars as pl

from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Kind
from gbpm_dagster.elexon import envelope, values
from gbpm_dagster.market.calendar import london_day
from gbpm_dagster.warehouse.protocol import INSTANT, POLARS_TYPE, frame_schema


@dataclass(slots=True)
class Decoded:
    """A body as typed rows (`frame_schema(dataset)`) and all that could not be one.

    fetched = len(rows) + len(quarantined). quarantined: (London day if known, reason, record JSON). drift: (day,
    unknown column, JSON of the row's key and the value); drift_rows: the place in `rows` of each drift entry, None
    if the row is quarantined. absent_columns: those that some row does not have.
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


def read(dataset: Dataset, body: bytes) -> Decoded:
    """Every row of a body; raises `envelope.NotRows`."""
    reader = _Reader(dataset)
    for row in _rows(dataset, envelope.rows(body)):
        reader.take(row)
    return reader.finish()


def _rows(dataset: Dataset, outer: list[Any]) -> Iterator[Any]:
    """The table's rows: those of the answer, or the elements nested in them with the outer fields repeated."""
    nest = dataset.endpoint.rows_at
    for row in outer:
        inner = row.get(nest) if nest and isinstance(row, dict) else None
        if not isinstance(inner, list):
            yield row
            continue
        around = {name: value for name, value in row.items() if name != nest}
        for element in inner:
            yield {**around, **element} if isinstance(element, dict) else element


class _Reader:
    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.columns = [(c.name, values.CONVERT[c.kind]) for c in dataset.columns]
        self.kept = 0
        self.known = frozenset(dataset.names)
        self.required = required(dataset)
        self.taken: dict[str, list[Any]] = {name: [] for name in dataset.names}
        self.out = Decoded(pl.DataFrame(schema=frame_schema(dataset)), 0)
        self.absent: dict[str, None] = {}
        self.unknown: dict[str, None] = {}

    def take(self, row: Any) -> None:
        self.out.fetched += 1
        if not isinstance(row, dict):
            self._set_aside(row, "the row is not an object")
            return
        if self.dataset.endpoint.rows_at and self.dataset.endpoint.rows_at in row:
            self._set_aside(row, f"{self.dataset.endpoint.rows_at} is not a list")
            return
        place = self.kept
        typed = self._typed(row)
        if isinstance(typed, str):
            self._set_aside(row, typed)
        else:
            for (name, _), value in zip(self.columns, typed, strict=True):
                self.taken[name].append(value)
            self.kept += 1
        if row.keys() != self.known:
            self._note_columns(row, None if isinstance(typed, str) else place)

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
        self.out.absent_columns, self.out.unknown_columns = tuple(self.absent), tuple(self.unknown)
        return self.out

    def _note_columns(self, row: dict[str, Any], place: int | None) -> None:
        self.absent.update(dict.fromkeys(name for name in self.dataset.names if name not in row))
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
