"""Telling Dagster of days that are stored and that it does not know: the warehouse is the truth of what is there.

Belongs here: finding and reporting those days. Not here: fetching or judging, the command `gbpm adopt` (adoption). A
process that is killed between the evidence of a day and its event, a home whose Dagster storage was lost, or a
warehouse that something else filled leave such days.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.orchestration.assets import as_stored, materialised
from gbpm_dagster.orchestration.internal import EVENTS_AT_ONCE, days_in_flight, report_materialized
from gbpm_dagster.orchestration.runtime import Runtime, is_daily
from gbpm_dagster.warehouse.locks import lock

MOST = 5000
"""So many days are told after a check, which should not wait for more; the rest follow the next time."""

NOTE = "stored by a process that ended before it could say so"
ADOPTED = "adopted"

ACCOUNT = (
    *("table", "day", "rows", "written", "superseded", "exact_duplicates", "quarantined", "requests", "bytes"),
    *("first_time", "last_time", "source"),
)
BRIEF = ("table", "day", "rows", "source", "fetched_at")
"""Columns of evidence that `accounted`, and `adopted`, need."""

Event = Callable[[Dataset, Mapping[str, Any]], dg.AssetMaterialization]


@dataclass(frozen=True, slots=True)
class Untold:
    """Rows of evidence of one table that Dagster does not know; how many days of it it knows, somebody is fetching,
    or this home does not want."""

    rows: pl.DataFrame
    known: int = 0
    in_flight: int = 0
    unwanted: int = 0


def tell(instance: dg.DagsterInstance, runtime: Runtime, datasets: Sequence[Dataset]) -> int:
    """Report a materialisation of each stored day that Dagster does not know and nobody is fetching; how many.

    MOST at a time, each with its account.
    """
    evidence = runtime.lake.evidence([d.table for d in datasets], columns=ACCOUNT)
    flying, told = days_in_flight(instance), 0
    for dataset in datasets:
        stored, busy = evidence.filter(table=dataset.table), flying.get(dataset.table, ())
        with untold(instance, runtime, dataset, stored, busy) as found:
            told += sum(report(instance, dataset, found.rows.head(MOST - told), accounted))
    return told


@contextmanager
def untold(
    instance: dg.DagsterInstance,
    runtime: Runtime,
    dataset: Dataset,
    evidence: pl.DataFrame,
    flying: Collection[date],
) -> Iterator[Untold]:
    """What of a table's evidence Dagster does not know; flying: the days somebody is fetching.

    In the block no other process of this home tells of the table, so that no day is told twice.
    """
    with lock(runtime.settings.home / "state", f"tell-{dataset.table}"):
        wanted = evidence.filter(pl.col("day").is_in(runtime.wanted(dataset)))
        unwanted = evidence.height - wanted.height
        if not is_daily(dataset):
            # One asset without partitions: it is known, or the newest list is told of.
            known = instance.get_latest_materialization_event(dg.AssetKey(dataset.table)) is not None
            rows = wanted.tail(0 if known or flying else 1)
            yield Untold(rows, wanted.height if known else 0, 0 if known or not flying else wanted.height, unwanted)
            return
        known_days = instance.get_materialized_partitions(dg.AssetKey(dataset.table)) if wanted.height else set()
        lost = wanted.filter(~pl.col("day").dt.to_string("%Y-%m-%d").is_in(list(known_days)))
        free = lost.filter(~pl.col("day").is_in(list(flying)))
        yield Untold(free, wanted.height - lost.height, lost.height - free.height, unwanted)


def report(instance: dg.DagsterInstance, dataset: Dataset, rows: pl.DataFrame, event: Event) -> Iterator[int]:
    """Tell of those rows of evidence, a batch at a time: each is there whole or not at all; yields its size."""
    for batch in rows.iter_slices(EVENTS_AT_ONCE):
        report_materialized(instance, [event(dataset, row) for row in batch.iter_rows(named=True)])
        yield batch.height


def accounted(dataset: Dataset, row: Mapping[str, Any]) -> dg.AssetMaterialization:
    """The event of a day with all that its evidence says of how it came."""
    return materialised(dataset, as_stored(row, NOTE))


def adopted(dataset: Dataset, row: Mapping[str, Any]) -> dg.AssetMaterialization:
    """The event of a day that was there before Dagster was: little, as there are hundreds of thousands of them."""
    return dg.AssetMaterialization(
        dg.AssetKey(dataset.table),
        partition=row["day"].isoformat() if is_daily(dataset) else None,
        description=f"{row['rows']:,} rows, {ADOPTED}",
        metadata={
            "dagster/partition_row_count": row["rows"],
            "status": ADOPTED,
            "source": row["source"],
            "fetched": dg.MetadataValue.timestamp(row["fetched_at"]),
        },
    )
