"""Launching backfills: in this process, or through the services of a running `gbpm up`.

Belongs here: turning {table: days} into Dagster runs that are recorded in the instance. Not here: which days.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import httpx
from dagster import DagsterExecutionInterruptedError, RunsFilter

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.console.failures import CannotWork, Interrupted, disk_is_full
from gbpm_dagster.orchestration.assets import REASON_TAG
from gbpm_dagster.orchestration.build import build_definitions
from gbpm_dagster.orchestration.instance import PID_TAG, fail_orphans
from gbpm_dagster.orchestration.internal import BACKFILL_TAG, HEAL_TAG
from gbpm_dagster.orchestration.interrupts import noted_interrupts
from gbpm_dagster.orchestration.partitions import RANGE_END, RANGE_START, spans
from gbpm_dagster.orchestration.runtime import Runtime, is_daily
from gbpm_dagster.orchestration.services import STATE
from gbpm_dagster.quality.healing import HEAL
from gbpm_dagster.warehouse.protocol import Outcome, WarehouseError

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
LAUNCH = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) { __typename
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  ... on UnauthorizedError { message } ... on PartitionKeysNotFoundError { message } } }
"""


@dataclass(slots=True)
class Launched:
    """What was launched and what became of it.

    runs, backfills: ids (backfills only where a daemon did the work). outcomes: the last one of each (table, day).
    faults: tables that this machine could not store, with the reason; their days without outcome are as before.
    """

    runs: list[str] = field(default_factory=list)
    backfills: list[str] = field(default_factory=list)
    outcomes: dict[tuple[str, date], Outcome] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        return sum(o.requests for o in self.outcomes.values())


Listener = Callable[[Outcome], None]


def backfill(
    runtime: Runtime,
    instance: dg.DagsterInstance,
    work: Mapping[str, Sequence[date]],
    *,
    reason: str = "backfill",
    listener: Listener = lambda outcome: None,
    services: str | None = None,
) -> Launched:
    """Fetch those days through Dagster runs; returns when all have ended.

    services: address of the home's running web UI (then its daemon does the work; see `together`), or None
    (then the runs happen in this process). `listener` hears of every day as it is settled.
    """
    fail_orphans(instance)
    datasets = [d for d in runtime.named(list(work)) if work[d.table]] if work else []
    if services:
        daily = {d.table: list(work[d.table]) for d in datasets if is_daily(d)}
        launched = _through_services(runtime, instance, daily, reason, listener, services)
        datasets = [d for d in datasets if not is_daily(d)]
    else:
        launched = Launched()
    _in_process(runtime, instance, datasets, work, reason, listener, launched)
    return launched


def _in_process(
    runtime: Runtime,
    instance: dg.DagsterInstance,
    datasets: Sequence[Dataset],
    work: Mapping[str, Sequence[date]],
    reason: str,
    listener: Listener,
    launched: Launched,
) -> None:
    def heard(outcome: Outcome) -> None:
        launched.outcomes[outcome.table, outcome.day] = outcome
        listener(outcome)

    if not datasets:
        return
    settings = runtime.settings.model_copy(update={"datasets": tuple(d.table for d in datasets)})
    definitions = build_definitions(settings, replace(Runtime(settings), listener=heard))
    job = definitions.resolve_implicit_global_asset_job_def()
    for dataset in sorted(datasets, key=lambda d: (d.importance, d.table)):
        for days in spans(work[dataset.table], runtime.among(dataset)):
            tags = {REASON_TAG: reason, PID_TAG: str(os.getpid())}
            if is_daily(dataset):
                tags |= {RANGE_START: days[0].isoformat(), RANGE_END: days[-1].isoformat()}
            try:
                _one_run(job, instance, dataset, tags, launched)
            except WarehouseError as error:
                if disk_is_full(error):
                    raise
                launched.faults[dataset.table] = str(error)
                break  # one broken table does not keep the others from their days


def _one_run(
    job: dg.JobDefinition, instance: dg.DagsterInstance, dataset: Dataset, tags: dict[str, str], launched: Launched
) -> None:
    """One run, recorded in the instance. Days that failed are outcomes; anything else is raised as it was."""
    run_id = str(uuid.uuid4())
    launched.runs.append(run_id)
    try:
        job.execute_in_process(
            instance=instance,
            run_id=run_id,
            asset_selection=[dg.AssetKey(dataset.table)],
            tags=tags,
            run_config=QUIET,
            raise_on_error=True,
        )
    except dg.Failure:
        pass  # the asset's own word for days that failed
    except DagsterExecutionInterruptedError as error:
        raise KeyboardInterrupt from error


def _through_services(
    runtime: Runtime,
    instance: dg.DagsterInstance,
    work: Mapping[str, Sequence[date]],
    reason: str,
    listener: Listener,
    services: str,
) -> Launched:
    launched, since = Launched(), datetime.now(UTC)
    among = {table: runtime.among(runtime.named([table])[0]) for table in work}
    for tables, days in together(work, among):
        launched.backfills.append(_submit(services, tables, days, reason))
    try:
        with noted_interrupts() as check_interrupt:
            waiting = set(launched.backfills)
            while waiting:
                time.sleep(1.0)
                check_interrupt()
                waiting = {i for i in waiting if _under_way(instance, i)}
                _hear(runtime, work, since, launched, listener)
                if waiting and not _up(runtime):
                    raise CannotWork(
                        f"`gbpm up` of this home has ended while it worked on backfill {', '.join(sorted(waiting))}; "
                        "what it stored is whole. Run this again: without `gbpm up` the work is done in this process"
                    )
    except KeyboardInterrupt:
        ids = ", ".join(launched.backfills)
        raise Interrupted(
            f"no longer waiting; the daemon goes on with backfill {ids}: {services}/overview/backfills shows it"
        ) from None
    for backfill_id in launched.backfills:
        launched.runs += [r.run_id for r in instance.get_runs(RunsFilter(tags={BACKFILL_TAG: backfill_id}))]
    return launched


def together(
    work: Mapping[str, Sequence[date]], among: Mapping[str, Sequence[date] | None] | None = None
) -> list[tuple[list[str], list[date]]]:
    """The fewest backfills for that work: tables that want the same range of days share one (and its run)."""
    by_span: dict[tuple[date, ...], list[str]] = {}
    for table in sorted(work):
        for days in spans(work[table], (among or {}).get(table)):
            by_span.setdefault(tuple(days), []).append(table)
    by_tables: dict[tuple[str, ...], list[date]] = {}
    for span, tables in sorted(by_span.items()):
        by_tables.setdefault(tuple(tables), []).extend(span)
    return [(list(tables), days) for tables, days in by_tables.items()]


def _submit(services: str, tables: Sequence[str], days: Sequence[date], reason: str) -> str:
    tags = {REASON_TAG: reason, **({HEAL_TAG: "gaps"} if reason == HEAL else {})}
    params: dict[str, Any] = {
        "assetSelection": [{"path": [table]} for table in tables],
        "partitionNames": [d.isoformat() for d in days],
        "title": f"gbpm {reason}: {', '.join(tables)}"[:100],
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    what = f"the backfill of {', '.join(tables)}"
    try:
        answer = httpx.post(
            f"{services}/graphql", json={"query": LAUNCH, "variables": {"params": params}}, timeout=60
        )
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise CannotWork(
            f"the web UI at {services} did not take {what} ({error!r}): see its log in <home>/logs"
        ) from error
    found = (body.get("data") or {}).get("launchPartitionBackfill") or {}
    if "backfillId" not in found:
        why = found.get("message") or json.dumps(body)
        raise CannotWork(
            f"Dagster at {services} would not launch {what}: {' '.join(str(why).split())[:400]}. If `gbpm up` was "
            "started with other settings (GBPM_DATASETS, GBPM_HISTORY_START), give both the same"
        )
    return str(found["backfillId"])


def _up(runtime: Runtime) -> bool:
    """Whether the `gbpm up` that was asked is still there (not whether it answers: it may be busy)."""
    try:
        os.kill(int(json.loads((runtime.settings.home / "state" / STATE).read_text())["pid"]), 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    except (OSError, ValueError, KeyError):
        return True
    return True


def _under_way(instance: dg.DagsterInstance, backfill_id: str) -> bool:
    found = instance.get_backfill(backfill_id)
    return found is not None and found.status.value in ("REQUESTED", "CANCELING", "FAILING")


def _hear(
    runtime: Runtime, work: Mapping[str, Sequence[date]], since: datetime, launched: Launched, listener: Listener
) -> None:
    """Tell the listener of the tries that the services have logged since the launch."""
    tries = runtime.lake.attempts(list(work), since=since)
    for row in tries.iter_rows(named=True):
        key = (row["table"], row["day"])
        if row["day"] in work[row["table"]] and key not in launched.outcomes:
            outcome = Outcome(
                row["table"],
                row["day"],
                row["outcome"],
                rows=row["rows"] or 0,
                requests=row["requests"] or 0,
                message=row["message"] or "",
                error_class=row["error_class"] or "",
            )
            launched.outcomes[key] = outcome
            listener(outcome)
