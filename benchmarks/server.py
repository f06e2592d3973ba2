"""A small HTTP server that answers from memory over loopback, gzip, kept connections; a process of its own.

Belongs here: serving what `made` makes, counting requests. Not here: the bodies, the clients.

Run by `serving()`. Besides the paths of the planner it knows `/prepare?table=&first=&last=&each=` (make and keep the
bodies of those days' windows; each=1: of each day asked by itself), `/count` (requests since the last `/count`).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx

from benchmarks import made
from gbpm_dagster.catalogue import get
from gbpm_dagster.elexon.plan import plan, request
from gbpm_dagster.market.calendar import days

ROOT = Path(__file__).parents[1]
KEPT_BYTES = 1 << 30
LEVEL, QUICK_LEVEL = 6, 1
"""zlib levels of bodies made beforehand and of bodies made while somebody waits."""


def gzipped(body: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


class Bodies:
    """Answers by target (path and query), as sent: gzip. Above KEPT_BYTES they are made anew each time."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.size = self.count = 0

    def get(self, target: str, level: int = QUICK_LEVEL) -> bytes | None:
        found = self.kept.get(target)
        if found is None:
            parts = urlsplit(target)
            made_now = made.answer(parts.path, dict(parse_qsl(parts.query)))
            if made_now is None:
                return None
            found = gzipped(made_now, level)
            if self.size < KEPT_BYTES:
                self.kept[target] = found
                self.size += len(found)
        return found

    def prepare(self, asked: dict[str, str]) -> dict[str, int]:
        sizes = [len(self.get(t, LEVEL) or b"") for t in targets(asked)]
        return {"requests": len(sizes), "bytes": sum(sizes)}


def targets(asked: dict[str, str]) -> list[str]:
    """Path and query of each request the planner makes for those days: all at once, or each day by itself."""
    dataset = get(asked["table"])
    wanted = days(date.fromisoformat(asked["first"]), date.fromisoformat(asked["last"]))
    groups = [[day] for day in wanted] if asked.get("each") == "1" else [wanted]
    found = []
    for group in groups:
        for window in plan(dataset, group):
            asks = request(dataset, window)
            # The very text httpx sends, so that it is found by comparing texts.
            found.append(httpx.URL(f"http://x{asks.path}", params=asks.params).raw_path.decode())
    return found


class Http(asyncio.Protocol):
    """One connection: HTTP/1.1, GET only, kept alive."""

    def __init__(self, bodies: Bodies) -> None:
        self.bodies, self.unread = bodies, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.unread += data
        while (end := self.unread.find(b"\r\n\r\n")) >= 0:
            head, self.unread = self.unread[:end], self.unread[end + 4 :]
            self._answer(head.split(b" ", 2)[1].decode())

    def _answer(self, target: str) -> None:
        parts = urlsplit(target)
        if parts.path == "/prepare":
            self._send(json.dumps(self.bodies.prepare(dict(parse_qsl(parts.query)))).encode(), b"")
        elif parts.path == "/count":
            self._send(str(self.bodies.count).encode(), b"")
            self.bodies.count = 0
        else:
            self.bodies.count += 1
            found = self.bodies.get(target)
            if found is None:
                self._send(b"{}", b"", b"404 Not Found")
            else:
                self._send(found, b"Content-Encoding: gzip\r\n")

    def _send(self, body: bytes, more: bytes, status: bytes = b"200 OK") -> None:
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
        self.transport.write(head % (status, more, len(body)) + body)


async def serve() -> None:
    """Listen on a free port of 127.0.0.1, print it, and end when standard input does."""
    bodies = Bodies()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Http(bodies), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


class Server:
    """A running server: `url`, and what it can be told."""

    def __init__(self, url: str) -> None:
        self.url = url

    def prepare(self, table: str, first: date, last: date, *, each: bool = False) -> int:
        """Make the bodies of those days beforehand; returns how many requests ask for them."""
        answered = self._get(f"/prepare?table={table}&first={first}&last={last}&each={int(each)}")
        return int(json.loads(answered)["requests"])

    def count(self) -> int:
        """Requests answered since the last call."""
        return int(self._get("/count"))

    def _get(self, target: str) -> bytes:
        with urllib.request.urlopen(self.url + target) as response:
            return bytes(response.read())


@contextmanager
def serving() -> Iterator[Server]:
    """The server in its own process; it ends with the block, or with this process."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.stdin.close()
            process.wait(10)


if __name__ == "__main__":
    asyncio.run(serve())
