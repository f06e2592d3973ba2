"""The healer: failed gap check -> one visible, bounded backfill of exactly the missing days -> checks again.

Belongs here: the sensor, and when it must not even look. Not here: which days (heal_plan, quality.healing), what ends
in the register (heal_register). The backfill's own runs evaluate the checks again when they have written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.orchestration import heal_state
from gbpm_dagster.orchestration.assets import REASON_TAG
from gbpm_dagster.orchestration.checks import last_gaps
from gbpm_dagster.orchestration.heal_plan import around, due_again_days, plan_healing
from gbpm_dagster.orchestration.heal_register import settle
from gbpm_dagster.orchestration.internal import (
    DECISION_TAG,
    HEAL_TAG,
    backfill_request,
    begun,
    healing_since,
    healing_under_way,
    launched_as,
)
from gbpm_dagster.orchestration.partitions import partitions_of
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality import healing_words as words
from gbpm_dagster.quality.healing import HEAL, Decision, hold
from gbpm_dagster.quality.source_health import clock

WHY_TAG = "gbpm/why"
TAG_LENGTH = 400
NOTHING = "what fails is being fetched, or was healed since"


def build_healer(datasets: Sequence[Dataset], runtime: Runtime) -> dg.SensorDefinition:
    """The sensor `heal`: one backfill in flight at most, a cooldown between two, bounds and a budget."""
    settings = runtime.settings
    partitions = {d.table: partitions_of(d, settings, runtime.scope) for d in datasets}

    @dg.sensor(
        name="heal",
        asset_selection=dg.AssetSelection.assets(*(dg.AssetKey(d.table) for d in datasets)),
        minimum_interval_seconds=settings.heal_interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING if settings.heal else dg.DefaultSensorStatus.STOPPED,
        description=(
            "Turns failed gap checks into one backfill of exactly the missing days: one at a time, most important "
            "tables and newest days first, with a cooldown, growing delays, an attempt cap a day and a budget of "
            "requests. Waits while the source is down. `gbpm heal --explain` says why now and why not."
        ),
    )
    def heal(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        instance = context.instance
        waiting = in_the_way(runtime, instance)
        if waiting:
            return dg.SkipReason(waiting)
        entries, newest = settle(runtime, _instant(context.cursor))
        for entry in entries:
            context.log.info(f"known gaps: {entry.table} {entry.span} {entry.status.value}: {entry.reason}")
        if newest:
            context.update_cursor(newest.isoformat())
        seen = {d.table: last_gaps(instance, d.table) for d in datasets}
        failed = {table: days for table, days in seen.items() if days}
        if not failed and not due_again_days(runtime):
            unknown = sum(days is None for days in seen.values())
            return dg.SkipReason(
                "no gap check fails" + (f"; {unknown} table(s) have none yet or one under way" if unknown else "")
            )
        decision = plan_healing(runtime, failed, around(runtime, instance))
        sentence = words.in_one(decision, datetime.now(UTC)) or NOTHING
        waiting = unrecorded(runtime, instance, decision) if decision.launch else sentence
        if waiting:
            return dg.SkipReason(waiting)
        context.log.info(sentence)
        return dg.SensorResult(run_requests=[backfill_request(decision.target, partitions, tags_of(decision))])

    return heal


def tags_of(decision: Decision) -> dict[str, str]:
    """What a healing backfill and its runs are tagged with: that they are, why, and which decision it was."""
    why = words.short(decision)
    return {
        HEAL_TAG: "gaps",
        REASON_TAG: HEAL,
        WHY_TAG: why if len(why) <= TAG_LENGTH else f"{why[: TAG_LENGTH - 3]}...",
        DECISION_TAG: decision.id,
    }


def in_the_way(runtime: Runtime, instance: dg.DagsterInstance) -> str:
    """Why the healer must not launch anything by itself, whatever is missing; '' if it may."""
    now, cooldown_s = datetime.now(UTC), runtime.settings.heal_cooldown_s
    paused_at = heal_state.read(runtime.settings.home).paused_at
    running = [b.backfill_id for b in healing_under_way(instance)]
    began = [begun(b) for b in healing_since(instance, now - timedelta(seconds=cooldown_s))]
    return hold(now, paused_at, running, max(began, default=None), cooldown_s)


def unrecorded(runtime: Runtime, instance: dg.DagsterInstance, decision: Decision) -> str:
    """Why a decision is not launched again though nothing was tried since: its runs end before they ask anybody.

    The same growing delays as between attempts, from its last launch.
    """
    launches = launched_as(instance, decision.id)
    if not launches:
        return ""
    delays = runtime.settings.heal_delays_s
    again = launches[-1] + timedelta(seconds=delays[min(len(launches), len(delays)) - 1] if delays else 0)
    if again <= datetime.now(UTC):
        return ""
    return (
        f"the same backfill was launched {len(launches)} time(s) and no try was recorded: see its runs; "
        f"again at {clock(again)}"
    )


def _instant(cursor: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(cursor) if cursor else None
    except ValueError:
        return None
