"""Keeping the register of known gaps true after the healer's tries: what ended, and how.

Belongs here: which days to look at, and storing what `quality.endings` says. Not here: any rule of the register.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import polars as pl

from gbpm_dagster.orchestration.runtime import Runtime, is_daily
from gbpm_dagster.quality.endings import Rules, endings
from gbpm_dagster.quality.healing import HEAL
from gbpm_dagster.quality.register import Entry, Status, entries

LOOK_BACK = timedelta(days=30)
"""Tries that nobody has looked at are looked for so far back."""

OPEN = (Status.MISSING_AT_SOURCE, Status.GIVEN_UP)


def settle(runtime: Runtime, since: datetime | None = None) -> tuple[list[Entry], datetime | None]:
    """Bring the register up to date with the tries since an instant; the entries that changed, the newest try's time.

    Looked at are the days of those tries, the days of the healer's open entries, and, if there were tries, those of
    notes (`suspected`). Safe to do twice: what is said already is not said again.
    """
    now = datetime.now(UTC)
    attempts = runtime.lake.attempts()
    newest = attempts["at"].max()
    if since is not None and (not isinstance(newest, datetime) or newest <= since):
        return [], since  # every ending follows from a try
    recent = attempts.filter(pl.col("at") > (since or now - LOOK_BACK))
    healed = recent.filter((pl.col("reason") == HEAL) | (pl.col("outcome") != "written"))
    register = runtime.lake.known_gaps()
    found: list[Entry] = []
    days = _days_of_tries(healed)
    for entry in entries(register):
        noted = entry.status is Status.SUSPECTED and not recent.is_empty()
        if (entry.status in OPEN or noted) and entry.last is not None:
            days.setdefault(entry.table, set()).update(entry.days)
    wanted = {
        d.table: sorted(set(runtime.wanted(d)) & days.get(d.table, set())) for d in runtime.datasets if is_daily(d)
    }
    datasets = [d for d in runtime.datasets if wanted.get(d.table)]
    # Without the entries in force: they are what is judged here. The ended ones still say what no longer counts.
    ended = register.filter(pl.col("status") == Status.RESOLVED.value)
    s = runtime.settings
    rules = Rules(len(s.heal_delays_s), s.heal_ask_again_s, lambda day: _runs_due(runtime, day))
    for dataset, states in runtime.survey(datasets, wanted, ended):
        held = runtime.lake.evidence([dataset.table])
        found += endings(dataset, states, attempts, held, register, now, rules)
    if found:
        runtime.lake.put_known_gaps([entry.row() for entry in found])
    return found, newest if isinstance(newest, datetime) else None


def _days_of_tries(tries: pl.DataFrame) -> dict[str, set[date]]:
    grouped: Mapping[str, list[date]] = dict(tries.group_by("table").agg(pl.col("day").unique()).iter_rows())
    return {table: set(days) for table, days in grouped.items()}


def _runs_due(runtime: Runtime, day: date) -> list[datetime]:
    found: list[datetime] = runtime.run_calendar.filter(pl.col("settlementDate") == day)["due_at"].to_list()
    return found
