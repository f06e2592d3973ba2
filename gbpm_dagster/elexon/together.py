"""Reading answers in a thread, small ones many at a time: unpack -> decode -> sort into the window.

Belongs here: who reads when, and the common case done once for many answers. Not here: what rows mean (`decode`) and
where they belong (`check`): an answer with anything odd goes through these by itself.

A call into polars costs some ten microseconds and an answer needs dozens: for 48 rows that is all the time there is.
Answers that come while another is read wait, and are then read as one.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl

from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Grain, Kind, Style
from gbpm_dagster.elexon import envelope, fast
from gbpm_dagster.elexon.check import Sorted, sort_rows
from gbpm_dagster.elexon.decode import Decoded, decode, given, london_days, partition_days
from gbpm_dagster.elexon.plan import Window
from gbpm_dagster.elexon.wire import Reply
from gbpm_dagster.market.calendar import days, london_day

READ_AT_ONCE = 1 << 20
"""Answers are read together up to so many bytes of JSON; one that is larger is read by itself."""

MOST_WAITING = 64 << 20
"""Bytes of JSON that may wait to be read before no more is asked for: what bounds the memory."""

READERS = min(4, os.cpu_count() or 1)
ALL_READERS_FROM = 1 << 20
"""Threads that read at once, if more bytes than this wait; else one, as small answers are better read together."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Read:
    """An answer that was read: its rows, their places, and the bytes of its JSON."""

    decoded: Decoded
    sorted: Sorted
    bytes: int


@dataclass(slots=True)
class _Waiting:
    dataset: Dataset
    window: Window
    reply: Reply
    done: asyncio.Future[Read]


class Reader:
    """Reads answers in threads. One event loop; `read` what came, `room` before asking for more."""

    def __init__(self) -> None:
        keep_buffers()
        self._waiting: deque[_Waiting] = deque()
        self._weight = 0
        self._working: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()

    async def room(self) -> None:
        """Return when so little waits that more may be asked for."""
        while self._weight > MOST_WAITING:
            self._emptied.clear()
            await self._emptied.wait()

    async def read(self, dataset: Dataset, window: Window, reply: Reply) -> Read:
        """The rows of an answer; raises NotRows and CannotUnpack."""
        mine = _Waiting(dataset, window, reply, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        self._weight += reply.weight
        if not self._working or (len(self._working) < READERS and self._weight > ALL_READERS_FROM):
            self._working.add(asyncio.create_task(self._work()))
        return await mine.done

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._read(self._next())
        finally:
            # Here and not in a callback of the task, which runs later: an answer that comes in between would wait for
            # a reader that has gone.
            task = asyncio.current_task()
            assert task is not None
            self._working.discard(task)

    async def _read(self, group: list[_Waiting]) -> None:
        found: Sequence[Read | BaseException]
        try:
            found = await asyncio.to_thread(read_together, [(w.dataset, w.window, w.reply) for w in group])
        except Exception as error:  # noqa: BLE001 - told to each who waits for it; the others are read all the same
            found = [error] * len(group)
        finally:
            self._weight -= sum(w.reply.weight for w in group)
            self._emptied.set()
        for waiting, one in zip(group, found, strict=True):
            if waiting.done.done():  # whoever asked was cancelled
                continue
            if isinstance(one, Read):
                waiting.done.set_result(one)
            else:
                waiting.done.set_exception(one)

    def _next(self) -> list[_Waiting]:
        group = [self._waiting.popleft()]
        weight = group[0].reply.weight
        while self._waiting and self._waiting[0].dataset is group[0].dataset:
            weight += self._waiting[0].reply.weight
            if weight > READ_AT_ONCE:
                break
            group.append(self._waiting.popleft())
        return group


@cache
def keep_buffers() -> bool:
    """Have glibc keep freed buffers of up to 32 MB for the next body; False where the C library is another.

    Left to itself it takes each from the system and gives it back, which faults in every page anew and makes threads
    that read at once wait for each other: reading BOD in two threads took as long as in one, and now half.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 32 << 20)) and bool(mallopt(M_TRIM_THRESHOLD, 256 << 20))


def read_together(asked: Sequence[tuple[Dataset, Window, Reply]]) -> list[Read | ValueError]:
    """Each answer read, or why it cannot be (NotRows, CannotUnpack): the same as if each were read by itself.

    asked: of one table.
    """
    found: list[Read | ValueError | None] = [None] * len(asked)
    bodies: list[bytes] = []
    for i, (_, _, reply) in enumerate(asked):
        try:
            bodies.append(reply.body())
        except ValueError as error:
            bodies.append(b"")
            found[i] = error
    plain = [i for i, body in enumerate(bodies) if body] if len(asked) > 1 else []
    if len(plain) > 1:
        dataset = asked[0][0]
        for i, one in zip(plain, _plain(dataset, [(asked[i][1], bodies[i]) for i in plain]), strict=True):
            found[i] = one
    return [
        _alone(dataset, window, body) if one is None else one
        for one, (dataset, window, _), body in zip(found, asked, bodies, strict=True)
    ]


def _alone(dataset: Dataset, window: Window, body: bytes) -> Read | ValueError:
    try:
        decoded = decode(dataset, body, given(dataset, window))
    except ValueError as error:
        return error
    return Read(decoded, sort_rows(dataset, window, decoded), len(body))


def _plain(dataset: Dataset, asked: Sequence[tuple[Window, bytes]]) -> list[Read | None]:
    """Those answers whose rows all have the same fields, nothing odd, and lie plainly within their windows."""
    nothing: list[Read | None] = [None] * len(asked)
    said = given(dataset, asked[0][0])
    alike = all(given(dataset, window) == said for window, _ in asked)
    if not alike or dataset.grain is Grain.SNAPSHOT or dataset.endpoint.selects in ("", PERIOD_START):
        return nothing
    arrays = [envelope.find(body) for _, body in asked]
    inner = [array[1:-1].strip() if array else b"" for array in arrays]
    chosen = [i for i, text in enumerate(inner) if text]
    decoded = fast.read(dataset, b"[" + b",".join(inner[i] for i in chosen) + b"]", said) if chosen else None
    if decoded is None:
        return nothing
    # The fast way takes flat rows only, so each has a brace of its own; one in a text would make the sum too large.
    counts = [inner[i].count(b"{") for i in chosen]
    if sum(counts) != decoded.rows.height:
        return nothing
    placed = _placed(dataset, [asked[i][0] for i in chosen], counts, decoded.rows)
    for i, rows, count, one in zip(chosen, _cut(decoded.rows, counts), counts, placed, strict=True):
        if one is not None:
            own = Decoded(rows, count, absent_columns=decoded.absent_columns, fast=True)
            nothing[i] = Read(own, one, len(asked[i][1]))
    return nothing


def _placed(
    dataset: Dataset, windows: Sequence[Window], counts: Sequence[int], rows: pl.DataFrame
) -> list[Sorted | None]:
    """The rows of each window, where they all lie within it (its shared end apart) and on the day it asks for."""
    selects, ranged = dataset.endpoint.selects, dataset.endpoint.style is Style.RANGE
    at = rows.get_column(selects)
    own, kind = partition_days(dataset, rows), dataset.column(selects).kind
    of = own if selects == dataset.partition_field else london_days(at, kind)
    value, agree = at.to_physical().to_numpy(), (own.to_physical() == of.to_physical()).to_numpy()
    found: list[Sorted | None] = []
    begin = 0
    for window, part in zip(windows, _cut(rows, counts), strict=True):
        here = value[begin : begin + part.height]
        first, end = _bounds(window, kind)
        inside = (here >= first) & (here < end)
        shared = part.height - int(np.count_nonzero(inside))
        edge = int(np.count_nonzero(here == end)) if shared and ranged else 0
        good = shared == edge and _whole(window) and bool(agree[begin : begin + part.height][inside].all())
        begin += part.height
        if not good:
            found.append(None)
        elif not shared:
            found.append(Sorted(part, 0, [], []))
        elif bool(inside[: part.height - shared].all()):
            found.append(Sorted(part.head(part.height - shared), shared, [], []))
        else:
            found.append(Sorted(part.filter(pl.Series(inside)), shared, [], []))
    return found


def _cut(rows: pl.DataFrame, counts: Sequence[int]) -> list[pl.DataFrame]:
    ends = np.cumsum(counts).tolist()
    return [rows.slice(end - count, count) for end, count in zip(ends, counts, strict=True)]


def _bounds(window: Window, kind: Kind) -> tuple[int, int]:
    """The window `[first, end)` in the numbers that stand for the column's values: days or microseconds."""
    if kind is Kind.DATE:
        return (london_day(window.start) - _EPOCH).days, (_last_day(window) - _EPOCH).days + 1
    return _microseconds(window.start), _microseconds(window.end)


def _microseconds(instant: datetime) -> int:
    return round(instant.timestamp()) * 1_000_000 + instant.microsecond


def _last_day(window: Window) -> date:
    return london_day(window.end - timedelta(microseconds=1))


def _whole(window: Window) -> bool:
    """Whether every day that the window touches is wanted."""
    return list(window.days) == days(london_day(window.start), _last_day(window))
