"""The recorded wind day 2022-01-01 as frames: 156 units, real notifications, acceptances and prices."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from functools import lru_cache

import polars as pl

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.demo.replay_recordings import load
from gbpm_dagster.warehouse.protocol import FETCHED_AT, INSTANT, frame_schema

DAY = date(2022, 1, 1)


@lru_cache(maxsize=3)
def recorded(table: str) -> pl.DataFrame:
    """Rows of bmrs_pn, bmrs_boalf or bmrs_bod of DAY, as the catalogue types them, and `_fetched_at`."""
    schema = frame_schema(DATASETS[table])
    bodies = load(tables=[table])[table].filter(pl.col("day") == DAY).get_column("body")
    rows = [json.loads(b) for b in bodies]
    typed = [
        {c: datetime.fromisoformat(r[c]) if schema[c] == INSTANT else r[c] for c in schema if r.get(c) is not None}
        for r in rows
    ]
    for row in typed:
        row["settlementDate"] = date.fromisoformat(row["settlementDate"])
    fetched = pl.lit(datetime(2022, 1, 3, tzinfo=UTC)).cast(INSTANT).alias(FETCHED_AT)
    return pl.DataFrame(typed, schema=schema).with_columns(fetched)
