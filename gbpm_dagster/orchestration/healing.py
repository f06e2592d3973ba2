"""The healer: failed gap check -> one visible, bounded backfill of exactly the missing days -> checks again.

Belongs here: reading Dagster's state and asking it for a backfill. Not here: which days (quality.healing decides).
The backfill's own runs evaluate the checks again when they have written, so nothing has to be asked twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.orchestration.assets import REASON_TAG
from gbpm_dagster.orchestration.checks import last_gaps
from gbpm_dagster.orchestration.internal import (
    HEAL_TAG,
    backfill_request,
    days_in_flight,
    healing_since,
    healing_under_way,
)
from gbpm_dagster.orchestration.partitions import partitions_of
from gbpm_dagster.orchestration.runtime import Runtime, is_daily
from gbpm_dagster.quality.healing import HEAL, Decision, Limits, decide
from gbpm_dagster.quality.states import FAILING

FAILS = tuple(state.value for state in FAILING)


def still_missing(
    runtime: Runtime, failed: Mapping[str, Sequence[date]], in_flight: Mapping[str, set[date]]
) -> dict[str, list[date]]:
    """Of the days the checks failed for, those the warehouse still lacks and nobody is fetching."""
    found = {}
    for table, days in failed.items():
        dataset = runtime.named([table])[0]
        flying = in_flight.get(table, set())
        wanted = [] if not is_daily(dataset) and flying else sorted(set(runtime.wanted(dataset)) & set(days) - flying)
        now = runtime.coverage(dataset, wanted)
        found[table] = now.filter(now["state"].is_in(FAILS))["day"].to_list()
    return found


def plan_healing(
    runtime: Runtime, failed: Mapping[str, Sequence[date]], in_flight: Mapping[str, set[date]]
) -> Decision:
    """What to ask for now, given the failed gap checks and the days that are being fetched already."""
    s = runtime.settings
    missing = still_missing(runtime, failed, in_flight)
    attempts = runtime.lake.attempts(list(missing))
    limits = Limits(s.heal_delays_s, s.heal_max_partitions, s.heal_max_runs)
    return decide(missing, runtime.named(list(missing)) if missing else [], attempts, datetime.now(UTC), limits)


def build_healer(datasets: Sequence[Dataset], runtime: Runtime) -> dg.SensorDefinition:
    """The sensor `heal`: one backfill in flight at most, a cooldown between two, bounds from settings."""
    settings = runtime.settings
    partitions = {d.table: partitions_of(d, settings, runtime.scope) for d in datasets}

    @dg.sensor(
        name="heal",
        asset_selection=dg.AssetSelection.assets(*(dg.AssetKey(d.table) for d in datasets)),
        minimum_interval_seconds=settings.heal_interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING if settings.heal else dg.DefaultSensorStatus.STOPPED,
        description=(
            "Turns failed gap checks into one backfill of exactly the missing days: one at a time, most important "
            "tables and newest days first, with a cooldown, growing delays and an attempt cap a day."
        ),
    )
    def heal(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        waiting = _in_the_way(context.instance, settings.heal_cooldown_s)
        if waiting:
            return dg.SkipReason(waiting)
        seen = {d.table: last_gaps(context.instance, d.table) for d in datasets}
        failed = {table: days for table, days in seen.items() if days}
        if not failed:
            unknown = sum(days is None for days in seen.values())
            return dg.SkipReason(
                "no gap check fails" + (f"; {unknown} table(s) have none yet or one under way" if unknown else "")
            )
        decision = plan_healing(runtime, failed, days_in_flight(context.instance))
        sentence = (
            "; ".join(f"{table}: {why}" for table, why in decision.why.items())
            or "what fails is being fetched, or was healed since"
        )
        if not decision.launch:
            return dg.SkipReason(sentence or "what fails is being fetched, or was healed since")
        context.log.info(sentence)
        tags = {HEAL_TAG: "gaps", REASON_TAG: HEAL, "gbpm/why": _short(decision)}
        return dg.SensorResult(run_requests=[backfill_request(decision.launch, partitions, tags)])

    return heal


def _in_the_way(instance: dg.DagsterInstance, cooldown_s: float) -> str:
    running = healing_under_way(instance)
    if running:
        return f"backfill {running[0].backfill_id} is healing: one at a time"
    since = datetime.now(UTC) - timedelta(seconds=cooldown_s)
    if cooldown_s and healing_since(instance, since):
        return f"the last healing backfill began less than {cooldown_s:.0f} s ago (GBPM_HEAL_COOLDOWN_SECONDS)"
    return ""


def _short(decision: Decision) -> str:
    return ", ".join(f"{table}: {len(days)} day(s)" for table, days in decision.launch.items())[:200]
