"""The calendar of settlement runs: all days at once against the rule for one, and the user's file."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.market.calendar import day_bounds, days
from gbpm_dagster.market.working_days import RunOffsets, settlement_run_dates, working_day_add
from gbpm_dagster.quality.run_calendar import RUN_SCHEMA, load_published, run_calendar
from gbpm_dagster_tests.examples import example
from gbpm_dagster_tests.quality.helpers import utc

REFORM = (
    RunOffsets(date.min, {"II": 5, "SF": 16, "R1": 39, "R2": 84, "R3": 154, "RF": 292}),
    RunOffsets(date(2024, 1, 10), {"II": 3, "SF": 5, "R1": 20, "RF": 80}),
)


def dates(frame: pl.DataFrame, day: date) -> dict[str, date]:
    return dict(frame.filter(settlementDate=day).select("run", "run_date").iter_rows())


def test_cal_05_the_runs_of_a_day() -> None:
    asked, expected = example("cal-05")
    day = date.fromisoformat(asked["date"])
    found = run_calendar(day - timedelta(days=3), day + timedelta(days=3))
    assert {run: d.isoformat() for run, d in dates(found, day).items()} == expected
    assert dict(found.schema) == RUN_SCHEMA
    assert found.height == 7 * 6 and found.select("settlementDate", "run").is_unique().all()


def test_a_re_fetch_is_due_on_the_working_day_after_the_run() -> None:
    """cal-05: II of 10 April 2025 is on Thursday 17 April; Good Friday and Easter Monday are no working days."""
    day = date(2025, 4, 10)
    ii = run_calendar(day, day).row(0, named=True)
    assert (ii["run"], ii["starts_at"], ii["due_at"]) == ("II", utc("2025-04-16 23:00"), utc("2025-04-22 04:00"))
    assert run_calendar(day, day, due_hour=6)["due_at"][0] == utc("2025-04-22 05:00")
    # RF is on 10 June 2026 in summer time; a winter one has its midnight at 00:00Z.
    r3 = run_calendar(day, day).filter(run="R3").row(0, named=True)
    assert (r3["starts_at"], r3["due_at"]) == (utc("2025-11-19 00:00"), utc("2025-11-20 05:00"))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.dates(date(2015, 1, 1), date(2031, 12, 31)), st.booleans())
def test_all_days_at_once_are_what_the_rule_says_one_by_one(day: date, reform: bool) -> None:
    offsets = REFORM if reform else REFORM[:1]
    found = run_calendar(day, day + timedelta(days=4), offsets=offsets)
    for each in days(day, day + timedelta(days=4)):
        expected = settlement_run_dates(each, offsets=offsets)
        assert dates(found, each) == expected
        for row in found.filter(settlementDate=each).iter_rows(named=True):
            assert row["starts_at"] == day_bounds(row["run_date"])[0]
            after = working_day_add(row["run_date"], 1)
            midnight = day_bounds(after)[0]
            # 5 o'clock by the clock: an hour nearer to midnight, or further, where the clocks change that night
            # (Sundays only, never a working day).
            assert row["due_at"] == midnight + timedelta(hours=5)


def test_offsets_change_on_their_effective_date() -> None:
    found = run_calendar(date(2024, 1, 9), date(2024, 1, 10), offsets=REFORM)
    assert list(dates(found, date(2024, 1, 9))) == ["II", "SF", "R1", "R2", "R3", "RF"]
    assert dates(found, date(2024, 1, 10))["II"] == date(2024, 1, 15)
    assert list(dates(found, date(2024, 1, 10))) == ["II", "SF", "R1", "RF"]


def test_four_years_and_more_are_quick() -> None:
    run_calendar(date(2015, 1, 1), date(2028, 12, 31))  # the bank holidays are known from here on
    began = datetime.now(UTC)
    assert run_calendar(date(2015, 1, 1), date(2028, 12, 31)).height == 5114 * 6
    assert datetime.now(UTC) - began < timedelta(seconds=1)


def written(folder: Path, *lines: str) -> Path:
    file = folder / "calendar.csv"
    file.write_text("\n".join(("settlementDate,run,date", *lines)) + "\n", encoding="utf-8")
    return file


def test_a_published_calendar_overrides(tmp_path: Path) -> None:
    """Moved, added (DF) and taken away; other days are as before."""
    file = written(tmp_path, "2025-04-10,II,2025-04-22", "2025-04-10,DF,2027-08-10", "", "2025-04-10,R3,")
    day = date(2025, 4, 10)
    found = run_calendar(day, day + timedelta(days=1), load_published(file))
    _, expected = example("cal-05")
    expected = {run: date.fromisoformat(d) for run, d in expected.items()}
    del expected["R3"]
    assert dates(found, day) == {**expected, "II": date(2025, 4, 22), "DF": date(2027, 8, 10)}
    assert list(dates(found, day)) == ["II", "SF", "R1", "R2", "RF", "DF"]
    assert dates(found, day + timedelta(days=1)) == settlement_run_dates(day + timedelta(days=1))
    assert found.filter(settlementDate=day, run="II")["due_at"][0] == utc("2025-04-23 04:00")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2025-04-10,S F,2025-05-07", r"line 2: run is 'S F': allowed are II, SF, R1, R2, R3, RF, DF"),
        ("2025-04-31,SF,2025-05-07", r"line 2: settlementDate is '2025-04-31': give a day as yyyy-mm-dd"),
        ("2025-04-10,SF,07/05/2025", r"line 2: date is '07/05/2025': give a day as yyyy-mm-dd"),
        ("2025-04-10,SF,20250507", r"line 2: date is '20250507': give a day as yyyy-mm-dd"),
        ("2025-04-10,SF", r"line 2: 2 values, where settlementDate,run,date are three"),
        ("2025-04-10,SF,2025-04-17", r"line 2: SF of 2025-04-10 on 2025-04-17 is not after II \(2025-04-17\)"),
        ("2025-04-10,II,2025-05-09", r"line 2: SF of 2025-04-10 on 2025-05-07 is not after II \(2025-05-09\)"),
        ("2025-04-10,II,2025-04-10", r"line 2: II of 2025-04-10 on 2025-04-10 is not after the settlement date"),
        ("2025-04-10,SF,2025-05-08\n2025-04-10,SF,2025-05-09", r"line 3: SF of 2025-04-10 is there twice .*line 2"),
    ],
)
def test_a_bad_line_is_named_with_what_is_allowed(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_published(written(tmp_path, line))


def test_a_file_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        load_published(tmp_path / "nowhere.csv")
    odd = tmp_path / "odd.csv"
    odd.write_text("day,run,date\n")
    with pytest.raises(ValueError, match="line 1: the header must be settlementDate,run,date, not day,run,date"):
        load_published(odd)
    odd.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not UTF-8"):
        load_published(odd)
