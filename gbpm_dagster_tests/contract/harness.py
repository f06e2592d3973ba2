"""One table through plan, client, decoding, lake: what was asked, what came of it, and what is stored.

Belongs here: running the package against the served cases. Not here: assertions (`test_contract`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Dataset, Grain
from gbpm_dagster.elexon.plan import Window
from gbpm_dagster.elexon.ratelimit import RateLimit
from gbpm_dagster.elexon.source import ElexonSource
from gbpm_dagster.ingest.caps import CapStore
from gbpm_dagster.ingest.run import Report, ingest
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Outcome
from gbpm_dagster_tests.contract.days import Cases
from gbpm_dagster_tests.contract.facts import Facts, facts
from gbpm_dagster_tests.contract.rows import Row
from gbpm_dagster_tests.contract.server import Api, Asked, Holding, serving


@dataclass(eq=False)
class Loaded:
    """A table after its wanted days were fetched. asked: every request, in order; served: what they brought."""

    dataset: Dataset
    facts: Facts
    cases: Cases
    holding: Holding
    bench: Bench
    outcomes: dict[date, Outcome] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asked: list[Asked] = self.holding.asked
        self.lake = self.bench.lake(self.dataset.table)

    def look(self) -> None:
        """Reads what is stored now, so that what later happens to the table does not matter."""
        self.asked = list(self.holding.asked)
        table, lake = self.dataset.table, self.lake
        self.evidence_frame = lake.evidence([table])
        self.evidence = {row["day"]: row for row in self.evidence_frame.iter_rows(named=True)}
        self.stored = by_day(self.dataset, lake.read(self.dataset))
        self.quarantine = lake.quarantine([table]).to_dicts()
        self.attempts = lake.attempts([table])
        self.drift = lake.drift([table]).to_dicts()

    def once_more(self, day: date, rows: list[Row]) -> Report:
        """The day fetched again, with these rows of it at the source."""
        others = [] if self.dataset.grain is Grain.SNAPSHOT else [r for r in self.holding.rows if r.home != day]
        self.bench.api.hold(replace(self.holding, rows=others + rows, asked=[]))
        return self.bench.ingest(self.dataset, [day])


def by_day(dataset: Dataset, frame: pl.DataFrame) -> dict[date, list[dict[str, Any]]]:
    """The dataset's own columns of each row, by partition."""
    days: dict[date, list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        days.setdefault(row["_day"], []).append({name: row[name] for name in dataset.names})
    return days


class Unlimited(RateLimit):
    """A limit that nobody waits for: the waits are written down."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.waits: list[float] = []

        async def wait(seconds: float) -> None:
            self.waits.append(seconds)

        super().__init__(*given, **named, clock=lambda: 0.0, sleep=wait)


class HastySource(ElexonSource):
    """The source without the wait for its turn; of paths with a limit of their own the waits are in `waits`."""

    waits: ClassVar[dict[str, list[float]]] = {}

    async def _slot(self, dataset: Dataset, window: Window) -> None:
        if dataset.endpoint.per_minute:
            path, rate = dataset.endpoint.path, dataset.endpoint.per_minute / 60
            limit = self._path_limits.setdefault(path, Unlimited(self.base_url, rate, self.state_dir, path=path))
            await self._path_limit(dataset).acquire()
            self.waits[dataset.table] = limit.waits


class Bench:
    """One server, a lake for each table (REMIT's tables share one: the ids of some are in another)."""

    def __init__(self, folder: Path, api: Api) -> None:
        self.folder, self.api = folder, api
        self._loaded: dict[str, Loaded] = {}

    def source(self) -> ElexonSource:
        return HastySource(
            base_url=self.api.base_url,
            state_dir=self.folder / "state",
            backoff_base_s=0.001,
        )

    def lake(self, table: str) -> Lake:
        return Lake(self.folder / ("remit" if table.startswith("remit_") else table))

    def ingest(self, dataset: Dataset, days: Sequence[date], caps: str = "caps", concurrency: int = 4) -> Report:
        return ingest(
            dataset,
            days,
            source=self.source,
            warehouse=self.lake(dataset.table),
            caps=CapStore(self.folder / f"{caps}.json"),
            concurrency=concurrency,
            run_id="contract",
            reason="test",
        )

    def hold(self, table: str) -> Loaded:
        """The table's cases on the server, nothing fetched yet."""
        dataset = DATASETS[table]
        known = facts(table, dataset.endpoint.path)
        cases = Cases(dataset, known)
        rows = [row for day in cases.days.wanted for row in cases.of(day)] + cases.extras()
        holding = self.api.hold(Holding(known, rows, known.cap, without_nulls=dataset.endpoint.omits_nulls))
        return Loaded(dataset, known, cases, holding, self)

    def load(self, table: str) -> Loaded:
        """The table with all its wanted days fetched; a list one day after the other, as it can only be had so."""
        if table in self._loaded:
            return self._loaded[table]
        loaded = self.hold(table)
        if ids := loaded.dataset.endpoint.ids:
            self.load(ids.table)
        wanted = loaded.cases.days.wanted
        snapshot = loaded.dataset.grain is Grain.SNAPSHOT
        for days in [[day] for day in wanted] if snapshot else [wanted]:
            if snapshot:
                loaded.holding.rows = loaded.cases.of(days[0])
            report = self.ingest(loaded.dataset, days)
            loaded.reports.append(report)
            loaded.outcomes |= report.outcomes
        loaded.look()
        self._loaded[table] = loaded
        return loaded


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    with serving(Api()) as api:
        yield Bench(folder, api)
