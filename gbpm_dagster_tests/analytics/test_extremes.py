"""Dearest and cheapest periods, and their labels on London's clock, across both clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from gbpm_dagster.analytics.extremes import clock_label, extremes
from gbpm_dagster_tests.analytics.day import frame, recorded


@pytest.mark.parametrize(
    ("day", "period", "label"),
    [
        (date(2024, 1, 3), 1, "00:00–00:30 GMT"),
        (date(2024, 1, 3), 48, "23:30–00:00 GMT"),
        (date(2024, 7, 1), 35, "17:00–17:30 BST"),
        (date(2026, 3, 29), 2, "00:30 GMT–02:00 BST"),
        (date(2026, 3, 29), 3, "02:00–02:30 BST"),
        (date(2026, 3, 29), 46, "23:30–00:00 BST"),
        (date(2024, 10, 27), 3, "01:00–01:30 BST"),
        (date(2024, 10, 27), 4, "01:30 BST–01:00 GMT"),
        (date(2024, 10, 27), 5, "01:00–01:30 GMT"),
        (date(2024, 10, 27), 50, "23:30–00:00 GMT"),
    ],
)
def test_clock_label(day: date, period: int, label: str) -> None:
    assert clock_label(day, period) == label


def test_no_two_periods_of_a_day_share_a_label() -> None:
    assert len({clock_label(date(2024, 10, 27), n) for n in range(1, 51)}) == 50


def test_a_period_the_day_has_not() -> None:
    with pytest.raises(ValueError, match="1 to 46, not 47"):
        clock_label(date(2026, 3, 29), 47)


def test_the_recorded_day() -> None:
    found = extremes(recorded("bmrs_costs"))
    assert [(p.settlement_period, p.price_gbp_per_mwh) for p in found.dearest] == [(19, 119), (20, 119), (21, 119)]
    assert [(p.settlement_period, p.price_gbp_per_mwh) for p in found.cheapest] == [(16, 5), (17, 5), (11, 30)]
    assert found.cheapest[0].clock == "07:30–08:00 GMT"
    assert found.cheapest[0].start == datetime(2024, 1, 3, 7, 30, tzinfo=UTC)


def test_null_prices_are_left_out_and_negative_ones_are_cheap() -> None:
    prices = {1: None, 2: -20.0, 3: 0.0, 4: 90.0}
    rows = [{"settlementDate": "2024-01-03", "settlementPeriod": n, "systemSellPrice": p} for n, p in prices.items()]
    found = extremes(frame("bmrs_costs", rows), n=5)
    assert [p.settlement_period for p in found.cheapest] == [2, 3, 4]
    assert [p.settlement_period for p in found.dearest] == [4, 3, 2]


def test_nothing_and_nonsense() -> None:
    empty = recorded("bmrs_costs").filter(pl.lit(False))
    assert extremes(empty).dearest == extremes(empty).cheapest == ()
    with pytest.raises(ValueError, match="at least one period"):
        extremes(empty, n=0)
