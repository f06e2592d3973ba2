"""Names of the warehouse this one replaces, and what each became (legacy.csv).

Belongs here: reading that list, and one sentence for each name. Not here: aliases of tables (the entries), the views
themselves (views). A kind or target that ends in `?` is not certain.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from gbpm_dagster.catalogue.derived import DERIVED
from gbpm_dagster.catalogue.model import DOUBT
from gbpm_dagster.catalogue.views import VIEWS


class Became(StrEnum):
    """What an old name is today."""

    RAW = "raw"  # the table of that name
    ALIAS = "alias"  # another name of the target
    VIEW = "view"  # a view over the target
    STREAM = "stream"  # rows of the IRIS stream; the target is the table of the history
    UNIFIED = "unified"  # history and stream in one
    DERIVED = "derived"  # computed from the targets
    ARCHIVE = "archive"  # a dated copy
    USER_FILE = "user file"
    LICENSED = "licensed"
    NOT_ADOPTED = "not adopted"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Former:
    """An old name. target: what it leads to, as the list has it, its `?` included; "" where nothing."""

    name: str
    kind: Became
    target: str
    note: str = ""
    doubtful: bool = False

    @property
    def tables(self) -> tuple[str, ...]:
        """The names in the target, without marks."""
        return tuple(re.findall(r"\w+", self.target.replace(" or ", " ")))


@cache
def former_names() -> dict[str, Former]:
    """Every old name in the list, in its order."""
    text = (resources.files("gbpm_dagster.catalogue") / "legacy.csv").read_text(encoding="utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        doubtful = DOUBT in row["kind"] or DOUBT in row["target"]
        kind = Became(row["kind"].rstrip(DOUBT))
        found[row["name"]] = Former(row["name"], kind, row["target"], row["note"], doubtful)
    return found


def said(former: Former) -> str:
    """One sentence: what became of the name, and where to look instead."""
    target, note = former.target, former.note
    doubt = " (not certain)" if former.doubtful else ""
    match former.kind:
        case Became.RAW:
            return f"{former.name} is the table of that name"
        case Became.ALIAS:
            return f"{former.name} is today {target.rstrip(DOUBT)}{doubt}{_after(note)}"
        case Became.VIEW if former.name in VIEWS:
            over = " and ".join(former.tables)
            return f"{former.name} is a view, for SQL alone (`gbpm sql`): to fetch or check, name {over}"
        case Became.VIEW:
            return f"{former.name} is a view over {target}, which is not built yet{_after(note)}"
        case Became.STREAM:
            return f"{former.name} is what the IRIS stream brought, for SQL alone (`gbpm sql`): to fetch or check, name {target}"
        case Became.UNIFIED:
            base = former.tables[0]
            return f"{former.name} is {base} and the IRIS stream in one, for SQL alone (`gbpm sql`): to fetch or check, name {base}"
        case Became.DERIVED if former.name in DERIVED:
            return f"{former.name} is derived from {target}: to fetch or check, name these; it is there for SQL (`gbpm sql`)"
        case Became.DERIVED:
            return f"{former.name} is derived from {target}, and is not built yet"
        case Became.ARCHIVE:
            return f"{former.name} was {note}"
        case Became.USER_FILE:
            return f"{former.name} is a file of the user's in this warehouse, not built yet: {note}"
        case Became.LICENSED:
            return f"{former.name} was {note}"
        case Became.NOT_ADOPTED:
            return f"{former.name} is not adopted: {note}"
        case Became.NONE:
            return f"{former.name} has no table any more{doubt}: {note}"


def _after(note: str) -> str:
    return f": {note}" if note else ""
