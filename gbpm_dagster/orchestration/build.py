"""Definitions of one home, from its settings.

Belongs here: assembling. Not here: reading the environment (definitions.py and the CLI do).
"""

from __future__ import annotations

import dagster as dg

from gbpm_dagster.orchestration.acceptances_asset import build_acceptances, build_late_inputs
from gbpm_dagster.orchestration.alerting import build_alerts
from gbpm_dagster.orchestration.assets import build_asset
from gbpm_dagster.orchestration.first_look import build_first_look
from gbpm_dagster.orchestration.healing import build_healer
from gbpm_dagster.orchestration.jobs import build_jobs, build_schedules
from gbpm_dagster.orchestration.known_gaps_asset import build_known_gaps
from gbpm_dagster.orchestration.openapi_asset import build_openapi
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.orchestration.scoring import build_scorecard
from gbpm_dagster.orchestration.stream_checks import build_stream_checks
from gbpm_dagster.orchestration.stream_job import build_stream
from gbpm_dagster.settings import Settings


def build_definitions(settings: Settings, runtime: Runtime | None = None) -> dg.Definitions:
    """Assets and checks of the home's tables, the healer, jobs and schedules, the look at Elexon's document."""
    runtime = runtime or Runtime(settings)
    runtime.check_settings()
    datasets, jobs = runtime.datasets, build_jobs()
    # A home of recorded days has no service behind it whose document could be looked at.
    own = [build_known_gaps(), build_scorecard(), *([build_openapi()] if runtime.scope is None else [])]
    computed = build_acceptances(datasets, runtime)
    assets = [
        *(build_asset(d, runtime) for d in datasets),
        *computed,
        *(asset for asset, _ in own),
    ]
    streams, drain, stream = build_stream(runtime)
    stream_checks = build_stream_checks(runtime)
    checks = [key for checked in (*assets, *stream_checks) for key in checked.check_keys]
    return dg.Definitions(
        assets=[*assets, *streams],
        asset_checks=stream_checks,
        jobs=[*jobs.values(), drain],
        schedules=[*build_schedules(datasets, runtime, jobs), *(schedule for _, schedule in own)],
        sensors=[
            build_healer(datasets, runtime),
            build_first_look(datasets, jobs["gap_check"]),
            build_alerts(runtime, checks),
            stream,
            *build_late_inputs(computed),
        ],
        resources={"gbpm": runtime},
        executor=dg.in_process_executor,
    )
