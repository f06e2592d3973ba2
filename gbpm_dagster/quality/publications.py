"""Tables kept by day of publication: are all publications there, each with its horizon, and all periods they cover.

Belongs here: classes B and D of market/domain.md 2.2 as far as evidence counts them. Not here: what a doubt does to a
day (`coverage`), the other doubts (`doubts`).

A declared cadence is Elexon's word, and real ones are finer or coarser (domain.md 2.2, 10). So a day is doubtful only
where it has fewer publications than declared *and* than the days around it; all else is a remark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.market.calendar import periods_in_day
from gbpm_dagster.quality.states import runs

AROUND, ALIKE = 7, 4
"""Of the days so near on one side so many, and most, must have one number for it to be the regular one."""

ORDINARY = 48
EVENING = 10
"""Periods at a day's end whose rows may be published on the day after: both days are asked for them."""

Said = Iterator[tuple[date, str]]


@dataclass(frozen=True, slots=True)
class Published:
    """One day: publications found, those of them that do not reach the horizon, periods without one."""

    found: int
    short: int
    without: tuple[int, ...]


def regular(numbers: Mapping[date, int], day: date, step: int) -> int:
    """The number most days on that side (step -1: before, 1: after) have; 0 if there is none."""
    near = [numbers[d] for i in range(1, AROUND + 1) if (d := day + timedelta(days=step * i)) in numbers]
    number, times = Counter(near).most_common(1)[0] if near else (0, 0)
    return number if times >= ALIKE and 2 * times > len(near) else 0


@lru_cache(maxsize=16_384)
def ordinary(day: date) -> bool:
    """False of days of 46 or 50 periods and those beside them: their grids are of other hours."""
    return all(periods_in_day(day + timedelta(days=i)) == ORDINARY for i in (-1, 0, 1))


def lacking(dataset: Dataset, held: pl.DataFrame, counted: Mapping[date, Published]) -> Said:
    """Days that lack publications, horizon, or rows of the periods they cover: (day, why).

    held: the evidence. counted: its `published`.
    """
    yield from _fewer(dataset, counted)
    if dataset.covers_periods:
        yield from _uncovered(dataset, held)


def remarks(dataset: Dataset, counted: Mapping[date, Published]) -> Said:
    """What is worth knowing of a day and no gap: a cadence unlike the declared one, a day below the usual one."""
    numbers = _numbers(dataset, counted)
    declared, most = dataset.completeness.publications, max(numbers.values(), default=0)
    for day, n in numbers.items():
        usual = _usual(numbers, day) if n < most else 0
        if declared <= n < usual:
            yield day, f"fewer publications than usual ({usual} a day; {declared} declared)"
        elif n < declared and n >= usual:
            yield day, f"fewer publications than the {declared} a day that are declared"


def _usual(numbers: Mapping[date, int], day: date) -> int:
    return regular(numbers, day, -1) or regular(numbers, day, 1)


def published(dataset: Dataset, held: pl.DataFrame) -> dict[date, Published]:
    """The days whose publications the evidence counts. Evidence written before they were counted has no slots."""
    if not dataset.counts_publications:
        return {}
    rule = dataset.completeness
    frame = (
        held.filter((pl.col("rows") > 0) & (pl.col("slots").list.len() > 0))
        .select("day", slot="slots")
        .explode("slot")
        .unnest("slot")
    )
    hourly = rule.publications == 24
    place = (pl.col("period") - 1) // 2 if hourly else pl.col("period")
    days = frame.group_by("day").agg(
        found=place.n_unique(),
        short=(pl.col("rows") < rule.horizon).sum(),
        periods=pl.col("period").unique(),
    )
    each = rule.publications == ORDINARY
    return {
        day: Published(found, short, _others(day, periods) if each else ())
        for day, found, short, periods in days.select("day", "found", "short", "periods").iter_rows()
    }


def _others(day: date, periods: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(set(range(1, periods_in_day(day) + 1)) - set(periods)))


def _numbers(dataset: Dataset, days: Mapping[date, Published]) -> dict[date, int]:
    """Publications of each day; where each hour or half hour has one as of 48 periods, else of ordinary days."""
    if dataset.completeness.publications in (24, ORDINARY):
        return {day: round(p.found * ORDINARY / periods_in_day(day)) for day, p in days.items()}
    return {day: p.found for day, p in days.items() if ordinary(day)}


def _fewer(dataset: Dataset, days: Mapping[date, Published]) -> Said:
    declared, horizon = dataset.completeness.publications, dataset.completeness.horizon
    numbers = _numbers(dataset, days)
    most, whole = max(numbers.values(), default=0), sum(p.short == 0 for p in days.values())
    for day, p in days.items():
        if numbers.get(day, declared) < min(declared, most) and numbers[day] < min(declared, _usual(numbers, day)):
            where = f", none in period {_words(p.without)}" if p.without else ""
            yield day, f"{p.found} publications, where {declared} a day are declared and usual{where}"
        if p.short and 2 * whole > len(days):
            yield day, f"{p.short} of {p.found} publications have fewer than {horizon} rows"


def _words(periods: Sequence[int]) -> str:
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b, _ in runs(periods))


def _uncovered(dataset: Dataset, held: pl.DataFrame) -> Said:
    """Settlement periods without all their members in any partition, of days whose next day is there too.

    Not where most days lack some: then the members are others than declared.
    """
    filled = held.filter((pl.col("rows") > 0) & (pl.col("slots").list.len() > 0))
    asked = set(filled["day"].to_list())
    judged = [day for day in sorted(asked) if day + timedelta(days=1) in asked]
    due = pl.DataFrame(
        [(day, periods_in_day(day), dataset.completeness.rows_of_period(day)) for day in judged],
        schema={"date": pl.Date, "periods": pl.Int32, "expected": pl.Int32},
        orient="row",
    )
    slots = filled.select(slot="slots").explode("slot").unnest("slot")
    best = slots.group_by("date", "period").agg(pl.col("rows").max()).join(due, on="date")
    whole = best.filter(pl.col("rows") >= pl.col("expected")).group_by("date").agg(there="period")
    there = due.join(whole, on="date", how="left").filter(pl.col("there").list.len().fill_null(0) < pl.col("periods"))
    if 2 * there.height > len(judged):
        return
    odd = {day: _others(day, periods or ()) for day, periods in there.select("date", "there").iter_rows()}
    for day, lost in odd.items():
        yield day, f"period {_words(lost)} without all its rows in any day of publication"
        if lost[-1] > periods_in_day(day) - EVENING:
            yield day + timedelta(days=1), f"period {_words(lost)} of {day} without all its rows"
