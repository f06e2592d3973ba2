"""What ought to be there: the days a table is wanted for and the slots of each day.

Belongs here: wanted days, scope files, expected settlement periods. Not here: what is there (`coverage`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Grain, Rule
from gbpm_dagster.market.calendar import day_bounds, days, london_day, periods_in_day
from gbpm_dagster.warehouse.protocol import INSTANT

Scope = Mapping[str, list[tuple[date, date]]]
"""Table -> ranges of days, both ends included: the only days a home is about."""


WHOLE_DAY = 0
"""The period of a slot that is a whole day."""


def load_scope(path: Path) -> Scope:
    """Read `{table: [[first day, last day], ...]}`; ValueError says what is wrong with the file and where."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"scope file {path} cannot be read: {error.strerror or error}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"scope file {path} is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise ValueError(f'scope file {path} must be an object {{"table": [["first day", "last day"], ...]}}')
    return {str(table): _ranges(path, str(table), ranges) for table, ranges in raw.items()}


def _ranges(path: Path, table: str, ranges: object) -> list[tuple[date, date]]:
    where = f"scope file {path}, table {table}"
    if not isinstance(ranges, list):
        raise ValueError(f"{where}: a list of [first day, last day] is needed, not {ranges!r}")
    found = []
    for pair in ranges:
        try:
            first, last = (date.fromisoformat(text) for text in pair)
        except (TypeError, ValueError):
            raise ValueError(f"{where}: {pair!r} is not [first day, last day] as yyyy-mm-dd") from None
        if first > last:
            raise ValueError(f"{where}: {first} is after {last}")
        found.append((first, last))
    return found


def wanted_days(dataset: Dataset, history_start: date, today: date, scope: Scope | None = None) -> list[date]:
    """The London days a table is wanted for, ascending.

    From the later of history_start and the dataset's first day through today; with a scope only the days of the
    table's ranges (none if the table is not in it). A snapshot is wanted for the last of these days only.
    """
    start = max(history_start, dataset.first_day)
    if scope is None:
        wanted = days(start, today)
    else:
        ranges = scope.get(dataset.table, [])
        wanted = sorted({d for first, last in ranges for d in days(max(first, start), min(last, today))})
    return wanted[-1:] if dataset.grain is Grain.SNAPSHOT else wanted


def last_due_day(dataset: Dataset, now: datetime) -> date:
    """The newest London day that was due, whole, at `now`: it ended the table's lag ago (domain.md 2.3)."""
    return london_day(now - dataset.lag.lag) - timedelta(days=1)


def by_publication(dataset: Dataset) -> bool:
    """True for tables kept by day of publication though their rows are keyed by settlement period (INDO, ITSDO)."""
    return dataset.partition_field == "publishTime" and {"settlementDate", "settlementPeriod"} <= set(dataset.key)


def day_frame(wanted: Sequence[date]) -> pl.DataFrame:
    """One row a day: day, start and end (UTC), periods and the periods of the day before."""
    return _day_frame(tuple(wanted))


@lru_cache(maxsize=8)
def _day_frame(wanted: tuple[date, ...]) -> pl.DataFrame:
    bounds = [day_bounds(d) for d in wanted]
    return pl.DataFrame(
        {
            "day": list(wanted),
            "start": [b[0] for b in bounds],
            "end": [b[1] for b in bounds],
            "periods": [periods_in_day(d) for d in wanted],
            "before": [periods_in_day(d - timedelta(days=1)) for d in wanted],
        },
        schema={"day": pl.Date, "start": INSTANT, "end": INSTANT, "periods": pl.Int32, "before": pl.Int32},
    )


def expected_slots(dataset: Dataset, wanted: Sequence[date]) -> pl.DataFrame:
    """The slots expected in each wanted day: day, date, period, end (UTC), expected (rows, > 0).

    Of Rule.DAILY the day itself, as period 0. Else settlement periods 1..N(D) of the day; in tables kept by
    publication those whose end lies in [t0(D), t0(D+1)): the last period of the day before and 1..N(D)-1.
    """
    if dataset.completeness.rule is Rule.DAILY:
        return (
            day_frame(wanted)
            .select("day", "end", date="day", period=pl.lit(WHOLE_DAY), expected=pl.lit(1))
            .cast({"period": pl.Int32, "expected": pl.Int32})
            .select("day", "date", "period", "end", "expected")
        )
    slots = _periods(tuple(wanted), by_publication(dataset))
    dates = slots["date"].unique().to_list()
    rows = pl.DataFrame(
        {"date": dates, "expected": [dataset.completeness.expected_rows(d) for d in dates]},
        schema={"date": pl.Date, "expected": pl.Int32},
    )
    return slots.join(rows, on="date", how="left", maintain_order="left").filter(pl.col("expected") > 0)


@lru_cache(maxsize=8)
def _periods(wanted: tuple[date, ...], published: bool) -> pl.DataFrame:
    """day, date, period, end of each slot: the same for all tables that are wanted for these days."""
    shift = 0 if published else 1
    slots = (
        day_frame(wanted)
        .with_columns(index=pl.int_ranges(shift, pl.col("periods") + shift, dtype=pl.Int32))
        .explode("index")
        .with_columns(end=pl.col("start") + pl.duration(minutes=30) * pl.col("index"))
    )
    first = pl.col("index") == 0
    return slots.select(
        "day",
        date=pl.when(first).then(pl.col("day").dt.offset_by("-1d")).otherwise("day"),
        period=pl.when(first).then("before").otherwise("index"),
        end="end",
    )
