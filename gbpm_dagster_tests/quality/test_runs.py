"""What is due because of a settlement run: worked dates, and a brute-force reading of the rule."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.market.calendar import day_bounds, days
from gbpm_dagster.market.working_days import settlement_run_dates, working_day_add
from gbpm_dagster.quality.run_calendar import run_calendar
from gbpm_dagster.quality.runs import (
    COMPLETENESS_SCHEMA,
    DUE_SCHEMA,
    Refetch,
    bounded,
    due_runs,
    refetches,
    runs_in_words,
    vintage_completeness,
)
from gbpm_dagster.warehouse.protocol import EVIDENCE_SCHEMA
from gbpm_dagster_tests.quality.helpers import answer, attempt, attempts, evidence, utc

COSTS = DATASETS["bmrs_costs"]
DAY = date(2025, 4, 10)
"""cal-05: II 17 April, SF 7 May, R1 10 June, R2 12 August, R3 19 November 2025, RF 10 June 2026."""
CALENDAR = run_calendar(date(2025, 1, 1), date(2025, 12, 31))


def due(now: str, fetched: str | None, day: date = DAY, **more: set[date]) -> list[str]:
    """The run for which the day is to be fetched again, if it is."""
    held = evidence(answer(COSTS, day, utc(fetched))) if fetched else evidence()
    found = due_runs(
        {"bmrs_costs": [DAY]}, held, CALENDAR, utc(now), more.get("in_flight") and {"bmrs_costs": more["in_flight"]}
    )
    assert dict(found.schema) == DUE_SCHEMA
    assert found["day"].to_list() == [DAY] * found.height
    return found["run"].to_list()


@pytest.mark.parametrize(
    ("now", "fetched", "runs"),
    [
        ("2025-04-22 03:59:59", "2025-04-11 01:00", []),  # II: Thursday; then Easter; due on Tuesday at 5
        ("2025-04-22 04:00:00", "2025-04-11 01:00", ["II"]),
        ("2025-04-22 09:00:00", "2025-04-22 03:59", ["II"]),  # answered before that instant: perhaps not yet II
        ("2025-04-22 09:00:00", "2025-04-22 04:00", []),  # answered since: once a run
        ("2025-05-08 03:00:00", "2025-04-22 04:01", []),
        ("2025-05-08 04:00:00", "2025-04-22 04:01", ["SF"]),
        ("2025-06-11 04:00:00", "2025-04-11 01:00", ["R1"]),  # II and SF can no longer be had
        ("2026-06-11 04:00:00", "2025-11-20 05:00", ["RF"]),
        ("2030-01-01 00:00:00", "2026-06-11 04:00", []),  # final
        ("2025-05-08 04:00:00", None, []),  # never fetched: the gap check's business
        ("2025-05-08 04:00:00", "2026-01-01 00:00", []),  # a clock that is set back
    ],
)  # fmt: skip
def test_cal_05_a_day_is_due_from_the_working_day_after_each_run(
    now: str, fetched: str | None, runs: list[str]
) -> None:
    assert due(now, fetched) == runs


def test_days_in_flight_and_days_not_wanted_are_left_alone() -> None:
    now, fetched = "2025-05-08 04:00", "2025-04-22 05:00"
    assert due(now, fetched, in_flight={DAY}) == []
    assert due(now, fetched, in_flight={DAY + timedelta(days=1)}) == ["SF"]
    assert due(now, fetched, day=DAY + timedelta(days=1)) == []


def test_a_naive_now_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        due_runs({}, evidence(), CALENDAR, datetime(2025, 1, 1))  # noqa: DTZ001 - what is refused


# Properties: a reading of domain.md 1.4 day by day, with the rule for one day.

FIRST, LAST = date(2025, 3, 20), date(2025, 4, 25)
TABLES = ("bmrs_costs", "bmrs_other")
HOURS = st.integers(0, 24 * 700).map(lambda h: datetime(2025, 3, 20, tzinfo=UTC) + timedelta(hours=h))
ANSWERS = st.dictionaries(st.tuples(st.sampled_from(TABLES), st.dates(FIRST, LAST)), HOURS, max_size=12)


def instants(day: date) -> dict[str, datetime]:
    """When each run of a day is due: 05:00 London of the working day after its date."""
    return {
        run: day_bounds(working_day_add(made, 1))[0] + timedelta(hours=5)
        for run, made in settlement_run_dates(day).items()
    }


def held_of(answers: Mapping[tuple[str, date], datetime]) -> pl.DataFrame:
    rows = [
        {**dict.fromkeys(EVIDENCE_SCHEMA), "table": t, "day": d, "fetched_at": at} for (t, d), at in answers.items()
    ]
    return pl.DataFrame(rows, schema=EVIDENCE_SCHEMA)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(ANSWERS, HOURS, st.sets(st.dates(FIRST, LAST), max_size=3))
def test_it_is_the_rule_read_day_by_day(
    answers: dict[tuple[str, date], datetime], now: datetime, flying: set[date]
) -> None:
    wanted = {t: days(FIRST, LAST) for t in TABLES}
    expected = set()
    for (table, day), fetched in answers.items():
        if table == "bmrs_costs" and day in flying:
            continue
        come = {run: at for run, at in instants(day).items() if at <= now}
        if come and fetched < max(come.values()):
            run = max(come, key=lambda r: come[r])
            expected.add((table, day, run, come[run], fetched))
    found = due_runs(wanted, held_of(answers), CALENDAR, now, {"bmrs_costs": flying})
    assert set(found.iter_rows()) == expected
    assert found["day"].to_list() == sorted(found["day"].to_list(), reverse=True)
    # Once a run: fetched now, nothing is due until another run comes.
    again = due_runs(wanted, held_of(dict.fromkeys(answers, now)), CALENDAR, now)
    assert again.is_empty()


TRIES = st.lists(
    st.tuples(st.dates(FIRST, LAST), HOURS, st.sampled_from(["written", "unchanged", "empty", "failed", "held"])),
    max_size=12,
)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(TRIES, HOURS)
def test_runs_held_of_runs_due_is_the_rule_read_day_by_day(
    tries: list[tuple[date, datetime, str]], now: datetime
) -> None:
    log = attempts(*(attempt(COSTS, day, at, what) for day, at, what in tries))
    found = vintage_completeness({"bmrs_costs": days(FIRST, LAST)}, log, CALENDAR, now)
    answered: dict[date, list[datetime]] = {}
    for day, at, what in tries:
        if what not in ("failed", "held"):
            answered.setdefault(day, []).append(at)
    expected, not_held = {}, set()
    for day, times in answered.items():
        come = sorted((at, run) for run, at in instants(day).items() if at <= now)
        held = {max((due, run) for due, run in come if due <= t)[1] for t in times if come and t >= come[0][0]}
        expected[day] = (len(come), len(held), len(held) / len(come) if come else None)
        not_held |= {day} if come and come[-1][1] not in held else set()
    assert {d: (a, b, c) for _, d, a, b, c in found.iter_rows()} == expected
    # A day is due exactly when its latest run is among those not held.
    last = held_of({("bmrs_costs", day): max(times) for day, times in answered.items()})
    assert set(due_runs({"bmrs_costs": days(FIRST, LAST)}, last, CALENDAR, now)["day"]) == not_held


def test_the_gap_check_says_how_many_runs_are_held() -> None:
    """Three days: all of two runs, one of two, and none due yet: 3 of 4 runs, one day with every run."""
    mid = DATASETS["bmrs_mid"]
    shares = pl.DataFrame(
        [("bmrs_costs", DAY, 2, 2, 1.0), ("bmrs_costs", DAY + timedelta(days=1), 2, 1, 0.5),
         ("bmrs_costs", DAY + timedelta(days=2), 0, 0, None), ("bmrs_boav", DAY, 5, 1, 0.2)],
        schema=COMPLETENESS_SCHEMA, orient="row",
    )  # fmt: skip
    assert runs_in_words(shares, COSTS) == {
        "settlement runs": {"runs due": 4, "runs held": 3, "vintage_completeness": 0.75, "days with every run": 1}
    }
    assert runs_in_words(shares, mid) == runs_in_words(None, COSTS) == runs_in_words(shares.clear(), COSTS) == {}


def test_ten_tables_of_four_years_are_judged_in_well_under_a_second() -> None:
    every = days(date(2022, 1, 1), date(2025, 12, 31))
    calendar = run_calendar(date(2015, 1, 1), date(2027, 12, 31))
    tables = [f"t{n}" for n in range(10)]
    at = pl.lit(utc("2024-01-01 00:00"), pl.Datetime("us", "UTC"))
    grid = pl.DataFrame({"table": tables}).join(pl.DataFrame({"day": every}), how="cross")
    held = grid.with_columns(fetched_at=at)
    log = grid.with_columns(at=at, outcome=pl.lit("written"))
    wanted = dict.fromkeys(tables, every)
    began = time.perf_counter()
    found = due_runs(wanted, held, calendar, utc("2025-12-31 12:00"))
    shares = vintage_completeness(wanted, log, calendar, utc("2025-12-31 12:00"))
    assert time.perf_counter() - began < 0.8
    assert shares.height == len(every) * 10
    # Days that were final before the answer are left; so are the last ones, which have had no run yet.
    first = next(d for d in every if instants(d)["RF"] > utc("2024-01-01 00:00"))
    last = next(d for d in reversed(every) if instants(d)["II"] <= utc("2025-12-31 12:00"))
    assert set(found["day"]) == set(days(first, last)) and found.height == 10 * len(days(first, last))


# Asking


def test_the_newest_days_come_first_within_the_bound() -> None:
    answers = {("bmrs_costs", d): utc("2025-04-11 00:00") for d in days(date(2025, 4, 1), date(2025, 4, 10))}
    found = due_runs({"bmrs_costs": days(FIRST, LAST)}, held_of(answers), CALENDAR, utc("2025-05-08 04:00"))
    assert set(found["run"]) == {"SF"} and found.height == 10
    assert bounded(found, 3)["day"].to_list() == days(date(2025, 4, 8), date(2025, 4, 10))[::-1]


def test_near_days_are_joined_through_days_that_may_be_asked_for() -> None:
    first = date(2025, 4, 1)
    at = [first + timedelta(days=n) for n in range(12)]
    frame = pl.DataFrame(
        [("t", at[n], "SF", utc("2025-05-08 04:00"), utc("2025-04-12 00:00")) for n in (11, 7, 2, 0)],
        schema=DUE_SCHEMA,
        orient="row",
    )
    assert refetches(frame, {"t": set(at)}) == [
        Refetch("t", "SF", (at[0], at[2], at[7], at[11]), (at[0], at[1], at[2], at[7], at[8], at[9], at[10], at[11]))
    ]
    (apart,) = refetches(frame, {"t": set(at) - {at[1]}}, {"t": {at[9]}})
    assert apart.days == apart.due == (at[0], at[2], at[7], at[11])


def test_each_run_and_table_is_asked_for_by_itself() -> None:
    answers = {(t, d): utc("2025-04-11 00:00") for t in TABLES for d in (date(2025, 3, 20), date(2025, 4, 10))}
    found = due_runs({t: days(FIRST, LAST) for t in TABLES}, held_of(answers), CALENDAR, utc("2025-05-27 04:00"))
    assert [(r.table, r.run, r.due) for r in refetches(found, {})] == [
        ("bmrs_costs", "SF", (date(2025, 4, 10),)),
        ("bmrs_other", "SF", (date(2025, 4, 10),)),
        ("bmrs_costs", "R1", (date(2025, 3, 20),)),
        ("bmrs_other", "R1", (date(2025, 3, 20),)),
    ]
