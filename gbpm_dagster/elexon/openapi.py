"""Fetching an OpenAPI document: the service's own lies off its root, not under the API's base address.

Belongs here: sending, the shared limit, retries, the deadline, as for rows (`source`). Not here: what a document says
(`catalogue.document`), which one a command is about.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import filelock
import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential_jitter,
)

from gbpm_dagster import __version__
from gbpm_dagster.catalogue.document import Document, UnreadableDocument
from gbpm_dagster.elexon.address import printable
from gbpm_dagster.elexon.answers import refused
from gbpm_dagster.elexon.errors import BadAnswer, RequestRefused, SourceError, SourceUnavailable
from gbpm_dagster.elexon.ratelimit import RateLimit

PATH = "/swagger/v1/swagger.json"
"""Where the service publishes its document, under the root of its site (rest-api.md section 1)."""

WHAT = "the OpenAPI document"
LONGEST_BACKOFF_S = 60.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as it came. body: gzip or JSON. url: without a name and password. requests: tries on the wire."""

    document: Document
    body: bytes
    url: str
    received_at: datetime
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How hard to try: the meanings are those of `source.ElexonSource`."""

    state_dir: Path
    max_requests_per_second: float = 5.0
    request_timeout_s: float = 60
    request_deadline_s: float = 300
    max_attempts: int = 6
    backoff_base_s: float = 0.5


def document_url(base_url: str) -> str:
    """The address of the service's document, given the API's base address; raises ValueError."""
    return str(readable(base_url).copy_with(path=PATH, query=None, fragment=None))


def readable(url: str) -> httpx.URL:
    """The address taken apart; raises ValueError, without repeating it, if it is none of http or https."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        found = httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError("is no readable address: give http(s)://host/path")
    return found


async def fetch_document(
    url: str, limits: Limits, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> Fetched:
    """The document at an address, within the limits; raises SourceError, and ValueError for what is no address.

    A name and password in the address are sent, and so is its query; neither is in any message.
    """
    given = readable(url)
    login = (given.username, given.password) if given.userinfo else None
    asked = given.copy_with(username=None, password=None)
    began, tries = time.monotonic(), 0
    rate = RateLimit(str(asked), limits.max_requests_per_second, limits.state_dir)
    ends = began + limits.request_deadline_s
    headers = {"Accept": "application/json, application/gzip", "User-Agent": f"gbpm_dagster/{__version__}"}
    async with httpx.AsyncClient(auth=login, headers=headers, timeout=limits.request_timeout_s) as client:
        try:
            async for attempt in _retrying(limits, sleep):
                with attempt:
                    await _slot(rate, limits.state_dir)
                    tries += 1
                    timeout = min(limits.request_timeout_s, max(ends - time.monotonic(), 0.001))
                    body = _body(await _get(client, asked, timeout), asked)
                    return Fetched(_read(body, asked), body, _shown(asked), datetime.now(UTC), tries)
        except SourceError as error:
            error.tries, error.seconds = tries, time.monotonic() - began
            raise
    raise AssertionError("tenacity ended without an answer or an error")


def _retrying(limits: Limits, sleep: Callable[[float], Awaitable[None]]) -> AsyncRetrying:
    grown = wait_exponential_jitter(limits.backoff_base_s, LONGEST_BACKOFF_S, jitter=limits.backoff_base_s)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, SourceError) else None
        return grown(state) if asked is None else asked

    return AsyncRetrying(
        retry=retry_if_exception(lambda e: isinstance(e, SourceError) and e.error_class == "transient"),
        stop=stop_after_attempt(limits.max_attempts) | stop_before_delay(limits.request_deadline_s),
        wait=wait,
        sleep=sleep,
        reraise=True,
    )


async def _slot(rate: RateLimit, state_dir: Path) -> None:
    try:
        await rate.acquire()
    except (OSError, filelock.Timeout) as error:
        raise SourceError(
            table=WHAT,
            window=None,
            detail=f"the shared request limit in {state_dir} cannot be kept ({error})",
            advice="Set GBPM_STATE_DIR to a folder that this user can write, or free space there",
        ) from error


async def _get(client: httpx.AsyncClient, url: httpx.URL, timeout: float) -> httpx.Response:
    try:
        async with asyncio.timeout(timeout):
            return await client.get(url)
    except (TimeoutError, httpx.TimeoutException):
        raise _unavailable(f"no whole answer from {_shown(url)} within {timeout:g} s") from None
    except httpx.DecodingError as error:
        detail = f"the answer from {_shown(url)} cannot be unpacked ({error})"
        raise BadAnswer(table=WHAT, window=None, status=200, detail=detail) from None
    except httpx.ConnectError as error:
        raise _unavailable(f"no connection to {_shown(url)} ({str(error) or type(error).__name__})") from error
    except httpx.TransportError as error:
        raise _unavailable(f"the connection to {_shown(url)} broke ({str(error) or type(error).__name__})") from error


def _shown(url: httpx.URL) -> str:
    """The address for a message: a query may hold a key."""
    return printable(str(url))


def _body(response: httpx.Response, url: httpx.URL) -> bytes:
    """The body of a 200, whatever its type is called; raises SourceError for any other answer."""
    if response.status_code == HTTPStatus.OK:
        return response.content
    error = refused(response, table=WHAT)
    error.detail = error.detail.replace(str(response.url), _shown(response.url))
    error.args = (error.detail,)
    if isinstance(error, RequestRefused):
        error.advice = (
            f"Check the address {_shown(url)}: the live service's document lies at {PATH} under its site's root"
        )
    raise error


def _read(body: bytes, url: httpx.URL) -> Document:
    try:
        return Document.parse(body, f"the document at {_shown(url)}")
    except UnreadableDocument as error:
        # What is no JSON may be a proxy's page or a cut answer: the next try can bring the document.
        kind = "permanent" if error.whole else "transient"
        advice = f"Check the address {_shown(url)}" if error.whole else ""
        raise BadAnswer(
            table=WHAT, window=None, status=200, detail=str(error), error_class=kind, advice=advice
        ) from None


def _unavailable(detail: str) -> SourceUnavailable:
    return SourceUnavailable(
        table=WHAT,
        window=None,
        detail=detail,
        advice="Check that this machine is online and the address is right, then run it again",
    )
