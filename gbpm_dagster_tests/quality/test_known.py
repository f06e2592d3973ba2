"""Freshness of a home that is fed once a day: green all day where every schedule did its work, red where one did not.

Each table is played with the times of its own entry: values every so often, published after its lag, fetched at 02:00
London for yesterday, what came later when the check of 08:00 finds it late.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Dataset, Freshness, Grain
from gbpm_dagster.market.calendar import HALF_HOUR, LONDON, ONE_DAY, day_bounds, london_day
from gbpm_dagster.quality.checks import CheckResult, check_freshness
from gbpm_dagster.quality.freshness import is_aged_by_target
from gbpm_dagster.quality.known import FETCH_TIME, answered_within, known_until, misses_the_night
from gbpm_dagster_tests.quality.helpers import answer, evidence, utc

FREQ, COSTS, B1610 = (DATASETS[t] for t in ("bmrs_freq", "bmrs_costs", "bmrs_b1610"))
JUDGED = [d for d in DATASETS.values() if d.freshness.judged]
DAYS = [date(2024, 10, 26), date(2024, 10, 27), date(2024, 10, 28), date(2024, 7, 2)]
"""Among them the day of 25 hours."""
CLOCK = ("00:05", "01:55", "02:05", "03:55", "04:05", "07:55", "09:55", "10:05", "16:00", "23:55")


def london(day: date, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=LONDON).astimezone(UTC)


class Fed:
    """A warehouse as far as freshness reads it: a newest value, and days that were answered."""

    def __init__(self, dataset: Dataset, newest: datetime, days: list[tuple[date, datetime]]) -> None:
        self.dataset, self.newest, self.days = dataset, newest, days

    def evidence(self, tables: list[str]) -> pl.DataFrame:
        assert tables == [self.dataset.table]
        return evidence(*(answer(self.dataset, day, at, rows=1) for day, at in self.days))

    def sql(self, query: str) -> pl.DataFrame:
        value: dict[str, Any] = {"newest": [self.newest]}
        if "settlementDate" in self.dataset.freshness.column:
            value = {"newest": [london_day(self.newest)]}
            if self.dataset.has_period:
                value["period"] = [(self.newest - day_bounds(london_day(self.newest))[0]) // HALF_HOUR + 1]
        return pl.DataFrame(value)


def usual_interval(dataset: Dataset) -> timedelta:
    """domain.md 8.3: streamed tables many times an hour; the others' limits are 1.5 and 3 times their interval."""
    rule = dataset.freshness.rule
    named = {"stream": timedelta(minutes=5), "b1610": ONE_DAY, "remit": timedelta(hours=1)}
    return named.get(rule) or dataset.freshness.fail / 3


def fed_until(dataset: Dataset, last_day: date, fetched: datetime) -> Fed:
    """A home that holds everything up to the end of that day, as an answer at `fetched` had it."""
    end = day_bounds(last_day)[1]
    column = dataset.freshness.column
    if column in ("startTime", "settlementDate", "timeFrom"):
        newest = end - HALF_HOUR if column != "settlementDate" or dataset.has_period else day_bounds(last_day)[0]
    elif dataset.partition_field == "publishTime":
        newest = end - usual_interval(dataset) + timedelta(seconds=1)
    elif column in ("createdDateTime", "publishTime", "lastUpdated"):
        newest = end + dataset.lag.lag
    else:  # a measurement
        newest = end - min(usual_interval(dataset), ONE_DAY) + timedelta(seconds=1)
    if dataset.grain is Grain.SNAPSHOT:
        newest = fetched - usual_interval(dataset) + timedelta(seconds=1)
    return Fed(dataset, newest, [(last_day, fetched)])


def served(dataset: Dataset, now: datetime, missed: int = 0) -> Fed:
    """What a home holds at `now`; missed: so many of the last rounds brought nothing. A load takes FETCH_TIME."""
    today = london_day(now)
    hour = "08:00" if misses_the_night(dataset) else "02:00"
    day = today if london(today, hour) + FETCH_TIME <= now else today - ONE_DAY
    day -= missed * ONE_DAY
    asked = london(day, hour)
    last = day - ONE_DAY
    if dataset.grain is Grain.SNAPSHOT:
        last = day
    elif misses_the_night(dataset):
        while day_bounds(last)[1] + dataset.lag.lag + dataset.lag.grace > asked:
            last -= ONE_DAY
    return fed_until(dataset, last, asked)


def judged(dataset: Dataset, home: Fed, now: datetime, nightly: bool = True) -> CheckResult:
    return check_freshness(home, dataset, now, [london_day(now)], False, nightly)  # type: ignore[arg-type]


def moments() -> Iterator[datetime]:
    for day in DAYS:
        for clock in CLOCK:
            yield london(day, clock)


@pytest.mark.parametrize("dataset", JUDGED, ids=lambda d: d.table)
def test_a_home_whose_schedules_all_worked_is_fresh_at_any_hour(dataset: Dataset) -> None:
    found = [(now, judged(dataset, served(dataset, now), now)) for now in moments()]
    assert [f"{now:%m-%d %H:%M} {r.summary}" for now, r in found if not r.passed] == []


def most_missed(dataset: Dataset) -> int:
    """So many rounds in a row may bring nothing before the limits are reached, and one more."""
    return int(dataset.freshness.fail / ONE_DAY) + 1


@pytest.mark.parametrize("dataset", JUDGED, ids=lambda d: d.table)
def test_a_home_that_is_not_fed_any_more_turns_red(dataset: Dataset) -> None:
    """By the table's own limits: streams, half-hourly and hourly ones after the first night that brought nothing."""
    late = [judged(dataset, served(dataset, now, most_missed(dataset)), now) for now in moments()]
    assert {(r.passed, r.severity) for r in late} == {(False, "ERROR")}


def test_a_stream_that_is_fed_by_night_is_red_two_hours_after_a_night_that_brought_nothing() -> None:
    home = fed_until(FREQ, date(2024, 7, 1), london(date(2024, 7, 2), "02:10"))
    assert judged(FREQ, home, london(date(2024, 7, 3), "03:59")).passed
    red = judged(FREQ, home, london(date(2024, 7, 3), "04:00"))
    assert (red.passed, red.severity) == (False, "ERROR")
    assert red.details["as of"] == "2024-07-02T23:00:00Z"
    assert red.summary.endswith("old at 2024-07-02T23:00:00Z (limit 60 min)")


@pytest.mark.parametrize(
    ("table", "now", "until"),
    [
        ("bmrs_freq", "2024-07-03 12:00", "2024-07-02 23:00"),
        ("bmrs_freq", "2024-07-03 02:59", "2024-07-01 23:00"),  # 03:59 in London: the night may still be loading
        ("bmrs_freq", "2024-10-27 04:00", "2024-10-26 23:00"),  # the clocks have gone back: 02:00 was two hours ago
        ("bmrs_freq", "2024-10-27 03:59", "2024-10-25 23:00"),
        # late at 08:00 BST: what is due after 7 days and late after 9, so 23 June, whose rows came on 30 June
        ("bmrs_b1610", "2024-07-03 09:00", "2024-06-30 23:00"),
        ("bmrs_b1610", "2024-07-03 08:59", "2024-06-29 23:00"),
        ("meta_dataset_latest", "2024-07-03 12:00", "2024-07-03 01:00"),
    ],
)
def test_until_when_a_home_knows(table: str, now: str, until: str) -> None:
    assert known_until(DATASETS[table], utc(now)) == utc(until)


def test_with_a_stream_the_limits_are_those_of_the_table_now() -> None:
    newest = utc("2024-07-02 22:59:45")
    home = Fed(FREQ, newest, [(date(2024, 7, 2), newest)])
    for minutes, band in ((29, (True, "ERROR")), (30, (False, "WARN")), (60, (False, "ERROR"))):
        result = judged(FREQ, home, newest + timedelta(minutes=minutes), nightly=False)
        assert (result.passed, result.severity) == band


def test_remit_is_red_too_when_nobody_answered_for_three_days() -> None:
    """domain.md 8.3: 6 h/24 h on events plus freshness of the connection."""
    remit, now = DATASETS["bmrs_remit"], utc("2024-07-05 12:00")
    for hours, band in ((35, (True, "ERROR")), (36, (False, "WARN")), (72, (False, "ERROR"))):
        home = Fed(remit, utc("2024-07-04 22:30"), [(date(2024, 7, 4), now - timedelta(hours=hours))])
        result = judged(remit, home, now)
        assert (result.passed, result.severity) == band
        assert result.passed or result.summary.startswith("no answer since")


def test_class_e_without_a_steady_flow_is_aged_by_its_connection_only() -> None:
    """domain.md 8.3 names four; whatever has no column is judged by its last answer."""
    for table in ("bmrs_syswarn", "bmrs_dci", "bmrs_cdn"):
        assert (DATASETS[table].freshness.rule, DATASETS[table].freshness.column) == ("connection", "")


def test_limits_on_the_asset_are_those_of_an_answer() -> None:
    """27 hours lie between two nights at most; what is asked daily has had no answer for too long after 36 and 72."""
    hours = {
        d.table: tuple(limit / timedelta(hours=1) for limit in answered_within(d.freshness) or ())
        for d in (FREQ, COSTS, B1610, DATASETS["bmrs_windfor"], DATASETS["bmrs_syswarn"], DATASETS["bmrs_yafm"])
    }
    assert hours == {
        "bmrs_freq": (27.5, 28),
        "bmrs_costs": (27.75, 28.5),
        "bmrs_b1610": (36, 72),
        "bmrs_windfor": (33, 39),
        "bmrs_syswarn": (36, 72),
        "bmrs_yafm": (),
    }
    for dataset in DATASETS.values():
        limits = answered_within(dataset.freshness)
        assert (limits is not None) == dataset.freshness.judged
        assert limits is None or timedelta(hours=27) < limits[0] < limits[1] <= timedelta(hours=72)


def test_forecasts_kept_by_their_target_are_aged_by_it() -> None:
    assert is_aged_by_target(DATASETS["bmrs_dgws_series"])
    assert not is_aged_by_target(DATASETS["bmrs_dgws"])
    assert Freshness.minutes("x", 30, 60).judged
