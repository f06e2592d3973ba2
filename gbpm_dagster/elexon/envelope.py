"""Where the rows are in a body: `{"data": [...]}`, `{"metadata": ..., "data": [...]}` or a bare array.

Belongs here: the outer form of an answer (rest-api.md section 6). Not here: the rows themselves.
"""

from __future__ import annotations

import re
from typing import Any

import orjson


class NotRows(ValueError):
    """The body holds no list of rows; the message says what it holds instead."""


def find(body: bytes) -> bytes | None:
    """The bytes of the array of rows, without parsing them; None where that is not certain."""
    text = body.strip()
    if text[:1] == b"[":
        return text
    at = text.find(b'"data":[', 0, 4096)
    if at < 0 or text[-2:] != b"]}":
        return None
    at += len(b'"data":')
    try:
        envelope = orjson.loads(text[:at] + b"[]}")
    except orjson.JSONDecodeError:
        return None
    # Were `data` nested in another object, its closing bracket would be missing and this would not have parsed.
    return text[at:-1] if envelope.get("data") == [] else None


def rows(body: bytes, single: bool = False) -> list[Any]:
    """All rows of a body, exactly; raises NotRows. single: an object without `data` is the one row."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotRows(f"{_what(body)} ({error})") from None
    if isinstance(found, dict):
        if single and found and "data" not in found:
            return [found]
        if "data" not in found:
            raise NotRows(
                f"an object without `data` (it has {', '.join(sorted(found)[:5]) or 'nothing'}): {quote(body)}"
            )
        found = found["data"]
    if not isinstance(found, list):
        raise NotRows(f"{_json_type(found)} where the list of rows should be: {quote(body)}")
    return found


def quote(body: bytes, limit: int = 200) -> str:
    """The beginning of a body for a message: one line, HTML reduced to its words."""
    text = body[: limit * 20].decode("utf-8", "replace")
    if re.match(r"\s*<", text):
        text = re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>", " ", text)
    text = " ".join(text.split())
    return repr(text if len(text) <= limit else text[:limit] + "...") if text else "(empty)"


def _what(body: bytes) -> str:
    start = body.lstrip()[:1]
    if not start:
        return "an empty body"
    if start == b"<":
        return f"HTML or XML instead of JSON: {quote(body)}"
    if start in b"[{":
        return f"JSON that is cut short or broken after {len(body):,} bytes"
    return f"no JSON: {quote(body)}"


def _json_type(value: object) -> str:
    names = {dict: "an object", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
