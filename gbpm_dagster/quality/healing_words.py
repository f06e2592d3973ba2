"""The healer's decision in words: why now, why not, for a person.

Belongs here: sentences. Not here: deciding (`healing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from gbpm_dagster.quality.healing_model import Decision, TableDecision, Why
from gbpm_dagster.quality.result import count, day_ranges
from gbpm_dagster.quality.source_health import clock

SHOWN = 4

_WORDS = {
    Why.BOUNDS: "left for the next backfill (this one's bounds are reached)",
    Why.BUDGET: "left for tomorrow (today's requests are used up)",
    Why.WAITING: "waiting for their next attempt",
    Why.SOURCE: "waiting for the source to answer",
    Why.CANCELLED: "left alone because a person cancelled their backfill",
    Why.GIVEN_UP: "given up after the last attempt (`gbpm heal --now TABLE` or `gbpm backfill` asks again)",
    Why.EXCLUDED: "excluded by a person",
}


def of_table(found: TableDecision) -> str:
    """One sentence: '3 days missing, asking for 2 now (1 request), 1 waiting for ... until ...'."""
    now = found.days.get(Why.NOW, [])
    total = sum(map(len, found.days.values()))
    parts = [f"{count(total, 'day')} missing", f"asking for {len(now)} now"]
    if now:
        parts[1] += f" ({count(found.requests, 'request')})"
    if found.again:
        parts.append(f"{found.again} of them asked again though missing at the source")
    for why, words in _WORDS.items():
        days = found.days.get(why)
        if days:
            until = found.until.get(why)
            parts.append(f"{len(days)} {words}" + (f", from {clock(until)} on" if until else ""))
    return ", ".join(parts)


def why(decision: Decision) -> dict[str, str]:
    """A sentence for each table that lacks days."""
    return {table: of_table(found) for table, found in decision.tables.items()}


def in_one(decision: Decision, now: datetime) -> str:
    """The whole decision for a tick: the source if it is down, the budget if it is spent, then table by table."""
    parts = [] if decision.source.up else [decision.source.sentence(now)]
    if decision.used >= decision.budget:
        parts.append(f"today's {decision.budget:,} requests are used up (GBPM_HEAL_REQUESTS_A_DAY)")
    return "; ".join([*parts, *(f"{table}: {text}" for table, text in why(decision).items())])


def short(decision: Decision) -> str:
    """What is asked for, for a tag: 'bmrs_mid: 3 days (1 request), bmrs_costs: 1 day (1 request)'."""
    parts = [
        f"{table}: {count(len(days), 'day')} ({count(decision.tables[table].requests, 'request')})"
        for table, days in decision.launch.items()
    ]
    return ("probe of a source that is down: " if decision.probe else "") + ", ".join(parts)


def as_json(found: TableDecision) -> dict[str, Any]:
    """Of each class: days, their number, ranges, until."""
    return {
        why.value: {
            "days": len(days),
            "ranges": [[first.isoformat(), last.isoformat()] for first, last in day_ranges(days)],
            "until": found.until.get(why),
        }
        for why, days in found.days.items()
    }


def ranges(days: Sequence[date]) -> str:
    """'2024-01-03, 2024-01-05 to 2024-01-09 and 3 more ranges'."""
    spans = day_ranges(days)
    said = [f"{first}" if first == last else f"{first} to {last}" for first, last in spans[-SHOWN:][::-1]]
    more = f" and {count(len(spans) - SHOWN, 'more range')}" if len(spans) > SHOWN else ""
    return ", ".join(said) + more
