"""plan -> fetch -> check -> write one table's set of days; each day succeeds or fails by itself.

Belongs here: the order of work and the account of rows. Not here: HTTP (`elexon`), storage (`warehouse`), Dagster.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import TracebackType
from typing import Protocol

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon.decode import partition_days
from gbpm_dagster.elexon.errors import NotAsked, SourceError, WindowTooLong
from gbpm_dagster.elexon.plan import Window, narrower, plan
from gbpm_dagster.elexon.source import Batch
from gbpm_dagster.ingest.assemble import DayParts
from gbpm_dagster.ingest.caps import CapStore
from gbpm_dagster.ingest.ids import listed_ids
from gbpm_dagster.warehouse.protocol import Outcome, Warehouse, WarehouseError

FLUSH_ROWS = 300_000
FLUSH_DAYS = 1000
FLUSH_S = 5.0
"""Whole days are written together until one of these is reached: few commits, bounded memory, little to lose."""

GIVE_UP_UNREACHABLE, GIVE_UP_ERRORS = 3, 12
"""So many windows failing in a row, each after all its retries, mean the source is down: without any answer, and
with answers that say so (5xx, 429)."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many requests a run may make, retries too; tries: as many as one window may take."""

    requests: int
    tries: int = 1

    def lets(self, made: int, flying: int) -> bool:
        """Whether another window may be asked for, if it and those under way take all their tries."""
        return made + (flying + 1) * self.tries <= self.requests


class Source(Protocol):
    """What ingest needs of `elexon.source.ElexonSource`.

    windows_ahead: so many windows more than its concurrency it takes at once, as it limits by itself what is on the
    wire, and reads answers while others are under way.
    """

    @property
    def windows_ahead(self) -> int: ...

    async def __aenter__(self) -> Source: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def fetch(self, dataset: Dataset, window: Window) -> Batch: ...


@dataclass(slots=True)
class Report:
    """What a run did: one outcome a day asked for, and the totals of the wire."""

    table: str
    outcomes: dict[date, Outcome] = field(default_factory=dict)
    requests: int = 0
    bytes: int = 0
    fetched: int = 0
    outside: int = 0
    unknown_columns: set[str] = field(default_factory=set)
    learnt_cap: timedelta | None = None
    """The window cap that the source named while it was asked, if it named one."""

    @property
    def failed(self) -> list[Outcome]:
        return [o for _, o in sorted(self.outcomes.items()) if not o.ok]


def ingest(
    dataset: Dataset,
    days: Collection[date],
    *,
    source: Callable[[], Source],
    warehouse: Warehouse,
    caps: CapStore,
    concurrency: int = 4,
    run_id: str = "",
    reason: str = "",
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    allowance: Allowance | None = None,
) -> Report:
    """Fetch and store those London days of one table.

    Returns a Report with an Outcome for every day asked for; `on_outcome` is told of each as soon as it is safe on
    disk (or has failed). A window that fails costs the days it serves, no others; one that the allowance does not let
    be asked fails them as not asked. Raises only for faults of ours
    that leave no day (a WarehouseError such as a full disk); what was written before stays whole.
    """
    worker = _Run(dataset, source, warehouse, caps, concurrency, run_id, reason, on_outcome, allowance)
    return _in_loop(worker, sorted(set(days)))


def _in_loop(worker: _Run, days: list[date]) -> Report:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(worker.run(days))
    # A notebook or server already runs a loop in this thread: ours gets a thread of its own.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(worker.run(days))).result()


class _Run:
    def __init__(
        self,
        dataset: Dataset,
        source: Callable[[], Source],
        warehouse: Warehouse,
        caps: CapStore,
        concurrency: int,
        run_id: str,
        reason: str,
        on_outcome: Callable[[Outcome], None],
        allowance: Allowance | None,
    ) -> None:
        self.dataset, self.source, self.warehouse, self.caps = dataset, source, warehouse, caps
        self.concurrency, self.run_id, self.reason, self.on_outcome = concurrency, run_id, reason, on_outcome
        self.allowance = allowance
        self.report = Report(dataset.table)
        self.parts: dict[date, DayParts] = {}
        self.ready: list[DayParts] = []
        self.lost: list[Outcome] = []
        self.down_in_a_row, self.was_answered = 0, False
        self.last_failure: SourceError | None = None
        self._write_lock = threading.Lock()
        self._written = time.monotonic()

    async def run(self, days: list[date]) -> Report:
        listed = await asyncio.to_thread(listed_ids, self.dataset, days, self.warehouse)
        windows = plan(self.dataset, days, self.caps.get(self.dataset.endpoint.path), listed.ids)
        served = Counter(day for window in windows for day in window.days)
        self.parts = {day: DayParts(self.dataset, day, served[day]) for day in days}
        for day in [d for d in days if not served[d]]:  # nothing to ask: out of season, or no ids
            part = self.parts[day]
            self._close(part.fail(listed.lacking[day], first=True) if day in listed.lacking else part)
        queue = deque(windows)
        async with self.source() as source:
            flying: dict[asyncio.Task[Batch], Window] = {}
            try:
                while queue or flying:
                    while queue and len(flying) < self.concurrency + self._ahead(source) and self._may_ask(flying):
                        window = queue.popleft()
                        flying[asyncio.create_task(source.fetch(self.dataset, window))] = window
                    if not flying:
                        self._leave(queue, self._spent())
                        break
                    done, _ = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                    answered = any(task.exception() is None for task in done)
                    for task in [t for t in flying if t in done]:  # in the order of asking
                        self._settle(task, flying.pop(task), queue)
                    self.down_in_a_row = 0 if answered else self.down_in_a_row
                    self.was_answered |= answered
                    if self.down_in_a_row and self._is_down():
                        self._give_up(queue)
                    await asyncio.to_thread(self._flush, False)
            finally:
                for task in flying:
                    task.cancel()
        await asyncio.to_thread(self._flush, True)
        return self.report

    def _ahead(self, source: Source) -> int:
        """None while the source fails or has not answered yet: one that is down is not asked more than needed."""
        return source.windows_ahead if self.was_answered and not self.down_in_a_row else 0

    def _settle(self, task: asyncio.Task[Batch], window: Window, queue: deque[Window]) -> None:
        error = task.exception()
        if isinstance(error, WindowTooLong) and self._narrow(error, window, queue):
            return
        if isinstance(error, SourceError):
            self._failed(window, error)
        elif error is not None:
            raise error
        else:
            self._arrived(task.result())

    def _narrow(self, error: WindowTooLong, window: Window, queue: deque[Window]) -> bool:
        """The source named a smaller cap: remember it and ask this and all waiting windows again within it."""
        if error.cap >= window.end - window.start:
            return False
        self.caps.learn(self.dataset.endpoint.path, error.cap)
        self.report.learnt_cap = error.cap
        waiting = [window, *queue]
        queue.clear()
        for old in waiting:
            new = narrower(self.dataset, old, error.cap)
            queue.extend(new)
            for day in old.days:
                self.parts[day].expect(sum(day in w.days for w in new) - 1)
        self.parts[window.days[0]].requests += error.tries
        self.report.requests += error.tries
        return True

    def _failed(self, window: Window, error: SourceError) -> None:
        self.report.requests += error.tries
        for day in window.days:
            self._close(self.parts[day].fail(error, first=day == window.days[0]))
        if error.error_class == "transient":
            self.down_in_a_row += 1
            self.last_failure = error

    def _is_down(self) -> bool:
        error = self.last_failure
        limit = GIVE_UP_ERRORS if error is not None and error.status is not None else GIVE_UP_UNREACHABLE
        return self.down_in_a_row >= limit

    def _give_up(self, queue: deque[Window]) -> None:
        """The source is down: what waits fails without being asked."""
        assert self.last_failure is not None
        self._leave(queue, self.last_failure)

    def _may_ask(self, flying: Collection[object]) -> bool:
        return self.allowance is None or self.allowance.lets(self.report.requests, len(flying))

    def _spent(self) -> NotAsked:
        most = self.allowance.requests if self.allowance else 0
        detail = f"the {most:,} requests that this run may make do not suffice ({self.report.requests:,} were made)"
        return NotAsked(table=self.dataset.table, window=None, detail=detail)

    def _leave(self, queue: deque[Window], error: SourceError) -> None:
        """What waits fails without being asked."""
        while queue:
            for day in queue.popleft().days:
                self._close(self.parts[day].fail(error, first=False, asked=False))

    def _arrived(self, batch: Batch) -> None:
        report = self.report
        report.requests += batch.requests
        report.bytes += batch.bytes
        report.fetched += batch.fetched
        report.outside += batch.outside
        report.unknown_columns |= set(batch.unknown_columns)
        if batch.fetched != batch.rows.height + batch.outside + len(batch.quarantined):
            raise WarehouseError(
                f"{self.dataset.table}: the account of {batch.url} does not add up: {batch.fetched} rows fetched, "
                f"{batch.rows.height} kept, {batch.outside} outside, {len(batch.quarantined)} quarantined; nothing "
                "of it was written. This is a fault of gbpm: please report it."
            )
        by_day = _by_day(self.dataset, batch.rows, batch.window.days)
        for day in batch.window.days:
            self._close(self.parts[day].add(batch, by_day.get(day)))

    def _close(self, part: DayParts) -> None:
        """Pass a day on when all its windows are settled: to the writer, or to the failures."""
        if part.open or part.day in self.report.outcomes:
            return
        if part.error is None:
            self.ready.append(part)
        else:
            self.lost.append(part.failure(self.run_id))

    def _flush(self, everything: bool) -> None:
        with self._write_lock:
            if self.lost:  # together: each logging is a commit, and a source that is down fails a thousand days
                lost, self.lost = self.lost, []
                self.warehouse.record_failures(lost, run_id=self.run_id, reason=self.reason)
                self._tell(lost)
            rows = sum(p.rows for p in self.ready)
            late = time.monotonic() - self._written >= FLUSH_S
            if not self.ready or not (everything or late or rows >= FLUSH_ROWS or len(self.ready) >= FLUSH_DAYS):
                return
            arrivals = [p.arrival(self.run_id, self.reason) for p in sorted(self.ready, key=lambda p: p.day)]
            self.ready = []
            self._tell(self.warehouse.replace(self.dataset, arrivals))
            self._written = time.monotonic()

    def _tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self.report.outcomes[outcome.day] = outcome
            self.parts.pop(outcome.day, None)
            self.on_outcome(outcome)


def _by_day(dataset: Dataset, rows: pl.DataFrame, wanted: tuple[date, ...]) -> dict[date, pl.DataFrame]:
    if len(wanted) == 1:
        return {wanted[0]: rows}
    days = partition_days(dataset, rows)
    if not days.is_sorted():
        parts = rows.with_columns(days.alias("__day")).partition_by("__day", as_dict=True, include_key=False)
        return {key[0]: part for key, part in parts.items() if isinstance(key[0], date)}
    runs = days.rle().struct.unnest()
    ends = runs["len"].cum_sum()
    return {
        day: rows.slice(end - length, length)
        for day, length, end in zip(runs["value"], runs["len"], ends, strict=True)
        if isinstance(day, date)
    }
