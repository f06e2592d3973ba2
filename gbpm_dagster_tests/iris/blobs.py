"""A blob container as Azure serves one to the public: find by tags, pages, blobs; some requests fail first."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Container:
    """blobs: name -> (tags, body). fail: statuses of the first requests, in order."""

    blobs: dict[str, tuple[Mapping[str, str], bytes]]
    page: int = 100
    fail: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, bytes]:
        self.asked.append(unquote(path))
        if self.fail:
            return self.fail.pop(0), b"<Error/>"
        parts = urlsplit(path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        if query.get("comp") == "blobs" and query.get("restype") == "container":
            return 200, self._found(query["where"], int(query.get("marker", 0)))
        name = unquote(parts.path).removeprefix("/iris-archive/")
        return (200, self.blobs[name][1]) if name in self.blobs else (404, b"<Error/>")

    def _found(self, where: str, at: int) -> bytes:
        names = sorted(self.blobs)
        for key, operator, value in re.findall(r"\"(\w+)\" (>=|<|=) '([^']*)'", where):
            holds = {"=": str.__eq__, ">=": str.__ge__, "<": str.__lt__}[operator]
            names = [n for n in names if holds(self.blobs[n][0].get(key, ""), value)]
        more = str(at + self.page) if at + self.page < len(names) else ""
        items = "".join(
            f"<Blob><Name>{escape(n)}</Name><Tags><TagSet>"
            + "".join(f"<Tag><Key>{k}</Key><Value>{v}</Value></Tag>" for k, v in self.blobs[n][0].items())
            + "</TagSet></Tags></Blob>"
            for n in names[at : at + self.page]
        )
        found = f"<EnumerationResults><Blobs>{items}</Blobs><NextMarker>{more}</NextMarker></EnumerationResults>"
        return f'<?xml version="1.0" encoding="utf-8"?>{found}'.encode()


@contextmanager
def served(container: Container) -> Iterator[str]:
    """The address of the container on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = container.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/iris-archive"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
