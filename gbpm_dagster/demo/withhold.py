"""What the replay server hides at first, so that the demo has something to find and heal: rules and their state.

Belongs here: reading the rules, and deciding for each request what is kept back. Not here: HTTP, the recorded rows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any

from gbpm_dagster.catalogue import registry

KINDS = ("day", "periods", "storm")
_ALLOWED = {"table", "day", "kind", "periods", "until_answers", "status", "times", "retry_after", "note"}


class WithholdingError(ValueError):
    """The rules cannot be used; the message names the file or rule and what is allowed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing kept back.

    kind day: no rows of that table and London day. periods: none of these settlement periods. Both end once
    `until_answers` requests that touch the day were answered. storm: `times` answers of `status` instead of rows,
    with Retry-After seconds if given.
    """

    table: str
    day: date
    kind: str
    periods: tuple[int, ...] = ()
    until_answers: int = 1
    status: int = 503
    times: int = 0
    retry_after: float | None = None
    note: str = ""

    @property
    def limit(self) -> int:
        """Requests after which the rule is over."""
        return self.times if self.kind == "storm" else self.until_answers


@dataclass(frozen=True, slots=True)
class Hidden:
    """Rows left out of one answer: a day, or the named settlement periods of it."""

    day: date
    periods: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with one request: answer `status` if set, else answer without the hidden rows."""

    status: int | None = None
    retry_after: float | None = None
    hidden: tuple[Hidden, ...] = ()


@dataclass(slots=True)
class Withholding:
    """The rules and how often each was applied. Safe to use from many threads."""

    rules: tuple[Rule, ...] = ()
    _used: list[int] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._used = [0] * len(self.rules)

    @classmethod
    def from_file(cls, path: Path | str) -> Withholding:
        """Rules from a JSON file: a list, or an object with the list under `rules`. Raises WithholdingError."""
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise WithholdingError(f"cannot read the withholding rules {path}: {error}") from error
        try:
            return cls.of(found["rules"] if isinstance(found, dict) else found)
        except (WithholdingError, KeyError, TypeError) as error:
            raise WithholdingError(f"withholding rules {path}: {error}") from error

    @classmethod
    def of(cls, rules: Iterable[Mapping[str, Any]]) -> Withholding:
        """Rules from their JSON form. Raises WithholdingError."""
        return cls(tuple(_rule(number, spec) for number, spec in enumerate(rules, 1)))

    def visit(self, table: str, days: Collection[date]) -> Verdict:
        """Decide one request for these London days of a table and count it against the rules in force."""
        with self._lock:
            here = [
                i for i, r in enumerate(self.rules) if r.table == table and r.day in days and self._used[i] < r.limit
            ]
            storm = next((i for i in here if self.rules[i].kind == "storm"), None)
            if storm is not None:
                self._used[storm] += 1
                return Verdict(self.rules[storm].status, self.rules[storm].retry_after)
            for i in here:
                self._used[i] += 1
            return Verdict(hidden=tuple(Hidden(self.rules[i].day, self.rules[i].periods) for i in here))

    def state(self) -> list[dict[str, Any]]:
        """Each rule in its JSON form with `used` (requests it was applied to), `limit` and `in_force`."""
        with self._lock:
            return [{**_spec(r), "used": n, "limit": r.limit, "in_force": n < r.limit} for r, n in self._pairs()]

    @property
    def in_force(self) -> bool:
        """True while anything is still kept back."""
        with self._lock:
            return any(n < r.limit for r, n in self._pairs())

    def _pairs(self) -> list[tuple[Rule, int]]:
        return list(zip(self.rules, self._used, strict=True))


def _rule(number: int, spec: Mapping[str, Any]) -> Rule:
    where = f"rule {number}"
    if not isinstance(spec, Mapping):
        raise WithholdingError(f"{where} is {spec!r}: must be an object with table and day")
    unknown = set(spec) - _ALLOWED
    if unknown or not {"table", "day"} <= set(spec):
        raise WithholdingError(
            f"{where} {dict(spec)}: needs table and day; allowed are {', '.join(sorted(_ALLOWED))}"
        )
    try:
        table = registry.get(str(spec["table"])).table
        day = date.fromisoformat(str(spec["day"]))
    except (LookupError, ValueError) as error:
        raise WithholdingError(f"{where}: {error}") from error
    periods = _periods(where, spec.get("periods", ()))
    kind = str(spec.get("kind", "periods" if periods else "day"))
    if kind not in KINDS or (kind == "periods") != bool(periods):
        raise WithholdingError(
            f"{where}: kind is {kind!r}; allowed are {', '.join(KINDS)}, periods with a list of them"
        )
    status = int(spec.get("status", 503))
    if not 400 <= status <= 599:
        raise WithholdingError(f"{where}: status is {status}; allowed are 400..599")
    rule = Rule(
        table,
        day,
        kind,
        periods,
        until_answers=int(spec.get("until_answers", 1)),
        status=status,
        times=int(spec.get("times", 0)),
        retry_after=spec.get("retry_after"),
        note=str(spec.get("note", "")),
    )
    if rule.limit < 1:
        name = "times" if kind == "storm" else "until_answers"
        raise WithholdingError(f"{where}: {name} is {rule.limit}; must be 1 or more")
    return rule


def _periods(where: str, given: Any) -> tuple[int, ...]:
    periods = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not all(isinstance(p, int) and 1 <= p <= 50 for p in periods):
        raise WithholdingError(f"{where}: periods is {given!r}; must be a list of settlement periods 1..50")
    return periods


def _spec(rule: Rule) -> dict[str, Any]:
    spec: dict[str, Any] = {"table": rule.table, "day": rule.day.isoformat(), "kind": rule.kind}
    if rule.kind == "storm":
        spec |= {"status": rule.status, "times": rule.times}
    else:
        spec |= {"until_answers": rule.until_answers}
    if rule.periods:
        spec["periods"] = list(rule.periods)
    if rule.retry_after is not None:
        spec["retry_after"] = rule.retry_after
    return {**spec, "note": rule.note} if rule.note else spec
