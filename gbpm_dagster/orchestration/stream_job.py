"""The stream in Dagster: the job `iris_drain`, the sensor `iris` that keeps one going, the assets `<table>_iris`.

Belongs here: runs, events, the decision that the next drain may begin. Not here: the drain itself (`stream`).

One run drains for IRIS_DRAIN_SECONDS (ten minutes), and the sensor starts the next when it has ended. A run needs
some seconds and some processor time to start (docs/stream.md has the figures), so drains of 20 s would leave the
queue unattended for a quarter of the time; a drain without end would never be renewed, and its memory, log and events
would grow with it. While a drain runs a message waits for the next load, between two drains for the next run.
"""

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from gbpm_dagster.catalogue.streams import STREAMED, stream_of
from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.iris.access import AccessError
from gbpm_dagster.orchestration.describe import asset_spec
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.internal import NOT_FINISHED_STATUSES
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.orchestration.stream import AlreadyDraining, Drain, Drained, Told, ends_with_parent, lock_of
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.home import held_by, said_by, who

JOB, SENSOR, GROUP = "iris_drain", "iris", "stream"
TAG = "gbpm/iris"
"""Of a drain's run: the home's dagster.yaml lets one run with it go at a time."""

GRACE_S = 30.0
"""So long a run that has started may take to lock the queue before it counts as dead."""

PAUSE_S = 60.0
"""Wait after a drain that failed (wrong secret, disk full): at once it would fail again."""


def build_stream(runtime: Runtime) -> tuple[list[dg.AssetSpec], dg.JobDefinition, dg.SensorDefinition]:
    """The assets of the stream's tables, the job that fills them, the sensor that keeps it going."""
    job = _job()
    return specs(runtime), job, _sensor(runtime, job)


def specs(runtime: Runtime) -> list[dg.AssetSpec]:
    """One asset a stream table whose code is on: it is filled by drains, not by runs of its own."""
    if not runtime.settings.streaming:
        return []
    found = []
    for code in runtime.settings.iris_wanted:
        history, stream = STREAMED[code], stream_of(STREAMED[code])
        spec = asset_spec(stream, None, fed=False)
        text = (
            f"Rows of {history.table} as the stream IRIS brings them (code {code}), within a minute of publication: "
            f"the newest version of each key.\n\n{spec.description}"
        )
        found.append(
            spec.replace_attributes(
                group_name=GROUP, description=text, deps=[], kinds={"elexon", "iris", "deltalake"}
            )
        )
    return found


def _job() -> dg.JobDefinition:
    text = "Receives from the IRIS queue and loads what has landed, for IRIS_DRAIN_SECONDS; one at a time."

    @dg.op(name="drain_iris", required_resource_keys={"gbpm"}, description=text)
    def drain_iris(context: dg.OpExecutionContext) -> None:
        runtime: Runtime = context.resources.gbpm

        def tell(told: Sequence[Told]) -> None:
            for one in told:
                context.log_event(materialised(one))

        drain = Drain(runtime, what=run_label(context.run_id), tell=tell, log=context.log.warning)
        try:
            with ends_with_parent(drain):
                done = drain.run(runtime.settings.iris_drain_s)
        except AlreadyDraining as error:
            raise dg.Failure(f"{error}", allow_retries=False) from None
        context.log.info(summary(done))

    @dg.job(name=JOB, description=text, executor_def=dg.in_process_executor, tags={TAG: "drain"})
    def iris_drain() -> None:
        drain_iris()

    return iris_drain


def materialised(told: Told) -> dg.AssetMaterialization:
    """The event of what came into one stream table."""
    counts = told.counts
    metadata: dict[str, Any] = {
        "messages": counts["messages"],
        "rows": counts["fetched"],
        "dagster/row_count": counts["written"],
        "superseded": counts["superseded"],
        "exact duplicates": counts["exact_duplicates"],
        "quarantined": counts["quarantined"],
        "source": "IRIS",
    }
    if told.lag_s:
        metadata["lag seconds"] = round(median(told.lag_s), 1)
        metadata["longest lag seconds"] = round(max(told.lag_s), 1)
    if told.newest is not None:
        metadata["newest message"] = dg.MetadataValue.timestamp(told.newest)
    return dg.AssetMaterialization(
        dg.AssetKey(told.table),
        description=f"{counts['written']:,} rows of {counts['messages']:,} messages",
        metadata=metadata,
    )


def summary(done: Drained) -> str:
    """A drain in one line."""
    received = done.received
    queue = f"{received['messages']:,} messages received, {received['locks_lost']:,} locks lost; " if received else ""
    return (
        f"{queue}{done.statuses.total():,} messages loaded: {done.rows['written']:,} rows written, "
        f"{done.rows['exact_duplicates']:,} duplicates, {done.rows['quarantined']:,} quarantined; "
        f"{done.waiting:,} wait; {done.seconds:.0f} s"
    )


def run_label(run_id: str) -> str:
    """What a drain's lock says of the run that holds it."""
    return f"run {run_id}"


def _sensor(runtime: Runtime, job: dg.JobDefinition) -> dg.SensorDefinition:
    settings = runtime.settings

    @dg.sensor(
        name=SENSOR,
        job=job,
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING if settings.streaming else dg.DefaultSensorStatus.STOPPED,
        description=(
            "Keeps one drain of the IRIS queue going after another: never two at once, and the next at once when one "
            "has died. Off where neither a queue (IRIS_QUEUE) nor a folder (IRIS_FOLDER) is configured."
        ),
    )
    def iris(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not settings.streaming:
            return dg.SkipReason("no stream is configured: set IRIS_QUEUE and how to sign in, or IRIS_FOLDER")
        waiting = in_the_way(context.instance, runtime)
        return dg.SkipReason(waiting) if waiting else dg.RunRequest()

    return iris


def in_the_way(instance: dg.DagsterInstance, runtime: Runtime) -> str:
    """Why no drain may be started now; "" if one may. Fails the runs of drains that have died."""
    said, holder = said_by(lock_of(runtime)) or {}, held_by(lock_of(runtime))
    for record in instance.get_run_records(filters=RunsFilter(job_name=JOB, statuses=NOT_FINISHED_STATUSES)):
        run = record.dagster_run
        # A holder that ends takes its words away; words without a lock are those of one that was killed.
        killed = holder is None and said.get("what") == run_label(run.run_id)
        if not killed and ((holder or {}).get("what") == run_label(run.run_id) or not _dead(record)):
            return f"run {run.run_id} is draining: one at a time"
        instance.report_run_failed(run, "its process has ended without a word; what it landed is safe")
    if holder is not None:
        return f"{who(holder)} drains the queue: one at a time"
    return _too_soon(instance)


def _dead(record: Any) -> bool:
    """Whether a run that does not hold the queue will not come to it any more.

    One that waits to be started is left to Dagster's run monitoring, which knows when that takes too long.
    """
    run = record.dagster_run
    if run.status not in (DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING):
        return False
    return time.time() - (record.start_time or 0.0) > GRACE_S


def _too_soon(instance: dg.DagsterInstance) -> str:
    last = instance.get_run_records(filters=RunsFilter(job_name=JOB), limit=1)
    if last and last[0].dagster_run.status is DagsterRunStatus.FAILURE and last[0].end_time:
        left = last[0].end_time + PAUSE_S - time.time()
        if left > 0 and not _died(instance, last[0].dagster_run.run_id):
            return f"the last drain failed (its run says why): the next in {left:.0f} s"
    return ""


def _died(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run failed because its process was ended: then nothing speaks against the next."""
    events = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1)
    return not events.records


def drain_once(seconds: float | None, log: Any) -> dict[str, Any]:
    """`gbpm iris drain`: the same drain outside any run; its events are told to the home's instance.

    Raises AlreadyDraining, CannotWork.
    """
    settings = Settings.load()
    runtime = Runtime(settings)
    if not settings.streaming:
        raise CannotWork(
            "no stream is configured: set IRIS_QUEUE, IRIS_CLIENT_ID and IRIS_CLIENT_SECRET, or "
            "IRIS_CONNECTION_STRING, or IRIS_FOLDER (docs/stream.md)"
        )
    if settings.iris_access.wanted:
        try:
            settings.iris_access.check()
        except AccessError as error:
            raise CannotWork(str(error)) from None
    with open_instance(settings) as instance:

        def tell(told: Sequence[Told]) -> None:
            for one in told:
                instance.report_runless_asset_event(materialised(one))

        done = Drain(runtime, what="gbpm iris drain", tell=tell, log=log).run(seconds)
    return told_of(done)


def told_of(done: Drained) -> dict[str, Any]:
    """What a drain did, in the shape of docs/contract.md."""
    found = {
        "received": done.received,
        "statuses": dict(done.statuses),
        "rows": dict(done.rows),
        "tables": dict(done.tables),
        "waiting": done.waiting,
        "longest_lag_s": round(max(done.lag_s), 1) if done.lag_s else None,
        "seconds": done.seconds,
        "problems": done.problems,
    }
    return {**found, "summary": summary(done)}
