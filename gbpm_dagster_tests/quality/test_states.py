"""Slot states, gaps and freshness bands against the worked examples."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Lag
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.market.calendar import periods_in_day
from gbpm_dagster.quality.states import WORST_FIRST, State, day_state, freshness_band, gaps, slot_state
from gbpm_dagster_tests.examples import example, instant


def lag_of(given_: dict[str, int]) -> Lag:
    return Lag.minutes(given_["lag_min"], given_["grace_min"], given_["missing_after_min"])


def test_comp_01_expected_rows_of_a_day() -> None:
    given_, expected = example("comp-01")
    tables = {
        "FREQ": "bmrs_freq",
        "MID_2_providers": "bmrs_mid",
        "DISEBSP": "bmrs_costs",
        "FUELINST_20_fuels": "bmrs_fuelinst",
        "FUELHH_20_fuels": "bmrs_fuelhh",
    }
    for text in given_["dates"]:
        day = date.fromisoformat(text)
        found = {
            name: DATASETS[table].completeness.expected_rows(day) * periods_in_day(day)
            for name, table in tables.items()
        }
        assert found == expected[text]


def test_comp_02_slot_state_over_time() -> None:
    given_, expected = example("comp-02")
    end = instant(given_["slot_end"])
    found = [
        slot_state(end, lag_of(given_), given_["rows"], given_["expected"], instant(now)) for now in given_["nows"]
    ]
    assert found == expected


def test_comp_03_missing_at_the_source() -> None:
    given_, expected = example("comp-03")
    end, now = instant(given_["slot_end"]), instant(given_["now"])
    found = [
        slot_state(end, lag_of(given_), given_["rows"], given_["expected"], now, [instant(t) for t in fetches])
        for fetches in given_["empty_successful_fetches"]
    ]
    assert found == expected


def test_comp_04_gaps() -> None:
    given_, expected = example("comp-04")
    periods = periods_in_day(date.fromisoformat(given_["date"]))
    assert [list(g) for g in gaps(given_["present"], periods)] == expected


def test_fs_01_freshness_bands() -> None:
    given_, expected = example("fs-01")
    hour = timedelta(minutes=60)
    assert [freshness_band(timedelta(minutes=a), hour / 2, hour) for a in given_["ages_min"]] == expected


ROWS = st.integers(0, 30)
MINUTES = st.integers(0, 5000)
LAGS = st.tuples(MINUTES, MINUTES, MINUTES).map(lambda m: Lag.minutes(m[0], m[1], m[1] + m[2]))
END = datetime(2025, 1, 15, 12, tzinfo=UTC)
NOWS = st.integers(-10_000, 20_000).map(lambda m: END + timedelta(minutes=m))


@given(LAGS, ROWS, st.integers(1, 30), NOWS)
def test_more_rows_never_make_a_slot_worse(lag: Lag, rows: int, expected: int, now: datetime) -> None:
    few, more = (WORST_FIRST.index(slot_state(END, lag, r, expected, now)) for r in (rows, rows + 1))
    assert more >= few


@given(LAGS, ROWS, st.integers(1, 30), NOWS)
def test_nothing_is_due_before_its_lag_and_full_slots_are_complete(
    lag: Lag, rows: int, expected: int, now: datetime
) -> None:
    state = slot_state(END, lag, rows, expected, now)
    assert (state is State.COMPLETE) == (rows >= expected)
    if rows < expected:
        assert (state is State.NOT_DUE) == (now < END + lag.lag)


@given(LAGS, st.integers(1, 29), NOWS, st.lists(NOWS, max_size=4))
def test_a_partial_slot_is_never_missing_at_the_source(
    lag: Lag, rows: int, now: datetime, answers: list[datetime]
) -> None:
    assert slot_state(END, lag, rows, 30, now, answers) is not State.MISSING_AT_SOURCE


def test_day_state_is_the_worst_slot_or_partial() -> None:
    s = State
    assert day_state([s.COMPLETE, s.COMPLETE]) is s.COMPLETE
    assert day_state([s.NOT_DUE, s.COMPLETE]) is s.NOT_DUE
    assert day_state([s.DUE, s.NOT_DUE, s.COMPLETE]) is s.DUE
    assert day_state([s.MISSING_AT_SOURCE, s.COMPLETE]) is s.MISSING_AT_SOURCE
    assert day_state([s.MISSING_AT_SOURCE, s.LATE]) is s.LATE
    assert day_state([s.LATE, s.MISSING]) is s.MISSING
    assert day_state([s.LATE, s.COMPLETE, s.DUE]) is s.PARTIAL
    assert day_state([s.MISSING, s.COMPLETE, s.MISSING_AT_SOURCE]) is s.PARTIAL


@given(st.sets(st.integers(1, 50)), st.sampled_from([46, 48, 50]))
def test_gaps_are_exactly_the_absent_periods(present: set[int], periods: int) -> None:
    found = gaps(present, periods)
    absent = [p for first, last, n in found for p in range(first, last + 1)]
    assert absent == [p for p in range(1, periods + 1) if p not in present]
    assert all(last - first + 1 == n for first, last, n in found)
    assert all(b[0] > a[1] + 1 for a, b in pairwise(found))


STAGE = {State.NOT_DUE: 0, State.DUE: 1, State.LATE: 2, State.MISSING: 3, State.MISSING_AT_SOURCE: 3}


@given(LAGS, st.integers(0, 29), NOWS, MINUTES, st.lists(NOWS, max_size=3))
def test_as_time_passes_a_slot_only_goes_on(
    lag: Lag, rows: int, now: datetime, minutes: int, answers: list[datetime]
) -> None:
    before, after = (slot_state(END, lag, rows, 30, t, answers) for t in (now, now + timedelta(minutes=minutes)))
    assert STAGE[after] >= STAGE[before]
    if before in (State.MISSING, State.MISSING_AT_SOURCE):
        assert after is before, "what proves emptiness is answers, not time"


SLOT_STATES = st.lists(st.sampled_from(WORST_FIRST), max_size=50)


@given(SLOT_STATES)
def test_a_day_is_in_the_state_of_its_worst_slot(slots: list[State]) -> None:
    """domain.md 2.3: missing > late > missing_at_source > due > not_due > complete."""
    order = ("missing", "late", "missing_at_source", "due", "not_due", "complete")
    assert tuple(WORST_FIRST) == order
    worst = min((order.index(s) for s in slots), default=5)
    partial = "complete" in slots and worst < 2
    assert day_state(slots) == ("partial" if partial else order[worst])


@given(SLOT_STATES, st.sampled_from(WORST_FIRST))
def test_one_more_complete_slot_never_makes_a_day_fail(slots: list[State], more: State) -> None:
    failing = {State.LATE, State.MISSING, State.PARTIAL}
    assert (day_state([*slots, State.COMPLETE]) in failing) == (day_state(slots) in failing)
    assert day_state([*slots, more]) in failing or more not in (State.LATE, State.MISSING)


def test_days_of_46_and_50_periods() -> None:
    """domain.md 2.4: on 46 the slots 47 and 48 do not exist; on 50 absent 49 and 50 are a gap."""
    assert gaps(range(1, 47), periods_in_day(date(2024, 3, 31))) == []
    assert gaps(range(1, 49), periods_in_day(date(2024, 10, 27))) == [(49, 50, 2)]
    assert gaps(range(1, 49), periods_in_day(date(2024, 1, 3))) == []
