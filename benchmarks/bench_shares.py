"""Where the time of a load goes: seconds inside each step of ours, a BOD day and 1,400 days of MID.

Run: `.venv/bin/python -m benchmarks.bench_shares`. Steps of readers run in several threads at once, and other
answers are on the wire meanwhile, so the steps of a load may add up to more than it took.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.bench_history import FIRST
from benchmarks.server import Server, serving
from benchmarks.ways import WARM_DAY, Job, ours
from gbpm_dagster.elexon import fast, together
from gbpm_dagster.elexon.wire import Reply
from gbpm_dagster.warehouse import facts, merge
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.ledger import Ledger
from gbpm_dagster.warehouse.replace import Replacement

STEPS: tuple[tuple[Any, str, str], ...] = (
    (together, "read_together", "answers read, in all:"),
    (Reply, "body", "  unpacked (gzip)"),
    (fast, "read", "  parsed, typed, counted (polars' parser among it)"),
    (Lake, "replace", "days stored, in all:"),
    (merge, "resolve", "  sorted, keys and versions resolved"),
    (facts, "measure", "  measured: content hash, slots (beside the writing)"),
    (Replacement, "_put_data", "  written to Parquet and committed"),
    (Ledger, "put_evidence", "  evidence committed"),
    (Ledger, "add_attempts", "  attempts committed"),
)
CASES = (("bmrs_bod", 1), ("bmrs_mid", 1400))
ROUNDS = 5


def timed(taken: dict[str, float], step: str, work: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(work)
    def inner(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            taken[step] += time.perf_counter() - began

    return inner


def once(server: Server, folder: Path, table: str, first: date, last: date) -> float:
    """Seconds of one load into an empty lake."""
    folder.mkdir()
    work = ours(Job(table, first, last, server.url, folder))
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    taken: dict[str, float] = defaultdict(float)
    for owner, name, step in STEPS:
        setattr(owner, name, timed(taken, step, getattr(owner, name)))
    with serving() as server, tempfile.TemporaryDirectory(prefix="gbpm-bench-") as folder:
        server.prepare("bmrs_mid", WARM_DAY, WARM_DAY)
        once(server, Path(folder) / "warm", "bmrs_mid", WARM_DAY, WARM_DAY)
        for table, days in CASES:
            last = FIRST + timedelta(days=days - 1)
            server.prepare(table, FIRST, last)
            best: tuple[float, dict[str, float]] | None = None
            for i in range(ROUNDS):
                taken.clear()
                seconds = once(server, Path(folder) / f"{table}{i}", table, FIRST, last)
                if best is None or seconds < best[0]:
                    best = seconds, dict(taken)
            assert best is not None
            print(f"{table}, {days} day(s), best of {ROUNDS}: {best[0] * 1000:.0f} ms from the first request")
            for _, _, step in STEPS:
                print(f"  {step:54} {best[1].get(step, 0) * 1000:6.0f} ms  {best[1].get(step, 0) / best[0]:4.0%}")


if __name__ == "__main__":
    main()
