"""What a run of the healer may do when its turn comes: the source may be down by then, or the day's budget spent.

Belongs here: that one question, and the tries that were not made. Not here: which days were chosen (quality.healing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg
import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.orchestration.internal import BACKFILL_TAG, REASON_TAG, began
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.healing import HEAL, requests_today
from gbpm_dagster.quality.source_health import UP, health
from gbpm_dagster.warehouse.protocol import Outcome


@dataclass(frozen=True, slots=True)
class Leave:
    """requests: so many the run may make, None for as many as it needs. why_not: why it must not ask at all."""

    requests: int | None = None
    why_not: str = ""


def leave(context: dg.AssetExecutionContext, runtime: Runtime, dataset: Dataset, days: Sequence[date]) -> Leave:
    """What a run may do for these days; a run that is not the healer's may do all.

    Healing runs one at a time (dagster.yaml), so that what is left of the day's requests is this run's. Of the source
    only what was seen since the backfill began counts: the decision knew the rest, and may be a probe.
    """
    if not days or context.run.tags.get(REASON_TAG) != HEAL:
        return Leave()
    s, attempts = runtime.settings, runtime.lake.attempts()
    left = max(s.heal_requests_a_day - requests_today(attempts, datetime.now(UTC)), 0)
    needed = runtime.requests(dataset, days)
    if needed > left - (s.max_attempts - 1):
        return Leave(
            why_not=f"healing may make {s.heal_requests_a_day:,} requests a day (GBPM_HEAL_REQUESTS_A_DAY); {left:,} "
            f"are left today, {needed:,} are needed, and as many as one may be tried ({s.max_attempts})"
        )
    since = began(context.instance, context.run.tags.get(BACKFILL_TAG))
    seen = health(attempts.filter(pl.col("at") >= since), s.heal_probe_s, s.heal_probe_max_s) if since else UP
    return Leave(left, "" if seen.up else seen.sentence(datetime.now(UTC)))


def record(runtime: Runtime, dataset: Dataset, days: Sequence[date], why: str, run_id: str) -> list[Outcome]:
    """Log that these days were not asked: no attempt, no request."""
    lost = [
        Outcome(dataset.table, day, "failed", message=f"not asked: {why}", error_class="transient") for day in days
    ]
    runtime.lake.record_failures(lost, run_id=run_id, reason=HEAL)
    return lost
