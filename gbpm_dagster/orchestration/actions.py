"""What the commands that act do, as plain functions that return plain values.

Belongs here: putting Runtime, instance and launch together for one command. Not here: printing, exit codes, commands
that only ask (ask.py).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import polars as pl

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.console.args import UsageError
from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.console.show import day_bars
from gbpm_dagster.orchestration import known_gaps, launch, services
from gbpm_dagster.orchestration.ask import choose, days_of, open_runtime, runs_of, settlement_days
from gbpm_dagster.orchestration.checks import last_verdict, store
from gbpm_dagster.orchestration.heal_plan import FAILS
from gbpm_dagster.orchestration.instance import fail_orphans, open_instance
from gbpm_dagster.orchestration.internal import days_in_flight
from gbpm_dagster.orchestration.launch import Launched
from gbpm_dagster.orchestration.runtime import Runtime, is_daily
from gbpm_dagster.orchestration.settlement import plan_refetches, reason_of
from gbpm_dagster.orchestration.stream_status import brief
from gbpm_dagster.orchestration.telling import tell
from gbpm_dagster.quality.checks import CheckResult
from gbpm_dagster.quality.runs import Refetch
from gbpm_dagster.quality.witness import TABLE as COUNTS
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.protocol import Outcome

__all__ = ["CannotWork", "backfill", "check", "fetch_runs", "status", "up"]

STATES = ("complete", "partial", "late", "missing", "missing_at_source", "excluded", "due", "not_due")


def backfill(
    names: Sequence[str],
    group: str | None,
    everything: bool,
    first: str | None,
    last: str | None,
    missing: bool,
    *,
    quiet: bool = False,
) -> dict[str, Any]:
    """Fetch days; returns the shape of docs/contract.md, with `notes` for people and `faults` (empty: none)."""
    runtime = open_runtime()
    datasets = choose(runtime, names, group, everything)
    days = days_of(runtime, datasets, bool(names), first, last)
    if not missing and not (first and last) and any(is_daily(d) for d in datasets):
        raise UsageError("say which days: --from and --to, or --missing for all that are not there")
    work = {t: _fails(runtime, DATASETS[t], d) if missing else d for t, d in days.items()}
    with open_instance(runtime.settings) as instance:
        fail_orphans(instance)
        tell(instance, runtime, datasets)
        done = _launch(runtime, instance, work, "backfill", quiet)
    notes = [f"{table}: no day of that range is wanted in this home" for table, asked in days.items() if not asked]
    notes += _uncounted(runtime, days)
    return {
        "tables": {table: _state(runtime, DATASETS[table], asked, done) for table, asked in days.items()},
        "runs": done.runs,
        "requests": done.requests,
        "notes": notes,
        "faults": list(done.faults.values()),
    }


def _uncounted(runtime: Runtime, days: Mapping[str, Sequence[date]]) -> list[str]:
    """A note if rows could be held against Elexon's own counts, and these were never asked for their days."""
    tables = [table for table, asked in days.items() if asked and DATASETS[table].counted_elsewhere]
    if not tables or COUNTS not in {d.table for d in runtime.datasets}:
        return []
    known = set(runtime.lake.evidence([COUNTS])["day"].to_list())
    lacking = sorted({day for table in tables for day in days[table]} - known)
    if not lacking:
        return []
    return [
        f"{', '.join(tables)}: the rows of {len(lacking)} day(s) are not compared with Elexon's own counts yet: "
        f"`gbpm backfill {COUNTS} --from {lacking[0]} --to {lacking[-1]}` fetches these"
    ]


def _fails(runtime: Runtime, dataset: Dataset, days: Sequence[date]) -> list[date]:
    states = runtime.coverage(dataset, days)
    found: list[date] = states.filter(pl.col("state").is_in(FAILS))["day"].to_list()
    return found


def _launch(
    runtime: Runtime, instance: dg.DagsterInstance, work: Mapping[str, list[date]], reason: str, quiet: bool
) -> Launched:
    work = {table: days for table, days in work.items() if days}
    with day_bars({t: len(d) for t, d in work.items()}, quiet) as listener:
        address = services.address(runtime.settings) if work else None
        return launch.backfill(runtime, instance, work, reason=reason, listener=listener, services=address)


def _state(runtime: Runtime, dataset: Dataset, days: Sequence[date], done: Launched) -> dict[str, Any]:
    states = runtime.coverage(dataset, days)
    missing = {}
    for row in states.iter_rows(named=True):
        why = _why_missing(row, done.outcomes.get((dataset.table, row["day"])), done.faults.get(dataset.table))
        if why:
            missing[row["day"].isoformat()] = why
    return {
        "complete": states.filter(pl.col("state") == "complete").height,
        "rows": int(states["rows"].sum() or 0),
        "missing": missing,
    }


def _why_missing(row: Mapping[str, Any], outcome: Outcome | None, fault: str | None) -> str:
    """Why a day is not what was asked for, '' if it is: incomplete, or whole but not what the source says now."""
    failed = outcome is not None and not outcome.ok
    if row["state"] in FAILS:
        if outcome is not None and failed:
            return outcome.message or outcome.outcome
        return fault if fault and outcome is None else f"{row['state']}: {row['reason']}"
    if outcome is not None and failed:
        return f"kept as it was: {outcome.message or outcome.outcome}"
    return ""


def check(names: Sequence[str], first: str | None, last: str | None) -> list[CheckResult]:
    """Run every check of those tables, store the results as Dagster evaluations, return them."""
    runtime = open_runtime()
    datasets = runtime.named(names)
    days = days_of(runtime, datasets, bool(names), first, last)
    in_part = bool(first or last)
    results = runtime.checks(datasets, days=lambda d: days[d.table], anew=in_part)
    with open_instance(runtime.settings) as instance:
        tell(instance, runtime, datasets)
        store(instance, [_in_part(instance, r, days[r.table]) if in_part else r for r in results])
    return results


def _in_part(instance: dg.DagsterInstance, result: CheckResult, days: Sequence[date]) -> CheckResult:
    """A result over some days as it is stored: it says so, and days outside that were missing stay known as missing.

    Without that, a check of one good day would hide all other gaps from the healer until the next whole check.
    """
    span = f"{days[0]} to {days[-1]}" if days else "no day"
    summary = f"{span} only: {result.summary}"
    if result.check != "gaps":
        return replace(result, summary=summary)
    others = [d for d in last_verdict(instance, result.table) or () if d not in set(days)]
    return replace(result, summary=summary, missing=tuple(sorted({*result.missing, *others})))


def fetch_runs(names: Sequence[str], first: str | None, last: str | None, *, quiet: bool = False) -> dict[str, Any]:
    """Fetch again what settlement runs made due; returns `ask.runs` as it was before, and what the fetch did: runs,
    requests, missing (days due that are still not as the source has them, with why), faults (empty: none)."""
    runtime = open_runtime()
    days = settlement_days(runtime, names, first, last)
    with open_instance(runtime.settings) as instance:
        fail_orphans(instance)
        found = plan_refetches(runtime, days, days_in_flight(instance))
        before = runs_of(runtime, days)
        done = []
        for run in dict.fromkeys(r.run for r in found):  # one after the other: each run's tag says why
            work = {r.table: list(r.days) for r in found if r.run == run}
            done.append(_launch(runtime, instance, work, reason_of(run), quiet))
    return {
        "tables": before,
        "runs": [run for d in done for run in d.runs],
        "requests": sum(d.requests for d in done),
        "missing": _not_fetched(found, done),
        "faults": [text for d in done for text in d.faults.values()],
    }


def _not_fetched(found: Sequence[Refetch], done: Sequence[Launched]) -> dict[str, dict[str, str]]:
    """Of the days that were due those that did not become what the source has now, with the reason."""
    outcomes = {key: outcome for d in done for key, outcome in d.outcomes.items()}
    faults = {table: text for d in done for table, text in d.faults.items()}
    missing: dict[str, dict[str, str]] = {}
    for refetch in found:
        for day in refetch.due:
            outcome = outcomes.get((refetch.table, day))
            if outcome is None or not outcome.ok:
                why = (outcome.message or outcome.outcome) if outcome else faults.get(refetch.table, "was not asked")
                missing.setdefault(refetch.table, {})[day.isoformat()] = why
    return missing


def status() -> dict[str, Any]:
    """Services, tables, runs, disk of the home."""
    runtime = open_runtime()
    sizes = runtime.lake.disk_usage()
    fresh = {r.table: r for r in runtime.checks(which=("freshness",))}
    found = [_table_status(runtime, d, fresh[d.table], sizes) for d in runtime.datasets]
    with open_instance(runtime.settings) as instance:
        fail_orphans(instance)
        runs = [_run_status(r) for r in instance.get_run_records(limit=5)]
    return {
        "home": str(runtime.settings.home),
        "services": services.address(runtime.settings),
        "now": runtime.settings.clock(),
        "tables": found,
        "known_gaps": known_gaps.counts(runtime),
        "stream": brief(runtime),
        "runs": runs,
        "lake_bytes": sum(sizes.values()),
        "free_bytes": shutil.disk_usage(runtime.settings.home).free,
    }


def _table_status(runtime: Runtime, dataset: Dataset, fresh: CheckResult, sizes: dict[str, int]) -> dict[str, Any]:
    states = runtime.coverage(dataset)
    counts = dict(states.group_by("state").len().iter_rows())
    evidence = runtime.lake.evidence([dataset.table])
    return {
        "table": dataset.table,
        "wanted": states.height,
        **{name: counts.get(name, 0) for name in STATES},
        "rows": int(evidence["rows"].sum() or 0),
        "newest": evidence["last_time"].max(),
        "fresh": "ok" if fresh.passed else fresh.severity.lower(),
        "freshness": fresh.summary,
        "bytes": sizes.get(dataset.table, 0),
    }


def _run_status(record: Any) -> dict[str, Any]:
    run = record.dagster_run
    what = ", ".join(sorted(k.to_user_string() for k in run.asset_selection or ())) or run.job_name
    started = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else None
    return {"run": run.run_id, "what": what, "status": run.status.value, "started": started}


@contextlib.contextmanager
def up(port: int | None) -> Iterator[services.Services]:
    """The services of the home while the block lasts."""
    settings = Settings.load() if port is None else Settings.load(port=port)
    Runtime(settings).check_settings()
    with services.running(settings) as found:
        yield found
