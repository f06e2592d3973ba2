"""What the commands that only ask do, as plain functions that return plain values; no Dagster: they start fast.

Belongs here: plan, runs, tables, config, sql, unit, what a command line is about. Not here: printing, any fetching.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from gbpm_dagster.catalogue import DATASETS, FAMILIES
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.console.args import UsageError, check_begin, check_range, parse_day
from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.elexon.plan import span_text
from gbpm_dagster.orchestration.runtime import Runtime, is_daily
from gbpm_dagster.settings import Settings, fields, shown, variable

if TYPE_CHECKING:
    import polars as pl

    from gbpm_dagster.analytics.units import Units


def open_runtime() -> Runtime:
    """The home the environment names; raises SettingsError."""
    runtime = Runtime(Settings.load())
    runtime.check_settings()
    return runtime


def choose(runtime: Runtime, names: Sequence[str], group: str | None, everything: bool) -> tuple[Dataset, ...]:
    """The tables a command is about: named, a group, or all of the home; raises UsageError, UnknownTable."""
    if bool(names) + bool(group) + everything > 1:
        raise UsageError("name tables, or a --group, or --all: one of the three")
    if names:
        return runtime.named(names)
    if group:
        wanted = group.lower().strip("/")
        found = tuple(d for d in runtime.datasets if f"{d.family}/".startswith(f"{wanted}/"))
        if not found:
            raise UsageError(_no_group(runtime, group))
        return found
    if everything:
        return runtime.datasets
    raise UsageError("say which tables: names, --group G or --all (`gbpm tables` lists them)")


def _no_group(runtime: Runtime, group: str) -> str:
    here = {d.family for d in runtime.datasets}
    known = [f.name for f in FAMILIES if f.name in here]
    near = get_close_matches(group.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"there is no group {group!r} in this home: {hint}The groups are {', '.join(known)}"


def days_of(
    runtime: Runtime, datasets: Sequence[Dataset], named: bool, first: str | None, last: str | None
) -> dict[str, list[date]]:
    """The wanted days of each table between --from and --to (a snapshot: today's); raises UsageError.

    named: the tables were named one by one, so that a day before one of them begins is a mistake.
    """
    begin, end = parse_day(first, "--from"), parse_day(last, "--to")
    settings = runtime.settings
    check_range(begin, end, settings.today())
    daily = tuple(d for d in datasets if is_daily(d))
    check_begin(daily if named else (), begin, end, settings.history_start)
    low, high = begin or date.min, end or date.max
    found = {d.table: [day for day in runtime.wanted(d) if not is_daily(d) or low <= day <= high] for d in datasets}
    if found and not any(found.values()):
        about = next(iter(found)) if len(found) == 1 else "these tables"
        where = f"the scope of this home (GBPM_SCOPE_FILE {settings.scope_file})" if runtime.scope else "this home"
        raise UsageError(f"no day of {about} in that range is in {where}: choose other days")
    return found


def plan(
    names: Sequence[str], group: str | None, everything: bool, first: str | None, last: str | None
) -> list[dict[str, Any]]:
    """Requests, seconds at the rate limit and megabytes a table; no network."""
    runtime = open_runtime()
    datasets = choose(runtime, names, group, everything)
    found = []
    for table, days in days_of(runtime, datasets, bool(names), first, last).items():
        dataset = DATASETS[table]
        requests = runtime.requests(dataset, days)
        found.append(
            {
                "table": table,
                "days": len(days),
                "requests": requests,
                "window": _window(runtime, dataset),
                "seconds": requests / _rate(runtime, dataset),
                "rows": dataset.rows_per_day * len(days),
                "megabytes": dataset.rows_per_day * dataset.wire_bytes_per_row * len(days) / 1e6,
            }
        )
    return found


def _window(runtime: Runtime, dataset: Dataset) -> str:
    """The longest window of one request and how it is known: `7 days (API 400 body)`, `4 hours (learnt)`."""
    endpoint, learnt = dataset.endpoint, runtime.caps.get(dataset.endpoint.path)
    if learnt is not None:
        return f"{span_text(learnt)} (learnt from the source)"
    return f"{span_text(endpoint.cap)} ({endpoint.cap_source})" if endpoint.cap else endpoint.cap_source


def _rate(runtime: Runtime, dataset: Dataset) -> float:
    """Requests a second: the setting's, or the path's own where that is lower."""
    own = dataset.endpoint.per_minute / 60
    return min(runtime.settings.max_requests_per_second, own or float("inf"))


def settlement_days(
    runtime: Runtime, names: Sequence[str], first: str | None, last: str | None
) -> dict[str, list[date]]:
    """The wanted days of the named (or all) settlement tables of the home; raises UsageError, UnknownTable."""
    datasets = runtime.named(names)
    known = ", ".join(d.table for d in runtime.datasets if d.settlement) or "none in this home"
    for dataset in datasets if names else ():
        if not dataset.settlement:
            raise UsageError(f"{dataset.table} is not re-run by settlement: the tables that are: {known}")
    chosen = [d for d in datasets if d.settlement]
    return days_of(runtime, chosen, bool(names), first, last)


def runs_of(runtime: Runtime, days: Mapping[str, Sequence[date]]) -> dict[str, dict[str, Any]]:
    """By table: held (days with an answer), due (of them, to fetch again), runs (due days by the run that is why),
    days (each with its run), runs due and held, and their ratio (domain.md 2.2 G)."""
    from gbpm_dagster.quality.run_calendar import ORDER

    due = runtime.due_runs(days).sort("table", "day")
    vintages = runtime.vintage_completeness(days)
    evidence = runtime.lake.evidence(list(days)).select("table", "day")
    found = {}
    for table, wanted in days.items():
        here, shares = due.filter(table=table), vintages.filter(table=table)
        expected, held = int(shares["runs_due"].sum()), int(shares["runs_held"].sum())
        found[table] = {
            "held": evidence.filter(evidence["table"] == table, evidence["day"].is_in(list(wanted))).height,
            "due": here.height,
            "runs": {run: n for run in ORDER if (n := here.filter(run=run).height)},
            "days": {day.isoformat(): run for day, run in here.select("day", "run").iter_rows()},
            "runs_due": expected,
            "runs_held": held,
            "vintage_completeness": held / expected if expected else None,
        }
    return found


def runs(names: Sequence[str], first: str | None, last: str | None) -> dict[str, Any]:
    """What settlement runs make due, a table; asks nobody."""
    runtime = open_runtime()
    return {"tables": runs_of(runtime, settlement_days(runtime, names, first, last))}


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


def config() -> list[dict[str, Any]]:
    """Every setting: variable, value, origin, meaning. A name and password within an address are hidden."""
    settings = open_runtime().settings
    found = []
    for name, info in fields().items():
        label = variable(info)
        origin = "environment" if os.environ.get(label, "").strip() else "default"
        value = shown(name, getattr(settings, name))
        found.append({"variable": label, "value": value, "origin": origin, "meaning": info.description or ""})
    return found


def sql(query: str, dialect: str) -> pl.DataFrame:
    """One SELECT over the home's tables; raises QueryError."""
    return open_runtime().lake.sql(query, dialect=dialect)


def unit(asked: str, on: str | None) -> Units:
    """The register's entry of a BM unit as of a day (None: the newest list); raises CannotWork if there is none."""
    from gbpm_dagster.analytics.units import UnitNotFound, find_unit

    runtime, day = open_runtime(), parse_day(on, "--on")
    today = runtime.settings.today()
    if day and day > today:
        raise UsageError(f"--on {day} is in the future: the newest day there can be is {today} (London)")
    try:
        return find_unit(runtime.lake, asked, day)
    except UnitNotFound as error:
        raise CannotWork(str(error)) from None
