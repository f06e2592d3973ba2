"""Holes between samples, and days usable for events (domain.md 2.4)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.quality.checks import run_checks
from gbpm_dagster.quality.frequency import LONGEST, holes
from gbpm_dagster_tests.quality.helpers import Memory, answer, evidence, slots_of, utc

FREQ = DATASETS["bmrs_freq"]
DAY = date(2024, 1, 3)
START, END = utc("2024-01-03 00:00"), utc("2024-01-04 00:00")
LATER = utc("2024-02-01 00:00")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_hole_is_longer_than_a_minute() -> None:
    """Samples at 0, 15, 75 s: a minute without one is none; at 90 and 151 s: one of 61 s."""
    times = [at(s) for s in (0, 15, 75, 90, 151)]
    assert holes(times, START, at(151)) == [(at(90), at(151))]


def test_the_edges_of_a_day_count() -> None:
    assert holes([], START, END) == [(START, END)]
    assert holes([at(61)], START, at(122)) == [(START, at(61)), (at(61), at(122))]
    assert holes([at(60)], START, at(120)) == []


@given(st.sets(st.integers(0, 5759), max_size=40))
def test_holes_and_samples_share_the_day(grid: set[int]) -> None:
    times = [at(15 * i) for i in grid]
    found = holes(times, START, END)
    assert all(b - a > LONGEST and not any(a < t < b for t in times) for a, b in found)
    assert all(any(a <= at(s) <= b for a, b in found) for s in range(0, 86_400, 60)
               if not any(abs(t - at(s)) <= LONGEST for t in times) and 60 < s < 86_340)  # fmt: skip


def test_the_gap_check_lists_them() -> None:
    """A day without periods 7 and 8: 5,520 of 5,760 samples, 95.8 %, not usable; an hour and a cadence long."""
    lake = Memory()
    kept = [i for i in range(5760) if not 720 <= i < 960]
    lake.put(FREQ, [{"_day": DAY, "measurementTime": at(15 * i), "frequency": 50.0} for i in kept], LATER)
    lake.answers = evidence(answer(FREQ, DAY, LATER, slots_of(DAY, 120, without=[7, 8])))
    later = DAY + timedelta(days=1)
    (result,) = run_checks(lake, [FREQ], {"bmrs_freq": [DAY, later]}, utc("2024-01-04 00:01"), ["gaps"])  # type: ignore[arg-type]
    assert result.missing == (DAY,)
    assert result.details["days under 98%, not usable for events"] == ["2024-01-03"]
    assert result.details["holes of more than 60 s"] == [
        {"from": "2024-01-03T02:59:45+00:00", "to": "2024-01-03T04:00:00+00:00", "seconds": 3615.0}
    ]
