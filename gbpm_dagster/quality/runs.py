"""Which days are to be fetched again because a settlement run has come: a pure decision (market/domain.md 1.4).

Belongs here: what is due and why, its bounds, runs held of runs due. Not here: the dates (run_calendar), launching.
The source serves the latest run only: of several that have come since the last answer only the last can still be had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.quality.coverage import ANSWERED
from gbpm_dagster.warehouse.protocol import INSTANT

DUE_SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "day": pl.Date,
    "run": pl.String,  # the latest run that has come
    "due_at": INSTANT,
    "fetched_at": INSTANT,  # the last answer, before due_at
}
"""One row a table and day to fetch again; newest day first."""

COMPLETENESS_SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "day": pl.Date,
    "runs_due": pl.Int32,
    "runs_held": pl.Int32,
    "vintage_completeness": pl.Float64,  # null while no run is due
}
"""One row a table and day that has been answered."""

JOIN_DAYS = 3
"""Days held that lie between due ones are fetched along, up to so many in a row: one run costs more than they do."""


@dataclass(frozen=True, slots=True)
class Refetch:
    """Days of one table to fetch again because of one run. due: those that are due; days: what to ask for."""

    table: str
    run: str
    due: tuple[date, ...]
    days: tuple[date, ...]


def due_runs(
    wanted: Mapping[str, Sequence[date]],
    evidence: pl.DataFrame,
    calendar: pl.DataFrame,
    now: datetime,
    in_flight: Mapping[str, set[date]] | None = None,
) -> pl.DataFrame:
    """The days whose last answer is older than the latest run that has come: DUE_SCHEMA.

    wanted: settlement days by table. evidence: EVIDENCE_SCHEMA rows (table, day, fetched_at are read). calendar:
    RUN_SCHEMA. A run has come from its `due_at` on; an answer at or after that instant is one of it, so that a day is
    asked for once a run. Days without evidence (the gap check's) and days in flight are left out. ValueError if
    `now` is naive.
    """
    if now.tzinfo is None:
        raise ValueError("due_runs needs an aware `now`")
    asked = _table_days(wanted)
    if in_flight:
        asked = asked.join(_table_days(in_flight), on=["table", "day"], how="anti")
    held = evidence.select("table", "day", "fetched_at").join(asked, on=["table", "day"], how="semi")
    return (
        held.join(_latest(calendar, now), on="day", how="inner")
        .filter(pl.col("fetched_at") < pl.col("due_at"))
        .sort("day", "table", descending=[True, False])
        .select(pl.col(n).cast(t) for n, t in DUE_SCHEMA.items())
    )


def _table_days(days: Mapping[str, Sequence[date] | set[date]]) -> pl.DataFrame:
    parts = [
        pl.DataFrame({"day": list(d)}, schema={"day": pl.Date}).select(pl.lit(t).alias("table"), "day")
        for t, d in days.items()
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema={"table": pl.String, "day": pl.Date})


def _latest(calendar: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """day, run, due_at: of each settlement date the last run that has come."""
    come = calendar.filter(pl.col("due_at") <= pl.lit(now, INSTANT)).sort("due_at", maintain_order=True)
    return come.group_by(day="settlementDate").last().select("day", "run", "due_at")


def bounded(due: pl.DataFrame, limit: int) -> pl.DataFrame:
    """The first `limit` rows of `due_runs`: the newest days, whose window until the next run is the shortest."""
    return due.head(limit)


def refetches(
    due: pl.DataFrame, held: Mapping[str, set[date]], in_flight: Mapping[str, set[date]] | None = None
) -> list[Refetch]:
    """What to ask for, one entry a run and table, in the order of `due` (newest first).

    held: days with evidence, by table: up to JOIN_DAYS of them between two due days are asked for too (fetching again
    is harmless), unless they are in flight.
    """
    found = []
    for (run, table), group in due.group_by("run", "table", maintain_order=True):
        days = sorted(group["day"].to_list())
        free = held.get(str(table), set()) - (in_flight or {}).get(str(table), set())
        found.append(Refetch(str(table), str(run), tuple(days), tuple(_joined(days, free))))
    return found


def _joined(days: Sequence[date], free: set[date]) -> list[date]:
    """The ascending days, and those of short gaps that may be asked for whole."""
    found = list(days[:1])
    for day in days[1:]:
        between = [found[-1] + timedelta(days=n) for n in range(1, (day - found[-1]).days)]
        if len(between) <= JOIN_DAYS and free.issuperset(between):
            found += between
        found.append(day)
    return found


def vintage_completeness(
    wanted: Mapping[str, Sequence[date]], attempts: pl.DataFrame, calendar: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """Runs held of runs due, by table and day (domain.md 2.2 G): COMPLETENESS_SCHEMA.

    A run is held if an answer came while it was the latest: at or after its `due_at` and before that of the next one
    due by `now`. A day is in `due_runs` exactly if its latest run is not held.
    attempts: ATTEMPT_SCHEMA rows (table, day, at, outcome are read). Days never answered are left out.
    """
    come = calendar.filter(pl.col("due_at") <= pl.lit(now, INSTANT)).select("run", "due_at", day="settlementDate")
    answers = attempts.filter(pl.col("outcome").is_in(ANSWERED))
    answers = answers.select("table", "day", "at").join(_table_days(wanted), on=["table", "day"], how="semi")
    days = answers.select("table", "day").unique()
    due = come.group_by("day").agg(runs_due=pl.len().cast(pl.Int32))
    held = (
        answers.sort("at")
        .join_asof(come.sort("due_at"), left_on="at", right_on="due_at", by="day", check_sortedness=False)
        .drop_nulls("run")
        .group_by("table", "day")
        .agg(runs_held=pl.col("run").n_unique().cast(pl.Int32))
    )
    found = days.join(due, on="day", how="left").join(held, on=["table", "day"], how="left")
    found = found.with_columns(pl.col("runs_due", "runs_held").fill_null(0))
    share = pl.when(pl.col("runs_due") > 0).then(pl.col("runs_held") / pl.col("runs_due"))
    return found.with_columns(vintage_completeness=share).sort("table", "day").select(list(COMPLETENESS_SCHEMA))


def runs_in_words(vintages: pl.DataFrame | None, dataset: Dataset) -> dict[str, Any]:
    """What the gap check says of a settlement table: runs held of runs due over its days; {} if none is due.

    vintages: COMPLETENESS_SCHEMA, of any tables.
    """
    if vintages is None or not dataset.settlement:
        return {}
    here = vintages.filter(pl.col("table") == dataset.table)
    due, held = int(here["runs_due"].sum()), int(here["runs_held"].sum())
    if not due:
        return {}
    whole = here.filter(pl.col("vintage_completeness") == 1).height
    share = {"runs due": due, "runs held": held, "vintage_completeness": held / due, "days with every run": whole}
    return {"settlement runs": share}
