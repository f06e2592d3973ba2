"""Prices: imbalance (system) prices, the wholesale market index, trades between system operators."""

from __future__ import annotations

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.members import MID_PROVIDERS
from gbpm_dagster.catalogue.model import Completeness, Dataset, Family, Freshness, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import HALF_HOURLY, between, days, hours, in_period, on_date, published
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "prices"

BMRS_COSTS = Dataset(
    table="bmrs_costs",
    code="DISEBSP",
    family=NAME,
    title="System prices",
    description="Imbalance (system) prices and the volumes behind them, one row a settlement period, as the latest settlement run has them.",
    endpoint=on_date("/balancing/settlement/system-prices/{settlementDate}"),
    key=("settlementDate", "settlementPeriod"),
    version=("createdDateTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS, values=("systemSellPrice", "systemBuyPrice")),
    lag=Lag.minutes(60, 120, 2880),
    freshness=HALF_HOURLY("startTime"),
    rows_per_day=48,
    bytes_per_row=620,
    published="first run about 14 min after SP end, re-run next working day, then settlement runs",
    inferred=("first_day",),
    settlement=True,
    iris_code="DISEBSP",
    importance=1,
    notes=(
        "SSP equals SBP since November 2015 (P305): checked within 0.01 GBP/MWh.",
        "netImbalanceVolume positive = system short, negative = long.",
        "The API serves the latest run only: what a re-run replaces goes to bmrs_costs_vintages.",
    ),
    columns=columns(
        "settlementDate! settlementPeriod! startTime! createdDateTime! systemSellPrice! systemBuyPrice! "
        "bsadDefaulted! priceDerivationCode reserveScarcityPrice netImbalanceVolume! sellPriceAdjustment "
        "buyPriceAdjustment replacementPrice replacementPriceReferenceVolume totalAcceptedOfferVolume "
        "totalAcceptedBidVolume totalAdjustmentSellVolume totalAdjustmentBuyVolume "
        "totalSystemTaggedAcceptedOfferVolume totalSystemTaggedAcceptedBidVolume "
        "totalSystemTaggedAdjustmentSellVolume totalSystemTaggedAdjustmentBuyVolume"
    ),
)


BMRS_MID = Dataset(
    table="bmrs_mid",
    code="MID",
    family=NAME,
    title="Market index data",
    description="Wholesale market index: price and volume of short-term trades, one row a settlement period and provider. Not the system price.",
    endpoint=between("/datasets/MID", "startTime", days(7), "API 400 body"),
    key=("dataProvider", "settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(
        Rule.PERIODS, member_column="dataProvider", members=MID_PROVIDERS, values=("price", "volume")
    ),
    lag=Lag.minutes(60, 120, 2880),
    freshness=HALF_HOURLY("startTime"),
    rows_per_day=96,
    bytes_per_row=150,
    published="per settlement period",
    inferred=("first_day",),
    iris_code="MID",
    importance=1,
    notes=(
        "N2EXMIDP is often 0 price and 0 volume: leave rows with both zero out of averages.",
        "The IRIS archive also calls it mibm_mid.",
    ),
    columns=columns("dataset startTime! dataProvider settlementDate! settlementPeriod! price! volume!"),
)


BMRS_SETTLEMENT_SUMMARY = Dataset(
    table="bmrs_settlement_summary",
    code="ISPSTACK+DISEBSP+MID+NETBSAD",
    family=NAME,
    title="Settlement calculation summary",
    description="How the main price of a settlement period came about: cost, volume and value of the main and the market price.",
    endpoint=in_period(
        "/balancing/settlement/summary/{settlementDate}/{settlementPeriod}", single=True, empty_is_404=True
    ),
    key=("settlementDate", "settlementPeriod"),
    version=("createdDateTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=Lag.minutes(60, 120, 2880),
    freshness=HALF_HOURLY("createdDateTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=48,
    published="with each settlement calculation",
    inferred=("first_day",),
    settlement=True,
    importance=8,
    notes=(
        "One call a settlement period; bmrs_costs has the prices of a whole day in one.",
        "Decimals may arrive as texts.",
    ),
    columns=columns(
        "createdDateTime! settlementDate! settlementPeriod! startTime adjuster priceDerivationCode "
        "systemSellPrice systemBuyPrice mainPrice.cost mainPrice.volume mainPrice.value marketPrice.cost "
        "marketPrice.volume marketPrice.value"
    ),
)


BMRS_MARKET_DEPTH = Dataset(
    table="bmrs_market_depth",
    code="IMBALNGC+BOD+DISEBSP+DISPTAV",
    family=NAME,
    title="Market depth",
    description="Volumes offered, bid and accepted in a settlement period, beside the indicated imbalance.",
    endpoint=on_date("/balancing/settlement/market-depth/{settlementDate}"),
    key=("settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=Lag.minutes(60, 120, 2880),
    freshness=HALF_HOURLY("settlementDate"),
    tier=Tier.STANDARD,
    rows_per_day=48,
    published="with each settlement calculation",
    inferred=("first_day",),
    settlement=True,
    importance=6,
    notes=("indicatedImbalance is MW, the volumes are MWh: never add them.",),
    columns=columns(
        "settlementDate! settlementPeriod! indicatedImbalance offerVolume bidVolume "
        "totalAcceptedOfferVolume totalAcceptedBidVolume pricedAcceptedOffersVolume "
        "pricedAcceptedBidsVolume"
    ),
)


BMRS_MID_SERIES = Dataset(
    table="bmrs_mid_series",
    code="MID",
    family=NAME,
    title="Market index data, by start time",
    description="The rows of bmrs_mid under another path, without the dataset code.",
    endpoint=between("/balancing/pricing/market-index", "startTime", days(7), "API 400 body"),
    key=("dataProvider", "settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(
        Rule.PERIODS, member_column="dataProvider", members=MID_PROVIDERS, values=("price", "volume")
    ),
    lag=Lag.minutes(60, 120, 2880),
    freshness=HALF_HOURLY("startTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=96,
    published="per settlement period",
    inferred=("first_day",),
    importance=8,
    notes=("Another view of bmrs_mid: do not add the two.",),
    columns=columns("startTime! dataProvider settlementDate! settlementPeriod! price! volume!"),
)


BMRS_SOSO = Dataset(
    table="bmrs_soso",
    code="SOSO",
    family=NAME,
    title="SO-SO prices",
    description="Trades offered between system operators over the interconnectors: quantity (MW) and price by hour and direction.",
    endpoint=published("/datasets/SOSO", hours(24), "spec and API 400 body"),
    key=("contractIdentification", "startTime", "tradeDirection", "traderUnit"),
    version=("publishTime",),
    nullable_key=("tradeDirection", "traderUnit"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=2_304,
    published="hourly",
    inferred=("first_day", "published"),
    iris_code="SOSO",
    importance=6,
    notes=(
        "Asked by publication: an hour's rows may lie in the partition of the day before.",
        "The unit of tradePrice is inferred.",
    ),
    columns=columns(
        "dataset publishTime senderIdentification receiverIdentification contractIdentification "
        "resourceProvider tradeDirection tradeQuantity! tradePrice! traderUnit startTime! endTime! "
        "settlementDate!"
    ),
)


BMRS_SOSO_SERIES = Dataset(
    table="bmrs_soso_series",
    code="SOSO",
    family=NAME,
    title="SO-SO prices, by start time",
    description="The trades of bmrs_soso, selected by the hour they are for.",
    endpoint=between("/soso/prices", "startTime", hours(24), "spec", margin=hours(3)),
    key=("contractIdentification", "startTime", "tradeDirection"),
    nullable_key=("tradeDirection",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("hourly", 90, 180, "startTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=2_304,
    published="hourly",
    inferred=("first_day", "rows_per_day", "published"),
    importance=8,
    notes=(
        "Another view of bmrs_soso, with fewer columns.",
        "Asked three hours beyond both ends: whether the window selects by start (as the document says) or by publication is not settled.",
    ),
    columns=columns(
        "contractIdentification tradeDirection tradeQuantity! tradePrice! traderUnit startTime! settlementDate!"
    ),
)


FAMILY = Family(
    NAME,
    "Prices",
    (
        BMRS_COSTS,
        BMRS_MID,
        BMRS_SETTLEMENT_SUMMARY,
        BMRS_MARKET_DEPTH,
        BMRS_MID_SERIES,
        BMRS_SOSO,
        BMRS_SOSO_SERIES,
    ),
    about="What electricity cost: the imbalance price that settles what was not contracted, the wholesale index, and what stands behind them. Prices are GBP/MWh, volumes MWh a settlement period.",
    examples=EXAMPLES[NAME],
)
