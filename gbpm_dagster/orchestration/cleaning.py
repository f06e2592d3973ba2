"""What `gbpm deduplicate` and `gbpm restore` do. No Dagster: they start fast.

Belongs here: joining a home, its lake and its backups. Not here: which row stays (warehouse.dedupe), printing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue import UnknownTable, get
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.console.args import UsageError, check_range, parse_day
from gbpm_dagster.console.show import day_progress
from gbpm_dagster.orchestration.ask import open_runtime
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.warehouse import backups as stored_backups
from gbpm_dagster.warehouse import clean, dedupe, foreign
from gbpm_dagster.warehouse.delta import explained
from gbpm_dagster.warehouse.protocol import DAY

VINTAGE_CONFLICT = "vintage_conflict"
"""Column of a foreign table's clean rows: true where no stamp decided which row stays."""


def deduplicate(
    table: str, first: str | None, last: str | None, *, apply: bool, out: str | None = None, quiet: bool = False
) -> dict[str, Any]:
    """What of a table of the lake would go (apply: goes); the shape of docs/contract.md.

    Raises UsageError, UnknownTable, WarehouseError.
    """
    try:
        dataset = get(table)
    except UnknownTable:
        if Path(table).expanduser().exists():
            raise UsageError(f"{table} is a path: say whose rows it has, for example --as bmrs_costs") from None
        raise
    if out is not None:
        raise UsageError("--out is for a path named with --as: a table of the lake is cleaned in place, with --apply")
    runtime = open_runtime()
    begin, end = _days(runtime, first, last)
    held = runtime.lake.count_rows(dataset, begin, end)["day"].to_list()
    with day_progress(f"looking through {dataset.table}", len(held), quiet) as advance:

        def told(day: date) -> None:
            advance(sum(d <= day for d in held))

        if apply:
            now = datetime.now(UTC)
            found = clean.clean(runtime.lake, dataset, begin, end, runtime.settings.backups, now, told)
        else:
            found = clean.survey(runtime.lake, dataset, begin, end, told)
    refetch = {day.isoformat(): why for day, why in sorted(found.refetch.items())}
    return {
        **_counted(dataset, begin, end, found.counts, found.rows),
        "samples": found.samples,
        "refetch": refetch,
        "applied": apply,
        "backup": found.backup and found.backup.name,
        "out": None,
    }


def deduplicate_path(
    path: str, as_: str, first: str | None, last: str | None, *, out: str | None, apply: bool = False
) -> dict[str, Any]:
    """The same of a file or folder of Parquet, or a Delta table, that is not ours; it is never changed.

    out: where the clean rows go, in the columns they came in and `vintage_conflict`; what they supersede beside it.
    Rows outside the days asked for are kept as they are. Raises UsageError, UnknownTable, WarehouseError.
    """
    dataset, place = get(as_), Path(path).expanduser().absolute()
    if apply and out is None:
        raise UsageError("a table that is not ours is never changed: --out FILE.parquet says where its clean rows go")
    target = _target(out) if out is not None else None
    begin, end = _days(open_runtime(), first, last)
    rows, ours = foreign.read(dataset, foreign.find(place))
    asked = ours.select(pl.col(DAY).is_between(begin or date.min, end or date.max).fill_null(True)).to_series()
    judged = ours.filter(asked)
    fates = dedupe.judge(dataset, judged)
    counts = dedupe.count(pl.concat([judged.select(DAY), fates], how="horizontal"))
    if target is not None:
        part = pl.concat([rows.filter(asked), fates], how="horizontal")
        rest = rows.filter(~asked).with_columns(pl.lit(dedupe.CURRENT).alias(dedupe.FATE))
        _write(pl.concat([part, rest], how="diagonal"), rows.columns, target)
    conflicts = counts.filter(pl.col("conflicts") > 0).select(DAY, "conflicts").iter_rows()
    return {
        **_counted(dataset, begin, end, counts.filter(pl.col("rows") > pl.col("current")), judged.height),
        "samples": dedupe.samples(dataset, judged, fates, clean.SAMPLE),
        "refetch": {str(day): f"vintage_conflict: {n} keys that no stamp decides between" for day, n in conflicts},
        "applied": target is not None,
        "backup": None,
        "out": target and str(target),
    }


def restore(name: str, force: bool) -> dict[str, Any]:
    """Bring a backup's days back; raises WarehouseError."""
    runtime = open_runtime()
    backup = stored_backups.find(runtime.settings.backups, name)
    days = stored_backups.restore(runtime.lake.root, get(backup.table), backup, force=force)
    return {
        "backup": backup.folder.name,
        "table": backup.table,
        "from": min(days, default=None),
        "to": max(days, default=None),
        "days": len(days),
        "rows": sum(days.values()),
    }


def backups() -> dict[str, Any]:
    """The backups of the home: name, table, created_at, days, rows, and the day upkeep removes it."""
    settings = open_runtime().settings
    return {"backups": [_described(b, settings.backup_days) for b in stored_backups.listed(settings.backups)]}


def expired_backups(runtime: Runtime) -> list[str]:
    """Remove what is older than the setting allows; returns the names."""
    settings = runtime.settings
    return stored_backups.expire(settings.backups, datetime.now(UTC), timedelta(days=settings.backup_days))


def _described(backup: stored_backups.Backup, keep: int) -> dict[str, Any]:
    days: Mapping[str, Any] = {day: said for part in backup.parts for day, said in part["days"].items()}
    return {
        "backup": backup.folder.name,
        "table": backup.table,
        "created_at": backup.created_at,
        "days": len(days),
        "rows": sum(said["rows"] for said in days.values()),
        "removed_on": (backup.created_at + timedelta(days=keep)).date(),
    }


def _days(runtime: Runtime, first: str | None, last: str | None) -> tuple[date | None, date | None]:
    begin, end = parse_day(first, "--from"), parse_day(last, "--to")
    check_range(begin, end, runtime.settings.today())
    return begin, end


def _counted(
    dataset: Dataset, begin: date | None, end: date | None, counts: pl.DataFrame, looked_at: int
) -> dict[str, Any]:
    """counts: of the days with duplicates."""
    month = counts.with_columns(pl.col(DAY).dt.strftime("%Y-%m").alias("month"))
    by_month = month.group_by("month").agg(pl.len().alias("days"), pl.col(dedupe.COUNTED).sum()).sort("month")
    total = counts.select(pl.col(dedupe.COUNTED).sum()).row(0, named=True)
    return {
        "table": dataset.table,
        "key": list(dataset.key),
        "from": begin or counts[DAY].min(),
        "to": end or counts[DAY].max(),
        "looked_at": looked_at,
        "days": counts.height,
        **total,
        "months": by_month.to_dicts(),
    }


def _target(out: str) -> Path:
    target = Path(out).expanduser().absolute()
    if target.suffix != ".parquet":
        raise UsageError(f"--out is {out!r}: name a file that ends in .parquet")
    if not target.parent.is_dir():
        raise UsageError(f"--out: the folder {target.parent} does not exist: make it, or choose another place")
    for file in (target, _vintages(target)):
        if file.exists():
            raise UsageError(f"{file} exists already: choose another name, nothing is written over")
    return target


def _vintages(target: Path) -> Path:
    return target.with_name(f"{target.stem}_vintages.parquet")


def _write(judged: pl.DataFrame, columns: list[str], target: Path) -> None:
    """The clean rows with VINTAGE_CONFLICT, and what they supersede beside them; whole or not at all."""
    current, superseded = (judged.filter(pl.col(dedupe.FATE) == f) for f in (dedupe.CURRENT, dedupe.SUPERSEDED))
    conflict = pl.col(dedupe.CONFLICT).fill_null(False).alias(VINTAGE_CONFLICT)
    with explained(target, "writing the clean rows"):
        for file, frame in (
            (_vintages(target), superseded.select(columns)),
            (target, current.select(*columns, conflict)),
        ):
            part = file.with_name(f".{file.name}.part")
            try:
                frame.write_parquet(part)
                part.replace(file)
            finally:
                part.unlink(missing_ok=True)
