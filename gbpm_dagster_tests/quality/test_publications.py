"""Tables kept by day of publication: cadence and horizon of forecasts, periods that publications cover.

Cadences are those of domain.md 2.2: LOLPDRM, INDDEM, MELNGC half-hourly; OCNMFD hourly; INDGEN, NDFD daily. The
horizon of NDFD is 13 days (datasets.csv: days 2 to 14), of LOLPDRM 46 to 54 periods.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.market.calendar import periods_in_day
from gbpm_dagster.quality.coverage import coverage
from gbpm_dagster.quality.gaps import check_gaps
from gbpm_dagster_tests.quality.helpers import answer, attempt, attempts, evidence, slots_of, utc

LATER = utc("2025-02-01 00:00")
FIRST = date(2024, 1, 8)
SHORT = date(2024, 3, 31)


def publications(day: date, periods: Collection[int], rows: int = 50) -> list[dict[str, Any]]:
    return [{"date": day, "period": n, "rows": rows} for n in periods]


def judged(
    table: str, days: list[list[dict[str, Any]]], first: date = FIRST, tries: pl.DataFrame | None = None
) -> Any:
    """Coverage of consecutive days that hold these publications."""
    dataset = DATASETS[table]
    wanted = [first + timedelta(days=i) for i in range(len(days))]
    held = evidence(*(answer(dataset, d, LATER, s, content_hash=str(d)) for d, s in zip(wanted, days, strict=True)))
    return coverage(dataset, wanted, held, attempts() if tries is None else tries, LATER)


def every(day: date, step: int = 1, rows: int = 50) -> list[dict[str, Any]]:
    return publications(day, range(1, periods_in_day(day) + 1, step), rows)


def week(step: int, rows: int = 50, first: date = FIRST) -> list[list[dict[str, Any]]]:
    return [every(first + timedelta(days=i), step, rows) for i in range(7)]


def test_a_half_hour_without_the_publication_that_others_have_is_a_gap() -> None:
    days = week(1)
    days[6] = publications(FIRST, [n for n in range(1, 49) if n not in (5, 6, 30)])
    frame = judged("bmrs_lolpdrm", days)
    assert frame["state"].to_list() == ["complete"] * 6 + ["partial"]
    assert "45 publications, where 48 a day are declared and usual, none in period 5-6, 30" in frame["reason"][6]


def test_two_equal_answers_a_day_apart_end_it() -> None:
    days = week(1)
    days[6] = publications(FIRST, range(2, 49))
    day = FIRST + timedelta(days=6)
    tries = attempts(
        *(attempt(DATASETS["bmrs_lolpdrm"], day, LATER - timedelta(hours=h), "written", content_hash=str(day))
          for h in (0, 24))
    )  # fmt: skip
    assert judged("bmrs_lolpdrm", days, tries=tries)["state"].to_list() == ["complete"] * 7


@pytest.mark.parametrize("day", [SHORT, date(2024, 10, 27)])
def test_a_clock_change_day_has_as_many_publications_as_half_hours(day: date) -> None:
    """46 and 50 are whole; 46 on a day of 50 are not."""
    first = day - timedelta(days=6)
    days = week(1, first=first)
    assert judged("bmrs_lolpdrm", days, first)["state"].to_list() == ["complete"] * 7
    if periods_in_day(day) == 50:
        days[6] = publications(day, range(1, 47))
        assert judged("bmrs_lolpdrm", days, first)["state"][6] == "partial"


def test_a_cadence_that_is_coarser_than_declared_is_a_remark() -> None:
    """The stand-in has 12 publications of INDDEM a day where Elexon declares 48."""
    frame = judged("bmrs_inddem", week(4))
    assert frame["state"].unique().to_list() == ["complete"]
    assert frame["remark"].unique().to_list() == ["fewer publications than the 48 a day that are declared"]
    result = check_gaps(DATASETS["bmrs_inddem"], frame)
    assert result.passed
    assert result.details["remarks"] == [
        {"remark": "fewer publications than the 48 a day that are declared", "days": 7, "first": "2024-01-08",
         "last": "2024-01-14"}
    ]  # fmt: skip


def test_a_finer_cadence_is_learned_and_only_warned_about() -> None:
    """Elexon declares INDGEN once a day; 48 are usual. A day with 40 is noted."""
    days = week(1)
    days[6] = publications(FIRST, range(1, 41), rows=60)
    frame = judged("bmrs_indgen", days)
    assert frame["state"].to_list() == ["complete"] * 7
    assert frame["remark"].to_list() == [None] * 6 + ["fewer publications than usual (48 a day; 1 declared)"]


def test_a_new_home_knows_no_usual_cadence() -> None:
    frame = judged("bmrs_lolpdrm", [every(FIRST, 2)])
    assert frame["state"].to_list() == ["complete"]
    assert frame["remark"].to_list() == ["fewer publications than the 48 a day that are declared"]


def test_an_hour_has_one_publication_in_either_half() -> None:
    """OCNMFD hourly: at the half hour or the full one."""
    days = [publications(FIRST, range(1 + i % 2, 49, 2)) for i in range(7)]
    assert judged("bmrs_ocnmfd", days)["state"].unique().to_list() == ["complete"]
    days[6] = publications(FIRST, range(1, 41, 2), rows=60)
    assert "20 publications, where 24 a day are declared and usual" in judged("bmrs_ocnmfd", days)["reason"][6]


def test_a_publication_that_does_not_reach_its_horizon_is_doubtful() -> None:
    """NDFD: 13 days ahead."""
    days = [publications(FIRST, [30], rows=13) for _ in range(3)]
    assert judged("bmrs_ndfd", days)["state"].unique().to_list() == ["complete"]
    days[1] = publications(FIRST, [30], rows=12)
    frame = judged("bmrs_ndfd", days)
    assert frame["state"].to_list() == ["complete", "partial", "complete"]
    assert "1 of 1 publications have fewer than 13 rows" in frame["reason"][1]
    short = [publications(FIRST, [30], rows=12) for _ in range(3)]
    assert judged("bmrs_ndfd", short)["state"].unique().to_list() == ["complete"], "the source's way: another horizon"


def test_days_whose_publications_were_not_counted_are_judged_as_before() -> None:
    dataset = DATASETS["bmrs_lolpdrm"]
    held = evidence(*(answer(dataset, FIRST + timedelta(days=i), LATER, rows=2400) for i in range(7)))
    frame = coverage(dataset, [FIRST], held, attempts(), LATER)
    assert (frame["state"][0], frame["remark"][0]) == ("complete", None)


# Actual generation, load: rows of settlement periods, on whatever day they are published


def aggregated(day: date, lag: int, rows: int = 3) -> list[dict[str, Any]]:
    """What the partition of a day of AGWS holds if each period is published so many periods later."""
    before = day - timedelta(days=1)
    old = slots_of(before, rows)[-lag:]
    return [*old, *slots_of(day, rows)[:-lag]]


def test_periods_published_on_the_next_day_count() -> None:
    days = [aggregated(FIRST + timedelta(days=i), 5) for i in range(7)]
    assert judged("bmrs_agws", days)["state"].unique().to_list() == ["complete"]


def test_a_period_without_all_its_members_on_any_day_is_a_gap() -> None:
    days = [aggregated(FIRST + timedelta(days=i), 5) for i in range(7)]
    lost = next(s for s in days[3] if (s["date"], s["period"]) == (FIRST + timedelta(days=3), 20))
    lost["rows"] = 2  # solar is not there
    frame = judged("bmrs_agws", days)
    assert [i for i, s in enumerate(frame["state"]) if s == "partial"] == [3]
    assert "period 20 without all its rows in any day of publication" in frame["reason"][3]


def test_of_a_period_in_the_evening_both_days_are_asked() -> None:
    days = [aggregated(FIRST + timedelta(days=i), 5) for i in range(7)]
    days[4] = [s for s in days[4] if (s["date"], s["period"]) != (FIRST + timedelta(days=3), 47)]
    frame = judged("bmrs_agws", days)
    assert [i for i, s in enumerate(frame["state"]) if s == "partial"] == [3, 4]


def test_where_most_days_lack_a_member_it_is_not_the_sources() -> None:
    days = [aggregated(FIRST + timedelta(days=i), 5, rows=2) for i in range(7)]
    assert judged("bmrs_agws", days)["state"].unique().to_list() == ["complete"]
