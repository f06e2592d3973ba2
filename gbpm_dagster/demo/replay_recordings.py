"""The recorded rows in memory: one frame a table, and whether a London day of it is whole.

Belongs here: reading gbpm_dagster/demo/recordings/. Not here: HTTP, what is withheld (withhold.py).
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Collection
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from gbpm_dagster.catalogue import registry
from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Kind, Rule

RECORDINGS = Path(__file__).parent / "recordings"
LONDON = ZoneInfo("Europe/London")
_INSTANT = pl.Datetime("us", "UTC")
_DAY_COLUMNS = ("settlementDate",)
_INSTANTS = ("startTime", "publishTime", "timeFrom")
_TEXTS = ("fuelType", "dataProvider", "bmUnit", "nationalGridBmUnit", "boundary")
_INTEGERS = ("settlementPeriod", "settlementPeriodFrom")


class RecordingsError(Exception):
    """The recordings are not there or cannot be read; the message names the folder or file."""


def day_start(day: date) -> datetime:
    """London midnight of that day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=LONDON).astimezone(UTC)


def load(directory: Path = RECORDINGS, tables: Collection[str] | None = None) -> dict[str, pl.DataFrame]:
    """Frames of the tables recorded in `directory` (files `<table>.<form>.ndjson.gz`, one row as sent a line).

    Columns: body (the row's JSON text as it is served), at (the instant by which the path's window selects, UTC),
    day (London day of the table's partition field), period (settlement period), form (native or restored) and
    the fields that parameters filter on; null where the row lacks them. Sorted by `at`, file order kept within.
    """
    files = sorted(directory.glob("*.ndjson.gz"))
    if not files:
        raise RecordingsError(f"there are no recordings in {directory}; make them with scripts/pack_recordings.py")
    frames: dict[str, list[pl.DataFrame]] = {}
    for file in files:
        table, form = file.name.split(".")[:2]
        if tables is None or table in tables:
            frames.setdefault(table, []).append(_read(registry.get(table), file, form))
    return {table: pl.concat(parts).sort("at", maintain_order=True) for table, parts in frames.items()}


def index(directory: Path = RECORDINGS) -> dict[str, Any]:
    """index.json beside the recordings: files with source, commit, licence and form; days left out of scope."""
    found: dict[str, Any] = json.loads((directory / "index.json").read_text(encoding="utf-8"))
    return found


def scope(directory: Path = RECORDINGS) -> dict[str, list[tuple[date, date]]]:
    """scope.json: for each table the ranges of London days recorded whole, both ends included."""
    found = json.loads((directory / "scope.json").read_text(encoding="utf-8"))
    return {t: [(date.fromisoformat(a), date.fromisoformat(b)) for a, b in ranges] for t, ranges in found.items()}


def _read(dataset: Dataset, file: Path, form: str) -> pl.DataFrame:
    try:
        text = gzip.decompress(file.read_bytes())
    except (OSError, EOFError) as error:
        raise RecordingsError(f"the recording {file} cannot be read: {error}") from error
    names = (*_DAY_COLUMNS, *_INSTANTS, *_TEXTS)
    schema: dict[str, Any] = dict.fromkeys(names, pl.String) | dict.fromkeys(_INTEGERS, pl.Int64)
    rows = pl.read_ndjson(io.BytesIO(text), schema=schema)
    bodies = pl.Series("body", text.decode("utf-8").split("\n")[: rows.height], dtype=pl.String)
    frame = rows.with_columns(
        bodies,
        pl.lit(form).alias("form"),
        pl.col("settlementDate").str.to_date(),
        *(pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC", strict=True) for name in _INSTANTS),
    )
    return frame.with_columns(_at(dataset).alias("at"), _day(dataset).alias("day"), _period().alias("period"))


def _at(dataset: Dataset) -> pl.Expr:
    """The instant a window selects by: the column itself, or the start of the settlement period."""
    selects = dataset.endpoint.selects
    if selects in _INSTANTS:
        return pl.col(selects)
    if selects == PERIOD_START or selects == "settlementDate":
        midnight = pl.col("settlementDate").cast(pl.Datetime("us")).dt.replace_time_zone("Europe/London")
        return midnight.dt.convert_time_zone("UTC") + pl.duration(minutes=30) * (pl.col("settlementPeriod") - 1)
    return pl.lit(None, _INSTANT)


def _day(dataset: Dataset) -> pl.Expr:
    if not dataset.partition_field:
        return pl.lit(None, pl.Date)
    if dataset.column(dataset.partition_field).kind is Kind.DATE:
        return pl.col(dataset.partition_field)
    return pl.col(dataset.partition_field).dt.convert_time_zone("Europe/London").dt.date()


def _period() -> pl.Expr:
    return pl.coalesce("settlementPeriod", "settlementPeriodFrom")


def shortfall(dataset: Dataset, frame: pl.DataFrame, day: date) -> str:
    """Why that London day is not whole by the table's completeness rule (market/domain.md 2.1); "" when it is.

    `frame` is one of `load`. Counts rows per half-hour that lies in the day (for tables asked by publication: per
    half-hour whose end does), with all declared members and values that are not null.
    """
    rule, rows = dataset.completeness, frame.filter(pl.col("day") == day)
    if rule.rule is not Rule.PERIODS:
        return "" if rows.height >= max(rule.floor, 1) else f"{rows.height} rows, floor {rule.floor}"
    counted = [row for body in rows["body"] for row in _flat(dataset, json.loads(body))]
    counted = [row for row in counted if all(row.get(v) is not None for v in rule.values)]
    slots = (day_start(date.fromordinal(day.toordinal() + 1)) - day_start(day)).total_seconds() / 1800
    members: tuple[str | None, ...] = rule.members_on(day) or (None,)
    have: dict[tuple[str, int, str | None], int] = {}
    for row in counted:
        member = row.get(rule.member_column) if rule.members else None
        slot = (str(row.get("settlementDate", day)), int(row["settlementPeriod"]), member)
        have[slot] = have.get(slot, 0) + 1
    periods = {slot[:2] for slot in have}
    if len(periods) != slots:
        return f"{len(periods)} of {slots:.0f} settlement periods"
    lacking = [(p, m) for p in sorted(periods) for m in members if have.get((*p, m), 0) < rule.rows_per_period]
    if lacking:
        (when, period), member = lacking[0]
        what = f" {member}" if member else ""
        short = f"{len(lacking)} series of a period with fewer than {rule.rows_per_period} rows"
        return f"{short}, first {when} period {period}{what}"
    return ""


def _flat(dataset: Dataset, row: dict[str, Any]) -> list[dict[str, Any]]:
    nested = dataset.endpoint.rows_at
    if not nested:
        return [row]
    outer = {k: v for k, v in row.items() if k != nested}
    return [{**outer, **inner} for inner in row[nested]]
