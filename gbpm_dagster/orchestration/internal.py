"""Dagster internals that the healer and the loads need: the only place that imports them; pinned by a test.

Belongs here: names that are not public in dagster 1.13. Not here: any decision.
"""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
from dagster import RunsFilter
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord as CheckRecord
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as CheckStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

__all__ = [
    "BACKFILL_TAG",
    "DECISION_TAG",
    "HEAL_TAG",
    "REASON_TAG",
    "RUNNING",
    "CheckRecord",
    "CheckStatus",
    "backfill_request",
    "began",
    "begun",
    "cancelled_since",
    "days_asked",
    "days_in_flight",
    "healing_since",
    "healing_under_way",
    "launched_as",
    "log_materialized",
    "look_at_backfills_every",
    "report_materialized",
]

HEAL_TAG = "gbpm/heal"
DECISION_TAG = "gbpm/decision"
BACKFILL_TAG = "dagster/backfill"
REASON_TAG = "gbpm/reason"
EVENTS_AT_ONCE = 1000
RUNNING = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]
CANCELLED = [BulkActionStatus.CANCELING, BulkActionStatus.CANCELED]
LONGEST_BACKFILL = timedelta(days=7)


def backfill_request(
    days: Mapping[str, Sequence[date]],
    partitions: Mapping[str, dg.DailyPartitionsDefinition | None],
    tags: Mapping[str, str],
) -> dg.RunRequest:
    """One run request that becomes ONE backfill of exactly those days (snapshots: of the asset)."""
    subsets: dict[dg.AssetKey, Any] = {}
    whole: set[dg.AssetKey] = set()
    for table, wanted in days.items():
        definition = partitions[table]
        if definition is None:
            whole.add(dg.AssetKey(table))
        else:
            keys = [d.isoformat() for d in wanted]
            subsets[dg.AssetKey(table)] = definition.subset_with_partition_keys(keys).to_serializable_subset()
    graph = AssetGraphSubset(subsets, whole)  # type: ignore[call-arg]  # a NamedTuple behind a decorator
    return dg.RunRequest.for_asset_graph_subset(graph, tags=dict(tags))


def healing_under_way(instance: dg.DagsterInstance) -> Sequence[PartitionBackfill]:
    """Healing backfills that have not ended."""
    return instance.get_backfills(filters=BulkActionsFilter(tags={HEAL_TAG: "gaps"}, statuses=RUNNING))


def healing_since(instance: dg.DagsterInstance, instant: datetime) -> Sequence[PartitionBackfill]:
    """Healing backfills made after that instant, ended or not."""
    return instance.get_backfills(filters=BulkActionsFilter(tags={HEAL_TAG: "gaps"}, created_after=instant))


def launched_as(instance: dg.DagsterInstance, decision: str) -> list[datetime]:
    """When that very decision was launched, ascending; backfills that a person cancelled do not count."""
    found = instance.get_backfills(filters=BulkActionsFilter(tags={DECISION_TAG: decision}))
    return sorted(begun(b) for b in found if b.status not in CANCELLED)


def cancelled_since(instance: dg.DagsterInstance, instant: datetime) -> list[tuple[PartitionBackfill, datetime]]:
    """Healing backfills that were cancelled after that instant, and when (while it takes effect: when they began)."""
    filters = BulkActionsFilter(tags={HEAL_TAG: "gaps"}, statuses=CANCELLED, created_after=instant - LONGEST_BACKFILL)
    found = [(b, b.backfill_end_timestamp or b.backfill_timestamp) for b in instance.get_backfills(filters=filters)]
    return [(b, datetime.fromtimestamp(at, UTC)) for b, at in found if at >= instant.timestamp()]


def began(instance: dg.DagsterInstance, backfill_id: str | None) -> datetime | None:
    """When a backfill was asked for; None if there is none."""
    found = instance.get_backfill(backfill_id) if backfill_id else None
    return begun(found) if found else None


def begun(backfill: PartitionBackfill) -> datetime:
    """When a backfill was asked for."""
    return datetime.fromtimestamp(backfill.backfill_timestamp, UTC)


def look_at_backfills_every(seconds: int) -> None:
    """Set the pause of the backfill daemon of this process, which Dagster fixes at 30 s.

    A backfill pays it three times: before its runs are made, before it counts as ended, and again when healed.
    """
    from dagster._daemon import controller

    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = seconds


def days_asked(backfill: PartitionBackfill) -> dict[str, set[date]]:
    """The days a backfill is for, a table; snapshots as date.min."""
    if not backfill.is_asset_backfill or not backfill.asset_backfill_data:
        return {}
    target = backfill.asset_backfill_data.target_subset
    partitioned = {
        key.to_user_string(): {date.fromisoformat(k) for k in subset.get_partition_keys()}
        for key, subset in target.partitions_subsets_by_asset_key.items()
    }
    return partitioned | {key.to_user_string(): {date.min} for key in target.non_partitioned_asset_keys}


def days_in_flight(instance: dg.DagsterInstance) -> dict[str, set[date]]:
    """The days that backfills and runs which have not ended are asking for, a table; snapshots as date.min.

    A day in flight or waiting is not asked for again (OPS-03), whoever asked for it.
    """
    found: dict[str, set[date]] = defaultdict(set)
    for backfill in instance.get_backfills(filters=BulkActionsFilter(statuses=RUNNING)):
        for table, days in days_asked(backfill).items():
            found[table] |= days
    for run in instance.get_runs(filters=RunsFilter(statuses=NOT_FINISHED_STATUSES)):
        for key in run.asset_selection or ():
            found[key.to_user_string()] |= _days_of(run.tags)
    return dict(found)


def _days_of(tags: Mapping[str, str]) -> set[date]:
    first = tags.get("dagster/asset_partition_range_start") or tags.get("dagster/partition")
    last = tags.get("dagster/asset_partition_range_end") or first
    if not first or not last:
        return {date.min}
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return {begin + timedelta(days=n) for n in range((end - begin).days + 1)}


def log_materialized(context: dg.OpExecutionContext, found: Sequence[dg.AssetMaterialization]) -> None:
    """What `context.log_event` does for each of these events of one asset, in one write for all.

    They are in the event log, of the run and of the asset, when this returns.
    """
    step = context._step_execution_context
    events = [
        DagsterEvent(
            event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name=step.job_name,
            step_handle=step.step.handle,
            node_handle=step.step.node_handle,
            step_kind_value=step.step.kind.value,
            logging_tags=step.event_tags,
            event_specific_data=StepMaterializationData(materialization),
            message=materialization.description or f"Materialized value {materialization.label}.",
            pid=os.getpid(),
        )
        for materialization in found
    ]
    entries = [
        EventLogEntry(
            error_info=None,
            level=logging.DEBUG,
            user_message=event.message or "",
            run_id=context.run_id,
            timestamp=time.time(),
            step_key=event.step_key,
            job_name=event.job_name,
            dagster_event=event,
        )
        for event in events
    ]
    _store(context.instance, entries)
    context._events.extend(events)


def report_materialized(instance: dg.DagsterInstance, found: Sequence[dg.AssetMaterialization]) -> None:
    """What `instance.report_runless_asset_event` does for each of these events of one asset, in few writes for all.

    On SQLite (our storage) and PostgreSQL each thousand of them is there whole or not at all.
    """
    kind = DagsterEventType.ASSET_MATERIALIZATION.value
    _store(
        instance,
        [
            EventLogEntry(
                error_info=None,
                level=logging.INFO,
                user_message="",
                run_id=RUNLESS_RUN_ID,
                timestamp=time.time(),
                step_key=None,
                job_name=RUNLESS_JOB_NAME,
                dagster_event=DagsterEvent(kind, RUNLESS_JOB_NAME, event_specific_data=StepMaterializationData(told)),
            )
            for told in found
        ],
    )


def _store(instance: dg.DagsterInstance, entries: Sequence[EventLogEntry]) -> None:
    for first in range(0, len(entries), EVENTS_AT_ONCE):
        instance.event_log_storage.store_event_batch(entries[first : first + EVENTS_AT_ONCE])
