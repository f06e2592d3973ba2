"""Messages of the past once more, from the public archive or from our own: the same landing, the same loader.

Belongs here: which messages, in which pieces. Not here: the archives (iris.public, iris.packs), loading (stream).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from gbpm_dagster.catalogue.streams import code_of, spellings
from gbpm_dagster.iris.landing import Incoming, Landing
from gbpm_dagster.iris.packs import Packs, again
from gbpm_dagster.iris.public import PublicArchive

PIECE = 1000
"""Messages that are landed before they are loaded: the landing stays small however long the time."""


def from_public(
    archive: PublicArchive,
    landing: Landing,
    first: date,
    last: date,
    codes: Collection[str],
    load: Callable[[], object] | None,
    *,
    all_codes: bool = False,
) -> int:
    """Messages uploaded on these UTC days (both included), of these codes; all_codes: one search for all of them.

    load: loads what waits in the landing; None: it is only landed. Returns how many messages the archive had; what
    was received before is there once. Raises ArchiveError, LandingError; running it again goes on.
    """
    start = datetime.combine(first, time.min, UTC)
    end = datetime.combine(last + timedelta(days=1), time.min, UTC)
    named = () if all_codes else tuple(name for code in codes for name in spellings(code))
    blobs = (b for b in archive.find(start, end, named) if code_of(b.dataset) in codes)
    return _in_pieces(archive.messages(blobs), landing, load)


def from_packs(
    packs: Packs, first: date, last: date, codes: Collection[str], load: Callable[[], object] | None
) -> int:
    """The same from the raw archive of this home, and what was loaded and is not packed yet."""

    def wanted(subject: str) -> bool:
        return code_of(subject) in codes

    waiting = again(packs.landing, first, last, wanted)
    incoming = (
        Incoming(m.body, m.name, m.message_id or None, m.subject, m.at, m.properties)
        for m in packs.messages(first, last, wanted)
    )
    return waiting + _in_pieces(incoming, packs.landing, load)


def _in_pieces(incoming: Iterator[Incoming], landing: Landing, load: Callable[[], object] | None) -> int:
    many = 0
    while True:
        piece = list(islice(incoming, PIECE))
        landing.land_all(piece)
        many += len(piece)
        if load is not None:
            load()
        if len(piece) < PIECE:
            return many
