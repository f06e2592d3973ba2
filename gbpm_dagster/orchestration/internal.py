"""Dagster internals that the healer needs: the only place that imports them; pinned by a test.

Belongs here: names that are not public in dagster 1.13. Not here: any decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill

HEAL_TAG = "gbpm/heal"
RUNNING = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]


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
