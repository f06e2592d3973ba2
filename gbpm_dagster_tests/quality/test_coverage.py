"""Coverage from evidence: examples, and equality with a naive reading slot by slot."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Dataset, Member
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.market.calendar import day_bounds, days, periods_in_day, sp_add, sp_bounds
from gbpm_dagster.quality.completeness import completeness_ratio, ratio_of
from gbpm_dagster.quality.coverage import ANSWERED, COVERAGE_SCHEMA, coverage
from gbpm_dagster.quality.expected import by_publication
from gbpm_dagster.quality.states import State, day_state, slot_state
from gbpm_dagster_tests.quality.helpers import answer, attempt, attempts, evidence, slots_of, utc

COSTS, MID, FUELINST, INDO, BOALF, UNITS = (
    DATASETS[t] for t in ("bmrs_costs", "bmrs_mid", "bmrs_fuelinst", "bmrs_indo", "bmrs_boalf", "ref_bmunits")
)
DAY = date(2024, 1, 3)
LATER = utc("2024-02-01 00:00")
SHORT, LONG = date(2024, 3, 31), date(2024, 10, 27)


def one(dataset: Dataset, day: date, held: pl.DataFrame, tries: pl.DataFrame, now: datetime) -> dict[str, Any]:
    frame = coverage(dataset, [day], held, tries, now)
    assert frame.schema == pl.Schema(COVERAGE_SCHEMA)
    return frame.row(0, named=True)


def published(day: date) -> list[dict[str, Any]]:
    """What the partition of that day of publication holds of INDO: the periods that ended in it."""
    last = day - timedelta(days=1)
    own = slots_of(day, 1)[:-1]
    return [{"date": last, "period": periods_in_day(last), "rows": 1}, *own]


@pytest.mark.parametrize("day", [DAY, SHORT, LONG])
@pytest.mark.parametrize("dataset", [COSTS, MID, FUELINST, DATASETS["bmrs_freq"]], ids=lambda d: d.table)
def test_a_full_day_is_complete(dataset: Dataset, day: date) -> None:
    held = evidence(answer(dataset, day, LATER, slots_of(day, dataset.completeness.expected_rows(day))))
    row = one(dataset, day, held, attempts(), LATER)
    n = periods_in_day(day)
    assert (row["state"], row["expected_slots"], row["complete_slots"]) == ("complete", n, n)
    assert row["rows"] == dataset.completeness.expected_rows(day) * n
    assert row["missing_slots"] == []
    assert row["reason"] == f"{n} of {n} periods"
    assert row["last_attempt"] == LATER


def test_forty_eight_periods_do_not_make_a_day_of_fifty_complete() -> None:
    held = evidence(answer(COSTS, LONG, LATER, slots_of(LONG, 1, without=[49, 50])))
    row = one(COSTS, LONG, held, attempts(), LATER + timedelta(days=365))
    assert row["state"] == "partial"
    assert row["missing_slots"] == ["2024-10-27/49", "2024-10-27/50"]
    assert row["reason"] == "48 of 50 periods; missing 49-50"


def test_excess_never_compensates() -> None:
    slots = slots_of(DAY, 2)
    slots[10]["rows"], slots[11]["rows"] = 9, 1
    row = one(MID, DAY, evidence(answer(MID, DAY, LATER, slots)), attempts(), LATER)
    assert (row["state"], row["complete_slots"]) == ("partial", 47)
    assert row["reason"] == "47 of 48 periods; missing 12 (1 of 2 rows)"


def test_a_day_never_asked_is_missing_once_its_slots_are() -> None:
    start = day_bounds(DAY)[0]
    lag = COSTS.lag
    first = start + timedelta(minutes=30) + lag.lag
    moments = {
        first - timedelta(seconds=1): ("not_due", "not due yet"),
        first: ("due", "never asked"),
        first + lag.grace: ("late", "never asked"),
        first + lag.missing: ("missing", "never asked"),
    }
    for now, expected in moments.items():
        row = one(COSTS, DAY, evidence(), attempts(), now)
        assert (row["state"], row["reason"]) == expected
        assert (row["rows"], row["last_attempt"]) == (0, None)


def test_today_in_progress() -> None:
    now = utc("2024-01-03 12:00")
    fetched = slots_of(DAY, 6 * len(FUELINST.completeness.members_on(DAY)))[:24]
    row = one(FUELINST, DAY, evidence(answer(FUELINST, DAY, now, fetched)), attempts(), now)
    assert (row["state"], row["complete_slots"]) == ("not_due", 24)
    assert row["reason"] == "24 of 48 periods; the others are not late yet"
    fewer = evidence(answer(FUELINST, DAY, now, fetched[:22]))
    row = one(FUELINST, DAY, fewer, attempts(), now)
    assert (row["state"], row["missing_slots"]) == ("partial", ["2024-01-03/23"])  # 24 is due, not late


def test_missing_slots_are_limited_to_sixty() -> None:
    assert len(one(COSTS, DAY, evidence(), attempts(), LATER)["missing_slots"]) == 48
    assert all(len(m) <= 60 for m in coverage(MID, days(DAY, LONG), evidence(), attempts(), LATER)["missing_slots"])


def test_events_are_complete_when_answered_once_due_even_without_rows() -> None:
    end = day_bounds(DAY)[1]
    lag = BOALF.lag
    row = one(BOALF, DAY, evidence(answer(BOALF, DAY, end + lag.lag, rows=0)), attempts(), LATER)
    assert (row["state"], row["reason"], row["expected_slots"]) == ("complete", "answered, empty", 1)
    early = evidence(answer(BOALF, DAY, end + lag.lag - timedelta(seconds=1), rows=500))
    for now, state in {
        end: "not_due",
        end + lag.lag: "due",
        end + lag.lag + lag.grace: "late",
        end + lag.lag + lag.missing: "missing",
    }.items():
        row = one(BOALF, DAY, early, attempts(), now)
        assert row["state"] == state
        assert row["rows"] == 500
        assert "before the day was due" in row["reason"]


def test_events_answered_in_part_are_not_complete() -> None:
    held = evidence(answer(BOALF, DAY, LATER, rows=5, windows_asked=24, windows_answered=23))
    assert one(BOALF, DAY, held, attempts(), LATER)["state"] == "missing"


@pytest.mark.parametrize("day", [DAY, SHORT, LONG])
@pytest.mark.parametrize("table", ["bmrs_ndfd", "bmrs_temp", "bmrs_agpt", "bmrs_indgen"])
def test_a_day_of_publications_is_complete_with_one_row(table: str, day: date) -> None:
    dataset = DATASETS[table]
    ended = day_bounds(day)[1]
    row = one(dataset, day, evidence(answer(dataset, day, ended, rows=1)), attempts(), ended + timedelta(days=400))
    assert (row["state"], row["expected_slots"], row["complete_slots"], row["rows"]) == ("complete", 1, 1, 1)
    assert (row["missing_slots"], row["reason"]) == ([], "answered, 1 rows")


@pytest.mark.parametrize("day", [DAY, SHORT, LONG])
def test_a_day_without_a_publication_goes_from_not_due_to_missing(day: date) -> None:
    """domain.md 2.3: due at the end of the slot and the lag; late after the grace; missing after that."""
    dataset = DATASETS["bmrs_indod"]
    end, lag = day_bounds(day)[1], dataset.lag
    second = timedelta(seconds=1)
    moments = [
        (end + lag.lag - second, "not_due"),
        (end + lag.lag, "due"),
        (end + lag.lag + lag.grace - second, "due"),
        (end + lag.lag + lag.grace, "late"),
        (end + lag.lag + lag.missing - second, "late"),
        (end + lag.lag + lag.missing, "missing"),
    ]
    held = evidence(answer(dataset, day, end, rows=0))
    for now, state in moments:
        for known, said in (
            (evidence(), "not due yet" if state == "not_due" else "never asked"),
            (held, "answered, empty"),
        ):
            row = one(dataset, day, known, attempts(), now)
            assert (row["state"], row["reason"], row["complete_slots"]) == (state, said, 0), now
            assert row["missing_slots"] == ([day.isoformat()] if state in ("late", "missing") else []), (
                "the date alone"
            )


def test_a_day_of_publications_that_stays_empty_is_missing_at_the_source() -> None:
    dataset = DATASETS["bmrs_ndfd"]
    gone = day_bounds(DAY)[1] + dataset.lag.lag + dataset.lag.missing
    held = [answer(dataset, DAY, gone, rows=0), answer(dataset, DAY + timedelta(days=1), gone, rows=5)]
    hours = [timedelta(), timedelta(hours=24)]
    tries = attempts(*(attempt(dataset, DAY, gone + h, "empty") for h in hours))
    row = one(dataset, DAY, evidence(*held), tries, gone + timedelta(days=2))
    assert (row["state"], row["missing_slots"]) == ("missing_at_source", ["2024-01-03"])
    assert row["reason"].startswith("the source has nothing: answered, empty, twice at least 24 hours apart")
    alone = one(dataset, DAY, evidence(held[0]), tries, gone + timedelta(days=2))
    assert alone["state"] == "missing", "no neighbour answers: the source may be down"
    early = attempts(*(attempt(dataset, DAY, gone + h, "empty") for h in (timedelta(), timedelta(hours=23))))
    assert one(dataset, DAY, evidence(*held), early, gone + timedelta(days=2))["state"] == "missing"


def test_snapshots() -> None:
    taken = utc("2024-01-03 02:00")
    held = evidence(answer(UNITS, DAY, taken, rows=3000))
    assert one(UNITS, DAY, held, attempts(), LATER)["state"] == "complete"
    assert one(UNITS, DAY - timedelta(days=3), held, attempts(), LATER)["reason"] == "a later snapshot is there"
    tomorrow = DAY + timedelta(days=1)
    assert one(UNITS, tomorrow, held, attempts(), utc("2024-01-04 01:59"))["state"] == "due"
    assert one(UNITS, tomorrow, held, attempts(), utc("2024-01-04 02:00"))["state"] == "late"
    assert one(UNITS, DAY, evidence(), attempts(), utc("2024-01-03 00:00"))["state"] == "missing"
    empty = evidence(answer(UNITS, DAY, taken, rows=0))
    row = one(UNITS, DAY, empty, attempts(), taken)
    assert (row["state"], row["reason"]) == ("missing", "answered, empty")


def test_publication_days_hold_the_last_period_of_the_day_before() -> None:
    row = one(INDO, DAY, evidence(answer(INDO, DAY, LATER, published(DAY))), attempts(), LATER)
    assert (row["state"], row["expected_slots"]) == ("complete", 48)
    row = one(INDO, DAY, evidence(answer(INDO, DAY, LATER, slots_of(DAY, 1)[:-1])), attempts(), LATER)
    assert (row["state"], row["reason"]) == ("partial", "47 of 48 periods; missing 2024-01-02/48")


def test_a_row_published_late_counts_for_its_period() -> None:
    next_day = DAY + timedelta(days=1)
    on_time = [s for s in published(DAY) if s["period"] != 20]
    late = [*published(next_day), {"date": DAY, "period": 20, "rows": 1}]
    held = evidence(answer(INDO, DAY, LATER, on_time), answer(INDO, next_day, LATER, late))
    assert coverage(INDO, [DAY, next_day], held, attempts(), LATER)["state"].to_list() == ["complete"] * 2
    # ... but the next day's answer alone does not make a day that was never asked
    alone = evidence(answer(INDO, next_day, LATER, late))
    assert coverage(INDO, [DAY, next_day], alone, attempts(), LATER)["state"].to_list() == ["missing", "complete"]


def test_a_row_published_again_does_not_stand_in_for_an_absent_one() -> None:
    members = (Member("A"), Member("B"))
    pair = replace(INDO, completeness=replace(INDO.completeness, members=members))
    next_day = DAY + timedelta(days=1)
    first = [{**s, "rows": 1 if s["period"] == 20 else 2} for s in published(DAY)]
    second = [*({**s, "rows": 2} for s in published(next_day)), {"date": DAY, "period": 20, "rows": 1}]
    held = evidence(answer(pair, DAY, LATER, first), answer(pair, next_day, LATER, second))
    assert coverage(pair, [DAY, next_day], held, attempts(), LATER)["state"].to_list() == ["partial", "complete"]


def test_an_empty_day_is_missing_at_the_source_after_two_answers_and_a_control() -> None:
    gone = day_bounds(DAY)[1] + COSTS.lag.lag + COSTS.lag.missing
    later = gone + timedelta(hours=24)
    empty = answer(COSTS, DAY, later, rows=0)
    neighbour = answer(COSTS, DAY + timedelta(days=7), later, slots_of(DAY + timedelta(days=7), 1))
    far = answer(COSTS, DAY + timedelta(days=8), later, slots_of(DAY + timedelta(days=8), 1))
    twice = attempts(attempt(COSTS, DAY, gone, "empty"), attempt(COSTS, DAY, later, "empty"))
    held = evidence(empty, neighbour)
    assert one(COSTS, DAY, held, twice, LATER)["state"] == "missing_at_source"
    assert one(COSTS, DAY, evidence(empty, far), twice, LATER)["state"] == "missing"
    once = attempts(attempt(COSTS, DAY, gone, "empty"), attempt(COSTS, DAY, later, "failed"))
    assert one(COSTS, DAY, held, once, LATER)["state"] == "missing"
    held_back = attempts(attempt(COSTS, DAY, gone, "empty"), attempt(COSTS, DAY, later, "held"))
    assert one(COSTS, DAY, held, held_back, LATER)["state"] == "missing"
    close = attempts(attempt(COSTS, DAY, gone, "empty"), attempt(COSTS, DAY, later - timedelta(seconds=1), "empty"))
    assert one(COSTS, DAY, held, close, LATER)["state"] == "missing"
    early = attempts(attempt(COSTS, DAY, gone - timedelta(seconds=1), "empty"), attempt(COSTS, DAY, later, "empty"))
    assert one(COSTS, DAY, held, early, LATER)["state"] == "missing"


def test_one_period_the_source_does_not_have() -> None:
    gone = day_bounds(DAY)[1] + COSTS.lag.lag + COSTS.lag.missing
    later = gone + timedelta(hours=24)
    held = evidence(answer(COSTS, DAY, later, slots_of(DAY, 1, without=[12])))
    tries = attempts(attempt(COSTS, DAY, gone, "written"), attempt(COSTS, DAY, later, "unchanged"))
    row = one(COSTS, DAY, held, tries, LATER)
    assert row["state"] == "missing_at_source"
    assert row["reason"] == "47 of 48 periods; missing 12, which the source does not have"
    partly = slots_of(DAY, 2)
    partly[11]["rows"] = 1
    held = evidence(answer(MID, DAY, later, partly))
    tries = attempts(attempt(MID, DAY, gone, "written"), attempt(MID, DAY, later, "unchanged"))
    assert one(MID, DAY, held, tries, LATER)["state"] == "partial"  # a partial slot never is


def test_reasons_name_the_last_trouble() -> None:
    failed = attempts(
        attempt(COSTS, DAY, utc("2024-01-05 00:00"), "failed", error_class="transient", message="503\n six times")
    )
    row = one(COSTS, DAY, evidence(), failed, LATER)
    assert row["reason"] == "last try failed (transient): 503 six times"
    assert row["last_attempt"] == utc("2024-01-05 00:00")
    stored = evidence(answer(COSTS, DAY, utc("2024-01-04 12:00"), slots_of(DAY, 1), quarantined=2))
    smaller = attempts(attempt(COSTS, DAY, utc("2024-01-05 00:00"), "held", distinct_keys=40))
    row = one(COSTS, DAY, stored, smaller, LATER)
    assert row["state"] == "complete"
    assert row["reason"] == "48 of 48 periods; held by the shrink guard: 40 keys against 48 stored"
    before = attempts(attempt(COSTS, DAY, utc("2024-01-04 00:00"), "failed", message="old"))
    assert one(COSTS, DAY, stored, before, LATER)["reason"] == "48 of 48 periods"
    empty = evidence(answer(COSTS, DAY, LATER, rows=0, quarantined=3))
    assert one(COSTS, DAY, empty, attempts(), LATER)["reason"] == "answered, empty; 3 rows in quarantine"


def test_other_tables_do_not_count_and_days_come_sorted_once() -> None:
    held = evidence(answer(MID, DAY, LATER, slots_of(DAY, 2)))
    frame = coverage(COSTS, [LONG, DAY, DAY], held, attempts(), LATER)
    assert frame["day"].to_list() == [DAY, LONG]
    assert frame["rows"].to_list() == [0, 0]
    assert coverage(COSTS, [], held, attempts(), LATER).is_empty()
    with pytest.raises(ValueError, match="aware"):
        coverage(COSTS, [DAY], held, attempts(), LATER.replace(tzinfo=None))


# Doubts: answered, and yet perhaps not all there


def test_rows_in_quarantine_make_a_day_of_events_partial_until_two_answers_a_day_apart_agree() -> None:
    held = evidence(answer(BOALF, DAY, LATER, rows=90, quarantined=2, content_hash="x"))
    first = attempt(BOALF, DAY, LATER - timedelta(hours=24), "written", content_hash="x")
    soon = attempt(BOALF, DAY, LATER - timedelta(hours=1), "unchanged", content_hash="x")
    last = attempt(BOALF, DAY, LATER, "unchanged", content_hash="x")
    other = attempt(BOALF, DAY, LATER - timedelta(hours=48), "written", content_hash="y")
    row = one(BOALF, DAY, held, attempts(other, first, soon), LATER)
    assert (row["state"], row["reason"]) == (
        "partial",
        "answered, 90 rows; 2 rows in quarantine: asked again until two answers 24 hours apart agree",
    )
    assert one(BOALF, DAY, held, attempts(first, soon, last), LATER)["state"] == "complete"
    nothing = evidence(answer(BOALF, DAY, LATER, rows=0, quarantined=2))
    assert one(BOALF, DAY, nothing, attempts(), LATER)["state"] == "missing"
    quiet = evidence(answer(BOALF, DAY, LATER, rows=0))
    assert one(BOALF, DAY, quiet, attempts(), LATER)["state"] == "complete"  # domain.md 2.2 E: emptiness is legal


def test_an_answer_that_contradicts_itself_is_doubtful_unless_most_do() -> None:
    def states(odd: list[int]) -> list[str]:
        wanted = days(DAY, DAY + timedelta(days=len(odd) - 1))
        held = evidence(
            *(answer(MID, d, LATER, slots_of(d, 2), contradictions=n) for d, n in zip(wanted, odd, strict=True))
        )
        return coverage(MID, wanted, held, attempts(), LATER)["state"].to_list()

    assert states([1]) == ["partial"]
    assert states([0, 2, 1, 0]) == ["complete", "partial", "partial", "complete"]
    assert states([1] * 4) == ["complete"] * 4  # the key is not the source's: nothing to ask again for
    held = evidence(answer(MID, DAY, LATER, slots_of(DAY, 2), contradictions=1))
    assert "the answer contradicts itself in 1 row: asked again" in one(MID, DAY, held, attempts(), LATER)["reason"]


def test_a_column_that_other_days_have_or_that_is_never_null_is_missed() -> None:
    def state(dataset: Dataset, absent: str, *, others: bool, recorded: bool = False) -> str:
        day = answer(dataset, DAY, LATER, slots_of(DAY, 6 * 20), absent_columns=[absent])
        around = [answer(dataset, DAY + timedelta(days=1), LATER, rows=5, absent_columns=[])] if others else []
        held = evidence(day, *around)
        return str(coverage(dataset, [DAY], held, attempts(), LATER, recorded)["state"][0])

    assert state(FUELINST, "publishTime", others=True) == "partial"
    assert state(FUELINST, "publishTime", others=False) == "complete"  # nullable, and nothing to compare with
    assert state(COSTS, "netImbalanceVolume", others=False) == "partial"
    assert state(COSTS, "netImbalanceVolume", others=True, recorded=True) == "complete"  # restored recordings
    assert state(DATASETS["bmrs_remit"], "affectedArea", others=True) == "complete"  # REMIT leaves out nulls
    held = evidence(answer(FUELINST, DAY, LATER, slots_of(DAY, 6 * 20), absent_columns=["publishTime"]),
                    answer(FUELINST, LONG, LATER, rows=5, absent_columns=[]))  # fmt: skip
    assert "the answer had no publishTime" in one(FUELINST, DAY, held, attempts(), LATER)["reason"]


def test_an_empty_period_of_bid_offer_data_among_full_ones_is_missed() -> None:
    bod = DATASETS["bmrs_bod"]
    held = evidence(answer(bod, DAY, LATER, slots_of(DAY, 80, without=[20, 21, 48])))
    row = one(bod, DAY, held, attempts(), LATER)
    assert row["state"] == "partial" and "no row in period 20-21, 48" in row["reason"]
    full = evidence(answer(bod, DAY, LATER, slots_of(DAY, 80)))
    assert one(bod, DAY, full, attempts(), LATER)["state"] == "complete"


def test_a_day_of_forecasts_asked_before_it_ended_is_not_whole() -> None:
    ndf, end = DATASETS["bmrs_ndf"], day_bounds(DAY)[1]
    half = evidence(answer(ndf, DAY, end - timedelta(hours=12), rows=200))
    row = one(ndf, DAY, half, attempts(), LATER)
    assert row["state"] == "missing" and "before the day was due" in row["reason"]
    assert one(ndf, DAY, half, attempts(), end)["state"] == "not_due"
    whole = evidence(answer(ndf, DAY, end, rows=200))
    assert one(ndf, DAY, whole, attempts(), LATER)["state"] == "complete"


def test_a_day_of_forecasts_with_fewer_rows_than_all_around_it_is_doubtful() -> None:
    ndf = DATASETS["bmrs_ndf"]

    def partial(*rows: int, first: date = DAY, recorded: bool = False) -> list[int]:
        wanted = days(first, first + timedelta(days=len(rows) - 1))
        held = evidence(*(answer(ndf, d, LATER, rows=n) for d, n in zip(wanted, rows, strict=True)))
        found = coverage(ndf, wanted, held, attempts(), LATER, recorded)
        return [i for i, state in enumerate(found["state"]) if state == "partial"]

    assert partial(450, 450, 450, 450, 447) == [4]
    assert partial(447, 450, 450, 450, 450) == [0]  # the first day has those after it
    assert partial(450, 450, 450, 447) == []  # three are too few to tell
    assert partial(450, 449, 448, 447, 446, 445, 444) == []  # no size is the regular one
    assert partial(450, 450, 450, 450, 460, 460, 460) == []  # a grid that has grown
    assert partial(450, 450, 450, 450, 447, recorded=True) == []
    assert partial(*[450] * 5, 438, 438, 450, first=SHORT - timedelta(days=6)) == []  # the clock change and its eve
    held = evidence(*(answer(ndf, d, LATER, rows=450) for d in days(DAY, DAY + timedelta(days=4))),
                    answer(ndf, DAY + timedelta(days=5), LATER, rows=447))  # fmt: skip
    row = one(ndf, DAY + timedelta(days=5), held, attempts(), LATER)
    assert "447 rows, where the days around it have 450 each: asked again" in row["reason"]


# The same by hand, slot by slot: what the frames must equal.


def naive(
    dataset: Dataset, day: date, held: list[dict[str, Any]], tries: list[dict[str, Any]], now: datetime
) -> tuple[str, int, list[str], float | None]:
    asked = any(e["day"] == day for e in held)
    shift = -1 if by_publication(dataset) else 0
    slots = [sp_add(day, n, shift) for n in range(1, periods_in_day(day) + 1)]
    answers = [t["at"] for t in tries if t["day"] == day and t["outcome"] in ANSWERED]
    control = any(e["rows"] and abs((e["day"] - day).days) <= 7 for e in held)
    states, counted = [], []
    for on, period in slots:
        rows = max(
            (
                s["rows"]
                for e in held
                for s in e["slots"]
                if (s["date"], s["period"]) == (on, period) and (by_publication(dataset) or e["day"] == on)
            ),
            default=0,
        )
        expected = dataset.completeness.expected_rows(on)
        proof = answers if control else []
        end = sp_bounds(on, period)[1]
        states.append(slot_state(end, dataset.lag, rows if asked else 0, expected, now, proof))
        counted.append((rows if asked else 0, expected, states[-1]))
    lost = (State.MISSING, State.LATE, State.MISSING_AT_SOURCE)
    missing = [f"{on}/{n}" for (on, n), state in zip(slots, states, strict=True) if state in lost]
    return day_state(states), states.count(State.COMPLETE), missing, ratio_of(counted)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Dataset, list[date], list[dict[str, Any]], list[dict[str, Any]], datetime]:
    """A table, some days around a clock change or not, some answers and tries, and a now not long after."""
    dataset = draw(st.sampled_from([COSTS, MID, INDO]))
    first = draw(st.sampled_from([SHORT, LONG, DAY])) - timedelta(days=draw(st.integers(0, 2)))
    wanted = days(first, first + timedelta(days=draw(st.integers(0, 3))))
    full = dataset.completeness.expected_rows(first)
    held, tries = [], []
    for day in days(wanted[0], wanted[-1] + timedelta(days=1)):
        kind = draw(st.sampled_from(["none", "empty", "full", "some"]))
        if kind == "none":
            continue
        slots = published(day) if dataset is INDO else slots_of(day, 1)
        slots = [{**s, "rows": full} for s in slots]
        if kind == "some":
            lost = draw(st.sets(st.integers(0, len(slots) - 1), max_size=5))
            poor = draw(st.sets(st.integers(0, len(slots) - 1), max_size=3)) if full > 1 else set()
            slots = [{**s, "rows": 1 if i in poor else full} for i, s in enumerate(slots) if i not in lost]
        held.append(answer(dataset, day, LATER, [] if kind == "empty" else slots))
    for _ in range(draw(st.integers(0, 4))):
        day = draw(st.sampled_from(wanted))
        at = day_bounds(day)[1] + timedelta(hours=draw(st.integers(0, 120)))
        tries.append(attempt(dataset, day, at, draw(st.sampled_from(["empty", "written", "held", "failed"]))))
    now = day_bounds(wanted[-1])[0] + timedelta(minutes=draw(st.integers(-60, 8000)))
    return dataset, wanted, held, tries, now


@given(worlds())
def test_frames_equal_the_naive_reading(
    world: tuple[Dataset, list[date], list[dict[str, Any]], list[dict[str, Any]], datetime],
) -> None:
    dataset, wanted, held, tries, now = world
    frame = coverage(dataset, wanted, evidence(*held), attempts(*tries), now)
    ratios = completeness_ratio(frame)["ratio"]
    found = list(frame.select("state", "complete_slots", "missing_slots", ratios).iter_rows())
    assert found == [naive(dataset, d, held, tries, now) for d in wanted]


@settings(max_examples=40)
@given(
    st.sampled_from([DAY, SHORT, LONG]),
    st.sets(st.integers(1, 46), min_size=1),
    st.integers(0, 6000),
)
def test_more_periods_never_make_a_day_worse(day: date, lost: set[int], minutes: int) -> None:
    now = day_bounds(day)[0] + timedelta(minutes=minutes)
    fails = []
    for without in (lost, lost - {min(lost)}):
        held = evidence(answer(COSTS, day, now, slots_of(day, 1, without=without)))
        row = one(COSTS, day, held, attempts(), now)
        fails.append((len(row["missing_slots"]), -row["complete_slots"]))
    assert fails[1] <= fails[0]


@settings(max_examples=50)
@given(st.dates(date(2016, 1, 1), date(2034, 12, 31)), st.integers(0, 90), st.sampled_from([COSTS, MID, FUELINST]))
def test_nothing_is_due_before_its_lag(day: date, minutes: int, dataset: Dataset) -> None:
    now = day_bounds(day)[0] + timedelta(minutes=minutes)
    row = one(dataset, day, evidence(), attempts(), now)
    due = timedelta(minutes=minutes) >= timedelta(minutes=30) + dataset.lag.lag
    assert (row["state"] == "not_due") == (not due)
