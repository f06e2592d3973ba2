"""What an HTTP answer that brings no rows means: which failure it is, how long to wait, which cap it names.

Belongs here: status codes, Retry-After, problem bodies (rest-api.md sections 3-5). Not here: sending, retrying.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx
import orjson

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon.envelope import quote
from gbpm_dagster.elexon.errors import BadAnswer, RequestRefused, SourceError, SourceUnavailable, WindowTooLong
from gbpm_dagster.elexon.plan import Window, narrower

_CAP = re.compile(rb"must not exceed (\d+) (minute|hour|day|week|month|year)s?", re.IGNORECASE)

# A month and a year at their shortest: a window within them is within any reading of the cap.
_UNIT = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=28),
    "year": timedelta(days=365),
}
_YEAR_OF_MONTHS = 12


def cap_named(body: bytes) -> timedelta | None:
    """The window cap that a refusal names ("must not exceed 7 days"), or None."""
    found = _CAP.search(body)
    if not found:
        return None
    number, unit = int(found[1]), found[2].decode().lower()
    if unit == "month":
        years, months = divmod(number, _YEAR_OF_MONTHS)
        return (years * _UNIT["year"] + months * _UNIT["month"]) or None
    return number * _UNIT[unit] or None


def retry_after(headers: httpx.Headers, now: datetime | None = None) -> float | None:
    """Seconds the source asks to wait: a number or an HTTP date; None when it does not say (or cannot be read)."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d*)?", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def failure(dataset: Dataset, window: Window, response: httpx.Response) -> SourceError | None:
    """The exception for an answer; None for a 200 whose content type is JSON (or not given), and for a 404 where that
    means no rows.
    """
    status, body = response.status_code, response.content
    kind = response.headers.get("content-type", "")
    if status == HTTPStatus.OK and (not kind or "json" in kind.lower()):
        return None
    if status == HTTPStatus.NOT_FOUND and dataset.endpoint.empty_is_404:
        return None
    found = refused(response, table=dataset.table, window=window)
    if status == HTTPStatus.BAD_REQUEST and (cap := cap_named(body)):
        return _too_long(dataset, window, cap, found.detail)
    if status == HTTPStatus.NOT_FOUND:
        found.detail += ". The path, or the name of a required parameter, is not known there"
    return found


def refused(response: httpx.Response, *, table: str, window: Window | None = None) -> SourceError:
    """The exception for an answer that is not a 200 with JSON."""
    status, body = response.status_code, response.content
    said = f"the source answered {_name(status)} to {response.url}"
    known: dict[str, Any] = {"table": table, "window": window, "status": status}
    if status == HTTPStatus.OK:
        kind = response.headers.get("content-type", "")
        return BadAnswer(**known, detail=f"{said} with {kind} where JSON was due: {quote(body)}")
    if status in (408, 425, 429) or status >= 500:
        wait = retry_after(response.headers)
        asks = "" if wait is None else f", asking to wait {wait:.0f} s"
        return SourceUnavailable(**known, detail=f"{said}{asks}: {_problem(body)}", retry_after=wait)
    if 300 <= status < 400:
        detail = f"{said}, pointing to {response.headers.get('location', 'nowhere')}"
        return RequestRefused(**known, detail=detail, advice="Set ELEXON_BASE_URL to the API's present address")
    if 200 < status < 300:
        return BadAnswer(**known, detail=f"{said}, without rows")
    return RequestRefused(**known, detail=f"{said}: {_problem(body)}")


def _too_long(dataset: Dataset, window: Window, cap: timedelta, detail: str) -> RequestRefused:
    if len(narrower(dataset, window, cap)) > 1:
        return WindowTooLong(table=dataset.table, window=window, status=400, detail=detail, cap=cap)
    return RequestRefused(
        table=dataset.table,
        window=window,
        status=400,
        detail=f"{detail}; the window asked for is within that cap, or cannot be made smaller",
    )


def _problem(body: bytes) -> str:
    """What an error body says: the texts of its `errors`, its message or title, else its beginning."""
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        return quote(body)
    if not isinstance(problem, dict):
        return quote(body)
    errors = problem.get("errors")
    lists = errors.values() if isinstance(errors, dict) else ()
    texts = [str(text) for texts in lists for text in (texts if isinstance(texts, list) else [texts])]
    said = texts or [str(problem[name]) for name in ("message", "detail", "title") if problem.get(name)][:1]
    return quote("; ".join(said).encode(), 400) if said else quote(body)


def _name(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
