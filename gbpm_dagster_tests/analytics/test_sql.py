"""Each statement says what its function says, as written and after duckdb -> bigquery -> duckdb."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlglot
from polars.testing import assert_frame_equal

from gbpm_dagster.analytics import sql
from gbpm_dagster.analytics.extremes import extremes
from gbpm_dagster.analytics.generation import carbon_intensity, generation_mix
from gbpm_dagster.analytics.spread import spread, summarise
from gbpm_dagster.market.carbon import FACTORS, Factor
from gbpm_dagster_tests.analytics.day import DAY, frame, recorded

NEXT = date(2024, 1, 4)
"""A second, made-up day with everything the recorded one lacks: nulls, one-sided and silent periods."""


def odd(period: int, **values: Any) -> dict[str, Any]:
    return {"settlementDate": str(NEXT), "settlementPeriod": period, **values}


TABLES = {
    "bmrs_fuelhh": [
        odd(1, fuelType="CCGT", generation=100),
        odd(1, fuelType="UNHEARD", generation=40),
        odd(1, fuelType="INTFR", generation=-70),
        odd(1, fuelType="PS", generation=None),
        odd(2, fuelType="INTFR", generation=30),
        odd(2, fuelType="WIND", generation=0),
    ],
    "bmrs_costs": [
        odd(1, systemSellPrice=80.0),
        odd(2, systemSellPrice=-20.0),
        odd(3, systemSellPrice=None),
        odd(5, systemSellPrice=80.0),
        odd(6, systemSellPrice=12.5),
    ],
    "bmrs_mid": [
        odd(1, dataProvider="APXMIDP", price=80.0, volume=1500.0),
        odd(1, dataProvider="N2EXMIDP", price=0.0, volume=0.0),
        odd(2, dataProvider="APXMIDP", price=0.0, volume=200.0),
        odd(2, dataProvider="N2EXMIDP", price=90.0, volume=50.0),
        odd(3, dataProvider="APXMIDP", price=75.0, volume=0.0),
        odd(4, dataProvider="APXMIDP", price=-5.0, volume=3.0),
        odd(5, dataProvider="APXMIDP", price=0.0, volume=0.0),
        odd(6, dataProvider="APXMIDP", price=12.5, volume=None),
        odd(6, dataProvider="N2EXMIDP", price=99.0, volume=0.0),
    ],
}
WHOLE = {table: pl.concat([recorded(table), frame(table, rows)]) for table, rows in TABLES.items()}
SPANS = [(DAY, DAY), (NEXT, NEXT), (DAY, NEXT), (date(2020, 1, 1), date(2020, 1, 1))]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for table, rows in WHOLE.items():
            connection.register(table, rows.to_arrow())
        yield connection


def both(con: duckdb.DuckDBPyConnection, text: str) -> pl.DataFrame:
    """The rows of the statement; those of its way to BigQuery's dialect and back must be the same, in order."""
    bigquery = sqlglot.transpile(text, read="duckdb", write="bigquery", unsupported_level=sqlglot.ErrorLevel.RAISE)[0]
    back = sqlglot.transpile(bigquery, read="bigquery", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)[0]
    assert '"' not in bigquery  # names are quoted BigQuery's way: a double quote would begin a string there
    there, again = (pl.DataFrame(pl.from_arrow(con.sql(t).to_arrow_table())) for t in (text, back))
    assert_frame_equal(there, again, check_dtypes=False)
    return there


def cut(table: str, start: date, end: date) -> pl.DataFrame:
    return WHOLE[table].filter(pl.col("settlementDate").is_between(start, end))


def same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert found.columns == expected.columns
    assert_frame_equal(found, expected, check_dtypes=False, rel_tol=1e-12, abs_tol=1e-9)


@pytest.mark.parametrize(("start", "end"), SPANS)
def test_generation_mix(con: duckdb.DuckDBPyConnection, start: date, end: date) -> None:
    same(both(con, sql.generation_mix(start, end)), generation_mix(cut("bmrs_fuelhh", start, end)))


@pytest.mark.parametrize("day", [DAY, NEXT, date(2020, 1, 1)])
def test_carbon_intensity(con: duckdb.DuckDBPyConnection, day: date) -> None:
    factors = (*FACTORS, Factor("CCGT", 400.0, "a test", 2024, effective=NEXT), Factor("IT'S", 1.0, "a test", 2024))
    [row] = both(con, sql.carbon_intensity(day, factors)).to_dicts()
    want = carbon_intensity(cut("bmrs_fuelhh", day, day), interval_min=30, factors=factors)
    assert row == {
        name: None if getattr(want, name) is None else pytest.approx(getattr(want, name), rel=1e-12)
        for name in ("supply_mwh", "tco2", "gco2_per_kwh", "assumed_share")
    }


def test_carbon_intensity_needs_a_factor_for_the_unknown() -> None:
    with pytest.raises(LookupError, match="OTHER"):
        sql.carbon_intensity(DAY, [Factor("CCGT", 394.0, "a test", 2023)])


@pytest.mark.parametrize(("start", "end"), SPANS)
def test_spread(con: duckdb.DuckDBPyConnection, start: date, end: date) -> None:
    want = spread(cut("bmrs_costs", start, end), cut("bmrs_mid", start, end))
    same(both(con, sql.spread(start, end)), want)
    [row] = both(con, sql.spread_counts(start, end)).to_dicts()
    summary = summarise(want)
    assert row == {
        name: None if getattr(summary, name) is None else pytest.approx(getattr(summary, name), rel=1e-12)
        for name in row
    }


@pytest.mark.parametrize(("start", "end"), SPANS)
def test_extremes(con: duckdb.DuckDBPyConnection, start: date, end: date) -> None:
    rows = both(con, sql.extremes(start, end, 3))
    want = extremes(cut("bmrs_costs", start, end), 3)
    for rank, periods in (("dearest_rank", want.dearest), ("cheapest_rank", want.cheapest)):
        got = rows.filter(pl.col(rank) <= 3).sort(rank).select("settlementDate", "settlementPeriod").rows()
        assert got == [(p.settlement_date, p.settlement_period) for p in periods]
