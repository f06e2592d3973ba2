"""`<table>_iris` and `<table>_unified` in SQL: the stream's rows, and history and stream in one.

Belongs here: the sources and the SELECTs of these two, in the portable part of DuckDB's dialect. Not here: how
declarations become positions (limits), how the stream is stored (stream).

Of each key the greatest version is shown, on a tie the history's (domain.md 3.2). Only days on which the stream has
rows are compared; of all others the history's files are read as those of the table itself, so that a day costs what
it costs there. No date is fixed anywhere: what both have, and what one of them lacks, is seen from the rows.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.streams import DECLARED, IRIS, SIDELESS, STREAMED, UNIFIED, stream_of
from gbpm_dagster.warehouse import limits, views
from gbpm_dagster.warehouse.merge import SUPERSEDED_AT
from gbpm_dagster.warehouse.protocol import DAY, FETCHED_AT, INSTANT, LOADED_AT, SOURCE, SOURCE_FILE
from gbpm_dagster.warehouse.query import Source
from gbpm_dagster.warehouse.stream import stream_table, stream_vintages
from gbpm_dagster.warehouse.views import Shape, View, ident, rows_of

_OWN = f"{ident(SOURCE_FILE)}, {ident(LOADED_AT)}"
"""Columns the stream's tables have and the history's have not; the others stand in the same order in both."""


def sources(root: Path, dataset: Dataset, table: Source) -> list[Source]:
    """The stream's table, its vintages and the unified view of a table of the history; [] if it is not streamed.

    table: the history's own source.
    """
    if STREAMED.get(dataset.iris_code) is not dataset:
        return []
    stream = stream_of(dataset)
    raw = {**table.schema, SOURCE_FILE: pl.String, LOADED_AT: INSTANT}
    order = tuple(dict.fromkeys((DAY, *stream.key_columns)))
    data, old = stream_table(root, stream), stream_vintages(root, stream)
    # Declarations reach over midnight: which files a day needs does not follow from the day.
    of_days = None if dataset.iris_code in DECLARED else dataset
    return [
        Source(stream.table, raw, data.files, view=views.table_view(stream), dataset=stream, table=data, order=order),
        Source(
            f"{stream.table}_vintages", {**raw, SUPERSEDED_AT: INSTANT}, old.files, dataset=stream, table=old,
            order=(*order, SUPERSEDED_AT),
        ),
        Source(f"{dataset.table}{UNIFIED}", {}, view=unified_view(dataset), dataset=of_days, order=table.order),
    ]  # fmt: skip


def unified_view(dataset: Dataset) -> Shape:
    """History and stream of a table in one: its columns, `_source` saying where a row is from."""
    over = (dataset.table, f"{dataset.table}{IRIS}")
    return lambda named: View(_body(dataset), over)


def _body(dataset: Dataset) -> str:
    if dataset.iris_code in DECLARED:
        body = limits.resolved(dataset)
    elif dataset.iris_code in SIDELESS:
        body = _by_period(dataset)
    elif views.spans_days(dataset):
        body = _newest(dataset, f"{_rows(dataset)} UNION ALL {_streamed(dataset)}", views.key_of(dataset))
    else:
        key = f"{ident(DAY)}, {views.key_of(dataset)}"
        both = f"{_rows(dataset)} WHERE {ident(DAY)} IN ({_stream_days(dataset)}) UNION ALL {_streamed(dataset)}"
        alone = f"{_rows(dataset)} WHERE {ident(DAY)} NOT IN ({_stream_days(dataset)})"
        body = f"{alone} UNION ALL {_newest(dataset, both, key)}"
    if views.DELETION in dataset.version_order:
        return f"SELECT * FROM ({body}) AS u WHERE {views.not_deleted(dataset)}"
    return body


def _rows(dataset: Dataset) -> str:
    return f"SELECT * FROM {rows_of(dataset.table)}"


def _streamed(dataset: Dataset) -> str:
    return f"SELECT * EXCLUDE ({_OWN}) FROM {rows_of(dataset.table + IRIS)}"


def _stream_days(dataset: Dataset) -> str:
    return f"SELECT {ident(DAY)} FROM {rows_of(dataset.table + IRIS)}"


def _newest(dataset: Dataset, rows: str, key: str) -> str:
    order = [f"{r} DESC NULLS LAST" for r in views.ranks_of(dataset)]
    order += [f"CASE WHEN {ident(SOURCE)} = 'REST' THEN 1 ELSE 0 END DESC", f"{ident(FETCHED_AT)} DESC"]
    number = f"ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {', '.join(order)})"
    return f"SELECT * FROM ({rows}) AS b QUALIFY {number} = 1"


def _by_period(dataset: Dataset) -> str:
    """Of codes whose stream does not say the side: a period is the history's if that has it in no older calculation,
    else the stream's, in its latest calculation."""
    made, period = '"createdDateTime"', '"settlementDate", "settlementPeriod"'
    newest = f"RANK() OVER (PARTITION BY {period} ORDER BY {made} DESC NULLS LAST)"
    last = f"SELECT {period}, MAX({made}) AS {made} FROM {{}} GROUP BY {period}"
    on = 's."settlementDate" = r."settlementDate" AND s."settlementPeriod" = r."settlementPeriod"'
    history, stream = rows_of(dataset.table), rows_of(dataset.table + IRIS)
    return (
        f"SELECT r.* FROM {history} AS r LEFT JOIN ({last.format(stream)}) AS s ON {on} "
        f'LEFT JOIN ({last.format(history)}) AS h ON h."settlementDate" = r."settlementDate" '
        f'AND h."settlementPeriod" = r."settlementPeriod" '
        f"WHERE s.{made} IS NULL OR h.{made} >= s.{made} "
        f"UNION ALL SELECT r.* FROM (SELECT * EXCLUDE ({_OWN}) FROM {stream} QUALIFY {newest} = 1) AS r "
        f"LEFT JOIN ({last.format(history)}) AS s ON {on} WHERE s.{made} IS NULL OR s.{made} < r.{made}"
    )
