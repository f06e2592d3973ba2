"""Elexon's own counts against the evidence: examples, and equality with a naive reading period by period."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.market.calendar import days, periods_in_day
from gbpm_dagster.quality.checks import run_checks
from gbpm_dagster.quality.coverage import coverage
from gbpm_dagster.quality.gaps import check_gaps
from gbpm_dagster.quality.witness import COUNTS_SCHEMA, TABLE, compare, counts
from gbpm_dagster.warehouse.protocol import QueryError
from gbpm_dagster_tests.quality.helpers import Memory, answer, attempt, attempts, evidence, slots_of, utc

PN, BOALF, BOD, REMIT, BOAV, COSTS, STATUS = (
    DATASETS[t] for t in ("bmrs_pn", "bmrs_boalf", "bmrs_bod", "bmrs_remit", "bmrs_boav", "bmrs_costs", TABLE)
)
DAY, SHORT_DAY, LONG_DAY = date(2024, 1, 3), date(2024, 3, 31), date(2024, 10, 27)
FETCHED, COUNTED, LATER = utc("2024-12-01 00:00"), utc("2024-12-01 01:00"), utc("2024-12-02 00:00")


def said(dataset: Dataset, day: date, points: int | Mapping[int, int], at: datetime = COUNTED) -> pl.DataFrame:
    """What data-status said of a day: the same number in each period, or those given."""
    by_period = points if isinstance(points, Mapping) else dict.fromkeys(range(1, periods_in_day(day) + 1), points)
    rows = [(dataset.oracle, day, period, n, at) for period, n in by_period.items()]
    return pl.DataFrame(rows, schema=COUNTS_SCHEMA, orient="row")


def every(n: int, but: Mapping[int, int], day: date = DAY) -> dict[int, int]:
    return {**dict.fromkeys(range(1, periods_in_day(day) + 1), n), **but}


def slots(by_period: Mapping[int, int], day: date = DAY) -> list[dict[str, Any]]:
    return [{"date": day, "period": p, "rows": n} for p, n in by_period.items() if n]


def one(
    dataset: Dataset, held: pl.DataFrame, said: pl.DataFrame, tries: pl.DataFrame | None = None, day: date = DAY
) -> dict[str, Any]:
    frame = coverage(dataset, [day], held, attempts() if tries is None else tries, LATER, said=said)
    return frame.row(0, named=True)


@pytest.mark.parametrize("day", [DAY, SHORT_DAY, LONG_DAY])
def test_a_day_whose_rows_are_as_many_as_the_source_counts_is_proven(day: date) -> None:
    held = evidence(answer(BOALF, day, FETCHED, slots_of(day, 7)))
    row = one(BOALF, held, said(BOALF, day, 7), day=day)
    assert (row["state"], row["witness"]) == ("complete", "agrees")


def test_rows_left_out_of_an_answer_make_the_day_doubtful_and_are_named() -> None:
    held = evidence(answer(PN, DAY, FETCHED, slots(every(312, {20: 309}))))
    row = one(PN, held, said(PN, DAY, 312))
    assert (row["state"], row["witness"]) == ("partial", "short")
    assert row["reason"] == (
        "48 of 48 periods; data-status counts 312 rows in period 20, stored are 309: "
        "asked again until two answers 24 hours apart agree"
    )
    many = evidence(answer(PN, DAY, FETCHED, slots(every(312, {2: 1, 3: 2, 5: 9, 7: 9, 48: 311}))))
    assert (
        "data-status counts 312 rows in period 2, stored are 1; 312 in 3, stored are 2; 312 in 5, stored are 9; "
        "and 2 periods more:"
    ) in one(PN, many, said(PN, DAY, 312))["reason"]


def test_an_empty_day_of_events_is_missing_where_the_source_counts_rows() -> None:
    empty = evidence(answer(REMIT, DAY, FETCHED, rows=0))
    row = one(REMIT, empty, said(REMIT, DAY, every(0, {9: 2})))
    assert (row["state"], row["witness"]) == ("missing", "short")
    assert "data-status counts 2 rows in period 9, stored are 0" in row["reason"]
    row = one(REMIT, empty, said(REMIT, DAY, 0))
    assert (row["state"], row["witness"]) == ("complete", "agrees")


def test_more_rows_than_counted_are_doubtful_only_where_the_count_is_the_newer() -> None:
    held = evidence(answer(BOALF, DAY, FETCHED, slots(every(7, {4: 8}))))
    row = one(BOALF, held, said(BOALF, DAY, 7, at=FETCHED - timedelta(hours=1)))
    assert (row["state"], row["witness"]) == ("complete", "more")  # rows may have come after the count
    row = one(BOALF, held, said(BOALF, DAY, 7))
    assert (row["state"], row["witness"]) == ("partial", "more")
    assert "data-status counts 7 rows in period 4, stored are 8" in row["reason"]


def test_a_count_made_before_the_rows_were_due_says_nothing() -> None:
    held = evidence(answer(BOALF, DAY, FETCHED, slots_of(DAY, 7)))
    due = utc("2024-01-04 00:00") + BOALF.lag.lag
    for at, witness in ((due - timedelta(seconds=1), None), (due, "short")):
        assert one(BOALF, held, said(BOALF, DAY, 9, at=at))["witness"] == witness


def test_a_count_of_some_periods_can_contradict_but_not_prove() -> None:
    held = evidence(answer(BOALF, DAY, FETCHED, slots_of(DAY, 7)))
    assert one(BOALF, held, said(BOALF, DAY, {3: 7, 4: 7}))["witness"] is None
    assert one(BOALF, held, said(BOALF, DAY, {3: 7, 4: 8}))["witness"] == "short"


def test_evidence_that_counted_no_periods_is_not_judged() -> None:
    held = evidence(answer(BOALF, DAY, FETCHED, rows=336))
    row = one(BOALF, held, said(BOALF, DAY, 9))
    assert (row["state"], row["witness"]) == ("complete", None)


def test_a_rule_that_counts_every_row_needs_no_witness() -> None:
    held = evidence(answer(COSTS, DAY, FETCHED, slots_of(DAY, 1)))
    row = one(COSTS, held, said(COSTS, DAY, 3))  # say, one point a settlement run
    assert (row["state"], row["witness"]) == ("complete", "short")


def test_of_tables_that_are_re_run_an_older_count_says_nothing() -> None:
    assert BOAV.settlement
    held = evidence(answer(BOAV, DAY, FETCHED, slots_of(DAY, 7)))
    assert one(BOAV, held, said(BOAV, DAY, 9, at=FETCHED - timedelta(hours=24)))["state"] == "partial"
    row = one(BOAV, held, said(BOAV, DAY, 9, at=FETCHED - timedelta(hours=25)))
    assert (row["state"], row["witness"]) == ("complete", None)


def twice(dataset: Dataset, day: date, apart: timedelta) -> list[dict[str, Any]]:
    at = FETCHED - apart
    return [attempt(dataset, day, t, "unchanged", content_hash="x") for t in (at, FETCHED)]


def test_two_answers_a_day_apart_outweigh_the_count() -> None:
    held = evidence(answer(BOALF, DAY, FETCHED, slots_of(DAY, 7), content_hash="x"))
    for hours, state in ((23, "partial"), (24, "complete")):
        tries = attempts(*twice(BOALF, DAY, timedelta(hours=hours)))
        row = one(BOALF, held, said(BOALF, DAY, 9), tries)
        assert (row["state"], row["witness"]) == (state, "short")  # what the count says stays on record


@pytest.mark.parametrize(("agreeing", "state"), [(0, "complete"), (3, "complete"), (4, "partial")])
def test_a_count_that_confirmed_days_mostly_contradict_is_not_believed(agreeing: int, state: str) -> None:
    """Three days contradict it and stand confirmed; the fourth, asked once, is doubtful only if most others agree."""
    odd = days(DAY, DAY + timedelta(days=3))
    good = days(odd[-1] + timedelta(days=1), odd[-1] + timedelta(days=agreeing)) if agreeing else []
    held = evidence(*(answer(BOALF, d, FETCHED, slots_of(d, 7), content_hash="x") for d in (*odd, *good)))
    tries = attempts(*(t for d in odd[:3] for t in twice(BOALF, d, timedelta(hours=24))))
    counted = pl.concat([said(BOALF, d, 9) for d in odd] + [said(BOALF, d, 7) for d in good])
    found = coverage(BOALF, [*odd, *good], held, tries, LATER, said=counted)
    assert found["state"].to_list() == ["complete"] * 3 + [state] + ["complete"] * agreeing


def test_the_gap_check_says_how_much_is_counted() -> None:
    wanted = days(DAY, DAY + timedelta(days=3))
    held = evidence(*(answer(PN, d, FETCHED, slots_of(d, 7)) for d in wanted))
    older = FETCHED - timedelta(hours=1)
    counted = pl.concat([said(PN, wanted[0], 7), said(PN, wanted[1], 8), said(PN, wanted[2], 6, at=older)])
    result = check_gaps(PN, coverage(PN, wanted, held, attempts(), LATER, said=counted))
    assert result.missing == (wanted[1],)
    assert result.details["rows against data-status"] == {
        "days that agree": 1,
        "days not counted": 1,
        "fewer rows than it counts": ["2024-01-04"],
        "more rows than it counts": ["2024-01-05"],
    }


def status_rows(day: date, code: str, points: int | None) -> list[dict[str, Any]]:
    return [
        {"_day": day, "code": code, "settlementDate": day, "settlementPeriod": p, "dataPointCount": points}
        for p in range(1, periods_in_day(day) + 1)
    ]


def test_counts_are_read_from_their_table() -> None:
    memory = Memory()
    assert counts(memory, [PN, BOD]).is_empty()  # never asked
    rows = [*status_rows(DAY, "PN", 5), *status_rows(DAY, "BOD", None), *status_rows(DAY, "REMIT", 1)]
    memory.put(STATUS, rows, COUNTED)
    found = counts(memory, [PN, BOD, COSTS])
    assert found.schema == pl.Schema(COUNTS_SCHEMA)
    assert found.sort("period").rows() == said(PN, DAY, 5).rows()
    assert counts(memory, [DATASETS["bmrs_mid"]]).is_empty()


def test_counts_that_cannot_be_read_stop_no_check() -> None:
    class Broken(Memory):
        def sql(self, query: str, *, dialect: str = "duckdb") -> pl.DataFrame:
            raise QueryError("a file is gone")

    memory = Broken()
    memory.put(STATUS, status_rows(DAY, "PN", 5), COUNTED)
    memory.answers = pl.concat([memory.answers, evidence(answer(PN, DAY, FETCHED, slots_of(DAY, 4)))])
    (gaps,) = run_checks(memory, [PN], {"bmrs_pn": [DAY]}, LATER, ["gaps"])
    assert gaps.passed
    memory.__class__ = Memory
    (gaps,) = run_checks(memory, [PN], {"bmrs_pn": [DAY]}, LATER, ["gaps"])
    assert gaps.missing == (DAY,) and "data-status counts 5 rows in period 1, stored are 4" in gaps.summary


@given(
    st.sampled_from([DAY, SHORT_DAY, LONG_DAY]),
    st.dictionaries(st.integers(1, 50), st.integers(0, 4), max_size=6),
    st.dictionaries(st.integers(1, 50), st.integers(0, 4), max_size=6),
    st.booleans(),
)
def test_frames_equal_the_naive_reading(
    day: date, stored: dict[int, int], counted: dict[int, int], newer: bool
) -> None:
    periods = range(1, periods_in_day(day) + 1)
    here = {p: stored.get(p, 2) for p in periods}
    there = {p: counted.get(p, 2) for p in periods}
    at = FETCHED + timedelta(hours=1 if newer else -1)
    (row,) = compare(PN, evidence(answer(PN, day, FETCHED, slots(here, day))), said(PN, day, there, at)).rows()
    short, more = [p for p in periods if here[p] < there[p]], [p for p in periods if here[p] > there[p]]
    named = short or (more if newer else [])
    assert row[1] == ("short" if short else "more" if more else "agrees")
    assert row[2].startswith(
        f"data-status counts {there[named[0]]} rows in period {named[0]}, stored are {here[named[0]]}"
        if named
        else ""
    )
    assert bool(row[2]) == bool(named)
