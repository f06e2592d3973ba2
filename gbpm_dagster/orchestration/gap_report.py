"""What `gbpm gaps` finds out: the coverage of the tables asked for, as plain values; no Dagster, no network.

Belongs here: which tables and days, reading the home once. Not here: folding (`quality.gapmap`), printing (console).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gbpm_dagster.orchestration.ask import choose, days_of, open_runtime

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class GapReport:
    """home: what it is called. frames: COVERAGE_SCHEMA of each table asked for, in the order of the catalogue."""

    home: str
    frames: list[pl.DataFrame]


def gap_report(names: Sequence[str], group: str | None, first: str | None, last: str | None) -> GapReport:
    """Coverage of the named tables, of a group, or of all; raises UsageError, UnknownTable, WarehouseError."""
    runtime = open_runtime()
    datasets = choose(runtime, names, group, not names and not group)
    wanted = days_of(runtime, datasets, bool(names), first, last)
    return GapReport(str(runtime.settings.home), [frame for _, frame in runtime.survey(datasets, wanted)])
