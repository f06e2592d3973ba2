"""Duplicates out of a stored table: what would go, and taking it out with a backup first.

Belongs here: the order of steps. Not here: which row stays (dedupe), the backup's form (backups).

The steps of each batch of days of a month: backup; beside (the clean rows in a file of their own, read back and
compared); vintages (append what is not there); forget (the evidence of days whose content changes); data (one
overwrite, which swaps the days at once); compare; evidence. A crash between any two leaves a day with its old or its
clean rows, and with evidence only if that holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse import dedupe, facts, merge
from gbpm_dagster.warehouse.backups import Backup, Part, digests
from gbpm_dagster.warehouse.delta import day_predicate, explained
from gbpm_dagster.warehouse.incoming import ROWS_AT_ONCE, month_of
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.locks import lock
from gbpm_dagster.warehouse.protocol import DAY, EVIDENCE_SCHEMA, MONTH, WarehouseError, stored_schema
from gbpm_dagster.warehouse.replace import data_table, days_where, vintage_table

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
        rows = _stored(lake, dataset, days)
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
    found, backup = Found(_no_counts()), None
    for days in _suspects(lake, dataset, start, end, found, told):
        with lock(lake.root, dataset.table):
            rows = _stored(lake, dataset, days)  # again, now that nobody writes
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
    """Days in which a key stands more than once, month by month, as many as fit in memory; counts found.rows."""
    held = dict(lake.count_rows(dataset, start, end).iter_rows())
    found.rows = sum(held.values())
    for days in _batches(held):
        keys = merge.with_keys(lake.read(dataset, days[0], days[-1], [DAY, *dataset.key_columns]), dataset)
        repeated = keys.filter(pl.struct(DAY, *merge.key_names(dataset)).is_duplicated())
        if repeated.height:
            yield repeated[DAY].unique().sort().to_list()
        told(days[-1])


def _batches(held: dict[date, int]) -> Iterator[list[date]]:
    for _, month in groupby(sorted(held), key=month_of):
        batch: list[date] = []
        for day in month:
            if batch and sum(held[d] for d in batch) + held[day] > ROWS_AT_ONCE:
                yield batch
                batch = []
            batch.append(day)
        yield batch


def _stored(lake: Lake, dataset: Dataset, days: Sequence[date]) -> pl.DataFrame:
    table = data_table(lake.root, dataset)
    rows = table.read(table.files(**{MONTH: [month_of(days[0])]}), days_where(days))
    return rows.select(list(stored_schema(dataset)))


def _note(lake: Lake, dataset: Dataset, found: Found, rows: pl.DataFrame, resolved: dedupe.Resolved) -> None:
    """Add what a batch of days holds to what was found."""
    found.counts = pl.concat([found.counts, resolved.counts])
    if len(found.samples) < SAMPLE:
        fates = dedupe.judge(dataset, rows)
        found.samples += dedupe.samples(dataset, rows, fates, SAMPLE - len(found.samples))
    _, unsure = _evidence(lake, dataset, resolved.current)
    found.refetch |= unsure
    for day, n in resolved.counts.filter(pl.col("conflicts") > 0).select(DAY, "conflicts").iter_rows():
        found.refetch[day] = f"vintage_conflict: {n} keys with unlike contents that no stamp decides between"


def _evidence(lake: Lake, dataset: Dataset, clean_rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[date, str]]:
    """(evidence of the clean days, days for which none can be given and why).

    What it says of the answers stays; what it measures is measured anew. Where the clean rows have other keys than
    the answers had, rows came from elsewhere or are gone: no evidence speaks for them, so that the day is fetched.
    """
    measured = facts.measure(dataset, clean_rows).rename({DAY: "day"}).select("day", *_MEASURED)
    days = measured["day"].to_list()
    known = lake.evidence([dataset.table], min(days), max(days))
    both = known.drop(*(n for n in _MEASURED if n != "distinct_keys")).join(measured, on="day", suffix="_now")
    same = both.filter(pl.col("distinct_keys") == pl.col("distinct_keys_now"))
    unsure = {
        day: f"{now} keys are stored, the answers had {had}"
        for day, had, now in both.filter(pl.col("distinct_keys") != pl.col("distinct_keys_now"))
        .select("day", "distinct_keys", "distinct_keys_now")
        .iter_rows()
    }
    unsure |= {day: "no evidence: never fetched" for day in days if day not in set(known["day"].to_list())}
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
    before = lake.evidence([table], min(days), max(days)).filter(pl.col("day").is_in(days))
    after, _ = _evidence(lake, dataset, resolved.current)
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
    fault("data")
    month = f"{MONTH} = '{month_of(days[0])}' AND {day_predicate(days, DAY)}"
    data_table(lake.root, dataset).overwrite(beside, month)
    fault("compare")
    if digests(dataset, _stored(lake, dataset, days)) != planned:
        raise WarehouseError(
            f"{table} {days[0]} to {days[-1]}: what is stored is not what was written: "
            f"`gbpm restore {backup.folder.name}` brings the days back"
        )
    fault("evidence")
    renewed = after.filter(~pl.col("day").is_in(list(holds)))
    if renewed.height:
        version = data_table(lake.root, dataset).version
        lake.ledger.put_evidence(table, renewed.with_columns(pl.lit(version, pl.Int64).alias("table_version")))
    fault("done")


def _new_vintages(lake: Lake, dataset: Dataset, days: Sequence[date], superseded: pl.DataFrame) -> pl.DataFrame:
    """Those that are not there yet. A row without a receipt was never seen current."""
    table = vintage_table(lake.root, dataset)
    there = table.read(table.files(**{MONTH: [month_of(days[0])]}), days_where(days))
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
