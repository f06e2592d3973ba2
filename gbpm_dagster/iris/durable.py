"""Writing a file so that it is there, whole, whatever happens next.

Belongs here: temporary name, fsync, rename, fsync of the folder. Not here: what is written.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

TEMPORARY = ".tmp-"
"""Names that begin so are no files yet; a crash may leave some behind."""

_numbers = itertools.count()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        sync_folder(folder.parent)


def write_new(path: Path, parts: Sequence[bytes], before_rename: Callable[[], None] = lambda: None) -> bool:
    """Write a file that is not there yet; False if it is, and then nothing is changed.

    The name is durable only after `sync_folder(path.parent)`. Raises OSError.
    """
    with _temporary(path, parts) as written:
        before_rename()
        try:
            os.link(written, path)  # unlike a rename it never replaces what another process has put there
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if path.exists():
                return False
            written.rename(path)
    return True


def write_over(path: Path, parts: Sequence[bytes]) -> None:
    """Write a file, replacing one of that name, and make it durable. Raises OSError."""
    with _temporary(path, parts) as written:
        written.replace(path)
    sync_folder(path.parent)


@contextlib.contextmanager
def _temporary(path: Path, parts: Sequence[bytes]) -> Iterator[Path]:
    """A synced file beside `path`, gone at the end unless it was renamed."""
    aside = path.with_name(f"{TEMPORARY}{os.getpid()}-{next(_numbers)}")
    try:
        # A folder that was empty may just have been tidied away.
        for last in (False, True):
            try:
                handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
                break
            except FileNotFoundError:
                if last:
                    raise
                make_folder(path.parent)
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)
