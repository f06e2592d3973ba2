"""A source with faults: the replay of recorded days behind a server that spoils the answers a test names."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gbpm_dagster.demo.replay_routes import PREFIX
from gbpm_dagster_tests.elexon.scripted import JSON, Answer

FOREVER = 10_000


@dataclass
class FaultySource:
    """base_url: what ELEXON_BASE_URL must be. asked: (day, status) of every request, in order of their answers.
    logins: the Authorization headers they had, '' for none.

    Faults are looked up by the first day that a request's address names.
    """

    behind: str
    base_url: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)
    logins: set[str] = field(default_factory=set)
    _faults: dict[str, deque[Answer | Spoil]] = field(default_factory=lambda: defaultdict(deque))
    _longest: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, day: str, *answers: Answer | Spoil, times: int = 1) -> None:
        """Answer requests for that day with these, in turn, `times` over; then as recorded again."""
        self._faults[day].extend(answers * times)

    def clear(self) -> None:
        """No faults; forget what was asked."""
        self._faults.clear()
        self.asked.clear()
        self.logins.clear()
        self._longest = 0

    def refuse_longer_than(self, days: int) -> None:
        """From now on a window of more days is a 400 that names the cap, in Elexon's words."""
        self._longest = days

    def answer(self, url: str) -> Answer:
        days = re.findall(r"\d{4}-\d{2}-\d{2}", url)
        found = self._choose(url, days)
        with self._lock:
            self.asked.append((days[0] if days else "", found.status))
        return found

    def _choose(self, url: str, days: list[str]) -> Answer:
        if self._longest and len(days) > 1 and (_ordinal(days[1]) - _ordinal(days[0])) > self._longest:
            body = {"errors": {"": [f"The date range must not exceed {self._longest} days"]}, "status": 400}
            return Answer(json.dumps(body).encode(), 400, "application/problem+json")
        with self._lock:
            waiting = self._faults.get(days[0]) if days else None
            fault = waiting.popleft() if waiting else None
        if isinstance(fault, Answer):
            return fault
        recorded = self._recorded(url)
        return fault(recorded) if fault else recorded

    def _recorded(self, url: str) -> Answer:
        try:
            with urllib.request.urlopen(self.behind + url.removeprefix(PREFIX), timeout=30) as got:
                return Answer(got.read(), got.status, got.headers.get("Content-Type", JSON))
        except urllib.error.HTTPError as error:
            return Answer(error.read(), error.code, error.headers.get("Content-Type", JSON))


@dataclass(frozen=True)
class Spoil:
    """The recorded answer, spoilt: cut to a share of its bytes, or only its first rows, or with another day's."""

    cut: float = 1.0
    keep: int | None = None
    shift: tuple[str, str] | None = None

    def __call__(self, answer: Answer) -> Answer:
        body = answer.body[: int(len(answer.body) * self.cut)]
        if self.shift:
            body = body.replace(self.shift[0].encode(), self.shift[1].encode())
        if self.keep is not None:
            found: Any = json.loads(body)
            rows = found["data"] if isinstance(found, dict) else found
            rows = rows[: self.keep]
            body = json.dumps({**found, "data": rows} if isinstance(found, dict) else rows).encode()
        return Answer(body, answer.status, answer.type)


def _ordinal(day: str) -> int:
    from datetime import date

    return date.fromisoformat(day).toordinal()


@contextmanager
def faulty(behind: str) -> Iterator[FaultySource]:
    """A faulty source in front of the replay at `behind`, on a free port."""
    source = FaultySource(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            source.logins.add(self.headers.get("Authorization", ""))
            answer = source.answer(self.path)
            if answer.reset:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    source.base_url = f"http://127.0.0.1:{server.server_address[1]}{PREFIX}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield source
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
