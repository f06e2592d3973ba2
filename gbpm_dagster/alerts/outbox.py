"""What is known of alerts and what is still to be sent: one SQLite file of the home (`<home>/state/alerts.sqlite`).

Belongs here: keeping alert states, mutes and messages so that neither a restart nor kill -9 loses or doubles one. Not
here: which messages there are (`engine`), sending them (`channels`).

A message is written in the transaction that changes the state it tells of, once a channel. It is marked as sent after
the channel took it: a kill between the two sends it again, under the same id, so that a receiver can drop the copy.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gbpm_dagster.alerts.channels import Channel, ChannelError
from gbpm_dagster.alerts.engine import Alert, Notice
from gbpm_dagster.alerts.hysteresis import Latch

FIRST_DELAY, LONGEST_DELAY = timedelta(minutes=1), timedelta(hours=1)
"""Between two tries of a message: doubled each time."""

KEPT_FOR = timedelta(days=3)
"""A message that no channel took for so long is dropped: what it says is old, and others wait behind it."""

REMEMBERED = timedelta(days=30)
"""Sent and dropped messages are listed so long."""

_TABLES = """
CREATE TABLE IF NOT EXISTS alert (key TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS mute (subject TEXT PRIMARY KEY, until TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, channel TEXT NOT NULL, made_at TEXT NOT NULL,
    notice TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, next_at TEXT NOT NULL, sent_at TEXT, dropped_at TEXT,
    error TEXT NOT NULL DEFAULT '', UNIQUE (id, channel)
);
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One notice for one channel. sent_at, dropped_at: None while it waits. error: of the last try that failed."""

    number: int
    channel: str
    made_at: datetime
    notice: Notice
    tries: int
    next_at: datetime
    sent_at: datetime | None = None
    dropped_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round of deliveries did: messages sent, still waiting, dropped; and what channels said against it."""

    sent: int = 0
    waiting: int = 0
    dropped: int = 0
    errors: tuple[str, ...] = ()


class Outbox:
    """The file. Each change is one transaction; others wait for it (30 s, then sqlite3.OperationalError)."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def alerts(self) -> dict[str, Alert]:
        with self._transaction() as db:
            return _alerts(db)

    def change(
        self,
        change: Callable[[Mapping[str, Alert], Collection[str]], tuple[Mapping[str, Alert], Sequence[Notice]]],
        channels: Sequence[str],
        now: datetime,
    ) -> Sequence[Notice]:
        """Apply `change(alerts, muted subjects) -> (alerts, notices)` and put the notices into the outbox of each
        channel, all or nothing. A notice whose id is there already is not put there again."""
        with self._transaction() as db:
            alerts, notices = change(_alerts(db), set(_mutes(db, now)))
            db.execute("DELETE FROM alert")
            db.executemany("INSERT INTO alert VALUES (?, ?)", [(k, _packed(a)) for k, a in alerts.items()])
            made = [(n.id, c, now.isoformat(), _packed(n), now.isoformat()) for n in notices for c in channels]
            sql = "INSERT OR IGNORE INTO message (id, channel, made_at, notice, next_at) VALUES (?, ?, ?, ?, ?)"
            db.executemany(sql, made)
            old = (now - REMEMBERED).isoformat()
            db.execute("DELETE FROM message WHERE coalesce(sent_at, dropped_at) < ?", (old,))
        return notices

    def mute(self, subject: str, until: datetime) -> None:
        """Tell nothing of a table until then; an instant that has passed ends it."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO mute VALUES (?, ?)", (subject, until.isoformat()))

    def mutes(self, now: datetime) -> dict[str, datetime]:
        """Muted subjects and until when."""
        with self._transaction() as db:
            return _mutes(db, now)

    def messages(self, waiting: bool = False) -> list[Message]:
        """All that are remembered, or those still to be sent; in the order they were made."""
        where = "WHERE sent_at IS NULL AND dropped_at IS NULL" if waiting else ""
        with self._transaction() as db:
            return [_message(row) for row in db.execute(f"SELECT * FROM message {where} ORDER BY number")]

    def deliver(self, channels: Sequence[Channel], now: Callable[[], datetime], budget: timedelta) -> Round:
        """Send what is due, each channel's messages in their order: a later one waits for those before it.

        What a channel refuses is tried again after a growing delay, or when it says. Ends early when `budget` is used
        up. Messages for channels that are not there any more are dropped.
        """
        began, done = now(), Round()
        waiting = self.messages(waiting=True)
        here = {c.name: c for c in channels}
        for message in waiting:
            if message.channel not in here:
                self._mark(message, "dropped_at", now(), "the channel is not configured any more")
                done = _plus(done, dropped=1)
        for channel in channels:
            for message in [m for m in waiting if m.channel == channel.name]:
                if message.next_at > now() or now() - began >= budget:
                    break
                done, gone = self._try(done, channel, message, now)
                if not gone:
                    break
        return _plus(done, waiting=len(self.messages(waiting=True)))

    def _try(
        self, done: Round, channel: Channel, message: Message, now: Callable[[], datetime]
    ) -> tuple[Round, bool]:
        """One try; whether the message is out of the way of those behind it."""
        try:
            channel.send(message.notice)
        except ChannelError as error:
            done = _plus(done, errors=(*done.errors, f"{channel.name}: {error}"))
            if now() - message.made_at >= KEPT_FOR:
                self._mark(message, "dropped_at", now(), str(error))
                return _plus(done, dropped=1), True
            wait = min(FIRST_DELAY * 2 ** min(message.tries, 10), LONGEST_DELAY)
            wait = max(wait, error.retry_after)
            with self._transaction() as db:
                again = (message.tries + 1, (now() + wait).isoformat(), str(error), message.number)
                db.execute("UPDATE message SET tries = ?, next_at = ?, error = ? WHERE number = ?", again)
            return done, False
        self._mark(message, "sent_at", now(), "")
        return _plus(done, sent=1), True

    def _mark(self, message: Message, column: str, at: datetime, error: str) -> None:
        with self._transaction() as db:
            sql = f"UPDATE message SET {column} = ?, error = ?, tries = tries + 1 WHERE number = ?"
            db.execute(sql, (at.isoformat(), error, message.number))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.executescript(_TABLES)
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()  # rolls back what was not committed


def _alerts(db: sqlite3.Connection) -> dict[str, Alert]:
    return {row["key"]: _alert(json.loads(row["state"])) for row in db.execute("SELECT * FROM alert")}


def _mutes(db: sqlite3.Connection, now: datetime) -> dict[str, datetime]:
    found = {row["subject"]: _instant(row["until"]) for row in db.execute("SELECT * FROM mute ORDER BY subject")}
    return {subject: until for subject, until in found.items() if until > now}


def _packed(value: Alert | Notice) -> str:
    return json.dumps(asdict(value), default=lambda v: v.isoformat())


def _alert(state: Mapping[str, Any]) -> Alert:
    """What was packed; fields a newer gbpm wrote are left out, those it lacks keep their defaults."""
    known = {f.name for f in fields(Alert)} & state.keys()
    times = {"since", "told_at", "raised_at", "recovered_at"}
    values: dict[str, Any] = {n: _instant(state[n]) if n in times and state[n] else state[n] for n in known}
    return Alert(**{**values, "latch": Latch(**state["latch"])})


def _message(row: sqlite3.Row) -> Message:
    packed = json.loads(row["notice"])
    alerts = tuple(_alert(a) for a in packed["alerts"])
    times = {name: _instant(row[name]) if row[name] else None for name in ("sent_at", "dropped_at")}
    return Message(
        number=row["number"],
        channel=row["channel"],
        made_at=_instant(row["made_at"]),
        notice=Notice(packed["id"], packed["event"], _instant(packed["at"]), alerts),
        tries=row["tries"],
        next_at=_instant(row["next_at"]),
        error=row["error"],
        **times,
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _plus(done: Round, **more: Any) -> Round:
    whole: dict[str, Any] = {
        "sent": done.sent,
        "waiting": done.waiting,
        "dropped": done.dropped,
        "errors": done.errors,
    }
    for name, value in more.items():
        whole[name] = value if name in ("errors", "waiting") else whole[name] + value
    return Round(**whole)
