"""The check of duplicates: no natural key twice, and evidence that claims what the data hold.

Belongs here: counting stored rows and keys. Not here: the SQL texts (`sql`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Grain, Kind
from gbpm_dagster.quality import sql
from gbpm_dagster.quality.judged import Judged, Offence, fingerprint
from gbpm_dagster.quality.result import (
    DUPLICATES,
    ERROR,
    LISTED_DAYS,
    SAMPLE,
    CheckResult,
    batches,
    count,
    day_ranges,
    nothing_to_check,
    plain,
)
from gbpm_dagster.warehouse.protocol import DAY, Warehouse

BATCH_ROWS = 5_000_000
"""Rows grouped by one query: bounds its memory."""

_KINDS = {"day": pl.Date, "exact": pl.Int64, "other": pl.Int64}
_COUNTS = {"day": pl.Date, "rows": pl.Int64, "keys": pl.Int64}


def once_a_day(dataset: Dataset) -> bool:
    """True where a key may stand in several partitions: snapshots, and tables partitioned by their version (INDO)."""
    return dataset.grain is Grain.SNAPSHOT or dataset.partition_field in dataset.version


def spans_days(dataset: Dataset) -> bool:
    """True where a key could wrongly stand in two partitions: no time in the key decides the day."""
    timed = any(dataset.column(k).kind in (Kind.DATE, Kind.INSTANT) for k in dataset.key)
    return not timed and not once_a_day(dataset)


def view_hides_rows(dataset: Dataset) -> bool:
    """True where SQL shows less than the partitions hold: older publications of a key, withdrawn keys, old lists."""
    versioned_by_day = dataset.partition_field in dataset.version and dataset.partition_field not in dataset.key
    return versioned_by_day or "DEL" in dataset.version_order or dataset.grain is Grain.SNAPSHOT


def check_duplicates(
    warehouse: Warehouse, dataset: Dataset, days: Sequence[date], judged: Judged | None = None, anew: bool = False
) -> CheckResult:
    """Natural keys stored more than once (nulls equal, unit fallback applied), and days whose evidence differs.

    A snapshot table is checked over all its snapshots. Severity ERROR. Raises WarehouseError if it cannot be read.
    judged: remembers the days without fault; while their evidence is as then and so many rows are there as it claims,
    their keys are not counted again (for some weeks). anew: count the keys of all days.
    """
    evidence = _evidence(warehouse, dataset, days)
    if evidence.is_empty():
        return nothing_to_check(dataset.table, DUPLICATES, "nothing is stored for the wanted days yet")
    wanted = sorted(set(days) | set(evidence["day"].to_list()))
    rules = fingerprint((sql, sys.modules[__name__]), dataset.key, dataset.unit_fallback) if judged else ""
    known = judged.known(DUPLICATES, dataset.table, rules, evidence) if judged and not anew else {}
    same = _as_claimed(warehouse, dataset, evidence, sorted(known))
    unread = sorted({*wanted} - {*same["day"]})
    before, stored = evidence, pl.concat([same, _counts(warehouse, dataset, unread, evidence)]).sort("day")
    differing = _differing(evidence, stored)
    if differing:  # a writer may stand between data and evidence: look a second time before saying so
        evidence = _evidence(warehouse, dataset, days)
        again = _counts(warehouse, dataset, differing, evidence)
        stored = pl.concat([stored.filter(~pl.col("day").is_in(differing)), again]).sort("day")
        differing = _differing(evidence, stored)
    if judged and unread:
        clean = stored.filter(pl.col("rows") == pl.col("keys"))["day"].to_list()
        found: dict[date, dict[str, Offence]] = {d: {} for d in {*unread} & {*clean} - {*differing}}
        after = _evidence(warehouse, dataset, days)
        judged.learn(DUPLICATES, dataset.table, rules, found, before, after)
    repeated = _repeated(warehouse, dataset, wanted, stored)
    kinds = _kinds(warehouse, dataset, stored)
    return _result(dataset, evidence, stored, differing, repeated, kinds)


def _evidence(warehouse: Warehouse, dataset: Dataset, days: Sequence[date]) -> pl.DataFrame:
    columns = ("day", "rows", "distinct_keys", "content_hash")
    if dataset.grain is Grain.SNAPSHOT:
        return warehouse.evidence([dataset.table]).select(columns)
    if not days:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.Int64))
    found = warehouse.evidence([dataset.table], min(days), max(days)).select(columns)
    return found.filter(pl.col("day").is_in(list(days)))


def _as_claimed(warehouse: Warehouse, dataset: Dataset, evidence: pl.DataFrame, days: Sequence[date]) -> pl.DataFrame:
    """Of those days the ones with as many rows as their evidence claims: day, rows, keys (as claimed)."""
    if not days:
        return pl.DataFrame(schema=_COUNTS)
    there = warehouse.count_rows(dataset, days[0], days[-1]).select("day", there="rows")
    claims = evidence.filter(pl.col("day").is_in(days)).select("day", "rows", keys="distinct_keys")
    both = claims.join(there, on="day", how="left", maintain_order="left")
    return both.filter(pl.col("rows") == pl.col("there").fill_null(0)).select(
        pl.col(n).cast(t) for n, t in _COUNTS.items()
    )


def _counts(warehouse: Warehouse, dataset: Dataset, days: Sequence[date], evidence: pl.DataFrame) -> pl.DataFrame:
    rows = dict(zip(evidence["day"].to_list(), evidence["rows"].to_list(), strict=True))
    ask = _counts_read if view_hides_rows(dataset) else _counts_asked
    frames = [
        ask(warehouse, dataset, part).select(pl.col(n).cast(t) for n, t in _COUNTS.items())
        for part in batches(days, rows, BATCH_ROWS)
    ]
    return pl.concat([pl.DataFrame(schema=_COUNTS), *frames]).filter(pl.col("day").is_in(list(days)))


def _counts_asked(warehouse: Warehouse, dataset: Dataset, days: Sequence[date]) -> pl.DataFrame:
    return warehouse.sql(sql.rows_and_keys(dataset, days))


def _counts_read(warehouse: Warehouse, dataset: Dataset, days: Sequence[date]) -> pl.DataFrame:
    """The same counts from the partitions themselves."""
    grouped = _grouped(warehouse, dataset, days)
    return grouped.group_by("day").agg(rows=pl.col("n").sum(), keys=pl.len()).sort("day")


def _grouped(warehouse: Warehouse, dataset: Dataset, days: Sequence[date]) -> pl.DataFrame:
    """day, the key's columns (fallback applied) and n, the rows that share them."""
    fallback = dict(dataset.unit_fallback)
    rows = warehouse.read(dataset, min(days), max(days), columns=[DAY, *dataset.key_columns])
    key = [pl.coalesce(k, fallback[k]) if k in fallback else pl.col(k) for k in dataset.key]
    return rows.select(pl.col(DAY).alias("day"), *key).group_by("day", *dataset.key).agg(n=pl.len())


def _compared(evidence: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Days where evidence and rows disagree: day, evidence_rows, evidence_keys, stored_rows, stored_keys."""
    both = evidence.select("day", evidence_rows="rows", evidence_keys="distinct_keys").join(
        stored.select("day", stored_rows="rows", stored_keys="keys"), on="day", how="left", maintain_order="left"
    )
    both = both.with_columns(pl.col("stored_rows", "stored_keys").fill_null(0))
    return both.filter(
        (pl.col("evidence_rows") != pl.col("stored_rows")) | (pl.col("evidence_keys") != pl.col("stored_keys"))
    )


def _differing(evidence: pl.DataFrame, stored: pl.DataFrame) -> list[date]:
    return _compared(evidence, stored)["day"].to_list()


def _repeated(
    warehouse: Warehouse, dataset: Dataset, days: Sequence[date], stored: pl.DataFrame
) -> tuple[int, list[dict[str, Any]]]:
    """Rows too many, and the first repeated keys."""
    within = not spans_days(dataset)
    suspects = stored.filter(pl.col("rows") > pl.col("keys"))["day"].to_list() if within else list(days)
    if not suspects:
        return 0, []
    if view_hides_rows(dataset):
        found = _repeated_read(warehouse, dataset, suspects)
    else:
        found = warehouse.sql(sql.repeated_keys(dataset, suspects, within_day=within, limit=SAMPLE))
    if found.is_empty():
        return 0, []
    return int(found["extra"][0]), plain(found.drop("groups", "extra").iter_rows(named=True))


def _repeated_read(warehouse: Warehouse, dataset: Dataset, days: Sequence[date]) -> pl.DataFrame:
    """As `sql.repeated_keys`, from the partitions themselves, a day's keys by themselves."""
    parts = [_grouped(warehouse, dataset, [day]).filter(pl.col("n") > 1) for day in days]
    found = pl.concat(parts).sort("n", "day", descending=[True, False])
    return found.select(
        *dataset.key,
        "n",
        first_day="day",
        last_day="day",
        groups=pl.len(),
        extra=(pl.col("n").cast(pl.Int64) - 1).sum(),
    ).head(SAMPLE)


def _kinds(warehouse: Warehouse, dataset: Dataset, stored: pl.DataFrame) -> pl.DataFrame:
    """Rows too many by kind, of the days that have such: day, exact (the same content again), other (another content
    of the same key). domain.md 3.2: the first are copies, the second vintages of which the newest is current."""
    suspects = stored.filter(pl.col("rows") > pl.col("keys"))
    rows, fallback = dict(suspects.select("day", "rows").iter_rows()), dict(dataset.unit_fallback)
    key = [pl.coalesce(k, fallback[k]) if k in fallback else pl.col(k) for k in dataset.key]
    key = [part.alias(f"_k{i}") for i, part in enumerate(key)]
    found = [pl.DataFrame(schema=_KINDS)]
    for days in batches(suspects["day"].to_list(), rows, BATCH_ROWS // 10):
        held = warehouse.read(dataset, days[0], days[-1], columns=[DAY, *dataset.names])
        contents = held.filter(pl.col(DAY).is_in(days)).group_by(DAY, *dataset.names).agg(n=pl.len().cast(pl.Int64))
        by_key = contents.group_by(pl.col(DAY).alias("day"), *key).agg(
            exact=(pl.col("n") - 1).sum(), other=pl.len().cast(pl.Int64) - 1
        )
        found.append(by_key.group_by("day").agg(pl.col("exact", "other").sum()).select(list(_KINDS)))
    return pl.concat(found).sort("day")


def _worst_ranges(kinds: pl.DataFrame) -> list[dict[str, Any]]:
    """Ranges of neighbouring days with rows too many, the most rows first."""
    found = []
    for first, last in day_ranges(kinds["day"].to_list()):
        part = kinds.filter(pl.col("day").is_between(first, last)).sum()
        found.append({"from": first, "to": last, "exact": part["exact"][0], "other content": part["other"][0]})
    return sorted(found, key=lambda r: (-(r["exact"] + r["other content"]), r["from"]))[:LISTED_DAYS]


def _result(
    dataset: Dataset,
    evidence: pl.DataFrame,
    stored: pl.DataFrame,
    differing: Sequence[date],
    repeated: tuple[int, list[dict[str, Any]]],
    kinds: pl.DataFrame,
) -> CheckResult:
    extra, sample = repeated
    exact, other = int(kinds["exact"].sum()), int(kinds["other"].sum())
    unknown = stored.filter(~pl.col("day").is_in(evidence["day"].to_list()))["day"].to_list()
    rows = int(stored["rows"].sum())
    said = []
    if extra:
        key = ", ".join(dataset.key)
        split = [f"{exact:,} exact copies"] * (exact > 0) + [f"{other:,} with other content"] * (other > 0)
        kind = f" ({', '.join(split)})" if split else ""
        said.append(f"{count(extra, 'row')} too many: the same ({key}) more than once{kind}")
    if differing:
        said.append(f"evidence and rows differ on {count(len(differing), 'day')}, first {differing[0]}")
    passed = not said
    details: dict[str, Any] = {"days": len(evidence), "rows": rows, "distinct keys": int(stored["keys"].sum())}
    if extra:
        details |= {"rows too many": extra, "repeated keys": sample}
    if len(kinds):
        details |= {"exact copies": exact, "other content (vintages)": other}
        details["days, worst first"] = plain(_worst_ranges(kinds))
    if differing:
        compared = _compared(evidence, stored).head(LISTED_DAYS)
        details["evidence differs"] = plain(compared.iter_rows(named=True))
    if unknown:
        details["rows without evidence"] = [d.isoformat() for d in unknown[:LISTED_DAYS]]
    if not passed:
        first = differing[0] if differing else sample[0]["first_day"]
        anew = f"gbpm backfill {dataset.table} --from {first} --to {first} writes such a day anew"
        gone = f"gbpm deduplicate {dataset.table} says what would go, --apply does it; "
        details["next step"] = (gone if len(kinds) else "") + anew
    summary = "; ".join(said) if said else f"{count(rows, 'row')} on {count(len(evidence), 'day')}, every key once"
    return CheckResult(dataset.table, DUPLICATES, passed, ERROR, summary, details=details)
