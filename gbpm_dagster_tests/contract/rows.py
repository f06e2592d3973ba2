"""Rows as Elexon's document describes them, made up: no value means anything, each has its field's type.

Belongs here: what stands in the served JSON, and the typed row it must become. Not here: HTTP (`server`), which day
has which rows (`days`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from gbpm_dagster_tests.contract.facts import HALF_HOUR, Facts, Field, london_day, midnight, text

Body = Any
"""An object of the answer as JSON has it; a text in lists of texts."""

LATER = timedelta(minutes=5)
"""How long after the end of its half hour a value is published or calculated."""

OF_THE_MOMENT = ("Id", "Identification", "mrid", "mRID", "Text", "acceptanceNumber")
"""Fields whose values never come again: documents, messages, acceptances."""

PUBLISHED = ("publishTime", "submissionDateTime")
"""Where these select, rows are about a half hour that is over."""


@dataclass(frozen=True)
class Moment:
    """What a row is about. at: the instant by which a window selects it. unit: which of the rows of that moment."""

    at: datetime
    unit: int = 0
    member: str = ""
    choice: str = ""


@dataclass(frozen=True)
class Row:
    """A row as it is served, and where it lies. day: its settlement (or measurement) date; home: its partition."""

    body: Body
    at: datetime
    day: date
    period: int
    home: date
    choice: str = ""
    ident: str = ""

    def but(self, **changes: Any) -> Row:
        """The row with other values; `outer.member` names a nested one."""
        body = json.loads(json.dumps(self.body))
        for name, value in changes.items():
            outer, dot, inner = name.partition(".")
            (body[outer] if dot else body)[inner if dot else outer] = value
        return replace(self, body=body)


def about(facts: Facts, at: datetime) -> tuple[date, int, datetime]:
    """Settlement date, period and its start of a row selected by that instant."""
    return _about(at - HALF_HOUR - HALF_HOUR / 2 if facts.home in PUBLISHED else at)


@cache
def _about(start: datetime) -> tuple[date, int, datetime]:
    day = london_day(start)
    period = (start - midnight(day)) // HALF_HOUR + 1
    return day, period, midnight(day) + HALF_HOUR * (period - 1)


def make(facts: Facts, moments: list[Moment], member_column: str = "") -> Row:
    """One object of an answer; where rows are nested in it, one element a moment (all of the same instant)."""
    first = moments[0]
    day, period, _ = about(facts, first.at)
    body = {
        field.name: _value(facts, field, first, member_column)
        for field in facts.operation.fields
        if field.name != facts.nest
    }
    if facts.nest:
        inner = next(f for f in facts.operation.fields if f.name == facts.nest).members
        body[facts.nest] = [{f.name: _value(facts, f, m, member_column) for f in inner} for m in moments]
    home = london_day(first.at) if _is_instant(facts) else day
    if facts.operation.envelope == "array_of_string":
        return Row(f"value £{first.unit}", first.at, day, period, home)
    return Row(body, first.at, day, period, home, first.choice, str(_number(first)))


def _is_instant(facts: Facts) -> bool:
    return bool(facts.home) and facts.fields[facts.home].type == "instant"


def _number(moment: Moment) -> int:
    """A number that is this row's alone."""
    return int(moment.at.timestamp()) % 10**8 * 10 + moment.unit


def _value(facts: Facts, field: Field, moment: Moment, member_column: str) -> Any:
    if field.name == facts.choice and field.name != facts.added:
        return moment.choice
    if field.name == member_column and moment.member:
        return moment.member
    match field.type:
        case "object":
            return {inner.name: _value(facts, inner, moment, "") for inner in field.members}
        case "list":
            return [
                {inner.name: _value(facts, inner, replace(moment, unit=i), "") for inner in field.members}
                for i in (0, 1)
            ]
        case "date":
            return _date(facts, field.name, moment).isoformat()
        case "instant":
            return text(_instant(facts, field.name, moment))
        case "integer":
            return _integer(facts, field.name, moment)
        case "number":
            return _float(facts, field.name, moment)
        case "boolean":
            return (moment.unit + len(field.name)) % 2 == 0
        case _:
            return _text(field.name, moment)


def _date(facts: Facts, name: str, moment: Moment) -> date:
    day = about(facts, moment.at)[0]
    return day + timedelta(days=moment.unit) if name == "forecastDate" and facts.home != name else day


def _instant(facts: Facts, name: str, moment: Moment) -> datetime:
    start = about(facts, moment.at)[2]
    if name == facts.home:
        return moment.at
    if name in ("startTime", "timeFrom", "time"):
        return start if facts.home in PUBLISHED else moment.at
    if name in ("timeTo", "halfHourEndTime", "endTime"):
        return start + HALF_HOUR
    return start + HALF_HOUR + LATER


def _integer(facts: Facts, name: str, moment: Moment) -> int:
    _, period, start = about(facts, moment.at)
    if "eriod" in name and "Duration" not in name:
        return period
    if name.endswith(OF_THE_MOMENT) or name == "id":
        return _number(moment)
    if name == "year":
        return start.year
    if name in ("documentRevisionNumber", "revisionNumber"):
        return 3
    return (100 if name == "notificationSequence" else 1) + moment.unit


def _float(facts: Facts, name: str, moment: Moment) -> float:
    period = about(facts, moment.at)[1]
    if name == "frequency":
        return 49.9 + period / 1000
    if name == "forecastHorizon":
        return (1.0, 2.0, 4.0, 8.0, 12.0)[moment.unit]
    if name in ("systemSellPrice", "systemBuyPrice"):
        return 54.5 + period
    return period + moment.unit + len(name) / 7


def _text(name: str, moment: Moment) -> str:
    if name == "amendmentFlag":
        return "ORI"
    if name == "id":
        return str(_number(moment))
    if name in ("mrid", "mRID") or (name.endswith(OF_THE_MOMENT) and not name.startswith(("national", "bmUnit"))):
        return f"{name}-{_number(moment)}"
    if name in ("recordType", "settlementRunType"):
        return "II"
    return f"{name} £{moment.unit}"


# --- what a served object must become


def flat(facts: Facts, row: Row) -> list[dict[str, Any]]:
    """The rows of one served object, by column, as JSON has them: nested parts taken apart, absent fields null."""
    if isinstance(row.body, str):
        return [{"value": row.body}]
    outer: dict[str, Any] = {}
    for name, value in row.body.items():
        if name == facts.nest:
            continue
        if isinstance(value, dict) and f"{name}." in " ".join(facts.fields):
            outer |= {f"{name}.{inner}": v for inner, v in value.items()}
        else:
            outer[name] = value
    if facts.added:
        outer[facts.added] = row.choice
    rows = [{**outer, **element} for element in row.body[facts.nest]] if facts.nest else [outer]
    return [{name: found.get(name) for name in facts.fields} for found in rows]


def typed(facts: Facts, row: dict[str, Any]) -> dict[str, Any]:
    """A flat row in the types of decision 1: float64, int64, DATE, UTC instants, nested parts as JSON text."""
    return {name: _typed(field, row[name]) for name, field in facts.fields.items()}


def _typed(field: Field, value: Any) -> Any:
    if value is None:
        return None
    match field.type:
        case "date":
            return date.fromisoformat(value)
        case "instant":
            return datetime.fromisoformat(value)
        case "number":
            return float(value)
        case "list":
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        case _:
            return value


def key_of(facts: Facts, row: dict[str, Any]) -> tuple[Any, ...]:
    """The natural key of a flat row; nationalGridBmUnit, else bmUnit."""
    return tuple(row["bmUnit"] if k == facts.unit_key and row[k] is None else row[k] for k in facts.key)
