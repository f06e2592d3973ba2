"""Is each row inside the window asked for? The answer to paths that ignore a misspelt parameter.

Belongs here: sorting rows into kept, outside (shared edges, days not wanted), quarantined and stray. Not here: HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import orjson
import polars as pl

from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Style
from gbpm_dagster.elexon.decode import london_days, partition_days
from gbpm_dagster.elexon.plan import Window
from gbpm_dagster.market.calendar import london_day

LONDON_TZ = "Europe/London"


@dataclass(slots=True)
class Sorted:
    """rows: inside `[start, end)` and of a wanted day. outside: how many stood on the shared inclusive end or on a
    day not wanted. strays: how many lay outside the inclusive window, with the first and last such value."""

    rows: pl.DataFrame
    outside: int
    quarantined: list[tuple[date | None, str, str]]
    strays: int = 0
    stray_span: str = ""


def sort_rows(dataset: Dataset, window: Window, rows: pl.DataFrame) -> Sorted:
    """Each row's place with regard to its window (rest-api.md section 3, 4: both ends are included by the API)."""
    if dataset.endpoint.style is Style.NONE or not rows.height:
        return Sorted(rows, 0, [])
    quarantined: list[tuple[date | None, str, str]] = []
    if dataset.endpoint.selects == PERIOD_START:
        rows = _drop_impossible_periods(dataset, rows, quarantined)
    place = _place(dataset, window, rows)
    strays = rows.filter(~place["inclusive"])
    if strays.height:
        at = place.filter(~place["inclusive"])["at"]
        return Sorted(rows, 0, quarantined, strays.height, f"{at.min()!s} to {at.max()!s}")
    odd = rows.filter(place["odd"])
    for row, asked, own in zip(odd.iter_rows(named=True), *_days(place.filter(place["odd"])), strict=True):
        reason = (
            f"{dataset.partition_field} is of {own}, but {_by(dataset)} is of {asked}: the row belongs to two days"
        )
        quarantined.append((asked, reason, _record(row)))
    kept = rows if bool(place["kept"].all()) else rows.filter(place["kept"])
    return Sorted(kept, rows.height - kept.height - odd.height, quarantined)


def _place(dataset: Dataset, window: Window, rows: pl.DataFrame) -> pl.DataFrame:
    """A frame beside the rows: at (what selects them), its day, the partition's day, and where that puts the row."""
    frame = _selected(dataset, rows).with_columns(own=partition_days(dataset, rows))
    at = pl.col("at")
    if frame.schema["at"] == pl.Date:
        first, last = london_day(window.start), london_day(window.end - timedelta(microseconds=1))
        edge = london_day(window.end) if dataset.endpoint.style is Style.RANGE else last
        frame = frame.with_columns(inclusive=at.is_between(first, edge), inside=at.is_between(first, last))
    else:
        closed = "both" if dataset.endpoint.style is Style.RANGE else "left"
        frame = frame.with_columns(
            inclusive=at.is_between(window.start, window.end, closed=closed),  # type: ignore[arg-type]
            inside=at.is_between(window.start, window.end, closed="left"),
        )
    wanted, agree = pl.col("day").is_in(list(window.days)), pl.col("day") == pl.col("own")
    return frame.with_columns(
        kept=pl.col("inside") & wanted & agree,
        odd=pl.col("inside") & wanted & ~agree,
    )


def _selected(dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    """Columns `at`, the value by which the window selects the row, and `day`, its London day."""
    if dataset.endpoint.selects == PERIOD_START:
        return rows.select(_period_start().alias("at"), pl.col("settlementDate").alias("day"))
    at = rows.get_column(dataset.endpoint.selects)
    kind = dataset.column(dataset.endpoint.selects).kind
    return pl.DataFrame({"at": at, "day": london_days(at, kind)})


def _midnight(day: pl.Expr) -> pl.Expr:
    return day.cast(pl.Datetime("us")).dt.replace_time_zone(LONDON_TZ).dt.convert_time_zone("UTC")


def _period_start() -> pl.Expr:
    """Local midnight in UTC + 30 min x (period - 1) (rest-api.md section 7)."""
    period = pl.col("settlementPeriod").clip(0, 51)  # beyond them is impossible anyway, and must not overflow
    return _midnight(pl.col("settlementDate")) + pl.duration(minutes=30 * (period - 1))


def _drop_impossible_periods(
    dataset: Dataset, rows: pl.DataFrame, quarantined: list[tuple[date | None, str, str]]
) -> pl.DataFrame:
    day = pl.col("settlementDate")
    possible = pl.col("settlementPeriod").is_between(1, 50) & (_period_start() < _midnight(day.dt.offset_by("1d")))
    marked = rows.with_columns(__possible=possible)
    for row in marked.filter(~pl.col("__possible")).drop("__possible").iter_rows(named=True):
        reason = f"settlementPeriod: {row['settlementDate']} has no period {row['settlementPeriod']}"
        quarantined.append((row["settlementDate"], reason, _record(row)))
    return marked.filter(pl.col("__possible")).drop("__possible")


def _days(place: pl.DataFrame) -> tuple[list[date], list[date]]:
    return place["day"].to_list(), place["own"].to_list()


def _by(dataset: Dataset) -> str:
    return "its settlement period" if dataset.endpoint.selects == PERIOD_START else dataset.endpoint.selects


def _record(row: dict[str, object]) -> str:
    return orjson.dumps(row, option=orjson.OPT_UTC_Z).decode()
