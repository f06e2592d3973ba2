"""Alerts against the worked examples, and what holds of any series."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.alerts.hysteresis import ABOVE, BELOW, CLEAR, OFF, RAISE, Latch, Rule, step, transitions
from gbpm_dagster_tests.examples import example

VALUES = st.lists(st.none() | st.integers(-10, 10).map(float), max_size=60)
RULES = st.builds(
    lambda high, low, up, down: Rule(float(high), float(low), up, down),
    st.integers(0, 10),
    st.integers(-10, -1),
    st.integers(1, 4),
    st.integers(1, 4),
)


@pytest.mark.parametrize("name", ["al-01", "al-02"])
def test_worked_examples(name: str) -> None:
    given_, expected = example(name)
    asked: dict[str, Any] = dict(given_)
    values = asked.pop("values")
    assert [list(t) for t in transitions(Rule(**asked), values)] == expected


def naive(rule: Rule, values: list[float | None]) -> list[tuple[int, str]]:
    """The sentence of domain.md 8.1, read literally: look back over the last n values that are not null."""
    found: list[tuple[int, str]] = []
    on, since = False, 0
    known = [(i, v) for i, v in enumerate(values) if v is not None]
    for position, (i, _) in enumerate(known):
        n = rule.n_clear if on else rule.n_raise
        last = [v for _, v in known[max(since, position - n + 1) : position + 1]]
        speaks = [v < rule.clear_at if on else v >= rule.raise_at for v in last]
        if len(last) == n and all(speaks):
            on, since = not on, position + 1
            found.append((i, RAISE if on else CLEAR))
    return found


@given(RULES, VALUES)
def test_it_does_what_the_sentence_says(rule: Rule, values: list[float | None]) -> None:
    assert list(transitions(rule, values)) == naive(rule, values)


@given(RULES, VALUES)
def test_transitions_take_turns_beginning_with_a_raise(rule: Rule, values: list[float | None]) -> None:
    moves = [move for _, move in transitions(rule, values)]
    assert moves == [RAISE if i % 2 == 0 else CLEAR for i in range(len(moves))]


@given(RULES, VALUES)
def test_nulls_change_nothing(rule: Rule, values: list[float | None]) -> None:
    kept = [v for v in values if v is not None]
    assert [m for _, m in transitions(rule, values)] == [m for _, m in transitions(rule, kept)]


@given(RULES, VALUES)
def test_below_is_above_turned_over(rule: Rule, values: list[float | None]) -> None:
    turned = Rule(-rule.raise_at, -rule.clear_at, rule.n_raise, rule.n_clear, BELOW)
    assert list(transitions(turned, [None if v is None else -v for v in values])) == list(transitions(rule, values))


@given(RULES, VALUES, st.integers(0, 60))
def test_state_taken_up_again_goes_on_as_if_never_left(rule: Rule, values: list[float | None], cut: int) -> None:
    latch = OFF
    for value in values[:cut]:
        latch, _ = step(rule, latch, value)
    again = Latch(latch.on, latch.count)  # what a file would give back
    rest = [(i + len(values[:cut]), m) for i, m in transitions(rule, values[cut:], again)]
    assert [t for t in transitions(rule, values) if t[0] >= cut] == rest


def test_a_value_equal_to_clear_does_not_clear_and_starts_the_count_anew() -> None:
    rule = Rule(150, 120, n_raise=1, n_clear=2)
    assert list(transitions(rule, [150, 119, 120, 119, 119])) == [(0, RAISE), (4, CLEAR)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1, 1), "must lie below"),
        ((1, 2), "must lie below"),
        ((2, 1, 1, 1, BELOW), "must lie above"),
        ((2, 1, 0, 1), "counts from 1"),
        ((2, 1, 1, 1, "sideways"), "above or below"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Rule(*arguments)
    assert Rule(2, 1).direction == ABOVE
