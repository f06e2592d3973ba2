"""The recorded day 2024-01-03 as frames, and a warehouse that holds frames."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import polars as pl

from gbpm_dagster.catalogue import DATASETS, Dataset
from gbpm_dagster.warehouse.protocol import Warehouse, frame_schema

DAY = date(2024, 1, 3)
_FOLDER = Path(__file__).parents[1] / "data" / "2024-01-03"
_FILES = {"bmrs_fuelhh": "FUELHH", "bmrs_costs": "system-prices", "bmrs_mid": "MID"}


def frame(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as the catalogue types them; dates may be ISO text, fields not given are null."""
    schema = frame_schema(DATASETS[table])
    texts = [n for n, kind in schema.items() if isinstance(kind, pl.Datetime)]
    raw = pl.DataFrame(
        {c: [r.get(c) for r in rows] for c in schema},
        schema={c: pl.String if c in texts else t for c, t in schema.items() if c != "settlementDate"}
        | {"settlementDate": pl.String},
        strict=False,
    )
    instants = [pl.col(c).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC") for c in texts]
    return raw.with_columns(pl.col("settlementDate").str.to_date(), *instants).select(list(schema))


@lru_cache(maxsize=4)
def recorded(table: str) -> pl.DataFrame:
    return frame(table, json.loads(gzip.decompress((_FOLDER / f"{_FILES[table]}.json.gz").read_bytes()))["data"])


class Frames:
    """Reads like a warehouse; everything else of the protocol is absent."""

    def __init__(self, frames: Mapping[str, pl.DataFrame]) -> None:
        self.frames = frames

    def read(
        self,
        dataset: Dataset,
        start: date | None = None,
        end: date | None = None,
        columns: Collection[str] | None = None,
    ) -> pl.DataFrame:
        held = self.frames.get(dataset.table, pl.DataFrame(schema=frame_schema(dataset)))
        rows = held.filter(pl.col("settlementDate").is_between(start or date.min, end or date.max))
        return rows.select(list(columns or rows.columns))


def warehouse(*tables: str) -> Warehouse:
    return cast(Warehouse, Frames({t: recorded(t) for t in tables}))
