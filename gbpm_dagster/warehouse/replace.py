"""Replacing partitions of one table in the lake: the guard, the merge and the steps that keep a crash harmless.

Belongs here: the order of steps. Not here: the merge rule (merge), the ledger's storage (ledger), the lake's reads.

The steps, each one commit or a few: vintages (append what is not there), forget (the evidence of days about to
change), data (one overwrite a month), quarantine, drift, evidence, attempts. A crash between any two leaves a day
with its old or its new rows, and with evidence only if that evidence still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Grain, Kind, Style
from gbpm_dagster.warehouse import facts, merge
from gbpm_dagster.warehouse.contradictions import contradictions
from gbpm_dagster.warehouse.delta import Table, day_predicate, explained
from gbpm_dagster.warehouse.ledger import DRIFT, QUARANTINE, Ledger
from gbpm_dagster.warehouse.protocol import (
    DAY,
    EVIDENCE_SCHEMA,
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
ROWS_AT_ONCE = 2_000_000
"""Months are joined into one merge up to so many answered rows: few commits without unbounded memory."""

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


def month_of(day: date) -> str:
    return f"{day:%Y-%m}"


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
        for batch in _batches(ordered, one_by_one=self.dataset.grain is Grain.SNAPSHOT):
            outcomes += self._batch(batch)
        return outcomes

    def _batch(self, batch: Sequence[Arrival]) -> list[Outcome]:
        days = [a.day for a in batch]
        rows = _rows(self.dataset, batch)
        _check_days(self.dataset, rows)
        answer = merge.resolve(self.dataset, rows)
        stored = self._stored(days)
        held = self._guard(batch, answer, stored)
        passed = [a for a in batch if a.day not in held]
        outcomes: dict[date, Outcome] = {}
        attempts = [_held_attempt(self.dataset, a, held[a.day]) for a in batch if a.day in held]
        for a in batch:
            if a.day in held:
                outcomes[a.day] = held[a.day]
        if passed:
            written = self._write(passed, answer, stored)
            for a, evidence, outcome in written:
                outcomes[a.day] = outcome
                attempts.append(_attempt(self.dataset, a, outcome, evidence))
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
        lost = {a.day: _lost_columns(a, stored) for a in batch if a.absent_columns and had.get(a.day)}
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
        self, passed: Sequence[Arrival], answer: merge.Answer, stored: pl.DataFrame
    ) -> list[tuple[Arrival, dict[str, Any], Outcome]]:
        table, days = self.dataset.table, [a.day for a in passed]
        known = self.ledger.evidence([table], min(days), max(days))
        confirmed = dict(known.select("day", "fetched_at").iter_rows())
        asked = merge.asked_frame((a.day, a.fetched_at, confirmed.get(a.day)) for a in passed)
        keep = days_where(days)
        allowed = merge.Answer(answer.winners.filter(keep), answer.losers.filter(keep), answer.counts.filter(keep))
        merged = merge.combine(self.dataset, allowed, stored.filter(keep), asked)
        wrong = merge.check_account(self.dataset, merged.account)
        if wrong:
            raise WarehouseError("the account of rows does not add up, nothing was changed: " + "; ".join(wrong[:3]))
        changed = merged.account.filter("changed").get_column(DAY).sort().to_list()
        self._put_vintages(merged.vintages)
        self.fault("forget")
        self.ledger.forget(table, [d for d in changed if d in confirmed])
        self._put_data(changed, merged.current)
        self._put_aside(passed, days)
        self.fault("evidence")
        rows = self._evidence(passed, merged, confirmed, contradictions(self.dataset, allowed))
        self.ledger.put_evidence(table, pl.DataFrame(rows, schema=EVIDENCE_SCHEMA, orient="row"))
        accounts = {r[DAY]: r for r in merged.account.iter_rows(named=True)}
        return [
            (a, row, _outcome(table, a, row, accounts.get(a.day, {}))) for a, row in zip(passed, rows, strict=True)
        ]

    def _put_vintages(self, found: pl.DataFrame) -> None:
        self.fault("vintages")
        if not found.height:
            return
        days = found.get_column(DAY).unique().to_list()
        files = self.vintages.files(**{MONTH: sorted({month_of(d) for d in days})})
        self.vintages.append(merge.new_vintages(self.dataset, found, self.vintages.read(files, days_where(days))))

    def _put_data(self, changed: Sequence[date], current: pl.DataFrame) -> None:
        actions = self.data.actions()
        for month, group in groupby(changed, key=month_of):
            days = list(group)
            self.fault("data")
            rows = current.filter(days_where(days))
            if _touches(actions, month, days):
                self.data.overwrite(rows, f"{MONTH} = '{month}' AND {day_predicate(days, DAY)}")
            elif rows.height:
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

    def _evidence(
        self,
        passed: Sequence[Arrival],
        merged: merge.Merged,
        confirmed: dict[date, datetime],
        odd: dict[date, int],
    ) -> list[dict[str, Any]]:
        measured = {r.pop(DAY): r for r in facts.measure(self.dataset, merged.current).iter_rows(named=True)}
        accounts = {r.pop(DAY): r for r in merged.account.iter_rows(named=True)}
        nothing: dict[str, Any] = {
            "rows": 0, "distinct_keys": 0, "newest_version": None, "first_time": None, "last_time": None,
            "content_hash": facts.empty_hash(self.dataset), "slots": [],
        }  # fmt: skip
        version = self.data.version
        rows = []
        for a in passed:
            account = accounts.get(a.day, {})
            before = confirmed.get(a.day)
            rows.append({
                "table": self.dataset.table, "day": a.day,
                "fetched_at": max(a.fetched_at, before) if before else a.fetched_at,
                "source": a.source, "run_id": a.run_id, "windows_asked": a.windows_asked,
                "windows_answered": a.windows_answered, "requests": a.requests, "bytes": a.bytes,
                **measured.get(a.day, nothing),
                "fetched": account.get("fetched", 0) + len(a.quarantined),
                "written": account.get("written", 0), "superseded": account.get("superseded", 0),
                "exact_duplicates": account.get("exact_duplicates", 0), "quarantined": len(a.quarantined),
                "absent_columns": list(a.absent_columns), "unknown_columns": list(a.unknown_columns),
                "contradictions": odd.get(a.day, 0), "table_version": version,
            })  # fmt: skip
        return rows


def check_arrivals(dataset: Dataset, ordered: Sequence[Arrival]) -> None:
    """Raise WarehouseError if an arrival is not what the protocol says: columns, types, time, rows of its own day."""
    want = frame_schema(dataset)
    for before, after in pairwise(ordered):
        if before.day == after.day:
            raise WarehouseError(f"{dataset.table} {after.day}: two answers for one day in one call; join their rows")
    for a in ordered:
        place = f"{dataset.table} {a.day}"
        if a.fetched_at.tzinfo is None:
            raise WarehouseError(f"{place}: fetched_at {a.fetched_at} has no time zone; give aware UTC")
        if dict(a.rows.schema) == want:
            continue
        missing = [n for n in want if n not in a.rows.columns]
        odd = [n for n in a.rows.columns if n not in want]
        if missing or odd:
            raise WarehouseError(
                f"{place}: the rows' columns are not the catalogue's (missing: {missing or 'none'}, unknown: "
                f"{odd or 'none'}); give exactly frame_schema({dataset.table})"
            )
        wrong = [f"{n} is {a.rows.schema[n]}, not {t}" for n, t in want.items() if a.rows.schema[n] != t]
        if wrong:
            raise WarehouseError(f"{place}: wrong column types: {'; '.join(wrong)}")


def _check_days(dataset: Dataset, rows: pl.DataFrame) -> None:
    """Raise WarehouseError if a row does not lie on the London day of its partition."""
    name = dataset.partition_field
    if not name:
        return
    day = pl.col(name)
    if dataset.column(name).kind is Kind.INSTANT:
        day = facts.london_day(day)
    stray = rows.select(day.alias("is"), pl.col(DAY).alias("of")).filter(pl.col("is").ne_missing(pl.col("of")))
    if stray.height:
        found, of = stray.row(0)
        raise WarehouseError(
            f"{dataset.table} {of}: a row's {name} lies on {found}, not in the partition's day; nothing was changed"
        )


def _batches(ordered: Sequence[Arrival], *, one_by_one: bool) -> Iterator[list[Arrival]]:
    """Whole months together, up to ROWS_AT_ONCE rows; snapshots singly, as each is judged by the one before."""
    batch: list[Arrival] = []
    rows = 0
    for _, group in groupby(ordered, key=lambda a: a.day if one_by_one else month_of(a.day)):
        days = list(group)
        size = sum(a.rows.height for a in days)
        if batch and (one_by_one or rows + size > ROWS_AT_ONCE):
            yield batch
            batch, rows = [], 0
        batch += days
        rows += size
    if batch:
        yield batch


def _rows(dataset: Dataset, batch: Sequence[Arrival]) -> pl.DataFrame:
    """All rows of the batch with our own columns (built once: a frame a day costs a millisecond each)."""
    names = list(dataset.names)
    frames = [a.rows if a.rows.columns == names else a.rows.select(names) for a in batch]
    sizes = [f.height for f in frames]
    each = pl.DataFrame(
        [(a.day, a.fetched_at.astimezone(UTC), a.source) for a in batch],
        schema={DAY: pl.Date, FETCHED_AT: INSTANT, SOURCE: pl.String},
        orient="row",
    )
    ours = each.select(pl.all().repeat_by(pl.Series(sizes)).explode(empty_as_null=False))
    whole = pl.concat([pl.concat(frames), ours], how="horizontal")
    return whole.with_columns(pl.col(DAY).dt.strftime("%Y-%m").alias(MONTH)).select(list(stored_schema(dataset)))


def _lost_columns(arrival: Arrival, stored: pl.DataFrame) -> list[str]:
    """Columns that the answer does not have and stored rows of its day have values of."""
    there = stored.filter(pl.col(DAY) == arrival.day).select(pl.col(list(arrival.absent_columns)).is_not_null().any())
    return sorted(name for name in there.columns if there[name][0])


def _touches(actions: pl.DataFrame, month: str, days: Sequence[date]) -> bool:
    """Whether a live file of that month may hold one of these days."""
    if f"partition.{MONTH}" not in actions.columns:
        return False
    near = actions.filter(pl.col(f"partition.{MONTH}") == month)
    if near.height and f"min.{DAY}" in actions.columns:
        low, high = pl.col(f"min.{DAY}"), pl.col(f"max.{DAY}")
        near = near.filter(low.is_null() | high.is_null() | ((low <= max(days)) & (high >= min(days))))
    return near.height > 0


def _outcome(table: str, a: Arrival, evidence: dict[str, Any], account: dict[str, Any]) -> Outcome:
    changed = account.get("changed", False)
    word = "written" if changed else "unchanged"
    if not evidence["rows"]:
        word = "empty"
    return Outcome(
        table, a.day, word, rows=evidence["rows"], written=evidence["written"], superseded=evidence["superseded"],
        exact_duplicates=evidence["exact_duplicates"], quarantined=evidence["quarantined"], requests=a.requests,
        bytes=a.bytes, first_time=evidence["first_time"], last_time=evidence["last_time"],
        extra={"replaced": account.get("replaced", 0), "removed": account.get("removed", 0)},
    )  # fmt: skip


def _attempt(dataset: Dataset, a: Arrival, outcome: Outcome, evidence: dict[str, Any]) -> dict[str, Any]:
    return {
        "table": dataset.table, "day": a.day, "at": a.fetched_at, "outcome": outcome.outcome, "error_class": "",
        "message": outcome.message, "rows": outcome.rows, "distinct_keys": evidence["distinct_keys"],
        "content_hash": evidence["content_hash"], "requests": a.requests, "run_id": a.run_id, "reason": a.reason,
    }  # fmt: skip


def _held_attempt(dataset: Dataset, a: Arrival, outcome: Outcome) -> dict[str, Any]:
    """A held answer: distinct_keys and rows are the answer's, content_hash that of its set of keys."""
    return {
        "table": dataset.table, "day": a.day, "at": a.fetched_at, "outcome": "held", "error_class": "",
        "message": outcome.message, "rows": a.rows.height, "distinct_keys": outcome.extra["keys"],
        "content_hash": outcome.extra["key_set"], "requests": a.requests, "run_id": a.run_id, "reason": a.reason,
    }  # fmt: skip
