"""The stream of a home: one bounded drain, from the queue (or a folder) to the tables, and what came of it.

Belongs here: receiver and loader side by side, the lock that keeps a second drain out, the account of what was done.
Not here: receiving (iris), loading (ingest), Dagster (`stream_job`), printing (console).

The receiver lands in a thread of its own; this thread loads what has landed, every few seconds. Only landing happens
under a message's lock, and a crash of either leaves the messages in the queue or in the landing.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.warehouse.home import Held, hold, open_home

if TYPE_CHECKING:
    from gbpm_dagster.ingest.stream import Loader
    from gbpm_dagster.iris.landing import Landing
    from gbpm_dagster.iris.receiver import Receiver

LOCK = "iris.lock"
COUNTS = ("fetched", "written", "superseded", "exact_duplicates", "quarantined")
"""The account of a message's rows: fetched is the sum of the others."""

LOAD_EVERY_S = 5.0
"""Seconds between two loads: each is a commit a table, and a message should be queryable soon."""

LOOK_S = 0.5
"""Seconds between two loads where the drain ends with what waits now."""

TELL_EVERY_S = 60.0
"""Seconds between two reports of what was loaded: each is an event a table in Dagster's log."""

DEAD, DEAD_EVERY_S = "iris-dead-letters.json", 86_400.0
"""What the last look at the dead letters found, and seconds between two looks."""

END_S = 60.0
"""So long a receiver that was asked to stop may take to finish its batch."""

LAST_LOAD_S = 20.0
"""So long a drain may load when its time is over, before it leaves the rest to the next."""

NOT_LOADED_S = 15.0
"""Wait after a load that could store nothing (disk full)."""


class AlreadyDraining(CannotWork):
    """Another process drains this home's queue; the message says which."""


@dataclass(slots=True)
class Told:
    """What was loaded into one stream table since the last report. lag_s: seconds from enqueue to queryable."""

    table: str
    counts: Counter[str] = field(default_factory=Counter)
    newest: datetime | None = None
    lag_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Drained:
    """What a drain did. received: the receiver's counts (all 0 without a queue); statuses: messages by what became of
    them (loaded, empty, undecodable, unknown, not_wanted, failed); rows: the account over all."""

    received: dict[str, Any] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    tables: Counter[str] = field(default_factory=Counter)
    lag_s: list[float] = field(default_factory=list)
    waiting: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


@dataclass
class Drain:
    """One drain of a home. tell: given what was loaded, a table at a time, about once a minute and at the end.
    receiving: from the queue too, not only what has landed.
    """

    runtime: Runtime
    what: str
    tell: Callable[[Sequence[Told]], None] = lambda told: None
    log: Callable[[str], None] = lambda text: None
    receiving: bool = True
    done: Drained = field(default_factory=Drained)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._untold: dict[str, Told] = {}
        self._failure: Exception | None = None
        self._asked = False
        self._end: float | None = None

    def stop(self) -> None:
        """Finish what is in hand and end: what waits is left to the next drain."""
        self._asked = True
        self._stop.set()

    def run(self, seconds: float | None) -> Drained:
        """Receive and load for so many seconds; None: until nothing waits any more.

        Raises AlreadyDraining; CannotWork when receiving or loading had to end before its time. What was landed is
        safe, and the next drain goes on with it.
        """
        began = time.monotonic()
        self._end = None if seconds is None else began + seconds
        home = open_home(self.runtime.settings.home)
        try:
            with hold(home.state / LOCK, self.what):
                self._run()
        except Held as held:
            raise AlreadyDraining(
                f"{held} drains the queue of this home already: one receiver a queue; wait for it, or stop it"
            ) from None
        finally:
            self.done.seconds = round(time.monotonic() - began, 3)
        if self._failure is not None:
            raise self._failure
        return self.done

    def _run(self) -> None:
        loader = self._loader()
        receiver = self._receiver(loader.landing)
        thread = threading.Thread(target=self._receive, args=(receiver, self._end is None), name="iris receiver")
        if receiver is not None:
            thread.start()
        told = time.monotonic()
        try:
            while not self._over():
                alive = thread.is_alive()  # asked before the load, so that what came last is loaded too
                self._load(loader, receiver)
                if time.monotonic() - told >= TELL_EVERY_S:
                    self._tell()
                    told = time.monotonic()
                if not alive and (self._end is None or self._failure is not None):
                    break
                self._stop.wait(LOOK_S if self._end is None else LOAD_EVERY_S)
        except BaseException:
            self.stop()
            raise
        finally:
            self._stop.set()
            if receiver is not None:
                thread.join(END_S)
            self._load(loader, receiver)
            self._tell()
            self.done.waiting = loader.landing.backlog().files

    def _over(self) -> bool:
        return self._stop.is_set() or (self._end is not None and time.monotonic() >= self._end)

    def _leave(self) -> bool:
        """Whether loading should end though something waits: the next drain goes on with it."""
        return self._asked or (self._end is not None and time.monotonic() >= self._end + LAST_LOAD_S)

    def _loader(self) -> Loader:
        from gbpm_dagster.ingest.stream import Loader
        from gbpm_dagster.iris.landing import Landing

        settings = self.runtime.settings
        landing = Landing(open_home(settings.home).landing)
        return Loader(landing, _Accounts(self.runtime.lake, self._note), codes=settings.iris_wanted, run_id=self.what)

    def _receiver(self, landing: Landing) -> Receiver | None:
        from gbpm_dagster.iris.receiver import Receiver

        settings = self.runtime.settings
        if not (self.receiving and settings.iris_access.wanted):
            return None
        free = int(settings.iris_min_free_gib * 2**30)
        return Receiver(settings.iris_access, landing, min_free_bytes=free, log=self._say)

    def _look_at_the_dead(self) -> None:
        """Once a day: land what the queue has put among its dead letters, and note how many those were."""
        note = self.runtime.settings.home / "state" / DEAD
        now = time.time()
        if now - (dead_letters_of(self.runtime) or {"at": 0.0})["at"] < DEAD_EVERY_S:
            return
        from gbpm_dagster.iris.landing import Landing
        from gbpm_dagster.iris.receiver import Receiver

        landing = Landing(self.runtime.settings.home / "landing")
        looked = Receiver(self.runtime.settings.iris_access, landing, dead_letters=True, log=self._say)
        looked.run(self._stop, until_empty=True)
        partial = note.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"at": now, "count": looked.done.messages}))
        partial.replace(note)

    def _receive(self, receiver: Receiver, until_empty: bool) -> None:
        from gbpm_dagster.iris.access import AccessError
        from gbpm_dagster.iris.receiver import Blocked

        try:
            self._look_at_the_dead()
            receiver.run(self._stop, until_empty=until_empty)
        except (AccessError, Blocked) as error:
            self._failure = CannotWork(str(error))
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the drain
            self._failure = error

    def _load(self, loader: Loader, receiver: Receiver | None) -> None:
        from gbpm_dagster.iris.landing import LandingError
        from gbpm_dagster.warehouse.protocol import WarehouseError

        try:
            folder = self.runtime.settings.iris_folder
            if folder is not None and folder.is_dir():
                loader.landing.take_over(folder)
            loader.drain(self._leave)
        except (LandingError, WarehouseError) as error:
            self._say(f"loading has to wait: {error}")
            self._stop.wait(NOT_LOADED_S)
        if receiver is not None:
            self.done.received = _counts(receiver)

    def _note(self, accounts: Sequence[dict[str, Any]]) -> None:
        for account in accounts:
            self.done.statuses[account["status"]] += 1
            rows = {name: account[name] for name in COUNTS}
            self.done.rows.update(rows)
            table, enqueued = account["table"], account["enqueued_at"]
            if table is None:
                continue
            self.done.tables[table] += account["written"]
            one = self._untold.setdefault(table, Told(table))
            one.counts.update({**rows, "messages": 1})
            if enqueued is not None:
                lag = (datetime.now(UTC) - enqueued).total_seconds()
                one.lag_s.append(lag)
                self.done.lag_s.append(lag)
                one.newest = max(enqueued, one.newest or enqueued)

    def _tell(self) -> None:
        told, self._untold = list(self._untold.values()), {}
        if told:
            self.tell(told)

    def _say(self, text: str) -> None:
        self.done.problems = [*self.done.problems, text][-20:]
        self.log(text)


class _Accounts:
    """The lake as the loader sees it, and an ear for the account of each message."""

    def __init__(self, lake: Any, note: Callable[[Sequence[dict[str, Any]]], None]) -> None:
        self._note, self._lake = note, lake
        self.add_stream, self.add_aside = lake.add_stream, lake.add_aside

    def add_messages(self, rows: Sequence[dict[str, Any]]) -> None:
        self._lake.add_messages(rows)
        self._note(rows)


def _counts(receiver: Receiver) -> dict[str, Any]:
    done = receiver.done
    return {
        "connected": receiver.connected.is_set(),
        "messages": done.messages,
        "bytes": done.bytes,
        "completed": done.completed,
        "locks_lost": done.locks_lost,
        "dead_lettered": done.dead_lettered,
        "connections": done.connections,
        "last_error": done.last_error,
    }


@contextlib.contextmanager
def ends_with_parent(drain: Drain) -> Iterator[None]:
    """Stop the drain when the process that started this one has gone: a drain that nobody watches must end."""
    parent, over = os.getppid(), threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            if os.getppid() != parent:
                drain.stop()
                return

    thread = threading.Thread(target=watch, name="iris parent", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def lock_of(runtime: Runtime) -> Path:
    """The file that a drain of this home holds."""
    return runtime.settings.home / "state" / LOCK


def dead_letters_of(runtime: Runtime) -> dict[str, Any] | None:
    """What the last look at the dead letters found: at (seconds since 1970), count. None before the first."""
    try:
        found = json.loads((runtime.settings.home / "state" / DEAD).read_text(encoding="utf-8"))
        return {"at": float(found["at"]), "count": int(found["count"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
