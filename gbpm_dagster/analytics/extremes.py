"""The dearest and the cheapest settlement periods of a frame of system prices.

Belongs here: a pure function and the label of a period on London's clock. Not here: reading tables (`answers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from gbpm_dagster.market.calendar import LONDON, sp_bounds


@dataclass(frozen=True, slots=True)
class PricedPeriod:
    """A settlement period and its system price.

    start: UTC. clock: London's, e.g. `17:00–17:30 GMT`, for people, never a key.
    """

    settlement_date: date
    settlement_period: int
    price_gbp_per_mwh: float
    start: datetime
    clock: str


@dataclass(frozen=True, slots=True)
class Extremes:
    """dearest: highest price first; cheapest: lowest first; of equal prices the earlier period first."""

    dearest: tuple[PricedPeriod, ...]
    cheapest: tuple[PricedPeriod, ...]


def clock_label(day: date, period: int) -> str:
    """The period on London's clock with its zone: `01:00–01:30 BST`, across a change `01:30 BST–01:00 GMT`.

    The zone tells apart the labels which the October day has twice. ValueError if the day has no such period.
    """
    start, end = (instant.astimezone(LONDON) for instant in sp_bounds(day, period))
    if start.tzname() == end.tzname():
        return f"{start:%H:%M}–{end:%H:%M %Z}"
    return f"{start:%H:%M %Z}–{end:%H:%M %Z}"


def extremes(costs: pl.DataFrame, n: int = 3) -> Extremes:
    """The n dearest and n cheapest settlement periods (fewer if the frame has fewer).

    costs: columns settlementDate, settlementPeriod, systemSellPrice (GBP/MWh); null prices are left out.
    Raises ValueError if n < 1, or if a day has no such period.
    """
    if n < 1:
        raise ValueError(f"at least one period is asked for, not {n}")
    rows = costs.select("settlementDate", "settlementPeriod", pl.col("systemSellPrice").cast(pl.Float64)).drop_nulls()
    order = ["systemSellPrice", "settlementDate", "settlementPeriod"]
    return Extremes(
        _periods(rows.sort(order, descending=[True, False, False]).head(n)), _periods(rows.sort(order).head(n))
    )


def _periods(rows: pl.DataFrame) -> tuple[PricedPeriod, ...]:
    return tuple(
        PricedPeriod(day, period, price, sp_bounds(day, period)[0], clock_label(day, period))
        for day, period, price in rows.iter_rows()
    )
