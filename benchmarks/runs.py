"""Loads through Dagster, each timed in a fresh process (`python -m benchmarks.runs`, see `measure`).

Belongs here: one run over all days, one run a day, on SQLite and PostgreSQL. Not here: how often, what is compared.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import yaml

from benchmarks.server import ROOT
from benchmarks.ways import CONNECTIONS, WARM_DAY
from gbpm_dagster.catalogue import get
from gbpm_dagster.ingest.run import ingest
from gbpm_dagster.market.calendar import days
from gbpm_dagster.orchestration import launch
from gbpm_dagster.orchestration.instance import open_instance, write_dagster_yaml
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings

POSTGRES_FILE = "postgres.yaml"


@dataclass(frozen=True)
class Taken:
    """Seconds of the runs, and of the table's checks by themselves (in them, where runs check); events of days."""

    seconds: float
    checks: float
    told: int


def measure(how: str, table: str, first: date, last: date, url: str, folder: Path, postgres: str = "") -> Taken:
    """Do it once in a fresh process and home; how: `one` run for all days, or `each` day a run."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        command = [sys.executable, "-m", "benchmarks.runs", how, table, str(first), str(last), url, home, postgres]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DAGSTER_HOME": ""}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{how}, {table}: {done.stderr[-3000:]}")
    return Taken(**json.loads(done.stdout.splitlines()[-1]))


def storage_of(settings: Settings, postgres: str) -> dg.DagsterInstance:
    """The home's instance: with our SQLite storage, or with all of Dagster's storage in that PostgreSQL."""
    if not postgres:
        return open_instance(settings)
    folder = write_dagster_yaml(settings)
    content = yaml.safe_load((folder / "in-process.yaml").read_text())
    del content["event_log_storage"]
    content["storage"] = {"postgres": {"postgres_url": postgres}}
    (folder / POSTGRES_FILE).write_text(yaml.safe_dump(content))
    return dg.DagsterInstance.from_config(str(folder), POSTGRES_FILE)


def _settings(url: str, home: Path, first: date, last: date) -> Settings:
    return Settings.load(
        {},
        home=home,
        base_url=url,
        max_requests_per_second=10_000,
        max_concurrency=CONNECTIONS,
        state_dir=home / "state",
        history_start=first,
        now=f"{last + timedelta(days=1)}T12:00:00Z",
    )


def one_run(runtime: Runtime, instance: dg.DagsterInstance, table: str, wanted: list[date]) -> None:
    """What `gbpm backfill` does: one run, which also evaluates the table's checks."""
    done = launch.backfill(runtime, instance, {table: wanted})
    assert sorted(day for _, day in done.outcomes) == wanted
    assert all(outcome.ok for outcome in done.outcomes.values()), done.outcomes
    assert len(done.runs) == 1


def run_each(runtime: Runtime, instance: dg.DagsterInstance, table: str, wanted: list[date]) -> None:
    """A plain Dagster asset with daily partitions, one run a partition in this process, and no checks.

    Each run loads its day as ours does. A run of its own process would take seconds more.
    """

    @dg.asset(
        name=table,
        partitions_def=dg.DailyPartitionsDefinition(str(wanted[0]), timezone="Europe/London", end_offset=1),
    )
    def load(context) -> dg.MaterializeResult:
        day = date.fromisoformat(context.partition_key)
        report = ingest(
            get(table), [day], source=runtime.source, warehouse=runtime.lake, caps=runtime.caps, concurrency=1
        )
        return dg.MaterializeResult(metadata={"rows": report.outcomes[day].rows})

    for day in wanted:
        assert dg.materialize([load], instance=instance, partition_key=day.isoformat()).success


def _once(how: str, table: str, first: date, last: date, url: str, home: Path, postgres: str) -> Taken:
    work = {"one": one_run, "each": run_each}[how]
    warm = Runtime(_settings(url, home / "warm", WARM_DAY, WARM_DAY))
    with storage_of(warm.settings, "") as instance:
        work(warm, instance, "bmrs_mid", [WARM_DAY])
    runtime = Runtime(_settings(url, home / "home", first, last))
    wanted = days(first, last)
    with storage_of(runtime.settings, postgres) as instance:
        before = len(instance.get_materialized_partitions(dg.AssetKey(table)))
        began = time.perf_counter()
        work(runtime, instance, table, wanted)
        seconds = time.perf_counter() - began
        told = len(instance.get_materialized_partitions(dg.AssetKey(table)))
        assert told >= before and told >= len(wanted), f"Dagster knows {told} days of {len(wanted)}"
    began = time.perf_counter()
    if how == "one":
        runtime.checks([get(table)])
    return Taken(seconds, time.perf_counter() - began, told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=["one", "each"])
    parser.add_argument("table")
    parser.add_argument("first", type=date.fromisoformat)
    parser.add_argument("last", type=date.fromisoformat)
    parser.add_argument("url")
    parser.add_argument("home", type=Path)
    parser.add_argument("postgres", nargs="?", default="")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with redirect_stdout(sys.stderr):
        taken = _once(
            given.how, given.table, given.first, given.last, given.url, given.home.absolute(), given.postgres
        )
    print(json.dumps(asdict(taken)))


if __name__ == "__main__":
    main()
