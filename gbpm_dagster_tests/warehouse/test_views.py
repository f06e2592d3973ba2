"""Views: the run a row is of and what was believed when, in both dialects, against readings of domain.md 1.4, 3.2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Column, Dataset, Kind
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.warehouse import merge, views
from gbpm_dagster.warehouse.protocol import DAY as DAY_COLUMN
from gbpm_dagster.warehouse.protocol import EVIDENCE_SCHEMA, FETCHED_AT, INSTANT, MONTH, SOURCE, stored_schema
from gbpm_dagster_tests.warehouse.rows import BOALF, COSTS, DAY, INDO, MID, T0, cost_row, later, mid_row
from gbpm_dagster_tests.warehouse.test_merge import nothing, played, stored

DIALECTS = ("duckdb", "bigquery")
REMIT = DATASETS["bmrs_remit"]


def ask(
    view: views.View, relations: Mapping[str, pl.DataFrame], dialect: str = "duckdb", tail: str = ""
) -> pl.DataFrame:
    """The view's rows; as BigQuery: taken to that dialect and back."""
    text = f"SELECT * FROM ({view.body}) AS v {tail}"
    if dialect == "bigquery":
        there = sqlglot.transpile(text, read="duckdb", write="bigquery", unsupported_level=sqlglot.ErrorLevel.RAISE)[
            0
        ]
        assert '"' not in there
        text = sqlglot.transpile(there, read="bigquery", write="duckdb")[0]
    with duckdb.connect() as con:
        con.execute("SET TimeZone='UTC'")
        for name in view.over:
            con.register(f"{name}__rows", relations[name].to_arrow())
        found = pl.DataFrame(pl.from_arrow(con.sql(text).to_arrow_table()))
    instants = [c for c, t in found.schema.items() if isinstance(t, pl.Datetime)]
    return found.with_columns(pl.col(instants).cast(INSTANT))


def relations(
    dataset: Dataset, current: pl.DataFrame, old: pl.DataFrame | None = None, **more: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    empty = pl.DataFrame(schema={**stored_schema(dataset), merge.SUPERSEDED_AT: INSTANT})
    old = empty if old is None else old
    return {dataset.table: current.drop(MONTH), f"{dataset.table}_vintages": old.drop(MONTH), **more}


# Which run a row is of. cal-05: of 10 April 2025 II is on 17 April, SF 7 May, RF 10 June 2026 (the others between).

RUN_DAY = date(2025, 4, 10)
CAL_05 = [
    ("II", "2025-04-17", "2025-04-16T23:00Z"),
    ("SF", "2025-05-07", "2025-05-06T23:00Z"),
    ("R1", "2025-06-10", "2025-06-09T23:00Z"),
    ("R2", "2025-08-12", "2025-08-11T23:00Z"),
    ("R3", "2025-11-19", "2025-11-19T00:00Z"),  # winter: London's midnight is UTC's
    ("RF", "2026-06-10", "2026-06-09T23:00Z"),
]
CALENDAR = pl.DataFrame(
    [(RUN_DAY, run, date.fromisoformat(d), datetime.fromisoformat(at)) for run, d, at in CAL_05],
    schema=views.CALENDAR_SCHEMA,
    orient="row",
)
INSTANTS = [
    ("2025-04-10T23:14Z", "indicative"),
    ("2025-04-16T22:59:59Z", "indicative"),
    ("2025-04-16T23:00Z", "II"),
    ("2025-05-06T22:59:59Z", "II"),
    ("2025-05-06T23:00Z", "SF"),
    ("2025-11-18T23:30Z", "R2"),
    ("2025-11-19T00:00Z", "R3"),
    ("2026-06-09T22:59:59Z", "R3"),
    ("2026-06-09T23:00Z", "RF"),
    ("2030-01-01T00:00Z", "RF"),
]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_cal_05_a_row_is_of_the_latest_run_whose_date_it_was_made_on_or_after(dialect: str) -> None:
    rows = [cost_row(RUN_DAY, n, 1.0, datetime.fromisoformat(at)) for n, (at, _) in enumerate(INSTANTS, 1)]
    here = relations(COSTS, stored(COSTS, rows, T0, RUN_DAY), gbpm_settlement_runs=CALENDAR)
    found = ask(views.table_view(COSTS)(True), here, dialect, 'ORDER BY "settlementPeriod"')
    assert found.columns == [*COSTS.names, DAY_COLUMN, FETCHED_AT, SOURCE, "_run", "_final"]
    assert found["_run"].to_list() == [run for _, run in INSTANTS]
    assert found["_final"].to_list() == [run == "RF" for _, run in INSTANTS]
    assert ask(views.table_view(COSTS)(False), here, dialect).columns == found.columns[:-2]


def test_a_day_without_a_calendar_has_no_run_and_a_run_a_day_does_not_have_is_skipped() -> None:
    rows = stored(COSTS, [cost_row(RUN_DAY, 1, 1.0, datetime(2025, 11, 20, tzinfo=UTC))], T0, RUN_DAY)
    without_r3 = CALENDAR.filter(pl.col("run") != "R3")
    disputed = pl.concat(
        [CALENDAR, CALENDAR.tail(1).with_columns(run=pl.lit("DF"), starts_at=T0 + timedelta(days=900))]
    )
    late = rows.with_columns(createdDateTime=T0 + timedelta(days=901))
    for current, calendar, expected in (
        (rows, CALENDAR.head(0), (None, None)),
        (rows, without_r3, ("R2", False)),
        (late, disputed, ("DF", True)),
    ):
        here = relations(COSTS, current, gbpm_settlement_runs=calendar)
        assert ask(views.table_view(COSTS)(True), here).select("_run", "_final").row(0) == expected


def test_a_row_that_does_not_say_when_it_was_made_is_of_the_run_it_was_made_or_received_in() -> None:
    rows = stored(COSTS, [cost_row(RUN_DAY, 1, 1.0, None)], datetime(2025, 5, 8, tzinfo=UTC), RUN_DAY)
    here = relations(COSTS, rows, gbpm_settlement_runs=CALENDAR)
    assert ask(views.table_view(COSTS)(True), here)["_run"].to_list() == ["SF"]


UNSTAMPED = replace(MID, settlement=True)
"""As B1610: re-run, and no row says when it was made."""


def confirmed(dataset: Dataset, day: date, at: datetime) -> pl.DataFrame:
    row = {**dict.fromkeys(EVIDENCE_SCHEMA), "table": dataset.table, "day": day, "fetched_at": at}
    other = {**row, "table": "bmrs_other", "fetched_at": T0 + timedelta(days=3000)}
    return pl.DataFrame([row, other], schema=EVIDENCE_SCHEMA).select("table", "day", "fetched_at")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_without_a_stamp_a_row_is_of_the_run_in_which_the_source_last_said_it(dialect: str) -> None:
    """First received in II and in every answer since: after RF's it is final. One replaced in SF was II's."""
    ii, sf, rf = (datetime.fromisoformat(t) for t in ("2025-04-22T04:00Z", "2025-05-08T04:00Z", "2026-06-11T04:00Z"))
    first = stored(UNSTAMPED, [mid_row(RUN_DAY, 1), mid_row(RUN_DAY, 2)], ii, RUN_DAY)
    again = stored(UNSTAMPED, [mid_row(RUN_DAY, 1), mid_row(RUN_DAY, 2, price=70.0)], sf, RUN_DAY)
    merged = merge.combine(UNSTAMPED, merge.resolve(UNSTAMPED, again), first, merge.asked_frame([(RUN_DAY, sf, ii)]))
    here = relations(
        UNSTAMPED,
        merged.current,
        merged.vintages,
        gbpm_settlement_runs=CALENDAR,
        gbpm_evidence=confirmed(UNSTAMPED, RUN_DAY, rf),
    )
    table = ask(views.table_view(UNSTAMPED)(True), here, dialect, 'ORDER BY "settlementPeriod"')
    assert table.select("settlementPeriod", "_run", "_final").rows() == [(1, "RF", True), (2, "RF", True)]
    history = ask(views.history_view(UNSTAMPED)(True), here, dialect, 'ORDER BY "settlementPeriod", "_known_from"')
    assert history.select("settlementPeriod", "price", "_run", "_known_from", "_known_until").rows() == [
        (1, 50.0, "RF", ii, None), (2, 50.0, "II", ii, sf), (2, 70.0, "RF", sf, None),
    ]  # fmt: skip


def test_a_table_that_states_its_run_is_believed() -> None:
    stating = replace(
        MID, settlement=True, columns=(*MID.columns, Column("settlementRunType", Kind.STRING, "the run"))
    )
    rows = [{**mid_row(RUN_DAY, n), "settlementRunType": run} for n, run in enumerate(("II", "RF", "DF", None), 1)]
    found = ask(views.table_view(stating)(True), relations(stating, stored(stating, rows, T0, RUN_DAY)))
    assert found.sort("settlementPeriod").select("_run", "_final").rows() == [
        ("II", False), ("RF", True), ("DF", True), (None, None),
    ]  # fmt: skip


# What was believed when.


def history(
    dataset: Dataset, current: pl.DataFrame, old: pl.DataFrame | None, dialect: str = "duckdb"
) -> pl.DataFrame:
    return ask(views.history_view(dataset)(False), relations(dataset, current, old), dialect)


def believed(found: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """The question of the docs: `_known_from <= T AND (_known_until IS NULL OR _known_until > T)`."""
    until = pl.col("_known_until")
    return found.filter(pl.col("_known_from") <= at, until.is_null() | (until > at))


def costs(found: pl.DataFrame, at: datetime) -> list[float]:
    return believed(found, at).sort("settlementPeriod")["systemSellPrice"].to_list()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_run_was_believed_from_when_it_was_made_until_the_next_was(dialect: str) -> None:
    answers = [(h, stored(COSTS, [cost_row(DAY, 1, p, later(c))], later(h))) for h, p, c in ((5, 80, 1), (9, 95, 8))]
    found = history(COSTS, *played(answers), dialect).sort("_known_from")
    assert found.columns == [*COSTS.names, DAY_COLUMN, FETCHED_AT, SOURCE, "_known_from", "_known_until"]
    assert found.select("systemSellPrice", "_known_from", "_known_until").rows() == [
        (80.0, later(1), later(8)), (95.0, later(8), None),
    ]  # fmt: skip
    assert [costs(found, later(h)) for h in (0, 1, 7.9, 8, 99)] == [[], [80.0], [80.0], [95.0], [95.0]]


def test_an_older_vintage_that_arrives_late_was_believed_before_the_newer_one() -> None:
    answers = [(h, stored(COSTS, [cost_row(DAY, 1, p, later(c))], later(h))) for h, p, c in ((9, 95, 8), (20, 80, 1))]
    found = history(COSTS, *played(answers))
    assert [costs(found, later(h)) for h in (0, 1, 7.9, 8, 99)] == [[], [80.0], [80.0], [95.0], [95.0]]


def test_equal_stamps_are_told_apart_by_receipt() -> None:
    """One calculation time, three contents: the first is known from its stamp, each other from its receipt."""
    answers = [(h, stored(COSTS, [cost_row(DAY, 1, p, later(1))], later(h))) for h, p in ((5, 80), (9, 95), (12, 80))]
    found = history(COSTS, *played(answers))
    assert [costs(found, later(h)) for h in (1, 8.9, 9, 11, 12, 99)] == [[80], [80], [95], [95], [80], [80]]


def test_exact_duplicates_and_what_loses_within_an_answer_are_never_believed() -> None:
    options = [cost_row(DAY, 1, p, later(1)) for p in (80, 90, 90, 80)]
    current, old = played([(5, stored(COSTS, options, later(5))), (6, stored(COSTS, options, later(6)))])
    found = history(COSTS, current, old)
    assert found.height == 2
    assert [costs(found, later(h)) for h in (0.9, 1, 5, 99)] == [[], [90], [90], [90]]


def test_a_row_the_answer_lacked_was_believed_until_that_answer() -> None:
    answers = [
        (h, stored(MID, [mid_row(DAY, p) for p in periods], later(h)))
        for h, periods in ((1, (1, 2)), (4, (1,)), (7, (1, 2)))
    ]
    found = history(MID, *played(answers, MID))
    periods = [sorted(believed(found, later(h))["settlementPeriod"]) for h in (0.9, 1, 3.9, 4, 6.9, 7)]
    assert periods == [[], [1, 2], [1, 2], [1], [1], [1, 2]]


def test_a_source_that_goes_back_to_an_older_calculation_after_lacking_the_row_is_followed_from_then_on() -> None:
    first, none = stored(COSTS, [cost_row(DAY, 1, 95, later(3))], later(5)), nothing(COSTS)
    older = stored(COSTS, [cost_row(DAY, 1, 80, later(1))], later(9))
    found = history(COSTS, *played([(5, first), (7, none), (9, older)]))
    assert [costs(found, later(h)) for h in (1, 3, 6.9, 7, 8.9, 9)] == [[], [95], [95], [], [], [80]]


def test_of_a_key_kept_under_two_days_one_version_is_believed_at_a_time() -> None:
    row = {"startTime": T0, "settlementDate": DAY, "settlementPeriod": 48}
    days = (DAY, DAY + timedelta(days=1))
    parts = [
        stored(INDO, [{**row, "publishTime": later(24 * n), "demand": 26_000 + n}], later(99), d)
        for n, d in enumerate(days)
    ]
    found = history(INDO, pl.concat(parts), None)
    assert [believed(found, later(h))["demand"].to_list() for h in (-1, 0, 23, 24)] == [[], [26000], [26000], [26001]]


def test_a_deletion_ends_what_it_deletes_and_is_not_believed() -> None:
    base = {"nationalGridBmUnit": "A-1", "acceptanceTime": T0, "timeFrom": T0, "acceptanceNumber": 1}
    answers = [(h, stored(BOALF, [{**base, "amendmentFlag": f}], later(h))) for h, f in ((1, "ORI"), (4, "DEL"))]
    found = history(BOALF, *played_boalf(answers))
    assert found["amendmentFlag"].to_list() == ["ORI"]
    assert [believed(found, later(h)).height for h in (0.9, 1, 3.9, 4)] == [0, 1, 1, 0]


def played_boalf(answers: Sequence[tuple[int, pl.DataFrame]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    (_, first), (hour, second) = answers
    merged = merge.combine(
        BOALF, merge.resolve(BOALF, second), first, merge.asked_frame([(DAY, later(hour), later(1))])
    )
    return merged.current, merged.vintages


def test_a_publication_is_known_from_its_publication() -> None:
    rows = [{"mrid": "m", "revisionNumber": n, "publishTime": later(n)} for n in (1, 2)]
    found = history(REMIT, stored(REMIT, rows, later(500)), None)
    assert [sorted(believed(found, later(h))["revisionNumber"]) for h in (0.9, 1, 2)] == [[], [1], [1, 2]]


def test_a_crash_between_vintages_and_data_shows_no_row_twice() -> None:
    rows = stored(COSTS, [cost_row(DAY, 1, 80, later(1))], later(5))
    appended = rows.with_columns(pl.lit(later(9), INSTANT).alias(merge.SUPERSEDED_AT))
    found = history(COSTS, rows, appended)
    assert [costs(found, later(h)) for h in (0.9, 1, 8, 9, 99)] == [[], [80], [80], [80], [80]]


# Properties

PRICES = st.lists(st.lists(st.sampled_from([None, 10.0, 20.0, 30.0]), min_size=3, max_size=3), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(PRICES, st.sampled_from(DIALECTS))
def test_without_stamps_what_was_believed_is_what_was_shown(answers: list[list[float | None]], dialect: str) -> None:
    """After each answer the current rows are noted; the history of the last state gives every one of them back."""
    told: list[tuple[int, pl.DataFrame]] = []
    notes = []
    for hour, prices in enumerate(answers):
        rows = [mid_row(DAY, n, price=p) for n, p in enumerate(prices, 1) if p is not None]
        told.append((hour, stored(MID, rows, later(hour)) if rows else nothing(MID)))
        current, old = played(told, MID)
        notes.append(set(current.select(MID.names).iter_rows()))
    found = history(MID, current, old, dialect)
    for hour, shown in enumerate(notes):
        for minutes in (0, 59):
            then = believed(found, later(hour) + timedelta(minutes=minutes)).select(MID.names)
            assert set(then.iter_rows()) == shown and then.height == len(shown)
    assert believed(found, later(-1)).is_empty()
    assert set(found.filter(pl.col("_known_until").is_null()).select(MID.names).iter_rows()) == notes[-1]


VERSIONS = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 6)), min_size=1, max_size=8)
"""(period, hour of calculation), in the order of arrival; every calculation has a price of its own."""


@settings(max_examples=25, deadline=None, derandomize=True)
@given(VERSIONS, st.integers(-1, 8), st.sampled_from(DIALECTS))
def test_with_stamps_the_greatest_known_at_an_instant_was_believed(
    versions: list[tuple[int, int]], hour: int, dialect: str
) -> None:
    """domain.md 3.2: of each key the latest vintage with known_at <= T, in whatever order they came."""
    held, known, old = nothing(COSTS), None, None
    for n, (period, made) in enumerate(versions):
        asked = later(100 + n)
        there = stored(COSTS, [cost_row(DAY, period, 10.0 * period + made, later(made))], asked)
        # An answer of the whole day: the other periods as they are.
        others = held.filter(pl.col("settlementPeriod") != period)
        answer = merge.resolve(COSTS, pl.concat([there, others]))
        merged = merge.combine(COSTS, answer, held, merge.asked_frame([(DAY, asked, known)]))
        held, known = merged.current, asked
        before = merged.vintages.head(0) if old is None else old
        old = pl.concat([before, merge.new_vintages(COSTS, merged.vintages, before)])
    expected: dict[int, int] = {}
    for period, made in versions:
        if made <= hour:
            expected[period] = max(made, expected.get(period, made))
    then = believed(history(COSTS, held, old, dialect), later(hour))
    assert dict(then.select("settlementPeriod", "systemSellPrice").iter_rows()) == {
        p: 10.0 * p + made for p, made in expected.items()
    }
    assert then.height == len(expected)


def empty_relations(dataset: Dataset) -> dict[str, pl.DataFrame]:
    evidence = pl.DataFrame(schema=EVIDENCE_SCHEMA).select("table", "day", "fetched_at")
    return relations(dataset, nothing(dataset), gbpm_settlement_runs=CALENDAR.head(0), gbpm_evidence=evidence)


def kind_of(dataset: Dataset) -> tuple[Any, ...]:
    """What decides the form of a table's views; names apart, those of tables alike are the same text."""
    return (
        len(dataset.key),
        len(dataset.version),
        bool(dataset.version_order),
        bool(dataset.unit_fallback),
        views.spans_days(dataset),
        dataset.settlement and ("createdDateTime" in dataset.names, "settlementRunType" in dataset.names),
        sum(n in (*dataset.version, *dataset.key) for n in views.PUBLISHED),
        any("." in n for n in dataset.names),
    )


KINDS = {kind_of(d): d.table for d in reversed(DATASETS.values())}
"""One table of each."""


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda d: d.table)
def test_every_view_runs_and_one_of_each_kind_after_a_round_trip_through_bigquery(dataset: Dataset) -> None:
    here = empty_relations(dataset)
    kinds: dict[str, Any] = {n: stored_schema(dataset)[n] for n in views.shown(dataset)}
    known = dict.fromkeys(("_known_from", "_known_until"), INSTANT)
    dialects = DIALECTS if dataset.table in KINDS.values() else DIALECTS[:1]
    for shape, more in ((views.table_view, {}), (views.history_view, known)):
        for named in (False, True) if dataset.settlement else (False,):
            wanted = {**kinds, **more, **(views.computed(dataset) if named else {})}
            for dialect in dialects:
                assert dict(ask(shape(dataset)(named), here, dialect).schema) == wanted


def test_the_kinds_are_few_and_settlement_tables_are_of_every_sort() -> None:
    assert len(DATASETS) > 3 * len(KINDS)
    sorts = {kind_of(d)[5] for d in DATASETS.values()}
    assert sorts == {False, (True, False), (False, False), (False, True)}
