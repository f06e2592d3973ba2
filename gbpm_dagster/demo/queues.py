"""Queues of the broker stand-in: messages, locks, deliveries, dead letters, and a file that outlives the process.

Belongs here: what a Service Bus queue does with a message, by the clock it is given. Not here: AMQP (`links`).
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

DEAD_LETTERS = "/$deadletterqueue"
COMPLETE, RELEASE, ABANDON, DEAD_LETTER = "complete", "release", "abandon", "dead-letter"


@dataclass(order=True, slots=True)
class Item:
    """A message in a queue. sequence: its place; deliveries: how often it came back; enqueued: seconds since 1970."""

    sequence: int
    message: bytes = field(compare=False)
    enqueued: float = field(compare=False)
    deliveries: int = field(default=0, compare=False)
    reason: str = field(default="", compare=False)


@dataclass(slots=True)
class Lock:
    """A message that somebody holds until `until` (seconds since 1970); its token is the delivery's tag."""

    item: Item
    until: float
    token: bytes = field(default_factory=lambda: uuid.uuid4().bytes_le)


class Store:
    """Messages in a SQLite file, so that a broker that is killed and started again has them still."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS messages (queue TEXT, sequence INT, message BLOB, enqueued REAL,"
            " deliveries INT, reason TEXT, PRIMARY KEY (queue, sequence))"
        )

    def keep(self, queue: str, item: Item) -> None:
        row = (queue, item.sequence, item.message, item.enqueued, item.deliveries, item.reason)
        self._db.execute("INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?)", row)

    def drop(self, queue: str, sequence: int) -> None:
        self._db.execute("DELETE FROM messages WHERE queue = ? AND sequence = ?", (queue, sequence))

    def of(self, queue: str) -> list[Item]:
        rows = self._db.execute("SELECT * FROM messages WHERE queue = ? ORDER BY sequence", (queue,))
        return [Item(*row[1:]) for row in rows]

    def close(self) -> None:
        self._db.close()


class Queue:
    """One queue: ready messages by sequence, locked ones by token. Its dead letters are a queue of their own."""

    def __init__(
        self,
        name: str,
        *,
        lock_s: float = 60.0,
        max_deliveries: int = 5,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.lock_s, self.max_deliveries = name.lower(), lock_s, max_deliveries
        self.counts: Counter[str] = Counter()
        self.lose_completions = 0
        """So many of the next completions are said to have worked, and the message comes again: a failover."""
        self._store, self._clock = store, clock
        self.ready: list[Item] = store.of(self.name) if store else []
        self.locks: dict[bytes, Lock] = {}
        self._sequence = itertools.count(max((i.sequence for i in self.ready), default=0) + 1)
        is_dead = self.name.endswith(DEAD_LETTERS)
        self.dead: Queue | None = (
            None if is_dead else Queue(self.name + DEAD_LETTERS, lock_s=lock_s, store=store, clock=clock)
        )

    def put(self, message: bytes, enqueued: float | None = None, *, deliveries: int = 0, reason: str = "") -> int:
        """Append a message; returns its sequence number."""
        when = self._clock() if enqueued is None else enqueued
        item = Item(next(self._sequence), message, when, deliveries, reason)
        self._back(item)
        self.counts["enqueued"] += 1
        return item.sequence

    def take(self) -> Lock | None:
        """Lock the first ready message; None when there is none."""
        if not self.ready:
            return None
        lock = Lock(heapq.heappop(self.ready), self._clock() + self.lock_s)
        self.locks[lock.token] = lock
        self.counts["delivered"] += 1
        return lock

    def renew(self, token: bytes) -> float | None:
        """Hold a lock for its whole time again; the instant it ends now, or None when it is lost."""
        lock = self._held(token)
        if lock is None:
            return None
        lock.until = self._clock() + self.lock_s
        self.counts["renewed"] += 1
        return lock.until

    def settle(self, token: bytes, outcome: str, reason: str = "") -> bool:
        """Do with a locked message what its holder says; False: the lock is lost, nothing was done."""
        lock = self._held(token)
        if lock is None:
            self.counts["lock lost"] += 1
            return False
        del self.locks[token]
        self.counts[outcome] += 1
        if outcome == COMPLETE and self.lose_completions:
            self.lose_completions -= 1
            self._again(lock.item)
        elif outcome == COMPLETE:
            self._gone(lock.item)
        elif outcome == DEAD_LETTER:
            self._die(lock.item, reason)
        elif outcome == RELEASE:
            self._back(lock.item)
        else:
            self._again(lock.item)
        return True

    def expire(self) -> int:
        """Put back what is held for too long; returns how many messages that were."""
        now = self._clock()
        late = [lock for lock in self.locks.values() if lock.until <= now]
        for lock in late:
            del self.locks[lock.token]
            self.counts["lock expired"] += 1
            self._again(lock.item)
        return len(late)

    def depth(self) -> tuple[int, int, int]:
        """Messages that are (ready, locked, dead-lettered)."""
        dead = len(self.dead.ready) + len(self.dead.locks) if self.dead else 0
        return len(self.ready), len(self.locks), dead

    def _held(self, token: bytes) -> Lock | None:
        lock = self.locks.get(token)
        return lock if lock is not None and lock.until > self._clock() else None

    def _again(self, item: Item) -> None:
        item.deliveries += 1
        if self.dead is not None and item.deliveries >= self.max_deliveries:
            self._die(item, "MaxDeliveryCountExceeded")
        else:
            self._back(item)

    def _back(self, item: Item) -> None:
        heapq.heappush(self.ready, item)
        if self._store:
            self._store.keep(self.name, item)

    def _gone(self, item: Item) -> None:
        if self._store:
            self._store.drop(self.name, item.sequence)

    def _die(self, item: Item, reason: str) -> None:
        if self.dead is None:
            self._back(item)
            return
        self.counts["dead-lettered"] += 1
        self.dead.put(item.message, item.enqueued, deliveries=item.deliveries, reason=reason)
        self._gone(item)
