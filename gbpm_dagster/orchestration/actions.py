"""What each `gbpm` command does, as plain functions that return plain values.

Belongs here: putting Runtime, instance and launch together for one command. Not here: printing, exit codes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from gbpm_dagster.catalogue import DATASETS, FAMILIES
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.console.args import UsageError, check_begin, check_range, parse_day
from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.console.show import day_bars
from gbpm_dagster.elexon.plan import plan as plan_windows
from gbpm_dagster.orchestration import launch, services
from gbpm_dagster.orchestration.checks import store
from gbpm_dagster.orchestration.healing import FAILS, plan_healing
from gbpm_dagster.orchestration.instance import fail_orphans, open_instance
from gbpm_dagster.orchestration.internal import days_in_flight
from gbpm_dagster.orchestration.runtime import Runtime, is_daily
from gbpm_dagster.quality.checks import CheckResult
from gbpm_dagster.settings import Settings, variable
from gbpm_dagster.warehouse.protocol import Outcome

__all__ = ["CannotWork", "backfill", "check", "config", "heal", "plan", "sql", "status", "tables", "up"]


def open_runtime() -> Runtime:
    """The home the environment names; raises SettingsError, HomeError."""
    runtime = Runtime(Settings.load())
    runtime.check_settings()
    return runtime


def choose(runtime: Runtime, names: Sequence[str], group: str | None, everything: bool) -> tuple[Dataset, ...]:
    """The tables a command is about: named, a group, or all of the home."""
    if bool(names) + bool(group) + everything > 1:
        raise UsageError("name tables, or a --group, or --all: one of the three")
    if names:
        return runtime.named(names)
    if group:
        found = tuple(d for d in runtime.datasets if d.family == group)
        if not found:
            known = ", ".join(f.name for f in FAMILIES)
            raise UsageError(f"there is no group {group!r} in this home; the groups are {known}")
        return found
    if everything:
        return runtime.datasets
    raise UsageError("say which tables: names, --group G or --all (`gbpm tables` lists them)")


def _days(
    runtime: Runtime, datasets: Sequence[Dataset], named: bool, first: str | None, last: str | None
) -> dict[str, list[date]]:
    begin, end = parse_day(first, "--from"), parse_day(last, "--to")
    check_range(begin, end, runtime.settings.today())
    if named:
        check_begin(tuple(d for d in datasets if is_daily(d)), begin, runtime.settings.history_start)
    low, high = begin or date.min, end or date.max
    return {d.table: [day for day in runtime.wanted(d) if not is_daily(d) or low <= day <= high] for d in datasets}


def plan(
    names: Sequence[str], group: str | None, everything: bool, first: str | None, last: str | None
) -> list[dict[str, Any]]:
    """Requests, seconds at the rate limit and megabytes a table; no network."""
    runtime = open_runtime()
    datasets = choose(runtime, names, group, everything)
    found = []
    for table, days in _days(runtime, datasets, bool(names), first, last).items():
        dataset = DATASETS[table]
        requests = len(plan_windows(dataset, days, runtime.caps.get(dataset.endpoint.path))) if days else 0
        found.append(
            {
                "table": table,
                "days": len(days),
                "requests": requests,
                "seconds": requests / runtime.settings.max_requests_per_second,
                "rows": dataset.rows_per_day * len(days),
                "megabytes": dataset.rows_per_day * dataset.bytes_per_row * len(days) / 1e6,
            }
        )
    return found


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
    """Fetch days; returns the shape of docs/contract.md."""
    runtime = open_runtime()
    datasets = choose(runtime, names, group, everything)
    if not missing and not (first and last) and any(is_daily(d) for d in datasets):
        raise UsageError("say which days: --from and --to, or --missing for all that are not there")
    days = _days(runtime, datasets, bool(names), first, last)
    work = {t: _fails(runtime, DATASETS[t], d) if missing else d for t, d in days.items()}
    runs, outcomes, requests = _launch(runtime, work, "backfill", quiet)
    found: dict[str, Any] = {"tables": {}, "runs": runs, "requests": requests, "notes": []}
    for table, asked in days.items():
        if not asked:
            found["notes"].append(f"{table}: no day of that range is in this home's scope")
        found["tables"][table] = _state(runtime, DATASETS[table], asked, outcomes)
    return found


def _fails(runtime: Runtime, dataset: Dataset, days: Sequence[date]) -> list[date]:
    states = runtime.coverage(dataset, days)
    found: list[date] = states.filter(pl.col("state").is_in(FAILS))["day"].to_list()
    return found


def _launch(
    runtime: Runtime, work: dict[str, list[date]], reason: str, quiet: bool
) -> tuple[list[str], dict[tuple[str, date], Outcome], int]:
    work = {table: days for table, days in work.items() if days}
    if not work:
        return [], {}, 0
    with (
        open_instance(runtime.settings) as instance,
        day_bars({t: len(d) for t, d in work.items()}, quiet) as listener,
    ):
        address = services.address(runtime.settings)
        done = launch.backfill(runtime, instance, work, reason=reason, listener=listener, services=address)
    return done.runs, done.outcomes, done.requests


def _state(
    runtime: Runtime, dataset: Dataset, days: Sequence[date], outcomes: dict[tuple[str, date], Outcome]
) -> dict[str, Any]:
    states = runtime.coverage(dataset, days)
    missing = {}
    for row in states.iter_rows(named=True):
        outcome = outcomes.get((dataset.table, row["day"]))
        if row["state"] in FAILS:
            failed = outcome is not None and not outcome.ok
            missing[row["day"].isoformat()] = (
                outcome.message if failed and outcome else f"{row['state']}: {row['reason']}"
            )
        elif outcome is not None and not outcome.ok:
            missing[row["day"].isoformat()] = f"kept as it was: {outcome.message or outcome.outcome}"
    return {
        "complete": states.filter(pl.col("state") == "complete").height,
        "rows": int(states["rows"].sum() or 0),
        "missing": missing,
    }


def check(names: Sequence[str], first: str | None, last: str | None) -> list[CheckResult]:
    """Run every check of those tables, store the results as Dagster evaluations, return them."""
    runtime = open_runtime()
    datasets = runtime.named(names)
    days = _days(runtime, datasets, bool(names), first, last)
    results = runtime.checks(datasets, days=lambda d: days[d.table])
    with open_instance(runtime.settings) as instance:
        store(instance, results)
    return results


def heal(*, quiet: bool = False) -> dict[str, Any]:
    """Detect -> backfill -> verify, once."""
    runtime = open_runtime()
    before = runtime.checks(which=("gaps",))
    failed = {r.table: list(r.missing) for r in before if r.missing}
    with open_instance(runtime.settings) as instance:
        fail_orphans(instance)
        decision = plan_healing(runtime, failed, days_in_flight(instance))
    runs, _, requests = _launch(runtime, decision.launch, "heal", quiet)
    after = runtime.checks([DATASETS[t] for t in failed], which=("gaps",)) if failed else []
    with open_instance(runtime.settings) as instance:
        store(instance, after or before)
    return {
        "decided": decision.why,
        "asked": decision.launch,
        "runs": runs,
        "requests": requests,
        "after": {r.table: {"passed": r.passed, "summary": r.summary, "missing": list(r.missing)} for r in after},
    }


def tables() -> list[dict[str, Any]]:
    """The catalogue, a record a table."""
    here = {d.table for d in open_runtime().datasets}
    return [
        {
            "table": d.table,
            "group": d.family,
            "tier": d.tier.value,
            "title": d.title,
            "code": d.code,
            "path": d.endpoint.path,
            "key": list(d.key),
            "first_day": d.first_day,
            "here": d.table in here,
        }
        for d in DATASETS.values()
    ]


def status() -> dict[str, Any]:
    """Services, tables, runs, disk of the home."""
    runtime = open_runtime()
    sizes = runtime.lake.disk_usage()
    fresh = {r.table: r for r in runtime.checks(which=("freshness",))}
    found = [_table_status(runtime, d, fresh[d.table], sizes) for d in runtime.datasets]
    with open_instance(runtime.settings) as instance:
        runs = [_run_status(r) for r in instance.get_run_records(limit=5)]
    return {
        "home": str(runtime.settings.home),
        "services": services.address(runtime.settings),
        "now": runtime.settings.clock(),
        "tables": found,
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
        **{
            name: counts.get(name, 0)
            for name in ("complete", "partial", "late", "missing", "missing_at_source", "due", "not_due")
        },
        "rows": int(evidence["rows"].sum() or 0),
        "newest": evidence["last_time"].max(),
        "freshness": "ok" if fresh.passed else fresh.summary,
        "bytes": sizes.get(dataset.table, 0),
    }


def _run_status(record: Any) -> dict[str, Any]:
    run = record.dagster_run
    what = ", ".join(sorted(k.to_user_string() for k in run.asset_selection or ())) or run.job_name
    started = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else None
    shown = started.strftime("%Y-%m-%d %H:%MZ") if started else "-"
    return {"run": run.run_id[:8], "what": what, "status": run.status.value, "started": shown}


def config() -> list[dict[str, Any]]:
    """Every setting: variable, value, origin, meaning. None of them is a secret today."""
    settings = Settings.load()
    found = []
    for name, info in Settings.model_fields.items():
        label = variable(info)
        origin = "environment" if os.environ.get(label, "").strip() else "default"
        found.append(
            {"variable": label, "value": getattr(settings, name), "origin": origin, "meaning": info.description or ""}
        )
    return found


def sql(query: str, dialect: str) -> pl.DataFrame:
    return open_runtime().lake.sql(query, dialect=dialect)


@contextlib.contextmanager
def up(port: int | None) -> Iterator[services.Services]:
    """The services of the home while the block lasts."""
    settings = Settings.load() if port is None else Settings.load(port=port)
    Runtime(settings).check_settings()
    with services.running(settings) as found:
        yield found
