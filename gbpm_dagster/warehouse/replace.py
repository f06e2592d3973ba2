"""Replacing partitions of one table in the lake: the guard, the merge and the steps that keep a crash harmless.

Belongs here: the order of steps. Not here: the merge rule (merge), the ledger's storage (ledger), the lake's reads.

The steps, each one commit or a few: vintages (append what is not there), forget (the evidence of days about to
change), data (days new to their month in one append, the others in one overwrite a month), quarantine, drift,
evidence, attempts. A crash between any two leaves a day with its old or its new rows, and with evidence only if that
evidence still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Grain, Style
from gbpm_dagster.warehouse import facts, merge, records
from gbpm_dagster.warehouse.contradictions import contradictions
from gbpm_dagster.warehouse.delta import Table, day_predicate, explained
from gbpm_dagster.warehouse.incoming import batches, check_arrivals, check_days, joined, lost_columns, month_of
from gbpm_dagster.warehouse.ledger import DRIFT, QUARANTINE, Ledger
from gbpm_dagster.warehouse.protocol import (
    DAY,
    FETCHED_AT,
    INSTANT,
    MONTH,
    SOURCE,
    Arrival,
    Outcome,
    WarehouseError,
    frame_schema,
    stored_schema,
)

Fault = Callable[[str], None]
SNAPSHOT_SHARE = 0.95
"""A snapshot with fewer rows than this share of the last one is held (domain.md 2.2 F)."""


def data_table(root: Path, dataset: Dataset) -> Table:
    """The dataset's own table. Our columns come first: Delta keeps min and max of the first 32 only."""
    return Table(root / dataset.table, _physical(dataset), (MONTH,))


def vintage_table(root: Path, dataset: Dataset) -> Table:
    schema = {**_physical(dataset), merge.SUPERSEDED_AT: INSTANT}
    return Table(root / f"{dataset.table}_vintages", schema, (MONTH,))


def _physical(dataset: Dataset) -> dict[str, Any]:
    ours = {DAY: pl.Date, FETCHED_AT: INSTANT, SOURCE: pl.String}
    return {**ours, **frame_schema(dataset), MONTH: pl.String}


def days_where(days: Sequence[date]) -> pl.Expr:
    return pl.col(DAY).is_in(list(days)) & (pl.col(DAY) >= min(days)) & (pl.col(DAY) <= max(days))


class Replacement:
    """One `replace` of one table; the caller holds the table's lock."""

    def __init__(self, root: Path, ledger: Ledger, dataset: Dataset, fault: Fault) -> None:
        self.dataset, self.ledger, self.fault = dataset, ledger, fault
        self.data = data_table(root, dataset)
        self.vintages = vintage_table(root, dataset)

    def run(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Replace these days; outcomes in the order of days."""
        ordered = sorted(arrivals, key=lambda a: a.day)
        check_arrivals(self.dataset, ordered)
        outcomes: list[Outcome] = []
        for batch in batches(ordered, one_by_one=self.dataset.grain is Grain.SNAPSHOT):
            outcomes += self._batch(batch)
        return outcomes

    def _batch(self, batch: Sequence[Arrival]) -> list[Outcome]:
        days = [a.day for a in batch]
        rows = joined(self.dataset, batch)
        check_days(self.dataset, rows)
        answer = merge.resolve(self.dataset, rows)
        stored = self._stored(days)
        held = self._guard(batch, answer, stored)
        passed = [a for a in batch if a.day not in held]
        outcomes: dict[date, Outcome] = {}
        attempts = [records.held_attempt(self.dataset, a, held[a.day]) for a in batch if a.day in held]
        for a in batch:
            if a.day in held:
                outcomes[a.day] = held[a.day]
        if passed:
            written = self._write(passed, answer, stored, all_passed=not held)
            for a, evidence, outcome in written:
                outcomes[a.day] = outcome
                attempts.append(records.attempt(self.dataset, a, outcome, evidence))
        self.fault("attempts")
        self.ledger.add_attempts(attempts)
        self.fault("done")
        return [outcomes[d] for d in days]

    def _stored(self, days: Sequence[date]) -> pl.DataFrame:
        files = self.data.files(**{MONTH: sorted({month_of(d) for d in days})})
        return self.data.read(files, days_where(days)).select(list(stored_schema(self.dataset)))

    def _guard(self, batch: Sequence[Arrival], answer: merge.Answer, stored: pl.DataFrame) -> dict[date, Outcome]:
        """Days whose answer is smaller than what is stored and not confirmed by an earlier held one (decision 6).

        Smaller: fewer distinct keys, or without a column that stored rows have values of.
        """
        new = dict(answer.counts.select(DAY, "keys").iter_rows())
        had = dict(stored.group_by(DAY).len().iter_rows())
        limits = {a.day: self._limit(a, had.get(a.day, 0)) for a in batch}
        lost = {a.day: lost_columns(a, stored) for a in batch if a.absent_columns and had.get(a.day)}
        short = [a for a in batch if new.get(a.day, 0) < limits[a.day][0] or lost.get(a.day)]
        if not short:
            return {}
        hashes = facts.key_set_hashes(self.dataset, answer.winners.filter(pl.col(DAY).is_in([a.day for a in short])))
        # A list is asked once a day: what confirms it is the next day's answer.
        since = date.min if self.dataset.grain is Grain.SNAPSHOT else short[0].day
        last = self.ledger.last_attempts(self.dataset.table, since, short[-1].day)
        held = {}
        for a in short:
            digest = hashes.get(a.day, "keys:" + facts.empty_hash(self.dataset))
            digest += "".join(f" -{name}" for name in lost.get(a.day, ()))
            before = last.get(max(last)) if last and self.dataset.grain is Grain.SNAPSHOT else last.get(a.day)
            if (
                before
                and before["outcome"] == "held"
                and before["content_hash"] == digest
                and before["at"] < a.fetched_at
            ):
                continue
            keys = new.get(a.day, 0)
            what = [f"has {keys} distinct keys, {limits[a.day][1]}"] if keys < limits[a.day][0] else []
            what += [f"lacks {', '.join(lost[a.day])}, which stored rows have"] if lost.get(a.day) else []
            held[a.day] = Outcome(
                self.dataset.table,
                a.day,
                "held",
                rows=had.get(a.day, 0),
                quarantined=len(a.quarantined),
                requests=a.requests,
                bytes=a.bytes,
                message=f"the answer {' and '.join(what)}: kept what is stored; "
                "the same answer to a later request will replace it",
                extra={"keys": keys, "key_set": digest},
            )
        return held

    def _limit(self, arrival: Arrival, stored: int) -> tuple[float, str]:
        """The fewest keys an answer may have, and why, in words."""
        if self.dataset.grain is not Grain.SNAPSHOT or self.dataset.endpoint.style is Style.IDS:
            return stored, f"fewer than the {stored} of the stored partition"
        previous = stored or self._previous_snapshot(arrival.day)
        return SNAPSHOT_SHARE * previous, f"fewer than 95 % of the {previous} rows of the last snapshot"

    def _previous_snapshot(self, day: date) -> int:
        with explained(self.data.path, "reading the table"):  # of all lists the days alone
            by_day = self.data.scan().filter(pl.col(DAY) < day).group_by(DAY).len().sort(DAY).collect()
        return int(by_day["len"][-1]) if by_day.height else 0

    def _write(
        self, passed: Sequence[Arrival], answer: merge.Answer, stored: pl.DataFrame, *, all_passed: bool
    ) -> list[tuple[Arrival, dict[str, Any], Outcome]]:
        table, days = self.dataset.table, [a.day for a in passed]
        known = self.ledger.evidence([table], min(days), max(days))
        confirmed = dict(known.select("day", "fetched_at").iter_rows())
        asked = merge.asked_frame((a.day, a.fetched_at, confirmed.get(a.day)) for a in passed)
        if not all_passed:
            keep = days_where(days)
            stored = stored.filter(keep)
            answer = merge.Answer(answer.winners.filter(keep), answer.losers.filter(keep), answer.counts.filter(keep))
        merged = merge.combine(self.dataset, answer, stored, asked)
        wrong = merge.check_account(self.dataset, merged.account)
        if wrong:
            raise WarehouseError("the account of rows does not add up, nothing was changed: " + "; ".join(wrong[:3]))
        changed = merged.account.filter("changed").get_column(DAY).sort().to_list()
        with ThreadPoolExecutor(1) as beside:  # measuring needs nothing of the writing, nor the writing of it
            measuring = beside.submit(facts.measure, self.dataset, merged.current)
            self._put_vintages(merged.vintages)
            self.fault("forget")
            self.ledger.forget(table, [d for d in changed if d in confirmed])
            self._put_data(changed, merged.current)
            self._put_aside(passed, days)
            self.fault("evidence")
            evidence = records.evidence(
                self.dataset,
                passed,
                measuring.result(),
                merged.account,
                confirmed,
                contradictions(self.dataset, answer),
                self.data.version,
            )
        self.ledger.put_evidence(table, evidence)
        found = records.outcomes(self.dataset, passed, evidence, merged.account)
        return [(a, row, outcome) for a, (row, outcome) in zip(passed, found, strict=True)]

    def _put_vintages(self, found: pl.DataFrame) -> None:
        self.fault("vintages")
        if not found.height:
            return
        days = found.get_column(DAY).unique().to_list()
        files = self.vintages.files(**{MONTH: sorted({month_of(d) for d in days})})
        self.vintages.append(merge.new_vintages(self.dataset, found, self.vintages.read(files, days_where(days))))

    def _put_data(self, changed: Sequence[date], current: pl.DataFrame) -> None:
        actions = self.data.actions()
        fresh: list[date] = []
        for month, group in groupby(changed, key=month_of):
            days = list(group)
            if not _touches(actions, month, days):
                fresh += days
                continue
            self.fault("data")
            self.data.overwrite(
                current.filter(days_where(days)), f"{MONTH} = '{month}' AND {day_predicate(days, DAY)}"
            )
        if fresh:  # months that have none of these days yet: one commit for all of them
            self.fault("data")
            rows = current if len(fresh) == current[DAY].n_unique() else current.filter(days_where(fresh))
            if rows.height:
                self.data.append(rows)

    def _put_aside(self, passed: Sequence[Arrival], days: Sequence[date]) -> None:
        table = self.dataset.table
        self.fault("quarantine")
        bad = [
            {"table": table, "day": a.day, "reason": reason, "record": record, "window": a.window,
             "fetched_at": a.fetched_at, "run_id": a.run_id}
            for a in passed
            for reason, record in a.quarantined
        ]  # fmt: skip
        self.ledger.put_aside(QUARANTINE, table, days, bad)
        self.fault("drift")
        odd = [
            {"table": table, "day": a.day, "column": column, "record": record, "fetched_at": a.fetched_at,
             "run_id": a.run_id}
            for a in passed
            for column, record in a.drift
        ]  # fmt: skip
        self.ledger.put_aside(DRIFT, table, days, odd)


def _touches(actions: pl.DataFrame, month: str, days: Sequence[date]) -> bool:
    """Whether a live file of that month may hold one of these days."""
    if f"partition.{MONTH}" not in actions.columns:
        return False
    near = actions.filter(pl.col(f"partition.{MONTH}") == month)
    if near.height and f"min.{DAY}" in actions.columns:
        low, high = pl.col(f"min.{DAY}"), pl.col(f"max.{DAY}")
        near = near.filter(low.is_null() | high.is_null() | ((low <= max(days)) & (high >= min(days))))
    return near.height > 0
