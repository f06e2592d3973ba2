"""Wholesale against imbalance: the market index, the spread and its summary (market/domain.md 6.7).

Belongs here: pure functions over frames. Not here: reading tables (`answers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

KEYS = ("settlementDate", "settlementPeriod")

EQUAL_WITHIN = 1e-6
"""GBP/MWh: prices nearer than this are equal; the index is a quotient of floats and carries their rounding."""


def market_index(mid: pl.DataFrame) -> pl.DataFrame:
    """The index of each settlement period that has rows, in order of time.

    mid: columns settlementDate, settlementPeriod, price (GBP/MWh), volume (MWh), a row a provider.
    Returns the two keys, market_index_gbp_per_mwh, volume_mwh and method: `weighted` by volume; `unweighted` mean if
    no kept row has volume; `none` (null index) if no row is kept. A row is dropped only if price and volume are both
    zero (the provider is silent) or either is null: a price of 0 with volume is real, so are negative prices.
    """
    price, volume = pl.col("price").cast(pl.Float64), pl.col("volume").cast(pl.Float64)
    kept = price.is_not_null() & volume.is_not_null() & ~((price == 0) & (volume == 0))
    total, worth = pl.col("_volume"), pl.col("_worth")
    return (
        mid.group_by(*KEYS)
        .agg(
            volume.filter(kept).sum().alias("_volume"),
            (price * volume).filter(kept).sum().alias("_worth"),
            price.filter(kept).mean().alias("_mean"),
            kept.any().alias("_any"),
        )
        .select(
            *KEYS,
            pl.when(total > 0).then(worth / total).otherwise(pl.col("_mean")).alias("market_index_gbp_per_mwh"),
            pl.when(total > 0).then(total).otherwise(0.0).alias("volume_mwh"),
            pl.when(total > 0)
            .then(pl.lit("weighted"))
            .when(pl.col("_any"))
            .then(pl.lit("unweighted"))
            .otherwise(pl.lit("none"))
            .alias("method"),
        )
        .sort(*KEYS)
    )


def spread(costs: pl.DataFrame, mid: pl.DataFrame) -> pl.DataFrame:
    """System price minus market index, of every settlement period either side has, in order of time.

    costs: columns settlementDate, settlementPeriod, systemSellPrice (GBP/MWh; equal to the buy price since 2015);
    mid: as in `market_index`. Returns the keys, system_price_gbp_per_mwh, market_index_gbp_per_mwh, volume_mwh (of
    the index), method, spread_gbp_per_mwh: null, never zero, where either price is absent.
    Raises ValueError if a period has two system prices.
    """
    if costs.select(*KEYS).is_duplicated().any():
        raise ValueError("a settlement period has two system prices: give the current rows, one a period")
    price = pl.col("systemSellPrice").cast(pl.Float64).alias("system_price_gbp_per_mwh")
    both = costs.select(*KEYS, price).join(market_index(mid), on=list(KEYS), how="full", coalesce=True)
    difference = pl.col("system_price_gbp_per_mwh") - pl.col("market_index_gbp_per_mwh")
    return both.with_columns(difference.alias("spread_gbp_per_mwh")).sort(*KEYS)


@dataclass(frozen=True, slots=True)
class SpreadSummary:
    """A span's spread in numbers; prices in GBP/MWh, null where nothing is there to count.

    imbalance_dearer + wholesale_dearer + equal + unmatched = periods; unmatched: either price is absent.
    mean_system_price, mean_market_index: over the periods that have that price.
    weighted_market_index: by the volume of the index; weighted_spread: the spread by the same volume.
    mean, median, p05, p95 and share_imbalance_dearer (0..1): over matched periods (quantiles interpolated linearly).
    """

    periods: int
    imbalance_dearer: int
    wholesale_dearer: int
    equal: int
    unmatched: int
    mean_system_price: float | None
    mean_market_index: float | None
    weighted_market_index: float | None
    mean_spread: float | None
    median_spread: float | None
    p05_spread: float | None
    p95_spread: float | None
    weighted_spread: float | None
    share_imbalance_dearer: float | None


def summarise(spreads: pl.DataFrame) -> SpreadSummary:
    """Counts and means of a frame of `spread`."""
    gap, volume = pl.col("spread_gbp_per_mwh"), pl.col("volume_mwh")
    index, system = pl.col("market_index_gbp_per_mwh"), pl.col("system_price_gbp_per_mwh")
    matched = gap.is_not_null()
    dearer = (gap > EQUAL_WITHIN).sum()
    row: dict[str, Any] = spreads.select(
        pl.len().alias("periods"),
        dearer.alias("imbalance_dearer"),
        (gap < -EQUAL_WITHIN).sum().alias("wholesale_dearer"),
        (gap.abs() <= EQUAL_WITHIN).sum().alias("equal"),
        (~matched).sum().alias("unmatched"),
        system.mean().alias("mean_system_price"),
        index.mean().alias("mean_market_index"),
        _weighted(index, volume).alias("weighted_market_index"),
        gap.mean().alias("mean_spread"),
        gap.median().alias("median_spread"),
        gap.quantile(0.05, "linear").alias("p05_spread"),
        gap.quantile(0.95, "linear").alias("p95_spread"),
        _weighted(gap, volume).alias("weighted_spread"),
        pl.when(matched.any()).then(dearer / matched.sum()).alias("share_imbalance_dearer"),
    ).row(0, named=True)
    return SpreadSummary(**row)


def _weighted(value: pl.Expr, weight: pl.Expr) -> pl.Expr:
    """Mean of the values there are, by weight; null without any weight."""
    there = weight.filter(value.is_not_null()).sum()
    return pl.when(there > 0).then((value * weight).sum() / there)
