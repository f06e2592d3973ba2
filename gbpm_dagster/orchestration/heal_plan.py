"""What the healer would ask for now: the home and Dagster's state gathered for the pure decision.

Belongs here: reading evidence, attempts, register, backfills. Not here: deciding (quality.healing), launching
(healing).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import dagster as dg
import polars as pl

from gbpm_dagster.orchestration import heal_state
from gbpm_dagster.orchestration.internal import cancelled_since, days_asked, days_in_flight
from gbpm_dagster.orchestration.runtime import Runtime, is_daily
from gbpm_dagster.quality.endings import due_again, forgiven
from gbpm_dagster.quality.healing import Decision, Limits, Situation, decide
from gbpm_dagster.quality.register import Status
from gbpm_dagster.quality.states import FAILING, State

FAILS = tuple(state.value for state in FAILING)


@dataclass
class Around:
    """What is going on about the days: days that somebody fetches, by table, and until when a cancel holds."""

    in_flight: Mapping[str, set[date]] = field(default_factory=dict)
    cancelled: Mapping[str, Mapping[date, datetime]] = field(default_factory=dict)


def around(runtime: Runtime, instance: dg.DagsterInstance) -> Around:
    """Read from Dagster."""
    return Around(days_in_flight(instance), cancelled_days(runtime, instance))


def cancelled_days(runtime: Runtime, instance: dg.DagsterInstance) -> dict[str, dict[date, datetime]]:
    """Days of healing backfills that a person cancelled, and until when they are left alone.

    From the cancel for GBPM_HEAL_AFTER_CANCEL_SECONDS, or until `gbpm heal --resume`.
    """
    hold = timedelta(seconds=runtime.settings.heal_after_cancel_s)
    resumed = heal_state.read(runtime.settings.home).resumed_at
    found: dict[str, dict[date, datetime]] = {}
    for backfill, at in cancelled_since(instance, datetime.now(UTC) - hold):
        if resumed is not None and at <= resumed:
            continue
        for table, days in days_asked(backfill).items():
            mine = found.setdefault(table, {})
            for day in days:
                mine[day] = max(at + hold, mine.get(day, at + hold))
    return found


def limits_of(runtime: Runtime) -> Limits:
    """The bounds that the home's settings name."""
    s = runtime.settings
    return Limits(
        s.heal_delays_s,
        s.heal_max_partitions,
        s.heal_max_runs,
        requests_a_day=s.heal_requests_a_day,
        tries=s.max_attempts,
        join_days=s.heal_join_days,
        jitter=s.heal_jitter,
        probe_s=s.heal_probe_s,
        probe_max_s=s.heal_probe_max_s,
    )


def plan_healing(
    runtime: Runtime,
    failed: Mapping[str, Sequence[date]],
    now_around: Around,
    forced: Collection[str] = (),
    tables: Collection[str] | None = None,
) -> Decision:
    """What to ask for now, given the failed gap checks and what is going on. forced: tables a person wants now.
    tables: the only ones to look at (None: all of the home)."""
    now = datetime.now(UTC)
    register, join_days = runtime.lake.known_gaps(), runtime.settings.heal_join_days
    here = {d.table: d for d in runtime.datasets if tables is None or d.table in tables}
    again = due_again_days(runtime)
    asked: dict[str, list[date]] = {}
    looked_at: dict[str, list[date]] = {}
    for table, dataset in here.items():
        flying = now_around.in_flight.get(table, set())
        wanted = set() if not is_daily(dataset) and flying else set(runtime.wanted(dataset)) - flying
        again[table] = sorted(wanted & set(again.get(table, ())))
        asked[table] = sorted(wanted & set(failed.get(table, ())))
        if asked[table]:
            looked_at[table] = sorted(wanted & {*asked[table], *_near(asked[table], join_days)})
    missing, complete, excluded, given_up = {}, {}, {}, {}
    for dataset, states in runtime.survey([here[t] for t in looked_at], looked_at):
        table = dataset.table
        of_asked = states.filter(pl.col("day").is_in(asked[table]))
        given_up[table] = _days(of_asked, pl.col("known") == Status.GIVEN_UP.value)
        excluded[table] = _days(of_asked, pl.col("state") == State.EXCLUDED.value)
        # The excluded are shown with their reason, and never asked.
        missing[table] = _days(of_asked, pl.col("state").is_in(FAILS)) + excluded[table]
        complete[table] = _days(states, pl.col("state") == State.COMPLETE.value)
    again = {table: days for table, days in again.items() if days}
    situation = Situation(
        missing=missing,
        attempts=runtime.lake.attempts(),
        now=now,
        again=again,
        complete=complete,
        excluded=excluded,
        given_up=given_up,
        cancelled=now_around.cancelled,
        forgiven={k: at for t, days in missing.items() for k, at in forgiven(register, t, days).items()},
        forced=forced,
    )
    chosen = [here[t] for t in sorted({*missing, *again})]
    return decide(situation, chosen, limits_of(runtime), runtime.requests)


def due_again_days(runtime: Runtime) -> dict[str, list[date]]:
    """Days of the home missing at the source whose turn to be asked again has come, a table."""
    found = due_again(runtime.lake.known_gaps(), datetime.now(UTC))
    return {d.table: found[d.table] for d in runtime.datasets if d.table in found}


def _days(states: pl.DataFrame, which: pl.Expr) -> list[date]:
    return states.filter(which)["day"].to_list()


def _near(days: Sequence[date], join_days: int) -> list[date]:
    """Days that lie between two of these which are parted by at most so many."""
    found: list[date] = []
    for earlier, later in pairwise(days):
        gap = (later - earlier).days - 1
        found += [earlier + timedelta(days=n) for n in range(1, gap + 1)] if 0 < gap <= join_days else []
    return found
