"""A mail server and a webhook on loopback, as small as they can be, with faults to order."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RESET, HANG = "reset", "hang"


@dataclass
class Post:
    """What a webhook was sent."""

    path: str
    headers: dict[str, str]
    body: Any

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]


@dataclass
class Hook:
    """A webhook: `faults` are used up first, one a request: a status, (status, Retry-After), RESET or HANG.

    posts: what was taken; seen: every request, refused ones too.
    """

    faults: list[Any] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    seen: list[Post] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def hook(*faults: Any, path: str = "/services/T0/B0/hush-hush-hook") -> Iterator[Hook]:
    found = Hook(list(faults))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            post = Post(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            found.seen.append(post)
            fault = found.faults.pop(0) if found.faults else 200
            if fault == RESET:
                _reset(self.connection)
                return
            if fault == HANG:
                found.released.wait(10)
                return
            status, wait = fault if isinstance(fault, tuple) else (fault, None)
            if status == 200:
                found.posts.append(post)
            self.send_response(status)
            if wait is not None:
                self.send_header("Retry-After", str(wait))
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            # A server may repeat the address it was asked at.
            self.wfile.write(b"ok" if status == 200 else f"refused {self.path}".encode())

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}{path}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            found.released.set()
            server.shutdown()


@dataclass
class Mailbox:
    """A mail server: `replies` are used up first, one a command that matches: {"RCPT": ["450 busy"]}; RESET cuts.

    tls: the context STARTTLS goes on with. login: the (name, password) that AUTH takes; without it there is no AUTH.
    """

    replies: dict[str, list[str]] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    mails: list[Message] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0


@contextlib.contextmanager
def mailbox(box: Mailbox) -> Iterator[Mailbox]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                _Session(self.connection, box).run()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        box.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield box
        finally:
            server.shutdown()


class _Session:
    def __init__(self, connection: socket.socket, box: Mailbox) -> None:
        self.connection, self.box = connection, box
        self.file = connection.makefile("rb")
        self.encrypted = False
        self.sender, self.to = "", list[str]()

    def run(self) -> None:
        self.say("220 here")
        while line := self.file.readline():
            words = line.decode().strip()
            verb = words.split(" ")[0].upper()
            ordered = self.box.replies.get(verb)
            if ordered:
                reply = ordered.pop(0)
                if reply == RESET:
                    _reset(self.connection)
                    return
                self.say(reply)
                continue
            if verb == "QUIT":
                self.say("221 bye")
                return
            getattr(self, f"on_{verb.lower()}", self.on_other)(words)

    def on_ehlo(self, words: str) -> None:
        offers = ["here"]
        if self.box.tls and not self.encrypted:
            offers.append("STARTTLS")
        if self.box.login:
            offers.append("AUTH PLAIN")
        for offer in offers[:-1]:
            self.say(f"250-{offer}")
        self.say(f"250 {offers[-1]}")

    def on_starttls(self, words: str) -> None:
        assert self.box.tls
        self.say("220 go on")
        self.connection = self.box.tls.wrap_socket(self.connection, server_side=True)
        self.file = self.connection.makefile("rb")
        self.encrypted = True

    def on_auth(self, words: str) -> None:
        _, name, password = base64.b64decode(words.split(" ")[2]).decode().split("\0")
        self.box.logins.append((name, password))
        self.say("235 come in" if (name, password) == self.box.login else f"535 not you, {password}")

    def on_mail(self, words: str) -> None:
        self.sender, self.to = words.partition("<")[2].partition(">")[0], []
        self.say("250 ok")

    def on_rcpt(self, words: str) -> None:
        self.to.append(words.partition("<")[2].partition(">")[0])
        self.say("250 ok")

    def on_data(self, words: str) -> None:
        self.say("354 go on")
        lines = []
        while (line := self.file.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        self.box.mails.append(message_from_bytes(b"".join(lines), policy=default))
        self.box.envelopes.append((self.sender, self.to))
        self.box.encrypted.append(self.encrypted)
        self.say("250 kept")

    def on_other(self, words: str) -> None:
        self.say("250 ok")

    def say(self, words: str) -> None:
        self.connection.sendall(f"{words}\r\n".encode())


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
