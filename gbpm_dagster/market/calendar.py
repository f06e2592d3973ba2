"""The settlement calendar: London days, settlement periods, EFA blocks (market/domain.md 1.1-1.3).

Belongs here: pure arithmetic of days and periods. Not here: bank holidays and settlement runs (`working_days`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
HALF_HOUR = timedelta(minutes=30)
ONE_DAY = timedelta(days=1)

_EFA_STARTS = (23, 3, 7, 11, 15, 19, 23)
"""Local hour at which blocks 1..6 begin, and the hour at which the last one ends; the first is the evening before."""


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise ValueError(f"{instant!r} has no time zone: a settlement period needs an aware instant")
    return instant.astimezone(UTC)


@lru_cache(maxsize=65_536)
def _midnight(day: date) -> datetime:
    """t0(D): the UTC instant at which the London day begins. London never changes its clocks at midnight."""
    return datetime.combine(day, time(), LONDON).astimezone(UTC)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The London day as a half-open UTC interval `[t0(D), t0(D+1))`: 23, 24 or 25 hours."""
    return _midnight(day), _midnight(day + ONE_DAY)


def periods_in_day(day: date) -> int:
    """Settlement periods of that day: 46 (clocks go forward), 50 (back), else 48."""
    start, end = day_bounds(day)
    return (end - start) // HALF_HOUR


def sp_bounds(day: date, period: int) -> tuple[datetime, datetime]:
    """The period as a half-open UTC interval; ValueError unless 1 <= period <= periods_in_day(day)."""
    last = periods_in_day(day)
    if not 1 <= period <= last:
        raise ValueError(f"{day} has settlement periods 1 to {last}, not {period}")
    start = _midnight(day) + HALF_HOUR * (period - 1)
    return start, start + HALF_HOUR


def london_day(instant: datetime) -> date:
    """The London calendar day an aware instant lies in (= its settlement date); ValueError if it is naive."""
    return _utc(instant).astimezone(LONDON).date()


def sp_of(instant: datetime) -> tuple[date, int]:
    """(settlement date, period) of an aware instant; a period's start belongs to it. ValueError if naive."""
    moment = _utc(instant)
    day = moment.astimezone(LONDON).date()
    return day, (moment - _midnight(day)) // HALF_HOUR + 1


def sp_range(start: datetime, end: datetime) -> Iterator[tuple[date, int]]:
    """All (date, period) that overlap `[start, end)` with positive length, in order; ValueError if naive."""
    moment, stop = _utc(start), _utc(end)
    if moment >= stop:
        return
    day, period = sp_of(moment)
    moment = sp_bounds(day, period)[0]
    while moment < stop:
        yield sp_of(moment)
        moment += HALF_HOUR


def sp_add(day: date, period: int, shift: int) -> tuple[date, int]:
    """The period `shift` half hours later (earlier if negative), counted in UTC."""
    return sp_of(sp_bounds(day, period)[0] + HALF_HOUR * shift)


def efa(instant: datetime) -> tuple[date, int]:
    """(EFA date, block 1..6) by London clock: the day begins at 23:00 the evening before. ValueError if naive."""
    local = _utc(instant).astimezone(LONDON)
    day = local.date() + (ONE_DAY if local.hour == 23 else timedelta())
    return day, ((local.hour + 1) % 24) // 4 + 1


def efa_block_bounds(efa_day: date, block: int) -> tuple[datetime, datetime]:
    """The block as a half-open UTC interval: 4 hours, block 1 three or five on clock-change days.

    ValueError unless 1 <= block <= 6.
    """
    if not 1 <= block <= 6:
        raise ValueError(f"an EFA day has blocks 1 to 6, not {block}")

    def edge(i: int) -> datetime:
        day = efa_day - ONE_DAY if i == 0 else efa_day
        return datetime.combine(day, time(_EFA_STARTS[i]), LONDON).astimezone(UTC)

    return edge(block - 1), edge(block)


def triad_season(day: date) -> int | None:
    """The year in which the Triad season of that day begins; None outside November to February."""
    if day.month >= 11:
        return day.year
    return day.year - 1 if day.month <= 2 else None


def days(start: date, end: date) -> list[date]:
    """All days from start to end, both included; empty if start is after end."""
    return [start + timedelta(days=i) for i in range((end - start).days + 1)]
