"""A folder written by the stand-in's iris_feed.py: landing it, and what must be in the lake afterwards.

The truth is worked out from the feed's own bodies by plain dictionaries, and from its expected.json; it knows nothing
of how gbpm loads.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.streams import STREAMED, code_of, stream_of
from gbpm_dagster.iris.landing import LOADED, UNDECODABLE, WAITING, Landing
from gbpm_dagster.warehouse.lake import Lake

KEYS = {
    "BOALF": ("nationalGridBmUnit", "acceptanceNumber", "timeFrom"),
    "BOD": ("settlementDate", "settlementPeriod", "nationalGridBmUnit", "pairId", "timeFrom"),
    "FUELINST": ("startTime", "fuelType", "publishTime"),
    "FREQ": ("measurementTime",),
    "INDGEN": ("publishTime", "startTime", "boundary"),
    "INDDEM": ("publishTime", "startTime", "boundary"),
    "INDO": ("startTime", "publishTime"),
    "MID": ("startTime", "dataProvider"),
    "REMIT": ("mrid", "revisionNumber"),
    "MELS": ("nationalGridBmUnit", "timeFrom", "timeTo", "notificationSequence", "notificationTime"),
    "MILS": ("nationalGridBmUnit", "timeFrom", "timeTo", "notificationSequence", "notificationTime"),
    "WINDFOR": ("publishTime", "startTime"),
}
"""iris_feed.py's own keys, by which its `rows_unique` counts (BEB's are of fields we do not have)."""

DRIFTED = "float_in_integer"
"""The odd message whose row may be kept or set aside, but never cut to an integer: we set it aside."""


@dataclass(frozen=True)
class Feed:
    folder: Path
    messages: list[dict[str, Any]]
    expected: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Feed:
        lines = (folder / "manifest.ndjson").read_text().splitlines()
        return cls(folder, [json.loads(x) for x in lines], json.loads((folder / "expected.json").read_text()))

    def body(self, message: dict[str, Any]) -> bytes:
        return (self.folder / message["file"]).read_bytes()

    def rows(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows of a message whose body is some; [] of all else."""
        try:
            found = json.loads(self.body(message).decode("utf-8-sig"))
            found = json.loads(found) if isinstance(found, str) else found
        except ValueError:
            return []
        rows = [found] if isinstance(found, dict) else found
        return [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []


def land(feed: Feed, landing: Landing) -> None:
    """Land every message in the feed's order, as the receiver does."""
    for m in feed.messages:
        named = {k.encode(): v.encode() for k, v in m["application_properties"].items()}
        at = datetime.fromisoformat(m["enqueued_time_utc"])
        landing.land(None, feed.body(m), named, subject=m["subject"], message_id=m["message_id"], enqueued_at=at)


def differences(feed: Feed, lake: Lake, landing: Landing) -> list[str]:
    """In what the lake and the landing differ from what the feed expects, as lines; [] when in nothing."""
    wrong = [f"{len(landing.waiting())} messages still wait"] if landing.waiting() else []
    odd = Counter(code_of(o["subject"] or "") for o in feed.expected["odd"] for _ in range(o["rows_good"]))
    drifted = sum(o["odd"] == DRIFTED for o in feed.expected["odd"])
    odd["FUELINST"] -= drifted
    for sent, counts in feed.expected["codes"].items():
        code = code_of(sent)
        dataset = stream_of(STREAMED[code])
        stored = lake.streams.read(dataset)
        every = pl.concat([stored, lake.streams.read(dataset, vintages=True)])
        if counts["rows_unique"] is not None and sent in KEYS:
            found = every.select(KEYS[sent]).n_unique() if every.height else 0
            if found != counts["rows_unique"] + odd[code]:
                wrong.append(f"{sent}: {found} rows, expected {counts['rows_unique']} and {odd[code]} odd ones")
        elif not odd[code]:
            sent_rows = len({json.dumps(r) for m in _of(feed, code) for r in feed.rows(m)})
            if every.height != sent_rows:
                wrong.append(f"{sent}: {every.height} rows, {sent_rows} different ones were sent")
        wrong += _unlike(feed, code, stored)
    aside = lake.quarantine()
    if aside.height != feed.expected["quarantine_rows"] + drifted:
        wrong.append(f"{aside.height} rows in quarantine, expected {feed.expected['quarantine_rows']} and {drifted}")
    undecodable = len(list(landing.listed(UNDECODABLE)))
    if undecodable != feed.expected["undecodable_messages"]:
        wrong.append(f"{undecodable} undecodable, expected {feed.expected['undecodable_messages']}")
    names = {(m["subject"], feed.body(m), m["message_id"]) for m in feed.messages}
    kept = len(list(landing.listed(LOADED))) + undecodable + len(list(landing.listed(WAITING)))
    if kept != len(names):
        wrong.append(f"{kept} messages kept, expected {len(names)}")
    return wrong + _accounts(lake)


def _of(feed: Feed, code: str) -> list[dict[str, Any]]:
    return [m for m in feed.messages if code_of(m["subject"] or "") == code]


def _unlike(feed: Feed, code: str, stored: pl.DataFrame) -> list[str]:
    """Keys that are not the truth's, or whose current version is not the newest that was sent."""
    dataset = stream_of(STREAMED[code])
    fallback = dict(dataset.unit_fallback)
    key = [k for k in dataset.key if k != "bidOffer"]  # the stream does not say it

    def of(row: dict[str, Any]) -> tuple[str, ...]:
        return tuple(_plain(row.get(k) if row.get(k) is not None else row.get(fallback.get(k, k))) for k in key)

    newest: dict[tuple[str, ...], list[str]] = {}
    for m in _of(feed, code):
        if m["odd"] in ("bad_rows", DRIFTED):
            continue
        for row in feed.rows(m):
            stamp = [_stamp(row.get(v), dataset.version_order) for v in dataset.version]
            newest[of(row)] = max(newest.get(of(row), stamp), stamp)
    for m in feed.messages:
        if m["odd"] == "bad_rows" and code == "FUELINST":
            rows = feed.rows(m)
            newest |= {of(rows[i]): [_plain(rows[i]["publishTime"])] for i in (0, 3)}
    held: dict[tuple[str, ...], list[str]] = {}
    for row in stored.iter_rows(named=True):
        held[of(row)] = [_stamp(row[v], dataset.version_order) for v in dataset.version]
    missing, odd = newest.keys() - held.keys(), held.keys() - newest.keys()
    older = [k for k in newest.keys() & held.keys() if newest[k] != held[k]]
    lines = [f"{code}: {len(missing)} keys missing, such as {min(missing)}"] if missing else []
    lines += [f"{code}: {len(odd)} keys nobody sent, such as {min(odd)}"] if odd else []
    return lines + ([f"{code}: {len(older)} keys in an older version, such as {older[0]}"] if older else [])


def _stamp(value: Any, order: tuple[str, ...]) -> str:
    return f"{order.index(value):04d}" if value in order else _plain(value)


def _plain(value: Any) -> str:
    """A value as text, the same from JSON and from the lake."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S")
    text = str(value)
    if len(text) >= 17 and text[4:5] == "-" and text[10:11] == "T":
        return datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{value:020d}" if isinstance(value, int) and not isinstance(value, bool) else text


def _accounts(lake: Lake) -> list[str]:
    rows = lake.ledger.messages()
    parts = pl.sum_horizontal("written", "superseded", "exact_duplicates", "quarantined")
    bad = rows.filter(pl.col("fetched") != parts)
    return [f"{bad.height} messages whose account does not add up, such as {bad['name'][0]}"] if bad.height else []
