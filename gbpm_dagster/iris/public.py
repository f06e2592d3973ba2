"""Elexon's public archive of the stream: every message body, as a blob that anybody may read (iris.md 8).

Belongs here: finding blobs by their tags, downloading them. Not here: landing and loading them (ingest.replay).
"""

from __future__ import annotations

import random
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import quote

import httpx

from gbpm_dagster.iris.access import ARCHIVE_URL
from gbpm_dagster.iris.landing import Incoming

TRIES, FIRST_WAIT_S, LONGEST_WAIT_S = 6, 0.5, 30.0
CONCURRENCY = 4
AHEAD = 32
"""Blobs under way or in memory at a time."""


class ArchiveError(Exception):
    """The archive could not be read; the message says what was asked, what came, and what to do."""


@dataclass(frozen=True, slots=True)
class Blob:
    """name: `data/<DATASET>/<file name>`; uploaded_at: its tag UploadTime, None if it has none."""

    name: str
    dataset: str
    uploaded_at: datetime | None

    @property
    def file_name(self) -> str:
        return self.name.rpartition("/")[2]


class PublicArchive:
    """A container at `url`. wait: sleeps so many seconds (a test's clock)."""

    def __init__(
        self, url: str = ARCHIVE_URL, *, concurrency: int = CONCURRENCY, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self.url, self.concurrency, self._wait = url.rstrip("/"), concurrency, wait
        self.requests = 0

    def find(self, start: datetime, end: datetime, datasets: Collection[str] = ()) -> Iterator[Blob]:
        """Blobs uploaded in [start, end), of these datasets as the archive spells them (none: of all).

        Raises ArchiveError.
        """
        with httpx.Client(timeout=60.0, follow_redirects=True) as client:
            for dataset in datasets or ("",):
                yield from self._find(client, start, end, dataset)

    def _find(self, client: httpx.Client, start: datetime, end: datetime, dataset: str) -> Iterator[Blob]:
        where = f"\"UploadTime\" >= '{_text(start)}' AND \"UploadTime\" < '{_text(end)}'"
        if dataset:
            where = f"\"Dataset\" = '{dataset}' AND {where}"
        marker = ""
        while True:
            address = f"{self.url}?comp=blobs&restype=container&where={quote(where)}"
            page = self._get(client, address + (f"&marker={quote(marker)}" if marker else ""))
            try:
                tree = ET.fromstring(page)
            except ET.ParseError as error:
                raise ArchiveError(
                    f"{self.url} answered no list of blobs ({error}): is IRIS_ARCHIVE_URL right?"
                ) from None
            yield from (_blob(found) for found in tree.iter("Blob"))
            marker = tree.findtext("NextMarker") or ""
            if not marker:
                return

    def messages(self, blobs: Iterator[Blob]) -> Iterator[Incoming]:
        """The blobs' bodies as messages to land, in their order; a few are fetched ahead. Raises ArchiveError."""
        with (
            httpx.Client(timeout=60.0, follow_redirects=True) as client,
            ThreadPoolExecutor(self.concurrency) as pool,
        ):
            while batch := list(islice(blobs, AHEAD)):
                bodies = pool.map(lambda b: self._get(client, f"{self.url}/{quote(b.name)}"), batch)
                for blob, body in zip(batch, bodies, strict=True):
                    yield Incoming(body, blob.file_name, None, blob.dataset, blob.uploaded_at, {"origin": "archive"})

    def _get(self, client: httpx.Client, address: str) -> bytes:
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                self._wait(min(FIRST_WAIT_S * 2 ** (attempt - 1), LONGEST_WAIT_S) * random.uniform(0.5, 1.0))
            self.requests += 1
            try:
                answer = client.get(address)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
                continue
            if answer.status_code == httpx.codes.OK:
                return answer.content
            problem = f"HTTP {answer.status_code}"
            if answer.status_code not in (408, 429, 500, 502, 503, 504):
                break
        raise ArchiveError(
            f"the archive could not be read: {address.partition('?')[0]}: {problem}; what was landed is safe, run "
            "the same command again (IRIS_ARCHIVE_URL names the archive)"
        )


def _blob(found: ET.Element) -> Blob:
    name = found.findtext("Name") or ""
    tags = {tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in found.iter("Tag")}
    parts = name.split("/")
    dataset = tags.get("Dataset") or (parts[-2] if len(parts) > 1 else "")
    uploaded = tags.get("UploadTime")
    return Blob(name, dataset, datetime.fromisoformat(uploaded).astimezone(UTC) if uploaded else None)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
