"""The raw archive: messages that were loaded, packed by dataset and day, kept for some weeks.

Belongs here: packing, reading back, removing what is too old. Not here: loading them again (ingest.replay).

    archive/<subject>/<day of enqueue>/<time of the first>-<hash of the names>.parquet

A pack is written whole and synced before the files in it are removed; a crash in between leaves them, and packing
again leaves out what a pack of that day has. Any tool that reads Parquet reads a pack: a row a message, `body` as it
came.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.streams import code_of
from gbpm_dagster.iris import durable
from gbpm_dagster.iris.landing import LOADED, WAITING, Landed, Landing
from gbpm_dagster.iris.message import Message, NotLanded, digest

ARCHIVE = "archive"
PACK_FILES, PACK_BYTES = 5000, 32 << 20
"""At most so many messages, or bytes before packing, go into one pack (one message more than that if it is large)."""

_INSTANT = pl.Datetime("us", "UTC")
SCHEMA: dict[str, Any] = {
    "name": pl.String,
    "subject": pl.String,
    "message_id": pl.String,
    "enqueued_at": _INSTANT,
    "received_at": _INSTANT,
    "digest": pl.String,
    "properties": pl.String,  # JSON
    "body": pl.Binary,
}


class Packs:
    """The raw archive beside a landing. fault: called before the steps `pack` (write) and `unlink`."""

    def __init__(self, landing: Landing, *, fault: Callable[[str], None] | None = None) -> None:
        self.landing = landing
        self.folder = landing.folder / ARCHIVE
        self._fault = fault or (lambda step: None)

    def pack(self, *, at_least: int = 1) -> int:
        """Pack what was loaded, of each subject and day that has so many files; returns how many messages.

        Raises OSError (disk full): nothing is lost, it is packed the next time.
        """
        groups: dict[tuple[str, str], list[Landed]] = {}
        for file in self.landing.listed(LOADED):
            groups.setdefault((file.code, file.day), []).append(file)
        packed = 0
        for (code, day), files in sorted(groups.items()):
            if len(files) >= at_least:
                for chunk in _chunks(sorted(files)):
                    packed += self._write(self.folder / code / day, chunk)
        return packed

    def _write(self, folder: Path, files: list[Landed]) -> int:
        rows = []
        kept = self._there(folder)
        for file in files:
            try:
                message = self.landing.read(file)
            except (FileNotFoundError, NotLanded):
                continue
            row = _row(message)
            if (row["name"], row["digest"]) not in kept:
                kept.add((row["name"], row["digest"]))
                rows.append(row)
        if rows:
            buffer = io.BytesIO()
            pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(buffer, compression="zstd")
            names = digest("\n".join(f"{r['name']} {r['digest']}" for r in rows).encode())
            first = min(r["enqueued_at"] or r["received_at"] for r in rows)
            self._fault("pack")
            durable.make_folder(folder)
            durable.write_over(folder / f"{first:%H%M%S}-{names}.parquet", [buffer.getvalue()])
        self._fault("unlink")
        for file in files:
            file.path.unlink(missing_ok=True)
        return len(files)

    @staticmethod
    def _there(folder: Path) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for pack in sorted(folder.glob("*.parquet")):
            found.update(pl.read_parquet(pack, columns=["name", "digest"]).rows())
        return found

    def days(self) -> Iterator[tuple[str, date, Path]]:
        """Subject, day of enqueue and folder of what is packed, in order."""
        for folder in sorted(self.folder.glob("*/*")):
            try:
                yield folder.parent.name, date.fromisoformat(folder.name), folder
            except ValueError:  # not ours
                continue

    def messages(self, first: date, last: date, wanted: Callable[[str], bool]) -> Iterator[Message]:
        """The packed messages enqueued on these UTC days, of the subjects wanted, a pack at a time."""
        for subject, day, folder in self.days():
            if not (first <= day <= last and wanted(subject)):
                continue
            for pack in sorted(folder.glob("*.parquet")):
                for row in pl.read_parquet(pack).iter_rows(named=True):
                    yield Message(
                        row["name"], row["body"], row["subject"], row["message_id"], row["enqueued_at"],
                        row["received_at"], json.loads(row["properties"]),
                    )  # fmt: skip

    def expire(self, keep_days: int, today: date) -> int:
        """Remove packs of days more than `keep_days` before today; of unknown codes nothing: no table has their rows.

        Returns how many days of a subject went.
        """
        gone = 0
        for subject, day, folder in list(self.days()):
            if code_of(subject) and day < today - timedelta(days=keep_days):
                shutil.rmtree(folder)
                gone += 1
        return gone

    def usage(self) -> tuple[int, int]:
        """Packs and their bytes."""
        sizes = [p.stat().st_size for p in self.folder.glob("*/*/*.parquet")]
        return len(sizes), sum(sizes)


def again(landing: Landing, first: date, last: date, wanted: Callable[[str], bool]) -> int:
    """Let messages that were loaded and are not packed yet wait once more, of these days and subjects."""
    many = 0
    for file in list(landing.listed(LOADED)):
        if first <= date.fromisoformat(file.day) <= last and wanted(file.code):
            landing.move(file, WAITING)
            many += 1
    return many


def _chunks(files: Collection[Landed]) -> Iterator[list[Landed]]:
    chunk: list[Landed] = []
    size = 0
    for file in files:
        if chunk and (len(chunk) >= PACK_FILES or size + file.size > PACK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(file)
        size += file.size
    if chunk:
        yield chunk


def _row(message: Message) -> dict[str, Any]:
    return {
        "name": message.name, "subject": message.subject, "message_id": message.message_id,
        "enqueued_at": message.enqueued_at, "received_at": _known(message.received_at), "digest": message.digest,
        "properties": json.dumps(dict(message.properties)), "body": message.body,
    }  # fmt: skip


def _known(at: datetime) -> datetime:
    return max(at, datetime(1970, 1, 1, tzinfo=UTC))
