"""A small Service Bus on AMQP 1.0 in pure Python: the real `azure-servicebus` client connects to it.

    with Broker(lock_s=2) as broker:
        broker.publish(b'[{"dataset": "FREQ"}]', subject="FREQ", properties={"source_file_name": "FREQ_1.json"})
        ServiceBusClient.from_connection_string(broker.connection_string)
    python -m gbpm_dagster.demo.broker --port 5672 --queue iris --store messages.sqlite

It needs nothing that the project does not need anyway, so it runs wherever the project does. Faults: locks that
expire, completions that are lost, cut connections, a restart, slow deliveries, refused tokens and links.

Belongs here: the listening socket, the thread, the levers. Not here: queues (`queues`), frames (`links`, `amqp`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from gbpm_dagster.demo import amqp
from gbpm_dagster.demo.links import Connection
from gbpm_dagster.demo.queues import DEAD_LETTERS, Queue, Store

T = TypeVar("T")
TICK_S, ALIVE_S = 0.05, 20.0
KEY = "c3RhbmQtaW4="
"""No secret: the broker takes any."""


class Broker:
    """Queues on 127.0.0.1 in a thread of their own; every method may be called from any other thread."""

    def __init__(
        self,
        queues: Sequence[str] = ("iris",),
        *,
        port: int = 0,
        lock_s: float = 60.0,
        max_deliveries: int = 5,
        store: Path | None = None,
    ) -> None:
        """lock_s, max_deliveries: as IRIS has them. store: a file that keeps the messages for the next process."""
        self._store = Store(store) if store else None
        self._queues = {
            name.lower(): Queue(name, lock_s=lock_s, max_deliveries=max_deliveries, store=self._store)
            for name in queues
        }
        self.port = port
        self.refuse_tokens = self.refuse_links = False
        self.delay_s = 0.0
        """Seconds between two deliveries."""
        self.connected = self.most_at_once = 0
        """How many connections there were, and at most at a time."""
        self._connections: set[Connection] = set()
        self._slow: dict[str, asyncio.TimerHandle] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    # --- from other threads

    def __enter__(self) -> Self:
        self._thread.start()
        self._ask(self._listen)
        self._loop.call_soon_threadsafe(self._tick, 0.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._ask(self._stop_listening)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        if self._store:
            self._store.close()

    @property
    def connection_string(self) -> str:
        """As `IRIS_CONNECTION_STRING` takes it: plain AMQP on 127.0.0.1."""
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName=stand-in;"
            f"SharedAccessKey={KEY};UseDevelopmentEmulator=true;"
        )

    def publish(
        self,
        body: bytes,
        *,
        queue: str = "iris",
        subject: str | None = None,
        message_id: str | None = None,
        properties: Mapping[str, str] | None = None,
        enqueued: float | None = None,
    ) -> int:
        """Put a message into a queue, as Elexon does; returns its sequence number. enqueued: seconds since 1970."""
        said: Any = dict(properties or {})
        message = amqp.Message(
            properties=amqp.Properties(
                message_id=message_id or str(uuid.uuid4()), subject=subject, content_type=b"application/json"
            ),
            application_properties=said,
            data=[body],
        )
        raw, target = amqp.encode(message), self._queues[queue.lower()]

        def put() -> int:
            sequence = target.put(raw, enqueued)
            self.pump(target)
            return sequence

        return self.call(put)

    def depth(self, queue: str = "iris") -> tuple[int, int, int]:
        """Messages that are (ready, locked, dead-lettered)."""
        return self.call(self._queues[queue.lower()].depth)

    def counts(self, queue: str = "iris") -> dict[str, int]:
        """What has happened: enqueued, delivered, complete, abandon, release, lock expired, lock lost, ..."""
        return self.call(lambda: dict(self._queues[queue.lower()].counts))

    def lose_completions(self, count: int, queue: str = "iris") -> None:
        """Confirm the next `count` completions and deliver their messages again all the same."""
        self.call(lambda: setattr(self._queues[queue.lower()], "lose_completions", count))

    def cut(self) -> None:
        """Cut every connection without a word; locks stay until they expire."""
        self.call(self._cut)

    def restart(self, down: Callable[[], None] = lambda: None) -> None:
        """Stop listening, cut everything, do what `down` does meanwhile, listen again on the same port."""
        self._ask(self._stop_listening)
        down()
        self._ask(self._listen)

    def call(self, work: Callable[[], T]) -> T:
        """Do something in the broker's thread and wait for it."""

        async def do() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(30)

    # --- in the broker's thread

    def queue(self, address: str) -> Queue | None:
        """The queue of an address: `iris`, `sb://host/iris`, `iris/$DeadLetterQueue`, `iris/$management`."""
        name = address.lower()
        name = name.split("://", 1)[1].partition("/")[2] if "://" in name else name
        name = name.strip("/").removesuffix("/$management")
        found = self._queues.get(name.removesuffix(DEAD_LETTERS))
        return found.dead if found is not None and name.endswith(DEAD_LETTERS) else found

    def pump(self, queue: Queue) -> None:
        """Deliver what is ready to whoever has credit, the links in turn."""
        if queue.name in self._slow:
            return
        for connection in list(self._connections):
            for link in connection.links:
                if link.queue is not queue or not link.sending or link.address.endswith("$management"):
                    continue
                while link.credit > 0 and (lock := queue.take()) is not None:
                    connection.deliver(link, lock)
                    if self.delay_s:
                        self._slow[queue.name] = self._loop.call_later(self.delay_s, self._go_on, queue)
                        return

    def _go_on(self, queue: Queue) -> None:
        self._slow.pop(queue.name, None)
        self.pump(queue)

    def _tick(self, silent_s: float) -> None:
        for queue in (q for top in self._queues.values() for q in (top, top.dead) if q is not None):
            if queue.expire():
                self.pump(queue)
        if silent_s >= ALIVE_S:
            silent_s = 0.0
            for connection in self._connections:
                connection.alive()
        self._loop.call_later(TICK_S, self._tick, silent_s + TICK_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _ask(self, work: Callable[[], object]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(30)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=4 * amqp.MAX_FRAME)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        self._server.close()
        self._cut()

    def _cut(self) -> None:
        for connection in self._connections:
            connection.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self._connections.add(connection)
        self.connected += 1
        self.most_at_once = max(self.most_at_once, len(self._connections))
        try:
            await connection.serve()
        except (OSError, asyncio.IncompleteReadError):
            pass  # it went without a word: its locks run out
        finally:
            self._connections.discard(connection)
            with contextlib.suppress(OSError):
                writer.close()


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; the first line of standard output is the connection string."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 = a free one")
    parser.add_argument("--queue", action="append", help="name of a queue; may be given again (iris)")
    parser.add_argument("--lock-seconds", type=float, default=60.0)
    parser.add_argument("--max-deliveries", type=int, default=5)
    parser.add_argument("--store", type=Path, help="SQLite file that keeps the messages")
    asked = parser.parse_args(argv)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Broker(
        asked.queue or ["iris"],
        port=asked.port,
        lock_s=asked.lock_seconds,
        max_deliveries=asked.max_deliveries,
        store=asked.store,
    ) as broker:
        sys.stdout.write(broker.connection_string + "\n")
        sys.stdout.flush()
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
