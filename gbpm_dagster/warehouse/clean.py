"""Duplicates out of a stored table: what would go, and taking it out with a backup first.

Belongs here: the order of steps. Not here: which row stays (dedupe), the backup's form (backups).

The steps of each batch of days: backup; beside (the clean rows in a file of their own, read back and compared);
vintages (append what is not there); forget (the evidence of days whose content changes); data (one overwrite a month,
which swaps its days at once); compare; evidence. A crash between any two leaves a day with its old or its clean rows,
and with evidence only if that holds; the next run puts back from the backup the evidence that a crash has cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse import dedupe, facts, merge
from gbpm_dagster.warehouse.backups import Backup, Part, digests, listed, overwrite_months, stored
from gbpm_dagster.warehouse.delta import explained
from gbpm_dagster.warehouse.incoming import ROWS_AT_ONCE
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.locks import lock
from gbpm_dagster.warehouse.protocol import DAY, EVIDENCE_SCHEMA, WarehouseError
from gbpm_dagster.warehouse.replace import data_table, vintage_table

SAMPLE = 5
_MEASURED = (
    "rows", "distinct_keys", "newest_version", "first_time", "last_time", "content_hash", "slots",
)  # fmt: skip

Told = Callable[[date], None]
"""Called with the last day that has been looked at."""


@dataclass
class Found:
    """What was found, or done. counts: one row a day with duplicates: `_day` and dedupe.COUNTED.

    refetch: days to ask the source for again, with the reason: a conflict, or rows that no evidence speaks for.
    """

    counts: pl.DataFrame
    samples: list[dict[str, Any]] = field(default_factory=list)
    refetch: dict[date, str] = field(default_factory=dict)
    rows: int = 0
    backup: Path | None = None


def survey(
    lake: Lake, dataset: Dataset, start: date | None, end: date | None, told: Told = lambda day: None
) -> Found:
    """What `clean` would do; changes nothing. Raises WarehouseError if the table cannot be read."""
    found = Found(_no_counts())
    for days in _suspects(lake, dataset, start, end, found, told):
        rows = stored(lake.root, dataset, days)
        _note(lake, dataset, found, rows, dedupe.resolve(dataset, rows))
    return found


def clean(
    lake: Lake,
    dataset: Dataset,
    start: date | None,
    end: date | None,
    backups: Path,
    now: datetime,
    told: Told = lambda day: None,
    fault: Callable[[str], None] = lambda step: None,
) -> Found:
    """Take the duplicates out of these days. Doing it again changes nothing.

    backups: the folder a backup is made in, if there is anything to change. fault: called with the name of each step
    before it. Raises WarehouseError; what was changed until then is in the backup.
    """
    resume(lake, dataset, backups)
    found, backup = Found(_no_counts()), None
    for days in _suspects(lake, dataset, start, end, found, told):
        with lock(lake.root, dataset.table):
            rows = stored(lake.root, dataset, days)  # again, now that nobody writes
            resolved = dedupe.resolve(dataset, rows)
            if resolved.current.height == rows.height:
                continue
            _note(lake, dataset, found, rows, resolved)
            if backup is None:
                backup = Backup.create(backups, dataset.table, "gbpm deduplicate", now)
                found.backup = backup.folder
            _swap(lake, dataset, rows, resolved, backup, fault)
    if backup is not None:
        backup.done(finished=True)
    return found


def _suspects(
    lake: Lake, dataset: Dataset, start: date | None, end: date | None, found: Found, told: Told
) -> Iterator[list[date]]:
    """Days in which a key stands more than once, as many at a time as fit in memory; counts found.rows."""
    held = dict(lake.count_rows(dataset, start, end).iter_rows())
    found.rows = sum(held.values())
    for days in _batches(held):
        keys = merge.with_keys(lake.read(dataset, days[0], days[-1], [DAY, *dataset.key_columns]), dataset)
        repeated = keys.filter(pl.struct(DAY, *merge.key_names(dataset)).is_duplicated())
        if repeated.height:
            yield repeated[DAY].unique().sort().to_list()
        told(days[-1])


def _batches(held: dict[date, int]) -> Iterator[list[date]]:
    batch: list[date] = []
    rows = 0
    for day in sorted(held):
        if batch and rows + held[day] > ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(day)
        rows += held[day]
    if batch:
        yield batch


def _note(lake: Lake, dataset: Dataset, found: Found, rows: pl.DataFrame, resolved: dedupe.Resolved) -> None:
    """Add what a batch of days holds to what was found."""
    found.counts = pl.concat([found.counts, resolved.counts])
    if len(found.samples) < SAMPLE:
        fates = dedupe.judge(dataset, rows)
        found.samples += dedupe.samples(dataset, rows, fates, SAMPLE - len(found.samples))
    _, unsure = _evidence(dataset, _known(lake, dataset, resolved), resolved.current)
    found.refetch |= unsure
    for day, n in resolved.counts.filter(pl.col("conflicts") > 0).select(DAY, "conflicts").iter_rows():
        found.refetch[day] = f"vintage_conflict: {n} keys with unlike contents that no stamp decides between"


def _known(lake: Lake, dataset: Dataset, resolved: dedupe.Resolved) -> pl.DataFrame:
    """The evidence of the days of a batch."""
    days = resolved.counts[DAY].to_list()
    return lake.evidence([dataset.table], days[0], days[-1]).filter(pl.col("day").is_in(days))


def _evidence(
    dataset: Dataset, known: pl.DataFrame, clean_rows: pl.DataFrame
) -> tuple[pl.DataFrame, dict[date, str]]:
    """(evidence of the clean days, days for which none can be given and why); known: their evidence until now.

    What it says of the answers stays; what it measures is measured anew. Where the clean rows have other keys than
    the answers had, rows came from elsewhere or are gone: no evidence speaks for them, so that the day is fetched.
    """
    measured = facts.measure(dataset, clean_rows).rename({DAY: "day"}).select("day", *_MEASURED)
    both = known.drop(*(n for n in _MEASURED if n != "distinct_keys")).join(measured, on="day", suffix="_now")
    same = both.filter(pl.col("distinct_keys") == pl.col("distinct_keys_now"))
    other = both.filter(pl.col("distinct_keys") != pl.col("distinct_keys_now"))
    unsure = {
        day: f"{now} keys are stored, the answers had {had}"
        for day, had, now in other.select("day", "distinct_keys", "distinct_keys_now").iter_rows()
    }
    fetched = set(known["day"].to_list())
    unsure |= {day: "no evidence: never fetched" for day in measured["day"].to_list() if day not in fetched}
    return same.select(pl.col(n).cast(kind) for n, kind in EVIDENCE_SCHEMA.items()), unsure


def _swap(
    lake: Lake,
    dataset: Dataset,
    rows: pl.DataFrame,
    resolved: dedupe.Resolved,
    backup: Backup,
    fault: Callable[[str], None],
) -> None:
    """Put the clean rows of these days in the place of theirs; the caller holds the table's lock."""
    table, days = dataset.table, resolved.counts[DAY].to_list()
    before = _known(lake, dataset, resolved)
    after, _ = _evidence(dataset, before, resolved.current)
    added = _new_vintages(lake, dataset, days, resolved.superseded)
    planned = digests(dataset, resolved.current)
    fault("backup")
    backup.add(dataset, Part(rows, planned, before, added))
    fault("beside")
    beside = _written_beside(dataset, backup.folder, rows, resolved)
    fault("vintages")
    if added.height:
        vintage_table(lake.root, dataset).append(added)
    fault("forget")
    holds = _unchanged(before, after)
    lake.ledger.forget(table, [d for d in before["day"].to_list() if d not in holds])
    overwrite_months(lake.root, dataset, days, beside, fault)
    fault("compare")
    if digests(dataset, stored(lake.root, dataset, days)) != planned:
        raise WarehouseError(
            f"{table} {days[0]} to {days[-1]}: what is stored is not what was written: "
            f"`gbpm restore {backup.folder.name}` brings the days back"
        )
    fault("evidence")
    _put_evidence(lake, dataset, after.filter(~pl.col("day").is_in(list(holds))))
    fault("done")


def _put_evidence(lake: Lake, dataset: Dataset, renewed: pl.DataFrame) -> None:
    if renewed.height:
        version = data_table(lake.root, dataset).version
        renewed = renewed.with_columns(pl.lit(version, pl.Int64).alias("table_version"))
        lake.ledger.put_evidence(dataset.table, renewed)


def resume(lake: Lake, dataset: Dataset, parent: Path) -> None:
    """Give the days of backups whose `clean` was cut short the evidence back that they lost, where it holds."""
    for backup in listed(parent):
        if backup.table == dataset.table and not backup.manifest.get("finished"):
            with lock(lake.root, dataset.table):
                for part in backup.parts:
                    _resume(lake, dataset, backup, part)
            backup.done(finished=True)


def _resume(lake: Lake, dataset: Dataset, backup: Backup, part: Mapping[str, Any]) -> None:
    days = {date.fromisoformat(day): said for day, said in part["days"].items()}
    had = set(lake.evidence([dataset.table], min(days), max(days))["day"].to_list())
    lost = backup.evidence(part).filter(~pl.col("day").is_in(list(had)))
    rows = stored(lake.root, dataset, lost["day"].to_list()) if lost.height else lost
    if rows.is_empty():
        return
    now = digests(dataset, rows)
    old = [day for day, digest in now.items() if digest == days[day]["before"]]
    new = [day for day, digest in now.items() if digest == days[day]["after"]]
    clean_rows = dedupe.resolve(dataset, rows.filter(pl.col(DAY).is_in(new))).current
    renewed, _ = _evidence(dataset, lost.filter(pl.col("day").is_in(new)), clean_rows)
    _put_evidence(lake, dataset, pl.concat([lost.filter(pl.col("day").is_in(old)), renewed]))


def _new_vintages(lake: Lake, dataset: Dataset, days: Sequence[date], superseded: pl.DataFrame) -> pl.DataFrame:
    """Those that are not there yet. A row without a receipt was never seen current."""
    there = stored(lake.root, dataset, days, vintage_table)
    return merge.new_vintages(dataset, superseded.select(there.columns), there)


def _unchanged(before: pl.DataFrame, after: pl.DataFrame) -> set[date]:
    """Days whose evidence claims exactly what the clean rows are."""
    claims = ["day", "rows", "distinct_keys", "content_hash"]
    return set(before.select(claims).join(after.select(claims), on=claims)["day"].to_list())


def _written_beside(dataset: Dataset, folder: Path, rows: pl.DataFrame, resolved: dedupe.Resolved) -> pl.DataFrame:
    """The clean rows as they come back from a file beside; WarehouseError if they are not what was stored less what
    goes, in keys, counts or the sum of any number."""
    file = folder / "beside.parquet"
    with explained(file, "writing the clean rows"):
        resolved.current.write_parquet(file)
        beside = pl.read_parquet(file)
        file.unlink()
    wrong = differences(dataset, rows, beside, resolved)
    if wrong:
        raise WarehouseError(
            f"{dataset.table}: the clean rows do not add up, nothing was changed: {'; '.join(wrong[:3])}"
        )
    return beside


def differences(dataset: Dataset, rows: pl.DataFrame, beside: pl.DataFrame, resolved: dedupe.Resolved) -> list[str]:
    """What does not add up between the rows as they are stored and clean + superseded + copies."""
    key = [DAY, *merge.key_names(dataset)]
    had = merge.with_keys(rows, dataset).select(key).unique()
    has = merge.with_keys(beside, dataset).select(key)
    wrong = []
    if has.is_duplicated().any():
        wrong.append("a key stands twice")
    lost = had.join(has, on=key, how="anti", nulls_equal=True).height
    if lost or had.height != has.unique().height:
        wrong.append(f"{had.height} keys became {has.unique().height}")
    parts = (beside, resolved.superseded, resolved.copies)
    if rows.height != sum(p.height for p in parts):
        wrong.append(f"{rows.height} rows became {' + '.join(str(p.height) for p in parts)}")
    numbers = [c.name for c in dataset.columns if rows.schema[c.name].is_numeric()]
    for name in numbers:
        whole, pieces = _sum(rows, name), sum(_sum(p, name) for p in parts)
        scale = max(float(rows[name].abs().sum() or 0), 1.0)
        if not math.isclose(whole, pieces, rel_tol=0, abs_tol=1e-9 * scale):
            wrong.append(f"{name} adds up to {pieces}, not {whole}")
    return wrong


def _sum(rows: pl.DataFrame, name: str) -> float:
    return float(rows[name].sum() or 0)


def _no_counts() -> pl.DataFrame:
    return pl.DataFrame(schema={DAY: pl.Date, **dict.fromkeys(dedupe.COUNTED, pl.Int64)})
