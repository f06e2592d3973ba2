"""The tables that are computed from others: their columns, types, units, meanings and what they are computed from.

Belongs here: what a reader must know of such a table. Not here: how it comes to be (analytics), Elexon's tables (one
module a family), or what is a SELECT over them (views).
"""

from __future__ import annotations

from dataclasses import dataclass

from gbpm_dagster.catalogue.model import Column, Kind

ACCEPTANCES, ACCEPTANCE_PAIRS = "bmrs_boalf_complete", "bmrs_boalf_complete_pairs"


@dataclass(frozen=True, slots=True)
class Derived:
    """A table of ours, replaced day by day from the rows of others.

    key: unique within a settlement date, nulls compare as equal. inputs: tables it is computed from.
    """

    table: str
    title: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    inputs: tuple[str, ...]


_S, _I, _N, _B, _D, _T = Kind.STRING, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.DATE, Kind.INSTANT

_WHO = (
    Column("settlementDate", _D, "Settlement date", nullable=False),
    Column("settlementPeriod", _I, "Settlement period, 1 to 46, 48 or 50", nullable=False),
    Column("bmUnit", _S, "Elexon's id of the unit, null where the source has none"),
    Column("nationalGridBmUnit", _S, "National Grid's id of the unit"),
    Column("acceptanceNumber", _I, "Unique within a unit and time only", nullable=False),
    Column("acceptanceTime", _T, "When it was given; orders acceptances, then the number", nullable=False),
    Column("side", _S, "OFFER (up), BID (down), NONE (no change of level, or unknown)", nullable=False),
)
_CASH = Column("cashflow_gbp", _N, "Volume x price x loss multiplier; above zero: paid to the unit's party", "GBP")
_INPUTS = ("bmrs_pn", "bmrs_boalf", "bmrs_bod")
_UNIQUE = ("nationalGridBmUnit", "bmUnit", "acceptanceNumber", "acceptanceTime", "settlementPeriod", "side")

BMRS_BOALF_COMPLETE = Derived(
    ACCEPTANCES,
    "Acceptances with volume and price",
    "What each acceptance did to its unit's level in a settlement period, up and down, in MWh, priced by the bid-offer "
    "pairs it went through. Revenue is SUM(cashflow_gbp) over is_payable; validation_flag is a label, not a filter.",
    (
        *_WHO,
        Column("acceptanceType", _S, "Older name of side"),
        Column("volume_mwh", _N, "Energy it adds to the acceptances before it: offers above, bids below zero", "MWh"),
        Column("acceptanceVolume", _N, "Older name: volume_mwh without its sign", "MWh"),
        Column("acceptancePrice", _N, "Mean price of the pairs by volume; null without volume", "GBP/MWh"),
        _CASH,
        Column("residual_mwh", _N, "Energy beyond the last pair, of both sides: it has no price", "MWh"),
        Column("loss_multiplier", _N, "Transmission loss multiplier of cashflow_gbp; 1 where it is not known"),
        Column("level_from_mw", _N, "Accepted level at its first instant in the period", "MW"),
        Column("level_to_mw", _N, "Accepted level at its last instant in the period", "MW"),
        Column("so_flag", _B, "Taken for system reasons; paid like any other"),
        Column("stor_flag", _B, "Of a unit delivering Short Term Operating Reserve"),
        Column("rr_flag", _B, "From an activation of replacement reserve"),
        Column("deemed_bo_flag", _B, "Deemed to have been given, as by an emergency instruction"),
        Column("validation_flag", _S, "SO_Test, Unmatched, Low_Volume, Price_Outlier or Valid"),
        Column("is_payable", _B, "Has PN, BOD and at least 0.001 MWh: what revenue is summed over"),
        Column("unmatched_reason", _S, "no_pn, no_bod or outside_stack; null where all of it has a price"),
        Column("price_source", _S, "BOD, or none where nothing has a price"),
        Column("pn_fetched_at", _T, "Newest receipt of the notifications used"),
        Column("boalf_fetched_at", _T, "Newest receipt of the acceptance's levels"),
        Column("boalf_amendment_flag", _S, "Greatest amendmentFlag of the acceptance's levels"),
        Column("bod_fetched_at", _T, "Newest receipt of the bid-offer pairs used"),
    ),
    _UNIQUE,
    _INPUTS,
)

BMRS_BOALF_COMPLETE_PAIRS = Derived(
    ACCEPTANCE_PAIRS,
    "Acceptances by bid-offer pair",
    "The volumes of bmrs_boalf_complete by the pair whose band they lie in. A pair can have both signs: what undoes an "
    "offer is a bid on the same pair, at its bid price.",
    (
        *_WHO,
        Column("pair_id", _I, "-6..-1, 1..6: the pair whose band the energy lies in", nullable=False),
        Column("volume_mwh", _N, "Energy in the pair's band: offers above, bids below zero", "MWh"),
        Column(
            "price_gbp_per_mwh", _N, "The pair's offer price for energy up, its bid price for energy down", "GBP/MWh"
        ),
        _CASH,
    ),
    (*_UNIQUE, "pair_id"),
    _INPUTS,
)

DERIVED: dict[str, Derived] = {d.table: d for d in (BMRS_BOALF_COMPLETE, BMRS_BOALF_COMPLETE_PAIRS)}
