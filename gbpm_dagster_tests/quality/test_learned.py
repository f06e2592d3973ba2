"""Learned members (domain.md 2.2): in >= 80 % of the periods of the 28 days before; it is said, no more."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.market.calendar import days, periods_in_day, sp_bounds
from gbpm_dagster.quality import learned
from gbpm_dagster.quality.coverage import COVERAGE_SCHEMA
from gbpm_dagster_tests.quality.helpers import Memory

B1610 = DATASETS["bmrs_b1610"]
DAY = date(2024, 2, 20)
BEFORE = days(DAY - timedelta(days=28), DAY - timedelta(days=1))
LENGTHS = {d: periods_in_day(d) for d in BEFORE}


def test_eighty_percent_of_the_periods_is_enough_and_a_period_less_is_not() -> None:
    # 28 days of 48 periods are 1,344; 80 % of them are 1,075.2, so 1,076 periods.
    enough = dict.fromkeys(BEFORE, 38) | dict.fromkeys(BEFORE[:12], 39)  # 28 x 38 + 12 = 1,076
    short = enough | {BEFORE[0]: 38}
    assert learned.learned({"T_A": enough, "T_B": short}, LENGTHS) == {"T_A": pytest.approx(1076 / 1344)}


def test_a_surplus_never_makes_up_for_what_is_not_there() -> None:
    assert learned.learned({"T_A": {BEFORE[0]: 10_000}}, LENGTHS) == {}


@pytest.mark.parametrize(("day", "silent"), [(date(2024, 3, 31), 36), (DAY, 38), (date(2024, 10, 27), 39)])
def test_silent_is_below_the_share_of_the_days_own_length(day: date, silent: int) -> None:
    """80 % of 46, 48 and 50 periods are 36.8, 38.4 and 40."""
    whole = {d: periods_in_day(d) for d in days(day - timedelta(days=28), day - timedelta(days=1))}
    had = {"T_A": {**whole, day: silent}, "T_B": {**whole, day: silent + 1}, "T_C": whole}
    assert [(m, n) for m, _, n in learned.silent(had, whole, day)] == [("T_C", 0), ("T_A", silent)]


def rows(day: date, unit: str) -> list[dict[str, Any]]:
    return [
        {
            "_day": day,
            "settlementDate": day,
            "settlementPeriod": period,
            "nationalGridBmUnitId": unit,
            "halfHourEndTime": sp_bounds(day, period)[1],
            "quantity": 1.0,
        }
        for period in range(1, periods_in_day(day) + 1)
    ]


def coverage_of(those: list[date]) -> pl.DataFrame:
    made = [{"table": "bmrs_b1610", "day": d, "state": "complete", "rows": 48} for d in those]
    return pl.DataFrame(made, schema=COVERAGE_SCHEMA)


def test_the_gap_check_names_who_fell_silent() -> None:
    warehouse = Memory()
    stored = [r for day in [*BEFORE, DAY] for r in rows(day, "T_STAYS")]
    stored += [r for day in BEFORE for r in rows(day, "T_GOES")]
    warehouse.put(B1610, stored, datetime(2024, 3, 1, tzinfo=UTC))
    said = learned.details(warehouse, B1610, coverage_of([*BEFORE, DAY]))
    assert said == {
        f"silent members on {DAY}": 1,
        "silent members, the first": [{"member": "T_GOES", "periods before": "100%", "periods on the day": 0}],
    }
    assert learned.details(warehouse, B1610, coverage_of([*BEFORE[-6:], DAY])) == {}, "too few days to learn from"
    assert learned.details(warehouse, B1610, coverage_of(BEFORE)) == {}, "nobody was silent before"
    assert learned.details(warehouse, B1610, coverage_of([])) == {}
