"""A new home judges itself: without it the healer would wait for the gap check of the next 08:00.

Belongs here: one sensor that asks for one gap check, once. Not here: what is missing, or what to do about it.
"""

import time
from collections.abc import Sequence

import dagster as dg

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.orchestration.checks import last_gaps

QUIET_S = 60.0
"""A person who has just started the home may have plans: for so long the first look waits."""


def build_first_look(datasets: Sequence[Dataset], job: dg.JobDefinition) -> dg.SensorDefinition:
    """The sensor `first_look`: asks for `gap_check` once in a home that has never run anything."""

    @dg.sensor(
        name="first_look",
        job=job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="In a new home: asks for one gap check after a minute, so that the healer can begin. Then rests.",
    )
    def first_look(context: dg.SensorEvaluationContext):
        if context.instance.get_runs_count() or any(last_gaps(context.instance, d.table) for d in datasets):
            return dg.SkipReason("this home has been looked at before")
        began = context.last_sensor_start_time
        if began and time.time() - began < QUIET_S:
            return dg.SkipReason(f"a new home: looking once it has been up for {QUIET_S:.0f} s")
        return dg.RunRequest(run_key="first look")

    return first_look
