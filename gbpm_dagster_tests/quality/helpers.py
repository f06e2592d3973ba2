"""Evidence, attempts and a warehouse in memory for the tests of this room."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from hashlib import sha256
from typing import Any

import duckdb
import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.market.calendar import periods_in_day
from gbpm_dagster.warehouse.protocol import (
    ATTEMPT_SCHEMA,
    EVIDENCE_SCHEMA,
    KNOWN_GAP_SCHEMA,
    QUARANTINE_SCHEMA,
    QueryError,
    stored_schema,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text.replace(" ", "T") + "+00:00")


def slots_of(day: date, rows: int, *, without: Collection[int] = ()) -> list[dict[str, Any]]:
    """Every period of the day with so many rows, but not the periods named."""
    return [{"date": day, "period": n, "rows": rows} for n in range(1, periods_in_day(day) + 1) if n not in without]


def answer(
    dataset: Dataset, day: date, fetched_at: datetime, slots: Iterable[Mapping[str, Any]] = (), **more: Any
) -> dict[str, Any]:
    """One row of evidence."""
    held = [dict(s) for s in slots]
    rows = more.pop("rows", sum(s["rows"] for s in held))
    return {
        **dict.fromkeys(EVIDENCE_SCHEMA),
        "table": dataset.table,
        "day": day,
        "fetched_at": fetched_at,
        "source": "REST",
        "windows_asked": 1,
        "windows_answered": 1,
        "rows": rows,
        "distinct_keys": rows,
        "quarantined": 0,
        "slots": held,
        **more,
    }


def attempt(dataset: Dataset, day: date, at: datetime, outcome: str, **more: Any) -> dict[str, Any]:
    """One row of the attempts log."""
    return {
        **dict.fromkeys(ATTEMPT_SCHEMA),
        "table": dataset.table,
        "day": day,
        "at": at,
        "outcome": outcome,
        "error_class": "",
        "message": "",
        **more,
    }


def evidence(*rows: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([dict(r) for r in rows], schema=EVIDENCE_SCHEMA)


def attempts(*rows: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([dict(r) for r in rows], schema=ATTEMPT_SCHEMA)


def _hash(rows: pl.DataFrame) -> str:
    return sha256(repr(rows.rows()).encode()).hexdigest()


class Memory:
    """A warehouse of frames: what `sql`, `read`, `evidence`, `attempts` and `quarantine` give is what was put in."""

    def __init__(self) -> None:
        self.tables: dict[str, pl.DataFrame] = {}
        self.answers = evidence()
        self.tries = attempts()
        self.aside = pl.DataFrame(schema=QUARANTINE_SCHEMA)
        self.register = pl.DataFrame(schema=KNOWN_GAP_SCHEMA)
        self.queries: list[str] = []

    def put(self, dataset: Dataset, rows: Iterable[Mapping[str, Any]], fetched_at: datetime) -> None:
        """Store rows (each with `_day`) and the evidence that goes with them."""
        frame = pl.DataFrame([dict(r) for r in rows], schema=stored_schema(dataset))
        self.tables[dataset.table] = frame
        claims = [
            answer(
                dataset,
                day,
                fetched_at,
                rows=part.height,
                content_hash=sha256(repr(part.rows()).encode()).hexdigest(),
            )
            for (day,), part in frame.partition_by("_day", as_dict=True).items()
        ]
        others = self.answers.filter(pl.col("table") != dataset.table)
        self.answers = pl.concat([others, evidence(*claims)])

    def sql(self, query: str, *, dialect: str = "duckdb") -> pl.DataFrame:
        assert dialect == "duckdb"
        self.queries.append(query)
        with duckdb.connect() as con:
            con.execute("SET TimeZone='UTC'")
            for name, frame in self.tables.items():
                con.register(name, frame.to_arrow())
            try:
                return pl.DataFrame(pl.from_arrow(con.sql(query).to_arrow_table()))
            except duckdb.Error as error:
                raise QueryError(str(error)) from error

    def read(
        self,
        dataset: Dataset,
        start: date | None = None,
        end: date | None = None,
        columns: Collection[str] | None = None,
    ) -> pl.DataFrame:
        frame = self.tables[dataset.table]
        if start is not None:
            frame = frame.filter(pl.col("_day") >= start)
        if end is not None:
            frame = frame.filter(pl.col("_day") <= end)
        return frame.select(list(columns) if columns else pl.all())

    def count_rows(self, dataset: Dataset, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        frame = self.tables[dataset.table].filter(pl.col("_day").is_between(start or date.min, end or date.max))
        return frame.group_by(day="_day").agg(rows=pl.len().cast(pl.Int64))

    def evidence(
        self, tables: Collection[str] | None = None, start: date | None = None, end: date | None = None
    ) -> pl.DataFrame:
        found = self.answers
        if tables is not None:
            found = found.filter(pl.col("table").is_in(list(tables)))
        if start is not None:
            found = found.filter(pl.col("day") >= start)
        if end is not None:
            found = found.filter(pl.col("day") <= end)
        return found.sort("table", "day")

    def attempts(self, tables: Collection[str] | None = None, since: datetime | None = None) -> pl.DataFrame:
        found = self.tries
        return found if tables is None else found.filter(pl.col("table").is_in(list(tables)))

    def quarantine(self, tables: Collection[str] | None = None) -> pl.DataFrame:
        return self.aside if tables is None else self.aside.filter(pl.col("table").is_in(list(tables)))

    def known_gaps(self, tables: Collection[str] | None = None) -> pl.DataFrame:
        return self.register if tables is None else self.register.filter(pl.col("table").is_in(list(tables)))
