"""One JSON value to one typed value, exactly: what is accepted for each `Kind`, and what is garbage.

Belongs here: conversions that lose nothing, and ValueErrors that say what is wrong. Not here: rows, columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from gbpm_dagster.catalogue.model import Kind

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return orjson.dumps(value).decode()
    raise _wrong(value, "a text")


def number(value: Any) -> float:
    """A float64; a numeric text ("96.79") counts as its number."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise _wrong(value, "a number")
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(value, "a number")
    return float(value)


def integer(value: Any) -> int:
    """An int64; 12.0, "12" and "12.0" count as 12, 1.5 is garbage and never 1."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,19}", value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        exact = number(value)
        if not exact.is_integer():
            raise _wrong(value, "an integer")
        value = int(exact)
    if not -(2**63) <= value < 2**63:
        raise _wrong(value, "a 64-bit integer")
    return int(value)


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise _wrong(value, "true or false")


def day(value: Any) -> date:
    """A date; an instant counts when it is a midnight without an offset or in UTC."""
    if isinstance(value, str):
        try:
            if len(value) == 10:
                return date.fromisoformat(value)
            moment = _EPOCH + instant(value) * _MICROSECOND
            if moment.time() == datetime.min.time():
                return moment.date()
        except ValueError:
            pass
    raise _wrong(value, "a date (yyyy-MM-dd)")


def instant(value: Any) -> int:
    """Microseconds since 1970 UTC of an ISO 8601 text; a time without an offset is UTC (rest-api.md section 7)."""
    if isinstance(value, str) and len(value) >= 16 and ":" in value:
        try:
            return _microseconds(value)
        except (ValueError, OverflowError):
            pass
    raise _wrong(value, "an instant (2024-01-03T00:00:00Z)")


def json(value: Any) -> str:
    """A nested part as its compact JSON text."""
    return orjson.dumps(value).decode()


CONVERT: dict[Kind, Callable[[Any], Any]] = {
    Kind.STRING: string,
    Kind.INTEGER: integer,
    Kind.NUMBER: number,
    Kind.BOOLEAN: boolean,
    Kind.DATE: day,
    Kind.INSTANT: instant,
    Kind.JSON: json,
}
"""The conversion of each kind, for values that are not null."""


@lru_cache(maxsize=8192)
def _microseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _wrong(value: Any, expected: str) -> ValueError:
    try:
        text = orjson.dumps(value, default=str).decode()
    except TypeError:  # an integer of more than 64 bits
        text = str(value)
    return ValueError(f"{text if len(text) <= 60 else text[:60] + '...'} is not {expected}")
