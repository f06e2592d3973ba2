"""The replay server: Elexon's real paths on 127.0.0.1, answered from recorded real responses.

Belongs here: HTTP, the log of requests, start and stop. Not here: what a path takes (replay_routes.py), rows
(replay_recordings.py), what is hidden at first (withhold.py). Run: `python -m gbpm_dagster.demo.replay --help`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self

import polars as pl
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as Url

from gbpm_dagster.demo import replay_answers, replay_routes
from gbpm_dagster.demo.replay_recordings import RECORDINGS, RecordingsError, load
from gbpm_dagster.demo.withhold import Withholding, WithholdingError

HOST = "127.0.0.1"
STATE_PATH = "/_replay/state"
DEFAULT_RULES = RECORDINGS / "withheld.json"


class ReplayError(RuntimeError):
    """The server could not start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One answered request: path without prefix, query as sent, status, rows sent, table and London days asked."""

    path: str
    params: tuple[tuple[str, str], ...]
    status: int
    rows: int
    table: str = ""
    days: tuple[date, ...] = ()
    at: datetime | None = None


class ReplayServer:
    """Serves recordings over HTTP from a daemon thread; a context manager.

    Attributes: base_url (with Elexon's prefix; "" before start), withholding, requests (a copy of the log).
    """

    def __init__(
        self, recordings_dir: Path | None = None, withhold: Withholding | None = None, port: int = 0
    ) -> None:
        self.frames = load(recordings_dir or RECORDINGS)
        self.withholding = withhold or Withholding()
        self.base_url = ""
        self._port = port
        self._log: list[Answered] = []
        self._lock = Lock()
        self._server: _Server | None = None
        self._thread: Thread | None = None

    def start(self) -> str:
        """Listen and answer in a thread; returns the base URL. Raises ReplayError if the port is taken."""
        if self._thread is not None:
            return self.base_url
        listening = self._bind()
        self._server = _Server(self._config())
        self._thread = Thread(target=self._server.run, args=([listening],), name="replay", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(30) or not self._thread.is_alive():
            raise ReplayError(f"the replay server did not start on {HOST}:{self._port} within 30 seconds")
        return self.base_url

    def stop(self) -> None:
        """Stop and wait for the thread; does nothing if it is not running."""
        server, thread = self._server, self._thread
        if server is not None and thread is not None:
            server.should_exit = True
            thread.join(10)
        self._server = self._thread = None

    def serve(self) -> None:
        """Answer in this thread until SIGINT or SIGTERM. Raises ReplayError if the port is taken."""
        listening = self._bind()
        sys.stdout.write(f"{self.base_url}\n")
        sys.stdout.flush()
        _Server(self._config()).run([listening])

    @property
    def requests(self) -> list[Answered]:
        """The requests answered so far, oldest first."""
        with self._lock:
            return list(self._log)

    def state(self) -> dict[str, Any]:
        """What is still withheld, and how many requests were answered with which status; also at /_replay/state."""
        log = self.requests
        return {
            "base_url": self.base_url,
            "requests": len(log),
            "rows": sum(r.rows for r in log),
            "by_status": dict(sorted(Counter(str(r.status) for r in log).items())),
            "by_table": dict(sorted(Counter(r.table for r in log if r.table).items())),
            "withheld": self.withholding.state(),
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bind(self) -> socket.socket:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, self._port))
            listening.listen(128)  # from here on clients may connect; uvicorn answers them when it is up
        except OSError as error:
            listening.close()
            raise ReplayError(
                f"the replay server cannot listen on {HOST}:{self._port} ({error.strerror}); choose another, or 0"
            ) from error
        self.base_url = f"http://{HOST}:{listening.getsockname()[1]}{replay_routes.PREFIX}"
        return listening

    def _config(self) -> uvicorn.Config:
        app = Starlette(
            routes=[Url(STATE_PATH, self._state), Url("/{path:path}", self._answer)],
            middleware=[Middleware(GZipMiddleware, minimum_size=500, compresslevel=1)],
        )
        return uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=2, ws="none"
        )

    def _state(self, request: Request) -> Response:
        listed = [asdict(r) for r in self.requests] if "log" in request.query_params else None
        found = self.state() | ({"log": listed} if listed is not None else {})
        return Response(json.dumps(found, default=str), media_type="application/json")

    def _answer(self, request: Request) -> Response:
        """One request: refused (404, 400), a withheld status, or rows. Runs in a worker thread."""
        params = tuple(request.query_params.multi_items())
        path = request.url.path.removeprefix(replay_routes.PREFIX)
        table: str = ""
        days: tuple[date, ...] = ()
        rows = 0
        try:
            route, parts = replay_routes.find(request.url.path)
            table = route.table
            asked = replay_routes.read(route, parts, _query(params))
            found = replay_answers.select(self._frame(table), asked)
            days = asked.days or tuple(found["day"].drop_nulls().unique().sort())
            verdict = self.withholding.visit(table, days)
            if verdict.status is not None:
                response = _unavailable(verdict.status, verdict.retry_after)
            else:
                shown = replay_answers.without(found, verdict.hidden)
                rows = shown.height
                response = Response(replay_answers.body(route, shown), media_type="application/json")
        except replay_routes.Refused as refused:
            kind = "application/problem+json" if refused.status == 400 else "application/json"
            response = JSONResponse(refused.body, refused.status, media_type=kind)
        with self._lock:
            self._log.append(Answered(path, params, response.status_code, rows, table, days, datetime.now(UTC)))
        return response

    def _frame(self, table: str) -> pl.DataFrame:
        frame = self.frames.get(table)
        if frame is None:
            raise replay_routes.not_found()
        return frame


class _Server(uvicorn.Server):
    """uvicorn that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()


def _query(params: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Parameters by lower-case name; empty values count as not given."""
    found: dict[str, list[str]] = {}
    for name, value in params:
        if value:
            found.setdefault(name.lower(), []).append(value)
    return found


def _unavailable(status: int, retry_after: float | None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return Response(f"<html><body>{status} Service Unavailable</body></html>", status, headers, "text/html")


def main(argv: Sequence[str] | None = None) -> int:
    """The server as a process of its own: writes its base URL as the first line, ends on SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m gbpm_dagster.demo.replay", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 = a free one (default)")
    parser.add_argument(
        "--withhold", type=Path, help=f"JSON rules of what to hide at first (the demo's: {DEFAULT_RULES})"
    )
    parser.add_argument("--recordings", type=Path, default=RECORDINGS, help="folder of the recordings")
    options = parser.parse_args(argv)
    try:
        rules = Withholding.from_file(options.withhold) if options.withhold else None
        ReplayServer(options.recordings, rules, options.port).serve()
    except (ReplayError, RecordingsError, WithholdingError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
