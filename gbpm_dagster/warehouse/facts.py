"""What a partition's rows say about themselves: slots, times, newest version, content hash. Pure, vectorised by day.

Belongs here: the measured columns of the evidence. Not here: the answer's account (merge) and storing (ledger).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from gbpm_dagster.catalogue.model import GRID_TOLERANCE, Dataset, Kind
from gbpm_dagster.warehouse.merge import key_names, rank_names, with_keys, with_ranks
from gbpm_dagster.warehouse.protocol import DAY, SLOT

LONDON = "Europe/London"


def london_day(instant: pl.Expr) -> pl.Expr:
    """London calendar day of an instant."""
    return instant.dt.convert_time_zone(LONDON).dt.date()


def settlement_period(instant: pl.Expr) -> pl.Expr:
    """Settlement period of an instant: half hours in UTC since London midnight, from 1 (domain.md 1.1)."""
    midnight = london_day(instant).cast(pl.Datetime("us")).dt.replace_time_zone(LONDON).dt.convert_time_zone("UTC")
    return ((instant - midnight).dt.total_minutes() // 30 + 1).cast(pl.Int32)


def measure(dataset: Dataset, current: pl.DataFrame) -> pl.DataFrame:
    """One row a day that has rows: _day and the measured columns of EVIDENCE_SCHEMA (rows ... content_hash, slots).

    current: stored_schema rows sorted by day and key (what `merge.combine` returns).
    """
    time = _time_column(dataset)
    clock = [
        (pl.col(time).min() if time else pl.lit(None, pl.Datetime("us", "UTC"))).alias("first_time"),
        (pl.col(time).max() if time else pl.lit(None, pl.Datetime("us", "UTC"))).alias("last_time"),
    ]
    keyed = with_keys(current, dataset)
    key = [DAY, *key_names(dataset)]
    fresh = pl.any_horizontal(pl.col(k).ne_missing(pl.col(k).shift(1)) for k in key) | (pl.int_range(pl.len()) == 0)
    result = (
        keyed.with_columns(fresh.alias("_fresh"))
        .group_by(DAY)
        .agg(
            pl.len().cast(pl.Int64).alias("rows"),
            pl.col("_fresh").sum().cast(pl.Int64).alias("distinct_keys"),
            *clock,
        )
    )
    for part in (_newest_version(dataset, current), _hashes(dataset, current), _slots(dataset, current)):
        result = result.join(part, on=DAY, how="left")
    return result.sort(DAY)


def empty_hash(dataset: Dataset) -> str:
    """The content hash of a partition without rows."""
    return _hash([])


def rows_hash(rows: pl.DataFrame, names: Sequence[str]) -> str:
    """The content hash of the rows of one day (a column DAY among them), in their order, over those columns."""
    return next((digest for _, digest in _day_hashes(rows, names)), _hash([]))


def key_set_hashes(dataset: Dataset, winners: pl.DataFrame) -> dict[date, str]:
    """Hash of the set of keys of each day: what a second answer must repeat to confirm a smaller one (decision 6)."""
    keys = key_names(dataset)
    frame = with_keys(winners, dataset).select(DAY, *keys).sort(DAY, *keys)
    return {day: "keys:" + digest for day, digest in _day_hashes(frame, keys)}


def row_hashes(rows: pl.DataFrame, names: Sequence[str]) -> dict[date, str]:
    """Hash of the rows of each day in these columns, repeated rows counted, whatever their order."""
    return dict(_day_hashes(rows.select(DAY, *(n for n in names if n != DAY)).sort(DAY, *names), names))


def _time_column(dataset: Dataset) -> str:
    names = set(dataset.names)
    for name in (dataset.endpoint.selects, "startTime", "timeFrom"):
        if name in names and dataset.column(name).kind is Kind.INSTANT:
            return name
    return ""


def _newest_version(dataset: Dataset, current: pl.DataFrame) -> pl.DataFrame:
    """(_day, newest_version): the greatest stamp as text, its parts joined by a blank; null where there is none."""
    none = pl.lit(None, pl.String).alias("newest_version")
    if not dataset.version:
        return current.select(DAY).unique().with_columns(none)
    rows = with_ranks(current.select(DAY, *dataset.version), dataset)
    for rank in rank_names(dataset):
        greatest = pl.col(rank).max().over(DAY)
        rows = rows.filter(pl.col(rank).eq_missing(greatest))
    texts = [_text(dataset, v) for v in dataset.version]
    joined = pl.concat_str(texts, separator=" ", ignore_nulls=True).alias("newest_version")
    last = rows.unique(subset=[DAY], keep="first", maintain_order=True).select(DAY, joined)
    return last.with_columns(pl.when(pl.col("newest_version") != "").then(pl.col("newest_version")))


def _text(dataset: Dataset, name: str) -> pl.Expr:
    if dataset.column(name).kind is Kind.INSTANT:
        return pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return pl.col(name).cast(pl.String)


def _slots(dataset: Dataset, current: pl.DataFrame) -> pl.DataFrame:
    """(_day, slots): rows that count, by settlement date and period; an empty list where periods are not counted.

    Where publications are counted the half hour is theirs. The samples of a grid are counted by its instants.
    A row counts if its values are there and its member, where members are declared, is one of that day's; of one
    member no more rows count than are due, so that a surplus never makes up for what is not there (domain.md 2.4).
    """
    days = current.select(DAY).unique()
    nothing = pl.lit([], pl.List(SLOT)).alias("slots")
    if not dataset.counts_periods or not (dataset.has_period or _half_hours(dataset)):
        return days.with_columns(nothing)
    rule = dataset.completeness
    values = [pl.col(v).is_not_null() for v in rule.values]
    counting = current.filter(*values) if values else current
    slot, member = [DAY, "date", "period"], rule.member_column
    if rule.members:
        placed = _counted(dataset, counting, member)
        counted = (
            placed.join(_declared(dataset, placed["date"].unique().to_list()), on=["date", member], how="semi")
            .with_columns(pl.col("rows").clip(upper_bound=rule.rows_per_period))
            .group_by(slot)
            .agg(pl.col("rows").sum().cast(pl.Int32))
        )
    else:
        counted = _counted(dataset, counting)
    slots = counted.sort(slot).group_by(DAY).agg(pl.struct("date", "period", "rows").alias("slots"))
    return days.join(slots, on=DAY, how="left").with_columns(pl.col("slots").fill_null(pl.lit([], pl.List(SLOT))))


def _counted(dataset: Dataset, rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """(_day, date, period, *by, rows): rows by settlement date and period (and the columns in `by`)."""
    many = pl.len().cast(pl.Int32).alias("rows")
    if dataset.completeness.grid:
        rows = _on_grid(dataset, rows)
    if dataset.has_period and not dataset.counts_publications:
        place = pl.col("settlementDate").alias("date"), pl.col("settlementPeriod").cast(pl.Int32).alias("period")
        return rows.select(DAY, *place, *by).group_by(DAY, "date", "period", *by).agg(many)
    # Counted by half hour first: 48 of them a day are placed, not each of its thousands of instants.
    half = pl.col(dataset.partition_field).dt.truncate("30m").alias("_half")
    counted = rows.select(DAY, half, *by).group_by(DAY, "_half", *by).agg(many)
    place = london_day(pl.col("_half")).alias("date"), settlement_period(pl.col("_half")).alias("period")
    return counted.select(DAY, *place, *by, "rows")


def _on_grid(dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each instant of the grid that has a sample within GRID_TOLERANCE, at that instant."""
    field, grid = dataset.partition_field, dataset.completeness.grid
    nearest = (pl.col(field) + grid / 2).dt.truncate(grid)
    near = (pl.col(field) - nearest).abs() <= GRID_TOLERANCE
    return rows.filter(near).with_columns(nearest.alias(field)).unique([DAY, field])


def _declared(dataset: Dataset, dates: Iterable[date | None]) -> pl.DataFrame:
    """(date, member) of every declared member on those settlement dates."""
    rule = dataset.completeness
    pairs = [(day, name) for day in dates if day is not None for name in rule.members_on(day)]
    return pl.DataFrame(pairs, schema={"date": pl.Date, rule.member_column: pl.String}, orient="row")


def _half_hours(dataset: Dataset) -> bool:
    """Whether the half hour of a row can be read off the instant that puts it into its partition."""
    return bool(dataset.partition_field) and dataset.column(dataset.partition_field).kind is Kind.INSTANT


def _hashes(dataset: Dataset, current: pl.DataFrame) -> pl.DataFrame:
    names = sorted(dataset.names)  # a column moved in the catalogue is no change of content
    found = list(_day_hashes(current.select(DAY, *names), names))
    return pl.DataFrame(found, schema={DAY: pl.Date, "content_hash": pl.String}, orient="row")


def _day_hashes(frame: pl.DataFrame, names: Sequence[str]) -> Iterator[tuple[date, str]]:
    """(day, hash) of the sorted rows of each day. Columns that are null all day do not count, so that a column added
    to the catalogue leaves the hash of older days as it was."""
    if not frame.height:
        return
    lengths = frame.get_column(DAY).rle().struct.unnest()
    ends = lengths["len"].cum_sum().to_list()
    columns = [(name, _buffers(frame.get_column(name))) for name in names]
    begin = 0
    for day, end in zip(lengths["value"].to_list(), ends, strict=True):
        parts: list[Any] = []
        for name, (valid, *values) in columns:
            mask = valid[begin:end]
            if mask.any():
                parts += [name.encode(), mask, *(_cut(v, begin, end) for v in values)]
        yield day, _hash(parts)
        begin = end


def _hash(parts: Sequence[Any]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        view = memoryview(part).cast("B")
        digest.update(len(view).to_bytes(8, "little"))
        digest.update(view)
    return digest.hexdigest()


def _cut(values: Any, begin: int, end: int) -> Any:
    """Rows begin..end of a column's values; texts are (lengths, offsets, bytes)."""
    if isinstance(values, tuple):
        offsets, data = values
        return data[offsets[begin] : offsets[end]]
    return values[begin:end]


def _buffers(column: pl.Series) -> tuple[Any, ...]:
    """(validity, values...) of a column as contiguous little-endian arrays, nulls as zero; -0.0 is 0.0."""
    valid = column.is_not_null().to_numpy().astype(np.uint8)
    if column.dtype == pl.String:
        text = column.fill_null("").to_arrow().cast(pa.large_string())
        if isinstance(text, pa.ChunkedArray):
            text = text.combine_chunks()
        _, offset_buffer, data = text.buffers()
        offsets = np.frombuffer(offset_buffer, dtype="<i8", count=len(text) + 1, offset=text.offset * 8)
        return valid, np.diff(offsets), (offsets, memoryview(data or b""))
    if column.dtype == pl.Float64:
        return valid, np.ascontiguousarray((column.fill_null(0.0) + 0.0).to_numpy(), dtype="<f8")
    whole = column.cast(pl.Int32) if column.dtype == pl.Date else column
    return valid, np.ascontiguousarray(whole.cast(pl.Int64).fill_null(0).to_numpy(), dtype="<i8")
