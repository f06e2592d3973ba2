"""The client of Elexon's API: one window in, its checked rows out.

Belongs here: sending, the shared limit, retries, deadlines. Not here: what to ask (`plan`), what the bytes mean
(`decode`, `answers`), which rows belong (`check`), writing.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType

import filelock
import httpx
import polars as pl
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, stop_before_delay

from gbpm_dagster import __version__
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon import address, answers
from gbpm_dagster.elexon.check import Sorted
from gbpm_dagster.elexon.decode import Decoded, NotRows
from gbpm_dagster.elexon.errors import BadAnswer, RowsOutsideWindow, SourceError, SourceUnavailable
from gbpm_dagster.elexon.plan import Window, request
from gbpm_dagster.elexon.ratelimit import RateLimit
from gbpm_dagster.elexon.together import Reader
from gbpm_dagster.elexon.wire import CannotUnpack, Reply, Wire, WireError

log = logging.getLogger(__name__)

LONGEST_BACKOFF_S = 60.0
AHEAD = 8
"""Windows under way for each connection: one on the wire, the others waiting to be read or to be tried again."""


@dataclass(frozen=True)
class Batch:
    """The rows of one window, and the account of the answer: fetched = len(rows) + outside + len(quarantined).

    rows: `frame_schema(dataset)`; their window value lies in `[start, end)` and their day is wanted.
    outside: rows on the inclusive end that the next window has too, and rows of days not wanted.
    quarantined: (London day if known, reason, record JSON). drift: (day, unknown column, JSON of key and value).
    requests: tries on the wire; retries: those after the first. bytes: size of the answer's JSON.
    """

    window: Window
    rows: pl.DataFrame
    fetched: int
    outside: int
    quarantined: list[tuple[date | None, str, str]]
    drift: list[tuple[date | None, str, str]]
    absent_columns: tuple[str, ...]
    unknown_columns: tuple[str, ...]
    requests: int
    bytes: int
    received_at: datetime
    url: str
    retries: int

    @classmethod
    def of(
        cls,
        window: Window,
        decoded: Decoded,
        placed: Sorted,
        *,
        requests: int,
        bytes: int,
        received_at: datetime,
        url: str,
    ) -> Batch:
        """What was decoded and sorted of one answer, and how it came."""
        return cls(
            window=window,
            rows=placed.rows,
            fetched=decoded.fetched,
            outside=placed.outside,
            quarantined=placed.quarantined,
            drift=placed.drift,
            absent_columns=decoded.absent_columns,
            unknown_columns=decoded.unknown_columns,
            requests=requests,
            bytes=bytes,
            received_at=received_at,
            url=url,
            retries=requests - 1,
        )


@dataclass(slots=True)
class _Answer:
    decoded: Decoded
    sorted: Sorted
    bytes: int
    received_at: datetime
    url: str


@dataclass(slots=True)
class _Tries:
    started: float
    count: int = 0


class ElexonSource:
    """Elexon's API at one base address; an async context manager. Raises ValueError for what is no base address.

    base_url: may carry a name and password; they are sent with every request, and are in no URL, message or log.
    max_requests_per_second: shared with every process that uses the same `state_dir`. max_concurrency: requests in
    flight at once in this object. request_timeout_s: one try; request_deadline_s: one window with all its tries.
    backoff_base_s: the first wait before a retry, doubled each time, with jitter; Retry-After counts where given.
    on_request: told the URL of every try.
    """

    def __init__(
        self,
        *,
        base_url: str,
        max_requests_per_second: float = 5.0,
        max_concurrency: int = 4,
        request_timeout_s: float = 60,
        request_deadline_s: float = 300,
        max_attempts: int = 6,
        backoff_base_s: float = 0.5,
        state_dir: Path,
        on_request: Callable[[str], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if problem := address.wrong(base_url):
            raise ValueError(f"the base address {address.printable(base_url)!r} {problem}")
        self.base_url, self._login = address.printable(base_url).rstrip("/"), address.login(base_url)
        self.state_dir = state_dir
        self._concurrency, self._attempts = max_concurrency, max_attempts
        self._timeout, self._deadline, self._backoff = request_timeout_s, request_deadline_s, backoff_base_s
        self._limit = RateLimit(self.base_url, max_requests_per_second, state_dir)
        self._path_limits: dict[str, RateLimit] = {}
        self._free = asyncio.Semaphore(max_concurrency)
        self._on_request = on_request or (lambda url: None)
        self._sleep = sleep
        self._reader = Reader()
        self._wire: Wire | None = None

    @property
    def windows_ahead(self) -> int:
        """So many windows may be given to `fetch` beyond those on the wire: while they are read, others are asked."""
        return AHEAD * self._concurrency

    async def __aenter__(self) -> ElexonSource:
        wire = Wire(
            self.base_url, connections=self._concurrency, agent=f"gbpm_dagster/{__version__}", login=self._login
        )
        self._wire = await wire.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wire is not None:
            await self._wire.__aexit__(kind, error, trace)
            self._wire = None

    async def fetch(self, dataset: Dataset, window: Window) -> Batch:
        """All rows of a window, typed and checked; raises SourceError (see `errors` for its kinds)."""
        tries = _Tries(time.monotonic())
        try:
            answer = await self._answer(dataset, window, tries)
            if answer.sorted.strays:
                # Once more: a cache or proxy may have mixed up two answers. Twice the same is a wrong parameter.
                log.warning(
                    "%s, %s: %s rows outside the window; asking again", dataset.table, window, answer.sorted.strays
                )
                answer = await self._answer(dataset, window, tries)
            if answer.sorted.strays:
                raise _outside(dataset, window, answer)
        except SourceError as error:
            error.tries, error.seconds = tries.count, time.monotonic() - tries.started
            raise
        return Batch.of(
            window,
            answer.decoded,
            answer.sorted,
            requests=tries.count,
            bytes=answer.bytes,
            received_at=answer.received_at,
            url=answer.url,
        )

    async def _answer(self, dataset: Dataset, window: Window, tries: _Tries) -> _Answer:
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, SourceError) and e.error_class == "transient"),
            stop=stop_after_attempt(self._attempts) | stop_before_delay(self._deadline),
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=lambda state: log.info("%s; trying again", state.outcome and state.outcome.exception()),
            reraise=True,
        )
        ends = time.monotonic() + self._deadline
        async for attempt in retrying:
            with attempt:
                return await self._try(dataset, window, tries, ends)
        raise AssertionError("tenacity ended without an answer or an error")

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, SourceError) else None
        if asked is not None:
            return asked + random.uniform(0, self._backoff)
        grown = min(LONGEST_BACKOFF_S, self._backoff * 2 ** (state.attempt_number - 1))
        return grown * random.uniform(0.5, 1.5)

    async def _try(self, dataset: Dataset, window: Window, tries: _Tries, ends: float) -> _Answer:
        await self._reader.room()
        async with self._free:
            await self._slot(dataset, window)
            tries.count += 1
            reply = await self._send(dataset, window, min(self._timeout, max(ends - time.monotonic(), 0.001)))
        received = datetime.now(UTC)
        try:
            if not (reply.status == HTTPStatus.OK and "json" in reply.headers.get("Content-Type", "").lower()):
                failure = answers.failure(dataset, window, reply.response())
                if failure is not None:
                    raise failure
                if reply.status != HTTPStatus.OK:  # 404 where that means no rows
                    reply = Reply(reply.url, HTTPStatus.OK, {}, b"[]")
            read = await self._reader.read(dataset, window, reply)
        except NotRows as error:
            raise _bad(dataset, window, f"the source answered {reply.url} with {error}") from None
        except CannotUnpack as error:
            raise _bad(dataset, window, f"the answer from {reply.url} cannot be unpacked ({error})") from None
        return _Answer(read.decoded, read.sorted, read.bytes, received, reply.url)

    async def _slot(self, dataset: Dataset, window: Window) -> None:
        try:
            await self._limit.acquire()
            if dataset.endpoint.per_minute:
                await self._path_limit(dataset).acquire()
        except (OSError, filelock.Timeout) as error:
            raise SourceError(
                table=dataset.table,
                window=window,
                detail=f"the shared request limit in {self.state_dir} cannot be kept ({error})",
                advice="Set GBPM_STATE_DIR to a folder that this user can write, or free space there",
            ) from error

    def _path_limit(self, dataset: Dataset) -> RateLimit:
        """The limit that the source states for this path alone, shared like the other."""
        path, rate = dataset.endpoint.path, dataset.endpoint.per_minute / 60
        if path not in self._path_limits:
            self._path_limits[path] = RateLimit(self.base_url, rate, self.state_dir, path=path)
        return self._path_limits[path]

    async def _send(self, dataset: Dataset, window: Window, timeout: float) -> Reply:
        if self._wire is None:
            raise RuntimeError("ElexonSource must be entered first: `async with ElexonSource(...) as source`")
        asked = request(dataset, window)
        url = str(httpx.URL(self.base_url + asked.path, params=asked.params))
        self._on_request(url)
        try:
            async with asyncio.timeout(timeout):
                return await self._wire.get(url)
        except TimeoutError:
            detail = f"no whole answer from {url} within {timeout:g} s"
            raise SourceUnavailable(table=dataset.table, window=window, detail=detail) from None
        except WireError as error:
            raise self._unreachable(dataset, window, error) from error

    def _unreachable(self, dataset: Dataset, window: Window, error: WireError) -> SourceError:
        if error.connected:
            detail = f"the connection to {self.base_url} broke ({error})"
        else:
            detail = f"no connection to {self.base_url} ({error})"
        return SourceUnavailable(
            table=dataset.table,
            window=window,
            detail=detail,
            advice="Check that this machine is online and that ELEXON_BASE_URL is right, then run it again",
        )


def _bad(dataset: Dataset, window: Window, detail: str) -> BadAnswer:
    return BadAnswer(table=dataset.table, window=window, status=200, detail=detail)


def _outside(dataset: Dataset, window: Window, answer: _Answer) -> RowsOutsideWindow:
    placed = answer.sorted
    return RowsOutsideWindow(
        table=dataset.table,
        window=window,
        status=200,
        detail=(
            f"{placed.strays:,} of {answer.decoded.fetched:,} rows from {answer.url} lie outside the window asked "
            f"for: by {dataset.endpoint.selects} they are of {placed.stray_span}"
        ),
    )
