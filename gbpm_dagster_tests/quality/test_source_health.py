"""The source's state machine: up -> down after three requests without an answer -> probes further and further apart
-> up at the first answer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.quality.source_health import DOWN_AFTER, fold, health
from gbpm_dagster.warehouse.protocol import ATTEMPT_SCHEMA

T0 = datetime(2026, 11, 1, 12, tzinfo=UTC)
FIRST, LONGEST = 300.0, 3600.0
DAY = date(2024, 1, 3)


def tries(*rows: tuple[float, str, int | None]) -> pl.DataFrame:
    """Tries as (seconds after T0, error class, requests)."""
    records = [
        {"table": "bmrs_mid", "day": DAY, "at": T0 + timedelta(seconds=s), "error_class": c, "requests": n}
        for s, c, n in rows
    ]
    return pl.DataFrame(records, schema=ATTEMPT_SCHEMA)


def test_a_source_nobody_asked_counts_as_up() -> None:
    assert health(tries(), FIRST, LONGEST).up


def test_two_failures_are_no_outage_three_are() -> None:
    two = tries((0, "transient", 6), (1, "transient", 6))
    assert health(two, FIRST, LONGEST).up
    three = health(tries((0, "transient", 6), (1, "transient", 6), (2, "transient", 6)), FIRST, LONGEST)
    assert (three.up, three.since, three.probe_at) == (False, T0, T0 + timedelta(seconds=2 + FIRST))


def test_days_that_were_never_asked_say_nothing() -> None:
    """One window that failed fails seven days; a run that gave up fails hundreds."""
    rows = [(0.0, "transient", 6), *[(float(n), "transient", 0) for n in range(100)]]
    assert health(tries(*rows), FIRST, LONGEST).up


def test_a_refusal_is_an_answer() -> None:
    rows = [(0.0, "transient", 6), (1.0, "transient", 6), (2.0, "transient", 6)]
    for answer in ("", "permanent", "ours"):
        assert health(tries(*rows, (3.0, answer, 1)), FIRST, LONGEST).up


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = [(0.0, "transient", 6), (1.0, "transient", 6), (2.0, "transient", 6)]
    assert health(tries((3.0, "", 1), *rows), FIRST, LONGEST).up
    assert not health(tries((-1.0, "", 1), *rows), FIRST, LONGEST).up


def test_waits_double_up_to_the_longest_and_a_burst_counts_once() -> None:
    burst = [T0 + timedelta(seconds=n) for n in range(20)]
    at, found = burst, []
    for _ in range(6):
        state = fold(at, FIRST, LONGEST)
        assert state.probe_at is not None
        found.append((state.probe_at - at[-1]).total_seconds())
        at = [*at, state.probe_at]
    assert found == [300, 600, 1200, 2400, 3600, 3600]


@given(st.lists(st.integers(0, 10**7), min_size=DOWN_AFTER, max_size=60))
def test_a_probe_is_never_sooner_than_the_first_wait_nor_later_than_the_longest(seconds: list[int]) -> None:
    at = sorted(T0 + timedelta(seconds=s) for s in seconds)
    state = fold(at, FIRST, LONGEST)
    assert state.probe_at is not None
    assert FIRST <= (state.probe_at - at[-1]).total_seconds() <= LONGEST
    assert 1 <= state.probes <= len(at)
    assert state.since == at[0]
