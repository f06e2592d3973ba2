"""Window caps learnt from the source's own refusals, remembered in the home.

Belongs here: reading and writing that small file. Not here: parsing the refusal (`elexon`) or planning with it.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from filelock import FileLock


class CapStore:
    """`{path of the API: longest window in seconds}` in one JSON file, safe for several processes."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, path: str) -> timedelta | None:
        """The cap learnt for that API path, or None. An unreadable file counts as empty: caps can be learnt again."""
        seconds = self._load().get(path)
        return timedelta(seconds=seconds) if seconds else None

    def learn(self, path: str, cap: timedelta) -> None:
        """Remember a cap; a narrower one that is already known stays."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._file}.lock"):
            known = self._load()
            known[path] = min(cap.total_seconds(), known.get(path, float("inf")))
            partial = self._file.with_suffix(".partial")
            partial.write_text(json.dumps(known, indent=1, sort_keys=True))
            partial.replace(self._file)

    def _load(self) -> dict[str, float]:
        try:
            found = json.loads(self._file.read_text())
            return {str(k): float(v) for k, v in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
