"""The calendar of settlement runs as a frame: offsets by effective date, and a published calendar that overrides.

Belongs here: all days at once, and reading the user's file. Not here: one day's rule (market.working_days), what is
due (quality.runs).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gbpm_dagster.market.working_days import DISPUTES, OFFSETS, RUNS, RunOffsets, bank_holidays_of
from gbpm_dagster.warehouse.protocol import INSTANT

Published = Mapping[tuple[date, str], date | None]
"""(settlement date, run) -> its date; None: that day has no such run."""

ORDER = (*RUNS, DISPUTES)
FIRST_DAY = date(2015, 1, 1)
"""The calendar begins before the first settlement data Elexon serves (2015 or 2016)."""
AHEAD = timedelta(days=731)
DUE_HOUR = 5
"""London hour of the working day after a run from which its figures are asked for (choice: the night's work is done,
the day's has not begun)."""

RUN_SCHEMA: dict[str, Any] = {
    "settlementDate": pl.Date,
    "run": pl.String,
    "run_date": pl.Date,
    "starts_at": INSTANT,  # London midnight that begins the run's date: a row made from then on is of this run
    "due_at": INSTANT,  # when a re-fetch is due: `due_hour` of the working day after the run's date
}
"""One row a settlement date and run. Unique on both, sorted by both."""

HEADER = ["settlementDate", "run", "date"]
_LONDON = "Europe/London"
_Days = np.ndarray[Any, np.dtype[np.datetime64]]


def run_calendar(
    first: date,
    last: date,
    published: Published | None = None,
    offsets: Sequence[RunOffsets] = OFFSETS,
    due_hour: int = DUE_HOUR,
) -> pl.DataFrame:
    """The runs of all settlement dates from first to last: RUN_SCHEMA (domain.md 1.4).

    The same dates as `market.working_days.settlement_run_dates` gives one by one; days before the first offset's
    effective date have the published runs only. published: overrides, also of runs that have no offset (DF).
    """
    closed = np.array(bank_holidays_of(first.year - 1, last.year + 3), dtype="datetime64[D]")
    dated = pl.concat([_by_offsets(first, last, offsets, closed), _given(first, last, published or {})])
    dated = dated.unique(["settlementDate", "run"], keep="last").drop_nulls("run_date")
    following = _working_days_after(dated["run_date"].to_numpy().astype("datetime64[D]"), 1, closed)
    starts = pl.col("run_date").cast(pl.Datetime("us"))
    due = pl.col("following").cast(pl.Datetime("us")) + pl.duration(hours=due_hour)
    return (
        dated.with_columns(pl.Series("following", following, dtype=pl.Date))
        .with_columns(starts_at=_utc(starts), due_at=_utc(due), place=pl.col("run").replace_strict(_PLACE))
        .sort("settlementDate", "place")
        .select(list(RUN_SCHEMA))
    )


_PLACE = {run: place for place, run in enumerate(ORDER)}
_DATED = {"settlementDate": pl.Date, "run": pl.String, "run_date": pl.Date}


def _utc(local: pl.Expr) -> pl.Expr:
    return local.dt.replace_time_zone(_LONDON).dt.convert_time_zone("UTC")


def _working_days_after(days: _Days, n: int, closed: _Days) -> _Days:
    """The n-th working day after each day; the day itself never counts."""
    return np.busday_offset(days, n, roll="backward", holidays=closed)


def _by_offsets(first: date, last: date, offsets: Sequence[RunOffsets], closed: _Days) -> pl.DataFrame:
    parts = [pl.DataFrame(schema=_DATED)]
    rules = sorted(offsets, key=lambda o: o.effective)
    ends = [*(o.effective - timedelta(days=1) for o in rules[1:]), date.max]
    for rule, end in zip(rules, ends, strict=True):
        begin, stop = max(first, rule.effective), min(last, end)
        if begin > stop:
            continue
        days = pl.date_range(begin, stop, eager=True).to_numpy().astype("datetime64[D]")
        for run, n in rule.working_days.items():
            made = _working_days_after(days, n, closed)
            parts.append(pl.DataFrame({"settlementDate": days, "run": run, "run_date": made}, schema=_DATED))
    return pl.concat(parts)


def _given(first: date, last: date, published: Published) -> pl.DataFrame:
    rows = [(day, run, made) for (day, run), made in published.items() if first <= day <= last]
    return pl.DataFrame(rows, schema=_DATED, orient="row")


def load_published(path: Path) -> Published:
    """Read a published settlement calendar: CSV `settlementDate,run,date`, days as yyyy-mm-dd, an empty date = that
    day has no such run. ValueError names the line and what is allowed."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text") from None
    found: dict[tuple[date, str], date | None] = {}
    lines: dict[tuple[date, str], int] = {}
    for number, cells in _lines(text):
        key, made = _entry(number, cells)
        if key in found:
            raise ValueError(f"line {number}: {key[1]} of {key[0]} is there twice (first in line {lines[key]})")
        found[key], lines[key] = made, number
    _check_order(found, lines)
    return found


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines())
    header = next(reader, [])
    if [c.strip() for c in header] != HEADER:
        raise ValueError(f"line 1: the header must be {','.join(HEADER)}, not {','.join(header) or 'empty'}")
    for cells in reader:
        if any(c.strip() for c in cells):
            yield reader.line_num, [c.strip() for c in cells]


def _entry(number: int, cells: Sequence[str]) -> tuple[tuple[date, str], date | None]:
    if len(cells) != len(HEADER):
        raise ValueError(f"line {number}: {len(cells)} values, where {','.join(HEADER)} are three")
    day, run, made = cells
    if run not in ORDER:
        raise ValueError(f"line {number}: run is {run!r}: allowed are {', '.join(ORDER)}")
    return (_day(number, "settlementDate", day), run), _day(number, "date", made) if made else None


def _day(number: int, name: str, text: str) -> date:
    try:
        if len(text) == len("yyyy-mm-dd"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError(f"line {number}: {name} is {text!r}: give a day as yyyy-mm-dd")


def _check_order(found: Published, lines: Mapping[tuple[date, str], int]) -> None:
    """A run comes after its settlement date and after the runs before it, else no row could be told its run."""
    days = [day for day, _ in found]
    if not days:
        return
    named = pl.DataFrame({"settlementDate": days}, schema={"settlementDate": pl.Date}).unique()
    merged = run_calendar(min(days), max(days), found).join(named, on="settlementDate", how="semi")
    before = pl.col("run_date").shift(1).over("settlementDate").fill_null(pl.col("settlementDate"))
    wrong = merged.with_columns(
        before=before, earlier=pl.col("run").shift(1).over("settlementDate").fill_null("the settlement date")
    ).filter(pl.col("run_date") <= pl.col("before"))
    for day, run, made, earlier, limit in wrong.select(
        "settlementDate", "run", "run_date", "earlier", "before"
    ).iter_rows():
        number = lines.get((day, run)) or lines[day, earlier]
        raise ValueError(f"line {number}: {run} of {day} on {made} is not after {earlier} ({limit})")
