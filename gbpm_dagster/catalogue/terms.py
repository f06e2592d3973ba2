"""Words the entries share: kinds of columns, the unit part of a key, common freshness rules."""

from __future__ import annotations

from gbpm_dagster.catalogue.model import Freshness, Kind

TEXT, INT, NUM = Kind.STRING, Kind.INTEGER, Kind.NUMBER
FLAG, DATE, INSTANT, JSON = Kind.BOOLEAN, Kind.DATE, Kind.INSTANT, Kind.JSON

UNIT = (("nationalGridBmUnit", "bmUnit"),)
"""The unit part of a key: NESO's id, else Elexon's (decision 2)."""


def STREAMED(column: str) -> Freshness:
    """Published many times an hour: 30 and 60 minutes (domain.md 8.3)."""
    return Freshness.minutes("stream", 30, 60, column)


def HALF_HOURLY(column: str) -> Freshness:
    """1.5 and 3 times the half hour (domain.md 8.3)."""
    return Freshness.minutes("half_hourly", 45, 90, column)
