"""How good the data of a table and day are: completeness, timeliness, uniqueness, validity, a score (domain.md 8.2).

Belongs here: the parts, the score, the platform's. Pure. Not here: what is due (`coverage`, `completeness`), what a
check found (`judged`), drawing it (`scorechart`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.quality.completeness import completeness_ratio
from gbpm_dagster.quality.coverage import ANSWERED
from gbpm_dagster.quality.judged import Judgement
from gbpm_dagster.quality.known import stored_by
from gbpm_dagster.warehouse.protocol import INSTANT, SCORE_SCHEMA

PARTS = ("completeness", "timeliness", "uniqueness", "validity")
WEIGHTS: Mapping[str, float] = dict(zip(PARTS, (0.4, 0.2, 0.2, 0.2), strict=True))
GRADES = ((98.0, "A"), (95.0, "B"), (90.0, "C"))
LOWEST_GRADE = "D"
WORST = 3
LEAST_IMPORTANT = 9
"""`Dataset.importance` runs from 1 (heal first) to this; its weight is 10 less it."""


def score(parts: Sequence[float | None], weights: Sequence[float] = tuple(WEIGHTS.values())) -> float | None:
    """100 x the weighted mean of the parts that are not null, their weights rescaled; None if all are."""
    known = [(p, w) for p, w in zip(parts, weights, strict=True) if p is not None]
    whole = sum(w for _, w in known)
    return 100 * sum(p * w for p, w in known) / whole if whole else None


def grade(points: float | None) -> str | None:
    """A from 98, B from 95, C from 90, else D."""
    if points is None:
        return None
    return next((letter for least, letter in GRADES if round(points, 9) >= least), LOWEST_GRADE)


def scorecard(
    dataset: Dataset,
    coverage_frame: pl.DataFrame,
    evidence: pl.DataFrame,
    attempts: pl.DataFrame,
    judged: Mapping[date, Judgement],
    now: datetime,
    nightly: bool = True,
) -> pl.DataFrame:
    """The parts and score of each day of the coverage: SCORE_SCHEMA, ascending by day.

    evidence, attempts: of the table, whole. judged: what validity found, of the days it has read as they are now.
    nightly: only the schedules feed the table, so that a day is on time when they should have stored it.

    completeness: domain.md 2.4. timeliness: the share of what is due that was there by then; null for a day before
    the table's first try in this home (history that was filled in later was never watched) and for one whose time has
    not come. Attempts count keys and not slots, so the share is of keys. uniqueness: 1 - exact copies / rows received
    by the last answer. validity: rows that break no rule / rows received; a row that breaks two counts twice, at most
    all count, rows in quarantine count as broken; null for a day the check has not read as it is.
    """
    ratio = completeness_ratio(coverage_frame).select("day", completeness="ratio")
    held = evidence.select("day", "rows", "distinct_keys", "fetched", "exact_duplicates", "quarantined")
    broken = pl.DataFrame(
        [(day, sum(o.rows for o in said.offences.values())) for day, said in judged.items()],
        schema={"day": pl.Date, "broken": pl.Int64},
        orient="row",
    )
    frame = ratio
    for part in (held, broken, _keys_in_time(dataset, ratio["day"].to_list(), attempts, now, nightly)):
        frame = frame.join(part, on="day", how="left", maintain_order="left")
    received = pl.col("rows") + pl.col("quarantined").fill_null(0)
    bad = pl.min_horizontal(pl.col("broken"), pl.col("rows")) + pl.col("quarantined").fill_null(0)
    share = (pl.col("in_time") / pl.col("distinct_keys")).clip(0, 1)
    # Of a day without keys an answer in time is all there is to be had.
    there = pl.when(pl.col("distinct_keys").fill_null(0) > 0).then(share).otherwise(pl.col("answered_in_time"))
    parts = frame.select(
        "day",
        "completeness",
        timeliness=pl.when(pl.col("watched")).then(pl.col("completeness") * there.cast(pl.Float64).fill_null(0.0)),
        uniqueness=pl.when(pl.col("fetched") > 0).then(1 - pl.col("exact_duplicates") / pl.col("fetched")),
        validity=pl.when((received > 0) & pl.col("broken").is_not_null()).then(1 - bad / received),
    )
    return _scored(parts).select(
        pl.lit(dataset.table).cast(kind).alias(name) if name == "table" else pl.col(name).cast(kind)
        for name, kind in SCORE_SCHEMA.items()
    )


def _keys_in_time(
    dataset: Dataset, days: Sequence[date], attempts: pl.DataFrame, now: datetime, nightly: bool
) -> pl.DataFrame:
    """day, watched, answered_in_time, in_time: the most keys an answer had by when the day should have been there."""
    due = [(day, stored_by(dataset, day, nightly)) for day in days]
    by = pl.DataFrame(due, schema={"day": pl.Date, "by": INSTANT}, orient="row")
    answers = attempts.filter(pl.col("outcome").is_in(ANSWERED)).select("day", "at", "distinct_keys")
    first = attempts["at"].min()
    in_time = (
        answers.join(by, on="day")
        .filter(pl.col("at") <= pl.col("by"))
        .group_by("day")
        .agg(in_time=pl.col("distinct_keys").max())
        .with_columns(answered_in_time=pl.lit(1.0))
    )
    watched = (pl.col("by") <= now) & (pl.col("by") >= pl.lit(first, dtype=INSTANT)).fill_null(False)
    return by.join(in_time, on="day", how="left", maintain_order="left").select(
        "day", "in_time", pl.col("answered_in_time").fill_null(0.0), watched=watched
    )


def _scored(parts: pl.DataFrame) -> pl.DataFrame:
    """Adds what `score` and `grade` say of each row's parts."""
    weighted = pl.sum_horizontal(pl.col(p) * w for p, w in WEIGHTS.items())
    weights = pl.sum_horizontal(pl.col(p).is_not_null() * w for p, w in WEIGHTS.items())
    points = pl.when(weights > 0).then(100 * weighted / weights)
    letter = pl.lit(None, pl.String)
    letter = pl.when(pl.col("score").is_not_null()).then(pl.lit(LOWEST_GRADE)).otherwise(letter)
    for least, name in reversed(GRADES):
        letter = pl.when(pl.col("score").round(9) >= least).then(pl.lit(name)).otherwise(letter)
    return parts.with_columns(score=points).with_columns(grade=letter)


def by_table(scores: pl.DataFrame) -> pl.DataFrame:
    """Of each table of SCORE_SCHEMA rows the means over the days: table, days (with a score), the parts, score and
    grade; the worst first, tables without a score last."""
    means = scores.group_by("table", maintain_order=True).agg(
        days=pl.col("score").count(), **{name: pl.col(name).mean() for name in (*PARTS, "score")}
    )
    letters = pl.Series("grade", [grade(s) for s in means["score"]], dtype=pl.String)
    return means.with_columns(letters).sort("score", "table", nulls_last=True)


def platform(tables: pl.DataFrame, importance: Mapping[str, int]) -> float | None:
    """The mean of the tables' scores (`by_table`), each weighted by 10 less its importance; None without a score."""
    weighted = [(s, LEAST_IMPORTANT + 1 - importance[t]) for t, s in tables.select("table", "score").iter_rows()]
    return score([None if s is None else s / 100 for s, _ in weighted], [float(w) for _, w in weighted])


def worst(tables: pl.DataFrame, most: int = WORST) -> list[tuple[str, float]]:
    """The worst tables that are not perfect: (table, score)."""
    below = tables.filter(pl.col("score") < 100).select("table", "score")
    return [(t, s) for t, s in below.head(most).iter_rows()]


def importance(datasets: Iterable[Dataset]) -> dict[str, int]:
    return {d.table: min(d.importance, LEAST_IMPORTANT) for d in datasets}
