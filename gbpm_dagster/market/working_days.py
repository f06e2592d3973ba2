"""Working days of England & Wales and the dates of settlement runs (market/domain.md 1.4).

Belongs here: bank holidays, working-day arithmetic, run offsets by effective date. Not here: what a run changed.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import holidays

RUNS = ("II", "SF", "R1", "R2", "R3", "RF")
"""Settlement runs in their order; disputes (DF) come about 28 months later and have no fixed offset."""

DISPUTES = "DF"
"""The run after RF: only a published calendar can date it."""


@dataclass(frozen=True, slots=True)
class RunOffsets:
    """Working-day offsets of each run for settlement dates from `effective` on."""

    effective: date
    working_days: Mapping[str, int]


OFFSETS: tuple[RunOffsets, ...] = (
    RunOffsets(date.min, {"II": 5, "SF": 16, "R1": 39, "R2": 84, "R3": 154, "RF": 292}),
)
"""Offsets by effective date, earliest first: half-hourly settlement reform will add entries (domain.md 1.4)."""


@lru_cache(maxsize=1)
def bank_holidays() -> holidays.HolidayBase:
    """Bank holidays of England & Wales, computed year by year as they are asked for."""
    return holidays.country_holidays("GB", subdiv="ENG")


def bank_holidays_of(first: int, last: int) -> list[date]:
    """Bank holidays of those years (both included), in order."""
    found = bank_holidays()
    for year in range(first, last + 1):
        _ = date(year, 1, 1) in found  # the library works a year out when it is first asked about
    return sorted(day for day in found if first <= day.year <= last)


def is_working_day(day: date, calendar: Container[date] | None = None) -> bool:
    """Monday to Friday and not in `calendar` (default: the bank holidays of England & Wales)."""
    closed = bank_holidays() if calendar is None else calendar
    return day.weekday() < 5 and day not in closed


def working_day_add(day: date, n: int, calendar: Container[date] | None = None) -> date:
    """The n-th working day after `day`, which itself never counts; ValueError unless n >= 1.

    calendar: the days, beside weekends, on which no work is done; default: bank holidays of England & Wales.
    """
    if n < 1:
        raise ValueError(f"the n-th working day after {day} needs n >= 1, not {n}")
    found = day
    while n:
        found += timedelta(days=1)
        n -= is_working_day(found, calendar)
    return found


def settlement_run_dates(
    day: date,
    calendar: Container[date] | None = None,
    offsets: Sequence[RunOffsets] = OFFSETS,
    published: Mapping[str, date] | None = None,
) -> dict[str, date]:
    """Run -> date for one settlement date, in the order of the runs.

    offsets: the entry with the latest `effective` not after the settlement date counts; LookupError if there is none.
    published: dates of the published settlement calendar, which override.
    """
    known = [o for o in offsets if o.effective <= day]
    if not known:
        raise LookupError(f"no settlement run offsets are configured for {day}")
    rule = max(known, key=lambda o: o.effective).working_days
    return {run: working_day_add(day, n, calendar) for run, n in rule.items()} | dict(published or {})
