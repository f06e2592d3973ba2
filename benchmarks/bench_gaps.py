"""The gap check of every core and standard table over 1,400 days, in the process and as `gbpm gaps`.

Run: `.venv/bin/python -m benchmarks.bench_gaps [DAYS]` (default 1,400; exit 1 over 10 s). The lake holds evidence and
attempts only, put there through the ledger: that is all the check reads. A day in 40 was never asked, one in 25 lacks
periods, one in 60 was empty. Beside it a plain loop: a day at a time, its evidence read, its slots judged one by one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any

import polars as pl

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Dataset, Rule, Tier
from gbpm_dagster.market.calendar import day_bounds, days, periods_in_day, sp_bounds
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.expected import by_publication
from gbpm_dagster.quality.states import State, day_state, slot_state
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.protocol import ATTEMPT_SCHEMA, EVIDENCE_SCHEMA

LAST = date(2025, 11, 1)
LIMIT = 10.0
PLAIN_TABLE, PLAIN_DAYS = "bmrs_fuelhh", 40
TABLES = [d for d in DATASETS.values() if d.tier is not Tier.OPTIONAL]


def slots(dataset: Dataset, day: date, lost: int) -> list[dict[str, Any]]:
    """Every period of the day as the table's evidence counts it, but for the first `lost`."""
    if not dataset.counts_periods:
        return []
    each = dataset.completeness.rows_of_period(day)
    found = [{"date": day, "period": n, "rows": each} for n in range(1, periods_in_day(day) + 1)]
    if by_publication(dataset):
        before = day - timedelta(1)
        found = [{"date": before, "period": periods_in_day(before), "rows": each}, *found[:-1]]
    return found[lost:]


def answers(dataset: Dataset, wanted: Sequence[date]) -> Iterator[dict[str, Any]]:
    """Evidence of most of the days."""
    salt = sum(map(ord, dataset.table))
    for i, day in enumerate(wanted):
        if (i + salt) % 40 == 0:
            continue
        lost = 50 if (i + salt) % 60 == 1 else 3 if (i + salt) % 25 == 2 else 0
        held = slots(dataset, day, lost)
        rows = 0 if lost == 50 else sum(s["rows"] for s in held) or dataset.rows_per_day or 1
        yield {
            **dict.fromkeys(EVIDENCE_SCHEMA), "table": dataset.table, "day": day, "source": "REST",
            "fetched_at": day_bounds(day)[1] + timedelta(hours=2), "windows_asked": 1, "windows_answered": 1,
            "rows": rows, "distinct_keys": rows, "quarantined": 0, "contradictions": 0, "absent_columns": [],
            "unknown_columns": [], "slots": held, "content_hash": f"{rows}",
        }  # fmt: skip


def tries(evidence: pl.DataFrame) -> pl.DataFrame:
    """One attempt a day of evidence, and of the empty ones a second a day later."""
    blank = {name: pl.lit(None, kind) for name, kind in ATTEMPT_SCHEMA.items()}
    outcome = pl.when(pl.col("rows") > 0).then(pl.lit("written")).otherwise(pl.lit("empty"))
    first = evidence.select(
        **{**blank, "table": pl.col("table"), "day": pl.col("day"), "at": pl.col("fetched_at"), "outcome": outcome,
           "error_class": pl.lit(""), "message": pl.lit(""), "content_hash": pl.col("content_hash")}
    )  # fmt: skip
    again = first.filter(pl.col("outcome") == "empty").with_columns(pl.col("at") + timedelta(days=9))
    later = again.with_columns(pl.col("at") + timedelta(days=2))
    return pl.concat([first, again, later])


def fill(runtime: Runtime, datasets: Sequence[Dataset], wanted: Sequence[date]) -> int:
    """Put evidence and attempts of those tables into the home's lake; returns the days of evidence."""
    ledger, held = runtime.lake.ledger, 0
    for dataset in datasets:
        found = pl.DataFrame(list(answers(dataset, wanted)), schema=EVIDENCE_SCHEMA)
        ledger.put_evidence(dataset.table, found)
        ledger.add_attempts(tries(found).to_dicts())
        held += found.height
    return held


def plain(runtime: Runtime, dataset: Dataset, wanted: Sequence[date], now: datetime) -> list[State]:
    """A day at a time and a slot at a time."""
    found = []
    for day in wanted:
        evidence = runtime.lake.evidence([dataset.table], day, day)
        rows = {s["period"]: s["rows"] for e in evidence.iter_rows(named=True) for s in e["slots"]}
        expected = dataset.completeness.expected_rows(day)
        periods = range(1, periods_in_day(day) + 1)
        found.append(
            day_state([slot_state(sp_bounds(day, n)[1], dataset.lag, rows.get(n, 0), expected, now) for n in periods])
        )
    return found


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1400
    first, now = LAST - timedelta(number - 1), datetime.combine(LAST, clock(23, 50), UTC)
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            "GBPM_HOME": folder,
            "GBPM_TIER": "standard",
            "GBPM_HISTORY_START": str(first),
            "GBPM_NOW": now.isoformat(),
        }
        os.environ.update(environ)
        runtime = Runtime(Settings.load())
        began = time.perf_counter()
        held = fill(runtime, TABLES, days(first, LAST))
        print(
            f"{len(TABLES)} tables, {number:,} days: {held:,} days of evidence ({time.perf_counter() - began:.0f} s)"
        )
        taken = measured(runtime)
        began = time.perf_counter()
        dataset = DATASETS[PLAIN_TABLE]
        assert dataset.completeness.rule is Rule.PERIODS
        plain(runtime, dataset, days(LAST - timedelta(PLAIN_DAYS - 1), LAST), now)
        each = (time.perf_counter() - began) / PLAIN_DAYS
        whole = each * held
        times = f"{each * 1e3:.1f} ms a day of {PLAIN_TABLE}: {whole / taken:,.0f} times"
        print(f"  a plain loop     {whole:7.0f} s   at {times}")
    if taken > LIMIT:
        sys.exit(f"over {LIMIT:.0f} s")


def measured(runtime: Runtime) -> float:
    """Seconds of the slowest way, printed with the others."""
    began = time.perf_counter()
    results = runtime.checks(which=("gaps",))
    check = time.perf_counter() - began
    assert len(results) == len(TABLES) and not any(r.passed for r in results if r.table == PLAIN_TABLE)
    print(f"  the gap check    {check:7.2f} s   {sum(len(r.missing) for r in results):,} days fail")
    began = time.perf_counter()
    command = [sys.executable, "-m", "gbpm_dagster.cli", "gaps"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - began
    assert done.returncode == 3, done.stderr
    print(f"  gbpm gaps        {whole:7.2f} s   from start to end of the process")
    return max(check, whole)


if __name__ == "__main__":
    main()
