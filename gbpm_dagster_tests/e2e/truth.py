"""The lake against what the server holds: every row, every column of the catalogue, day by day.

Belongs here: the comparison, written without any of the package's decoding, and its verdicts. Not here: starting
servers (`standin`) or filling the lake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import orjson
import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Kind
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import DAY, stored_schema
from gbpm_dagster_tests.e2e import truth_tables

Get = Callable[[str], Any]
"""Fetches a path of the server (`/_truth/...`) as parsed JSON."""


class Verdict(StrEnum):
    EQUAL = "equal"
    NAMED = "missing, named"  # not equal, and the warehouse says that the day is not complete
    DIFFERENT = "different"  # rows that are not the server's, and nobody says so
    SILENT = "missing, NOT named"  # no row where the server has some, and nobody says so


BAD = (Verdict.DIFFERENT, Verdict.SILENT)


@dataclass(frozen=True, slots=True)
class DayResult:
    """One day of one table: rows of the lake and of the server, and the first difference in words."""

    table: str
    day: date
    verdict: Verdict
    rows: int
    true_rows: int
    said: str = ""  # why the warehouse calls the day not complete
    difference: str = ""


def compare(
    lake: Lake, dataset: Dataset, days: Iterable[date], get: Get, named: Mapping[date, str], *, query: str = ""
) -> list[DayResult]:
    """Hold each day of a table against the truth. named: days the warehouse calls not complete, with the reason.

    query: further parameters of the truth (`run=SF`).
    """
    return [_day(lake, dataset, day, true_rows(dataset, day, get, query), named) for day in days]


def true_rows(dataset: Dataset, day: date, get: Get, query: str = "") -> list[dict[str, Any]]:
    """The rows the server holds of a London day of the table's partition field."""
    return truth_tables.rows_of(dataset, day, get, query)


def stored_tuples(dataset: Dataset, frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Rows of the lake in the server's words: instants and dates as its texts, JSON as the value it is."""
    said = [_in_words(dataset, name) for name in dataset.names]
    rows = frame.select(said).rows()
    nested = [i for i, c in enumerate(dataset.columns) if c.kind is Kind.JSON]
    return [_with_json(row, nested) for row in rows] if nested else rows


def true_tuples(dataset: Dataset, rows: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    nested = {c.name for c in dataset.columns if c.kind is Kind.JSON}
    return [tuple(_canonical(row.get(n)) if n in nested else row.get(n) for n in dataset.names) for row in rows]


def _day(lake: Lake, dataset: Dataset, day: date, true: list[dict[str, Any]], named: Mapping[date, str]) -> DayResult:
    frame = lake.read(dataset, day, day)
    assert frame.schema == pl.Schema(stored_schema(dataset)), f"{dataset.table}: {frame.schema}"
    assert frame.filter(pl.col(DAY) != day).is_empty()
    here, there = stored_tuples(dataset, frame), true_tuples(dataset, true)
    difference = _difference(dataset, here, there)
    if not difference and (there or day not in named):
        verdict = Verdict.EQUAL
    elif day in named:
        verdict = Verdict.NAMED
    else:
        verdict = Verdict.DIFFERENT if here else Verdict.SILENT
    return DayResult(dataset.table, day, verdict, len(here), len(there), named.get(day, ""), difference)


def _difference(dataset: Dataset, here: list[tuple[Any, ...]], there: list[tuple[Any, ...]]) -> str:
    mine, theirs = Counter(here), Counter(there)
    if mine == theirs:
        return ""
    key = _key_of(dataset)
    surplus, lacking = {key(r): r for r in mine - theirs}, {key(r): r for r in theirs - mine}
    both = surplus.keys() & lacking.keys()
    parts = [
        f"{len(lacking) - len(both)} rows lacking",
        f"{len(surplus) - len(both)} too many",
        f"{len(both)} changed",
    ]
    for k in sorted(both, key=str)[:1]:
        mixed = [
            f"{n}: {a!r} for {b!r}" for n, a, b in zip(dataset.names, surplus[k], lacking[k], strict=True) if a != b
        ]
        parts.append(f"at {k}: {', '.join(mixed)}")
    if not both:
        parts.append(f"first {next(iter([*lacking, *surplus]))}")
    return "; ".join(parts)


def _key_of(dataset: Dataset) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    place = {n: i for i, n in enumerate(dataset.names)}
    fallback = dict(dataset.unit_fallback)

    def key(row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = []
        for k in dataset.key:
            value = row[place[k]]
            values.append(row[place[fallback[k]]] if value is None and k in fallback else value)
        return tuple(values)

    return key


def _in_words(dataset: Dataset, name: str) -> pl.Expr:
    kind = dataset.column(name).kind
    if kind is Kind.INSTANT:
        return pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return pl.col(name).dt.strftime("%Y-%m-%d") if kind is Kind.DATE else pl.col(name)


def _with_json(row: tuple[Any, ...], nested: Collection[int]) -> tuple[Any, ...]:
    return tuple(_canonical(orjson.loads(v)) if i in nested and v is not None else v for i, v in enumerate(row))


def _canonical(value: Any) -> bytes | None:
    return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def tally(results: Iterable[DayResult]) -> dict[str, Counter[Verdict]]:
    """Verdicts counted by table."""
    found: dict[str, Counter[Verdict]] = {}
    for r in results:
        found.setdefault(r.table, Counter())[r.verdict] += 1
    return found
