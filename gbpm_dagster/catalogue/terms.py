"""Words the entries share: kinds of columns, ways to be asked, lags, freshness rules.

Belongs here: what several entries say alike. Not here: entries, members of sets (`members`), columns (`vocabulary`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gbpm_dagster.catalogue.model import Endpoint, Freshness, Kind, Lag, Style

TEXT, INT, NUM = Kind.STRING, Kind.INTEGER, Kind.NUMBER
FLAG, DATE, INSTANT, JSON = Kind.BOOLEAN, Kind.DATE, Kind.INSTANT, Kind.JSON

UNIT = (("nationalGridBmUnit", "bmUnit"),)
"""The unit part of a key: NESO's id, else Elexon's (decision 2)."""

UNKNOWN = "unknown: starts at one day"
"""Source of a cap that nobody has stated; a refusal that names one is learnt from."""


def minutes(n: int) -> timedelta:
    return timedelta(minutes=n)


def hours(n: int) -> timedelta:
    return timedelta(hours=n)


def days(n: int) -> timedelta:
    return timedelta(days=n)


# Ways to be asked (elexon/rest-api.md section 2).


def published(path: str, cap: timedelta, source: str, **more: Any) -> Endpoint:
    """Two instants of publication."""
    return Endpoint(
        path,
        Style.RANGE,
        ("publishDateTimeFrom", "publishDateTimeTo"),
        selects="publishTime",
        cap=cap,
        cap_source=source,
        **more,
    )


def between(path: str, selects: str, cap: timedelta, source: str, **more: Any) -> Endpoint:
    """Two instants, `from` and `to`."""
    return Endpoint(path, Style.RANGE, ("from", "to"), selects=selects, cap=cap, cap_source=source, **more)


def dates(
    path: str, first: str, last: str, cap: timedelta, source: str, selects: str = "settlementDate", **more: Any
) -> Endpoint:
    """Two dates."""
    return Endpoint(path, Style.DATES, (first, last), selects=selects, cap=cap, cap_source=source, **more)


def on_date(path: str, param: str = "settlementDate", **more: Any) -> Endpoint:
    """One settlement date."""
    source = "date in the path" if f"{{{param}}}" in path else "one date a call"
    return Endpoint(path, Style.DATE, (param,), selects="settlementDate", cap=days(1), cap_source=source, **more)


def in_period(path: str, **more: Any) -> Endpoint:
    """One settlement period."""
    return Endpoint(
        path,
        Style.PERIOD,
        ("settlementDate", "settlementPeriod"),
        selects="settlementDate",
        cap=minutes(30),
        cap_source="one settlement period a call",
        **more,
    )


def as_of(path: str, step: timedelta, **more: Any) -> Endpoint:
    """The publication in force at an instant, asked for every `step`."""
    return Endpoint(
        path,
        Style.INSTANT,
        ("publishTime",),
        selects="publishTime",
        cap=step,
        cap_source="one publication a call",
        step=step,
        earlier=True,  # the publication in force at an instant may be of another day
        **more,
    )


def snapshot(path: str, **more: Any) -> Endpoint:
    """No window: the present list."""
    return Endpoint(path, Style.NONE, cap_source="no window", **more)


# When rows are due, late and missing (domain.md 2.3; choices where it names none).

NOTIFIED = Lag.minutes(15, 30, 240)
"""Notifications, bids, acceptances: minutes after the event."""
TRANSPARENCY = Lag.minutes(180, 720, 4320)
"""AGPT, AGWS and their like: hours to a day."""
SETTLED = Lag.minutes(1440, 720, 5760)
"""With the settlement calculation of the next day."""
METERED = Lag.minutes(7 * 1440, 2 * 1440, 14 * 1440)
"""With the II run, about five working days later."""
LISTED = Lag.minutes(0, 1440, 2880)
"""Lists: one a day."""

# How old the newest value may be (domain.md 8.3).


def STREAMED(column: str) -> Freshness:
    """Published many times an hour: 30 and 60 minutes."""
    return Freshness.minutes("stream", 30, 60, column)


def HALF_HOURLY(column: str) -> Freshness:
    """1.5 and 3 times the half hour."""
    return Freshness.minutes("half_hourly", 45, 90, column)


EACH_DAY = Freshness.minutes("daily", 2160, 4320)
"""A list taken each day: age of the last answer."""

POLLED = Freshness.minutes("connection", 2160, 4320)
"""Events without a steady flow: age of the last answer, never of the last event. Asked once a day, 1.5 and 3 times."""

NO_FRESHNESS = Freshness("none", timedelta.max, timedelta.max)
"""Nothing says when the next value is due."""
