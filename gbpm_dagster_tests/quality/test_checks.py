"""The four checks on a warehouse of frames with faults put in by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.market.calendar import days, periods_in_day, sp_bounds
from gbpm_dagster.quality.checks import (
    ALL,
    CheckResult,
    check_duplicates,
    check_freshness,
    check_gaps,
    check_validity,
    run_checks,
)
from gbpm_dagster.quality.coverage import coverage
from gbpm_dagster.warehouse.protocol import QUARANTINE_SCHEMA, QueryError
from gbpm_dagster_tests.quality.helpers import Memory, answer, attempts, evidence, slots_of, utc

COSTS, MID, FREQ, PN, INDO, UNITS, FUELHH, REMIT = (
    DATASETS[t]
    for t in (
        "bmrs_costs", "bmrs_mid", "bmrs_freq", "bmrs_pn", "bmrs_indo", "ref_bmunits", "bmrs_fuelhh", "bmrs_remit",
    )
)  # fmt: skip
DAY = date(2024, 1, 3)
NEXT = DAY + timedelta(days=1)
FETCHED = utc("2024-01-05 00:00")
NOW = utc("2024-02-01 00:00")
Row = dict[str, Any]


def costs(day: date = DAY, **more: Any) -> list[Row]:
    return [
        {
            "settlementDate": day,
            "settlementPeriod": n,
            "startTime": sp_bounds(day, n)[0],
            "createdDateTime": sp_bounds(day, n)[1],
            "systemSellPrice": 50.0,
            "systemBuyPrice": 50.0,
            "_day": day,
            **more,
        }
        for n in range(1, periods_in_day(day) + 1)
    ]


def stored(dataset: Dataset, rows: list[Row]) -> Memory:
    memory = Memory()
    memory.put(dataset, rows, FETCHED)
    return memory


def plain(result: CheckResult) -> CheckResult:
    json.dumps(dict(result.details))
    return result


# gaps


def gaps(dataset: Dataset, wanted: list[date], *held: Row, now: datetime = NOW) -> CheckResult:
    return plain(check_gaps(dataset, coverage(dataset, wanted, evidence(*held), attempts(), now)))


def test_gaps_pass_when_every_day_is_there() -> None:
    result = gaps(COSTS, [DAY], answer(COSTS, DAY, FETCHED, slots_of(DAY, 1)))
    assert (result.passed, result.missing, result.summary) == (True, (), "1 of 1 day complete")


def test_gaps_name_days_states_ranges_and_the_next_step() -> None:
    wanted = days(date(2024, 1, 1), date(2024, 1, 9))
    held = [answer(COSTS, d, FETCHED, slots_of(d, 1)) for d in wanted if d.day in (1, 5, 6)]
    held.append(answer(COSTS, date(2024, 1, 9), FETCHED, slots_of(date(2024, 1, 9), 1, without=[12])))
    result = gaps(COSTS, wanted, *held)
    assert (result.passed, result.severity, result.check) == (False, "ERROR", "gaps")
    assert result.missing == tuple(date(2024, 1, n) for n in (2, 3, 4, 7, 8, 9))
    assert result.details["states"] == {"missing": 5, "complete": 3, "partial": 1}
    assert [(r["from"], r["to"], r["days"], r["state"]) for r in result.details["ranges"]] == [
        ("2024-01-02", "2024-01-04", 3, "missing"),
        ("2024-01-07", "2024-01-08", 2, "missing"),
        ("2024-01-09", "2024-01-09", 1, "partial"),
    ]
    assert result.details["next step"] == "gbpm backfill bmrs_costs --from 2024-01-02 --to 2024-01-09 --missing"
    assert result.summary == "3 of 9 days complete: 5 missing, 1 partial; first 2024-01-02: never asked"


def test_days_that_are_only_late_warn_and_days_not_due_pass() -> None:
    late = sp_bounds(DAY, 1)[1] + COSTS.lag.lag + COSTS.lag.grace
    result = gaps(COSTS, [DAY], now=late)
    assert (result.passed, result.severity, result.missing) == (False, "WARN", (DAY,))
    assert gaps(COSTS, [DAY], now=sp_bounds(DAY, 1)[0]).passed
    assert gaps(COSTS, []).summary == "no day of this table is wanted"


def test_suspiciously_few_rows_are_a_remark() -> None:
    boalf = DATASETS["bmrs_boalf"]
    result = gaps(boalf, [DAY], answer(boalf, DAY, FETCHED, rows=99))
    assert result.passed
    assert result.details["suspiciously few rows"] == ["2024-01-03"]


# duplicates


def test_duplicates_pass_on_clean_rows() -> None:
    result = plain(check_duplicates(stored(COSTS, [*costs(), *costs(NEXT)]), COSTS, [DAY, NEXT]))
    assert (result.passed, result.summary) == (True, "96 rows on 2 days, every key once")


def test_a_key_stored_twice_is_found_though_its_values_differ() -> None:
    rows = costs()
    memory = stored(COSTS, [*rows, {**rows[6], "systemSellPrice": -1.0}])
    memory.answers = evidence(answer(COSTS, DAY, FETCHED, rows=49, distinct_keys=48))
    result = plain(check_duplicates(memory, COSTS, [DAY]))
    assert (result.passed, result.severity) == (False, "ERROR")
    assert result.details["rows too many"] == 1
    sample = result.details["repeated keys"][0]
    assert (sample["settlementPeriod"], sample["n"], sample["first_day"]) == (7, 2, "2024-01-03")
    assert result.details["next step"].startswith("gbpm deduplicate bmrs_costs says what would go")
    assert "gbpm backfill bmrs_costs --from 2024-01-03" in result.details["next step"]


def test_copies_and_vintages_are_told_apart_and_the_worst_days_come_first() -> None:
    """domain.md 3.2: the same content again is an exact duplicate, another content of the key a vintage."""
    days = [DAY + timedelta(days=n) for n in range(4)]
    one, two, _, four = (costs(day) for day in days)
    rows = [
        *one, one[0],
        *two, two[0], two[0], {**two[5], "systemSellPrice": 1.0},
        *costs(days[2]),
        *four, {**four[0], "systemSellPrice": 2.0}, {**four[0], "systemSellPrice": 3.0}, four[1], four[2], four[3],
    ]  # fmt: skip
    memory = stored(COSTS, rows)
    memory.answers = evidence(*(answer(COSTS, day, FETCHED, rows=48, distinct_keys=48) for day in days))
    result = plain(check_duplicates(memory, COSTS, days))
    assert (result.details["exact copies"], result.details["other content (vintages)"]) == (6, 3)
    assert result.details["rows too many"] == 9
    assert "(6 exact copies, 3 with other content)" in result.summary
    assert result.details["days, worst first"] == [
        {"from": "2024-01-06", "to": "2024-01-06", "exact": 3, "other content": 2},
        {"from": "2024-01-03", "to": "2024-01-04", "exact": 3, "other content": 1},
    ]


def test_nulls_of_a_key_are_equal_and_the_other_unit_name_stands_in() -> None:
    row: Row = {"settlementDate": DAY, "settlementPeriod": 1, "timeFrom": FETCHED, "timeTo": NOW, "_day": DAY}
    units = [
        {"nationalGridBmUnit": "A", "bmUnit": "T_A"},
        {"nationalGridBmUnit": None, "bmUnit": "T_B"},
        {"nationalGridBmUnit": None, "bmUnit": "T_C"},
    ]
    assert check_duplicates(stored(PN, [row | u for u in units]), PN, [DAY]).passed
    again = [*units, {"nationalGridBmUnit": "T_C", "bmUnit": "other"}]
    memory = stored(PN, [row | u for u in again])
    memory.answers = evidence(answer(PN, DAY, FETCHED, rows=4, distinct_keys=3))
    assert check_duplicates(memory, PN, [DAY]).details["rows too many"] == 1
    unit: Row = {"elexonBmUnit": "T_A", "nationalGridBmUnit": None, "_day": DAY}
    memory = stored(UNITS, [unit, unit])
    memory.answers = evidence(answer(UNITS, DAY, FETCHED, rows=2, distinct_keys=1))
    assert not check_duplicates(memory, UNITS, [NEXT]).passed


def test_each_days_snapshot_may_hold_the_same_units() -> None:
    unit: Row = {"elexonBmUnit": "T_A", "nationalGridBmUnit": "A"}
    memory = stored(UNITS, [unit | {"_day": DAY}, unit | {"_day": NEXT}])
    assert check_duplicates(memory, UNITS, [NEXT]).passed


def test_a_period_published_again_the_next_day_is_a_vintage_not_a_duplicate() -> None:
    row: Row = {"settlementDate": DAY, "settlementPeriod": 48, "startTime": FETCHED}
    memory = stored(INDO, [row | {"_day": DAY}, row | {"_day": NEXT}])
    assert check_duplicates(memory, INDO, [DAY, NEXT]).passed
    memory = stored(INDO, [row | {"_day": NEXT}, row | {"_day": NEXT}])
    memory.answers = evidence(answer(INDO, NEXT, FETCHED, rows=2, distinct_keys=1))
    result = plain(check_duplicates(memory, INDO, [DAY, NEXT]))
    assert result.details["repeated keys"][0]["settlementPeriod"] == 48


def test_a_key_without_a_time_is_found_on_two_days() -> None:
    listless = replace(REMIT, version=())
    row: Row = {"mrid": "a", "revisionNumber": 1}
    memory = stored(listless, [row | {"_day": DAY}, row | {"_day": NEXT}])
    result = plain(check_duplicates(memory, listless, [DAY, NEXT]))
    assert not result.passed
    assert (result.details["repeated keys"][0]["last_day"], result.details["rows too many"]) == ("2024-01-04", 1)


def test_evidence_that_claims_more_or_less_than_the_rows_is_found() -> None:
    for claimed in (47, 49):
        memory = stored(COSTS, [*costs(), *costs(NEXT)])
        memory.answers = evidence(answer(COSTS, DAY, FETCHED, rows=48), answer(COSTS, NEXT, FETCHED, rows=claimed))
        result = plain(check_duplicates(memory, COSTS, [DAY, NEXT]))
        assert not result.passed
        assert [(d["day"], d["evidence_rows"], d["stored_rows"]) for d in result.details["evidence differs"]] == [
            ("2024-01-04", claimed, 48)
        ]
    memory = stored(COSTS, costs())
    memory.answers = pl.concat([memory.answers, evidence(answer(COSTS, NEXT, FETCHED, rows=48))])
    assert "2024-01-04" in check_duplicates(memory, COSTS, [DAY, NEXT]).summary


def test_a_writer_between_data_and_evidence_is_no_difference() -> None:
    memory = stored(COSTS, costs())
    right = memory.answers
    memory.answers = evidence(answer(COSTS, DAY, FETCHED, rows=40))
    ask = memory.sql

    def late(query: str, *, dialect: str = "duckdb") -> pl.DataFrame:
        memory.answers = right  # the writer's evidence lands after the first look
        return ask(query, dialect=dialect)

    memory.sql = late
    assert check_duplicates(memory, COSTS, [DAY]).passed


def test_one_query_a_table_however_many_days() -> None:
    wanted = days(date(2024, 1, 1), date(2024, 3, 31))
    memory = stored(COSTS, [r for d in wanted for r in costs(d)])
    assert check_duplicates(memory, COSTS, wanted).passed
    assert len(memory.queries) == 1


# validity


def valid(dataset: Dataset, rows: list[Row]) -> CheckResult:
    wanted = sorted({r["_day"] for r in rows})
    return plain(check_validity(stored(dataset, rows), dataset, wanted))


def test_valid_rows_pass_on_every_length_of_day() -> None:
    for day in (DAY, date(2024, 3, 31), date(2024, 10, 27), date(2024, 7, 1)):
        assert valid(COSTS, costs(day)).passed


def at(row: int, **change: Any) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [{**r, **change} if i == row else r for i, r in enumerate(rows)]


@pytest.mark.parametrize(
    ("fault", "severity", "rule"),
    [
        (at(3, settlementPeriod=None), "ERROR", "key not null"),
        (at(3, settlementPeriod=49), "ERROR", "settlement period"),
        (at(3, settlementPeriod=0), "ERROR", "settlement period"),
        (at(3, startTime=utc("2024-01-03 01:31")), "ERROR", "start time"),
        (at(3, startTime=utc("2024-01-03 02:00")), "ERROR", "start time"),
        (at(3, settlementDate=NEXT, startTime=utc("2024-01-04 01:30")), "ERROR", "partition"),
        (at(3, systemSellPrice=99_999.5, systemBuyPrice=99_999.5), "WARN", "systemSellPrice"),
        (at(3, systemSellPrice=-100_000.0, systemBuyPrice=-100_000.0), "WARN", "systemBuyPrice"),
        (at(3, systemSellPrice=50.0101), "WARN", "SSP = SBP"),
    ],
)
def test_each_rule_finds_its_offender(fault: Callable[[list[Row]], list[Row]], severity: str, rule: str) -> None:
    result = valid(COSTS, fault(costs()))
    assert (result.passed, result.severity) == (False, severity)
    offence = result.details["offences"][rule]
    assert (offence["severity"], offence["rows"], len(offence["first"])) == (severity, 1, 1)


def test_limits_themselves_are_valid() -> None:
    assert valid(COSTS, at(3, systemSellPrice=50.01)(costs())).passed
    assert valid(COSTS, at(3, systemSellPrice=99_999.0, systemBuyPrice=99_999.0)(costs())).passed
    assert valid(COSTS, at(3, systemSellPrice=None)(costs())).passed  # an absent value is a gap, not a fault
    old = date(2015, 11, 4)
    assert valid(COSTS, costs(old, systemSellPrice=1.0)).passed


def test_only_five_offenders_are_shown_and_all_are_counted() -> None:
    offence = valid(COSTS, costs(systemSellPrice=60.0)).details["offences"]["SSP = SBP"]
    assert (offence["rows"], len(offence["first"])) == (48, 5)


def test_frequency_times_and_output() -> None:
    sample: Row = {"measurementTime": utc("2024-01-03 12:00:15"), "_day": DAY}
    assert valid(FREQ, [sample | {"frequency": 45.0}]).passed
    assert valid(FREQ, [sample | {"frequency": 55.1}]).severity == "WARN"
    unit: Row = {"settlementDate": DAY, "settlementPeriod": 1, "levelFrom": 1, "levelTo": 1, "_day": DAY}
    span: Row = {"timeFrom": utc("2024-01-03 00:00"), "timeTo": utc("2024-01-03 00:30")}
    assert valid(PN, [unit | span | {"bmUnit": "T_A"}]).passed
    turned = valid(PN, [unit | span | {"bmUnit": "T_A", "timeTo": span["timeFrom"]}])
    assert "timeFrom < timeTo" in turned.details["offences"]
    nameless = valid(PN, [unit | span])
    assert nameless.severity == "ERROR"
    assert "nationalGridBmUnit or bmUnit" in nameless.details["offences"]
    hour: Row = {"settlementDate": DAY, "settlementPeriod": 1, "fuelType": "WIND", "_day": DAY}
    hour["startTime"] = utc("2024-01-03 00:00")
    assert valid(FUELHH, [hour | {"generation": 60_000}]).passed
    assert valid(FUELHH, [hour | {"generation": 60_001}]).severity == "WARN"


def test_five_minute_rows_lie_inside_their_period() -> None:
    fuelinst = DATASETS["bmrs_fuelinst"]
    row: Row = {"settlementDate": DAY, "settlementPeriod": 1, "fuelType": "WIND", "generation": 1, "_day": DAY}
    assert valid(fuelinst, [row | {"startTime": utc("2024-01-03 00:25")}]).passed
    late = valid(fuelinst, [row | {"startTime": utc("2024-01-03 00:30")}])
    assert late.details["offences"]["start time"]["rows"] == 1


def test_in_summer_the_day_and_its_periods_begin_at_23_utc() -> None:
    day, row = date(2024, 7, 1), {"psrType": "Solar", "quantity": 1.0, "settlementPeriod": 1}
    agpt = DATASETS["bmrs_agpt_series"]
    assert valid(agpt, [row | {"startTime": utc("2024-06-30 23:00"), "_day": day}]).passed
    late = valid(agpt, [row | {"startTime": utc("2024-07-01 00:00"), "_day": day}])
    assert set(late.details["offences"]) == {"start time"}
    before = valid(agpt, [row | {"startTime": utc("2024-06-29 23:00"), "_day": day}])
    assert set(before.details["offences"]) == {"partition"}


def test_types_are_checked() -> None:
    memory = stored(COSTS, costs())
    memory.tables["bmrs_costs"] = memory.tables["bmrs_costs"].with_columns(pl.col("systemSellPrice").cast(pl.String))
    result = plain(check_validity(memory, COSTS, [DAY]))
    assert (result.passed, result.severity) == (False, "ERROR")
    assert "systemSellPrice" in result.details["offences"]["types"]["first"][0]["problem"]


def test_rows_in_quarantine_warn() -> None:
    memory = stored(COSTS, costs())
    rows = [{"table": "bmrs_costs", "day": DAY, "reason": "null key"}] * 2
    rows.append({"table": "bmrs_costs", "day": NEXT, "reason": "null key"})
    memory.aside = pl.DataFrame([{**dict.fromkeys(QUARANTINE_SCHEMA), **r} for r in rows], schema=QUARANTINE_SCHEMA)
    result = plain(check_validity(memory, COSTS, [DAY]))
    assert (result.passed, result.severity) == (False, "WARN")
    assert result.details["quarantined"] == {"null key": 2}


def test_columns_that_answers_did_not_have_warn_except_in_recordings() -> None:
    memory = stored(COSTS, costs())
    bare = answer(COSTS, DAY, FETCHED, slots_of(DAY, 1), absent_columns=["bsadDefaulted", "replacementPrice"])
    memory.answers = evidence(bare)
    result = plain(check_validity(memory, COSTS, [DAY]))
    assert (result.passed, result.severity) == (False, "WARN")
    assert "bsadDefaulted" in result.summary and "replacementPrice" in result.summary
    restored = plain(check_validity(memory, COSTS, [DAY], recorded=True))
    assert restored.passed
    assert restored.details["columns the answers did not have, by days"] == {
        "bsadDefaulted": 1,
        "replacementPrice": 1,
    }


# freshness


def fresh(
    newest: datetime, now: datetime, dataset: Dataset = FREQ, recorded: bool = False, last: date = DAY
) -> CheckResult:
    rows = [{"measurementTime": newest, "timeFrom": newest, "startTime": newest, "_day": DAY}]
    known = [{k: v for k, v in r.items() if k in (*dataset.names, "_day")} for r in rows]
    return plain(check_freshness(stored(dataset, known), dataset, now, [last], recorded))


NOON = utc("2024-01-03 12:00")


@pytest.mark.parametrize(
    ("minutes", "passed", "severity"),
    [(0, True, "ERROR"), (29, True, "ERROR"), (30, False, "WARN"), (59, False, "WARN"), (60, False, "ERROR")],
)
def test_freshness_of_a_stream(minutes: int, passed: bool, severity: str) -> None:
    result = fresh(NOON - timedelta(minutes=minutes), NOON)
    assert (result.passed, result.severity) == (passed, severity)
    assert result.details["age minutes"] == minutes


def test_a_value_in_the_future_is_a_wrong_clock_but_not_where_values_lie_ahead() -> None:
    ahead = NOON + timedelta(minutes=6)
    assert "clock" in fresh(ahead, NOON).summary
    assert not fresh(ahead, NOON).passed
    assert fresh(NOON + timedelta(minutes=4), NOON).passed
    assert fresh(ahead, NOON, PN).passed
    assert fresh(ahead, NOON, DATASETS["bmrs_demand_forecast_latest"]).passed


def test_recorded_data_is_measured_at_the_end_of_the_last_wanted_day() -> None:
    result = fresh(utc("2024-01-03 23:59:45"), utc("2026-01-01 00:00"), recorded=True)
    assert result.passed
    assert result.summary.startswith("recorded data: newest measurementTime 2024-01-03T23:59:45Z")
    assert not fresh(utc("2024-01-03 22:59"), utc("2026-01-01 00:00"), recorded=True).passed


def test_the_start_of_a_period_is_aged_from_when_its_row_is_due() -> None:
    start = utc("2024-01-03 12:00")
    due = start + timedelta(minutes=30) + COSTS.lag.lag
    assert fresh(start, due + timedelta(minutes=44), COSTS).passed
    assert fresh(start, due + timedelta(minutes=45), COSTS).severity == "WARN"
    assert fresh(start, due + timedelta(minutes=90), COSTS).severity == "ERROR"
    assert not fresh(start, due + timedelta(minutes=90), COSTS).passed


@pytest.mark.parametrize(
    ("table", "rows", "ends"),
    [
        # 50 periods: period 49 ends at 23:30 London time, which is UTC again
        ("bmrs_netbsad", [("2024-10-27", 49), ("2024-10-27", 2), ("2024-10-26", 50)], "2024-10-27 23:30"),
        ("bmrs_market_depth", [("2024-07-02", 48), ("2024-07-03", 1)], "2024-07-02 23:30"),
        ("lss_load_shape_totals", [("2024-07-02", None)], "2024-07-02 23:00"),
    ],
)
def test_a_settlement_date_is_aged_from_the_end_of_its_last_period_or_day(
    table: str, rows: list[tuple[str, int]], ends: str
) -> None:
    """Not from the beginning of the day: netbsad's limit of 45 minutes was broken at every hour of a complete day."""
    dataset = DATASETS[table]
    known = [{"settlementDate": date.fromisoformat(d), "settlementPeriod": p, "_day": DAY} for d, p in rows]
    memory = stored(dataset, [{k: v for k, v in r.items() if k in (*dataset.names, "_day")} for r in known])
    due = utc(ends) + dataset.lag.lag
    for late, band in ((timedelta(), "ok"), (dataset.freshness.warn, "WARN"), (dataset.freshness.fail, "ERROR")):
        result = check_freshness(memory, dataset, due + late, [date(2024, 12, 1)], False)
        assert (result.passed, result.severity) == (band == "ok", "ERROR" if band == "ok" else band)
        assert result.details["age minutes"] == late / timedelta(minutes=1)


def test_an_empty_table_fails_and_a_table_out_of_scope_does_not() -> None:
    assert "no rows" in check_freshness(Memory(), FREQ, NOON, [DAY], False).summary
    assert not check_freshness(Memory(), FREQ, NOON, [DAY], False).passed
    assert check_freshness(Memory(), FREQ, NOON, [], False).passed


@pytest.mark.parametrize("table", ["bmrs_triad_peaks", "bmrs_yafm", "bmrs_generation_current"])
def test_where_no_age_is_too_old_freshness_passes_and_says_so(table: str) -> None:
    """domain.md 8.3 has no line for values that never change or come once a year: an empty table is none either."""
    dataset = DATASETS[table]
    assert not dataset.freshness.judged
    result = check_freshness(Memory(), dataset, NOON, [DAY], False)
    assert (result.passed, result.summary) == (True, "nothing says when its next value is due")


def test_freshness_is_judged_where_there_is_a_limit() -> None:
    assert {d.table for d in DATASETS.values() if not d.freshness.judged} == {
        d.table for d in DATASETS.values() if d.freshness.rule == "none"
    }
    assert FREQ.freshness.judged and UNITS.freshness.judged and REMIT.freshness.judged


def test_a_snapshot_is_as_old_as_its_last_answer() -> None:
    memory = stored(UNITS, [{"elexonBmUnit": "T_A", "_day": DAY}])
    assert check_freshness(memory, UNITS, FETCHED, [date(2024, 1, 5)], False).passed
    old = check_freshness(memory, UNITS, FETCHED + timedelta(days=4), [date(2024, 1, 9)], False)
    assert (old.passed, old.severity) == (False, "ERROR")


# all of them


def test_run_checks_gives_each_check_of_each_table_in_order() -> None:
    memory = stored(COSTS, costs())
    found = run_checks(memory, [COSTS, MID], {"bmrs_costs": [DAY]}, NOW)
    assert [(r.table, r.check) for r in found] == [(t, c) for t in ("bmrs_costs", "bmrs_mid") for c in ALL]
    only = run_checks(memory, [COSTS], {"bmrs_costs": [DAY]}, NOW, which=["freshness"])
    assert [r.check for r in only] == ["freshness"]
    with pytest.raises(ValueError, match="'gap'"):
        run_checks(memory, [COSTS], {}, NOW, which=["gap"])


def test_a_table_that_cannot_be_read_fails_alone() -> None:
    memory = stored(COSTS, costs())

    def broken(query: str, *, dialect: str = "duckdb") -> pl.DataFrame:
        raise QueryError("bmrs_costs cannot be read: a file is gone")

    memory.sql = broken
    found = {r.check: r for r in run_checks(memory, [COSTS], {"bmrs_costs": [DAY]}, NOW)}
    assert "a file is gone" in found["duplicates"].summary
    assert not found["duplicates"].passed
    assert found["validity"].passed
