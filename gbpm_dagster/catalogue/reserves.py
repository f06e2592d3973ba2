"""Reserves and the cost of balancing: transparency data of the system operator."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Column, Completeness, Dataset, Family, Freshness, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import HALF_HOURLY, NUM, POLLED, days, published
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "balancing/reserves"

BMRS_ABUC = Dataset(
    table="bmrs_abuc",
    code="ABUC",
    family=NAME,
    title="Balancing reserves under contract",
    description="Reserve (MW) under contract by type, source and direction (transparency code B1720).",
    endpoint=published("/datasets/ABUC", days(731), "spec"),
    key=("settlementDate", "businessType", "psrType", "marketAgreementType", "flowDirection", "documentId"),
    version=("documentRevisionNumber", "publishTime"),
    nullable_key=("businessType", "psrType", "marketAgreementType", "flowDirection"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.OPTIONAL,
    published="daily",
    inferred=("rows_per_day", "published"),
    aliases=("bmrs_b1720",),
    iris_code="ABUC",
    importance=8,
    notes=("A revision of a document is a vintage of the same row.",),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! businessType psrType "
        "marketAgreementType flowDirection settlementDate! quantity!"
    ),
)


BMRS_PPBR = Dataset(
    table="bmrs_ppbr",
    code="PPBR",
    family=NAME,
    title="Prices of procured reserves",
    description="What reserve cost by type, source and direction (transparency code B1730).",
    endpoint=published("/datasets/PPBR", days(731), "spec"),
    key=("settlementDate", "psrType", "marketAgreementType", "flowDirection", "documentId"),
    version=("documentRevisionNumber", "publishTime"),
    nullable_key=("psrType", "marketAgreementType", "flowDirection"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.OPTIONAL,
    published="daily",
    inferred=("rows_per_day", "published"),
    aliases=("bmrs_b1730",),
    iris_code="PPBR",
    importance=8,
    notes=("The unit of amount is inferred.",),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! psrType marketAgreementType "
        "flowDirection settlementDate! amount!",
        Column("amount", NUM, "Amount", unit="GBP/MW?", nullable=False),
    ),
)


BMRS_PBC = Dataset(
    table="bmrs_pbc",
    code="PBC",
    family=NAME,
    title="Procured balancing capacity",
    description="Balancing capacity procured (MW) and its price.",
    endpoint=published("/datasets/PBC", days(1), "spec"),
    key=("settlementDate", "settlementPeriod", "timeSeriesId", "flowDirection", "psrType", "documentId"),
    version=("documentRevisionNumber", "publishTime"),
    nullable_key=("timeSeriesId", "flowDirection", "psrType"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.OPTIONAL,
    published="daily",
    inferred=("rows_per_day", "published"),
    iris_code="PBC",
    importance=8,
    notes=("The unit of procurementPrice is inferred.",),
    columns=columns(
        "dataset documentId timeSeriesId documentRevisionNumber! publishTime! flowDirection psrType "
        "quantity! procurementPrice! startTime! settlementDate! settlementPeriod!"
    ),
)


BMRS_AOBE = Dataset(
    table="bmrs_aobe",
    code="AOBE",
    family=NAME,
    title="Accepted offered balancing energy",
    description="Balancing energy offered and accepted, by direction.",
    endpoint=published("/datasets/AOBE", days(7), "spec"),
    key=("settlementDate", "settlementPeriod", "timeSeriesId", "flowDirection", "documentId"),
    version=("documentRevisionNumber", "publishTime"),
    nullable_key=("timeSeriesId", "flowDirection"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.OPTIONAL,
    published="per settlement period",
    inferred=("rows_per_day", "published"),
    iris_code="AOBE",
    importance=8,
    notes=("The units are inferred.",),
    columns=columns(
        "dataset documentId timeSeriesId documentRevisionNumber! publishTime! flowDirection quantity! "
        "secondaryQuantity startTime! settlementDate! settlementPeriod!",
        Column("quantity", NUM, "Accepted offered energy", unit="MW?", nullable=False),
    ),
)


BMRS_BEB = Dataset(
    table="bmrs_beb",
    code="BEB",
    family=NAME,
    title="Balancing energy bids",
    description="Bids for balancing energy: quantity (MW) and price (GBP/MWh), by direction.",
    endpoint=published("/datasets/BEB", days(7), "spec"),
    key=("settlementDate", "settlementPeriod", "bidId", "flowDirection", "documentId"),
    version=("documentRevisionNumber", "publishTime"),
    nullable_key=("flowDirection",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=5_000,
    published="per settlement period",
    inferred=("rows_per_day", "published"),
    iris_code="BEB",
    importance=6,
    notes=("The unit of quantity is inferred.",),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! bidId flowDirection quantity! "
        "energyPrice! startTime! settlementDate! settlementPeriod!"
    ),
)


BMRS_CBS = Dataset(
    table="bmrs_cbs",
    code="CBS",
    family=NAME,
    title="Current balancing state",
    description="The system's imbalance (MW) and its direction as the operator saw it, minutes later.",
    endpoint=published("/datasets/CBS", days(1), "spec"),
    key=("timeFrom", "flowDirection", "documentId"),
    version=("documentRevisionNumber", "publishTime"),
    nullable_key=("flowDirection",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=POLLED,
    first_day=date(2023, 1, 1),
    tier=Tier.OPTIONAL,
    published="minutes",
    inferred=("rows_per_day", "published"),
    iris_code="CBS",
    importance=8,
    notes=("Some publications have no direction.",),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! flowDirection quantity! timeFrom! "
        "timeTo! settlementDate! settlementPeriod!"
    ),
)


BMRS_CCM = Dataset(
    table="bmrs_ccm",
    code="CCM",
    family=NAME,
    title="Cost of congestion management",
    description="What congestion cost (GBP) in a month, by measure (transparency code B1330).",
    endpoint=published("/datasets/CCM", days(731), "spec"),
    key=("year", "month", "businessType", "documentId"),
    version=("documentRevisionNumber", "publishTime"),
    nullable_key=("businessType",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("monthly", 64800, 129600, "publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.OPTIONAL,
    rows_per_day=1,
    published="monthly",
    inferred=("rows_per_day",),
    aliases=("bmrs_b1330",),
    iris_code="CCM",
    importance=8,
    notes=("Monthly: most days have no publication.",),
    columns=columns("dataset documentId documentRevisionNumber! publishTime! businessType year! month amount!"),
)


BMRS_FEIB = Dataset(
    table="bmrs_feib",
    code="FEIB",
    family=NAME,
    title="Expenses and income of balancing",
    description="The month's expenses and income (GBP) of balancing (transparency code B1790).",
    endpoint=published("/datasets/FEIB", days(367), "spec"),
    key=("year", "month", "priceDirection", "documentId"),
    version=("documentRevisionNumber", "publishTime"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("monthly", 64800, 129600, "publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.OPTIONAL,
    published="monthly",
    inferred=("rows_per_day",),
    aliases=("bmrs_b1790",),
    iris_code="FEIB",
    importance=8,
    notes=(
        "Monthly: most days have no publication.",
        "priceDirection says which of the two a row is.",
    ),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! status year! month amount! priceDirection"
    ),
)


FAMILY = Family(
    NAME,
    "Reserves and their cost",
    (
        BMRS_ABUC,
        BMRS_PPBR,
        BMRS_PBC,
        BMRS_AOBE,
        BMRS_BEB,
        BMRS_CBS,
        BMRS_CCM,
        BMRS_FEIB,
    ),
    about="What reserve was contracted and procured, at what price, and what balancing cost. Asked by publication; a document's revision is a vintage.",
    examples=EXAMPLES[NAME],
)
