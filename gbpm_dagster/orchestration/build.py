"""Definitions of one home, from its settings.

Belongs here: assembling. Not here: reading the environment (definitions.py and the CLI do).
"""

from __future__ import annotations

import dagster as dg

from gbpm_dagster.orchestration.assets import build_asset
from gbpm_dagster.orchestration.first_look import build_first_look
from gbpm_dagster.orchestration.healing import build_healer
from gbpm_dagster.orchestration.jobs import build_jobs, build_schedules
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings


def build_definitions(settings: Settings, runtime: Runtime | None = None) -> dg.Definitions:
    """Assets and checks of the home's tables, the healer, jobs and schedules."""
    runtime = runtime or Runtime(settings)
    runtime.check_settings()
    datasets, jobs = runtime.datasets, build_jobs()
    return dg.Definitions(
        assets=[build_asset(d, runtime) for d in datasets],
        jobs=list(jobs.values()),
        schedules=build_schedules(datasets, runtime, jobs),
        sensors=[build_healer(datasets, runtime), build_first_look(datasets, jobs["gap_check"])],
        resources={"gbpm": runtime},
        executor=dg.in_process_executor,
    )
