"""From the bytes of an answer to typed rows.

Belongs here: the choice between the fast and the exact path, and the London day of a row. Not here: windows, HTTP.
"""

from __future__ import annotations

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Kind
from gbpm_dagster.elexon import exact, fast
from gbpm_dagster.elexon.envelope import NotRows
from gbpm_dagster.elexon.exact import Decoded

__all__ = ["Decoded", "NotRows", "decode", "partition_days"]


def decode(dataset: Dataset, body: bytes) -> Decoded:
    """The rows of an answer in the catalogue's types, without the window check; raises NotRows (a ValueError)."""
    return fast.read(dataset, body) or exact.read(dataset, body)


def partition_days(dataset: Dataset, rows: pl.DataFrame) -> pl.Series:
    """The London day (Date) of each row's partition field; all null for snapshots."""
    if not dataset.partition_field:
        return pl.Series("day", [None], dtype=pl.Date).new_from_index(0, rows.height)
    return london_days(rows.get_column(dataset.partition_field), dataset.column(dataset.partition_field).kind)


def london_days(series: pl.Series, kind: Kind) -> pl.Series:
    """The London day (Date) of a date or instant column."""
    return series if kind is Kind.DATE else series.dt.convert_time_zone("Europe/London").dt.date()
