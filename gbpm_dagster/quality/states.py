"""What a slot, a day and an age are called: the rules of market/domain.md 2.3, 2.4 and 8.3 as pure functions.

Belongs here: the state of one slot or day from plain numbers. Not here: reading a warehouse (`coverage`, `checks`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from gbpm_dagster.catalogue.model import Lag


class State(StrEnum):
    """State of a slot; of a day also PARTIAL and EXCLUDED. Only MISSING, LATE and PARTIAL fail the gap check."""

    MISSING = "missing"
    LATE = "late"
    MISSING_AT_SOURCE = "missing_at_source"
    DUE = "due"
    NOT_DUE = "not_due"
    COMPLETE = "complete"
    PARTIAL = "partial"
    EXCLUDED = "excluded"  # it would fail, and a person does not want it (`register`)


WORST_FIRST = (
    State.MISSING,
    State.LATE,
    State.MISSING_AT_SOURCE,
    State.DUE,
    State.NOT_DUE,
    State.COMPLETE,
)
"""Order of slot states, worst first (domain.md 2.3)."""

FAILING = frozenset({State.MISSING, State.LATE, State.PARTIAL})
"""Day states on which the gap check fails."""

PROOF_SPAN = timedelta(hours=24)
"""Least time between the first and last empty answer that prove emptiness at the source."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""A value further in the future than this means a wrong clock."""


def slot_state(
    slot_end: datetime,
    lag: Lag,
    rows: int,
    expected: int,
    now: datetime,
    empty_answers: Collection[datetime] = (),
) -> State:
    """State of one slot (domain.md 2.3). `empty_answers`: instants of successful answers without rows for it.

    A failed request is never an answer. The control that `missing_at_source` needs besides is `coverage`'s part.
    """
    if rows >= expected > 0:
        return State.COMPLETE
    due_at = slot_end + lag.lag
    late_at = due_at + lag.grace
    gone_at = missing_at(slot_end, lag)
    if now < due_at:
        return State.NOT_DUE
    if now < late_at:
        return State.DUE
    if now < gone_at:
        return State.LATE
    if rows == 0 and proves_empty(empty_answers, gone_at):
        return State.MISSING_AT_SOURCE
    return State.MISSING


def missing_at(slot_end: datetime, lag: Lag) -> datetime:
    """`missing_at` of a slot: due_at + missing_after; both waits are counted from due_at."""
    return slot_end + lag.lag + lag.missing


def proves_empty(empty_answers: Iterable[datetime], gone_at: datetime) -> bool:
    """Two successful empty answers at or after `gone_at`, the first and last at least 24 hours apart."""
    counted = [at for at in empty_answers if at >= gone_at]
    return len(counted) >= 2 and max(counted) - min(counted) >= PROOF_SPAN


def day_state(slots: Collection[State]) -> State:
    """State of a day from its slots: the worst, called PARTIAL when some are complete, others late or missing.

    A day without slots is complete.
    """
    found = set(slots)
    if State.COMPLETE in found and found & {State.LATE, State.MISSING}:
        return State.PARTIAL
    return next((s for s in WORST_FIRST if s in found), State.COMPLETE)


def gaps(present: Collection[int], periods: int) -> list[tuple[int, int, int]]:
    """Maximal runs of absent periods among 1..`periods` as (first, last, count), in order."""
    here = set(present)
    return runs([p for p in range(1, periods + 1) if p not in here])


def runs(numbers: Sequence[int]) -> list[tuple[int, int, int]]:
    """Maximal runs of consecutive integers of an ascending sequence as (first, last, count)."""
    found: list[tuple[int, int, int]] = []
    for n in numbers:
        if found and n == found[-1][1] + 1:
            found[-1] = (found[-1][0], n, found[-1][2] + 1)
        else:
            found.append((n, n, 1))
    return found


def freshness_band(age: timedelta, warn: timedelta, fail: timedelta) -> str:
    """'ok' below warn, 'warn' below fail, else 'fail'; a value over 5 minutes in the future fails (domain.md 8.3)."""
    if age < -CLOCK_TOLERANCE or age >= fail:
        return "fail"
    return "warn" if age >= warn else "ok"
