"""The receiver: takes messages from the queue, lands each durably, and only then completes it.

Belongs here: the connection, the lock, the order of the steps, what becomes of a message that cannot be landed. Not
here: what a landed file looks like (`landing`), reading a body, rows (the loader does both, when no lock runs).

A message is completed after `land_all` has returned, so a process that dies between any two steps leaves it either in
the queue or in the landing, and in both if it died between them: the landing knows it again by name and bytes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from gbpm_dagster.iris.access import Access, AccessError, in_words, refused
from gbpm_dagster.iris.landing import Incoming, LandingError

BATCH = 50
"""Messages asked for at once: a body may have 11 MB, and a batch is held in memory."""

WAIT_S = 2.0
"""How long to wait for a first message; the stop is seen in between."""

LOOK_S = 1.0
"""Seconds between two looks at what is left of a batch's locks."""

BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 60.0
REFUSED_S = 300.0
"""Wait after a refusal (secret expired, queue deleted): at once it would be refused again."""

FULL_CODES = (errno.ENOSPC, errno.EDQUOT)
UNLANDABLE = "NotLandable"


class Lands(Protocol):
    """Of a landing, what the receiver needs."""

    @property
    def folder(self) -> Path: ...
    def land_all(self, incoming: Iterable[Incoming]) -> list[Path]: ...
    def free_bytes(self) -> int: ...


class Blocked(Exception):
    """Nothing can be landed now (disk full, no permission): receiving stops, the queue keeps the messages."""


@dataclass(slots=True)
class Received:
    """What a receiver has done. by_code: messages landed, by subject; newest: the latest enqueue time of each."""

    messages: int = 0
    bytes: int = 0
    completed: int = 0
    locks_lost: int = 0
    dead_lettered: int = 0
    abandoned: int = 0
    connections: int = 0
    by_code: Counter[str] = field(default_factory=Counter)
    newest: dict[str, datetime] = field(default_factory=dict)
    last_error: str = ""


class Receiver:
    """Receives from one queue, or its dead letters, into one landing.

    listener: told of each batch that was landed and completed. fault: called with the name of the step just done
    (received, landed, completed): a test can fail there.
    """

    def __init__(
        self,
        access: Access,
        landing: Lands,
        *,
        batch: int = BATCH,
        min_free_bytes: int = 0,
        dead_letters: bool = False,
        listener: Callable[[Sequence[Incoming]], None] | None = None,
        fault: Callable[[str], None] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self._access, self._landing, self._batch, self._min_free = access, landing, batch, min_free_bytes
        self._sub_queue = "deadletter" if dead_letters else None
        self._listener, self._fault, self._log = listener or _nothing, fault or _nothing, log or _nothing
        self._came, self._looked = datetime.now(UTC), time.monotonic()
        self.done = Received()
        self.connected = threading.Event()

    def run(self, stop: threading.Event, *, until_empty: bool = False) -> Received:
        """Receive until `stop` is set, or nothing waits any more (until_empty); reconnects for ever.

        Raises AccessError (settings), Blocked (the landing takes nothing: what was received goes back to the queue).
        """
        self._access.check()
        pause = BACKOFF_S
        while not stop.is_set():
            before = self.done.completed
            try:
                if self._connected(stop, until_empty):
                    break
            except (AccessError, Blocked):
                raise
            except Exception as error:  # noqa: BLE001 - whatever the network, the SDK or the service throws
                self.done.last_error = in_words(error, self._access)
                pause = BACKOFF_S if self.done.completed > before else pause
                wait = REFUSED_S if refused(error) else pause * random.uniform(0.5, 1.0)
                self._log(f"{self.done.last_error}; again in {wait:.0f} s")
                stop.wait(wait)
                pause = min(pause * 2, LONGEST_BACKOFF_S)
            finally:
                self.connected.clear()
        return self.done

    def _connected(self, stop: threading.Event, until_empty: bool) -> bool:
        """One connection's life; True when there is nothing more to do."""
        with (
            self._access.client(retry_total=0) as client,
            client.get_queue_receiver(
                self._access.queue_name, sub_queue=self._sub_queue, prefetch_count=0
            ) as receiver,
        ):
            self.done.connections += 1
            self.connected.set()
            while not stop.is_set():
                self._check_disk()
                batch = receiver.receive_messages(max_message_count=self._batch, max_wait_time=WAIT_S)
                if batch:
                    self._take(receiver, batch)
                    self.done.last_error = ""
                elif until_empty:
                    return True
        return True

    def _check_disk(self) -> None:
        free = self._landing.free_bytes()
        if free < self._min_free:
            raise Blocked(
                f"only {free / 2**30:.2f} GiB are free for {self._landing.folder}, less than the "
                f"{self._min_free / 2**30:.2f} GiB of IRIS_MIN_FREE_GIB: receiving has stopped, the queue keeps "
                "messages for three days; free some space"
            )

    def _take(self, receiver: Any, batch: list[Any]) -> None:
        """Land the messages, then complete them; what cannot be landed is dealt with one by one."""
        self._came, self._looked = datetime.now(UTC), time.monotonic()
        self._fault("received")
        with _given_back(receiver, batch, self.done):
            incoming = [incoming_of(message) for message in batch]
            try:
                self._landing.land_all(incoming)
                landed = list(zip(batch, incoming, strict=True))
            except (LandingError, ValueError, OSError):
                landed = self._one_by_one(receiver, batch, incoming)
            self._fault("landed")
            for message, one in landed:
                self._complete(receiver, message, batch)
                self._count(one)
                batch.remove(message)
            self._listener([one for _, one in landed])

    def _complete(self, receiver: Any, message: Any, batch: list[Any]) -> None:
        from azure.servicebus.exceptions import MessageAlreadySettled, MessageLockLostError

        try:
            self._keep_locks(receiver, batch)
            receiver.complete_message(message)
            self.done.completed += 1
        except (MessageLockLostError, MessageAlreadySettled):
            self.done.locks_lost += 1  # it is safe, and comes again: the landing knows it by name and bytes
        self._fault("completed")

    def _one_by_one(self, receiver: Any, batch: list[Any], incoming: list[Incoming]) -> list[tuple[Any, Incoming]]:
        """Those of a batch that can be landed; the others are tried without all but their body, then dead-lettered
        if the landing works. Raises Blocked if it does not."""
        landed = []
        for message, one in list(zip(batch, incoming, strict=True)):
            error = self._land_anyhow(one)
            if error is None:
                landed.append((message, one))
                continue
            if _disk_is_full(error) or not self._landing_works():
                raise Blocked(f"{error}; receiving has stopped, the queue keeps what is not landed") from error
            why = f"{type(error).__name__}: {error}"[:500]
            self._log(f"message {one.source_file_name or one.message_id} can be neither landed nor kept aside: {why}")
            receiver.dead_letter_message(message, reason=UNLANDABLE, error_description=why)
            self.done.dead_lettered += 1
            batch.remove(message)
        return landed

    def _land_anyhow(self, one: Incoming) -> Exception | None:
        """Land a message, if need be as a body of an unknown code; the error if both fail."""
        found: Exception | None = None
        for attempt in (one, Incoming(one.body)):
            try:
                self._landing.land_all([attempt])
                return None
            except (LandingError, ValueError, OSError) as error:
                found = error
                if _disk_is_full(error):
                    break
        return found

    def _landing_works(self) -> bool:
        """Whether a small file can be written there: then the fault lies in the message."""
        probe = self._landing.folder / ".probe"
        try:
            self._landing.folder.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"probe")
            probe.unlink()
        except OSError:
            return False
        return True

    def _keep_locks(self, receiver: Any, batch: list[Any]) -> None:
        """Renew the locks of a batch of which less than half is left.

        By the thread that receives, between two messages: the SDK's renewer asks from threads of its own over the
        same connection. What takes long (reading, loading) has no lock to keep.
        """
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked, now = time.monotonic(), datetime.now(UTC)
        for message in batch:
            until = message.locked_until_utc
            if until is not None and now < until and until - now < (until - self._came) / 2:
                receiver.renew_message_lock(message)

    def _count(self, one: Incoming) -> None:
        code = one.subject or "unknown"
        self.done.messages += 1
        self.done.bytes += len(one.body)
        self.done.by_code[code] += 1
        if one.enqueued_at is not None:
            self.done.newest[code] = max(one.enqueued_at, self.done.newest.get(code, one.enqueued_at))


@contextlib.contextmanager
def _given_back(receiver: Any, batch: list[Any], done: Received) -> Any:
    """Where the block cannot land (Blocked), what is left of the batch goes back to the queue at once."""
    try:
        yield
    except Blocked:
        for message in batch:
            with contextlib.suppress(Exception):
                receiver.abandon_message(message)
                done.abandoned += 1
        raise


def incoming_of(message: Any) -> Incoming:
    """A received message as the landing takes it; properties beside the application's own: when it was enqueued, its
    sequence number, how often it had been delivered."""
    said = {**(message.application_properties or {})}
    said |= {"sequence_number": message.sequence_number, "delivery_count": message.delivery_count}
    name = said.get(b"source_file_name") or said.get("source_file_name")
    return Incoming(
        body=_body(message),
        source_file_name=name.decode("utf-8", "replace") if isinstance(name, bytes) else name,
        message_id=str(message.message_id) if message.message_id is not None else None,
        subject=message.subject,
        enqueued_at=message.enqueued_time_utc,
        properties=said,
    )


def _body(message: Any) -> bytes:
    """The body's bytes; a body that AMQP carries as a value or a sequence becomes JSON."""
    body = message.body
    if body is None or isinstance(body, bytes | str):
        return body.encode() if isinstance(body, str) else body or b""
    if isinstance(body, dict | int | float):
        return json.dumps(body, default=_text).encode()
    parts = list(body)
    if all(isinstance(part, bytes) for part in parts):
        return b"".join(parts)
    return json.dumps(parts, default=_text).encode()


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _disk_is_full(error: BaseException) -> bool:
    found: BaseException | None = error
    while found is not None:
        if getattr(found, "errno", None) in FULL_CODES:
            return True
        found = found.__cause__ or found.__context__
    return False


def _nothing(_: object) -> None:
    return None
