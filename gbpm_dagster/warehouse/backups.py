"""Backups of days about to be changed: Parquet files and a manifest in a folder, and bringing them back exactly.

Belongs here: the folder's form, making, listing, expiring and restoring it. Not here: what changes the days (clean).

`<table>-<time>/manifest.json` lists parts; a part has the rows of some days as they were (`.rows.parquet`), their
evidence (`.evidence.parquet`) and the rows that went to the vintages (`.vintages.parquet`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse import facts
from gbpm_dagster.warehouse.delta import Table, day_predicate, explained
from gbpm_dagster.warehouse.incoming import month_of
from gbpm_dagster.warehouse.ledger import Ledger
from gbpm_dagster.warehouse.locks import lock
from gbpm_dagster.warehouse.merge import SUPERSEDED_AT
from gbpm_dagster.warehouse.protocol import (
    DAY,
    EVIDENCE_SCHEMA,
    INSTANT,
    MONTH,
    WarehouseError,
    stored_schema,
)
from gbpm_dagster.warehouse.replace import data_table, days_where, vintage_table

MANIFEST, FORMAT, DEDUPLICATE = "manifest.json", 1, "deduplicate"
_ROWS, _EVIDENCE, _VINTAGES = "rows", "evidence", "vintages"


def digests(dataset: Dataset, rows: pl.DataFrame) -> dict[date, str]:
    """Hash of all that is stored of each day: Elexon's columns and ours."""
    return facts.row_hashes(rows, sorted(n for n in stored_schema(dataset) if n not in (DAY, MONTH)))


@dataclass(frozen=True, slots=True)
class Part:
    """Some days. rows: stored_schema, as they were; after: their digests once they are changed; evidence:
    EVIDENCE_SCHEMA; vintages: stored_schema and `_superseded_at`, what is added to the table's vintages."""

    rows: pl.DataFrame
    after: Mapping[date, str]
    evidence: pl.DataFrame
    vintages: pl.DataFrame


class Backup:
    """A backup folder. Its manifest names a part only once the part's files are whole and on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read(folder)

    @classmethod
    def create(cls, parent: Path, table: str, why: str, now: datetime) -> Backup:
        """A new, empty backup under `parent`; raises WarehouseError."""
        with explained(parent, "making a backup"):
            parent.mkdir(parents=True, exist_ok=True)
            stem = f"{table}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
            names = (stem, *(f"{stem}-{n}" for n in range(2, 1000)))
            folder = next(parent / n for n in names if not (parent / n).exists())
            folder.mkdir()
            said = {"format": FORMAT, "kind": DEDUPLICATE, "table": table, "why": why}
            write_json(
                folder / MANIFEST,
                {**said, "created_at": now.astimezone(UTC).isoformat(), "finished": False, "parts": []},
            )
        return cls(folder)

    @property
    def table(self) -> str:
        return str(self.manifest["table"])

    @property
    def parts(self) -> list[dict[str, Any]]:
        return list(self.manifest["parts"])

    @property
    def created_at(self) -> datetime:
        return datetime.fromisoformat(self.manifest["created_at"])

    def add(self, dataset: Dataset, part: Part) -> None:
        """Put a part on the disk, then into the manifest; raises WarehouseError."""
        before = digests(dataset, part.rows)
        held = dict(part.rows.group_by(DAY).len().iter_rows())
        name = f"{month_of(min(before))}-{len(self.parts) + 1:04d}"
        with explained(self.folder, "writing a backup"):
            frames = {_ROWS: part.rows, _EVIDENCE: part.evidence, _VINTAGES: part.vintages}
            files = {kind: _put(self.folder / f"{name}.{kind}.parquet", frame) for kind, frame in frames.items()}
            days = {
                day.isoformat(): {"rows": held[day], "before": before[day], "after": part.after[day]}
                for day in sorted(before)
            }
            self._say(parts=[*self.parts, {"name": name, "days": days, "sha256": files}])

    def read(self, part: Mapping[str, Any], kind: str) -> pl.DataFrame:
        """The rows of one file of a part; WarehouseError if it is not as it was written."""
        file = self.folder / f"{part['name']}.{kind}.parquet"
        with explained(self.folder, "reading a backup"):
            if _sha256(file) != part["sha256"][kind]:
                raise WarehouseError(f"{file} is not as it was written: this backup is damaged, nothing was changed")
            return pl.read_parquet(file)

    def rows(self, dataset: Dataset, part: Mapping[str, Any]) -> pl.DataFrame:
        """The rows of a part's days as they were: stored_schema."""
        return _shaped(self.read(part, _ROWS), stored_schema(dataset))

    def evidence(self, part: Mapping[str, Any]) -> pl.DataFrame:
        """Their evidence: EVIDENCE_SCHEMA."""
        return _shaped(self.read(part, _EVIDENCE), EVIDENCE_SCHEMA)

    def vintages(self, dataset: Dataset, part: Mapping[str, Any]) -> pl.DataFrame:
        """What was added to the vintages: stored_schema and `_superseded_at`."""
        return _shaped(self.read(part, _VINTAGES), {**stored_schema(dataset), SUPERSEDED_AT: INSTANT})

    def done(self, **what: Any) -> None:
        """Note in the manifest what became of it."""
        with explained(self.folder, "writing a backup"):
            self._say(**what)

    def _say(self, **what: Any) -> None:
        self.manifest = {**self.manifest, **what}
        write_json(self.folder / MANIFEST, self.manifest)


def find(parent: Path, asked: str) -> Backup:
    """The backup of that name, or in that folder; WarehouseError with the names there are."""
    near = Path(asked).expanduser()
    for folder in (parent / asked, near):
        if (folder / MANIFEST).is_file():
            return Backup(folder.absolute())
    there = ", ".join(b.folder.name for b in listed(parent)) or "none"
    raise WarehouseError(f"there is no backup {asked!r}: those in {parent} are: {there}")


def listed(parent: Path) -> Iterator[Backup]:
    """The backups under a folder by name; what is none, or cannot be read, is left out."""
    for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
        try:
            yield Backup(folder)
        except WarehouseError:
            continue


def expire(parent: Path, now: datetime, keep: timedelta) -> list[str]:
    """Remove the backups that are older than `keep`; returns their names."""
    old = [b.folder for b in listed(parent) if now - b.created_at > keep]
    for folder in old:
        with explained(folder, "removing a backup"):
            shutil.rmtree(folder)
    return [f.name for f in old]


def restore(root: Path, dataset: Dataset, backup: Backup, *, force: bool = False) -> dict[date, int]:
    """Bring the days of a backup back exactly: rows, evidence, vintages. Returns the rows of each day.

    Raises WarehouseError, before anything is changed, if a day is neither as it was left nor as it was before (it has
    been fetched again since), unless `force`. Doing it again changes nothing; after a crash it goes on.
    """
    found: dict[date, int] = {}
    with lock(root, dataset.table):
        moved = [day for part in backup.parts for day in _moved(root, dataset, part)]
        if moved and not force:
            shown = ", ".join(map(str, moved[:5])) + (f" and {len(moved) - 5} more" if len(moved) > 5 else "")
            raise WarehouseError(
                f"{dataset.table}: {shown} changed since {backup.folder.name} was made, nothing was restored: "
                "--force puts the older rows back all the same"
            )
        for part in backup.parts:
            _put_back(root, dataset, backup, part)
            found |= {date.fromisoformat(day): said["rows"] for day, said in part["days"].items()}
    return found


def _moved(root: Path, dataset: Dataset, part: Mapping[str, Any]) -> list[date]:
    """Days whose rows are neither those before nor those after."""
    days = {date.fromisoformat(day): said for day, said in part["days"].items()}
    now = digests(dataset, stored(root, dataset, list(days)))
    return [day for day, said in days.items() if now.get(day) not in (said["before"], said["after"])]


def _put_back(root: Path, dataset: Dataset, backup: Backup, part: Mapping[str, Any]) -> None:
    days = [date.fromisoformat(day) for day in part["days"]]
    rows, evidence, added = backup.rows(dataset, part), backup.evidence(part), backup.vintages(dataset, part)
    ledger = Ledger(root)
    ledger.forget(dataset.table, days)
    overwrite_months(root, dataset, days, rows)
    if added.height:
        there = stored(root, dataset, days, vintage_table)
        same = [n for n in there.columns if n != MONTH]
        kept = there.join(added.select(same), on=same, how="anti", nulls_equal=True)
        months = ", ".join(sorted({f"'{month_of(d)}'" for d in days}))
        vintage_table(root, dataset).overwrite(kept, f"{MONTH} IN ({months}) AND {day_predicate(days, DAY)}")
    if evidence.height:
        ledger.put_evidence(dataset.table, evidence)
    if digests(dataset, stored(root, dataset, days)) != {
        date.fromisoformat(day): said["before"] for day, said in part["days"].items()
    }:
        raise WarehouseError(
            f"{dataset.table}: the days of {part['name']} are not as the backup has them: restore it again, "
            f"{backup.folder} is whole"
        )


def overwrite_months(
    root: Path,
    dataset: Dataset,
    days: Sequence[date],
    rows: pl.DataFrame,
    fault: Callable[[str], None] = lambda step: None,
) -> None:
    """Put rows in the place of all that is stored of these days, a month at once; the caller holds the lock."""
    table = data_table(root, dataset)
    for month, group in groupby(sorted(days), key=month_of):
        its = list(group)
        fault("data")
        table.overwrite(rows.filter(days_where(its)), f"{MONTH} = '{month}' AND {day_predicate(its, DAY)}")


def stored(
    root: Path, dataset: Dataset, days: Sequence[date], of: Callable[[Path, Dataset], Table] = data_table
) -> pl.DataFrame:
    """What a table (`of`: data_table or vintage_table) holds of these days, ours first as it lies there."""
    table = of(root, dataset)
    return table.read(table.files(**{MONTH: sorted({month_of(d) for d in days})}), days_where(days))


def _shaped(rows: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """The rows in today's columns: one that the catalogue has since gained is null."""
    return rows.select(
        (pl.col(n) if n in rows.columns else pl.lit(None)).cast(kind).alias(n) for n, kind in schema.items()
    )


def _put(file: Path, rows: pl.DataFrame) -> str:
    with file.open("wb") as target:
        rows.write_parquet(target, compression="zstd")
        target.flush()
        os.fsync(target.fileno())
    return _sha256(file)


def _sha256(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(handle, "w", encoding="utf-8") as target:
        json.dump(content, target, indent=1)
        target.flush()
        os.fsync(target.fileno())
    Path(name).replace(file)


def _read(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        if said["format"] != FORMAT or said["kind"] != DEDUPLICATE:
            raise ValueError(f"format {said['format']!r}, kind {said['kind']!r}")
        datetime.fromisoformat(said["created_at"]), said["parts"], said["table"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WarehouseError(f"{folder} is no backup that can be read: {file.name}: {error}") from error
    return dict(said)
