"""New files of a Delta table, written by polars and committed together.

Belongs here: one append as files and a transaction. Not here: opening, errors, overwriting (`delta`).

Delta's own writer takes twice as long for a day of BOD: it encodes column after column in one thread. For many small
files it is the faster one.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

LEVEL = 3
"""Of zstd."""

ROWS_A_GROUP = 250_000
"""A reader of one unit or an hour skips whole groups; larger ones cost memory while they are written."""

LEAST_ROWS = 50_000
"""Fewer rows a file are left to Delta's writer."""


def append(table: DeltaTable, rows: pl.DataFrame, partition: Sequence[str]) -> bool:
    """Add the rows in one commit, a file for each value of the partition columns.

    False, and nothing done, where Delta's writer is to do it: small files, nested columns, columns the table does
    not have yet. Values of partition columns are names and months: they stand in a path as they are.
    """
    if rows.height < LEAST_ROWS or any(kind.is_nested() for kind in rows.dtypes):
        return False
    if not set(rows.columns) <= {field.name for field in table.schema().fields}:
        return False
    parts = list(_parts(rows, partition))
    if rows.height < LEAST_ROWS * len(parts):
        return False
    root = Path(table.table_uri.removeprefix("file://"))
    added: list[AddAction | RemoveAction] = [
        _file(root, dict(zip(partition, values, strict=True)), part) for values, part in parts
    ]
    table.create_write_transaction(added, "append", table.schema(), list(partition))
    table.update_incremental()
    return True


def _parts(rows: pl.DataFrame, partition: Sequence[str]) -> Iterator[tuple[tuple[str, ...], pl.DataFrame]]:
    """Values of the partition columns, and their rows without these, in the order they came."""
    if not partition:
        yield (), rows
        return
    if all(rows[name].n_unique() == 1 and rows[name].null_count() == 0 for name in partition):
        yield tuple(str(rows[name][0]) for name in partition), rows.drop(partition)
        return
    split = rows.partition_by(list(partition), as_dict=True, include_key=False, maintain_order=True)
    yield from ((tuple("" if v is None else str(v) for v in values), part) for values, part in split.items())


def _file(root: Path, values: dict[str, str], rows: pl.DataFrame) -> AddAction:
    folder = "/".join(f"{name}={value}" for name, value in values.items())
    name = f"part-00000-{uuid.uuid4()}-c000.zstd.parquet"
    path = root / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(path, compression="zstd", compression_level=LEVEL, row_group_size=ROWS_A_GROUP)
    return AddAction(
        path=f"{folder}/{name}" if folder else name,
        size=path.stat().st_size,
        partition_values=values,
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps(_stats(rows)),
    )


def _stats(rows: pl.DataFrame) -> dict[str, object]:
    """What Delta keeps of a file: its rows, and the least and greatest of its days (others stand in the file)."""
    days = [name for name, kind in rows.schema.items() if kind == pl.Date]
    known = [name for name in days if rows[name].null_count() < rows.height]
    return {
        "numRecords": rows.height,
        "minValues": {name: str(rows[name].min()) for name in known},
        "maxValues": {name: str(rows[name].max()) for name in known},
        "nullCount": {name: rows[name].null_count() for name in days},
    }
