"""A tiny HTTP server on 127.0.0.1 that answers what a test wrote down, in order; and rows to answer with."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from gbpm_dagster.market.calendar import day_bounds, periods_in_day

JSON = "application/json; charset=utf-8"


@dataclass
class Answer:
    """One scripted answer. hang: seconds before it. declare: a Content-Length other than the body's. reset: none."""

    body: bytes = b'{"data":[]}'
    status: int = 200
    type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0
    declare: int | None = None
    reset: bool = False
    zipped: bool = False


def rows(found: Sequence[Any], **more: Any) -> Answer:
    return Answer(json.dumps({"data": list(found)}, separators=(",", ":")).encode(), **more)


@dataclass
class Server:
    base_url: str
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    open: int = 0
    most_open: int = 0


@asynccontextmanager
async def serve(*script: Answer) -> AsyncIterator[Server]:
    """Answers the n-th request with the n-th answer, later ones with the last."""
    server: Server

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                server.asked.append(lines[0].split(" ")[1])
                server.headers.append({n.lower(): v for n, _, v in (line.partition(": ") for line in lines[1:])})
                answer = script[min(len(server.asked), len(script)) - 1]
                server.open += 1
                server.most_open = max(server.most_open, server.open)
                try:
                    await asyncio.sleep(answer.hang)
                finally:
                    server.open -= 1
                if answer.reset:
                    writer.transport.abort()
                    return
                writer.write(_bytes(answer))
                await writer.drain()
                if answer.declare is not None:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}/bmrs/api/v1")
    try:
        yield server
    finally:
        listening.close()


def _bytes(answer: Answer) -> bytes:
    body = gzip.compress(answer.body, mtime=0) if answer.zipped else answer.body
    head = {"Content-Length": str(len(body) if answer.declare is None else answer.declare), **answer.headers}
    if answer.type:
        head["Content-Type"] = answer.type
    if answer.zipped:
        head["Content-Encoding"] = "gzip"
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", *(f"{n}: {v}" for n, v in head.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def mid_day(day: date, edge: bool = False) -> list[dict[str, Any]]:
    """A day of MID as the API would give it: two providers a period; with the first period after it, if `edge`."""
    start = day_bounds(day)[0]
    found = []
    for i in range(periods_in_day(day) + edge):
        after = i >= periods_in_day(day)
        own, period = (day + timedelta(days=1), 1) if after else (day, i + 1)
        for provider in ("APXMIDP", "N2EXMIDP"):
            found.append(
                {
                    "dataset": "MID",
                    "startTime": text(start + timedelta(minutes=30 * i)),
                    "dataProvider": provider,
                    "settlementDate": own.isoformat(),
                    "settlementPeriod": period,
                    "price": 50.5 + i,
                    "volume": 100.0,
                }
            )
    return found
