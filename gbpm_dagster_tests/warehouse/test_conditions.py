"""What a condition may be, what is refused, and the days it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.warehouse.conditions import column_named, condition, day_bounds
from gbpm_dagster.warehouse.protocol import QueryError

COLUMNS = ("startTime", "dataProvider", "settlementDate", "settlementPeriod", "price", "volume", "_day")
DAY = date(2024, 1, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1=1; DROP TABLE bmrs_mid", "is not one condition"),
        ("1=1) UNION SELECT (1", "is not one condition"),
        ("price > 5 UNION ALL SELECT * FROM bmrs_bod", "is not one condition"),
        ("price > 5 ORDER BY price", "is not one condition"),
        ("price > 5 LIMIT 1", "is not one condition"),
        ("price > 5, volume > 5", "is not one condition"),
        ("1=1 QUALIFY row_number() OVER () = 1", "is not one condition"),
        ("DROP TABLE bmrs_mid", "is not one condition"),
        ("SELECT 1", "is not one condition"),
        ("price >", "is not one condition"),
        ("price > (SELECT max(price) FROM bmrs_mid)", "asks a table"),
        ("price IN (FROM bmrs_bod)", "asks a table"),
        ("EXISTS (SELECT 1)", "asks a table"),
        ("price = ANY (SELECT 1)", "asks a table"),
        ("price > ?", "placeholder"),
        ("price > $1", "placeholder"),
        ("COUNT(*) > 1", "a \\*"),
        ("", "empty"),
        ("  ", "empty"),
        ("prize > 5", "bmrs_mid has no column 'prize': did you mean price"),
        ("zzzzzz > 5", "it has startTime, dataProvider"),
        ('dataProvider = "APXMIDP"', "text stands in single quotes: 'APXMIDP'"),
    ],
)
def test_what_is_no_condition_over_the_table_is_refused(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        condition(text, COLUMNS, "bmrs_mid")


@pytest.mark.parametrize(
    "text",
    [
        "price > 50 AND dataProvider = 'APXMIDP'",
        "PRICE > 50 -- dear",
        "NOT (price > 1 OR volume < 2) /* quiet */",
        "dataProvider ILIKE 'apx%' OR regexp_matches(dataProvider, '^N2')",
        "hour(startTime AT TIME ZONE 'Europe/London') BETWEEN 16 AND 19",
        "settlementDate >= DATE '2024-01-01' AND isodow(settlementDate) IN (6, 7)",
        "price IS DISTINCT FROM 5 AND settlementPeriod % 2 = 0",
        "CASE WHEN price < 0 THEN volume > 1 ELSE false END",
    ],
)
def test_a_condition_stays_as_it_was_written(text: str) -> None:
    assert condition(text, COLUMNS, "bmrs_mid").text == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"price": 5}, '"price" = 5'),
        ({"PRICE": 5.25, "settlementPeriod": np.int64(7)}, '"price" = 5.25 AND "settlementPeriod" = 7'),
        ({"dataProvider": "O'Neill"}, "\"dataProvider\" = 'O''Neill'"),
        ({"dataProvider": ["A", "B"]}, "(\"dataProvider\" IN ('A', 'B'))"),
        ({"dataProvider": {"A", None}}, "(\"dataProvider\" IN ('A') OR \"dataProvider\" IS NULL)"),
        ({"price": None}, '"price" IS NULL'),
        ({"price": []}, "false"),
        ({"settlementDate": DAY}, "\"settlementDate\" = DATE '2024-01-03'"),
        ({"startTime": datetime(2024, 1, 3, 17, tzinfo=UTC)},
         "\"startTime\" = TIMESTAMPTZ '2024-01-03 17:00:00+00:00'"),
        ({}, ""),
    ],
)  # fmt: skip
def test_values_by_column_become_a_condition(values: dict[str, Any], text: str) -> None:
    assert condition(values, COLUMNS, "bmrs_mid").text == text


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"prize": 5}, "did you mean price"),
        ({"startTime": datetime(2024, 1, 3)}, "has no zone"),  # noqa: DTZ001 - what is refused
        ({"price": float("nan")}, "cannot be compared with nan"),
        ({"price": object()}, "cannot be compared with"),
        (5, "give an SQL condition"),
        (["price > 5"], "give an SQL condition"),
    ],
)
def test_values_that_make_no_sense_are_refused(where: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        condition(where, COLUMNS, "bmrs_mid")


@given(st.text(), st.sampled_from(["dataProvider"]))
def test_a_value_is_never_more_than_a_value(text: str, column: str) -> None:
    """Whatever a text holds, the engine's comparison is with exactly that text."""
    found = condition({column: text}, COLUMNS, "bmrs_mid")
    with duckdb.connect() as con:
        con.execute('CREATE TABLE t ("dataProvider" VARCHAR)')
        con.execute("INSERT INTO t VALUES (?), ('another')", [text.replace("\x00", "")])
        if "\x00" not in text:
            assert con.table("t").filter(found.text).fetchall() == [(text,)] * (2 if text == "another" else 1)


def test_column_names_are_found_whatever_their_case() -> None:
    assert column_named(" SETTLEMENTdate ", COLUMNS, "bmrs_mid") == "settlementDate"


# The days a condition leaves: a bound may be wide, never narrow.

TELLING = {"settlementdate": timedelta(0), "starttime": timedelta(days=1), "_day": timedelta(0)}


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("settlementDate = '2024-01-03'", DAY, DAY),
        ("settlementDate = DATE '2024-01-03' AND price > 5", DAY, DAY),
        ("price > 5 AND (_day >= '2024-01-03' AND DATE '2024-01-05' > _day)", DAY, date(2024, 1, 5)),
        ("settlementDate BETWEEN '2024-01-03' AND '2024-01-04'", DAY, date(2024, 1, 4)),
        ("settlementDate IN ('2024-01-05', '2024-01-03')", DAY, date(2024, 1, 5)),
        ("startTime >= TIMESTAMPTZ '2024-01-03 00:00+00'", date(2024, 1, 1), None),
        ("startTime < '2024-01-03'", None, date(2024, 1, 4)),
        ("settlementDate = '2024-01-03' OR price > 5", None, None),
        ("NOT settlementDate = '2024-01-03'", None, None),
        ("settlementDate = price", None, None),
        ("settlementDate >= current_date - 7", None, None),
        ("price > 5", None, None),
    ],
)
def test_the_days_a_condition_leaves(text: str, first: date | None, last: date | None) -> None:
    assert day_bounds(condition(text, COLUMNS, "bmrs_mid"), TELLING) == (first, last)


DATES = st.integers(0, 9).map(lambda n: f"DATE '{DAY + timedelta(days=n)}'")
TIMES = st.tuples(st.integers(0, 9), st.integers(0, 23), st.sampled_from(["+00", "-05", "+11", ""])).map(
    lambda t: f"TIMESTAMPTZ '{DAY + timedelta(days=t[0])} {t[1]:02}:30{t[2]}'"
)
OPERATORS = st.sampled_from(["=", "<", "<=", ">", ">="])
COMPARISONS = st.one_of(
    st.tuples(st.sampled_from(["settlementDate", "startTime", "_day"]), OPERATORS, DATES | TIMES).map(" ".join),
    st.tuples(DATES | TIMES, OPERATORS, st.sampled_from(["settlementDate", "startTime"])).map(" ".join),
    st.tuples(DATES, DATES).map(lambda t: f"settlementDate BETWEEN {t[0]} AND {t[1]}"),
    st.lists(DATES, min_size=1, max_size=3).map(lambda days: f"settlementDate IN ({', '.join(days)})"),
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda part: st.one_of(
        st.tuples(part, part).map(lambda t: f"({t[0]} AND {t[1]})"),
        st.tuples(part, part).map(lambda t: f"({t[0]} OR {t[1]})"),
        part.map(lambda t: f"NOT ({t})"),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def periods() -> Iterator[duckdb.DuckDBPyConnection]:
    """Every half hour of twelve London days in summer, where a London day begins at 23:00Z."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone='UTC'")
        con.execute(
            """CREATE TABLE t AS SELECT s AS "startTime", CAST(s AT TIME ZONE 'Europe/London' AS DATE) AS _day,
               CAST(s AT TIME ZONE 'Europe/London' AS DATE) AS "settlementDate"
               FROM generate_series(TIMESTAMPTZ '2024-06-01 23:00+00', TIMESTAMPTZ '2024-06-13 22:30+00',
               INTERVAL 30 MINUTE) AS g(s)"""
        )
        yield con


@given(CONDITIONS)
def test_no_row_lies_outside_the_days_a_condition_leaves(periods: duckdb.DuckDBPyConnection, text: str) -> None:
    text = text.replace("2024-01-", "2024-06-")
    first, last = day_bounds(condition(text, COLUMNS, "bmrs_mid"), TELLING)
    found = periods.table("t").filter(text).aggregate("min(_day), max(_day)").fetchall()[0]
    if found[0] is not None:
        assert (first or date.min) <= found[0]
        assert found[1] <= (last or date.max)
