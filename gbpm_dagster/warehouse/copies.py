"""Tables in a folder that are none of ours: copies of one of ours, and others; what they hold that ours does not.

Belongs here: finding them, comparing one with its primary table, the verdict. Not here: removing anything (nobody
does), moving to the archive (orchestration), printing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import polars as pl

from gbpm_dagster.catalogue import UnknownTable, get
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import became
from gbpm_dagster.catalogue.streams import IRIS, stream_of
from gbpm_dagster.warehouse import foreign
from gbpm_dagster.warehouse.merge import key_names, with_keys
from gbpm_dagster.warehouse.protocol import DAY, MONTH, WarehouseError

KEEP, ARCHIVE, DROP = "keep", "archive", "drop"
"""Verdicts: it has what no table here has; it has only other values; it has nothing that is not here."""

_MONTH_NAMES = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MARK = re.compile(
    r"(backup|bak|dedup|deduped|unified|copy|old|new|orig|original|tmp|temp|test|sample|final|archive|v\d+|\d{2,14}|"
    + "|".join(f"{m}[a-z]*" for m in _MONTH_NAMES)
    + ")"
)
"""A word at the end of a name that tells a copy: `_backup_20251205_115208`, `_dedup`, `_sep_oct_2025`."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A table that is none of ours. base: the name without what marks it as a copy; dataset: its table, if any."""

    name: str
    path: Path
    base: str = ""
    dataset: Dataset | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A copy against its primary, over the copy's days. Counts of rows, but where it says keys.

    only_here, only_there: keys. differing: rows whose key is there and whose values no version of it has; columns: in
    which, of how many rows. in_vintages: rows that are there as superseded ones. other_columns: those that the
    catalogue does not know, without metadata (`_hash_key`): nothing compares them.
    """

    rows: int = 0
    first: date | None = None
    last: date | None = None
    exact_duplicates: int = 0
    only_here: int = 0
    only_there: int = 0
    differing: int = 0
    in_vintages: int = 0
    columns: dict[str, int] = field(default_factory=dict)
    days_only_here: tuple[date, ...] = ()
    other_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    word: str
    reason: str


def find(folder: Path, own: Collection[str]) -> list[Copy]:
    """The tables in a folder whose names are not among `own`, by name; WarehouseError if it cannot be read."""
    if not folder.is_dir():
        raise WarehouseError(f"{folder} is no folder: name one that holds tables")
    found = []
    for path in sorted(folder.iterdir()):
        name = path.name.removesuffix(".parquet")
        table = path.is_dir() or path.suffix == ".parquet"
        if table and not name.startswith((".", "_")) and name not in own:
            base = primary_name(name)
            found.append(Copy(name, path, base, _dataset(base)))
    return found


def primary_name(name: str) -> str:
    """The table that `name` looks like a copy of: the marks taken off from the right; "" if there is none."""
    base = name
    while _dataset(base) is None:
        base, _, mark = base.rpartition("_")
        if not base or not _MARK.fullmatch(mark.lower()):
            return ""
    return base if base != name else ""


def _dataset(name: str) -> Dataset | None:
    try:
        found = get(name.removesuffix(IRIS)) if name else None
    except UnknownTable:
        return None
    if found is None or not name.endswith(IRIS):
        return found
    return stream_of(found) if found.iris_code else None


def compare(copy: Copy, primaries: Collection[Path]) -> Compared:
    """The copy's rows against those of its primary, a month at a time.

    primaries: the primary table, then where its superseded rows are. Columns that either side lacks are not compared.
    Raises WarehouseError if the copy cannot be read as such a table.
    """
    if copy.dataset is None:
        raise ValueError(f"{copy.name} has no primary")
    dataset, table = copy.dataset, foreign.find(copy.path)
    if not table.files:
        return Compared()
    sides = [side for side in map(foreign.find, primaries) if side.files]
    there = [{c.lower() for c in side.columns()} for side in (table, *sides[:1])]
    names = [n for n in dataset.names if all(n.lower() in columns for columns in there)]
    known = {n.lower() for n in (*dataset.names, *foreign.RECEIPTS)}
    other = tuple(c for c in table.columns() if not c.startswith("_") and c.lower() not in known)
    total = Compared(other_columns=other)
    with foreign.readable(dataset, copy.path):
        rows = _rows(dataset, table)
        months = rows.select(pl.col(MONTH).unique().sort()).collect()[MONTH].to_list()
    for month in months:
        current, *older = [_of_month(dataset, side, month) for side in sides]
        part = _of_month(dataset, table, month)
        total = _added(total, _compare_month(dataset, names, part, current, older))
    return total


def verdict(copy: Copy, found: Compared) -> Verdict:
    """What to do with a copy that was compared, and why."""
    table = copy.base
    if not found.rows:
        return Verdict(DROP, "it has no rows")
    if found.only_here:
        days = found.days_only_here
        span = f" (days: {len(days):,}, {days[0]} to {days[-1]})" if days else ""
        said = f"{found.only_here:,} keys{span} are not in {table}"
        return Verdict(KEEP, f"{said}: backfill these days, then look again")
    if found.differing:
        where = ", ".join(sorted(found.columns, key=lambda c: -found.columns[c])[:3])
        said = f"{found.differing:,} rows have values that no version in {table} has, in {where}"
        return Verdict(ARCHIVE, f"{said}; every key is there")
    if found.other_columns:
        return Verdict(ARCHIVE, f"it has columns that {table} has not: {', '.join(found.other_columns[:5])}")
    older = f", {found.in_vintages:,} of them as superseded versions" if found.in_vintages else ""
    return Verdict(DROP, f"each of its {found.rows:,} rows is in {table}{older}")


def unknown(copy: Copy) -> Verdict:
    """A table that looks like a copy of nothing: only a person can say what it is (OPS-61)."""
    said = became(copy.name)
    return Verdict(KEEP, said or "no table of the catalogue has such a name: say what it is for, or archive it")


def _rows(dataset: Dataset, table: foreign.Foreign) -> pl.LazyFrame:
    scan = table.scan()
    return foreign.in_stored_schema(dataset, scan, dict(scan.collect_schema()))


def _of_month(dataset: Dataset, table: foreign.Foreign, month: str | None) -> pl.DataFrame:
    with foreign.readable(dataset, table.path):
        return _rows(dataset, table).filter(pl.col(MONTH).eq_missing(pl.lit(month, pl.String))).collect()


def _compare_month(
    dataset: Dataset, names: list[str], copy: pl.DataFrame, current: pl.DataFrame, older: list[pl.DataFrame]
) -> Compared:
    key = [DAY, *key_names(dataset)]
    content = [*key, *names]
    mine = with_keys(copy, dataset)
    theirs = with_keys(current, dataset)
    past = with_keys(pl.concat([current.head(0), *(o.select(current.columns) for o in older)]), dataset)
    distinct = mine.unique(content, maintain_order=True)
    unmatched = distinct.join(theirs.select(content), on=content, how="anti", nulls_equal=True)
    strange = unmatched.join(past.select(content), on=content, how="anti", nulls_equal=True)
    held = pl.concat([theirs.select(key), past.select(key)]).unique()
    alone = strange.join(held, on=key, how="anti", nulls_equal=True)
    differing = strange.join(held, on=key, how="semi", nulls_equal=True)
    days = copy[DAY].drop_nulls().unique()
    same_days = theirs.filter(pl.col(DAY).is_in(days.implode()))
    lacking = same_days.select(key).join(mine.select(key), on=key, how="anti", nulls_equal=True)
    return Compared(
        rows=copy.height,
        first=_day(days.min()),
        last=_day(days.max()),
        exact_duplicates=mine.height - distinct.height,
        only_here=alone.select(key).n_unique(),
        only_there=lacking.n_unique(),
        differing=differing.height,
        in_vintages=unmatched.height - strange.height,
        columns=_columns(differing, theirs, key, names),
        days_only_here=tuple(sorted(set(alone[DAY].drop_nulls().to_list()))),
    )


def _columns(differing: pl.DataFrame, theirs: pl.DataFrame, key: list[str], names: list[str]) -> dict[str, int]:
    """In which columns rows differ from the current row of their key: column -> rows."""
    both = differing.join(theirs.select(*key, *names), on=key, how="inner", nulls_equal=True, suffix="__there")
    counts = both.select(pl.col(n).ne_missing(pl.col(f"{n}__there")).sum().alias(n) for n in names)
    return {n: int(counts[n][0]) for n in names if both.height and counts[n][0]}


def _day(value: object) -> date | None:
    return value if isinstance(value, date) else None


def _added(total: Compared, part: Compared) -> Compared:
    days = [d for d in (total.first, total.last, part.first, part.last) if d is not None]
    columns = {n: total.columns.get(n, 0) + part.columns.get(n, 0) for n in {**total.columns, **part.columns}}
    summed = ("rows", "exact_duplicates", "only_here", "only_there", "differing", "in_vintages")
    return replace(
        total,
        first=min(days, default=None),
        last=max(days, default=None),
        columns=columns,
        days_only_here=total.days_only_here + part.days_only_here,
        **{n: getattr(total, n) + getattr(part, n) for n in summed},
    )


def review(folder: Path, own: Collection[str], lake: Path) -> Iterator[tuple[Copy, Compared | None, Verdict]]:
    """Each table in the folder that is none of ours, compared if it can be, and the verdict.

    The primary is the table of that name in the folder itself, else the lake's.
    """
    for copy in find(folder, own):
        places = [p for root in (folder, lake) for p in (root / copy.base, root / f"{copy.base}.parquet")]
        primary = next((p for p in places if _has_rows(p)), None) if copy.base else None
        if copy.dataset is None or not copy.base:
            yield copy, None, unknown(copy)
        elif primary is None and _has_rows(copy.path):
            yield copy, None, Verdict(KEEP, f"there is no {copy.base} to compare it with: backfill it first")
        else:
            try:
                found = compare(copy, _sides(primary))
            except WarehouseError as error:
                yield copy, None, Verdict(KEEP, f"it could not be compared: {error}")
                continue
            yield copy, found, verdict(copy, found)


def _has_rows(path: Path) -> bool:
    with contextlib.suppress(WarehouseError):
        return bool(foreign.find(path).files)
    return False


def _sides(primary: Path | None) -> list[Path]:
    """The primary table, and what it has superseded."""
    if primary is None:
        return []
    superseded = primary.with_name(primary.name.removesuffix(".parquet") + "_vintages")
    return [p for p in (primary, superseded, superseded.with_suffix(".parquet")) if p.exists()]
