"""Reference lists in SQL: the newest list of a table, and `<table>_history`, its rows as intervals of days.

Belongs here: the views of snapshot tables. Not here: storing lists (replace), the views of daily tables (query).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse.protocol import DAY
from gbpm_dagster.warehouse.query import Source

VALID_FROM, VALID_TO, LAST_SEEN = "_valid_from", "_valid_to", "_last_seen"
"""Columns of `<table>_history`, days: the first list that had the row so; the day before the list that no longer
does (null: the newest list still does); the last list that had it. Days without a list belong to the list before."""


def history_schema(dataset: Dataset, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of `<table>_history`: the catalogue's, then ours."""
    own = {name: stored[name] for name in dataset.names}
    return {**own, VALID_FROM: pl.Date, VALID_TO: pl.Date, LAST_SEEN: pl.Date}


def sources(listed: Source) -> dict[str, Source]:
    """The views of a snapshot table by name. listed: all its lists, as a source without a shape."""
    dataset = listed.dataset
    if dataset is None:
        raise ValueError(f"{listed.name} is no table of the catalogue")
    history = f"{listed.name}_history"
    return {
        listed.name: dataclasses.replace(listed, shape=newest),
        history: dataclasses.replace(
            listed,
            name=history,
            schema=history_schema(dataset, listed.schema),
            stored=listed.schema,
            shape=lambda rows: intervals(rows, dataset.names),
            order=(*dataset.key, VALID_FROM),
        ),
    }


def newest(rows: str) -> str:
    """DuckDB's SELECT of the newest list. rows: a SELECT of all lists."""
    return f'SELECT * FROM ({rows}) WHERE "{DAY}" = (SELECT max("{DAY}") FROM ({rows}))'


def intervals(rows: str, content: Sequence[str]) -> str:
    """DuckDB's SELECT of the history: one row a maximal run of consecutive lists that have a row of equal content.

    rows: a SELECT of all lists (content columns and `_day`), no content twice in a list; nulls are equal. Columns:
    content, _valid_from, _valid_to, _last_seen. Of a key and a day at most one row is valid.
    """
    columns = ", ".join('"' + c.replace('"', '""') + '"' for c in content)
    # Contents are few and lists many: only numbers of lists are sorted and compared, not rows of text.
    return f"""
WITH _rows AS ({rows}),
_lists AS MATERIALIZED (
  SELECT "{DAY}", row_number() OVER (ORDER BY "{DAY}") AS _n FROM (SELECT DISTINCT "{DAY}" FROM _rows)
),
_kept AS MATERIALIZED (
  SELECT *, row_number() OVER () AS _g
  FROM (SELECT {columns}, list(_n) AS _ns FROM _rows JOIN _lists USING ("{DAY}") GROUP BY {columns})
),
_runs AS (
  SELECT _g, min(_n) AS _a, max(_n) AS _b
  FROM (
    SELECT _g, _n, _n - row_number() OVER (PARTITION BY _g ORDER BY _n) AS _run
    FROM (SELECT _g, unnest(_ns) AS _n FROM _kept)
  )
  GROUP BY _g, _run
)
SELECT {columns}, _first."{DAY}" AS "{VALID_FROM}", CAST(_next."{DAY}" - 1 AS DATE) AS "{VALID_TO}",
  _last."{DAY}" AS "{LAST_SEEN}"
FROM _runs JOIN _kept USING (_g)
JOIN _lists AS _first ON _first._n = _runs._a
JOIN _lists AS _last ON _last._n = _runs._b
LEFT JOIN _lists AS _next ON _next._n = _runs._b + 1
"""
