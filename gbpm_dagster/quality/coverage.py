"""What is there and what is not: the state of every wanted day, read from evidence and attempts alone.

Belongs here: joining expected slots with evidence. Not here: rules for one slot (`states`), wording (`reasons`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Lag, Rule
from gbpm_dagster.quality.doubts import doubts
from gbpm_dagster.quality.expected import WHOLE_DAY, by_publication, day_frame, expected_slots
from gbpm_dagster.quality.publications import published, remarks
from gbpm_dagster.quality.reasons import reason
from gbpm_dagster.quality.register import reopened, with_known
from gbpm_dagster.quality.states import PROOF_SPAN, WORST_FIRST, State
from gbpm_dagster.quality.witness import COUNTS_SCHEMA, compare
from gbpm_dagster.warehouse.protocol import INSTANT, KNOWN_GAP_SCHEMA

COVERAGE_SCHEMA: dict[str, Any] = {
    "table": pl.String,
    "day": pl.Date,
    "state": pl.String,  # states.State
    "rows": pl.Int64,  # rows the partition holds
    "expected_slots": pl.Int32,  # settlement periods; 1 for events and snapshots
    "complete_slots": pl.Int32,
    "due": pl.Int64,  # what is due by now: rows that the due periods must have, windows of events, 1 list
    "there": pl.Int64,  # of these there, none counted beyond what its period must have (`completeness`)
    "missing_slots": pl.List(pl.String),  # 'YYYY-MM-DD/SP': late, missing or missing at the source; the first 60
    "reason": pl.String,
    "remark": pl.String,  # worth knowing and no gap (`publications.remarks`); null: nothing
    "witness": pl.String,  # agrees, short, more: rows against Elexon's own count (`witness`); null: not judged
    "last_attempt": INSTANT,
    "known": pl.String,  # status of the strongest entry of the register (`register.Status`); null: none, or complete
    "known_as": pl.String,  # 'ID: reason' of that entry
}
"""One row a table and wanted day."""

MAX_LISTED = 60
NEIGHBOUR_DAYS = 7
ANSWERED = ("written", "unchanged", "empty")
"""Outcomes of attempts in which the source answered every window of the day."""

_RANK = {state: i for i, state in enumerate(WORST_FIRST)}
_COMPLETE, _MISSING, _LOST = _RANK[State.COMPLETE], _RANK[State.MISSING], _RANK[State.MISSING_AT_SOURCE]
_FAILING = (_MISSING, _RANK[State.LATE])
_LISTED = (*_FAILING, _LOST)
_WAITING = (_RANK[State.DUE], _RANK[State.NOT_DUE])
_STATE_OF = {i: state.value for i, state in enumerate(WORST_FIRST)}
"""States are small numbers, worst first, until the end: a table has tens of thousands of slots."""


def coverage(
    dataset: Dataset,
    days: Sequence[date],
    evidence: pl.DataFrame,
    attempts: pl.DataFrame,
    now: datetime,
    recorded: bool = False,
    said: pl.DataFrame | None = None,
    register: pl.DataFrame | None = None,
    proof: timedelta = PROOF_SPAN,
) -> pl.DataFrame:
    """State of each wanted day of one table: COVERAGE_SCHEMA, ascending by day (domain.md 2.3, decision 7).

    evidence, attempts: EVIDENCE_SCHEMA and ATTEMPT_SCHEMA rows, of this table or of many. Where a table is kept by
    publication they should reach beyond the last day asked: rows published late lie in later partitions.
    now: aware; ValueError if it is not. recorded: the home is about recordings, in which columns may be absent.
    said: `witness.counts`, the source's own counts, if there are any. register: KNOWN_GAP_SCHEMA, the known gaps.
    proof: least time between two answers that prove what the source lacks.
    """
    if now.tzinfo is None:
        raise ValueError("coverage needs an aware `now`")
    wanted = sorted(set(days))
    if not wanted:
        return pl.DataFrame(schema=COVERAGE_SCHEMA)
    held = evidence.filter(pl.col("table") == dataset.table)
    tries = attempts.filter(pl.col("table") == dataset.table)
    known = pl.DataFrame(schema=KNOWN_GAP_SCHEMA) if register is None else register
    if dataset.completeness.rule in (Rule.PERIODS, Rule.DAILY):
        proofs = _still_counting(tries, reopened(known, dataset.table, wanted))
        states = _by_periods(dataset, wanted, held, proofs, now, proof)
    elif dataset.completeness.rule is Rule.EVENTS:
        states = _by_windows(dataset, wanted, held, now)
    else:
        states = _by_snapshot(dataset, wanted, held, now)
    answers = tries.filter(pl.col("outcome").is_in(ANSWERED))
    judged = compare(dataset, held, pl.DataFrame(schema=COUNTS_SCHEMA) if said is None else said)
    counted = published(dataset, held)
    doubtful = doubts(dataset, held, answers, recorded, judged, proof, counted)
    states = _doubted(states, doubtful, held).join(
        judged.select("day", "witness"), on="day", how="left", maintain_order="left"
    )
    noted = pl.DataFrame(list(remarks(dataset, counted)), schema={"day": pl.Date, "remark": pl.String}, orient="row")
    states = states.join(noted, on="day", how="left", maintain_order="left")
    described = _described(dataset, states, held, tries)
    return with_known(described, known, dataset.table).select(pl.col(n).cast(t) for n, t in COVERAGE_SCHEMA.items())


def _still_counting(tries: pl.DataFrame, reopened_at: Mapping[date, datetime]) -> pl.DataFrame:
    """Without the tries before a person opened their day again."""
    if not reopened_at:
        return tries
    since = pl.DataFrame(list(reopened_at.items()), schema={"day": pl.Date, "_since": INSTANT}, orient="row")
    joined = tries.join(since, on="day", how="left", maintain_order="left")
    return joined.filter(pl.col("_since").is_null() | (pl.col("at") > pl.col("_since"))).drop("_since")


def _doubted(states: pl.DataFrame, doubtful: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Days that would be complete but for a doubt are partial, or missing where nothing is stored."""
    frame = states.join(doubtful, on="day", how="left", maintain_order="left").join(
        held.select("day", _held="rows"), on="day", how="left", maintain_order="left"
    )
    worse = pl.when(pl.col("_held") > 0).then(pl.lit(State.PARTIAL.value)).otherwise(pl.lit(State.MISSING.value))
    hit = (pl.col("state") == State.COMPLETE.value) & pl.col("doubt").is_not_null()
    return frame.with_columns(state=pl.when(hit).then(worse).otherwise("state")).drop("_held")


def _slots(
    dataset: Dataset,
    wanted: Sequence[date],
    held: pl.DataFrame,
    tries: pl.DataFrame,
    now: datetime,
    proof: timedelta,
) -> pl.DataFrame:
    """Every expected slot: day, slot, date, period, end, expected, rows, rank (of its state), asked.

    A day without evidence counts as not there: its slots have no rows. Of Rule.DAILY neither does one that was asked
    before it ended: its first row makes no whole day.
    """
    slots = (
        expected_slots(dataset, wanted)
        .with_columns(_slot_number())
        .join(_counted(dataset, held), on="slot", how="left", maintain_order="left")
        .join(held.select("day", "fetched_at", asked=pl.lit(True)), on="day", how="left", maintain_order="left")
    )
    there, counts = pl.col("rows").fill_null(0), pl.col("asked")
    if dataset.completeness.rule is Rule.DAILY:
        counts = counts & (pl.col("fetched_at") >= pl.col("end"))
    slots = slots.with_columns(rows=pl.when(counts).then(there).otherwise(0))
    full = pl.col("rows") >= pl.col("expected")
    slots = slots.with_columns(rank=pl.when(full).then(_rank(State.COMPLETE)).otherwise(_waiting(dataset.lag, now)))
    return _lost_at_source(dataset, slots, held, tries, proof)


def _slot_number(day: pl.Expr | None = None, period: pl.Expr | None = None) -> pl.Expr:
    """One number for (date, period): joins on it are several times faster than on the pair."""
    date_, number = (pl.col("date") if day is None else day), (pl.col("period") if period is None else period)
    return (date_.to_physical() * 64 + number).alias("slot")


def _rank(state: State) -> pl.Expr:
    return pl.lit(_RANK[state], dtype=pl.Int8)


def _waiting(lag: Lag, now: datetime) -> pl.Expr:
    """Rank of a slot that is not complete, from its `end`."""
    age = pl.lit(now, dtype=INSTANT) - pl.col("end")
    return (
        pl.when(age < lag.lag)
        .then(_rank(State.NOT_DUE))
        .when(age < lag.lag + lag.grace)
        .then(_rank(State.DUE))
        .when(age < lag.lag + lag.missing)
        .then(_rank(State.LATE))
        .otherwise(_rank(State.MISSING))
    )


def _counted(dataset: Dataset, held: pl.DataFrame) -> pl.DataFrame:
    """Rows that count, by date and period: of all partitions if kept by publication, else of the day's own."""
    if dataset.completeness.rule is Rule.DAILY:
        return held.select(_slot_number(pl.col("day"), pl.lit(WHOLE_DAY)), pl.col("rows").cast(pl.Int32))
    slots = (
        held.select("day", slot="slots")
        .explode("slot")
        .drop_nulls("slot")
        .unnest("slot")
        .select("day", "date", "rows", _slot_number())
    )
    if dataset.completeness.grid:  # the sample of midnight may have been taken a second before
        return slots.group_by("slot").agg(pl.col("rows").sum())
    if not by_publication(dataset):
        return slots.filter(pl.col("day") == pl.col("date")).group_by("slot").agg(pl.col("rows").sum())
    # A republished row lies in two partitions and is one row still. Evidence does not say which members a count is
    # of, so that members published on different days are reported as a gap: better than hiding one behind a revision.
    return slots.group_by("slot").agg(pl.col("rows").max())


def _lost_at_source(
    dataset: Dataset, slots: pl.DataFrame, held: pl.DataFrame, tries: pl.DataFrame, proof: timedelta
) -> pl.DataFrame:
    """Turns `missing` into `missing_at_source` where two answers 24 h apart and a control prove it.

    A slot without rows now was empty in every answer that was accepted: written and unchanged count as `empty` does.
    """
    answers = tries.filter(pl.col("outcome").is_in(ANSWERED)).select("day", "at")
    suspects = slots.filter((pl.col("rank") == _MISSING) & (pl.col("rows") == 0) & pl.col("asked"))
    proven = (
        suspects.select("day", "slot", missing_at=pl.col("end") + dataset.lag.lag + dataset.lag.missing)
        .join(answers, on="day", how="inner")
        .filter(pl.col("at") >= pl.col("missing_at"))
        .group_by("day", "slot")
        .agg(first=pl.col("at").min(), last=pl.col("at").max())
        .filter(pl.col("last") - pl.col("first") >= proof)
    )
    if proven.is_empty():
        return slots
    filled = sorted(held.filter(pl.col("rows") > 0)["day"].to_list())
    controlled = [d for d in proven["day"].unique().to_list() if _near(filled, d)]
    lost = proven.filter(pl.col("day").is_in(controlled))["slot"]
    here = pl.col("slot").is_in(lost.to_list())
    return slots.with_columns(rank=pl.when(here).then(_rank(State.MISSING_AT_SOURCE)).otherwise("rank"))


def _near(filled: Sequence[date], day: date) -> bool:
    """The control: a day with rows at most 7 days away (the day itself answers too, if it has rows)."""
    i = bisect_left(filled, day - timedelta(days=NEIGHBOUR_DAYS))
    return i < len(filled) and filled[i] <= day + timedelta(days=NEIGHBOUR_DAYS)


def _by_periods(
    dataset: Dataset,
    wanted: Sequence[date],
    held: pl.DataFrame,
    tries: pl.DataFrame,
    now: datetime,
    proof: timedelta,
) -> pl.DataFrame:
    slots = _slots(dataset, wanted, held, tries, now, proof)
    waiting = pl.col("rank").is_in(_WAITING)
    days = slots.group_by("day").agg(
        expected_slots=pl.len(),
        complete_slots=(pl.col("rank") == _COMPLETE).sum(),
        due=pl.col("expected").filter(~waiting).sum(),
        there=pl.min_horizontal("rows", "expected").filter(~waiting).sum(),
        worst=pl.col("rank").min(),
        failing=pl.col("rank").is_in(_FAILING).any(),
    )
    partial = pl.col("failing") & (pl.col("complete_slots") > 0)
    worst = pl.col("worst").replace_strict(_STATE_OF, return_dtype=pl.String)
    days = days.with_columns(state=pl.when(partial).then(pl.lit(State.PARTIAL.value)).otherwise(worst))
    label = pl.format("{}/{}", pl.col("date").dt.to_string("%Y-%m-%d"), pl.col("period"))
    label = pl.when(pl.col("period") == WHOLE_DAY).then(pl.col("date").dt.to_string("%Y-%m-%d")).otherwise(label)
    listed = (
        slots.filter(pl.col("rank").is_in(_LISTED))
        .with_columns(label.alias("label"))
        .group_by("day", maintain_order=True)
        .agg(
            missing_slots=pl.col("label").head(MAX_LISTED),
            # Only where something was answered: nobody asks which periods a day never asked lacks.
            gaps=pl.struct("date", "period", "rows", "expected").filter("asked").head(MAX_LISTED),
        )
    )
    frame = pl.DataFrame({"day": list(wanted)}, schema={"day": pl.Date})
    for part in (days.drop("worst", "failing"), listed):
        frame = frame.join(part, on="day", how="left", maintain_order="left")
    # A day on which no member is declared yet has no slots.
    return frame.with_columns(
        pl.col("state").fill_null(State.COMPLETE.value),
        pl.col("expected_slots", "complete_slots", "due", "there").fill_null(0),
        pl.col("missing_slots", "gaps").fill_null([]),
    )


def _one_slot(days: pl.DataFrame) -> pl.DataFrame:
    """Coverage of days that are one slot each, from `rank` and the windows (or the list) `asked` and `answered`."""
    complete, waiting = pl.col("rank") == _COMPLETE, pl.col("rank").is_in(_WAITING)
    some = pl.min_horizontal("asked", "answered")
    return days.select(
        "day",
        state=pl.col("rank").replace_strict(_STATE_OF, return_dtype=pl.String),
        expected_slots=pl.lit(1),
        complete_slots=complete.cast(pl.Int32),
        due=pl.when(~waiting).then("asked").otherwise(0),
        there=pl.when(complete).then("asked").when(~waiting).then(some).otherwise(0),
        missing_slots=pl.lit([], dtype=pl.List(pl.String)),
        gaps=pl.lit(None),
    )


def _by_windows(dataset: Dataset, wanted: Sequence[date], held: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Events: the day is the slot; answered in whole once it was due it is complete, even without rows.

    An answer before that says nothing of what is still to come: settlement's figures appear a day or two later.
    """
    ended = (pl.col("fetched_at") >= pl.col("end") + dataset.lag.lag).fill_null(False)
    whole = ended & (pl.col("windows_answered") >= pl.col("windows_asked"))
    return _one_slot(
        day_frame(wanted)
        .join(
            held.select("day", "fetched_at", "windows_asked", "windows_answered"),
            on="day",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            rank=pl.when(whole.fill_null(False)).then(_rank(State.COMPLETE)).otherwise(_waiting(dataset.lag, now)),
            asked=pl.max_horizontal(pl.col("windows_asked").fill_null(1), 1),
            answered=pl.when(ended).then("windows_answered").otherwise(0).fill_null(0),
        )
    )


def _by_snapshot(dataset: Dataset, wanted: Sequence[date], held: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Snapshots: one list of that day or a later one. Without it the newest list before ages by the table's lag.

    A list can only be taken on its own day; where there is none at all the first one is missing at once.
    """
    whole = held.filter(pl.col("rows") >= dataset.completeness.floor)
    taken = whole.select("fetched_at", snapshot="day").sort("snapshot")
    newest = taken["snapshot"].max()
    frame = day_frame(wanted).join_asof(taken, left_on="day", right_on="snapshot", strategy="backward")
    frame = frame.with_columns(end="fetched_at")
    there = pl.col("day") <= pl.lit(newest, dtype=pl.Date)
    future = pl.col("start") > pl.lit(now, dtype=INSTANT)
    return _one_slot(
        frame.with_columns(
            rank=pl.when(there.fill_null(False))
            .then(_rank(State.COMPLETE))
            .when(future)
            .then(_rank(State.NOT_DUE))
            .when(pl.col("snapshot").is_null())
            .then(_rank(State.MISSING))
            .otherwise(_waiting(dataset.lag, now)),
            asked=pl.lit(1),
            answered=pl.lit(0),
        )
    )


def _described(dataset: Dataset, states: pl.DataFrame, held: pl.DataFrame, tries: pl.DataFrame) -> pl.DataFrame:
    """Adds rows, the last attempt and a sentence that says why."""
    last = (
        tries.sort("at")
        .group_by("day")
        .last()
        .select("day", "at", "outcome", "error_class", "message", tried_keys="distinct_keys")
    )
    frame = states.join(
        held.select("day", "fetched_at", "distinct_keys", "quarantined", held_rows="rows"),
        on="day",
        how="left",
        maintain_order="left",
    ).join(last, on="day", how="left", maintain_order="left")
    return frame.with_columns(
        table=pl.lit(dataset.table),
        rows=pl.col("held_rows").fill_null(0),
        reason=_reasons(dataset, frame),
        last_attempt=pl.coalesce("at", "fetched_at"),
    )


def _reasons(dataset: Dataset, frame: pl.DataFrame) -> pl.Series:
    """The sentence of each day. Days alike share it: most days of a table are, so that few are worded one by one."""
    newer = (pl.col("at") > pl.col("fetched_at")).fill_null(pl.col("at").is_not_null())
    alone = (newer & pl.col("outcome").is_in(["failed", "held"])) | (
        pl.col("fetched_at").is_not_null() & (pl.col("state") != State.COMPLETE.value)
    )
    alike = pl.concat_str(
        "state", "expected_slots", "held_rows", pl.col("fetched_at").is_null(), separator=" ", ignore_nulls=True
    )
    kind = pl.when(alone).then(pl.col("day").cast(pl.String)).otherwise(alike).alias("kind")
    marked = frame.with_columns(kind)
    first = marked.unique("kind", keep="first")
    said = {row["kind"]: reason(dataset.completeness.rule, row) for row in first.iter_rows(named=True)}
    return marked["kind"].replace_strict(said, return_dtype=pl.String)
