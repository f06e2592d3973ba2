"""Priced acceptances of one settlement day from its notifications, levels and bid-offer pairs (domain.md 4).

Belongs here: the order of steps and the final columns. Not here: the rules (profiles, stack, pricing, flags), reading
tables (day).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from gbpm_dagster.analytics.acceptances import flags, pricing
from gbpm_dagster.analytics.acceptances.profiles import cut_at_crossings, notified_levels, steps
from gbpm_dagster.analytics.acceptances.segments import UNIT, Grid, Ints, clipped, period_bounds, with_unit
from gbpm_dagster.analytics.acceptances.stack import known_pairs, stack, volumes
from gbpm_dagster.catalogue.derived import BMRS_BOALF_COMPLETE, BMRS_BOALF_COMPLETE_PAIRS
from gbpm_dagster.market.calendar import day_bounds, periods_in_day
from gbpm_dagster.warehouse.protocol import FETCHED_AT, derived_schema

ACCEPTANCE_SCHEMA = derived_schema(BMRS_BOALF_COMPLETE)
PAIR_SCHEMA = derived_schema(BMRS_BOALF_COMPLETE_PAIRS)
IDENTITY = (UNIT, "acceptanceTime", "acceptanceNumber")
"""What makes an acceptance one, in the order in which a unit's acceptances follow each other."""

NUMBER = "_number"
"""Of a unit among those of the day."""

DELETED = "DEL"
_AMENDMENTS = ("ORI", "INS", "UPD", DELETED)
_FLAGS = {"so_flag": "soFlag", "stor_flag": "storFlag", "rr_flag": "rrFlag", "deemed_bo_flag": "deemedBoFlag"}


@dataclass(frozen=True, slots=True)
class Priced:
    """rows: ACCEPTANCE_SCHEMA; pairs: PAIR_SCHEMA; both sorted by unit, acceptance, period, side."""

    rows: pl.DataFrame
    pairs: pl.DataFrame


def priced_acceptances(
    pn: pl.DataFrame, boalf: pl.DataFrame, bod: pl.DataFrame, day: date, *, loss_multiplier: float = 1.0
) -> Priced:
    """Every acceptance that has a level on that London day, by period and side, with exact volume and price.

    pn, bod: rows of that settlement date; boalf: rows whose levels may reach into the day, also from the day before.
    Columns as the catalogue has them, and `_fetched_at`; each table holds its newest vintages only. Withdrawn levels
    (`amendmentFlag` DEL) are left out. Where PN or BOD lack, volume, price and cash are null and `unmatched_reason`
    says why. Source: market/domain.md 4.1 to 4.8.
    """
    begin, finish = day_bounds(day)
    reaches = (pl.col("timeFrom") < finish) & (pl.col("timeTo") > begin) & (pl.col("timeTo") > pl.col("timeFrom"))
    levels = with_unit(boalf).filter(pl.col("amendmentFlag").ne_missing(DELETED) & reaches)
    if levels.is_empty():
        return Priced(pl.DataFrame(schema=ACCEPTANCE_SCHEMA), pl.DataFrame(schema=PAIR_SCHEMA))
    units = levels.select(UNIT).unique().sort(UNIT).with_row_index(NUMBER)
    levels = levels.join(units, on=UNIT)
    acceptances = _acceptances(levels)
    taken = levels.select(IDENTITY).join(acceptances, on=IDENTITY, how="left", maintain_order="left")
    notified = with_unit(pn).join(units, on=UNIT)
    offered = known_pairs(with_unit(bod).join(units, on=UNIT))
    accepted = clipped(levels, _numbers(levels), day)
    notified_lines = clipped(notified, _numbers(notified), day)
    offered_lines = clipped(offered, _numbers(offered), day, period_bounds(offered, day))

    length = periods_in_day(day)
    grid = Grid(units.height, length, [accepted, notified_lines, offered_lines])
    order = taken.get_column("acceptance").to_numpy()[accepted.row]
    coarse = Grid(units.height, length, [offered_lines])
    cut = cut_at_crossings(steps(grid, coarse, accepted, order, notified_levels(grid, notified_lines)))
    bands = stack(coarse, offered_lines, offered)
    energy = volumes(cut, bands)
    names, place = pricing.groups(cut, grid, length)
    pairs = pricing.by_pair(names, place, cut, energy, bands, length)
    periods = pricing.by_period(names, place, cut, energy, bands, length)
    found = periods.join(acceptances, on="acceptance").with_columns(pl.lit(day).alias("settlementDate"))
    found = _with_stamps(found, notified, offered)
    return Priced(_rows(found, pairs, loss_multiplier), _pairs(found, pairs, loss_multiplier))


def _numbers(rows: pl.DataFrame) -> Ints:
    return rows.get_column(NUMBER).cast(pl.Int64).to_numpy()


def _acceptances(levels: pl.DataFrame) -> pl.DataFrame:
    """One row an acceptance, in order, with its place in it, its flags and lineage."""
    rank = pl.col("amendmentFlag").replace_strict(
        {w: i for i, w in enumerate(_AMENDMENTS)}, default=-1, return_dtype=pl.Int8
    )
    return (
        levels.group_by(IDENTITY)
        .agg(
            pl.col("bmUnit", "nationalGridBmUnit").drop_nulls().first(),
            pl.col(NUMBER).first(),
            *(pl.col(name).any(ignore_nulls=False).alias(flag) for flag, name in _FLAGS.items()),
            pl.col(FETCHED_AT).max().alias("boalf_fetched_at"),
            pl.col("amendmentFlag").sort_by(rank).last().alias("boalf_amendment_flag"),
        )
        .sort(IDENTITY)
        .with_row_index("acceptance")
        .with_columns(pl.col("acceptance").cast(pl.Int64))
    )


def _with_stamps(found: pl.DataFrame, notified: pl.DataFrame, offered: pl.DataFrame) -> pl.DataFrame:
    """Newest receipt of what was used, by unit and period."""
    for rows, name in ((notified, "pn_fetched_at"), (offered, "bod_fetched_at")):
        stamp = rows.group_by(NUMBER, "settlementPeriod").agg(pl.col(FETCHED_AT).max().alias(name))
        found = found.join(stamp, on=[NUMBER, "settlementPeriod"], how="left")
    return found


def _rows(found: pl.DataFrame, pairs: pl.DataFrame, loss_multiplier: float) -> pl.DataFrame:
    key = list(pricing.KEY)
    sides = pairs.group_by(*key, "side").agg(pl.col("volume_mwh", "cashflow_gbp").sum())
    gross = pairs.group_by(key).agg(pl.col("volume_mwh").abs().sum().alias("gross_mwh"))
    known = pl.col("has_pn") & pl.col("has_bod")
    rows = (
        found.join(sides, on=key, how="left")
        .join(gross, on=key, how="left")
        .with_columns(
            pl.col("side").fill_null(pricing.NONE),
            pl.col("gross_mwh").fill_null(0.0),
            pl.when(known).then(pl.col("volume_mwh", "cashflow_gbp").fill_null(0.0)),
            pl.when(pl.col("has_pn")).then("residual_mwh").alias("residual_mwh"),
            pl.lit(loss_multiplier).alias("loss_multiplier"),
        )
    )
    rows = rows.with_columns(
        pl.col("side").alias("acceptanceType"),
        pl.col("volume_mwh").abs().alias("acceptanceVolume"),
        pl.when(pl.col("side") != pricing.NONE)
        .then(pl.col("cashflow_gbp").fill_nan(None) / pl.col("volume_mwh"))
        .alias("acceptancePrice"),
        (pl.col("cashflow_gbp") * loss_multiplier).fill_nan(None).alias("cashflow_gbp"),
        flags.unmatched_reason(
            pl.col("has_pn"), pl.col("has_bod"), pl.col("gross_mwh"), pl.col("residual_mwh")
        ).alias("unmatched_reason"),
        flags.is_payable(pl.col("has_pn"), pl.col("has_bod"), pl.col("volume_mwh")).alias("is_payable"),
        pl.when(known).then(pl.lit("BOD")).otherwise(pl.lit("none")).alias("price_source"),
    )
    rows = rows.with_columns(
        flags.validation_flag(
            pl.col("so_flag"), pl.col("unmatched_reason"), pl.col("volume_mwh"), pl.col("acceptancePrice")
        ).alias("validation_flag")
    )
    return rows.sort(*key, "side").select(pl.col(c).cast(t) for c, t in ACCEPTANCE_SCHEMA.items())


def _pairs(found: pl.DataFrame, pairs: pl.DataFrame, loss_multiplier: float) -> pl.DataFrame:
    key = list(pricing.KEY)
    rows = pairs.join(found.select(*key, "settlementDate", *IDENTITY, "bmUnit", "nationalGridBmUnit"), on=key)
    cash = pl.col("cashflow_gbp").fill_nan(None)
    rows = rows.with_columns(
        (cash / pl.col("volume_mwh")).alias("price_gbp_per_mwh"), (cash * loss_multiplier).alias("cashflow_gbp")
    )
    return rows.sort(*key, "side", "pair_id").select(pl.col(c).cast(t) for c, t in PAIR_SCHEMA.items())
