"""One home, opened: its settings, its lake, its tables, and the verbs the Dagster skin and the CLI share.

Belongs here: putting the rooms together for one home. Not here: Dagster objects, any rule of its own.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from gbpm_dagster.catalogue import DATASETS, get
from gbpm_dagster.catalogue.model import Dataset, Grain, Tier
from gbpm_dagster.ingest.caps import CapStore
from gbpm_dagster.quality.expected import load_scope, wanted_days
from gbpm_dagster.quality.result import ALL as CHECKS
from gbpm_dagster.settings import Settings, SettingsError
from gbpm_dagster.warehouse.home import open_home

# The engines (HTTP, Delta, DuckDB) are imported where they are used: `gbpm plan` or `tables` need none of them.
if TYPE_CHECKING:
    import polars as pl

    from gbpm_dagster.elexon.source import ElexonSource
    from gbpm_dagster.ingest.run import Report
    from gbpm_dagster.quality.checks import CheckResult
    from gbpm_dagster.quality.run_calendar import Published
    from gbpm_dagster.warehouse.lake import Lake
    from gbpm_dagster.warehouse.protocol import Outcome


@dataclass(frozen=True)
class Runtime:
    """Everything one home can do, without Dagster. Cheap to make: nothing is opened before it is used."""

    settings: Settings
    listener: Callable[[Outcome], None] | None = None
    """Told of every outcome of a load in this process (the CLI's progress display)."""
    read_only: bool = False
    """Only an existing home, of which nothing is changed."""

    @cached_property
    def lake(self) -> Lake:
        from gbpm_dagster.warehouse.lake import Lake

        home = open_home(self.settings.home, write=not self.read_only)
        return Lake(home.lake, calendar=lambda: self.run_calendar)

    @cached_property
    def scope(self) -> dict[str, list[tuple[date, date]]] | None:
        """The only days this home is about, or None for everything since GBPM_HISTORY_START; raises SettingsError."""
        file = self.settings.scope_file
        if file is None:
            return None
        try:
            return {get(k).table: list(v) for k, v in load_scope(file).items()}
        except (ValueError, LookupError) as error:
            raise SettingsError(f"GBPM_SCOPE_FILE is {str(file)!r}: {error.args[0]}") from None

    @cached_property
    def datasets(self) -> tuple[Dataset, ...]:
        """The tables of this home: GBPM_DATASETS, else those in scope, else those up to GBPM_TIER."""
        if self.settings.datasets:
            return tuple(dict.fromkeys(get(name) for name in self.settings.datasets))
        if self.scope is not None:
            return tuple(d for d in DATASETS.values() if d.table in self.scope)
        ranks = list(Tier)
        return tuple(d for d in DATASETS.values() if ranks.index(d.tier) <= ranks.index(Tier(self.settings.tier)))

    def named(self, tables: Sequence[str]) -> tuple[Dataset, ...]:
        """Those tables, or all of the home; raises UnknownTable with the nearest names."""
        return tuple(dict.fromkeys(get(name) for name in tables)) if tables else self.datasets

    def wanted(self, dataset: Dataset) -> list[date]:
        """The days this home should hold of a table."""
        return wanted_days(dataset, self.settings.history_start, self.settings.today(), self.scope)

    def among(self, dataset: Dataset) -> list[date] | None:
        """The days that are neighbours in a table's partitions, where they are not those of the calendar."""
        return self.wanted(dataset) if self.scope is not None else None

    @cached_property
    def nightly(self) -> frozenset[str]:
        """The tables that only the schedules feed; none in a home of recorded days, which nothing feeds."""
        return frozenset() if self.scope is not None else frozenset(d.table for d in self.datasets)

    def coverage(self, dataset: Dataset, days: Sequence[date] | None = None) -> pl.DataFrame:
        """The state of each wanted (or given) day: see quality.coverage."""
        wanted = list(days) if days is not None else self.wanted(dataset)
        ((_, frame),) = self.survey([dataset], {dataset.table: wanted})
        return frame

    def survey(
        self, datasets: Sequence[Dataset], days: Mapping[str, Sequence[date]], known: pl.DataFrame | None = None
    ) -> Iterator[tuple[Dataset, pl.DataFrame]]:
        """`coverage` of many tables, the ledger read once. known: in place of the register of known gaps."""
        from gbpm_dagster.quality.survey import survey

        return survey(self.lake, datasets, days, self.settings.clock(), self.scope is not None, self.proof, known)

    def excluded(self, dataset: Dataset) -> set[date]:
        """The wanted days of a table that a person has excluded: nothing asks for them by itself."""
        from gbpm_dagster.quality.register import excluded_days

        return excluded_days(self.lake.known_gaps([dataset.table]), dataset.table, self.wanted(dataset))

    @cached_property
    def published_runs(self) -> Published:
        """The published settlement calendar of the home, empty without one; raises SettingsError."""
        file = self.settings.settlement_calendar
        if file is None:
            return {}
        from gbpm_dagster.quality.run_calendar import load_published

        try:
            return load_published(file)
        except ValueError as error:
            raise SettingsError(f"GBPM_SETTLEMENT_CALENDAR is {str(file)!r}: {error}") from None

    @cached_property
    def run_calendar(self) -> pl.DataFrame:
        """The settlement runs of all settlement dates to two years from today: quality.run_calendar.RUN_SCHEMA."""
        from gbpm_dagster.quality.run_calendar import AHEAD, FIRST_DAY, run_calendar

        s = self.settings
        return run_calendar(FIRST_DAY, s.today() + AHEAD, self.published_runs, due_hour=s.runs_due_hour)

    def due_runs(
        self, days: Mapping[str, Sequence[date]], in_flight: Mapping[str, set[date]] | None = None
    ) -> pl.DataFrame:
        """Which of those days of settlement tables are to be fetched again, and why: quality.runs.DUE_SCHEMA."""
        from gbpm_dagster.quality.runs import due_runs

        return due_runs(days, self.lake.evidence(list(days)), self.run_calendar, self.settings.clock(), in_flight)

    def vintage_completeness(self, days: Mapping[str, Sequence[date]]) -> pl.DataFrame:
        """Settlement runs held of runs due, by table and day: quality.runs.COMPLETENESS_SCHEMA."""
        from gbpm_dagster.quality.runs import vintage_completeness

        return vintage_completeness(days, self.lake.attempts(list(days)), self.run_calendar, self.settings.clock())

    def checks(
        self,
        datasets: Sequence[Dataset] | None = None,
        which: Collection[str] = CHECKS,
        days: Callable[[Dataset], Sequence[date]] | None = None,
        anew: bool = False,
    ) -> list[CheckResult]:
        """Run checks over the wanted (or given) days of those tables.

        Rows of days that have not changed since validity last read them are not read again, unless anew.
        """
        from gbpm_dagster.quality.checks import run_checks
        from gbpm_dagster.quality.judged import Judged

        chosen = self.datasets if datasets is None else datasets
        wanted = {d.table: list((days or self.wanted)(d)) for d in chosen}
        judged = Judged(self.settings.home / "state" / "judged", self.settings.today())
        return run_checks(
            self.lake,
            chosen,
            wanted,
            self.settings.clock(),
            which,
            recorded=self.scope is not None,
            judged=judged,
            anew=anew,
            pinned=self.settings.now is not None,
            vintages=self._vintages(chosen, wanted) if "gaps" in which else None,
            nightly=self.nightly,
            proof=self.proof,
        )

    def _vintages(self, datasets: Sequence[Dataset], days: Mapping[str, Sequence[date]]) -> pl.DataFrame | None:
        settled = {d.table: days[d.table] for d in datasets if d.settlement}
        return self.vintage_completeness(settled) if settled else None

    def stream_freshness(self) -> list[CheckResult]:
        """Freshness of the stream's tables; none where no stream is configured."""
        if not self.settings.streaming:
            return []
        from gbpm_dagster.catalogue.streams import STREAMED, stream_of
        from gbpm_dagster.quality.stream_freshness import LOOKED_BACK, check_stream_freshness

        now = self.settings.clock()
        streams = [stream_of(STREAMED[code]) for code in self.settings.iris_wanted]
        return check_stream_freshness(streams, self.lake.ledger.messages(now - LOOKED_BACK), now)

    def source(self) -> ElexonSource:
        from gbpm_dagster.elexon.source import ElexonSource

        s = self.settings
        return ElexonSource(
            base_url=s.base_url,
            max_requests_per_second=s.max_requests_per_second,
            max_concurrency=s.max_concurrency,
            request_timeout_s=s.request_timeout_s,
            request_deadline_s=s.request_deadline_s,
            max_attempts=s.max_attempts,
            backoff_base_s=s.backoff_base_s,
            state_dir=s.state_dir,
        )

    @property
    def proof(self) -> timedelta:
        """Least time between two answers that prove what the source lacks (decision 7)."""
        return timedelta(seconds=self.settings.proof_span_s)

    @cached_property
    def caps(self) -> CapStore:
        return CapStore(self.settings.home / "state" / "caps.json")

    def requests(self, dataset: Dataset, days: Collection[date]) -> int:
        """Requests for those days; where a path is asked by ids, as many as a typical day's ids need."""
        from gbpm_dagster.elexon.plan import plan

        ids = dataset.endpoint.ids
        typical = range(DATASETS[ids.table].rows_per_day) if ids else ()
        by_day = {day: [str(i) for i in typical] for day in days}
        return len(plan(dataset, days, self.caps.get(dataset.endpoint.path), by_day))

    def load(
        self, dataset: Dataset, days: Collection[date], *, run_id: str, reason: str, requests: int | None = None
    ) -> Iterator[list[Outcome] | Report]:
        """Fetch and store days; yields Outcomes as they are safe, in the caller's thread, then the Report.

        requests: so many may be made at most; days they do not suffice for fail as not asked.

        What was written together comes together, more or less: whatever is there when the caller asks for more.
        """
        from gbpm_dagster.ingest.run import Allowance, ingest

        allowance = None if requests is None else Allowance(requests, self.settings.max_attempts)
        told: queue.SimpleQueue[Outcome | Report | BaseException] = queue.SimpleQueue()

        def work() -> None:
            try:
                told.put(
                    ingest(
                        dataset,
                        days,
                        source=self.source,
                        warehouse=self.lake,
                        caps=self.caps,
                        concurrency=self.settings.max_concurrency,
                        run_id=run_id,
                        reason=reason,
                        on_outcome=told.put,
                        allowance=allowance,
                    )
                )
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread whole
                told.put(error)

        threading.Thread(target=work, name=f"ingest {dataset.table}", daemon=True).start()
        while True:
            safe, last = _taken(told)
            for outcome in safe:
                if self.listener:
                    self.listener(outcome)
            if safe:
                yield safe
            if isinstance(last, BaseException):
                raise last
            if last is not None:
                yield last
                return

    def check_settings(self) -> None:
        """Raise SettingsError for what can only be seen with the catalogue at hand."""
        s = self.settings
        try:
            for name in s.datasets:
                get(name)
        except LookupError as error:
            raise SettingsError(f"GBPM_DATASETS is {', '.join(s.datasets)!r}: {error.args[0]}") from None
        if s.history_start > s.today():
            raise SettingsError(
                f"GBPM_HISTORY_START is {s.history_start}, after today ({s.today()}): choose an earlier day"
            )
        _ = self.scope, self.published_runs


def _taken(
    told: queue.SimpleQueue[Outcome | Report | BaseException],
) -> tuple[list[Outcome], Report | BaseException | None]:
    """All that is in the queue (at least one): outcomes, and how the load ended if it has."""
    from gbpm_dagster.warehouse.protocol import Outcome

    safe: list[Outcome] = []
    found = told.get()
    while isinstance(found, Outcome):
        safe.append(found)
        try:
            found = told.get_nowait()
        except queue.Empty:
            return safe, None
    return safe, found


def is_daily(dataset: Dataset) -> bool:
    return dataset.grain is Grain.DAILY
