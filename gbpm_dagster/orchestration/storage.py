"""Dagster's own SQLite event log, without building a new engine for every event.

Belongs here: that one change. Not here: any schema or query; the files are Dagster's, and its own class reads them.

Dagster 1.13 makes an SQLAlchemy engine and a connection for each event, and runs its migrations for each run's file:
most of the cost of an event on one machine. Here one connection a file is kept (uses are serialised by Dagster's own
lock), a new run's file is a copy of an empty one, and the days of a load are one transaction a file. Commits are not
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
from pathlib import Path
from typing import Any

from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    SQLITE_BUSY_TIMEOUT_SECONDS,
    SqliteEventLogStorage,
)
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.event import listen
from sqlalchemy.pool import StaticPool

TEMPLATE = "empty-run.template"
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
        """Materialisations of one run and one asset in two transactions, the run's file and the index; others singly.

        The asset's own row keeps the last of them, as it would one by one. A crash between the two leaves days in the
        run's log that the asset does not show; gaps are judged by the warehouse, which has them.
        """
        kinds = {e.dagster_event.event_type if e.dagster_event else None for e in events}
        places = {(e.run_id, e.dagster_event.asset_key if e.dagster_event else None) for e in events}
        if kinds != {DagsterEventType.ASSET_MATERIALIZATION} or len(places) != 1 or len(events) == 1:
            super().store_event_batch(events)
            return
        rows = [self._event_to_row(event) for event in events]
        with self.run_connection(events[0].run_id) as connection:
            connection.execute(SqlEventLogStorageTable.insert(), rows)
        with self.index_transaction() as connection:
            insert = SqlEventLogStorageTable.insert()
            ids = [int(connection.execute(insert.values(**row)).lastrowid) for row in rows]
            self._store_asset_event_tags(connection, events, ids)
            self._store_asset_event(connection, events[-1], ids[-1])

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
