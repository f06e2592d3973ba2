"""Settlement runs: a schedule that fetches again the days that have come due.

Belongs here: asking Dagster for what is due. Not here: which days and why (quality.runs), the command (ask, actions).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.market.calendar import LONDON
from gbpm_dagster.orchestration.assets import REASON_TAG
from gbpm_dagster.orchestration.internal import days_in_flight
from gbpm_dagster.orchestration.partitions import RANGE_END, RANGE_START, partitions_of, spans
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.runs import Refetch, bounded, refetches

ASSET_JOB = "__ASSET_JOB"
"""Dagster's own job of all assets (a test holds the name against the pinned version)."""


def reason_of(run: str) -> str:
    """What the runs are tagged with, and their tries are logged with."""
    return f"settlement run {run}"


def plan_refetches(
    runtime: Runtime,
    days: Mapping[str, Sequence[date]],
    in_flight: Mapping[str, set[date]],
    limit: int | None = None,
) -> list[Refetch]:
    """What to ask for now of those days: at most `limit` due ones, the newest first."""
    due = runtime.due_runs(days, in_flight)
    due = due if limit is None else bounded(due, limit)
    if due.is_empty():
        return []
    evidence = runtime.lake.evidence(due["table"].unique().to_list()).select("table", "day")
    held = {t: set(part["day"]) & set(days[t]) for (t,), part in evidence.partition_by("table", as_dict=True).items()}
    return refetches(due, held, in_flight)


def build_runs_schedule(datasets: Sequence[Dataset], runtime: Runtime) -> dg.ScheduleDefinition:
    """The schedule `settlement_runs_0500`: few runs of many days each, each for one settlement run."""
    tables = [d for d in datasets if d.settlement]
    settings = runtime.settings

    @dg.schedule(
        name="settlement_runs_0500",
        job_name=ASSET_JOB,  # the one job that may hold tables with different first days
        cron_schedule="0 5 * * *",
        execution_timezone=LONDON.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="05:00 London: fetch again the days whose settlement run (II, SF, R1, R2, R3, RF) has come.",
    )
    def settlement_runs(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        days = {d.table: runtime.wanted(d) for d in tables}
        flying = days_in_flight(context.instance)
        left_alone = {d.table: flying.get(d.table, set()) | runtime.excluded(d) for d in tables}
        found = plan_refetches(runtime, days, left_alone, settings.runs_max_partitions)
        if not found:
            return dg.SkipReason("no settlement run has come since the days held were last fetched")
        night = context.scheduled_execution_time.date()
        return [
            dg.RunRequest(
                # Needed for more than one; a tick that is retried repeats none.
                run_key=f"{night} {reason_of(run)} {group[0].table} {span[0]} {span[-1]}",
                asset_selection=[dg.AssetKey(d.table) for d in group],
                tags={
                    REASON_TAG: reason_of(run),
                    RANGE_START: span[0].isoformat(),
                    RANGE_END: span[-1].isoformat(),
                },
            )
            for run, span, group in _runs(runtime, tables, found)
        ]

    return settlement_runs


def _runs(
    runtime: Runtime, tables: Sequence[Dataset], found: Sequence[Refetch]
) -> list[tuple[str, list[date], list[Dataset]]]:
    """(settlement run, range of days, tables): tables with the same partitions and range share one Dagster run."""
    by_name = {d.table: d for d in tables}
    together: dict[tuple[str, tuple[date, ...], object], list[Dataset]] = defaultdict(list)
    for refetch in found:
        dataset = by_name[refetch.table]
        partitions = partitions_of(dataset, runtime.settings, runtime.scope)
        for span in spans(refetch.days, runtime.among(dataset)):
            together[refetch.run, tuple(span), partitions].append(dataset)
    return [(run, list(span), group) for (run, span, _), group in together.items()]
