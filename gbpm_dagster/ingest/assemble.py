"""Gathering the windows of one London day into one arrival, or one failure.

Belongs here: bookkeeping of a day while its windows come in. Not here: fetching, writing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon.errors import NotAsked, SourceError
from gbpm_dagster.elexon.source import Batch
from gbpm_dagster.warehouse.protocol import Arrival, Outcome, frame_schema


class DayParts:
    """One day of one table: what its windows have brought so far.

    open: how many windows are still out. error: the first failure, if any; a day with one is not written.
    """

    def __init__(self, dataset: Dataset, day: date, windows: int) -> None:
        self.dataset, self.day, self.open, self.asked = dataset, day, windows, windows
        self.error: SourceError | None = None
        self.was_asked = True
        self.rows = self.requests = self.bytes = 0
        self._frames: list[pl.DataFrame] = []
        self._quarantined: list[tuple[str, str]] = []
        self._drift: list[tuple[str, str]] = []
        self._absent: set[str] = set()
        self._unknown: set[str] = set()
        # Of a day that needs no request the answer is known as soon as it is wanted.
        self._received = datetime.min.replace(tzinfo=UTC) if windows else datetime.now(UTC)
        self._urls: list[str] = []

    def expect(self, more: int) -> None:
        """The day needs so many windows more (or fewer) than planned: a cap was learnt."""
        self.open += more
        self.asked += more

    def add(self, batch: Batch, rows: pl.DataFrame | None) -> DayParts:
        self.open -= 1
        if batch.window.days[0] == self.day:  # counted once, so that the days of a run add up to its requests
            self.requests += batch.requests
        if rows is not None and rows.height:
            self._frames.append(rows)
            self.rows += rows.height
            self.bytes += batch.bytes * rows.height // max(batch.fetched, 1)
        first = batch.window.days[0]
        self._quarantined += [(why, record) for day, why, record in batch.quarantined if (day or first) == self.day]
        self._drift += [(column, record) for day, column, record in batch.drift if (day or first) == self.day]
        self._absent |= set(batch.absent_columns)
        self._unknown |= set(batch.unknown_columns)
        self._received = max(self._received, batch.received_at)
        self._urls.append(batch.url)
        return self

    def fail(self, error: SourceError, *, first: bool, asked: bool = True) -> DayParts:
        self.open = max(self.open - 1, 0)
        if asked and first and error.window is not None:
            self.requests += error.tries
        self.error = self.error or error
        self.was_asked = self.was_asked and asked
        return self

    def failure(self, run_id: str) -> Outcome:
        assert self.error is not None
        message = str(self.error)
        if not self.was_asked:
            why = "the source stopped answering before it was this day's turn"
            message = f"not asked: {message}" if isinstance(self.error, NotAsked) else f"not asked: {why} ({message})"
        return Outcome(
            self.dataset.table,
            self.day,
            "failed",
            requests=self.requests,
            bytes=self.bytes,
            message=message,
            error_class=self.error.error_class,
            extra={"status": self.error.status},
        )

    def arrival(self, run_id: str, reason: str) -> Arrival:
        schema = frame_schema(self.dataset)
        return Arrival(
            day=self.day,
            rows=pl.concat(self._frames) if self._frames else pl.DataFrame(schema=schema),
            fetched_at=self._received,
            run_id=run_id,
            reason=reason,
            windows_asked=self.asked,
            windows_answered=self.asked,
            requests=self.requests,
            bytes=self.bytes,
            quarantined=self._quarantined,
            drift=self._drift,
            absent_columns=sorted(self._absent),
            unknown_columns=sorted(self._unknown),
            window=self._urls[0] if self._urls else "",
        )
