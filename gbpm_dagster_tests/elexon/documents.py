"""A server on 127.0.0.1 that answers each path with what a test put there; everything else is a 404 like Elexon's."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gbpm_dagster.elexon.openapi import PATH
from gbpm_dagster_tests.elexon.scripted import Answer

NOT_FOUND = Answer(b'{"statusCode":404,"message":"Resource not found"}', status=404)


@dataclass
class Documents:
    """root: the address of the site. base_url: what ELEXON_BASE_URL must be. asked, logins: of each request."""

    root: str
    answers: dict[str, Answer]
    asked: list[str] = field(default_factory=list)
    logins: set[str] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def base_url(self) -> str:
        return f"{self.root}/bmrs/api/v1"

    def publish(self, body: bytes) -> None:
        """From now on this is the service's document."""
        self.answers[PATH] = Answer(body)


@contextmanager
def serving(answers: Mapping[str, Answer] | None = None) -> Iterator[Documents]:
    """A server while the block lasts; a hanging answer ends with it."""
    found: Documents

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            found.logins.add(self.headers.get("Authorization", ""))
            answer = found.answers.get(self.path, NOT_FOUND)
            if answer.hang:
                found.ended.wait(answer.hang)
            body = gzip.compress(answer.body, mtime=0) if answer.zipped else answer.body
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.zipped:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Type", answer.type)
            self.send_header("Content-Length", str(len(body) if answer.declare is None else answer.declare))
            with suppress(ConnectionError):  # who has given up waiting does not read any more
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Documents(f"http://127.0.0.1:{server.server_address[1]}", dict(answers or {}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
