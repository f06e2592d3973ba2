"""`gbpm runs`: what it prints for people and for scripts, and what it refuses.

Worked by hand (1 January 2024 a bank holiday): SF of 1 January is on the 23rd, of 2 to 4 January later; II of the 5th
is on the 12th. Each is due at 05:00 of the working day after.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.market.calendar import days
from gbpm_dagster.warehouse.protocol import Arrival, frame_schema
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import DEAD, Gbpm

COSTS = DATASETS["bmrs_costs"]
ANSWERED = datetime(2024, 1, 12, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def gbpm(make_gbpm: MakeGbpm) -> Gbpm:
    """1 to 5 January, asked for on the 12th; it is the 24th. The source is out of reach."""
    made = make_gbpm(DEAD, GBPM_DATASETS="bmrs_costs bmrs_mid", GBPM_NOW="2024-01-24T12:00:00Z")
    nothing = pl.DataFrame(schema=frame_schema(COSTS))
    made.runtime().lake.replace(
        COSTS,
        [
            Arrival(d, nothing, ANSWERED, windows_asked=1, windows_answered=1)
            for d in days(ANSWERED.date().replace(day=1), ANSWERED.date().replace(day=5))
        ],
    )
    return made


COSTS_NOW = {
    "held": 5,
    "due": 2,
    "runs": {"II": 1, "SF": 1},
    "days": {"2024-01-01": "SF", "2024-01-05": "II"},
    "runs_due": 6,  # II of five days, SF of one
    "runs_held": 4,  # II of the first four
    "vintage_completeness": 4 / 6,
}


def test_json_is_the_contract(gbpm: Gbpm) -> None:
    done = gbpm("runs", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {"tables": {"bmrs_costs": COSTS_NOW}}


def test_a_person_is_told_the_days_the_reasons_and_what_to_do(gbpm: Gbpm) -> None:
    done = gbpm("runs", "bmrs_costs")
    assert done.code == 0
    assert "bmrs_costs 5 2 II 1, SF 1 4/6 (67 %)" in done.words
    assert "`gbpm runs --fetch` fetches them" in done.out
    assert all(len(line.rstrip()) <= 80 for line in done.out.splitlines()[:-1])


def test_a_range_limits_it(gbpm: Gbpm) -> None:
    some = gbpm("runs", "--from", "2024-01-02", "--to", "2024-01-05", "--json").json["tables"]["bmrs_costs"]
    assert (some["held"], some["days"]) == (4, {"2024-01-05": "II"})
    assert gbpm("runs", "--from", "2024-01-25").code == 2


def test_a_fetch_that_finds_no_source_names_the_days_and_goes_on_saying_them_due(gbpm: Gbpm) -> None:
    done = gbpm("runs", "--fetch", "--json")
    assert done.code == 3
    assert list(done.json) == ["tables", "runs", "requests", "missing"]
    assert list(done.json["missing"]) == ["bmrs_costs"]
    assert sorted(done.json["missing"]["bmrs_costs"]) == ["2024-01-01", "2024-01-05"]
    assert len(done.json["runs"]) == 2  # one a settlement run
    shown = gbpm("runs", "--fetch")
    assert shown.code == 3
    assert "not fetched" in shown.out and "2 runs" in shown.out
    assert gbpm("runs", "--json").json["tables"]["bmrs_costs"] == COSTS_NOW


def test_a_published_calendar_moves_what_is_due(gbpm: Gbpm, tmp_path: Path) -> None:
    file = tmp_path / "calendar.csv"
    file.write_text("settlementDate,run,date\n2024-01-01,SF,2024-01-24\n2024-01-04,SF,2024-01-22\n")
    moved = gbpm("runs", "--json", GBPM_SETTLEMENT_CALENDAR=str(file)).json["tables"]["bmrs_costs"]
    assert moved["days"] == {"2024-01-04": "SF", "2024-01-05": "II"}
    rows = gbpm(
        "sql",
        "SELECT run_date FROM gbpm_settlement_runs WHERE run = 'SF' AND settlementDate < '2024-01-05' "
        "AND settlementDate > '2023-12-31' ORDER BY settlementDate",
        "--format",
        "json",
        GBPM_SETTLEMENT_CALENDAR=str(file),
    )
    assert [r["run_date"] for r in rows.json] == ["2024-01-24", "2024-01-24", "2024-01-25", "2024-01-22"]


def test_the_calendar_reaches_from_2015_to_two_years_ahead(gbpm: Gbpm) -> None:
    text = "SELECT min(settlementDate) AS a, max(settlementDate) AS b, count(*) AS n FROM gbpm_settlement_runs"
    (row,) = gbpm("sql", text, "--format", "json").json
    assert (row["a"], row["b"], row["n"]) == ("2015-01-01", "2026-01-24", 6 * 4042)


def test_tables_that_are_not_re_run_are_refused_by_name(gbpm: Gbpm) -> None:
    done = gbpm("runs", "bmrs_mid")
    assert (done.code, done.out) == (2, "")
    assert "bmrs_mid is not re-run by settlement: the tables that are: bmrs_costs" in done.words
    none = gbpm("runs", GBPM_DATASETS="bmrs_mid")
    assert none.code == 0 and "no table of this home is re-run by settlement" in none.out
    assert gbpm("runs", "bmrs_cost").code == 2
