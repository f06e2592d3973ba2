"""Why a day is in its state, in one sentence for a person.

Belongs here: wording. Not here: deciding the state (`coverage`, `states`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from gbpm_dagster.catalogue.model import Rule
from gbpm_dagster.quality.states import State, runs

MAX_MESSAGE = 300
MAX_RUNS = 12


def reason(rule: Rule, day: Mapping[str, Any]) -> str:
    """One sentence for one day.

    day: state, expected_slots, complete_slots, gaps (list of {date, period, rows, expected} not there), day; of the
    evidence held_rows, fetched_at, distinct_keys, quarantined (null: no evidence), doubt (null: none); of the last
    attempt at, outcome, error_class, message, tried_keys (null: none).
    """
    parts = [_what_is_there(rule, day)]
    if day["doubt"] and day["state"] != State.COMPLETE:
        parts.append(f"{day['doubt']}: asked again until two answers 24 hours apart agree")
    elif day["quarantined"] and day["state"] != State.COMPLETE:
        parts.append(f"{day['quarantined']} rows in quarantine")
    trouble = _trouble(day)
    if trouble:
        parts = [trouble] if day["fetched_at"] is None else [*parts, trouble]
    return "; ".join(parts)


def _what_is_there(rule: Rule, day: Mapping[str, Any]) -> str:
    state = day["state"]
    if day["fetched_at"] is None:
        if state == State.COMPLETE:
            return "a later snapshot is there" if rule is Rule.SNAPSHOT else "nothing is expected"
        return "not due yet" if state == State.NOT_DUE else "never asked"
    if state == State.MISSING_AT_SOURCE and day["held_rows"] == 0:
        return "the source has nothing: answered, empty, twice at least 24 hours apart, while other days have rows"
    if rule is Rule.PERIODS:
        return _periods(day)
    if day["held_rows"] == 0:
        return "answered, empty"
    if state == State.COMPLETE or day["doubt"]:
        return f"answered, {day['held_rows']} rows"
    return f"asked at {_clock(day['fetched_at'])}, before the day was due, or in part only"


def _periods(day: Mapping[str, Any]) -> str:
    if not day["expected_slots"]:
        return "nothing is expected"
    if day["held_rows"] == 0 and not day["complete_slots"]:
        return "answered, empty"
    text = f"{day['complete_slots']} of {day['expected_slots']} periods"
    if day["state"] == State.COMPLETE or day["complete_slots"] == day["expected_slots"]:
        return text
    if not day["gaps"]:
        return f"{text}; the others are not late yet"
    said = f"{text}; missing {_slots(day['gaps'], day['day'])}"
    return f"{said}, which the source does not have" if day["state"] == State.MISSING_AT_SOURCE else said


def _slots(gaps: Sequence[Mapping[str, Any]], day: date) -> str:
    """'12', '3-5, 9', '2024-01-02/48' where the period is another day's; partly filled ones with their rows."""
    absent = [g for g in gaps if not g["rows"]]
    words = [f"{g['date']}/{g['period']}" for g in absent if g["date"] != day]
    own = [g["period"] for g in absent if g["date"] == day]
    words += [str(a) if a == b else f"{a}-{b}" for a, b, _ in runs(own)]
    for g in gaps:
        if g["rows"]:
            name = g["period"] if g["date"] == day else f"{g['date']}/{g['period']}"
            words.append(f"{name} ({g['rows']} of {g['expected']} rows)")
    return ", ".join(words[:MAX_RUNS]) + (", ..." if len(words) > MAX_RUNS else "")


def _trouble(day: Mapping[str, Any]) -> str:
    """What went wrong with the last attempt, if it is newer than the evidence."""
    at, answered = day["at"], day["fetched_at"]
    if at is None or (answered is not None and at <= answered):
        return ""
    if day["outcome"] == "failed":
        message = " ".join(str(day["message"] or "").split())
        if len(message) > MAX_MESSAGE:
            message = message[: MAX_MESSAGE - 3] + "..."
        kind = f" ({day['error_class']})" if day["error_class"] else ""
        return f"last try failed{kind}: {message}" if message else f"last try failed{kind}"
    if day["outcome"] == "held":
        return f"held by the shrink guard: {day['tried_keys']} keys against {day['distinct_keys']} stored"
    return ""


def _clock(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%MZ")
