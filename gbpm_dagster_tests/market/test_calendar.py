"""The settlement calendar against the worked examples, and its round trips 2015-2035."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.market.calendar import (
    HALF_HOUR,
    LONDON,
    day_bounds,
    days,
    efa,
    efa_block_bounds,
    london_day,
    periods_in_day,
    sp_add,
    sp_bounds,
    sp_of,
    sp_range,
    triad_season,
)
from gbpm_dagster_tests.examples import example, instant

FIRST, LAST = date(2015, 1, 1), date(2035, 12, 31)
DAYS = st.dates(FIRST, LAST)
MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
PERIODS = DAYS.flatmap(lambda d: st.tuples(st.just(d), st.integers(1, periods_in_day(d))))


def test_cal_01_periods_in_day() -> None:
    given_, expected = example("cal-01")
    assert {d: periods_in_day(date.fromisoformat(d)) for d in given_["dates"]} == expected


def test_cal_02_period_starts() -> None:
    given_, expected = example("cal-02")
    starts = [sp_bounds(date.fromisoformat(d), sp)[0] for d, sp in given_["pairs"]]
    assert starts == [instant(e) for e in expected]


def test_cal_03_period_of_an_instant() -> None:
    given_, expected = example("cal-03")
    found = [sp_of(instant(i)) for i in given_["instants"]]
    assert found == [(date.fromisoformat(d), sp) for d, sp in expected]


def test_cal_04_efa() -> None:
    given_, expected = example("cal-04")
    found = [efa(instant(i)) for i in given_["instants"]]
    assert found == [(date.fromisoformat(d), block) for d, block in expected]


def test_cal_06_valid_periods() -> None:
    given_, expected = example("cal-06")

    def valid(day: str, period: int) -> bool:
        try:
            sp_bounds(date.fromisoformat(day), period)
        except ValueError as error:
            assert day in str(error)
            return False
        return True

    assert [valid(d, sp) for d, sp in given_["pairs"]] == expected


def test_clock_changes_2015_to_2035_are_the_last_sundays_of_march_and_october() -> None:
    def last_sunday(year: int, month: int) -> date:
        end = date(year, month, 31)
        return end - timedelta(days=(end.weekday() + 1) % 7)

    years = range(2015, 2036)
    short = {last_sunday(y, 3) for y in years}
    long = {last_sunday(y, 10) for y in years}
    counted = {d: periods_in_day(d) for d in days(FIRST, LAST)}
    assert {d for d, n in counted.items() if n == 46} == short
    assert {d for d, n in counted.items() if n == 50} == long
    assert set(counted.values()) == {46, 48, 50}


def test_days_join_without_gap_or_overlap_2015_to_2035() -> None:
    bounds = [day_bounds(d) for d in days(FIRST, LAST)]
    assert all(a[1] == b[0] for a, b in pairwise(bounds))


@given(PERIODS)
def test_period_round_trip(pair: tuple[date, int]) -> None:
    start, end = sp_bounds(*pair)
    assert sp_of(start) == pair
    assert sp_of(end - timedelta(microseconds=1)) == pair
    assert sp_of(end) == sp_add(*pair, 1)
    assert start.astimezone(LONDON).date() == pair[0]


@given(MOMENTS)
def test_an_instant_lies_in_its_period_and_day(moment: datetime) -> None:
    day, period = sp_of(moment)
    start, end = sp_bounds(day, period)
    assert start <= moment < end
    assert london_day(moment) == day
    assert day_bounds(day)[0] <= moment < day_bounds(day)[1]


@given(PERIODS, st.integers(-500, 500), st.integers(-500, 500))
def test_shifts_add_up_and_undo(pair: tuple[date, int], a: int, b: int) -> None:
    assert sp_add(*sp_add(*pair, a), b) == sp_add(*pair, a + b)
    assert sp_add(*sp_add(*pair, a), -a) == pair


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_range_holds_exactly_the_overlapping_periods(start: datetime, length: timedelta) -> None:
    end = start + length
    found = list(sp_range(start, end))
    if not length:
        assert found == []
        return
    assert found[0] == sp_of(start)
    assert found[-1] == sp_of(end - timedelta(microseconds=1))
    assert all(sp_add(*a, 1) == b for a, b in pairwise(found))


@given(DAYS)
def test_range_of_a_day_is_its_periods(day: date) -> None:
    assert list(sp_range(*day_bounds(day))) == [(day, n) for n in range(1, periods_in_day(day) + 1)]


@given(MOMENTS)
def test_an_instant_lies_in_its_efa_block(moment: datetime) -> None:
    start, end = efa_block_bounds(*efa(moment))
    assert start <= moment < end


@given(DAYS)
def test_efa_blocks_last_four_hours_but_block_one_on_change_days(day: date) -> None:
    hours = [(b - a) / timedelta(hours=1) for a, b in (efa_block_bounds(day, n) for n in range(1, 7))]
    assert hours == [{46: 3, 48: 4, 50: 5}[periods_in_day(day)], 4, 4, 4, 4, 4]
    assert efa_block_bounds(day, 6)[1] == efa_block_bounds(day + timedelta(days=1), 1)[0]


@pytest.mark.parametrize("block", [0, 7])
def test_efa_block_out_of_range(block: int) -> None:
    with pytest.raises(ValueError, match="blocks 1 to 6"):
        efa_block_bounds(date(2024, 1, 1), block)


@pytest.mark.parametrize("call", [sp_of, london_day, efa, lambda i: list(sp_range(i, i + HALF_HOUR))])
def test_naive_instants_are_refused(call: Callable[[datetime], object]) -> None:
    with pytest.raises(ValueError, match="time zone"):
        call(datetime(2024, 1, 1))  # noqa: DTZ001


def test_days() -> None:
    assert days(date(2024, 2, 28), date(2024, 3, 1)) == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
    assert days(date(2024, 1, 2), date(2024, 1, 1)) == []


@pytest.mark.parametrize(
    ("day", "season"),
    [
        ("2023-10-31", None),
        ("2023-11-01", 2023),
        ("2023-12-31", 2023),
        ("2024-01-01", 2023),
        ("2024-02-29", 2023),  # a leap day is in season
        ("2024-03-01", None),
        ("2024-11-01", 2024),
        ("2024-07-01", None),
    ],
)
def test_a_triad_season_runs_from_november_to_the_end_of_february(day: str, season: int | None) -> None:
    """The document: "a year indicating the Triad season starting on 1 November of the given year"."""
    assert triad_season(date.fromisoformat(day)) == season


@given(DAYS)
def test_a_season_has_each_of_its_days_and_no_others(day: date) -> None:
    season = triad_season(day)
    seasons = [y for y in range(2013, 2037) if date(y, 11, 1) <= day < date(y + 1, 3, 1)]
    assert ([season] if season is not None else []) == seasons
