"""Jobs and schedules, by London time.

Belongs here: when things run by themselves. Not here: what they do.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import dagster as dg

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.market.calendar import LONDON
from gbpm_dagster.orchestration.assets import REASON_TAG
from gbpm_dagster.orchestration.checks import store
from gbpm_dagster.orchestration.cleaning import expired_backups
from gbpm_dagster.orchestration.partitions import partitions_of
from gbpm_dagster.orchestration.runtime import CHECKS, Runtime, is_daily
from gbpm_dagster.orchestration.settlement import ASSET_JOB, build_runs_schedule
from gbpm_dagster.orchestration.stream_replay import tidy_stream
from gbpm_dagster.orchestration.telling import tell
from gbpm_dagster.quality.expected import last_due_day
from gbpm_dagster.quality.known import GAP_CHECK_HOUR, NIGHTLY_HOUR
from gbpm_dagster.quality.result import FRESHNESS, GAPS


def _check_job(name: str, which: Sequence[str], description: str) -> dg.JobDefinition:
    """One step that judges every table at once and stores each result as an evaluation of its check.

    A step of its own, outside the pool of loads: a long backfill must not keep the watch from its round.
    """

    @dg.op(name=f"run_{name}", required_resource_keys={"gbpm"}, description=description)
    def judge(context: dg.OpExecutionContext) -> None:
        runtime: Runtime = context.resources.gbpm
        results = runtime.checks(which=which)
        if FRESHNESS in which:
            results += runtime.stream_freshness()
        store(context.instance, results)
        if GAPS in which:
            told = tell(context.instance, runtime, runtime.datasets)
            context.log.info(f"{told} stored days that Dagster did not know")
        failed = [r for r in results if not r.passed]
        for result in failed:
            context.log.warning(f"{result.table} {result.check}: {result.summary}")
        context.log.info(f"{len(results)} checks of {len(runtime.datasets)} tables, {len(failed)} failed")

    @dg.job(name=name, description=description, executor_def=dg.in_process_executor)
    def job() -> None:
        judge()

    return job


def build_jobs() -> dict[str, dg.JobDefinition]:
    """Jobs that fetch nothing: `gap_check`, `freshness_check`, `all_checks`, and `upkeep` of the lake."""
    return {
        "gap_check": _check_job(
            "gap_check",
            ("gaps", "duplicates", "validity"),
            "Gaps, duplicates and validity of every table; failed gaps start the healer.",
        ),
        "freshness_check": _check_job(
            "freshness_check", ("freshness",), "How old the newest value of every table is."
        ),
        "all_checks": _check_job("all_checks", CHECKS, "Every check of every table."),
        "upkeep": upkeep_job(),
    }


def upkeep_job() -> dg.JobDefinition:
    """`upkeep`: joins the lake's small files, removes versions older than a week and backups past their time, and
    keeps the stream small."""

    @dg.op(name="run_upkeep", required_resource_keys={"gbpm"})
    def tidy(context: dg.OpExecutionContext) -> None:
        runtime: Runtime = context.resources.gbpm
        lake = runtime.lake
        joined, removed = sum(lake.compact().values()), sum(lake.vacuum().values())
        context.log.info(f"{joined} small files joined, {removed} files of versions older than a week removed")
        for line in tidy_stream(runtime):
            context.log.info(line)
        for name in expired_backups(runtime):
            context.log.info(f"backup {name} removed: older than {runtime.settings.backup_days} days")

    @dg.job(
        name="upkeep",
        description="Joins the lake's small files, removes versions older than a week and backups past their time, "
        "packs raw messages of the stream and forgets days of its tables that history has whole.",
        executor_def=dg.in_process_executor,
    )
    def job() -> None:
        tidy()

    return job


def build_schedules(
    datasets: Sequence[Dataset], runtime: Runtime, jobs: Mapping[str, dg.JobDefinition]
) -> list[dg.ScheduleDefinition]:
    """02:00 backfill of yesterday, 04:00 upkeep, 05:00 settlement runs, 08:00 gap check, freshness every 15 minutes
    (Europe/London)."""
    return [
        _daily_backfill(datasets, runtime),
        build_runs_schedule(datasets, runtime),
        _schedule(
            "gap_check_0800",
            jobs["gap_check"],
            f"0 {GAP_CHECK_HOUR} * * *",
            "08:00 London: look for gaps in the whole history; the healer takes what fails.",
        ),
        _schedule(
            "freshness_15_min",
            jobs["freshness_check"],
            "*/15 * * * *",
            "Every 15 minutes: is the newest value of every table young enough.",
        ),
        _schedule(
            "upkeep_0400",
            jobs["upkeep"],
            "0 4 * * *",
            "04:00 London: keep the lake's files few and its old versions a week.",
        ),
    ]


def _schedule(name: str, job: dg.JobDefinition, cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=LONDON.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


def _daily_backfill(datasets: Sequence[Dataset], runtime: Runtime) -> dg.ScheduleDefinition:
    """Yesterday of every daily table, and today's snapshots; one run for tables with the same partitions.

    What appears later than the night after (settlement's figures, metered volumes) is asked a second time on the
    first night on which it is due, unless it is there by then.
    """

    @dg.schedule(
        name="daily_backfill_0200",
        job_name=ASSET_JOB,  # the one job that may hold tables with different first days
        cron_schedule=f"0 {NIGHTLY_HOUR} * * *",
        execution_timezone=LONDON.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "02:00 London: fetch yesterday of every table and today's reference lists; of tables that appear later, "
            "the day that is due now too."
        ),
    )
    def daily_backfill(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        # A tick that is caught up later asks for the yesterday of its own night, in London.
        tick = context.scheduled_execution_time.astimezone(LONDON)
        night = tick.date()
        yesterday = (runtime.settings.today() if runtime.settings.now else night) - timedelta(days=1)
        together: dict[tuple[object, date | None], list[Dataset]] = defaultdict(list)
        for dataset in datasets:
            partitions = partitions_of(dataset, runtime.settings, runtime.scope)
            if not is_daily(dataset):
                together[partitions, None].append(dataset)
                continue
            days = {yesterday, last_due_day(dataset, runtime.settings.now or tick)}
            for day in days & (set(runtime.wanted(dataset)) - runtime.excluded(dataset)):
                together[partitions, day].append(dataset)
        return [
            _nightly(night, day, group, again=day not in (None, yesterday)) for (_, day), group in together.items()
        ]

    return daily_backfill


def _nightly(night: date, day: date | None, group: Sequence[Dataset], *, again: bool) -> dg.RunRequest:
    """A run of the night for tables with the same partitions. again: leaves out what is complete by now."""
    config = {"ops": {d.table: {"config": {"only_incomplete": True}} for d in group}} if again else None
    return dg.RunRequest(
        # Needed for more than one; a tick that is retried repeats none.
        run_key=f"{night} {group[0].table}" + (f" {day}" if again else ""),
        asset_selection=[dg.AssetKey(d.table) for d in group],
        partition_key=None if day is None else day.isoformat(),
        run_config=config,
        tags={REASON_TAG: "schedule"},
    )
