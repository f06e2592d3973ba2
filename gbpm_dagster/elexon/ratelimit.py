"""One limit of requests a second for each base address, shared by all processes of this user (decision 15).

Belongs here: handing out instants at which a request may go. Not here: how many are in flight, retries.

A small JSON file under the state folder, named after scheme, host and port, holds the next free instant. Whoever
wants to send locks it, takes the instant, moves it on by 1/rate, and sleeps until it has come.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

LOCK_TIMEOUT_S = 30.0
LONGEST_QUEUE_S = 900.0
"""A next free instant further away than this (and than 200 requests) is a broken file, not a queue."""

BATCH_S = 0.02
"""Instants of this span are taken at once: above 50 requests a second the file is not touched for each."""


def state_file(base_url: str, state_dir: Path, path: str = "") -> Path:
    """The file of that address; one for all paths of a host, and one more for a path with a limit of its own."""
    return state_dir / f"rate-{hashlib.sha256((_origin(base_url) + path).encode()).hexdigest()[:16]}.json"


class RateLimit:
    """`await acquire()` before each request. Raises OSError when the state folder cannot be written.

    Strictly spaced: no bursts after idle times. Safe against a file that is missing or broken, a process killed while
    it held the lock (the system frees it), and a clock that was set back or forward.
    """

    def __init__(
        self,
        base_url: str,
        per_second: float,
        state_dir: Path,
        *,
        path: str = "",
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not per_second > 0:
            raise ValueError(f"requests a second must be more than 0, not {per_second}")
        self._origin, self._interval = _origin(base_url), 1.0 / per_second
        self._file = state_file(base_url, state_dir, path)
        self._batch = max(1, int(per_second * BATCH_S))
        self._clock, self._sleep = clock, sleep
        self._turn = asyncio.Lock()
        self._mine: deque[float] = deque()

    async def acquire(self) -> None:
        """Return when a request may be sent."""
        async with self._turn:
            instant = self._unused()
            if instant is None:
                self._mine.extend(await asyncio.to_thread(self.reserve, self._batch))
                instant = self._mine.popleft()
        wait = instant - self._clock()
        if wait > 0:
            await self._sleep(min(wait, max(LONGEST_QUEUE_S, 200 * self._interval)))

    def reserve(self, count: int) -> list[float]:
        """The next `count` free instants (seconds since 1970), taken for the caller; blocks for the lock only."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._file}.lock", timeout=LOCK_TIMEOUT_S):
            now = self._clock()
            first = self._next_free(now)
            state = {"origin": self._origin, "written": now, "next": first + count * self._interval}
            partial = self._file.with_suffix(".partial")
            partial.write_text(json.dumps(state))
            partial.replace(self._file)
        return [first + i * self._interval for i in range(count)]

    def _next_free(self, now: float) -> float:
        try:
            state = json.loads(self._file.read_bytes())
            written, upcoming = float(state["written"]), float(state["next"])
        except FileNotFoundError:
            return now
        except (ValueError, TypeError, KeyError):
            return now + self._interval
        queue = upcoming - written
        if not (math.isfinite(written) and 0 <= queue <= max(LONGEST_QUEUE_S, 200 * self._interval)):
            return now + self._interval
        # Written in the future: the clock was set back. The queue is as long as it was, counted from now.
        return now + queue if written > now else max(now, upcoming)

    def _unused(self) -> float | None:
        """An instant taken earlier; those that passed unused are dropped, or idle time would end in a burst."""
        oldest = self._clock() - self._interval
        while self._mine:
            instant = self._mine.popleft()
            if instant >= oldest:
                return instant
        return None


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"
