"""The healer's decision: attempts, delays, caps, order, bounds (OPS-03, OPS-04, decision 19)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.quality.healing import HEAL, Limits, decide
from gbpm_dagster.warehouse.protocol import ATTEMPT_SCHEMA

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
# OPS-04: 1 h, 4 h, 1 d, 3 d, 7 d
LIMITS = Limits((3600, 14_400, 86_400, 259_200, 604_800), max_partitions=200, max_runs=20)
DAY = date(2024, 1, 3)
ALL = tuple(DATASETS.values())


def tries(*rows: tuple[str, date, datetime, str, str]) -> pl.DataFrame:
    """Attempts as (table, day, at, error_class, reason)."""
    records = [
        {"table": t, "day": d, "at": at, "error_class": c, "reason": r, "outcome": "failed" if c else "empty"}
        for t, d, at, c, r in rows
    ]
    return pl.DataFrame(records, schema=ATTEMPT_SCHEMA)


def test_a_day_never_tried_is_asked_for_at_once() -> None:
    decision = decide({"bmrs_mid": [DAY]}, ALL, tries(), NOW, LIMITS)
    assert decision.launch == {"bmrs_mid": [DAY]}
    assert "asking for 1 now" in decision.why["bmrs_mid"]


def test_waits_grow_as_ops_04_says_and_end_after_five_retries() -> None:
    waits = [1, 4, 24, 72, 168]
    for n, hours in enumerate(waits, start=1):
        log = tries(*[("bmrs_mid", DAY, NOW - k * timedelta(days=30), "", HEAL) for k in range(n)])
        early = decide({"bmrs_mid": [DAY]}, ALL, log, NOW + hours * HOUR - timedelta(seconds=1), LIMITS)
        assert early.launch == {}
        assert early.next_at == NOW + hours * HOUR
        assert decide({"bmrs_mid": [DAY]}, ALL, log, NOW + hours * HOUR, LIMITS).launch == {"bmrs_mid": [DAY]}
    log = tries(*[("bmrs_mid", DAY, NOW - k * HOUR, "", HEAL) for k in range(6)])
    capped = decide({"bmrs_mid": [DAY]}, ALL, log, NOW + timedelta(days=999), LIMITS)
    assert capped.launch == {}
    assert "left to a person" in capped.why["bmrs_mid"]


def test_a_failing_source_uses_up_no_attempt() -> None:
    log = tries(*[("bmrs_mid", DAY, NOW - timedelta(minutes=k), "transient", HEAL) for k in range(50)])
    assert decide({"bmrs_mid": [DAY]}, ALL, log, NOW, LIMITS).launch == {"bmrs_mid": [DAY]}


def test_a_persons_backfill_is_no_attempt_of_the_healer() -> None:
    log = tries(*[("bmrs_mid", DAY, NOW, "permanent", "backfill") for _ in range(9)])
    assert decide({"bmrs_mid": [DAY]}, ALL, log, NOW, LIMITS).launch == {"bmrs_mid": [DAY]}


def test_a_thousand_missing_days_give_one_bounded_backfill_newest_first() -> None:
    days = [DAY - timedelta(days=n) for n in range(1000)]
    decision = decide({"bmrs_mid": days}, ALL, tries(), NOW, LIMITS)
    assert decision.days == 200
    assert max(decision.launch["bmrs_mid"]) == DAY
    assert min(decision.launch["bmrs_mid"]) == DAY - timedelta(days=199)


def test_prices_go_before_the_balancing_mechanism() -> None:
    days = [DAY - timedelta(days=n) for n in range(150)]
    decision = decide({"bmrs_bod": days, "bmrs_costs": days}, ALL, tries(), NOW, LIMITS)
    assert len(decision.launch["bmrs_costs"]) == 150
    assert len(decision.launch["bmrs_bod"]) == 50


@given(
    st.sets(st.integers(0, 400), min_size=1, max_size=120),
    st.sets(st.integers(0, 400), min_size=1, max_size=120),
    st.integers(1, 60),
    st.integers(1, 12),
)
def test_never_more_than_asked_nor_over_a_bound(a: set[int], b: set[int], partitions: int, runs: int) -> None:
    missing = {
        "bmrs_mid": [DAY + timedelta(days=n) for n in a],
        "bmrs_freq": [DAY + timedelta(days=n) for n in b],
    }
    decision = decide(missing, ALL, tries(), NOW, Limits((1.0,), partitions, runs))
    assert 0 < decision.days <= partitions
    ranges = 0
    for table, days in decision.launch.items():
        assert set(days) <= set(missing[table])
        ranges += 1 + sum(y - x != timedelta(days=1) for x, y in pairwise(days))
    assert ranges <= runs
