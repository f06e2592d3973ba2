"""What `gbpm heal` does: one round, an explanation, pause and resume, as plain functions that return plain values.

Belongs here: putting decision, launch and register together for the command. Not here: printing (console.healing).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gbpm_dagster.console.args import UsageError
from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.console.show import day_bars
from gbpm_dagster.orchestration import heal_state, launch, services
from gbpm_dagster.orchestration.ask import open_runtime
from gbpm_dagster.orchestration.checks import store
from gbpm_dagster.orchestration.heal_plan import around, plan_healing
from gbpm_dagster.orchestration.heal_register import settle
from gbpm_dagster.orchestration.healing import in_the_way, unrecorded
from gbpm_dagster.orchestration.instance import fail_orphans, open_instance
from gbpm_dagster.orchestration.internal import healing_under_way
from gbpm_dagster.orchestration.telling import tell
from gbpm_dagster.quality import healing_words as words
from gbpm_dagster.quality.healing import HEAL
from gbpm_dagster.quality.register import Status, entries
from gbpm_dagster.quality.source_health import clock
from gbpm_dagster.warehouse.home import open_home

SHOWN_STATUSES = (Status.MISSING_AT_SOURCE, Status.GIVEN_UP, Status.EXCLUDED)


def heal(names: Sequence[str], forced: bool, *, quiet: bool = False) -> dict[str, Any]:
    """Detect -> backfill -> verify, once: decided, asked, runs, backfills, requests, and after for every table.

    names: only these tables. forced: whatever the delays, the cap, a cancel and the state of the source say (then
    the tables must be named). A pause is the sensor's: who types this wants a round.
    """
    if forced and not names:
        raise UsageError("--now needs tables: it asks for their missing days whatever the delays say")
    runtime = open_runtime()
    datasets = runtime.named(names)
    tables = {d.table for d in datasets}
    with open_instance(runtime.settings) as instance:
        fail_orphans(instance)
        address = services.address(runtime.settings)
        running = healing_under_way(instance) if address else ()
        if running:
            raise CannotWork(
                f"backfill {running[0].backfill_id} is healing, one at a time: {address}/runs?view=backfills"
            )
        settle(runtime)
        before = {r.table: r for r in runtime.checks(datasets, which=("gaps",))}
        failed = {table: list(r.missing) for table, r in before.items() if r.missing}
        tell(instance, runtime, datasets)
        decision = plan_healing(runtime, failed, around(runtime, instance), tables if forced else (), tables)
        with day_bars({t: len(d) for t, d in decision.launch.items()}, quiet) as listener:
            done = launch.backfill(
                runtime, instance, decision.launch, reason=HEAL, listener=listener, services=address
            )
        settled, _ = settle(runtime)
        asked = [d for d in datasets if d.table in {*failed, *decision.launch}]
        again = runtime.checks(asked, which=("gaps",)) if decision.launch else []
        after = {**before, **{r.table: r for r in again}}
        store(instance, after.values())
    return {
        "decided": words.why(decision),
        "asked": decision.launch,
        "runs": done.runs,
        "backfills": done.backfills,
        "requests": done.requests,
        "after": {
            t: {"passed": r.passed, "summary": r.summary, "missing": list(r.missing)} for t, r in after.items()
        },
        "known_gaps": [f"{e.table} {e.span}: {e.status.value.replace('_', ' ')}, {e.reason}" for e in settled],
        "faults": list(done.faults.values()),
    }


def explain(names: Sequence[str]) -> dict[str, Any]:
    """What the healer would launch now, and why not the rest; asks nobody and changes nothing.

    waits: why it launches nothing by itself, '' if it may. source, requests (a day, used, left), tables (of those
    that lack days: why, requests, classes), known_gaps (entries of the register that keep days from being asked),
    being_fetched (days that somebody asks for now, a table).
    """
    runtime = open_runtime()
    datasets = runtime.named(names)
    tables = {d.table for d in datasets}
    now = datetime.now(UTC)
    with open_instance(runtime.settings) as instance:
        wanted = {d.table: runtime.wanted(d) for d in datasets}
        going_on = around(runtime, instance)
        decision = plan_healing(runtime, wanted, going_on, (), tables)
        waits = in_the_way(runtime, instance) or (unrecorded(runtime, instance, decision) if decision.launch else "")
    if not runtime.settings.heal:
        waits = waits or "GBPM_HEAL is false: the sensor `heal` runs only if a person has started it in the UI"
    source = decision.source
    known = [e for e in entries(runtime.lake.known_gaps(list(tables))) if e.status in SHOWN_STATUSES]
    return {
        "waits": waits,
        "source": {
            "up": source.up,
            "since": None if source.up else source.since,
            "probe_at": source.probe_at,
            "text": source.sentence(now),
        },
        "requests": {
            "a_day": decision.budget,
            "used": decision.used,
            "left": max(decision.budget - decision.used, 0),
            "now": decision.requests,
        },
        "next_at": decision.next_at,
        "being_fetched": {t: len(days) for t, days in sorted(going_on.in_flight.items()) if t in tables},
        "tables": {
            table: {
                "why": words.of_table(found),
                "requests": found.requests,
                "left_alone_between": found.bridged,
                "classes": words.as_json(found),
            }
            for table, found in decision.tables.items()
        },
        "known_gaps": [
            {
                "id": e.id,
                "table": e.table,
                "first": e.first,
                "last": e.last,
                "status": e.status.value,
                "reason": e.reason,
                "retry_at": e.retry_at,
            }
            for e in known
        ],
    }


def pause() -> str:
    """Keep the healer from launching anything by itself, also after a restart; a sentence."""
    home = open_runtime().settings.home
    open_home(home)
    state = heal_state.pause(home)
    assert state.paused_at is not None
    return (
        f"the healer is paused since {clock(state.paused_at)}; a backfill under way goes on (cancel it in the UI). "
        "`gbpm heal --resume` lets it go on"
    )


def resume() -> str:
    """Let the healer launch again, also days of backfills that were cancelled before now; a sentence."""
    home = open_runtime().settings.home
    open_home(home)
    heal_state.resume(home)
    return "the healer may launch again, also what was cancelled before"
