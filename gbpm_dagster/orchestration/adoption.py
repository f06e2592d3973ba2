"""What `gbpm adopt events` does, as a plain function that returns plain values.

Belongs here: telling Dagster of a whole warehouse, with progress, so that it can be interrupted and goes on. Not
here: which days (telling), printing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg
import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.console.failures import Interrupted
from gbpm_dagster.console.show import day_progress
from gbpm_dagster.orchestration.ask import open_runtime
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.internal import days_in_flight
from gbpm_dagster.orchestration.interrupts import noted_interrupts
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.orchestration.telling import BRIEF, adopted, report, untold

COUNTS = ("told", "known", "in_flight", "unwanted")


def adopt_events(names: Sequence[str], *, quiet: bool = False) -> dict[str, Any]:
    """Tell Dagster of every stored day of those tables (or all of the home) that it does not know.

    tables: of each the days told, known before, in_flight (somebody is fetching them) and unwanted (stored, and not
    wanted in this home); told, seconds. Raises UnknownTable, and Interrupted with how far it came.
    """
    runtime = open_runtime()
    datasets = runtime.named(names)
    evidence = runtime.lake.evidence([d.table for d in datasets], columns=BRIEF)
    began, done = time.monotonic(), 0
    with (
        open_instance(runtime.settings) as instance,
        day_progress("told to Dagster", evidence.height, quiet) as show,
        noted_interrupts() as check,
    ):

        def advance(days: int) -> None:
            nonlocal done
            done += days
            show(done)
            check()

        try:
            tables = adopt(instance, runtime, datasets, evidence, advance)
        except KeyboardInterrupt:
            far = f"{done:,} of {evidence.height:,} stored days are known to Dagster"
            raise Interrupted(f"{far}; `gbpm adopt events` goes on from there") from None
    return {
        "tables": tables,
        "told": sum(t["told"] for t in tables.values()),
        "seconds": round(time.monotonic() - began, 1),
    }


def adopt(
    instance: dg.DagsterInstance,
    runtime: Runtime,
    datasets: Sequence[Dataset],
    evidence: pl.DataFrame,
    advance: Callable[[int], None] = lambda days: None,
) -> dict[str, dict[str, int]]:
    """COUNTS of each table, after telling of its rows of evidence (columns BRIEF); `advance` hears of days done."""
    parts = {str(name): part for (name,), part in evidence.partition_by("table", as_dict=True).items()}
    found = {}
    for dataset in datasets:
        stored = parts.get(dataset.table, evidence.clear())
        flying = days_in_flight(instance).get(dataset.table, ())  # anew: all tables take a minute
        with untold(instance, runtime, dataset, stored, flying) as left:
            told = 0
            advance(stored.height - left.rows.height)
            for days in report(instance, dataset, left.rows, adopted):
                told += days
                advance(days)
        found[dataset.table] = dict(zip(COUNTS, (told, left.known, left.in_flight, left.unwanted), strict=True))
    return found
