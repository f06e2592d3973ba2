"""One message of the stream: what came with it, its safe name, and its form as one file.

Belongs here: the identity of a message and the format of a landed file. Not here: folders (landing), the body's rows.

A landed file is one line of JSON (what came with the message), a line feed, then the body's bytes as they came.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import orjson

from gbpm_dagster.iris.body import BadBody, array

FORMAT = 1
UNKNOWN = "unknown"
"""Stands for a subject that is missing."""

LONGEST_NAME = 180
"""Characters of a name; file systems allow 255 bytes, and a hash and an ending may follow."""

LONG_AGO = datetime.min.replace(tzinfo=UTC)

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class NotLanded(ValueError):
    """A file in the landing is not one of ours; the message says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came.

    name: safe as a file name (`safe_name`). subject: as received, `unknown` if there was none. enqueued_at: when the
    queue took it (aware UTC), None if nobody said; received_at: when it was landed. properties: all else that came
    with it, texts.
    """

    name: str
    body: bytes
    subject: str = UNKNOWN
    message_id: str = ""
    enqueued_at: datetime | None = None
    received_at: datetime = LONG_AGO
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        """When the message came: enqueued, else landed."""
        return self.enqueued_at or self.received_at

    @property
    def digest(self) -> str:
        """16 hex digits of the SHA-256 of the body's content: that of the stream and of the archive are one."""
        return digest(content(self.body))


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def content(body: bytes) -> bytes:
    """The body without its layers of encoding, if it is one of rows: the archive encodes once, the stream twice."""
    try:
        return array(body)
    except BadBody:
        return body


def safe_name(text: str) -> str:
    """The text as the name of a file: its last part, only `[A-Za-z0-9._-]`, no leading dot; "" if nothing is left."""
    last = PureWindowsPath(PurePosixPath(text.strip()).name).name
    name = _UNSAFE.sub("_", last)[-LONGEST_NAME:]
    return "_" + name[1:] if name.startswith(".") else name


def identity(source_file_name: str | None, message_id: str | None, subject: str, body: bytes) -> str:
    """The safe name of a message (iris.md 2): the source's file name, else the message's id, else subject and
    hash."""
    for given in (source_file_name, message_id):
        if given and (name := safe_name(given)):
            return name
    return f"{safe_name(subject) or UNKNOWN}_{digest(body)}.json"


def plain(properties: Mapping[Any, Any]) -> dict[str, str]:
    """Properties as texts: AMQP gives bytes as keys and values."""
    return {_text(name): _text(value) for name, value in properties.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, datetime) else str(value)


def header(message: Message) -> bytes:
    """What came with the message, as one line of JSON without its end."""
    return orjson.dumps({
        "gbpm_iris": FORMAT,
        "name": message.name,
        "subject": message.subject,
        "message_id": message.message_id,
        "enqueued_at": message.enqueued_at,
        "received_at": message.received_at,
        "properties": dict(message.properties),
    })  # fmt: skip


def parse(content: bytes) -> Message:
    """A landed file's content as the message; raises NotLanded."""
    line, found, body = content.partition(b"\n")
    return from_header(line, body) if found else _not_landed("it has no first line")


def from_header(line: bytes, body: bytes) -> Message:
    """The message of a header and a body; raises NotLanded."""
    try:
        said = orjson.loads(line)
        if said["gbpm_iris"] != FORMAT:
            return _not_landed(f"its format is {said['gbpm_iris']!r}, this gbpm knows {FORMAT}")
        return Message(
            said["name"], body, said["subject"], said["message_id"], _instant(said["enqueued_at"]),
            _instant(said["received_at"]) or LONG_AGO, said["properties"],
        )  # fmt: skip
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, NotLanded):
            raise
        return _not_landed(f"its first line cannot be read ({error})")


def _not_landed(why: str) -> Message:
    raise NotLanded(f"this is no landed message: {why}")


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
