"""Cutting an answer out of the recorded rows: what was asked for, less what is withheld, in the path's envelope."""

from __future__ import annotations

import json
from collections.abc import Iterable

import polars as pl

from gbpm_dagster.catalogue import registry
from gbpm_dagster.demo.replay_routes import Asked, Route
from gbpm_dagster.demo.withhold import Hidden


def select(frame: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """Rows of a table's frame that the request asks for (both ends of its window included)."""
    rows = frame
    if asked.first is not None:
        rows = rows.filter(pl.col(asked.column).is_between(pl.lit(asked.first), pl.lit(asked.last)))
    elif asked.latest:
        rows = rows.filter(pl.col("day") == pl.col("day").max())
    for columns, wanted in asked.filters:
        rows = rows.filter(pl.any_horizontal(pl.col(c).cast(pl.String).is_in(list(wanted)) for c in columns))
    return rows


def without(rows: pl.DataFrame, hidden: Iterable[Hidden]) -> pl.DataFrame:
    """The rows less the hidden days and settlement periods."""
    for part in hidden:
        inside = pl.col("day") == part.day
        if part.periods:
            inside &= pl.col("period").is_in(list(part.periods))
        rows = rows.filter(~inside)
    return rows


def body(route: Route, rows: pl.DataFrame) -> bytes:
    """The answer's JSON: a bare array, {"data": ...} or {"metadata": ..., "data": ...}; rows exactly as recorded."""
    array = "[" + ",".join(rows["body"]) + "]"
    if route.envelope == "array":
        return array.encode()
    if route.envelope == "metadata":
        codes = json.dumps(registry.get(route.table).code.split("+"))
        return f'{{"metadata":{{"datasets":{codes}}},"data":{array}}}'.encode()
    return f'{{"data":{array}}}'.encode()
