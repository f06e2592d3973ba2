"""The home: the folder of one installation, its format marker, and who owns it (decision 16).

Belongs here: making, recognising and locking a home. Not here: what its folders hold.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORMAT = 1
"""Version of the folder's layout. A change that older code cannot read raises it and adds an upgrade step here."""

MARKER, OWNER_LOCK = "home.json", "owner.lock"
_FOLDERS = ("lake", "dagster", "landing", "logs", "state")


class HomeError(Exception):
    """The home cannot be used; the message names the path and says what to do."""


class HomeInUse(HomeError):
    """Another live process owns the home; `holder` says who: pid, what, since."""

    def __init__(self, path: Path, holder: dict[str, Any]) -> None:
        super().__init__(
            f"the home {path} is in use by {who(holder)}: stop it (or wait for it), or choose another GBPM_HOME"
        )
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of a home; `format` is the version its marker carries."""

    path: Path
    format: int = FORMAT

    @property
    def lake(self) -> Path:
        return self.path / "lake"

    @property
    def dagster(self) -> Path:
        return self.path / "dagster"

    @property
    def landing(self) -> Path:
        return self.path / "landing"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def state(self) -> Path:
        return self.path / "state"


def open_home(path: Path, *, create: bool = True, write: bool = True) -> Home:
    """The home at `path`, its folders and marker made where they lack (create=False: only an existing one).

    write=False: only to read it; nothing is made, and a home that cannot be written will do.
    Raises HomeError: a file in the way, no permission, no space, no home there, a newer or damaged marker.
    """
    path = Path(path).expanduser().absolute()
    try:
        create = create and write
        if not path.exists() and not create:
            raise HomeError(f"there is no home at {path}: `gbpm up` or `gbpm backfill` makes one, or set GBPM_HOME")
        if path.exists() and not path.is_dir():
            raise HomeError(f"the home {path} is a file, not a folder: move it away or set GBPM_HOME to another path")
        if path.exists() and not os.access(path, os.R_OK | os.X_OK | (os.W_OK if write else 0)):
            rights = "read and write" if write else "read"
            raise HomeError(f"no permission to {rights} the home {path}: change its owner or mode, or GBPM_HOME")
        found = _read_marker(path / MARKER)
        if found is None and not create:
            raise HomeError(
                f"{path} is not a home (it has no {MARKER}): set GBPM_HOME to one, or let `gbpm up` make it"
            )
        for name in _FOLDERS if write else ():
            (path / name).mkdir(parents=True, exist_ok=True)
        if found is None:
            _write_marker(path / MARKER, {"format": FORMAT, "created": datetime.now(UTC).isoformat()})
    except OSError as error:
        raise HomeError(
            f"the home {path} cannot be used: {error.strerror or error} ({error.filename or path}); "
            "make it writable, free some space, or set GBPM_HOME to another path"
        ) from error
    return Home(path, found or FORMAT)


def _read_marker(marker: Path) -> int | None:
    try:
        text = marker.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        version = json.loads(text)["format"]
        if not isinstance(version, int) or version < 1:
            raise ValueError(f"format is {version!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise HomeError(
            f'{marker} is damaged ({error}): if this is a home, restore the file as {{"format": {FORMAT}}}'
        ) from error
    if version > FORMAT:
        raise HomeError(
            f"the home {marker.parent} has format {version}, this gbpm knows up to {FORMAT}: upgrade gbpm, "
            "or set GBPM_HOME to another path"
        )
    return version


def _write_marker(marker: Path, content: dict[str, Any]) -> None:
    """Whole or not at all: written aside, synced, renamed."""
    handle, name = tempfile.mkstemp(dir=marker.parent, prefix=".home-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # who may read the folder may read a home of another user
            os.fsync(file.fileno())
        Path(name).replace(marker)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Held(Exception):
    """Another live process holds a lock file; `holder` is what it says of itself: pid, what, since."""

    def __init__(self, holder: dict[str, Any]) -> None:
        super().__init__(who(holder))
        self.holder = holder


def who(holder: dict[str, Any]) -> str:
    """A holder in words."""
    return f"process {holder.get('pid', '?')} ({holder.get('what', 'unknown')}), since {holder.get('since', '?')}"


@contextlib.contextmanager
def own(home: Home, what: str = "gbpm") -> Iterator[None]:
    """Own the home while the block runs; raises HomeInUse, with who holds it, if another process does."""
    try:
        with hold(home.path / OWNER_LOCK, what):
            yield
    except Held as held:
        raise HomeInUse(home.path, held.holder) from None


@contextlib.contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while the block runs, saying who and what for; raises Held, HomeError (it cannot be opened).

    The lock is the operating system's and goes with its process, so a dead holder never blocks. It is not inherited
    by programs started from the block.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise HomeError(f"cannot open {path}: {error.strerror}; make the home writable for this user") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Held(said_by(path) or {}) from None
        me = {"pid": os.getpid(), "what": what, "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(me).encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
            # Said, not left to close(): a program being started shares the open file for an instant.
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def holder_of(home: Home) -> dict[str, Any] | None:
    """What the owner's lock file says, None when it says nothing (a dead owner's words may remain: try `own`)."""
    return said_by(home.path / OWNER_LOCK)


def said_by(path: Path) -> dict[str, Any] | None:
    """What a lock file says of its holder, who may be dead (see `held_by`); None when it says nothing."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def held_by(path: Path) -> dict[str, Any] | None:
    """What the live holder of a lock file says of itself; None when nobody holds it.

    It holds the lock for an instant itself, shared: who wants it just then may be refused, and should try once more.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(handle, fcntl.LOCK_UN)
        return None
    except BlockingIOError:
        return said_by(path) or {}
    finally:
        os.close(handle)
