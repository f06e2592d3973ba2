"""Every SQL statement of the quality room, in the portable part of DuckDB's dialect (decision 14).

Belongs here: building SELECT texts. Not here: running them. A test takes each to BigQuery's dialect and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.quality.result import day_ranges

MAX_RANGES = 50
"""More ranges than this are asked as one span: the caller drops the days in between."""


def name(identifier: str) -> str:
    """A quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def day_condition(days: Sequence[date]) -> str:
    """Condition on the partition's day that holds for at least these days (and none outside their span)."""
    ranges = day_ranges(days)
    if len(ranges) > MAX_RANGES:
        ranges = [(ranges[0][0], ranges[-1][1])]
    parts = [f"\"_day\" BETWEEN DATE '{a.isoformat()}' AND DATE '{b.isoformat()}'" for a, b in ranges]
    return "(" + " OR ".join(parts) + ")"


def key_expressions(dataset: Dataset) -> list[str]:
    """The natural key, column by column; the column that stands in for a null one is coalesced in."""
    fallback = dict(dataset.unit_fallback)
    return [f"COALESCE({name(k)}, {name(fallback[k])})" if k in fallback else name(k) for k in dataset.key]


def rows_and_keys(dataset: Dataset, days: Sequence[date]) -> str:
    """Rows and distinct natural keys of each stored day: day, rows, keys. Nulls of a key are equal."""
    keys = key_expressions(dataset)
    inner = ", ".join(f"{expression} AS {name(f'k{i}')}" for i, expression in enumerate(keys))
    group = ", ".join([name("_day"), *keys])
    return (
        'SELECT "day", CAST(SUM("n") AS BIGINT) AS "rows", COUNT(*) AS "keys" FROM ('
        f'SELECT "_day" AS "day", {inner}, COUNT(*) AS "n" FROM {name(dataset.table)} '
        f"WHERE {day_condition(days)} GROUP BY {group}"
        ') AS "g" GROUP BY "day" ORDER BY "day"'
    )


def repeated_keys(dataset: Dataset, days: Sequence[date], *, within_day: bool, limit: int) -> str:
    """The most repeated natural keys: the key, n, first_day, last_day, and of all groups: groups, extra rows.

    within_day: a key may stand once in each partition (tables whose partition follows the version, snapshots).
    """
    keys = key_expressions(dataset)
    columns = ", ".join(f"{expression} AS {name(k)}" for k, expression in zip(dataset.key, keys, strict=True))
    group = ", ".join(([name("_day")] if within_day else []) + keys)
    return (
        'SELECT *, COUNT(*) OVER () AS "groups", CAST(SUM("n" - 1) OVER () AS BIGINT) AS "extra" FROM ('
        f'SELECT {columns}, COUNT(*) AS "n", MIN("_day") AS "first_day", MAX("_day") AS "last_day" '
        f"FROM {name(dataset.table)} WHERE {day_condition(days)} GROUP BY {group} HAVING COUNT(*) > 1"
        f') AS "g" ORDER BY "n" DESC, "first_day" LIMIT {limit:d}'
    )


def member_periods(dataset: Dataset, days: Sequence[date]) -> str:
    """Settlement periods each unit has rows in: day, member (null where a row names none), periods."""
    named = dict(zip(dataset.key, key_expressions(dataset), strict=True))
    member = named[dataset.unit_fallback[0][0]]
    return (
        f'SELECT "_day" AS "day", {member} AS "member", COUNT(DISTINCT "settlementPeriod") AS "periods" '
        f'FROM {name(dataset.table)} WHERE {day_condition(days)} GROUP BY "_day", {member}'
    )


def newest(dataset: Dataset, column: str) -> str:
    """The greatest value of a column: newest. Of settlement dates with periods the last one's last period: period."""
    table = name(dataset.table)
    if column != "settlementDate" or not dataset.has_period:
        return f'SELECT MAX({name(column)}) AS "newest" FROM {table}'
    last = f"(SELECT MAX({name(column)}) FROM {table})"
    return (
        f'SELECT MAX({name(column)}) AS "newest", MAX("settlementPeriod") AS "period" FROM {table} '
        f"WHERE {name(column)} = {last}"
    )
