"""History from a local server to readable Parquet: ours against a plain loop, dlt, and the bare cost (decision 22).

Run: `.venv/bin/python -m benchmarks.bench_history [--repeats 3] [--smallest]`. Ways take turns, so that a busy moment
hits all of them; compared are medians. Exit 1 if a BOD day takes more than twice its bare cost.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from benchmarks import made
from benchmarks.figures import keep, spread, table
from benchmarks.server import Server, serving
from benchmarks.ways import WARM_DAY, WAYS, Job, Taken, measure

MOST = 2.0
"""Times the bare cost that BOD may take."""

FIRST = date(2024, 1, 3)
BARE = ("bare", "bare, a thread a processor")


@dataclass(frozen=True)
class Case:
    """What is brought: a table and so many days, and how much faster than the loop and dlt we mean to be."""

    table: str
    days: int
    loop: float
    dlt: float

    @property
    def last(self) -> date:
        return FIRST + timedelta(days=self.days - 1)


CASES = (
    Case("bmrs_bod", 1, 2.5, 12),
    Case("bmrs_mid", 1400, 1.7, 10),
    Case("bmrs_costs", 200, 1.7, 10),
    Case("bmrs_freq", 40, 1.7, 10),
    Case("bmrs_fuelinst", 40, 1.7, 10),
)
SMALLEST = (Case("bmrs_mid", 2, 1.7, 10),)


def run_case(case: Case, server: Server, repeats: int, folder: Path) -> dict[str, list[Taken]]:
    """Every way so many times, in turns."""
    server.prepare(case.table, FIRST, case.last)
    taken: dict[str, list[Taken]] = defaultdict(list)
    for n in range(repeats):
        for way in WAYS:
            if way == "dlt" and n >= 3:  # ten times as long as all others together
                continue
            taken[way].append(measure(way, Job(case.table, FIRST, case.last, server.url, folder)))
            print(f"  {case.table}: {way} {taken[way][-1].seconds:.2f} s", file=sys.stderr, flush=True)
    return taken


def rows_of(case: Case, taken: dict[str, list[Taken]]) -> list[list[str]]:
    ours = median(t.seconds for t in taken["ours"])
    found = []
    for way, times in taken.items():
        ratio = median(t.seconds for t in times) / ours
        found.append(
            [
                way,
                spread([t.seconds for t in times]),
                "1" if way == "ours" else f"{ratio:.2f}",
                f"{median(t.cpu_seconds for t in times):.2f}",
                f"{median(t.peak_mb for t in times):.0f}",
            ]
        )
    return found


def text_of(case: Case, taken: dict[str, list[Taken]], requests: int) -> str:
    head = ["way", "wall s, median (range)", "x ours", "processor s", "peak MB"]
    rows = made.rows_of(case.table, FIRST, case.last)
    many = "1 day" if case.days == 1 else f"{case.days} days"
    title = f"**{case.table}, {many}: {rows:,} rows in {requests} requests.** {verdict(case, taken)}"
    return f"{title}\n\n{table(head, rows_of(case, taken))}"


def verdict(case: Case, taken: dict[str, list[Taken]]) -> str:
    """How many times as fast as the loop and dlt, beside the ambition."""
    ours = median(t.seconds for t in taken["ours"])
    said = []
    for way, wanted in (("plain loop", case.loop), ("dlt", case.dlt)):
        ratio = median(t.seconds for t in taken[way]) / ours
        said.append(f"{ratio:.1f} x the {way} (ambition {wanted:g}{'' if ratio >= wanted else ', not reached'})")
    return f"Ours: {', '.join(said)}."


def gate(taken: dict[str, list[Taken]]) -> tuple[bool, str]:
    """Whether a BOD day keeps within MOST times the bare cost: wall time against the plain form of it."""
    ours, cost = (median(t.seconds for t in taken[way]) for way in ("ours", BARE[0]))
    two = median(t.seconds for t in taken[BARE[1]])
    said = (
        f"Gate (decision 22): ours takes {ours / cost:.2f} x the bare cost of the same BOD day, at most {MOST:g} "
        f"are allowed; {ours / two:.2f} x the same with a thread a processor ({os.cpu_count()})."
    )
    return ours <= MOST * cost, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--smallest", action="store_true", help="two days of MID once, and keep no figures")
    parser.add_argument("--table", help="this table only, and keep no figures")
    given = parser.parse_args()
    cases = SMALLEST if given.smallest else tuple(c for c in CASES if given.table in (None, c.table))
    texts, good = [], True
    with serving() as server, tempfile.TemporaryDirectory(prefix="gbpm-bench-") as folder:
        server.prepare("bmrs_mid", WARM_DAY, WARM_DAY)
        for case in cases:
            requests = server.prepare(case.table, FIRST, case.last)
            repeats = 1 if given.smallest else given.repeats + 2 * (case.days == 1)
            taken = run_case(case, server, repeats, Path(folder))
            texts.append(text_of(case, taken, requests))
            if case.table == "bmrs_bod":
                good, said = gate(taken)
                texts.append(said)
    if cases == CASES:
        keep("history", "\n\n".join(texts))
    else:
        print("\n\n".join(texts))
    if not good:
        sys.exit(f"too slow: {said}")


if __name__ == "__main__":
    main()
