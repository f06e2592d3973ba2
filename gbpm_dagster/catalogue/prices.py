"""Prices: imbalance (system) prices and the wholesale market index."""

from __future__ import annotations

from datetime import date, timedelta

from gbpm_dagster.catalogue.model import (
    Column,
    Completeness,
    Dataset,
    Endpoint,
    Family,
    Lag,
    Member,
    Rule,
    Style,
)
from gbpm_dagster.catalogue.terms import DATE, FLAG, HALF_HOURLY, INSTANT, INT, NUM, TEXT

BMRS_COSTS = Dataset(
    table="bmrs_costs",
    code="DISEBSP",
    family="prices",
    title="System prices",
    description="Imbalance (system) prices and the volumes behind them, one row a settlement period, as the latest settlement run has them.",
    endpoint=Endpoint(
        "/balancing/settlement/system-prices/{settlementDate}",
        Style.DATE,
        ("settlementDate",),
        selects="settlementDate",
        cap=timedelta(days=1),
        cap_source="date in the path",
    ),
    key=("settlementDate", "settlementPeriod"),
    version=("createdDateTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS, values=("systemSellPrice", "systemBuyPrice")),
    lag=Lag.minutes(60, 120, 2880),
    freshness=HALF_HOURLY("startTime"),
    first_day=date(2016, 1, 1),
    rows_per_day=48,
    bytes_per_row=620,
    iris_code="DISEBSP",
    importance=1,
    notes=(
        "SSP equals SBP since November 2015 (P305): checked within 0.01 GBP/MWh.",
        "netImbalanceVolume positive = system short, negative = long.",
        "The API serves the latest run only: what a re-run replaces goes to bmrs_costs_vintages.",
    ),
    columns=(
        Column("settlementDate", DATE, "Settlement day (London calendar day)", nullable=False),
        Column(
            "settlementPeriod",
            INT,
            "Settlement period of the settlement day, 1..46, 48 or 50",
            nullable=False,
        ),
        Column("startTime", INSTANT, "Start of the period the value is for, UTC", nullable=False),
        Column("createdDateTime", INSTANT, "When the settlement calculation made the row, UTC", nullable=False),
        Column("systemSellPrice", NUM, "System sell price (SSP)", unit="GBP/MWh", nullable=False),
        Column("systemBuyPrice", NUM, "System buy price (SBP)", unit="GBP/MWh", nullable=False),
        Column("bsadDefaulted", FLAG, "Balancing services adjustment data was defaulted", nullable=False),
        Column("priceDerivationCode", TEXT, "How the price was derived (code)"),
        Column("reserveScarcityPrice", NUM, "Reserve scarcity price", unit="GBP/MWh"),
        Column(
            "netImbalanceVolume",
            NUM,
            "Net imbalance volume; positive = system short, negative = long",
            unit="MWh",
            nullable=False,
        ),
        Column("sellPriceAdjustment", NUM, "Sell price adjustment (SPA)", unit="GBP/MWh"),
        Column("buyPriceAdjustment", NUM, "Buy price adjustment (BPA)", unit="GBP/MWh"),
        Column("replacementPrice", NUM, "Replacement price", unit="GBP/MWh"),
        Column("replacementPriceReferenceVolume", NUM, "Replacement price reference volume", unit="MWh"),
        Column("totalAcceptedOfferVolume", NUM, "Total accepted offer volume", unit="MWh"),
        Column("totalAcceptedBidVolume", NUM, "Total accepted bid volume", unit="MWh"),
        Column("totalAdjustmentSellVolume", NUM, "Total adjustment sell volume", unit="MWh"),
        Column("totalAdjustmentBuyVolume", NUM, "Total adjustment buy volume", unit="MWh"),
        Column(
            "totalSystemTaggedAcceptedOfferVolume",
            NUM,
            "Total system tagged accepted offer volume",
            unit="MWh",
        ),
        Column("totalSystemTaggedAcceptedBidVolume", NUM, "Total system tagged accepted bid volume", unit="MWh"),
        Column(
            "totalSystemTaggedAdjustmentSellVolume",
            NUM,
            "Total system tagged adjustment sell volume",
            unit="MWh",
        ),
        Column(
            "totalSystemTaggedAdjustmentBuyVolume",
            NUM,
            "Total system tagged adjustment buy volume",
            unit="MWh",
        ),
    ),
)


BMRS_MID = Dataset(
    table="bmrs_mid",
    code="MID",
    family="prices",
    title="Market index data",
    description="Wholesale market index: price and volume of short-term trades, one row a settlement period and provider. Not the system price.",
    endpoint=Endpoint(
        "/datasets/MID",
        Style.RANGE,
        ("from", "to"),
        selects="startTime",
        cap=timedelta(days=7),
        cap_source="API 400 body",
    ),
    key=("dataProvider", "settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(
        Rule.PERIODS,
        member_column="dataProvider",
        members=(Member("APXMIDP"), Member("N2EXMIDP")),
        values=("price", "volume"),
    ),
    lag=Lag.minutes(60, 120, 2880),
    freshness=HALF_HOURLY("startTime"),
    rows_per_day=96,
    bytes_per_row=150,
    iris_code="MID",
    importance=1,
    notes=(
        "N2EXMIDP is often 0 price and 0 volume: leave rows with both zero out of averages.",
        "The message key and the path agree; the IRIS archive also calls it mibm_mid.",
    ),
    columns=(
        Column("dataset", TEXT, "Dataset code of the row"),
        Column("startTime", INSTANT, "Start of the period the value is for, UTC", nullable=False),
        Column("dataProvider", TEXT, "Market index data provider (APXMIDP, N2EXMIDP)"),
        Column("settlementDate", DATE, "Settlement day (London calendar day)", nullable=False),
        Column(
            "settlementPeriod",
            INT,
            "Settlement period of the settlement day, 1..46, 48 or 50",
            nullable=False,
        ),
        Column("price", NUM, "Price", unit="GBP/MWh", nullable=False),
        Column("volume", NUM, "Volume", unit="MWh", nullable=False),
    ),
)


FAMILY = Family(
    "prices",
    "Prices",
    (
        BMRS_COSTS,
        BMRS_MID,
    ),
)
