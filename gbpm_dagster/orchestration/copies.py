"""What `gbpm review-copies` does. No Dagster: it starts fast.

Belongs here: joining a home, its lake and a folder; moving a table to the archive. Not here: the comparison and the
verdict (warehouse.copies), printing. Nothing here removes a table.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gbpm_dagster.console.args import UsageError
from gbpm_dagster.console.show import plain
from gbpm_dagster.orchestration.ask import open_runtime
from gbpm_dagster.warehouse import copies
from gbpm_dagster.warehouse.backups import MANIFEST, write_json
from gbpm_dagster.warehouse.delta import explained


def review(folder: str | None, *, archive: bool = False) -> dict[str, Any]:
    """Every table of the folder (else the lake) that is none of ours, with verdict and evidence: docs/contract.md.

    archive: move those with the verdict `archive` from the lake to <home>/archive. Raises UsageError, WarehouseError.
    """
    if folder is not None and archive:
        raise UsageError("--archive moves tables of this home's lake: of a folder named with --in nothing is moved")
    runtime = open_runtime()
    lake = runtime.lake
    place = Path(folder).expanduser().absolute() if folder is not None else lake.root
    found = []
    for copy, compared, verdict in copies.review(place, set(lake.own_names()), lake.root):
        said = {
            "name": copy.name,
            "path": str(copy.path),
            "table": copy.base or None,
            "bytes": _bytes(copy.path),
            "compared": compared and asdict(compared),
            "verdict": verdict.word,
            "reason": verdict.reason,
            "archived": None,
        }
        if archive and verdict.word == copies.ARCHIVE:
            said["archived"] = str(_archive(copy, runtime.settings.archive, said))
        found.append(said)
    return {"folder": str(place), "copies": found}


def _archive(copy: copies.Copy, parent: Path, said: dict[str, Any]) -> Path:
    """Move the table into a folder of its own with a manifest; returns that folder."""
    now = datetime.now(UTC)
    target = parent / f"{copy.name}-{now:%Y%m%dT%H%M%SZ}"
    with explained(target, "archiving a table"):
        target.mkdir(parents=True)
        manifest = {"kind": "archive", "archived_at": now.isoformat(), **plain(said)}
        write_json(target / MANIFEST, manifest)
        shutil.move(copy.path, target / copy.path.name)
    return target


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
