"""What `gbpm catalogue verify` prints: the differences between the catalogue and a document, for people and scripts.

Belongs here: the shape of docs/contract.md. Not here: finding the differences (`catalogue.verify`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.compare import Change, Difference, Part
from gbpm_dagster.catalogue.document import stored
from gbpm_dagster.catalogue.verify import Verdict, left_out
from gbpm_dagster.console import show

CLEAN, DRIFT = 0, 3
STYLE = {Change.ADDED: "green", Change.REMOVED: "red", Change.CHANGED: "yellow"}
SIDES = ("catalogue", "document"), ("before", "after")
NEXT = (
    "Next: a newer gbpm may know it; else correct the entries in gbpm_dagster/catalogue (or left_out.csv) and renew "
    "the stored document (gbpm_dagster/catalogue/openapi/README.md)"
)


def verdict(found: Verdict, as_json: bool) -> int:
    """3 when the catalogue and the document differ in anything."""
    if as_json:
        show.print_json(_json(found))
    else:
        _tables(found)
    return DRIFT if found.differences else CLEAN


def agreement(found: Verdict) -> str:
    """One sentence: that they agree, or how many differences of which kind there are."""
    document = found.document
    about = f"{document.name} ({len(document.paths):,} paths)"
    if not found.differences:
        return f"{len(DATASETS)} tables and {len(left_out())} paths left out agree with {about}"
    kinds = Counter(d.change for d in found.differences)
    counted = ", ".join(f"{kinds[change]:,} {change}" for change in Change if kinds[change])
    noun = "difference" if len(found.differences) == 1 else "differences"
    return f"{len(found.differences):,} {noun} between the catalogue and {about}: {counted}"


def _json(found: Verdict) -> dict[str, Any]:
    document = found.document
    return {
        "document": {
            "name": document.name,
            "sha256": document.sha256,
            "paths": len(document.paths),
            "schemas": len(document.schemas),
            "inferred": sorted(document.inferred),
        },
        "tables": len(DATASETS),
        "left_out": len(left_out()),
        "clean": not found.differences,
        "differences": [{**_record(d, *SIDES[0]), "breaks": d.breaks} for d in found.differences],
        "changes": [_record(d, *SIDES[1]) for d in found.changes],
    }


def _record(difference: Difference, ours: str, theirs: str) -> dict[str, Any]:
    return {
        "change": difference.change.value,
        "part": difference.part.value,
        "table": difference.table or None,
        "path": difference.path,
        "name": difference.name or None,
        ours: difference.ours or None,
        theirs: difference.theirs or None,
        "text": str(difference),
    }


def _tables(found: Verdict) -> None:
    parts = [d for d in found.differences if d.part in (Part.FIELD, Part.PARAMETER)]
    others = [d for d in found.differences if d.part not in (Part.FIELD, Part.PARAMETER)]
    if parts:
        records = [(_mark(d), d.table, _what(d), d.ours or "-", d.theirs or "-") for d in _ordered(parts)]
        show.rows("fields and parameters", ("", "table", "what", *SIDES[0]), records)
    if others:
        show.rows("paths and entries", ("", "path", "what"), [(_mark(d), d.path, str(d)) for d in _ordered(others)])
    if found.changes:
        records = [(_mark(d), d.path, _what(d), d.ours or "-", d.theirs or "-") for d in _ordered(found.changes)]
        show.rows(f"changed since {stored().name}", ("", "path", "what", *SIDES[1]), records)
    show.say(agreement(found) + ("" if found.differences else ": nothing added, removed or changed"))
    if found.document.inferred:
        show.say(f"not in it, inferred: {', '.join(sorted(found.document.inferred))}")
    if found.differences:
        show.say(NEXT)


def _ordered(differences: Sequence[Difference]) -> list[Difference]:
    return sorted(differences, key=lambda d: (d.table, d.path, d.part, d.name))


def _mark(difference: Difference) -> Text:
    return Text(difference.change.value, STYLE[difference.change])


def _what(difference: Difference) -> str:
    return f"{difference.part} {difference.name}".strip()
