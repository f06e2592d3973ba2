"""Tables that are computed from others, in the lake: days replaced whole, with evidence of what they were made from.

Belongs here: storing and reading them. Not here: their columns (catalogue.derived), what fills them (analytics).

They stand in the same kind of Delta table as Elexon's and in the same evidence (`gbpm_evidence`), with source
`derived` and as newest_version the digest of their inputs. The order of steps keeps a crash harmless: evidence is
forgotten, tables replaced, evidence written. They have no vintages: their inputs have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.derived import DERIVED, Derived
from gbpm_dagster.warehouse import facts
from gbpm_dagster.warehouse.delta import Table, day_predicate
from gbpm_dagster.warehouse.incoming import month_of
from gbpm_dagster.warehouse.ledger import Ledger
from gbpm_dagster.warehouse.locks import lock
from gbpm_dagster.warehouse.protocol import (
    DAY,
    EVIDENCE_SCHEMA,
    INSTANT,
    MONTH,
    Outcome,
    WarehouseError,
    derived_schema,
)

COMPUTED_AT = "_computed_at"
SOURCE = "derived"


def shown(derived: Derived) -> dict[str, Any]:
    """What SQL shows of a row: its columns, its day and when it was computed."""
    return {**derived_schema(derived), DAY: pl.Date, COMPUTED_AT: INSTANT}


def derived_table(root: Path, derived: Derived) -> Table:
    own = {DAY: pl.Date, COMPUTED_AT: INSTANT}
    return Table(root / derived.table, {**own, **derived_schema(derived), MONTH: pl.String}, (MONTH,))


def replace_derived(
    root: Path,
    ledger: Ledger,
    frames: Mapping[str, pl.DataFrame],
    day: date,
    *,
    computed_at: datetime,
    digest: str,
    run_id: str,
) -> Outcome:
    """See Warehouse.replace_derived. The outcome is of the first table."""
    first = next(iter(frames))
    changed = False
    with contextlib.ExitStack() as locks:
        for name in sorted(frames):
            locks.enter_context(lock(root, name))
        before = ledger.evidence(list(frames), day, day)
        known = dict(before.select("table", "content_hash").iter_rows())
        evidence = []
        for name, rows in frames.items():
            _check(DERIVED[name], rows, day)
            evidence.append(_evidence(DERIVED[name], rows, day, computed_at, digest, run_id))
            changed |= known.get(name) != evidence[-1]["content_hash"]
        if changed:
            for name in frames:
                ledger.forget(name, [day])
            for name, rows in frames.items():
                own = (pl.lit(day).alias(DAY), _at(computed_at), pl.lit(month_of(day)).alias(MONTH))
                where = f"{MONTH} = '{month_of(day)}' AND {day_predicate([day], DAY)}"
                derived_table(root, DERIVED[name]).overwrite(rows.with_columns(*own), where)
        for name, row in zip(frames, evidence, strict=True):
            version = derived_table(root, DERIVED[name]).version
            found = pl.DataFrame([{**row, "table_version": version}], schema=EVIDENCE_SCHEMA)
            ledger.put_evidence(name, found)
    held = frames[first].height
    outcome = ("written" if held else "empty") if changed else "unchanged"
    return Outcome(first, day, outcome, rows=held, written=held if changed else 0, extra={"source": SOURCE})


def read_derived(root: Path, name: str, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    """See Warehouse.read_derived."""
    derived = DERIVED.get(name)
    if derived is None:
        raise WarehouseError(f"there is no derived table {name!r}: there are {', '.join(DERIVED)}")
    where = pl.col(DAY).is_between(start or date.min, end or date.max)
    rows = derived_table(root, derived).read(where=where)
    return rows.select(list(shown(derived))).sort(DAY, *derived.key)


def _at(computed_at: datetime) -> pl.Expr:
    return pl.lit(computed_at).cast(INSTANT).alias(COMPUTED_AT)


def _check(derived: Derived, rows: pl.DataFrame, day: date) -> None:
    schema = derived_schema(derived)
    if dict(rows.schema) != schema:
        raise WarehouseError(f"{derived.table} {day}: the computed columns are not those of the catalogue")
    if rows.filter(pl.col("settlementDate").ne_missing(day)).height:
        raise WarehouseError(f"{derived.table} {day}: rows of other days were computed")
    if rows.select(derived.key).is_duplicated().any():
        raise WarehouseError(f"{derived.table} {day}: two rows have the key ({', '.join(derived.key)})")


def _evidence(
    derived: Derived, rows: pl.DataFrame, day: date, computed_at: datetime, digest: str, run_id: str
) -> dict[str, Any]:
    ordered = rows.sort(derived.key).with_columns(pl.lit(day).alias(DAY))
    counted = dict.fromkeys(("fetched", "written", "rows", "distinct_keys"), rows.height)
    nothing = dict.fromkeys(
        ("windows_asked", "windows_answered", "requests", "bytes", "superseded", "exact_duplicates", "quarantined",
         "contradictions"), 0,
    )  # fmt: skip
    return {
        **dict.fromkeys(EVIDENCE_SCHEMA), **nothing, **counted, "table": derived.table, "day": day,
        "fetched_at": computed_at, "source": SOURCE, "run_id": run_id, "newest_version": digest,
        "content_hash": facts.rows_hash(ordered, sorted(derived_schema(derived))),
        "absent_columns": [], "unknown_columns": [], "slots": [],
    }  # fmt: skip
