"""What comes to be stored: is it what the protocol says, which days go together, and as one frame of rows.

Belongs here: checking and joining arrivals before the merge. Not here: the merge, the steps of writing (replace).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date
from itertools import groupby, pairwise

import numpy as np
import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Kind
from gbpm_dagster.warehouse import facts
from gbpm_dagster.warehouse.protocol import (
    DAY,
    FETCHED_AT,
    INSTANT,
    MONTH,
    SOURCE,
    Arrival,
    WarehouseError,
    frame_schema,
    stored_schema,
)

ROWS_AT_ONCE = 2_000_000
"""Months are joined into one merge up to so many answered rows: few commits without unbounded memory."""


def month_of(day: date) -> str:
    return f"{day:%Y-%m}"


def check_arrivals(dataset: Dataset, ordered: Sequence[Arrival]) -> None:
    """Raise WarehouseError if an arrival is not what the protocol says: columns, types, time, rows of its own day."""
    want = frame_schema(dataset)
    names, types = list(want), list(want.values())
    for before, after in pairwise(ordered):
        if before.day == after.day:
            raise WarehouseError(f"{dataset.table} {after.day}: two answers for one day in one call; join their rows")
    for a in ordered:
        place = f"{dataset.table} {a.day}"
        if a.fetched_at.tzinfo is None:
            raise WarehouseError(f"{place}: fetched_at {a.fetched_at} has no time zone; give aware UTC")
        if a.rows.columns == names and a.rows.dtypes == types:
            continue
        missing = [n for n in want if n not in a.rows.columns]
        odd = [n for n in a.rows.columns if n not in want]
        if missing or odd:
            raise WarehouseError(
                f"{place}: the rows' columns are not the catalogue's (missing: {missing or 'none'}, unknown: "
                f"{odd or 'none'}); give exactly frame_schema({dataset.table})"
            )
        wrong = [f"{n} is {a.rows.schema[n]}, not {t}" for n, t in want.items() if a.rows.schema[n] != t]
        if wrong:
            raise WarehouseError(f"{place}: wrong column types: {'; '.join(wrong)}")


def check_days(dataset: Dataset, rows: pl.DataFrame) -> None:
    """Raise WarehouseError if a row does not lie on the London day of its partition."""
    name = dataset.partition_field
    if not name or not rows.height:
        return
    day = pl.col(name)
    if dataset.column(name).kind is Kind.INSTANT:
        day = facts.london_day(day)
    # London days follow each other as instants do: if the first and the last are right, so are those between.
    ends = rows.group_by(DAY).agg(pl.col(name).min().alias("low"), pl.col(name).max().alias("high"))
    edges = pl.concat([ends.select(DAY, pl.col(edge).alias(name)) for edge in ("low", "high")])
    if rows.get_column(name).null_count():
        edges = pl.concat([edges, rows.filter(pl.col(name).is_null()).select(DAY, name)])
    stray = edges.select(day.alias("is"), pl.col(DAY).alias("of")).filter(pl.col("is").ne_missing(pl.col("of")))
    if stray.height:
        found, of = stray.row(0)
        raise WarehouseError(
            f"{dataset.table} {of}: a row's {name} lies on {found}, not in the partition's day; nothing was changed"
        )


def batches(ordered: Sequence[Arrival], *, one_by_one: bool) -> Iterator[list[Arrival]]:
    """Whole months together, up to ROWS_AT_ONCE rows; snapshots singly, as each is judged by the one before."""
    batch: list[Arrival] = []
    rows = 0
    for _, group in groupby(ordered, key=lambda a: a.day if one_by_one else month_of(a.day)):
        days = list(group)
        size = sum(a.rows.height for a in days)
        if batch and (one_by_one or rows + size > ROWS_AT_ONCE):
            yield batch
            batch, rows = [], 0
        batch += days
        rows += size
    if batch:
        yield batch


def joined(dataset: Dataset, batch: Sequence[Arrival]) -> pl.DataFrame:
    """All rows of the batch with our own columns: stored_schema (built once: a frame a day costs a millisecond)."""
    names = list(dataset.names)
    rows = pl.concat([a.rows if a.rows.columns == names else a.rows.select(names) for a in batch], rechunk=True)
    each = pl.DataFrame(
        [(a.day, month_of(a.day), a.fetched_at.astimezone(UTC), a.source) for a in batch],
        schema={DAY: pl.Date, MONTH: pl.String, FETCHED_AT: INSTANT, SOURCE: pl.String},
        orient="row",
    )
    place = pl.Series(np.repeat(np.arange(len(batch)), [a.rows.height for a in batch]))
    ours = [_constant(each[n]) if each[n].n_unique() == 1 else each[n].gather(place) for n in each.columns]
    return rows.with_columns(ours).select(list(stored_schema(dataset)))


def _constant(column: pl.Series) -> pl.Expr:
    return pl.lit(column[0], column.dtype).alias(column.name)


def lost_columns(arrival: Arrival, stored: pl.DataFrame) -> list[str]:
    """Columns that the answer does not have and stored rows of its day have values of."""
    there = stored.filter(pl.col(DAY) == arrival.day).select(pl.col(list(arrival.absent_columns)).is_not_null().any())
    return sorted(name for name in there.columns if there[name][0])
