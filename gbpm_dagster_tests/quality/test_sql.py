"""Every statement of this room in both dialects: DuckDB's and BigQuery's (decision 14)."""

from __future__ import annotations

import inspect
from datetime import date, timedelta

import polars as pl
import pytest
import sqlglot

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.market.calendar import days
from gbpm_dagster.quality import learned, sql
from gbpm_dagster.warehouse.protocol import stored_schema
from gbpm_dagster_tests.quality.helpers import Memory

DAYS = days(date(2024, 1, 1), date(2024, 1, 3))


def statements(dataset: Dataset) -> dict[str, str]:
    """Each function of quality/sql.py that builds a statement, called for this table."""
    found = {
        "rows_and_keys": sql.rows_and_keys(dataset, DAYS),
        "repeated_keys": sql.repeated_keys(dataset, DAYS, within_day=True, limit=5),
    }
    if dataset.table in learned.TABLES:
        found["member_periods"] = sql.member_periods(dataset, DAYS)
    if dataset.freshness.column:
        found["newest"] = sql.newest(dataset, dataset.freshness.column)
    return found


def test_all_statements_are_tested() -> None:
    helpers = {"name", "day_condition", "key_expressions"}
    public = {n for n, f in inspect.getmembers(sql, inspect.isfunction) if f.__module__ == sql.__name__}
    assert public - helpers == set(statements(DATASETS["bmrs_pn"]))


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda d: d.table)
def test_statements_run_as_they_are_and_after_a_round_trip_through_bigquery(dataset: Dataset) -> None:
    memory = Memory()
    day = DAYS[0]
    row = {**dict.fromkeys(stored_schema(dataset)), "_day": day}
    memory.tables[dataset.table] = pl.DataFrame([row, row], schema=stored_schema(dataset))
    for query in statements(dataset).values():
        bigquery = sqlglot.transpile(query, read="duckdb", write="bigquery")[0]
        assert '"' not in bigquery
        back = sqlglot.transpile(bigquery, read="bigquery", write="duckdb")[0]
        assert memory.sql(query).rows() == memory.sql(back).rows()
    repeated = memory.sql(statements(dataset)["repeated_keys"])
    assert (repeated["n"][0], repeated["extra"][0]) == (2, 1)


def test_more_ranges_than_a_statement_should_hold_become_their_span() -> None:
    scattered = [date(2024, 1, 1) + timedelta(days=2 * i) for i in range(sql.MAX_RANGES + 1)]
    assert sql.day_condition(scattered).count("BETWEEN") == 1
    assert sql.day_condition(scattered[:-1]).count("BETWEEN") == sql.MAX_RANGES
    assert sql.day_condition(days(date(2022, 1, 1), date(2025, 1, 1))).count("BETWEEN") == 1
