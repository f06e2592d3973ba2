"""Elexon's own counts of its rows, `/data-status/{code}`: a witness of what one answer cannot show.

Belongs here: reading the counts and holding the evidence against them. Not here: what a shortage does to a day
(`doubts`, `coverage`), fetching the counts (they are the table meta_data_status, fetched like any other).

How the real service counts is unchecked (`?`): the document says "data points ingested". Taken here: the rows that
the table's path serves, by settlement date and period; of BOALF by the period of `timeFrom` (in all recorded rows
that is settlementDate and settlementPeriodFrom), of REMIT by the half hour of publication. Should it count otherwise,
no day stays red for it: two answers 24 hours apart outweigh the count, and where they do so as often as it agrees,
the count of that table is no longer believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Grain
from gbpm_dagster.quality.expected import day_frame
from gbpm_dagster.warehouse.protocol import INSTANT, Warehouse, WarehouseError

TABLE = "meta_data_status"

COUNTS_SCHEMA: dict[str, Any] = {
    "code": pl.String,
    "day": pl.Date,  # settlement date
    "period": pl.Int32,
    "points": pl.Int64,
    "asked_at": INSTANT,
}
"""One row a code, settlement date and period: what data-status said, and when."""

WITNESS_SCHEMA: dict[str, Any] = {"day": pl.Date, "witness": pl.String, "doubt": pl.String}
"""One row a judged day: AGREES, SHORT or MORE, and what that says against its rows ("" = nothing)."""

AGREES, SHORT, MORE = "agrees", "short", "more"
QUERY = (
    'SELECT code, settlementDate AS "day", settlementPeriod AS "period", dataPointCount AS points '
    f"FROM {TABLE} WHERE code IN ({{}}) AND dataPointCount IS NOT NULL"
)
NAMED_PERIODS = 3
SAME_RUN = timedelta(days=1)
"""Of tables that settlement calculates anew a count counts for rows fetched at most so long after it."""


def counts(warehouse: Warehouse, datasets: Sequence[Dataset]) -> pl.DataFrame:
    """All that data-status said of those tables (COUNTS_SCHEMA); empty where it was never asked.

    Counts that cannot be read are as if never asked: the checks of meta_data_status itself say what is wrong.
    """
    codes = sorted({d.oracle for d in datasets if d.oracle})
    nothing = pl.DataFrame(schema=COUNTS_SCHEMA)
    if not codes:
        return nothing
    try:
        asked = warehouse.evidence([TABLE]).select("day", asked_at="fetched_at")
        rows = nothing if asked.is_empty() else warehouse.sql(QUERY.format(", ".join(f"'{c}'" for c in codes)))
    except WarehouseError:
        return nothing
    return nothing if rows.is_empty() else rows.join(asked, on="day").select(_typed(COUNTS_SCHEMA))


def compare(dataset: Dataset, held: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """The table's evidence against the counts: WITNESS_SCHEMA, a row a day that can be judged.

    held: the table's evidence. said: COUNTS_SCHEMA, of any codes. A day is judged if it was counted after its rows
    were due; fewer rows in any period are SHORT whatever the others say, AGREES and MORE need a count of each period.
    MORE says something against the rows only if the count is newer than they are: rows may have come after it.
    """
    nothing = pl.DataFrame(schema=WITNESS_SCHEMA)
    said = said.filter(pl.col("code") == dataset.oracle) if dataset.oracle else said.clear()
    if dataset.grain is not Grain.DAILY or said.is_empty() or held.is_empty():
        return nothing
    # Evidence written before the entry had an oracle counts no periods though it has rows.
    able = held.filter((pl.col("rows") == 0) | (pl.col("slots").list.len() > 0)).select("day", "fetched_at")
    frame = said.join(able, on="day").join(day_frame(said["day"].unique().to_list()), on="day")
    frame = frame.filter(pl.col("asked_at") >= pl.col("end") + dataset.lag.lag)
    if dataset.settlement:
        frame = frame.filter(pl.col("fetched_at") <= pl.col("asked_at") + SAME_RUN)
    frame = frame.join(_stored(held), on=["day", "period"], how="left").with_columns(pl.col("stored").fill_null(0))
    short, more = pl.col("stored") < pl.col("points"), pl.col("stored") > pl.col("points")
    odd = pl.struct("period", "points", "stored")
    days = frame.sort("day", "period").group_by("day", maintain_order=True)
    judged = days.agg(
        odd.filter(short).alias(SHORT),
        odd.filter(more).alias(MORE),
        newer=(pl.col("asked_at") >= pl.col("fetched_at")).first(),
        whole=pl.col("period").n_unique() >= pl.col("periods").first(),
    ).filter(pl.col("whole") | (pl.col(SHORT).list.len() > 0))
    found = [(row["day"], *_verdict(row)) for row in judged.iter_rows(named=True)]
    return pl.DataFrame(found, schema=WITNESS_SCHEMA, orient="row")


def _verdict(day: Mapping[str, Any]) -> tuple[str, str]:
    if day[SHORT]:
        return SHORT, _words(day[SHORT])
    if day[MORE]:
        return MORE, _words(day[MORE]) if day["newer"] else ""
    return AGREES, ""


def _stored(held: pl.DataFrame) -> pl.DataFrame:
    """(day, period, stored): rows of each settlement date and period, of whichever partition they lie in."""
    slots = held.select(slot="slots").explode("slot").drop_nulls("slot").unnest("slot")
    return slots.group_by("date", "period").agg(stored=pl.col("rows").sum()).rename({"date": "day"})


def _typed(schema: dict[str, Any]) -> list[pl.Expr]:
    return [pl.col(name).cast(kind) for name, kind in schema.items()]


def _words(periods: Sequence[Mapping[str, int]]) -> str:
    """'data-status counts 312 rows in period 20, stored are 309; 2 in 33, stored are 0; and 4 periods more'."""
    first, *others = periods[:NAMED_PERIODS]
    parts = [f"data-status counts {first['points']} rows in period {first['period']}, stored are {first['stored']}"]
    parts += [f"{s['points']} in {s['period']}, stored are {s['stored']}" for s in others]
    if len(periods) > NAMED_PERIODS:
        parts.append(f"and {len(periods) - NAMED_PERIODS} periods more")
    return "; ".join(parts)
