"""The completeness ratio of domain.md 2.4: single slots by hand, days against the coverage of made evidence."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.market.calendar import day_bounds
from gbpm_dagster.quality.completeness import RATIO_SCHEMA, completeness_ratio, ratio_of, usable_for_events
from gbpm_dagster.quality.coverage import COVERAGE_SCHEMA, coverage
from gbpm_dagster.quality.states import State
from gbpm_dagster_tests.quality.helpers import answer, attempts, evidence, slots_of, utc

COSTS, MID, FREQ, NDFD, BOALF, UNITS = (
    DATASETS[t] for t in ("bmrs_costs", "bmrs_mid", "bmrs_freq", "bmrs_ndfd", "bmrs_boalf", "ref_bmunits")
)
DAY, SHORT, LONG = date(2024, 1, 3), date(2024, 3, 31), date(2024, 10, 27)
LATER = utc("2025-02-01 00:00")
SLOTS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6), st.sampled_from(list(State))), max_size=12)


def ratio(table: str, day: date, held: list[dict[str, Any]], now: Any = LATER) -> float | None:
    frame = completeness_ratio(coverage(DATASETS[table], [day], evidence(*held), attempts(), now))
    assert frame.schema == pl.Schema(RATIO_SCHEMA)
    assert frame.select("table", "day").rows() == [(table, day)]
    found: float | None = frame["ratio"].item()
    return found


def test_a_surplus_in_one_slot_does_not_make_up_for_another() -> None:
    """48 periods of 2 rows: one has 9, one has 1: 95 of 96."""
    slots = slots_of(DAY, 2)
    slots[3]["rows"], slots[4]["rows"] = 9, 1
    assert ratio("bmrs_mid", DAY, [answer(MID, DAY, LATER, slots)]) == pytest.approx(95 / 96)


@pytest.mark.parametrize(("day", "expected"), [(DAY, 5760), (SHORT, 5520), (LONG, 6000)])
def test_a_day_of_frequency_counts_its_own_samples(day: date, expected: int) -> None:
    """comp-01: 5,760 samples a day, 5,520 and 6,000 where the clocks change; two periods are lost."""
    held = [answer(FREQ, day, LATER, slots_of(day, 120, without=[7, 8]))]
    found = ratio("bmrs_freq", day, held)
    assert found == pytest.approx((expected - 240) / expected)
    assert not usable_for_events(found)


def test_a_day_with_98_of_a_hundred_samples_is_usable_for_events() -> None:
    assert usable_for_events(0.98) and usable_for_events(1.0)
    assert not usable_for_events(0.9799) and not usable_for_events(None)


def test_only_what_is_due_counts() -> None:
    """At noon 24 periods have ended; 22 are stored, of which the last two are not yet late (lag 60, grace 120)."""
    noon = day_bounds(DAY)[0] + timedelta(hours=12)
    held = [answer(COSTS, DAY, noon, slots_of(DAY, 1)[:20])]
    assert ratio("bmrs_costs", DAY, held, noon) == 1.0, "those after period 20 are due or not due"
    fewer = [answer(COSTS, DAY, noon, slots_of(DAY, 1, without=[5])[:19])]
    assert ratio("bmrs_costs", DAY, fewer, noon) == pytest.approx(19 / 20), "19 are there, and one of 1 to 18 is late"
    assert ratio("bmrs_costs", DAY, [], day_bounds(DAY)[0]) is None, "nothing is due as the day begins"
    assert ratio("bmrs_costs", DAY, [], LATER) == 0.0


def test_events_are_measured_by_their_windows() -> None:
    end = day_bounds(DAY)[1]
    due = end + BOALF.lag.lag
    assert ratio("bmrs_boalf", DAY, [answer(BOALF, DAY, due, windows_asked=24, windows_answered=18)]) == 0.75
    assert ratio("bmrs_boalf", DAY, [answer(BOALF, DAY, due, windows_asked=24, windows_answered=24)]) == 1.0
    early = answer(BOALF, DAY, due - timedelta(minutes=1), windows_asked=24, windows_answered=24)
    assert ratio("bmrs_boalf", DAY, [early]) == 0.0, "asked before the day was due"
    assert ratio("bmrs_boalf", DAY, []) == 0.0
    assert ratio("bmrs_boalf", DAY, [], end) is None


def test_a_day_of_publications_and_a_snapshot_are_there_or_not() -> None:
    end = day_bounds(DAY)[1]
    assert ratio("bmrs_ndfd", DAY, [answer(NDFD, DAY, end, rows=13)]) == 1.0
    assert ratio("bmrs_ndfd", DAY, [answer(NDFD, DAY, end, rows=0)]) == 0.0
    assert ratio("ref_bmunits", DAY, [answer(UNITS, DAY, end, rows=2960)]) == 1.0
    assert ratio("ref_bmunits", DAY, []) == 0.0


@given(SLOTS)
def test_the_ratio_lies_between_nothing_and_all(slots: list[tuple[int, int, State]]) -> None:
    found = ratio_of(slots)
    due = [s for s in slots if s[2] not in (State.DUE, State.NOT_DUE)]
    assert (found is None) == (not due)
    if found is not None:
        assert 0 <= found <= 1
        assert (found == 1) == all(rows >= expected for rows, expected, _ in due)


@given(SLOTS, st.integers(0, 11), st.integers(1, 5))
def test_more_rows_never_lower_it(slots: list[tuple[int, int, State]], which: int, more: int) -> None:
    before = ratio_of(slots)
    if before is not None:
        i = which % len(slots)
        rows, expected, state = slots[i]
        after = ratio_of([*slots[:i], (rows + more, expected, state), *slots[i + 1 :]])
        assert after is not None and after >= before


def test_of_excluded_days_nothing_is_due() -> None:
    frame = coverage(COSTS, [DAY], evidence(), attempts(), LATER).with_columns(state=pl.lit("excluded"))
    assert completeness_ratio(frame)["ratio"].to_list() == [None]


def test_the_columns_it_reads_are_there() -> None:
    assert {"due", "there"} <= set(COVERAGE_SCHEMA)
