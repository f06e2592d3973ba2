"""The tables about the tables: evidence, attempts, quarantine, drift (decision 5), known gaps, streamed messages,
the scorecard.

Belongs here: storing and reading these. Not here: what goes into them (merge, facts, replace; quality.register).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.warehouse.delta import Table, day_predicate, explained
from gbpm_dagster.warehouse.locks import lock
from gbpm_dagster.warehouse.protocol import (
    ATTEMPT_SCHEMA,
    DRIFT_SCHEMA,
    EVIDENCE_SCHEMA,
    KNOWN_GAP_AUTHORS,
    KNOWN_GAP_SCHEMA,
    KNOWN_GAP_STATUSES,
    MESSAGE_SCHEMA,
    QUARANTINE_SCHEMA,
    SCORE_SCHEMA,
    WarehouseError,
)

EVIDENCE, ATTEMPTS, QUARANTINE, DRIFT = "gbpm_evidence", "gbpm_attempts", "gbpm_quarantine", "gbpm_drift"
KNOWN_GAPS, MESSAGES, SCORECARD = "gbpm_known_gaps", "gbpm_iris_messages", "gbpm_scorecard"
YEAR = "_year"
"""Second partition column of the evidence: a write rewrites a year of one table, so files stay few and small."""

SCHEMAS: dict[str, dict[str, Any]] = {
    EVIDENCE: EVIDENCE_SCHEMA,
    ATTEMPTS: ATTEMPT_SCHEMA,
    QUARANTINE: QUARANTINE_SCHEMA,
    DRIFT: DRIFT_SCHEMA,
    KNOWN_GAPS: KNOWN_GAP_SCHEMA,
    MESSAGES: MESSAGE_SCHEMA,
    SCORECARD: SCORE_SCHEMA,
}
_MANY_FILES = 50
_VACUUM_EVERY = 200  # commits
_INSTANT = timedelta(microseconds=1)
_KEEP = timedelta(hours=6)  # nobody reads old versions of these; a reader needs its files for seconds


class Ledger:
    """These tables under one root; every write is one commit under the table's lock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._messages: Table | None = None  # stays open: it is written to every few seconds

    def table(self, name: str) -> Table:
        schema = dict(SCHEMAS[name])
        if name == EVIDENCE:
            return Table(self.root / name, {**schema, YEAR: pl.String}, ("table", YEAR))
        return Table(self.root / name, schema, ("table",) if name in (QUARANTINE, DRIFT) else ())

    # evidence

    def evidence(
        self,
        tables: Collection[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        columns: Collection[str] = tuple(EVIDENCE_SCHEMA),
    ) -> pl.DataFrame:
        """Rows of EVIDENCE_SCHEMA (or those columns: table and day among them) of these tables and days, sorted by
        table and day. Most of a row are its slots: without them a hundred tables are read in a moment."""
        store = self.table(EVIDENCE)
        wanted: dict[str, Collection[str]] = {} if tables is None else {"table": tables}
        if start and end:
            wanted[YEAR] = [str(y) for y in range(start.year, end.year + 1)]
        where = _between("day", start, end)
        return store.read(store.files(**wanted), where, list(columns)).sort("table", "day")

    def forget(self, table: str, days: Collection[date]) -> bool:
        """Remove the evidence of these days; False if there was none."""
        return self._change_evidence(table, days, None)

    def put_evidence(self, table: str, rows: pl.DataFrame) -> None:
        """Replace the evidence of the days in `rows`: one commit for all of them."""
        self._change_evidence(table, rows.get_column("day").to_list(), rows)

    def _change_evidence(self, table: str, days: Collection[date], rows: pl.DataFrame | None) -> bool:
        if not days:
            return False
        years = sorted({str(d.year) for d in days})
        with lock(self.root, EVIDENCE):
            store = self.table(EVIDENCE)
            before = store.read(store.files(table=[table], **{YEAR: years}))
            kept = before.filter(~pl.col("day").is_in(list(days)))
            if rows is None and kept.height == before.height:
                return False
            if rows is not None:
                added = rows.with_columns(pl.col("day").dt.strftime("%Y").alias(YEAR)).select(kept.columns)
                kept = pl.concat([kept, added.cast(kept.schema)])
            # A year whose last row goes must still be named, hence the predicate over the years asked.
            which = " OR ".join(f"{YEAR} = '{y}'" for y in years)
            store.overwrite(kept.sort("day"), f"\"table\" = '{table}' AND ({which})")
            self._tidy(store)
            return True

    # attempts

    def attempts(self, tables: Collection[str] | None = None, since: datetime | None = None) -> pl.DataFrame:
        """Rows of ATTEMPT_SCHEMA, sorted by table, day, at."""
        where = pl.lit(True)
        if tables is not None:
            where &= pl.col("table").is_in(list(tables))
        if since is not None:
            where &= pl.col("at") >= since
        return self.table(ATTEMPTS).read(where=where).sort("table", "day", "at", maintain_order=True)

    def last_attempts(self, table: str, start: date, end: date) -> dict[date, dict[str, Any]]:
        """The newest attempt of each day that got an answer (failed ones say nothing about the source's content)."""
        rows = self.table(ATTEMPTS).read(
            where=(pl.col("table") == table) & pl.col("day").is_between(start, end) & (pl.col("outcome") != "failed")
        )
        return {r["day"]: r for r in rows.sort("at", maintain_order=True).iter_rows(named=True)}

    def add_attempts(self, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        with lock(self.root, ATTEMPTS):
            store = self.table(ATTEMPTS)
            self._append(store, pl.DataFrame(rows, schema=ATTEMPT_SCHEMA, orient="row"))

    # known gaps

    def known_gaps(self, tables: Collection[str] | None = None) -> pl.DataFrame:
        """The newest state of each entry: rows of KNOWN_GAP_SCHEMA, sorted by table, first and id."""
        where = None if tables is None else pl.col("table").is_in(list(tables))
        return _newest(self.table(KNOWN_GAPS).read(where=where))

    def change_known_gaps(self, change: Callable[[pl.DataFrame], Sequence[Mapping[str, Any]]]) -> pl.DataFrame:
        """Append what `change` makes of the register as it is now, nobody else writing meanwhile; the rows appended.

        Each state is later than the one before it, so that the last one written counts though clocks differ.
        Raises WarehouseError for a row that makes no sense, and what `change` raises; nothing is written then.
        """
        with lock(self.root, KNOWN_GAPS):
            store = self.table(KNOWN_GAPS)
            current = _newest(store.read())
            newest = dict(current.select("id", "changed_at").iter_rows())
            added: list[dict[str, Any]] = []
            for row in change(current):
                _check_known_gap(row)
                before = newest.get(row["id"])
                at = row["changed_at"]
                newest[row["id"]] = at = at if before is None or at > before else before + _INSTANT
                added.append({**row, "changed_at": at})
            frame = pl.DataFrame(added, schema=KNOWN_GAP_SCHEMA, orient="row")
            if added:
                self._append(store, frame)
            return frame

    # scorecard

    def put_scorecard(self, rows: pl.DataFrame) -> None:
        """Replace the whole scorecard by rows of SCORE_SCHEMA, in one commit."""
        with lock(self.root, SCORECARD):
            store = self.table(SCORECARD)
            store.overwrite(rows.sort("table", "day"), '"table" IS NOT NULL')
            self._tidy(store)

    def _append(self, store: Table, rows: pl.DataFrame) -> None:
        store.append(rows)
        if len(store.files()) > _MANY_FILES:
            store.compact(64 << 20)
        self._tidy(store)

    # quarantine and drift

    def put_aside(self, name: str, table: str, days: Collection[date], rows: Sequence[dict[str, Any]]) -> None:
        """Replace the quarantined (or drifted) records of these days of one table by `rows`."""
        if not rows and not self._has_aside(self.table(name), table, days):
            return
        with lock(self.root, name):
            store = self.table(name)
            frame = pl.DataFrame(list(rows), schema=SCHEMAS[name], orient="row")
            store.overwrite(frame, f"\"table\" = '{table}' AND {day_predicate(days, 'day')}")
            if len(store.files(table=[table])) > _MANY_FILES:
                store.compact(64 << 20)
            self._tidy(store)

    def add_quarantine(self, table: str, rows: Sequence[dict[str, Any]], windows: Collection[str]) -> None:
        """Replace the quarantined records of these windows (messages) by `rows`: a message loaded again adds none."""
        store = self.table(QUARANTINE)
        files = store.files(table=[table])
        there = store.read(files, pl.col("window").is_in(list(windows))) if files else pl.DataFrame()
        if not rows and not there.height:
            return
        with lock(self.root, QUARANTINE):
            store = self.table(QUARANTINE)
            frame = pl.DataFrame(list(rows), schema=QUARANTINE_SCHEMA, orient="row")
            listed = ", ".join(f"'{w}'" for w in sorted(windows))
            if there.height:
                store.overwrite(frame, f"\"table\" = '{table}' AND window IN ({listed})")
            else:
                store.append(frame)
            self._join(store, table=table)

    def add_drift(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Append values of unknown fields, one a day and column: those that have one already are left out."""
        found = pl.DataFrame(list(rows), schema=DRIFT_SCHEMA, orient="row").unique(
            subset=["day", "column"], keep="first", maintain_order=True
        )
        with lock(self.root, DRIFT):
            store = self.table(DRIFT)
            files = store.files(table=[table])
            if files:
                found = found.join(store.read(files), on=["day", "column"], how="anti", nulls_equal=True)
            if found.height:
                store.append(found)
                self._join(store, table=table)

    # messages of the stream

    def add_messages(self, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        with lock(self.root, MESSAGES):
            store = self._messages = self._messages or self.table(MESSAGES)
            store.refresh()
            store.append(pl.DataFrame(list(rows), schema=MESSAGE_SCHEMA, orient="row"))
            self._join(store)

    def messages(self, since: datetime | None = None) -> pl.DataFrame:
        """Rows of MESSAGE_SCHEMA stored since then, sorted by loaded_at."""
        where = None if since is None else pl.col("loaded_at") >= since
        return self.table(MESSAGES).read(where=where).sort("loaded_at", maintain_order=True)

    def forget_messages(self, before: datetime) -> None:
        """Remove the rows of messages stored before that instant."""
        with lock(self.root, MESSAGES):
            self.table(MESSAGES).delete(f"loaded_at < '{before:%Y-%m-%dT%H:%M:%SZ}'")

    def _join(self, store: Table, **wanted: str) -> None:
        listed = {name: [value] for name, value in wanted.items()}
        if len(store.files(**listed)) > _MANY_FILES:
            store.compact(64 << 20)
        self._tidy(store)

    def aside(self, name: str, tables: Collection[str] | None = None) -> pl.DataFrame:
        store = self.table(name)
        files = store.files() if tables is None else store.files(table=tables)
        return store.read(files).sort("table", "day", maintain_order=True)

    @staticmethod
    def _has_aside(store: Table, table: str, days: Collection[date]) -> bool:
        actions = store.actions()
        if not actions.height:
            return False
        near = actions.filter(
            (pl.col("partition.table") == table) & (pl.col("min.day") <= max(days)) & (pl.col("max.day") >= min(days))
        )
        files = [str(store.path / p) for p in near.get_column("path")]
        if not files:
            return False
        with explained(store.path, "reading the table"):
            found = store.scan(files).filter(pl.col("day").is_in(list(days))).select(pl.len()).collect()
        return bool(found.item())

    @staticmethod
    def _tidy(store: Table) -> None:
        if store.version and store.version % _VACUUM_EVERY == 0:
            store.vacuum(_KEEP)


def _newest(states: pl.DataFrame) -> pl.DataFrame:
    newest = states.sort("changed_at").unique("id", keep="last")
    return newest.sort("table", "first", "id")


def _check_known_gap(row: Mapping[str, Any]) -> None:
    lacking = sorted(set(KNOWN_GAP_SCHEMA) ^ set(row))
    if lacking:
        raise WarehouseError(
            f"{KNOWN_GAPS}: an entry has the columns {', '.join(KNOWN_GAP_SCHEMA)}; see {lacking[0]}"
        )
    said = f"{KNOWN_GAPS}: entry {row['id']} of {row['table']}"
    for name in ("id", "table", "first", "reason", "since"):
        if not row[name]:
            raise WarehouseError(f"{said} has no {name}")
    for name, allowed in (("status", KNOWN_GAP_STATUSES), ("by", KNOWN_GAP_AUTHORS)):
        if row[name] not in allowed:
            raise WarehouseError(f"{said}: {name} is {row[name]!r}, not one of {', '.join(allowed)}")
    if row["last"] is not None and row["last"] < row["first"]:
        raise WarehouseError(f"{said} ends on {row['last']}, before it begins on {row['first']}")


def _between(column: str, start: date | None, end: date | None) -> pl.Expr | None:
    where = None
    if start is not None:
        where = pl.col(column) >= start
    if end is not None:
        upper = pl.col(column) <= end
        where = upper if where is None else where & upper
    return where
