"""What SQL shows of a table: the current rows, their settlement run, and every version with the time it was believed.

Belongs here: SELECT texts over named relations, in the portable part of DuckDB's dialect (decision 14). Not here:
where the rows come from, running them (query).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Kind
from gbpm_dagster.warehouse.protocol import DAY, FETCHED_AT, INSTANT, MONTH, SOURCE, stored_schema

DELETION = "DEL"
"""The `version_order` word that removes its key from the current view (domain.md 3.2)."""

CALENDAR, EVIDENCE = "gbpm_settlement_runs", "gbpm_evidence"
CALENDAR_SCHEMA: dict[str, Any] = {
    "settlementDate": pl.Date,
    "run": pl.String,
    "run_date": pl.Date,
    "starts_at": INSTANT,
}
"""One row a settlement date and run; starts_at is the London midnight that begins run_date."""

RUN, FINAL, KNOWN_FROM, KNOWN_UNTIL = "_run", "_final", "_known_from", "_known_until"
BEFORE_RUNS = "indicative"
LATEST_FIRST = ("DF", "RF", "R3", "R2", "R1", "SF", "II")
FINAL_RUNS = ("RF", "DF")
PUBLISHED = ("createdDateTime", "publishTime")
"""Stamps that say when a version became known; without one it is known from its receipt (domain.md 3.2)."""

_SUPERSEDED = "_superseded_at"


@dataclass(frozen=True, slots=True)
class View:
    """A SELECT and the sources over whose rows (`rows_of`) it stands."""

    body: str
    over: tuple[str, ...]


Shape = Callable[[bool], View]
"""A view by whether the query names the computed columns RUN and FINAL: who does not pays nothing for them."""


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def ident(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def rows_of(name: str) -> str:
    """The relation that holds the stored rows of a source, as a view names it."""
    return ident(f"{name}__rows")


def shown(dataset: Dataset) -> list[str]:
    """The stored columns SQL shows, in order."""
    return [n for n in stored_schema(dataset) if n != MONTH]


def computed(dataset: Dataset) -> dict[str, Any]:
    """The columns views add to a settlement table, with their types."""
    return {RUN: pl.String, FINAL: pl.Boolean} if dataset.settlement else {}


def table_view(dataset: Dataset) -> Shape:
    """The rows that are current over all partitions: of a key published on two days the newer, no deletions.

    Of a settlement table also the run each row is of, as inferred from when it was made, and whether that is final.
    """

    def shape(named: bool) -> View:
        if not (named and dataset.settlement):
            return View(_current(dataset), (dataset.table,))
        body = _with_runs(dataset, _current(dataset), _made(dataset, "TRUE"))
        return View(body, (dataset.table, *_calendar_needs(dataset)))

    return shape


def history_view(dataset: Dataset) -> Shape:
    """Every version, current and superseded, with the half-open time in which it was believed.

    Of the versions of a key known at an instant the greatest was believed (domain.md 3.2). `_known_from` is the stamp
    in PUBLISHED if the version has one, else the receipt; of versions with equal stamps the later received is known
    from its receipt. `_known_until` is when a greater version became known, or when an answer lacked the key; null =
    still believed. Where it is not after `_known_from` the row was never believed. Deletions end, and are not shown.
    """
    table = dataset.table

    def shape(named: bool) -> View:
        body, over = _history(dataset), (table, f"{table}_vintages")
        if not (named and dataset.settlement):
            return View(body, over)
        made = _made(dataset, f"r.{ident(KNOWN_UNTIL)} IS NULL")
        return View(_with_runs(dataset, body, made), (*over, *_calendar_needs(dataset)))

    return shape


def _current(dataset: Dataset) -> str:
    body = f"SELECT * FROM {rows_of(dataset.table)}"
    if DELETION in dataset.version_order:
        body += f" WHERE {not_deleted(dataset)}"
    if spans_days(dataset):
        order = [f"{r} DESC NULLS LAST" for r in ranks_of(dataset)]
        order += [f"{ident(FETCHED_AT)} DESC", f"{ident(SOURCE)} DESC"]
        body += f" QUALIFY ROW_NUMBER() OVER (PARTITION BY {key_of(dataset)} ORDER BY {', '.join(order)}) = 1"
    return body


def spans_days(dataset: Dataset) -> bool:
    """True where a key may stand in several partitions: kept by the time of its version (INDO, REMIT)."""
    return dataset.partition_field in dataset.version and dataset.partition_field not in dataset.key


def _history(dataset: Dataset) -> str:
    ranks, rest = ranks_of(dataset), f"CASE WHEN {ident(SOURCE)} = 'REST' THEN 1 ELSE 0 END"
    key = key_of(dataset) + ("" if spans_days(dataset) else f", {ident(DAY)}")
    upwards = ", ".join(f"{r} ASC NULLS FIRST" for r in ranks)
    downwards = "".join(f"{r} DESC NULLS LAST, " for r in ranks)
    number = f"RANK() OVER (PARTITION BY {key} ORDER BY {upwards})" if ranks else "1"
    received, stamp = ident(FETCHED_AT), _known_at(dataset)
    # Without nulls, yet said: BigQuery knows no other order of nulls in such a window than its own.
    order = ('"_last"', '"_n"', '"_held"', received, rest)
    return f"""
WITH every AS (
  SELECT *, TRUE AS "_held", CAST(NULL AS TIMESTAMPTZ) AS "{_SUPERSEDED}" FROM {rows_of(dataset.table)}
  UNION ALL
  SELECT * EXCLUDE ("{_SUPERSEDED}"), FALSE, "{_SUPERSEDED}" FROM {rows_of(f"{dataset.table}_vintages")}
), ranked AS (
  SELECT *, {number} AS "_n",
    "_held" AND ROW_NUMBER() OVER (
      PARTITION BY {key} ORDER BY "_held" DESC, {downwards}{received} DESC, {rest} DESC
    ) = 1 AS "_last"
  FROM every
), known AS (
  SELECT *,
    CASE WHEN "_last" AND "_n" < MAX("_n") OVER (PARTITION BY {key}) THEN {received}
      WHEN {received} > MIN({received}) OVER (PARTITION BY {key}, "_n") AND {received} > {stamp} THEN {received}
      ELSE {stamp} END AS "{KNOWN_FROM}"
  FROM ranked
), followed AS (
  SELECT *,
    MIN("{KNOWN_FROM}") OVER (
      PARTITION BY {key} ORDER BY {", ".join(f"{o} ASC NULLS FIRST" for o in order)}
      ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
    ) AS "_next"
  FROM known
)
SELECT * EXCLUDE ("_held", "{_SUPERSEDED}", "_n", "_last", "{KNOWN_FROM}", "_next"), "{KNOWN_FROM}",
  CASE WHEN "_last" THEN NULL
    WHEN "{_SUPERSEDED}" IS NULL OR "_next" < "{_SUPERSEDED}" THEN "_next"
    ELSE "{_SUPERSEDED}" END AS "{KNOWN_UNTIL}"
FROM followed
{f"WHERE {not_deleted(dataset)}" if DELETION in dataset.version_order else ""}
""".strip()


def _with_runs(dataset: Dataset, body: str, made: str) -> str:
    """`body` with RUN and FINAL; made: the instant that tells the run of a row of `r`."""
    if _states_run(dataset):
        run, finals = 'r."settlementRunType"', ", ".join(map(quoted, FINAL_RUNS))
        added = f"{run} AS {ident(RUN)}, {run} IN ({finals}) AS {ident(FINAL)}"
        return f"SELECT r.*, {added} FROM ({body}) AS r"
    inferred = " ".join(f"WHEN {made} >= w.{ident(run)} THEN {quoted(run)}" for run in LATEST_FIRST)
    final = " OR ".join(f"COALESCE({made} >= w.{ident(run)}, FALSE)" for run in FINAL_RUNS)
    wide = ", ".join(f"MAX(CASE WHEN run = {quoted(r)} THEN starts_at END) AS {ident(r)}" for r in LATEST_FIRST)
    # A day outside the calendar has no run we could name. Both joins are on grouped, hence unique, days.
    text = f"""
SELECT r.*,
  CASE WHEN w."day" IS NULL THEN NULL {inferred} ELSE {quoted(BEFORE_RUNS)} END AS {ident(RUN)},
  CASE WHEN w."day" IS NOT NULL THEN {final} END AS {ident(FINAL)}
FROM ({body}) AS r
LEFT JOIN (
  SELECT "settlementDate" AS "day", {wide} FROM {rows_of(CALENDAR)} GROUP BY "settlementDate"
) AS w ON w."day" = r.{ident(DAY)}
""".strip()
    if EVIDENCE in _calendar_needs(dataset):
        text += f"""
LEFT JOIN (
  SELECT "day", MAX(fetched_at) AS fetched_at FROM {rows_of(EVIDENCE)}
  WHERE "table" = {quoted(dataset.table)} GROUP BY "day"
) AS e ON e."day" = r.{ident(DAY)}"""
    return text


def _made(dataset: Dataset, is_current: str) -> str:
    """The instant that tells a row's run: when it was made, else when it was last seen.

    A current row without a stamp was in every answer until the day's last: it is of the run that one was of, also if
    it first came with an earlier run. A superseded one is known to have come with the run it was received in.
    """
    received = f"r.{ident(FETCHED_AT)}"
    if "createdDateTime" in dataset.names:
        return f'COALESCE(r."createdDateTime", {received})'
    return f"CASE WHEN {is_current} THEN COALESCE(e.fetched_at, {received}) ELSE {received} END"


def _states_run(dataset: Dataset) -> bool:
    return "settlementRunType" in dataset.names


def _calendar_needs(dataset: Dataset) -> tuple[str, ...]:
    if _states_run(dataset):
        return ()
    return (CALENDAR,) if "createdDateTime" in dataset.names else (CALENDAR, EVIDENCE)


def _known_at(dataset: Dataset) -> str:
    """When a version became known: its stamp in PUBLISHED, if it has one and it is there, else its receipt."""
    stamps = [n for n in PUBLISHED if n in (*dataset.version, *dataset.key)]
    return f"COALESCE({', '.join(map(ident, [*stamps, FETCHED_AT]))})" if stamps else ident(FETCHED_AT)


def key_of(dataset: Dataset) -> str:
    fallback = dict(dataset.unit_fallback)
    parts = [f"COALESCE({ident(k)}, {ident(fallback[k])})" if k in fallback else ident(k) for k in dataset.key]
    return ", ".join(parts)


def ranks_of(dataset: Dataset) -> list[str]:
    """The version columns as comparable values, text in `version_order` by its place there (as merge.with_ranks)."""
    found = []
    for name in dataset.version:
        if dataset.version_order and dataset.column(name).kind is Kind.STRING:
            places = " ".join(f"WHEN {quoted(w)} THEN {i}" for i, w in enumerate(dataset.version_order, 1))
            found.append(f"CASE WHEN {ident(name)} IS NOT NULL THEN CASE {ident(name)} {places} ELSE 0 END END")
        else:
            found.append(ident(name))
    return found


def not_deleted(dataset: Dataset) -> str:
    flags = [v for v in dataset.version if dataset.column(v).kind is Kind.STRING]
    return " AND ".join(f"{ident(v)} IS DISTINCT FROM {quoted(DELETION)}" for v in flags)
