"""From the bytes of an answer to typed rows.

Belongs here: the choice between the fast and the exact path, and the London day of a row. Not here: windows, HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Kind
from gbpm_dagster.elexon import exact, fast
from gbpm_dagster.elexon.envelope import NotRows
from gbpm_dagster.elexon.exact import NOTHING, Decoded
from gbpm_dagster.elexon.plan import Window
from gbpm_dagster.market.calendar import day_bounds, days, london_day
from gbpm_dagster.warehouse.protocol import INSTANT

__all__ = ["Decoded", "NotRows", "decode", "given", "partition_days"]

MOST_DAYS = 1000
"""Above so many days between the first and the last instant they are converted one by one."""

SMALL = 10_000
"""Bodies of up to so many bytes (about 40 rows) are read row by row in less time than polars needs to begin."""


def decode(dataset: Dataset, body: bytes, given: Mapping[str, str] = NOTHING) -> Decoded:
    """The rows of an answer in the catalogue's types, without the window check; raises NotRows (a ValueError).

    given: columns that the rows do not have, as they were part of the request, with their one value.
    """
    quick = fast.read(dataset, body, given) if len(body) > SMALL else None
    return quick or exact.read(dataset, body, given)


def given(dataset: Dataset, window: Window) -> dict[str, str]:
    """What the request says of every row of its answer: the value of `Endpoint.each`, if it is a column."""
    each = dataset.endpoint.each
    return {each.column: window.choice} if each and each.column else {}


def partition_days(dataset: Dataset, rows: pl.DataFrame) -> pl.Series:
    """The London day (Date) of each row's partition field; all null for snapshots."""
    if not dataset.partition_field:
        return pl.Series("day", [None], dtype=pl.Date).new_from_index(0, rows.height)
    return london_days(rows.get_column(dataset.partition_field), dataset.column(dataset.partition_field).kind)


def london_days(series: pl.Series, kind: Kind) -> pl.Series:
    """The London day (Date) of a date or instant column."""
    if kind is Kind.DATE:
        return series
    low, high = series.min(), series.max()
    if series.null_count() or not isinstance(low, datetime) or not isinstance(high, datetime):
        return series.dt.convert_time_zone("Europe/London").dt.date()
    first, last = london_day(low), london_day(high)
    if (last - first).days > MOST_DAYS:
        return series.dt.convert_time_zone("Europe/London").dt.date()
    # A look-up among the few midnights: converting each instant to local time takes longer than parsing its text.
    midnights = pl.Series([day_bounds(day)[0] for day in days(first, last)], dtype=INSTANT).to_physical()
    place = midnights.search_sorted(series.to_physical(), side="right").cast(pl.Int32) - 1
    return (place + (first - date(1970, 1, 1)).days).cast(pl.Date)
