"""Samples of frequency: the holes between them, and the days whose events can be looked for (market/domain.md 2.4).

Belongs here: what the gap check says of a table with a grid. Not here: events themselves, the state of a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.market.calendar import day_bounds
from gbpm_dagster.quality.completeness import USABLE, completeness_ratio, usable_for_events
from gbpm_dagster.quality.result import LISTED_DAYS
from gbpm_dagster.quality.states import State
from gbpm_dagster.warehouse.protocol import DAY, Warehouse, WarehouseError

LONGEST = timedelta(seconds=60)
"""Without a sample for longer is a hole."""

READ_DAYS = 7
"""So many partial days, the newest, have their holes listed."""


def holes(samples: Sequence[datetime], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Stretches of more than 60 s without a sample in [start, end], ascending: from the last sample before (or start)
    to the first one after (or end)."""
    edges = [start, *sorted(t for t in samples if start <= t <= end), end]
    return [(a, b) for a, b in pairwise(edges) if b - a > LONGEST]


def details(warehouse: Warehouse, dataset: Dataset, coverage_frame: pl.DataFrame) -> dict[str, Any]:
    """Days that are not usable for events, and the holes of the newest partial ones; empty where nothing is partial.

    coverage_frame: COVERAGE_SCHEMA. Of the newest day only the time up to its last sample is looked at: it may not
    have ended. What cannot be read has no holes listed: the check of validity says why.
    """
    ratios = dict(completeness_ratio(coverage_frame).select("day", "ratio").iter_rows())
    poor = [day for day, ratio in ratios.items() if ratio is not None and not usable_for_events(ratio)]
    partial = coverage_frame.filter(pl.col("state") == State.PARTIAL.value)["day"].to_list()
    found: dict[str, Any] = {}
    if poor:
        found[f"days under {USABLE:.0%}, not usable for events"] = [d.isoformat() for d in poor[-LISTED_DAYS:]]
    field = dataset.partition_field
    listed = []
    for day in partial[-READ_DAYS:]:
        try:
            samples = warehouse.read(dataset, day, day, columns=[field, DAY])[field].drop_nulls().to_list()
        except WarehouseError:
            continue
        start, end = day_bounds(day)
        last = max(samples, default=start) if day == coverage_frame["day"][-1] else end
        listed += [
            {"from": a.isoformat(), "to": b.isoformat(), "seconds": (b - a).total_seconds()}
            for a, b in holes(samples, start, last)
        ]
    if listed:
        found["holes of more than 60 s"] = listed[-LISTED_DAYS:]
    return found
