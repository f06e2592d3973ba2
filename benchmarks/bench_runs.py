"""Years of history through Dagster: our one run against a run a day, and what of it is Dagster's own.

Run: `.venv/bin/python -m benchmarks.bench_runs [--repeats 3] [--smallest]`. 1,400 days of MID, system prices and
frequency; Dagster's storage in SQLite (ours, the default of a home) and, where a server is installed, in PostgreSQL.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from benchmarks import postgres, runs
from benchmarks.figures import keep, table
from benchmarks.server import Server, serving
from benchmarks.ways import WARM_DAY, Job, measure

FIRST = date(2021, 1, 1)
SAMPLE = 20
"""Days loaded by a run each; the figure for all days is scaled from it."""


@dataclass(frozen=True)
class Measured:
    """One table on one storage: median seconds, and requests as the server counted them."""

    table: str
    storage: str
    planned: int
    asked: int
    load: float
    checks: float
    whole: float
    each: float

    @property
    def dagster(self) -> float:
        return self.whole - self.load - self.checks

    @property
    def line(self) -> list[str]:
        share = max(self.dagster, 0) / self.whole
        return [
            *(self.table, self.storage, f"{self.asked:,} {'=' if self.good else 'not'} {self.planned:,}"),
            *(f"{self.load:.1f}", f"{self.checks:.1f}", f"{self.whole:.1f}", f"{self.dagster:.1f} ({share:.0%})"),
            *(f"{self.each:.0f}", f"{self.each / self.whole:.0f}"),
        ]

    @property
    def good(self) -> bool:
        return self.asked == self.planned


HEAD = (
    *("table", "storage", "requests sent = planned", "load alone s", "checks alone s", "one run s"),
    *("of it Dagster's s", "a run a day s (scaled)", "x our run"),
)


def measure_table(
    name: str, count: int, server: Server, stores: dict[str, str], repeats: int, folder: Path
) -> Iterator[Measured]:
    """The table on each storage, the ways in turns."""
    last, sampled = FIRST + timedelta(days=count - 1), min(SAMPLE, count)
    planned = server.prepare(name, FIRST, last)
    server.prepare(name, FIRST, FIRST + timedelta(days=sampled - 1), each=True)
    loads: list[float] = []
    ones: dict[str, list[runs.Taken]] = {s: [] for s in stores}
    each: dict[str, list[float]] = {s: [] for s in stores}
    asked: dict[str, int] = {}
    for n in range(repeats):
        loads.append(measure("ours", Job(name, FIRST, last, server.url, folder)).seconds)
        for storage, address in stores.items():
            if n and address:  # once: it takes minutes, an event at a time
                continue
            server.count()
            ones[storage].append(runs.measure("one", name, FIRST, last, server.url, folder, address))
            asked[storage] = server.count() - 1  # the warming day
            end = FIRST + timedelta(days=sampled - 1)
            taken = runs.measure("each", name, FIRST, end, server.url, folder, address)
            each[storage].append(taken.seconds / sampled * count)
            print(f"  {name}, {storage}: {ones[storage][-1].seconds:.1f} s", file=sys.stderr, flush=True)
    for storage in stores:
        yield Measured(
            *(name, storage, planned, asked[storage], median(loads)),
            *(median(o.checks for o in ones[storage]), median(o.seconds for o in ones[storage])),
            median(each[storage]),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--smallest", action="store_true", help="three days of MID once, and keep no figures")
    given = parser.parse_args()
    names = ("bmrs_mid",) if given.smallest else ("bmrs_mid", "bmrs_costs", "bmrs_freq")
    count, repeats = (3, 1) if given.smallest else (1400, given.repeats)
    found: list[Measured] = []
    with (
        serving() as server,
        postgres.server() as address,
        tempfile.TemporaryDirectory(prefix="gbpm-bench-") as folder,
    ):
        server.prepare("bmrs_mid", WARM_DAY, WARM_DAY)
        if address is None:
            print(postgres.LACKING, flush=True)
        for name in names:
            stores = {"SQLite": ""}
            if address and name == "bmrs_mid":
                stores["PostgreSQL"] = address
            found += measure_table(name, count, server, stores, repeats, Path(folder))
    text = f"{count:,} days.\n\n{table(HEAD, [m.line for m in found])}"
    if address is None:
        text += f"\n\n{postgres.LACKING}."
    if given.smallest:
        print(text)
    else:
        keep("runs", text)
    wrong = [m for m in found if not m.good]
    if wrong:
        sys.exit("; ".join(f"{m.table}: {m.asked} requests sent, {m.planned} planned" for m in wrong))


if __name__ == "__main__":
    main()
