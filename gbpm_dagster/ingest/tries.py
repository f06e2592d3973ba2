"""How often a message could not be stored, and when it is tried again: never for ever, never at once.

Belongs here: the count of tries, kept beside the landing. Not here: storing, what becomes of a message given up.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import orjson

from gbpm_dagster.iris import durable
from gbpm_dagster.iris.landing import Landed

MOST, FIRST_WAIT_S = 5, 60.0
"""Tries of one message, and the wait after the first; it doubles each time."""

FILE = "tries.json"
_PROBE = b"\0" * (1 << 20)


class Tries:
    """Failed tries of messages that wait in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            found = orjson.loads(self.path.read_bytes())
            self._failed: dict[str, tuple[int, float]] = {str(k): (int(n), float(at)) for k, (n, at) in found.items()}
        except (FileNotFoundError, ValueError, AttributeError, TypeError):  # damaged: they are counted anew
            self._failed = {}

    def due(self, files: Iterable[Landed]) -> list[Landed]:
        """Those that have not failed, or whose next try is due."""
        now = time.time()
        return [f for f in files if self._failed.get(str(f.path), (0, 0.0))[1] <= now]

    def failed(self, file: Landed) -> bool:
        """Note that it failed once more; False when that was the last try."""
        times = self._failed.get(str(file.path), (0, 0.0))[0] + 1
        self._failed[str(file.path)] = (times, time.time() + FIRST_WAIT_S * 2 ** (times - 1))
        return times < MOST

    def forget(self, files: Iterable[Landed]) -> None:
        """These have left the landing."""
        gone = [str(f.path) for f in files if str(f.path) in self._failed]
        for path in gone:
            del self._failed[path]
        if gone:
            self.save()

    def save(self) -> None:
        durable.make_folder(self.path.parent)
        durable.write_over(self.path, [orjson.dumps(self._failed)])

    def can_write(self) -> bool:
        """Whether the disk takes a file at all: if not, no message is to blame."""
        probe = self.path.with_name("probe")
        try:
            durable.make_folder(probe.parent)
            durable.write_over(probe, [_PROBE])
            probe.unlink()
        except OSError:
            return False
        return True
