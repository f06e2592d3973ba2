"""The columns that tables share: each of Elexon's field names with its kind, unit and meaning (vocabulary.csv).

Belongs here: looking names up. Not here: which table has which (the entries), fields of one table only whose meaning
differs from the shared one (also the entries).
"""

from __future__ import annotations

import csv
from difflib import get_close_matches
from functools import cache
from importlib import resources

from gbpm_dagster.catalogue.model import Column, Kind

NEVER_NULL = "!"


@cache
def vocabulary() -> dict[str, Column]:
    """Every shared column by name, as nullable."""
    text = (resources.files("gbpm_dagster.catalogue") / "vocabulary.csv").read_text(encoding="utf-8")
    return {
        row["name"]: Column(row["name"], Kind(row["kind"]), row["meaning"], row["unit"])
        for row in csv.DictReader(text.splitlines())
    }


@cache
def example(name: str) -> str:
    """A value of that field as Elexon's document or a recorded answer has it; "" where there is none."""
    return _examples().get(name, "")


@cache
def _examples() -> dict[str, str]:
    text = (resources.files("gbpm_dagster.catalogue") / "vocabulary.csv").read_text(encoding="utf-8")
    return {row["name"]: row["example"] for row in csv.DictReader(text.splitlines())}


def columns(names: str, *own: Column) -> tuple[Column, ...]:
    """The columns of a table in the order of `names` (blanks between them; `!` behind one that is never null).

    own: columns whose meaning in this table is not the shared one. Raises ValueError for a name nobody knows, and for
    one of `own` that is not in `names`.
    """
    mine = {c.name: c for c in own}
    found = tuple(mine.get(n.rstrip(NEVER_NULL)) or _shared(n) for n in names.split())
    idle = mine.keys() - {c.name for c in found}
    if idle:
        raise ValueError(f"columns {', '.join(sorted(idle))} are defined and not listed")
    return found


def _shared(name: str) -> Column:
    bare = name.rstrip(NEVER_NULL)
    known = vocabulary().get(bare)
    if known is None:
        near = get_close_matches(bare, vocabulary(), n=1)
        raise ValueError(f"no column {bare!r} in vocabulary.csv{f': did you mean {near[0]!r}?' if near else ''}")
    if name == bare:
        return known
    return Column(known.name, known.kind, known.meaning, known.unit, nullable=False)
