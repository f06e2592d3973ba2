"""Telling Dagster of days that are stored and that it does not know: the warehouse is the truth of what is there.

Belongs here: finding and reporting those days. Not here: fetching or judging. A process that is killed between the
evidence of a day and its event, or a home whose Dagster storage was lost, leaves such days.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.orchestration.assets import as_stored, materialised
from gbpm_dagster.orchestration.internal import days_in_flight
from gbpm_dagster.orchestration.runtime import Runtime, is_daily

MOST = 5000
"""So many days are told at once: each is an event (3 to 20 ms); the rest follow the next time."""

NOTE = "stored by a process that ended before it could say so"


def tell(instance: dg.DagsterInstance, runtime: Runtime, datasets: Sequence[Dataset]) -> int:
    """Report a materialisation of each stored day that Dagster does not know and nobody is fetching; how many."""
    flying = days_in_flight(instance)
    told = 0
    for dataset in datasets:
        if not is_daily(dataset) and (flying.get(dataset.table) or _known_whole(instance, dataset)):
            continue
        evidence = runtime.lake.evidence([dataset.table])
        wanted = evidence.filter(pl.col("day").is_in(runtime.wanted(dataset)))
        if is_daily(dataset) and wanted.height:
            known = instance.get_materialized_partitions(dg.AssetKey(dataset.table))
            lost = ~pl.col("day").dt.to_string("%Y-%m-%d").is_in(list(known))
            wanted = wanted.filter(lost & ~pl.col("day").is_in(list(flying.get(dataset.table, ()))))
        for row in wanted.head(MOST - told).iter_rows(named=True):
            instance.report_runless_asset_event(materialised(dataset, as_stored(row, NOTE)))
            told += 1
    return told


def _known_whole(instance: dg.DagsterInstance, dataset: Dataset) -> bool:
    return instance.get_latest_materialization_event(dg.AssetKey(dataset.table)) is not None
