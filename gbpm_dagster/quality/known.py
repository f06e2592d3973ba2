"""Until when a home can know of a table's values: when the schedules ask for new ones (docs/decisions.md, 32).

Belongs here: the hours at which a home asks, and what an age is measured at because of them. Not here: the age itself
(`freshness`), what asks at those hours (`orchestration.jobs` makes its schedules from these constants).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from gbpm_dagster.catalogue.model import Dataset, Freshness, Grain
from gbpm_dagster.market.calendar import LONDON, ONE_DAY, day_bounds

NIGHTLY_HOUR, GAP_CHECK_HOUR = 2, 8
"""London hours: yesterday is fetched, and what came too late for that is found missing and healed."""

FETCH_TIME = timedelta(hours=2)
"""A load of all tables and its retries are given so long before what they should have brought is missed."""

FETCH_INTERVAL = timedelta(hours=25) + FETCH_TIME
"""The longest time between two nightly fetches that both went well: a day of 25 hours, one early and one late."""

CONNECTION_WARN, CONNECTION_FAIL = timedelta(hours=36), timedelta(hours=72)
"""Whatever its cadence, what is asked once a day has had no answer for too long then (domain.md 8.3: daily)."""


def misses_the_night(dataset: Dataset) -> bool:
    """True where the rows of yesterday are not published yet when the nightly fetch asks for it.

    A table kept by publication time has in yesterday's partition what was published yesterday, whatever its lag.
    """
    return dataset.lag.lag > timedelta(hours=NIGHTLY_HOUR) and dataset.partition_field != "publishTime"


def known_until(dataset: Dataset, now: datetime) -> datetime:
    """The instant up to which a home that all schedules served well holds what was published.

    The end of the last day the nightly fetch should have stored; of a snapshot the fetch itself. Where rows come
    after the night, when those of the last day came that the gap check found late, and had asked for again.
    """
    if dataset.grain is Grain.SNAPSHOT:
        return _last(NIGHTLY_HOUR, now)
    if not misses_the_night(dataset):
        return _midnight_before(_last(NIGHTLY_HOUR, now))
    late = _last(GAP_CHECK_HOUR, now) - dataset.lag.lag - dataset.lag.grace
    return _midnight_before(late) + dataset.lag.lag


def stored_by(dataset: Dataset, day: date, nightly: bool = True) -> datetime:
    """When the rows of a day should be stored: when it is late at the source, and where the schedules feed the table
    not before the round has ended that brings it."""
    start, end = day_bounds(day)
    late = end + dataset.lag.lag + dataset.lag.grace
    if not nightly:
        return late
    if dataset.grain is Grain.SNAPSHOT:
        return max(late - (end - start), _at(day, NIGHTLY_HOUR) + FETCH_TIME)
    if not misses_the_night(dataset):
        return max(late, _at(day + ONE_DAY, NIGHTLY_HOUR) + FETCH_TIME)
    round_ = _at(late.astimezone(LONDON).date(), GAP_CHECK_HOUR)
    if round_ < late:
        round_ = _at(late.astimezone(LONDON).date() + ONE_DAY, GAP_CHECK_HOUR)
    return round_ + FETCH_TIME


def answered_within(freshness: Freshness) -> tuple[timedelta, timedelta] | None:
    """Ages of the last answer, stored in Dagster as materialisation, that warn and fail; None where none is too old.

    The table's own limits on top of the longest time between two fetches, and never more than those of a connection.
    """
    if not freshness.judged:
        return None
    if not freshness.column:
        return freshness.warn, freshness.fail
    return (
        min(FETCH_INTERVAL + freshness.warn, CONNECTION_WARN),
        min(FETCH_INTERVAL + freshness.fail, CONNECTION_FAIL),
    )


def _last(hour: int, now: datetime) -> datetime:
    """The last time that the London clock showed that hour, FETCH_TIME or more ago."""
    before = now - FETCH_TIME
    today = before.astimezone(LONDON).date()
    at = _at(today, hour)
    return at if at <= before else _at(today - ONE_DAY, hour)


def _midnight_before(at: datetime) -> datetime:
    return day_bounds(at.astimezone(LONDON).date())[0]


def _at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), LONDON).astimezone(UTC)
