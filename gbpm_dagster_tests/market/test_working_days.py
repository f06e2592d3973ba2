"""Working days and settlement runs against the worked example."""

from __future__ import annotations

from datetime import date

import pytest

from gbpm_dagster.market.working_days import RunOffsets, is_working_day, settlement_run_dates, working_day_add
from gbpm_dagster_tests.examples import example


def test_cal_05_settlement_runs_with_the_examples_own_holidays() -> None:
    given, expected = example("cal-05")
    closed = {date.fromisoformat(d) for d in given["bank_holidays"]}
    offsets = [RunOffsets(date.min, given["offsets_wd"])]
    found = settlement_run_dates(date.fromisoformat(given["date"]), closed, offsets)
    assert {run: d.isoformat() for run, d in found.items()} == expected


def test_cal_05_settlement_runs_with_our_own_calendar_and_offsets() -> None:
    given, expected = example("cal-05")
    found = settlement_run_dates(date.fromisoformat(given["date"]))
    assert {run: d.isoformat() for run, d in found.items()} == expected


def test_the_examples_bank_holidays_are_ours() -> None:
    given, _ = example("cal-05")
    listed = [date.fromisoformat(d) for d in given["bank_holidays"]]
    assert not any(is_working_day(d) for d in listed)


def test_scottish_and_irish_holidays_are_working_days() -> None:
    assert is_working_day(date(2025, 1, 2))
    assert is_working_day(date(2025, 3, 17))
    assert not is_working_day(date(2022, 9, 19))  # the state funeral


def test_the_day_itself_never_counts() -> None:
    assert working_day_add(date(2024, 1, 5), 1) == date(2024, 1, 8)  # Friday -> Monday
    assert working_day_add(date(2024, 1, 6), 1) == date(2024, 1, 8)
    assert working_day_add(date(2023, 12, 22), 1) == date(2023, 12, 27)  # over Christmas
    with pytest.raises(ValueError, match="n >= 1"):
        working_day_add(date(2024, 1, 5), 0)


def test_offsets_are_dated_and_a_published_calendar_overrides() -> None:
    offsets = [RunOffsets(date(2020, 1, 1), {"II": 5, "SF": 16}), RunOffsets(date(2024, 1, 1), {"II": 1, "SF": 2})]
    assert settlement_run_dates(date(2024, 1, 2), offsets=offsets)["II"] == date(2024, 1, 3)
    assert settlement_run_dates(date(2023, 11, 6), offsets=offsets)["II"] == date(2023, 11, 13)
    moved = settlement_run_dates(date(2024, 1, 2), offsets=offsets, published={"SF": date(2024, 1, 9)})
    assert moved == {"II": date(2024, 1, 3), "SF": date(2024, 1, 9)}
    with pytest.raises(LookupError, match="2019-12-31"):
        settlement_run_dates(date(2019, 12, 31), offsets=offsets)
