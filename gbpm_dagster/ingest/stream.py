"""From the landing into the stream's tables: bounded batches, each dataset in its turn, every message accounted for.

Belongs here: the order of work, what a failing batch leads to. Not here: the rows of a message (stream_rows), the
folders (iris.landing), the tables (warehouse.stream).

The steps of a round: of each dataset a batch (quarantine, drift, rows), then the account of all messages, then the
files move on. After a crash in between the files are still there; loading them again changes no table.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.streams import STREAMED, code_of, stream_of
from gbpm_dagster.ingest.stream_rows import Read, read
from gbpm_dagster.ingest.tries import Tries
from gbpm_dagster.iris.landing import FAILED, LOADED, UNDECODABLE, Landed, Landing
from gbpm_dagster.iris.message import Message, NotLanded
from gbpm_dagster.iris.packs import Packs
from gbpm_dagster.warehouse.protocol import WarehouseError

BATCH_ROWS, BATCH_BYTES = 10_000, 8 << 20
"""A batch ends at whichever comes first; a message that is larger is a batch by itself (iris.md 4)."""

LOOK_AGAIN_S = 5.0
"""What has arrived meanwhile is looked for at least so often, so that a backlog of one dataset delays no other."""

PACK_EVERY_S, PACK_FROM = 300.0, 500
"""So often loaded messages are packed, of each subject and day that has so many: 300,000 files must never pile up."""

COUNTS = ("fetched", "written", "superseded", "exact_duplicates", "quarantined")
VERDICTS = ("written", "superseded", "exact_duplicates")


class Store(Protocol):
    """What loading needs of the lake."""

    def add_stream(self, dataset: Dataset, rows: pl.DataFrame) -> pl.Series: ...

    def add_aside(
        self,
        table: str,
        quarantined: Sequence[dict[str, Any]],
        drift: Sequence[dict[str, Any]],
        windows: Collection[str],
    ) -> None: ...

    def add_messages(self, rows: Sequence[dict[str, Any]]) -> None: ...


@dataclass(slots=True)
class Loaded:
    """What a drain did.

    messages: by status (loaded, empty, undecodable, unknown, not_wanted, failed). rows: COUNTS over all messages.
    by_table: COUNTS and `messages` of each stream table. newest: the latest enqueue time of what was taken.
    waiting: messages that failed and will be tried again, with the reason of the last.
    """

    messages: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    by_table: dict[str, Counter[str]] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    newest: datetime | None = None
    waiting: Counter[str] = field(default_factory=Counter)

    @property
    def took(self) -> int:
        """How many messages have left the landing."""
        return self.messages.total()


@dataclass(slots=True)
class _Settled:
    """A message that may leave the landing: where to, and its account (MESSAGE_SCHEMA)."""

    file: Landed
    to: str
    account: dict[str, Any]


class Loader:
    """Loads what waits in a landing; one at a time (the caller sees to that).

    codes: the codes to load; others are kept raw only. fault: called with the name of the step that comes next
    (aside, rows, messages, move), so that a test can fail there.
    """

    def __init__(
        self,
        landing: Landing,
        store: Store,
        *,
        codes: Collection[str] = tuple(STREAMED),
        run_id: str = "",
        fault: Callable[[str], None] | None = None,
    ) -> None:
        self.landing, self.store, self.run_id = landing, store, run_id
        self.codes = frozenset(codes)
        self.tries = Tries(landing.folder)
        self.loaded = Loaded()
        self._packed = time.monotonic()
        self._fault = fault or (lambda step: None)

    def drain(self, stop: Callable[[], bool] = lambda: False) -> Loaded:
        """Load until nothing waits (but messages whose next try is not due) or `stop()`; again changes nothing.

        Raises WarehouseError when nothing can be stored at all (disk full, no permission): all of it still waits.
        """
        queues: dict[str, deque[Landed]] = {}
        looked = 0.0
        while not stop():
            if not any(queues.values()) or time.monotonic() - looked > LOOK_AGAIN_S:
                queues, looked = self._queues(), time.monotonic()
                if not queues:
                    break
            self._round(queues)
        self._pack()
        return self.loaded

    def _pack(self) -> None:
        """Now and then pack what was loaded, where it is much: the rest is left to the nightly upkeep."""
        if time.monotonic() - self._packed >= PACK_EVERY_S:
            self._packed = time.monotonic()
            with contextlib.suppress(OSError):  # a full disk: landing and storing say so, and nothing is lost
                Packs(self.landing).pack(at_least=PACK_FROM)

    def _queues(self) -> dict[str, deque[Landed]]:
        """What waits and is due, by subject, oldest first; the subject whose oldest has waited longest first."""
        found: dict[str, deque[Landed]] = {}
        for file in self.tries.due(self.landing.waiting()):
            found.setdefault(file.code, deque()).append(file)
        return found

    def _round(self, queues: dict[str, deque[Landed]]) -> None:
        settled: list[_Settled] = []
        failed: list[tuple[Landed, Message, Exception]] = []
        for code, queue in queues.items():
            if queue:
                self._batch(code, queue, settled, failed)
        self._fault("messages")
        settled += self._after_failure(failed, any_stored=any(s.account["fetched"] for s in settled))
        self.store.add_messages([s.account for s in settled])
        self._fault("move")
        self._move(settled)
        self._count(settled)

    def _batch(
        self,
        code: str,
        queue: deque[Landed],
        settled: list[_Settled],
        failed: list[tuple[Landed, Message, Exception]],
    ) -> None:
        known = code_of(code)
        dataset = stream_of(STREAMED[known]) if known else None
        reads: list[tuple[Landed, Read]] = []
        rows = size = 0
        while queue and rows < BATCH_ROWS and size < BATCH_BYTES:
            file = queue[0]
            if reads and size + file.size > BATCH_BYTES:
                break
            try:
                message = self.landing.read(file)
            except FileNotFoundError:
                queue.popleft()
                continue
            except NotLanded as error:
                queue.popleft()
                settled.append(_Settled(file, UNDECODABLE, _account(file, None, None, "undecodable", str(error))))
                continue
            if dataset is None or known not in self.codes:
                queue.popleft()
                status = "not_wanted" if dataset else "unknown"
                settled.append(_Settled(file, LOADED, _account(file, message, dataset, status)))
                size += file.size
                continue
            found = read(dataset, message, self.run_id)
            if reads and rows + found.rows.height > BATCH_ROWS:
                break  # read again as the first of the next batch
            queue.popleft()
            rows, size = rows + found.rows.height, size + file.size
            if found.problem:
                account = _account(file, message, dataset, "undecodable", found.problem)
                settled.append(_Settled(file, UNDECODABLE, account))
            else:
                reads.append((file, found))
        if reads and dataset is not None:
            self._store(dataset, reads, settled, failed)

    def _store(
        self,
        dataset: Dataset,
        reads: Sequence[tuple[Landed, Read]],
        settled: list[_Settled],
        failed: list[tuple[Landed, Message, Exception]],
    ) -> None:
        """Store a batch; one that fails is halved until the message that cannot be stored is alone."""
        try:
            settled += self._write(dataset, reads)
        except Exception as error:  # noqa: BLE001 - whatever one message does must not stop the others
            if len(reads) == 1:
                failed.append((reads[0][0], reads[0][1].message, error))
                return
            half = len(reads) // 2
            self._store(dataset, reads[:half], settled, failed)
            self._store(dataset, reads[half:], settled, failed)

    def _write(self, dataset: Dataset, reads: Sequence[tuple[Landed, Read]]) -> list[_Settled]:
        found = [r for _, r in reads]
        self._fault("aside")
        quarantined = [q for r in found for q in r.quarantined]
        drift = [d for r in found for d in r.drift]
        self.store.add_aside(dataset.table, quarantined, drift, [r.message.name for r in found])
        self._fault("rows")
        counted = self._add(dataset, found)
        settled = []
        for (file, one), counts in zip(reads, counted, strict=True):
            account = _account(file, one.message, dataset, "loaded" if one.fetched else "empty")
            account |= {**counts, "fetched": one.fetched, "quarantined": len(one.quarantined)}
            if account["fetched"] != sum(account[name] for name in COUNTS[1:]):
                raise WarehouseError(
                    f"{dataset.table}: the account of message {one.message.name} does not add up: {account}. "
                    "This is a fault of gbpm: please report it."
                )
            settled.append(_Settled(file, LOADED, account))
        return settled

    def _add(self, dataset: Dataset, found: Sequence[Read]) -> list[dict[str, int]]:
        """Store the rows of these messages; of each, how many were written, superseded, exact duplicates."""
        heights = [r.rows.height for r in found]
        counts = [dict.fromkeys(VERDICTS, 0) for _ in found]
        if not sum(heights):
            return counts
        verdicts = self.store.add_stream(dataset, pl.concat([r.rows for r in found], rechunk=True))
        place = pl.Series("place", np.repeat(np.arange(len(found)), heights))
        counted = pl.DataFrame([place, verdicts.alias("verdict")]).group_by("place", "verdict").len()
        for at, verdict, many in counted.iter_rows():
            counts[at][verdict] = many
        return counts

    def _after_failure(
        self, failed: Sequence[tuple[Landed, Message, Exception]], *, any_stored: bool
    ) -> list[_Settled]:
        """Messages that have used up their tries, as settled; the others wait for their next one."""
        if not failed:
            return []
        if not any_stored and not self.tries.can_write():
            raise WarehouseError(f"nothing can be stored, all messages wait in {self.landing.folder}: {failed[0][2]}")
        settled = []
        for file, message, error in failed:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            if self.tries.failed(file):
                self.loaded.waiting[reason] += 1
            else:
                dataset = stream_of(STREAMED[code_of(file.code)])
                settled.append(_Settled(file, FAILED, _account(file, message, dataset, "failed", reason)))
        self.tries.save()
        return settled

    def _move(self, settled: Iterable[_Settled]) -> None:
        for one in settled:
            if one.to == LOADED:
                self.landing.done([one.file])
            else:
                self.landing.set_aside(one.file, one.to)

    def _count(self, settled: Sequence[_Settled]) -> None:
        out = self.loaded
        for one in settled:
            account = one.account
            out.messages[account["status"]] += 1
            if account["status"] == "unknown":
                out.unknown[account["subject"]] += 1
            counts = {name: account[name] for name in COUNTS}
            out.rows.update(counts)
            if account["table"]:
                out.by_table.setdefault(account["table"], Counter()).update({**counts, "messages": 1})
            if account["enqueued_at"] and (out.newest is None or account["enqueued_at"] > out.newest):
                out.newest = account["enqueued_at"]
        self.tries.forget(one.file for one in settled)


def _account(
    file: Landed, message: Message | None, dataset: Dataset | None, status: str, reason: str = ""
) -> dict[str, Any]:
    """MESSAGE_SCHEMA of a message without rows."""
    return {
        "name": file.name, "subject": message.subject if message else file.code,
        "table": dataset.table if dataset else None, "status": status, "reason": reason,
        "enqueued_at": message.enqueued_at if message else None,
        "landed_at": message.received_at if message else None, "loaded_at": datetime.now(UTC),
        "bytes": len(message.body) if message else file.size, **dict.fromkeys(COUNTS, 0),
    }  # fmt: skip
