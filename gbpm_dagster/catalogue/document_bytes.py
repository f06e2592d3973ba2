"""The bytes of an OpenAPI document, packed or not, as its JSON; and in words what else they are.

Belongs here: gzip, JSON, whether it is OpenAPI at all. Not here: what the document says (`document`).
"""

from __future__ import annotations

import gzip
import json
import zlib
from io import BytesIO
from typing import Any

LARGEST = 64 * 1024 * 1024
"""Bytes of JSON that a document may have (Elexon's has 1.2 million): a packed one could claim any number."""


class UnreadableDocument(ValueError):
    """These bytes are no OpenAPI document; the message says what they are instead.

    whole: they are JSON, only not of that kind, so that asking again will not help.
    """

    def __init__(self, text: str, *, whole: bool = False) -> None:
        super().__init__(text)
        self.whole = whole


def unpacked(body: bytes, name: str) -> bytes:
    """The JSON text of a document, taken out of gzip where it is in one; raises UnreadableDocument."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        found = gzip.GzipFile(fileobj=BytesIO(body)).read(LARGEST + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise UnreadableDocument(f"{name} is gzip that is cut short or broken ({error})") from None
    if len(found) > LARGEST:
        raise UnreadableDocument(f"{name} unpacks to more than {LARGEST:,} bytes: that is no OpenAPI document")
    return found


def openapi(text: bytes, name: str) -> dict[str, Any]:
    """The object that the text is: OpenAPI of version 3, with `paths`; raises UnreadableDocument."""
    found = _json(text, name)
    if not isinstance(found, dict) or not isinstance(found.get("paths"), dict):
        has = f"an object with {', '.join(list(found)[:5]) or 'nothing'}" if isinstance(found, dict) else "a value"
        raise UnreadableDocument(f"{name} is JSON, but no OpenAPI document ({has}, no `paths`)", whole=True)
    if not str(found.get("openapi", "")).startswith("3."):
        version = found.get("openapi") or found.get("swagger") or "not stated"
        raise UnreadableDocument(f"{name} is no OpenAPI document of version 3 (version: {version})", whole=True)
    return found


def _json(body: bytes, name: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        start = body.lstrip()[:1]
        if not start:
            what = "empty"
        elif start == b"<":
            what = "HTML or XML, not JSON"
        elif start in (b"{", b"["):
            what = f"JSON that is cut short or broken, {len(body):,} bytes of it ({error})"
        else:
            what = "not JSON"
        raise UnreadableDocument(f"{name} is {what}") from None
