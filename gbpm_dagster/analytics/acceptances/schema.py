"""The two derived tables of priced acceptances: their columns, types, units and meanings (domain.md 4.4).

Belongs here: what a reader must know of a column. Not here: how it comes to be (pricing, flags, engine).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from gbpm_dagster.warehouse.protocol import INSTANT

ACCEPTANCES, PAIRS_TABLE = "bmrs_boalf_complete", "bmrs_boalf_complete_pairs"


class Field(NamedTuple):
    """A column: its polars type, unit ("" = none) and meaning."""

    type: Any
    unit: str
    meaning: str


_WHO: dict[str, Field] = {
    "settlementDate": Field(pl.Date, "", "Settlement date"),
    "settlementPeriod": Field(pl.Int64, "", "Settlement period, 1 to 46, 48 or 50"),
    "bmUnit": Field(pl.String, "", "Elexon's id of the unit, null where the source has none"),
    "nationalGridBmUnit": Field(pl.String, "", "National Grid's id of the unit"),
    "acceptanceNumber": Field(pl.Int64, "", "Unique within a unit and time only"),
    "acceptanceTime": Field(INSTANT, "", "When the acceptance was given; orders acceptances, then the number"),
    "side": Field(pl.String, "", "OFFER (up), BID (down), NONE (the level did not change or has no price)"),
}

_CASH = Field(pl.Float64, "GBP", "Volume x price x loss multiplier; above zero: paid to the unit's party")

ACCEPTANCE_FIELDS: dict[str, Field] = {
    **_WHO,
    "acceptanceType": Field(pl.String, "", "Older name of side"),
    "volume_mwh": Field(
        pl.Float64, "MWh", "Energy the acceptance adds to those before it: above zero for offers, below for bids"
    ),
    "acceptanceVolume": Field(pl.Float64, "MWh", "Older name: volume_mwh without its sign"),
    "acceptancePrice": Field(pl.Float64, "GBP/MWh", "Mean price of the pairs by volume; null without volume"),
    "cashflow_gbp": _CASH,
    "residual_mwh": Field(
        pl.Float64, "MWh", "Energy beyond the last pair, without a price; of the acceptance and period, both sides"
    ),
    "loss_multiplier": Field(pl.Float64, "", "Transmission loss multiplier of cashflow_gbp; 1 where it is not known"),
    "level_from_mw": Field(pl.Float64, "MW", "Accepted level at the first instant in the period"),
    "level_to_mw": Field(pl.Float64, "MW", "Accepted level at the last instant in the period"),
    "so_flag": Field(pl.Boolean, "", "Taken for system reasons; paid like any other"),
    "stor_flag": Field(pl.Boolean, "", "Of a unit delivering Short Term Operating Reserve"),
    "rr_flag": Field(pl.Boolean, "", "From an activation of replacement reserve"),
    "deemed_bo_flag": Field(pl.Boolean, "", "Deemed to have been given, as by an emergency instruction"),
    "validation_flag": Field(pl.String, "", "SO_Test, Unmatched, Low_Volume, Price_Outlier or Valid: a label only"),
    "is_payable": Field(pl.Boolean, "", "Has PN, BOD and at least 0.001 MWh: what revenue is summed over"),
    "unmatched_reason": Field(pl.String, "", "no_pn, no_bod or outside_stack; null where all of it has a price"),
    "price_source": Field(pl.String, "", "BOD, or none where nothing has a price"),
    "pn_fetched_at": Field(INSTANT, "", "Newest receipt of the notifications used"),
    "boalf_fetched_at": Field(INSTANT, "", "Newest receipt of the acceptance's levels"),
    "boalf_amendment_flag": Field(pl.String, "", "Greatest amendmentFlag of the acceptance's levels"),
    "bod_fetched_at": Field(INSTANT, "", "Newest receipt of the bid-offer pairs used"),
}

PAIR_FIELDS: dict[str, Field] = {
    **_WHO,
    "pair_id": Field(pl.Int64, "", "-6..-1, 1..6: the pair whose band the energy lies in"),
    "volume_mwh": Field(pl.Float64, "MWh", "Energy in the pair's band, above zero for offers, below for bids"),
    "price_gbp_per_mwh": Field(
        pl.Float64, "GBP/MWh", "The pair's offer price for energy up, its bid price for energy down"
    ),
    "cashflow_gbp": _CASH,
}

ACCEPTANCE_SCHEMA: dict[str, Any] = {n: f.type for n, f in ACCEPTANCE_FIELDS.items()}
PAIR_SCHEMA: dict[str, Any] = {n: f.type for n, f in PAIR_FIELDS.items()}

GRAIN = ("nationalGridBmUnit", "bmUnit", "acceptanceNumber", "acceptanceTime", "settlementPeriod", "side")
"""What a row of a settlement date is unique by (with pair_id in the table of pairs)."""
