"""Dagster's own SQLite event log, without building a new engine for every event, or planning a check for every day.

Belongs here: these two changes. Not here: any schema or query; the files are Dagster's, and its own class reads them.

Dagster 1.13 makes an SQLAlchemy engine and a connection for each event, and runs its migrations for each run's file:
most of the cost of an event on one machine. Here one connection a file is kept (uses are serialised by Dagster's own
lock), a new run's file is a copy of an empty one, and the days of a run are told in few transactions. Commits are not
waited for by fsync: WAL keeps the log whole against a killed process, and a power cut can lose the last events only:
the warehouse, not the event log, is the truth of what is there (`benchmarks/bench_events.py` measures both).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    SQLITE_BUSY_TIMEOUT_SECONDS,
    SqliteEventLogStorage,
)
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.event import listen
from sqlalchemy.pool import StaticPool

TEMPLATE = "empty-run.template"
TOGETHER = (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
ENGINES_KEPT = 64


class KeptSqliteEventLogStorage(SqliteEventLogStorage):
    """`SqliteEventLogStorage` that keeps its connections; same folder, same files, same rows."""

    @cached_property
    def _engines(self) -> dict[str, Engine]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> KeptSqliteEventLogStorage:
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Neighbours of one run, asset and kind (planned or materialised days) together; others singly.

        Together: in two transactions, the run's file and the index. The asset's own row keeps the last, as it would
        one by one. A crash between the two leaves days in the run's log that the asset does not show; gaps are judged
        by the warehouse, which has them. Days of no run are in the index alone: nobody reads the log of no run.
        """
        for alike, group in groupby(events, key=_alike):
            entries = list(group)
            if alike is None or len(entries) == 1:
                super().store_event_batch(entries)
            else:
                self._store_together(entries)

    def _store_together(self, events: Sequence[EventLogEntry]) -> None:
        rows = [self._event_to_row(event) for event in events]
        if events[0].run_id != RUNLESS_RUN_ID:
            with self.run_connection(events[0].run_id) as connection:
                connection.execute(SqlEventLogStorageTable.insert(), rows)
        with self.index_transaction() as connection:
            connection.execute(SqlEventLogStorageTable.insert(), rows)
            # Nobody else writes in this transaction, so that its ids follow each other.
            last = connection.execute(text("SELECT last_insert_rowid()")).scalar_one()
            ids = list(range(last - len(rows) + 1, last + 1))
            self._store_asset_event_tags(connection, events, ids)
            self._store_asset_event(connection, events[-1], ids[-1])

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        """One row a check and run. Ours judge a table, not its partitions; Dagster would plan a row for each day of a
        run that a daemon launched, and leave all of them planned for ever."""
        super()._store_asset_check_evaluation_planned(_whole(event), event_id)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initialise(shard, engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=StaticPool,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            listen(engine, "connect", _no_fsync)
        self._engines[shard] = engine
        while len(self._engines) > ENGINES_KEPT:
            self._engines.pop(next(iter(self._engines))).dispose()
        return engine

    def _initialise(self, shard: str, engine: Engine) -> None:
        """Make a run's file from the empty one that the first run left; any doubt goes Dagster's own way."""
        file, template = Path(self.path_for_shard(shard)), Path(self._base_dir) / TEMPLATE
        if not file.exists() and template.exists():
            _copy_in(template, file)
            return
        fresh = not file.exists()
        self._initdb(engine)
        if fresh and not template.exists():
            _keep(file, template)


def _whole(event: EventLogEntry) -> EventLogEntry:
    """The planned check without the partitions of its run."""
    assert event.dagster_event is not None
    planned = event.dagster_event.asset_check_planned_data
    slim = AssetCheckEvaluationPlanned(asset_key=planned.asset_key, check_name=planned.check_name)
    return event._replace(dagster_event=event.dagster_event._replace(event_specific_data=slim))


def _alike(entry: EventLogEntry) -> tuple[str, str, str] | None:
    """Run, asset and kind of an event that can be stored with its like; None for all others."""
    event = entry.dagster_event
    if event is None or event.asset_key is None or event.event_type not in TOGETHER:
        return None
    return entry.run_id, event.asset_key.to_string(), event.event_type_value


def _no_fsync(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


def _copy_in(template: Path, file: Path) -> None:
    partial = file.with_suffix(f".{os.getpid()}.partial")
    shutil.copyfile(template, partial)
    try:
        os.link(partial, file)  # fails if another process was quicker: its file is as good
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def _keep(file: Path, template: Path) -> None:
    """Copy a just initialised, still empty file whole (journal included) under the template's name."""
    partial = template.with_suffix(f".{os.getpid()}.partial")
    with sqlite3.connect(file) as source, sqlite3.connect(partial) as target:
        source.backup(target)
    target.close()
    source.close()
    partial.replace(template)
