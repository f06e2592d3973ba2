"""When a value that wavers raises an alert and when it clears it: a pure state machine (market/domain.md 8.1).

Belongs here: rules, states and one step. Not here: what is told of a transition (`engine`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

RAISE, CLEAR = "raise", "clear"
ABOVE, BELOW = "above", "below"


@dataclass(frozen=True, slots=True)
class Rule:
    """Off to on after `n_raise` values in a row >= raise_at; back after `n_clear` in a row < clear_at.

    Of direction `below` the signs are turned: <= raise_at, > clear_at. A value equal to clear_at does not clear.
    ValueError unless clear_at lies on the quiet side of raise_at, the counts are at least 1 and the direction is
    known.
    """

    raise_at: float
    clear_at: float
    n_raise: int = 1
    n_clear: int = 1
    direction: str = ABOVE

    def __post_init__(self) -> None:
        if self.direction not in (ABOVE, BELOW):
            raise ValueError(f"the direction of a rule is {ABOVE} or {BELOW}, not {self.direction!r}")
        if min(self.n_raise, self.n_clear) < 1:
            raise ValueError(f"a rule counts from 1: n_raise {self.n_raise}, n_clear {self.n_clear}")
        quiet = self.clear_at < self.raise_at if self.direction == ABOVE else self.clear_at > self.raise_at
        if not quiet:
            side = "below" if self.direction == ABOVE else "above"
            raise ValueError(f"clear_at {self.clear_at} must lie {side} raise_at {self.raise_at}")

    def raises(self, value: float) -> bool:
        return value >= self.raise_at if self.direction == ABOVE else value <= self.raise_at

    def clears(self, value: float) -> bool:
        return value < self.clear_at if self.direction == ABOVE else value > self.clear_at


@dataclass(frozen=True, slots=True)
class Latch:
    """State of one (rule, subject): on or off, and how many values in a row speak for the other."""

    on: bool = False
    count: int = 0


OFF = Latch()


def step(rule: Rule, latch: Latch, value: float | None) -> tuple[Latch, str]:
    """The state after a value, and the transition: RAISE, CLEAR or ''. None changes nothing."""
    if value is None:
        return latch, ""
    if not (rule.clears(value) if latch.on else rule.raises(value)):
        return Latch(latch.on, 0), ""
    count = latch.count + 1
    if count < (rule.n_clear if latch.on else rule.n_raise):
        return Latch(latch.on, count), ""
    return Latch(not latch.on, 0), CLEAR if latch.on else RAISE


def transitions(rule: Rule, values: Iterable[float | None], latch: Latch = OFF) -> Iterator[tuple[int, str]]:
    """(index, transition) of a series."""
    for i, value in enumerate(values):
        latch, moved = step(rule, latch, value)
        if moved:
            yield i, moved
