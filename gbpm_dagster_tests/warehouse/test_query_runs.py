"""SQL over settlement runs and vintages, asked of a real lake as a person would, in both dialects."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import QueryError
from gbpm_dagster.warehouse.query import DIALECTS
from gbpm_dagster_tests.warehouse.rows import COSTS, MID, answer, cost_row, frame, mid
from gbpm_dagster_tests.warehouse.test_views import CALENDAR, RUN_DAY


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


II, SF, RF = at("2025-04-17 10:00"), at("2025-05-07 10:00"), at("2026-06-10 10:00")
"""When the rows were made: on the dates of cal-05's runs. Received the day after."""


class Counting:
    """A calendar that counts how often it was needed."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> pl.DataFrame:
        self.calls += 1
        return CALENDAR


def priced(made: datetime, *prices: float) -> pl.DataFrame:
    start = at("2025-04-09 23:00")  # London is an hour ahead
    return frame(COSTS, [cost_row(RUN_DAY, n, p, made, start) for n, p in enumerate(prices, 1)])


@pytest.fixture
def calendar() -> Counting:
    return Counting()


@pytest.fixture
def lake(tmp_path: Path, calendar: Counting) -> Lake:
    """10 April 2025, two periods: II 80 and 90; in SF the first becomes 85; then a third run says the same, RF."""
    lake = Lake(tmp_path, calendar=calendar)
    lake.replace(COSTS, [answer(priced(II, 80, 90), RUN_DAY, at("2025-04-22 05:00"))])
    lake.replace(COSTS, [answer(priced(SF, 85, 90), RUN_DAY, at("2025-05-08 05:00"))])
    lake.replace(MID, [answer(mid(date(2024, 1, 3)), date(2024, 1, 3))])
    return lake


def test_provisional_and_final_are_told_apart(lake: Lake) -> None:
    text = "SELECT settlementPeriod, systemSellPrice, _run, _final FROM bmrs_costs ORDER BY settlementPeriod"
    assert lake.sql(text).rows() == [(1, 85.0, "SF", False), (2, 90.0, "SF", False)]
    lake.replace(COSTS, [answer(priced(RF, 85, 91), RUN_DAY, at("2026-06-11 05:00"))])
    assert lake.sql(text).rows() == [(1, 85.0, "RF", True), (2, 91.0, "RF", True)]
    assert lake.sql("SELECT count(*) FROM bmrs_costs WHERE NOT _final").item() == 0


AS_OF = {
    "duckdb": "SELECT settlementPeriod AS p, systemSellPrice AS s FROM bmrs_costs_history WHERE _known_from <= "
    "TIMESTAMPTZ '{0}+00' AND (_known_until IS NULL OR _known_until > TIMESTAMPTZ '{0}+00') ORDER BY p",
    "bigquery": "SELECT settlementPeriod AS p, systemSellPrice AS s FROM `my-project.uk_energy.bmrs_costs_history` "
    "WHERE _known_from <= TIMESTAMP '{0}+00' AND (_known_until IS NULL OR _known_until > TIMESTAMP '{0}+00') "
    "ORDER BY p",
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("then", "rows"),
    [
        ("2025-04-17 09:59:59", []),
        ("2025-04-17 10:00:00", [(1, 80.0), (2, 90.0)]),
        ("2025-05-07 09:59:59", [(1, 80.0), (2, 90.0)]),
        ("2025-05-07 10:00:00", [(1, 85.0), (2, 90.0)]),
        ("2031-01-01 00:00:00", [(1, 85.0), (2, 90.0)]),
    ],
)
def test_what_was_believed_at_an_instant(lake: Lake, dialect: str, then: str, rows: list[tuple[int, float]]) -> None:
    assert lake.sql(AS_OF[dialect].format(then), dialect=dialect).rows() == rows


@pytest.mark.parametrize("dialect", DIALECTS)
def test_runs_stand_side_by_side(lake: Lake, dialect: str) -> None:
    text = """SELECT settlementPeriod, MAX(CASE WHEN _run = 'II' THEN systemSellPrice END) AS ii,
                MAX(CASE WHEN _run = 'SF' THEN systemSellPrice END) AS sf
              FROM bmrs_costs_history WHERE settlementDate = DATE '2025-04-10'
              GROUP BY settlementPeriod ORDER BY settlementPeriod"""
    assert lake.sql(text, dialect=dialect).rows() == [(1, 80.0, 85.0), (2, 90.0, 90.0)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_calendar_can_be_asked(lake: Lake, dialect: str) -> None:
    text = "SELECT run, run_date FROM gbpm_settlement_runs WHERE settlementDate = DATE '2025-04-10' ORDER BY run_date"
    assert lake.sql(text, dialect=dialect).rows() == [
        ("II", date(2025, 4, 17)), ("SF", date(2025, 5, 7)), ("R1", date(2025, 6, 10)),
        ("R2", date(2025, 8, 12)), ("R3", date(2025, 11, 19)), ("RF", date(2026, 6, 10)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("SELECT avg(systemSellPrice) FROM bmrs_costs", False),
        ("SELECT count(*) FROM bmrs_costs", False),
        ("SELECT *, 1 FROM (SELECT settlementDate FROM bmrs_costs) AS c", False),
        (
            "SELECT m.* FROM bmrs_mid AS m JOIN (SELECT settlementDate FROM bmrs_costs) AS c USING (settlementDate)",
            False,
        ),
        ("SELECT * FROM bmrs_mid", False),
        ("SELECT settlementDate FROM bmrs_costs_history WHERE _known_until IS NULL", False),
        ("SELECT _run FROM bmrs_costs", True),
        ("SELECT 1 FROM bmrs_costs WHERE _FINAL", True),
        ("SELECT * FROM bmrs_costs", True),
        ("FROM bmrs_costs", True),
        ("SELECT c.* FROM bmrs_costs AS c", True),
        ("SELECT c FROM bmrs_costs AS c", True),
        ("SELECT COLUMNS('_r.*') FROM bmrs_costs", True),
        ("SELECT * EXCLUDE (systemSellPrice) FROM bmrs_costs_history", True),
        ("WITH c AS (SELECT * FROM bmrs_costs) SELECT count(*) FROM c", True),
    ],
)
def test_a_query_that_does_not_name_the_runs_does_not_pay_for_them(
    lake: Lake, calendar: Counting, text: str, needed: bool
) -> None:
    lake.sql(text)
    assert (calendar.calls > 0) == needed


def test_a_star_shows_the_runs_last(lake: Lake) -> None:
    ours = ["_day", "_fetched_at", "_source"]
    assert lake.sql("SELECT * FROM bmrs_costs").columns == [*COSTS.names, *ours, "_run", "_final"]
    known = ["_known_from", "_known_until"]
    assert lake.sql("SELECT * FROM bmrs_costs_history").columns == [*COSTS.names, *ours, *known, "_run", "_final"]
    assert lake.sql("SELECT * FROM bmrs_mid_history").columns == [*MID.names, *ours, *known]


def test_tables_that_are_not_re_run_have_no_run(lake: Lake) -> None:
    with pytest.raises(QueryError, match='"_run" not found'):
        lake.sql("SELECT _run FROM bmrs_mid")
    assert lake.sql("SELECT count(*) FROM bmrs_mid_history WHERE _known_until IS NULL").item() == 96


def test_without_a_calendar_no_run_is_guessed(tmp_path: Path) -> None:
    bare = Lake(tmp_path)
    bare.replace(COSTS, [answer(priced(II, 80), RUN_DAY)])
    assert bare.sql("SELECT _run, _final FROM bmrs_costs").rows() == [(None, None)]
    assert bare.sql("SELECT count(*) FROM gbpm_settlement_runs").item() == 0


def test_hints_offer_histories_only_to_who_asks_for_one(lake: Lake) -> None:
    with pytest.raises(QueryError, match=r"no table 'bmrs_cost': did you mean bmrs_costs") as told:
        lake.sql("SELECT * FROM bmrs_cost")
    assert "_history" not in str(told.value)
    with pytest.raises(QueryError, match=r"did you mean bmrs_costs_history"):
        lake.sql("SELECT * FROM bmrs_cost_history")
