"""What a run of the healer may do when its turn comes: the source may be down by then, or the day's budget spent.

Belongs here: that one question, and the tries that were not made. Not here: which days were chosen (quality.healing).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import dagster as dg
import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.orchestration.internal import BACKFILL_TAG, began
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.healing import HEAL, requests_today
from gbpm_dagster.quality.source_health import health
from gbpm_dagster.warehouse.protocol import Outcome


def not_now(context: dg.AssetExecutionContext, runtime: Runtime, dataset: Dataset, days: Sequence[date]) -> str:
    """Why the days of this run of a healing backfill are not asked after all; '' if they are.

    Of the source only what was seen since the backfill began counts: the decision knew the rest, and may be a probe.
    """
    if not days:
        return ""
    s, attempts = runtime.settings, runtime.lake.attempts()
    left = s.heal_requests_a_day - requests_today(attempts, datetime.now(UTC))
    needed = runtime.requests(dataset, days)
    if needed > left:
        return (
            f"healing may make {s.heal_requests_a_day:,} requests a day (GBPM_HEAL_REQUESTS_A_DAY); {max(left, 0):,} "
            f"are left today, {needed:,} are needed"
        )
    since = began(context.instance, context.run.tags.get(BACKFILL_TAG))
    seen = health(attempts.filter(pl.col("at") >= since), s.heal_probe_s, s.heal_probe_max_s) if since else None
    return "" if seen is None or seen.up else seen.sentence(datetime.now(UTC))


def record(runtime: Runtime, dataset: Dataset, days: Sequence[date], why: str, run_id: str) -> list[Outcome]:
    """Log that these days were not asked: no attempt, no request."""
    lost = [
        Outcome(dataset.table, day, "failed", message=f"not asked: {why}", error_class="transient") for day in days
    ]
    runtime.lake.record_failures(lost, run_id=run_id, reason=HEAL)
    return lost
