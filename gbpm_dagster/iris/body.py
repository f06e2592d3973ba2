"""The body of a message as the bytes of a JSON array of rows in the history's own form.

Belongs here: the layers of encoding, fields the stream adds or leaves out. Not here: types and columns of the rows.

The body is JSON inside a JSON string; the archive and old clients' files are encoded once. Nothing is ever evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.streams import STREAM_ONLY

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
MOST_LAYERS = 2

SIDE, BID, OFFER = "bidOffer", "bid", "offer"
NO_SIDE = ""
"""The stream does not say the side and the row's numbers do not tell it: `bidOffer` is then absent."""


class BadBody(ValueError):
    """The body is no list of rows; the message says what it is instead."""


def array(body: bytes) -> bytes:
    """The bytes of the array of rows; of an empty body `[]`. Raises BadBody.

    A body that begins as an array is given as it is: whether it is one, and each row, is for who reads it.
    """
    text = body.removeprefix(_BOM).strip(_BLANK)
    for _ in range(MOST_LAYERS):
        if text[:1] != b'"':
            break
        try:
            text = orjson.loads(text).encode().removeprefix(_BOM).strip(_BLANK)
        except orjson.JSONDecodeError as error:
            raise BadBody(f"a JSON string that is cut short or broken ({error}): {_quote(body)}") from None
    if not text:
        return b"[]"
    if text[:1] == b"{":
        return b"[" + text + b"]"
    if text[:1] != b"[":
        raise BadBody(f"neither a list of rows nor a row: {_quote(body)}")
    return text


def adapted(dataset: Dataset, rows: bytes) -> bytes:
    """The array with what the stream adds to rows left out, and what it leaves out put in, where that is known.

    Left out: `dataset` where the table has no such column, and STREAM_ONLY. Put in: `bidOffer`, which the history's
    tables take from the request's path (`side`). An array that cannot be parsed comes back as it is.
    """
    known = set(dataset.names)
    added = {name for name in ("dataset", *STREAM_ONLY) if name not in known}
    needs_side = SIDE in known and SIDE in dataset.key
    if not needs_side and not any(f'"{name}"'.encode() in rows for name in added):
        return rows
    try:
        found = orjson.loads(rows)
    except orjson.JSONDecodeError:
        return rows
    if not isinstance(found, list):
        return rows
    for row in found:
        if not isinstance(row, dict):
            continue
        for name in added:
            row.pop(name, None)
        if needs_side and row.get(SIDE) is None and (told := side(row)):
            row[SIDE] = told
    return orjson.dumps(found)


def side(row: Mapping[str, Any]) -> str:
    """bid, offer or NO_SIDE: whether a row of BOAV, DISPTAV or ISPSTACK is of a bid or an offer.

    Volumes of bids are negative (domain.md 4): the sign of the volume tells it.
    """
    for name in ("totalVolumeAccepted", "volume"):
        if name in row:
            return _by_sign(row[name])
    return NO_SIDE


def _by_sign(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value:
        return NO_SIDE
    return BID if value < 0 else OFFER


_SHOWN = 120


def _quote(body: bytes) -> str:
    text = " ".join(body[: _SHOWN * 4].decode("utf-8", "replace").split())
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
