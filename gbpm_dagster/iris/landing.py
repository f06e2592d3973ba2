"""The landing: the folder in which messages of the stream wait, durable, until their rows are in the warehouse.

Belongs here: taking messages in, listing them, moving on what is done. Not here: packing (archive), loading (loader).

    waiting/<subject>/<day of enqueue>/<name>       landed, not loaded yet
    loaded/<subject>/<day of enqueue>/<name>        done, not packed yet
    undecodable/<subject>/<day of enqueue>/<name>   bodies that are no rows, kept for a person
    failed/<subject>/<day of enqueue>/<name>        messages that could not be stored, after several tries

A file is in one of these at any time: it comes by link or rename and goes by rename. One process receives, one loads;
others may land too (a replay beside the receiver).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gbpm_dagster.iris import durable
from gbpm_dagster.iris.message import (
    UNKNOWN,
    Message,
    NotLanded,
    content,
    digest,
    header,
    identity,
    parse,
    plain,
    safe_name,
)

WAITING, LOADED, UNDECODABLE, FAILED = "waiting", "loaded", "undecodable", "failed"
ASIDE = (UNDECODABLE, FAILED)

SETTLED_S = 5.0
"""A foreign file younger than this may still be being written."""

OLD_TEMPORARY_S = 3600.0


class LandingError(Exception):
    """The landing cannot be used; the message says what happened, where, and what to do."""


@dataclass(frozen=True, slots=True, order=True)
class Landed:
    """A file of the landing; sorts by arrival.

    arrived_ns: nanoseconds since 1970 at which it was landed. code: the subject as received, made safe as a name.
    day: the UTC day of enqueue (yyyy-mm-dd).
    """

    arrived_ns: int
    name: str
    code: str
    day: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: how many files and bytes, and when the oldest came (None: nothing waits)."""

    files: int
    bytes: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message to land. properties: keys and values may be bytes, as AMQP has them."""

    body: bytes
    source_file_name: str | None = None
    message_id: str | None = None
    subject: str | None = None
    enqueued_at: datetime | None = None
    properties: Mapping[Any, Any] | None = None


class Landing:
    """The landing under one folder (of a home: `<home>/landing`).

    fault: called with the name of the step that comes next (rename, sync, done, aside): a test can fail there.
    """

    def __init__(self, folder: Path, *, fault: Callable[[str], None] | None = None) -> None:
        self.folder = Path(folder)
        self._fault = fault or (lambda step: None)

    # coming in

    def land(
        self,
        source_file_name: str | None,
        body: bytes,
        properties: Mapping[Any, Any] | None = None,
        *,
        subject: str | None = None,
        message_id: str | None = None,
        enqueued_at: datetime | None = None,
    ) -> Path:
        """Put one message into the landing; when it returns the message is safe and may be completed.

        Returns where it is: of a message that is there already, by name and bytes, the file that is there (loaded or
        waiting). One of the same name with other bytes is kept beside it, its hash in the name. Without
        `source_file_name` the property of that name counts, then message_id, then subject and hash. Raises
        LandingError (disk full, no permission): the message is not safe, do not complete it.
        """
        return self.land_all([Incoming(body, source_file_name, message_id, subject, enqueued_at, properties)])[0]

    def land_all(self, incoming: Iterable[Incoming]) -> list[Path]:
        """`land` for several messages: the folders' names are made durable once for all of them."""
        folders: dict[Path, None] = {}
        paths = []
        try:
            for one in incoming:
                paths.append(self._put(self._message(one)))
                folders[paths[-1].parent] = None
            self._fault("sync")
            for folder in folders:
                with contextlib.suppress(FileNotFoundError):  # all of it was loaded meanwhile
                    durable.sync_folder(folder)
        except OSError as error:
            raise LandingError(self._advice("landing a message", error)) from error
        return paths

    @staticmethod
    def _message(one: Incoming) -> Message:
        said = plain(one.properties or {})
        subject = one.subject or UNKNOWN
        name = identity(one.source_file_name or said.get("source_file_name"), one.message_id, subject, one.body)
        if one.enqueued_at is not None and one.enqueued_at.tzinfo is None:
            raise ValueError(f"{name}: enqueued_at {one.enqueued_at} has no time zone; give aware UTC")
        enqueued = one.enqueued_at.astimezone(UTC) if one.enqueued_at else None
        return Message(name, one.body, subject, one.message_id or "", enqueued, datetime.now(UTC), said)

    def _put(self, message: Message) -> Path:
        code, day = safe_name(message.subject) or UNKNOWN, f"{message.at:%Y-%m-%d}"
        for beside in (False, True):
            name = with_digest(message.name, message.digest) if beside else message.name
            for state in (WAITING, LOADED, *ASIDE):
                there = self.folder / state / code / day / name
                same = _same_body(there, message.body)
                if same:
                    return there
                if same is not None:
                    break
            else:
                path = self.folder / WAITING / code / day / name
                if durable.write_new(path, [header(message), b"\n", message.body], lambda: self._fault("rename")):
                    return path
                if _same_body(path, message.body):
                    return path
        raise LandingError(f"{message.name}: two files of its name and hash with other bytes; is the disk damaged?")

    def take_over(self, folder: Path, *, settled_s: float = SETTLED_S) -> list[Path]:
        """Land the files that Elexon's own client has written, `<folder>/<DATASET>/<file name>`, and remove them.

        A file directly in `folder` has the dataset that its name begins with (`BOALF_2026...json`). Files that were
        changed less than `settled_s` seconds ago are left for the next time, as they may be being written. The time
        of a file stands for that of its enqueue. Nothing is removed before it is safe here. Raises LandingError.
        """
        taken = []
        limit = time.time() - settled_s
        try:
            for file in sorted(p for p in Path(folder).rglob("*") if p.is_file() and not p.is_symlink()):
                status = file.stat()
                if status.st_mtime > limit or any(part.startswith(".") for part in file.relative_to(folder).parts):
                    continue
                subject = file.parent.name if file.parent != Path(folder) else _code_of(file.name)
                at = datetime.fromtimestamp(status.st_mtime, UTC)
                taken.append(self.land(file.name, file.read_bytes(), {}, subject=subject, enqueued_at=at))
                file.unlink()
        except OSError as error:
            raise LandingError(self._advice(f"taking over {folder}", error)) from error
        return taken

    # what waits

    def waiting(self, codes: Collection[str] | None = None) -> list[Landed]:
        """The files that wait, in the order of arrival; codes: of these subjects only (as `Landed.code` has them)."""
        return sorted(f for f in self.listed(WAITING) if codes is None or f.code in codes)

    def listed(self, state: str) -> Iterator[Landed]:
        """The files of one of the three folders, in no order."""
        for code in _folders(self.folder / state):
            for day in _folders(Path(code.path)):
                with contextlib.suppress(FileNotFoundError), os.scandir(day.path) as files:
                    for file in files:
                        if file.name.startswith("."):
                            continue
                        with contextlib.suppress(FileNotFoundError):
                            status = file.stat()
                            yield Landed(
                                status.st_mtime_ns, file.name, code.name, day.name, Path(file.path), status.st_size
                            )

    def backlog(self) -> Backlog:
        """How much waits."""
        files = size = 0
        oldest: int | None = None
        for file in self.listed(WAITING):
            files, size = files + 1, size + file.size
            oldest = file.arrived_ns if oldest is None else min(oldest, file.arrived_ns)
        return Backlog(files, size, datetime.fromtimestamp(oldest / 1e9, UTC) if oldest is not None else None)

    @staticmethod
    def read(file: Landed) -> Message:
        """The message of a landed file. Raises FileNotFoundError (another loader was faster), NotLanded."""
        return parse(file.path.read_bytes())

    # going on

    def done(self, files: Iterable[Landed]) -> None:
        """The rows of these files are safe in the warehouse: move them on, to be packed. Again does nothing.

        A crash, or a power cut that takes the rename back, leaves a file waiting: it is loaded again, which changes
        nothing in the tables.
        """
        for file in files:
            self._fault("done")
            self.move(file, LOADED)

    def set_aside(self, file: Landed, state: str = UNDECODABLE) -> Path:
        """Keep the file for a person: its body is no rows (UNDECODABLE), or could not be stored (FAILED)."""
        self._fault("aside")
        return self.move(file, state)

    def move(self, file: Landed, state: str) -> Path:
        """Move a file into another of the folders; one that is gone already is left alone. Returns where it is."""
        target = self.folder / state / file.code / file.day / file.name
        try:
            durable.make_folder(target.parent)
            if target.exists() and not _same_file_body(target, file.path):
                target = target.with_name(with_digest(file.name, digest(content(_body(file.path) or b""))))
            file.path.replace(target)
        except FileNotFoundError:
            if not target.exists() and file.path.exists():
                raise
        except OSError as error:
            raise LandingError(self._advice(f"moving {file.path}", error)) from error
        return target

    def tidy(self) -> None:
        """Remove empty folders, and what a crash left half-written an hour ago or longer."""
        limit = time.time() - OLD_TEMPORARY_S
        for state in (WAITING, LOADED, *ASIDE):
            for folder, _, files in os.walk(self.folder / state, topdown=False):
                for name in files:
                    if name.startswith(durable.TEMPORARY):
                        with contextlib.suppress(OSError):
                            if (Path(folder) / name).stat().st_mtime < limit:
                                (Path(folder) / name).unlink()
                if Path(folder) != self.folder / state:
                    with contextlib.suppress(OSError):
                        Path(folder).rmdir()  # fails while it holds anything

    def free_bytes(self) -> int:
        """Free space of the disk that the landing is on."""
        there = self.folder
        while not there.exists() and there != there.parent:
            there = there.parent
        return shutil.disk_usage(there).free

    def _advice(self, doing: str, error: OSError) -> str:
        return (
            f"{doing} failed in {self.folder}: {error.strerror or error} ({error.filename or self.folder}); nothing "
            "is lost: free some space or make the folder writable for this user, then go on"
        )


def with_digest(name: str, hexes: str) -> str:
    """A name with a hash before its ending: X.json -> X_0123456789abcdef.json."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}_{hexes}.{ending}" if dot and stem else f"{name}_{hexes}"


def _code_of(name: str) -> str | None:
    """The dataset that a file name begins with: `SYS_WARN_202607021002_...` -> SYS_WARN."""
    parts: Sequence[str] = name.split("_")
    before: list[str] = []
    for part in parts:
        if part.isdigit() and len(part) >= 8:
            return "_".join(before) or None
        before.append(part)
    return None


def _folders(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if e.is_dir(follow_symlinks=False)), key=lambda e: e.name)
    except FileNotFoundError:
        return []


def _body(path: Path) -> bytes | None:
    """The body in a landed file; None if there is none."""
    try:
        return parse(path.read_bytes()).body
    except (FileNotFoundError, NotLanded):
        return None


def _same_body(path: Path, body: bytes) -> bool | None:
    """Whether the file has that body, however often that is encoded; None if there is no file."""
    found = _body(path)
    if found is None:
        return False if path.exists() else None
    return found == body or content(found) == content(body)


def _same_file_body(one: Path, other: Path) -> bool:
    return _body(one) == _body(other)
