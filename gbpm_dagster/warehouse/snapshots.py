"""Reference lists in SQL: the newest list of a table, and `<table>_history`, its rows as intervals of days.

Belongs here: the views of snapshot tables, in the portable part of DuckDB's dialect. Not here: storing lists
(replace), the views of daily tables (views).
"""

from __future__ import annotations

from dataclasses import replace

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse.protocol import DAY
from gbpm_dagster.warehouse.query import Source
from gbpm_dagster.warehouse.views import EVIDENCE, View, ident, quoted, rows_of

VALID_FROM, VALID_TO, LAST_SEEN = "_valid_from", "_valid_to", "_last_seen"
"""Columns of `<table>_history`, days: the first list that had the row so; the day before the list that no longer
does (null: the newest list still does); the last list that had it. Days without a list belong to the list before."""


def sources(table: Source, history: Source) -> tuple[Source, Source]:
    """The table as its newest list, and its history by validity."""
    dataset = table.dataset
    if dataset is None:
        raise ValueError(f"{table.name} is no table of the catalogue")
    newest_list = replace(table, view=lambda named: newest(dataset))
    order = (*dataset.key, VALID_FROM)
    return newest_list, replace(history, view=lambda named: intervals(dataset), order=order)


def newest(dataset: Dataset) -> View:
    """The rows of the newest list; none if that is empty."""
    listed, over = _lists(dataset)
    body = f'SELECT * FROM {rows_of(dataset.table)} WHERE "{DAY}" = (SELECT MAX("_on") FROM ({listed}) AS l)'
    return View(body, over)


def intervals(dataset: Dataset) -> View:
    """One row a maximal run of consecutive lists that have a row of equal content; nulls are equal.

    Columns: the catalogue's, _valid_from, _valid_to, _last_seen. Of a key and a day at most one row is valid.
    """
    columns = ", ".join(f"k.{ident(c)}" for c in dataset.names)
    content, key = ", ".join(map(ident, dataset.names)), ", ".join(map(ident, dataset.key))
    same = " AND ".join(f"r.{ident(c)} IS NOT DISTINCT FROM k.{ident(c)}" for c in dataset.key)
    listed, over = _lists(dataset)
    # A content is told by its key and first list. Contents are few and lists many, so that only keys and numbers of
    # lists are unfolded, sorted and compared, not whole rows.
    body = f"""
WITH "_lists" AS (
  SELECT "_on", ROW_NUMBER() OVER (ORDER BY "_on" ASC NULLS FIRST) AS "_n" FROM ({listed}) AS l
), "_kept" AS (
  SELECT {content}, MIN("_n") AS "_first", ARRAY_AGG("_n") AS "_all"
  FROM {rows_of(dataset.table)} AS t INNER JOIN "_lists" AS l ON l."_on" = t."{DAY}"
  GROUP BY {content}
), "_seen" AS (
  SELECT {key}, "_first", "_n" FROM "_kept" CROSS JOIN UNNEST("_all") AS u("_n")
), "_runs" AS (
  SELECT {key}, "_first", MIN("_n") AS "_a", MAX("_n") AS "_b"
  FROM (
    SELECT *, "_n" - ROW_NUMBER() OVER (PARTITION BY {key}, "_first" ORDER BY "_n" ASC NULLS FIRST) AS "_run"
    FROM "_seen"
  ) AS s
  GROUP BY {key}, "_first", "_run"
)
SELECT {columns}, a."_on" AS "{VALID_FROM}", CAST(c."_on" - INTERVAL 1 DAY AS DATE) AS "{VALID_TO}",
  b."_on" AS "{LAST_SEEN}"
FROM "_runs" AS r
INNER JOIN "_kept" AS k ON r."_first" = k."_first" AND {same}
INNER JOIN "_lists" AS a ON a."_n" = r."_a"
INNER JOIN "_lists" AS b ON b."_n" = r."_b"
LEFT JOIN "_lists" AS c ON c."_n" = r."_b" + 1
""".strip()
    return View(body, over)


def _lists(dataset: Dataset) -> tuple[str, tuple[str, ...]]:
    """The days of which there is a list, and what that stands over.

    A list is seen by its rows; one that may be empty is seen by its evidence too.
    """
    held = f'SELECT DISTINCT "{DAY}" AS "_on" FROM {rows_of(dataset.table)}'
    if dataset.completeness.floor:
        return held, (dataset.table,)
    answered = f'SELECT "day" AS "_on" FROM {rows_of(EVIDENCE)} WHERE "table" = {quoted(dataset.table)}'
    return f"{held} UNION DISTINCT {answered}", (dataset.table, EVIDENCE)
