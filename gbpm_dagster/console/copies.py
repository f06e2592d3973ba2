"""What `gbpm review-copies` prints.

Belongs here: the shape of docs/contract.md. Not here: the work (orchestration.copies).
"""

from __future__ import annotations

from typing import Any

from gbpm_dagster.console import show
from gbpm_dagster.console.report import DONE, REMAINS


def told(found: dict[str, Any], as_json: bool) -> int:
    """3 when there are tables that are none of ours, those just archived left out."""
    remain = any(c["archived"] is None for c in found["copies"])
    if as_json:
        show.print_json(found)
        return REMAINS if remain else DONE
    if not found["copies"]:
        show.said(f"{found['folder']}: every table is one of the catalogue's")
        return DONE
    columns = ("table", "rows", "new keys", "lacks", "other values", "exact copies", "verdict")
    title = f"tables in {found['folder']} that are none of ours"
    show.narrow(title, columns, [_line(c) for c in found["copies"]], wraps="table")
    for copy in found["copies"]:
        show.said(f"{copy['name']}: {copy['verdict']}: {copy['reason']}{_evidence(copy['compared'])}")
        if copy["archived"]:
            show.said(f"  moved to {copy['archived']}; to have it back, move it back")
    if remain:
        show.said("nothing is ever removed by this command: --archive moves what is to be archived, drop by hand")
    return REMAINS if remain else DONE


def _line(copy: dict[str, Any]) -> tuple[Any, ...]:
    counts = copy["compared"]
    names = ("rows", "only_here", "only_there", "differing", "exact_duplicates")
    numbers = [counts[n] for n in names] if counts else ["-"] * len(names)
    return copy["name"], *numbers, copy["verdict"]


def _evidence(counts: dict[str, Any] | None) -> str:
    if not counts or not counts["rows"]:
        return ""
    columns = ", ".join(f"{name} {n:,}" for name, n in sorted(counts["columns"].items(), key=lambda c: -c[1])[:5])
    parts = [f"{counts['first']} to {counts['last']}"] + ([f"differing: {columns}"] if columns else [])
    return f" ({'; '.join(parts)})"
