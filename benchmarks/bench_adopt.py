"""`gbpm adopt events` at full size: a warehouse of 110 tables and 1,400 days each that Dagster knows nothing of.

Run: `.venv/bin/python -m benchmarks.bench_adopt [--tables 110] [--days 1400] [--kill] [--no-keep]`. On SQLite (ours,
the default of a home) and, where a server is installed, on PostgreSQL. The evidence is made, rows are not needed. Its
own check: every day is known after it, a second run tells none; with --kill the first is killed with SIGKILL in the
middle, and none is told twice.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

import dagster as dg
import polars as pl

from benchmarks import postgres
from benchmarks.figures import keep, measured_on, table
from benchmarks.runs import storage_of
from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.orchestration.adoption import adopt
from gbpm_dagster.orchestration.runtime import Runtime, is_daily
from gbpm_dagster.orchestration.telling import BRIEF
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.protocol import EVIDENCE_SCHEMA

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def settings_of(home: Path, tables: int, days: int) -> Settings:
    """A home of the first so many daily tables that begin early enough."""
    start = (NOW - timedelta(days=days - 1)).date()
    old = (d.table for d in DATASETS.values() if is_daily(d) and d.first_day <= start)
    names = tuple(islice(old, tables))
    return Settings.load(
        {}, home=home, state_dir=home / "state", datasets=names, now=NOW, history_start=start, heal=False
    )


def fill(runtime: Runtime) -> int:
    """Evidence of every wanted day, as a legacy warehouse's import leaves it; how many days."""
    found = 0
    for dataset in runtime.datasets:
        wanted = runtime.wanted(dataset)
        runtime.lake.ledger.put_evidence(dataset.table, evidence(dataset.table, wanted))
        found += len(wanted)
    return found


def evidence(name: str, days: list[date]) -> pl.DataFrame:
    slots = [{"date": days[0], "period": n, "rows": 1} for n in range(1, 49)]
    told = {"table": name, "fetched_at": NOW, "source": "archive", "rows": 48, "distinct_keys": 48, "slots": slots}
    return pl.DataFrame([{**dict.fromkeys(EVIDENCE_SCHEMA), **told, "day": d} for d in days], schema=EVIDENCE_SCHEMA)


def adopted(settings: Settings, address: str) -> tuple[int, float, float]:
    """(days told, seconds, seconds of a processor) of one adoption of all tables."""
    runtime = Runtime(settings)
    with storage_of(settings, address) as instance:
        began, cpu = time.perf_counter(), time.process_time()
        stored = runtime.lake.evidence(columns=BRIEF)
        told = adopt(instance, runtime, runtime.datasets, stored)
        return sum(t["told"] for t in told.values()), time.perf_counter() - began, time.process_time() - cpu


def known(settings: Settings, address: str) -> int:
    """Days Dagster knows; AssertionError if one was told twice."""
    days = 0
    with storage_of(settings, address) as instance:
        for name in settings.datasets:
            key = dg.AssetKey(name)
            found = instance.get_materialized_partitions(key)
            records = instance.event_log_storage.fetch_materializations(key, limit=10_000).records
            assert len(records) == len(found), f"{name}: {len(records)} events of {len(found)} days"
            days += len(found)
    return days


def killed(settings: Settings, address: str, tables: int, days: int) -> int:
    """Days known after an adoption that was killed about in the middle."""
    command = [sys.executable, "-m", "benchmarks.bench_adopt", "--home", str(settings.home), "--address", address]
    command += ["--tables", str(tables), "--days", str(days)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    whole, before = len(settings.datasets) * days, 0
    while process.poll() is None and before < whole / 2:
        time.sleep(0.5)
        before = known(settings, address)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return known(settings, address)


def measure(storage: str, address: str, folder: Path, tables: int, days: int, kill: bool) -> list[str]:
    settings = settings_of(folder / storage, tables, days)
    whole = fill(Runtime(settings))
    before = killed(settings, address, tables, days) if kill else 0
    told, seconds, cpu = adopted(settings, address)
    again, looked, _ = adopted(settings, address)
    assert (before + told, again, known(settings, address)) == (whole, 0, whole), (before, told, again, whole)
    row = [storage, f"{before:,}", f"{told:,}", f"{seconds:.0f}", f"{cpu:.0f}", f"{1000 * seconds / told:.2f}"]
    return [*row, f"{looked:.1f}"]


def main() -> None:
    warnings.simplefilter("ignore")
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--tables", type=int, default=110)
    ask.add_argument("--days", type=int, default=1400)
    ask.add_argument("--kill", action="store_true", help="kill a first adoption in the middle")
    ask.add_argument("--no-keep", dest="keep", action="store_false", help="leave docs/performance.md as it is")
    ask.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    ask.add_argument("--address", default="", help=argparse.SUPPRESS)
    asked = ask.parse_args()
    if asked.home:
        adopted(settings_of(asked.home, asked.tables, asked.days), asked.address)
        return
    rows = []
    with tempfile.TemporaryDirectory() as name, postgres.server() as address:
        stores = {"SQLite": "", **({"PostgreSQL": address} if address else {})}
        for storage, where in stores.items():
            rows.append(measure(storage, where, Path(name), asked.tables, asked.days, asked.kill))
    head = ("storage", "known before", "days told", "seconds", "of a processor", "ms a day", "seconds to find none")
    text = f"{asked.tables} tables of {asked.days:,} days:\n\n{table(head, rows)}"
    text += "" if address else f"\n\n{postgres.LACKING}."
    if asked.keep:
        keep("adopt", text)
    else:
        print(f"{text}\n\n{measured_on()}")


if __name__ == "__main__":
    main()
