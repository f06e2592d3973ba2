"""Locks between processes: one file a table under `<root>/.locks`, freed by the system when its holder dies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from gbpm_dagster.warehouse.protocol import WarehouseError

LOCK_TIMEOUT_S = 900.0
"""Longer than any one replace of a table takes; after it something hangs and a person should look."""


@contextlib.contextmanager
def lock(root: Path, name: str, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the table's lock; raises WarehouseError after `timeout_s` seconds or when the folder cannot be written."""
    folder = root / ".locks"
    path = folder / f"{name}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(path, timeout=timeout_s, fallback_to_soft=False, preserve_lock_file=True, poll_interval=0.01)
        held.acquire()
    except Timeout as error:
        raise WarehouseError(
            f"{name}: another process has held {path} for more than {timeout_s:.0f} s; "
            "find it (`fuser` on that file names it), let it end or stop it, then run this again"
        ) from error
    except OSError as error:
        raise WarehouseError(
            f"{name}: cannot lock {path} ({error}); make the lake's folder writable for this user"
        ) from error
    try:
        yield
    finally:
        held.release()
