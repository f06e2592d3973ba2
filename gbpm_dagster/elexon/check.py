"""Is each row inside the window asked for? The answer to paths that ignore a misspelt parameter.

Belongs here: sorting rows into kept, outside (shared edges, days not wanted), quarantined and stray. Not here: HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import polars as pl

from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Grain, Kind, Style
from gbpm_dagster.elexon import values
from gbpm_dagster.elexon.decode import Decoded, london_days, partition_days
from gbpm_dagster.elexon.plan import Window
from gbpm_dagster.market.calendar import HALF_HOUR, day_bounds, london_day

LONDON_TZ = "Europe/London"
Quarantine = list[tuple[date | None, str, str]]


@dataclass(slots=True)
class Sorted:
    """rows: inside `[start, end)` and of a wanted day. outside: how many stood on the shared inclusive end or on a
    day not wanted. quarantined, drift: of the window's own rows, so that two windows do not both report the edge.
    strays: how many lay outside the inclusive window, with the first and last such value; then nothing is kept.
    """

    rows: pl.DataFrame
    outside: int
    quarantined: Quarantine
    drift: list[tuple[date | None, str, str]]
    strays: int = 0
    stray_span: str = ""


def sort_rows(dataset: Dataset, window: Window, decoded: Decoded) -> Sorted:
    """Each row's place with regard to its window (rest-api.md sections 3 and 4: the API includes both ends)."""
    rows = decoded.rows
    if dataset.grain is Grain.SNAPSHOT:
        return Sorted(rows, 0, decoded.quarantined, decoded.drift)
    own = [entry for entry in decoded.quarantined if not _on_edge(dataset, window, entry[2])]
    outside = len(decoded.quarantined) - len(own)
    if not rows.height:
        return Sorted(rows, outside, own, decoded.drift)
    place = _place(dataset, window, rows)
    stray = place.filter(~pl.col("inclusive"))["at"]
    if stray.len():
        return Sorted(rows, 0, [], [], stray.len(), f"{stray.min()!s} to {stray.max()!s}")
    odd = _odd(dataset, rows, place)
    kept = place["kept"]
    inside = rows if bool(kept.all()) else rows.filter(kept)
    drift = [d for d, i in zip(decoded.drift, decoded.drift_rows, strict=True) if i is None or kept[i]]
    return Sorted(inside, outside + rows.height - inside.height - len(odd), own + odd, drift)


def _place(dataset: Dataset, window: Window, rows: pl.DataFrame) -> pl.DataFrame:
    """A frame beside the rows: at (what selects them), its day, the partition's day, and where that puts the row."""
    frame = _selected(dataset, window, rows).with_columns(own=partition_days(dataset, rows))
    at, margin = pl.col("at"), dataset.endpoint.margin
    if frame.schema["at"] == pl.Date:
        first, last = london_day(window.start), london_day(window.end - timedelta(microseconds=1))
        edge = london_day(window.end) if dataset.endpoint.style is Style.RANGE else last
        # The window is of the days, the request reaches beyond it by the margin, and so may what it selects by.
        since = (at >= first - 2 * margin) | dataset.endpoint.earlier
        frame = frame.with_columns(inclusive=since & (at <= edge + 2 * margin), inside=at.is_between(first, last))
    else:
        start, end = window.start - margin, window.end + margin
        until_end = at <= end if dataset.endpoint.style is Style.RANGE else at < end
        frame = frame.with_columns(
            inclusive=((at >= start) | dataset.endpoint.earlier) & until_end,
            # With a margin both of two windows may answer a row: both keep it, and it counts once.
            inside=at.is_between(start, end, closed="both" if margin else "left"),
        )
    wanted, agree = pl.col("day").is_in(list(window.days)), pl.col("day") == pl.col("own")
    return frame.with_columns(
        inclusive=pl.col("inclusive") | ~pl.col("possible"),
        kept=pl.col("possible") & pl.col("inside") & wanted & agree,
        odd=~pl.col("possible") | (pl.col("inside") & wanted & ~agree),
    )


def _selected(dataset: Dataset, window: Window, rows: pl.DataFrame) -> pl.DataFrame:
    """Columns `at` (the value by which the window selects the row), `day` (its London day) and `possible`."""
    if dataset.endpoint.selects == PERIOD_START:
        day, period = pl.col("settlementDate"), pl.col("settlementPeriod")
        start = _midnight(day) + pl.duration(minutes=30 * (period.clip(0, 51) - 1))  # clipped lest it overflow
        possible = period.is_between(1, 50) & (start < _midnight(day.dt.offset_by("1d")))
        return rows.select(start.alias("at"), day.alias("day"), possible.alias("possible"))
    if dataset.endpoint.style is Style.IDS:
        days = pl.Series([window.days[0]], dtype=pl.Date).new_from_index(0, rows.height)
        return pl.DataFrame({"at": days, "day": days}).with_columns(possible=True)
    at = rows.get_column(dataset.endpoint.selects)
    day_of = london_days(at, dataset.column(dataset.endpoint.selects).kind)
    return pl.DataFrame({"at": at, "day": day_of}).with_columns(possible=True)


def _midnight(day: pl.Expr) -> pl.Expr:
    return day.cast(pl.Datetime("us")).dt.replace_time_zone(LONDON_TZ).dt.convert_time_zone("UTC")


def _odd(dataset: Dataset, rows: pl.DataFrame, place: pl.DataFrame) -> Quarantine:
    """Rows in the window whose period does not exist, or whose partition is another day than the one asked for."""
    if not bool(place["odd"].any()):
        return []
    by = {PERIOD_START: "its settlement period", "": "the list of its id"}.get(
        dataset.endpoint.selects, dataset.endpoint.selects
    )
    found: Quarantine = []
    for row, of in zip(
        rows.filter(place["odd"]).iter_rows(named=True), place.filter(pl.col("odd")).rows(named=True), strict=True
    ):
        reason = (
            f"{dataset.partition_field} is of {of['own']}, but {by} is of {of['day']}: the row belongs to two days"
        )
        if not of["possible"]:
            reason = f"settlementPeriod: {row['settlementDate']} has no period {row['settlementPeriod']}"
        found.append((of["day"], reason, orjson.dumps(row, option=orjson.OPT_UTC_Z).decode()))
    return found


def _on_edge(dataset: Dataset, window: Window, record: str) -> bool:
    """Whether a row that could not be read is another window's: on the inclusive end, or of a day not wanted."""
    row = orjson.loads(record)
    if not isinstance(row, dict) or not dataset.endpoint.selects:
        return False
    try:
        at, day = _selected_by(dataset, row)
    except (ValueError, OverflowError):
        return False
    if at is None:
        return london_day(window.start) <= day < london_day(window.end) and day not in window.days
    if at < window.start and dataset.endpoint.earlier:
        return True
    return window.start <= at <= window.end and (at == window.end or day not in window.days)


def _selected_by(dataset: Dataset, row: dict[str, Any]) -> tuple[datetime | None, date]:
    """The window value of one row as it came: (instant if it has one, London day); raises ValueError."""
    if dataset.endpoint.selects == PERIOD_START:
        day = values.day(row.get("settlementDate"))
        return day_bounds(day)[0] + HALF_HOUR * (values.integer(row.get("settlementPeriod")) - 1), day
    value = row.get(dataset.endpoint.selects)
    if dataset.column(dataset.endpoint.selects).kind is Kind.DATE:
        return None, values.day(value)
    at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=values.instant(value))
    return at, london_day(at)
