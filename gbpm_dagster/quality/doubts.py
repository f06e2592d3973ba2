"""Answered days whose rows may not be all there: what the evidence says against calling them complete.

Belongs here: the doubts and what lays them. Not here: slots and their states (`coverage`), a day's sentence
(`reasons`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Grain, Rule
from gbpm_dagster.market.calendar import periods_in_day
from gbpm_dagster.quality.publications import Published, lacking, ordinary, regular
from gbpm_dagster.quality.result import count
from gbpm_dagster.quality.states import PROOF_SPAN, runs
from gbpm_dagster.quality.witness import AGREES

SCHEMA: dict[str, Any] = {"day": pl.Date, "doubt": pl.String}

OUTWEIGHED = 3
"""So many confirmed days that data-status contradicts, and no fewer than it agrees with: it counts otherwise."""


def doubts(
    dataset: Dataset,
    held: pl.DataFrame,
    answers: pl.DataFrame,
    recorded: bool,
    judged: pl.DataFrame,
    proof: timedelta = PROOF_SPAN,
    counted: Mapping[date, Published] | None = None,
) -> pl.DataFrame:
    """Days in doubt and why (day, doubt).

    - Rows in quarantine, where the rule does not count every row (events, rows by unit): they are not stored.
    - An answer that contradicts itself (`warehouse.contradictions`). Not where most days do: the key is then not the
      source's.
    - Events with a floor for every period (BOD): a period without rows among others with rows.
    - Not in a home of recordings, which may be restored: columns the answer did not have, of those that Elexon's
      document never lets be null and those that other days have (unless the path leaves out what is null); and a day
      of forecasts and the like (Rule.DAILY) with fewer rows than the days around it have, or that lacks publications,
      their horizon, or rows of the periods they cover (`publications`).
    - Other numbers of rows than the source's own count (`witness`), where the rule does not count every row.

    held: the table's evidence. counted: its `published`. judged: WITNESS_SCHEMA. answers: its successful attempts;
    where they hold the same content at least `proof` apart the doubt is laid (domain.md's proof of what the source
    does not have).
    """
    if dataset.grain is not Grain.DAILY or held.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    found: dict[date, list[str]] = {}
    parts = [_quarantined(dataset, held), _contradicting(held), _hollow(dataset, held)]
    if not recorded:
        parts += [_absent(dataset, held), _uneven(dataset, held), lacking(dataset, held, counted or {})]
    for part in parts:
        for day, why in part:
            found.setdefault(day, []).append(why)
    odd = judged.filter((pl.col("doubt") != "") & dataset.counted_elsewhere)
    counted = dict(odd.select("day", "doubt").iter_rows())
    laid = _confirmed(held, answers, [*found, *counted], proof) if found or counted else set()
    if not _counts_otherwise(judged, laid & counted.keys()):
        for day, why in counted.items():
            found.setdefault(day, []).append(why)
    return pl.DataFrame([(d, "; ".join(w)) for d, w in found.items() if d not in laid], schema=SCHEMA, orient="row")


def _quarantined(dataset: Dataset, held: pl.DataFrame) -> Iterator[tuple[date, str]]:
    if dataset.counts_every_row:
        return
    for day, n in held.filter(pl.col("quarantined") > 0).select("day", "quarantined").iter_rows():
        yield day, f"{count(n, 'row')} in quarantine"


def _contradicting(held: pl.DataFrame) -> Iterator[tuple[date, str]]:
    some = held.filter(pl.col("contradictions") > 0)
    if some.height > max(OUTWEIGHED, held.filter(pl.col("rows") > 0).height / 2):
        return
    for day, n in some.select("day", "contradictions").iter_rows():
        yield day, f"the answer contradicts itself in {count(n, 'row')}"


def _absent(dataset: Dataset, held: pl.DataFrame) -> Iterator[tuple[date, str]]:
    with_rows = held.filter(pl.col("rows") > 0).select("day", column="absent_columns")
    lists = with_rows.explode("column", empty_as_null=True).drop_nulls("column")
    if lists.is_empty():
        return
    days_without = dict(lists.group_by("column").agg(pl.col("day").n_unique()).iter_rows())
    never_null = {c.name for c in dataset.columns if not c.nullable}
    known = set(dataset.names)
    odd = [
        name
        for name, days in sorted(days_without.items())
        if name in never_null or (name in known and not dataset.endpoint.omits_nulls and days < with_rows.height)
    ]
    hit = lists.filter(pl.col("column").is_in(odd)).group_by("day").agg(pl.col("column").unique().sort())
    for day, names in hit.iter_rows():
        yield day, f"the answer had no {', '.join(names)}"


def _hollow(dataset: Dataset, held: pl.DataFrame) -> Iterator[tuple[date, str]]:
    if not dataset.fills_periods:
        return
    own = pl.col("slots").list.eval(pl.element().struct.field("period"))
    for day, periods in held.filter(pl.col("slots").list.len() > 0).select("day", own).iter_rows():
        empty = sorted(set(range(1, periods_in_day(day) + 1)) - set(periods))
        if empty:
            said = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b, _ in runs(empty))
            yield day, f"no row in period {said}, though others of the day have rows"


def _uneven(dataset: Dataset, held: pl.DataFrame) -> Iterator[tuple[date, str]]:
    """A publication's grid has a regular size, which is read off the days before, or at the beginning those after.

    Tables whose days differ have none, and so have days next to a clock change: their grids are of other hours.
    """
    if dataset.completeness.rule is not Rule.DAILY:
        return
    rows = {day: n for day, n in held.select("day", "rows").iter_rows() if n and ordinary(day)}
    if len(set(rows.values())) < 2:
        return
    most = max(rows.values())
    for day, n in rows.items():
        if n == most:
            continue
        usual = regular(rows, day, -1) or regular(rows, day, 1)
        if n < usual:
            yield day, f"{n} rows, where the days around it have {usual} each"


def _counts_otherwise(judged: pl.DataFrame, outweighed: set[date]) -> bool:
    """Whether data-status counts something else than this table's rows: confirmed days contradict it, mostly."""
    return len(outweighed) >= OUTWEIGHED and len(outweighed) >= judged.filter(witness=AGREES).height


def _confirmed(held: pl.DataFrame, answers: pl.DataFrame, days: list[date], proof: timedelta) -> set[date]:
    """Days whose present content was the answer twice, so long apart."""
    same = (
        answers.filter(pl.col("day").is_in(days))
        .join(held.select("day", "content_hash"), on=["day", "content_hash"], how="semi")
        .group_by("day")
        .agg(span=pl.col("at").max() - pl.col("at").min())
    )
    return set(same.filter(pl.col("span") >= proof)["day"].to_list())
