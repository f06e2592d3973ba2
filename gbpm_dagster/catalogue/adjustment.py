"""Balancing outside the mechanism: adjustment data, non-BM reserve, services volumes."""

from __future__ import annotations

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import PERIOD_START, Completeness, Dataset, Family, Freshness, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import HALF_HOURLY, POLLED, UNIT, between, days, hours, in_period
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "balancing/adjustment"

BMRS_DISBSAD = Dataset(
    table="bmrs_disbsad",
    code="DISBSAD",
    family=NAME,
    title="Balancing adjustment actions",
    description="Each balancing action outside the balancing mechanism: its cost (GBP) and volume (MWh).",
    endpoint=between("/datasets/DISBSAD", PERIOD_START, days(7), "inferred"),
    key=("settlementDate", "settlementPeriod", "id"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS, floor=1),
    lag=Lag.minutes(60, 120, 2880),
    freshness=POLLED,
    rows_per_day=60,
    published="per settlement period; revised",
    inferred=("first_day", "rows_per_day"),
    iris_code="DISBSAD",
    importance=4,
    notes=(
        "The price is cost over volume; cost may be null.",
        "The sign of volume (positive buy, negative sell) is inferred.",
    ),
    columns=columns(
        "dataset settlementDate! settlementPeriod! id! cost volume! soFlag! storFlag! partyId assetId "
        "isTendered service"
    ),
)


BMRS_DISBSAD_DETAILS = Dataset(
    table="bmrs_disbsad_details",
    code="DISBSAD",
    family=NAME,
    title="Balancing adjustment actions, by period",
    description="The rows of bmrs_disbsad with their unit price, one settlement period a call.",
    endpoint=in_period("/balancing/nonbm/disbsad/details"),
    key=("settlementDate", "settlementPeriod", "id"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 2880),
    freshness=POLLED,
    tier=Tier.OPTIONAL,
    rows_per_day=60,
    published="per settlement period; revised",
    inferred=("first_day", "rows_per_day"),
    importance=8,
    notes=("Another view of bmrs_disbsad.",),
    columns=columns(
        "settlementDate! settlementPeriod! startTime! id! cost volume! price soFlag! storFlag! partyId "
        "assetId isTendered service"
    ),
)


BMRS_DISBSAD_SUMMARY = Dataset(
    table="bmrs_disbsad_summary",
    code="DISBSAD",
    family=NAME,
    title="Balancing adjustment actions, summed",
    description="Counts, prices and volumes of a settlement period's buy and sell actions.",
    endpoint=between("/balancing/nonbm/disbsad/summary", "startTime", days(7), "inferred"),
    key=("settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 2880),
    freshness=POLLED,
    tier=Tier.OPTIONAL,
    rows_per_day=48,
    published="per settlement period; revised",
    inferred=("first_day", "rows_per_day"),
    importance=8,
    notes=("Periods without actions may be absent.",),
    columns=columns(
        "settlementDate! settlementPeriod! startTime! buyActionCount! sellActionCount! buyPriceMinimum "
        "buyPriceMaximum buyPriceAverage sellPriceMinimum sellPriceMaximum sellPriceAverage "
        "buyVolumeTotal sellVolumeTotal netVolume"
    ),
)


BMRS_NETBSAD = Dataset(
    table="bmrs_netbsad",
    code="NETBSAD",
    family=NAME,
    title="Net balancing adjustment",
    description="The adjustments of a settlement period's buy and sell price: costs (GBP), volumes (MWh), price adjustments (GBP/MWh).",
    endpoint=between("/datasets/NETBSAD", PERIOD_START, days(7), "inferred"),
    key=("settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=Lag.minutes(60, 120, 2880),
    freshness=HALF_HOURLY("settlementDate"),
    rows_per_day=48,
    published="per settlement period; revised",
    inferred=("first_day",),
    iris_code="NETBSAD",
    importance=4,
    notes=("A resubmission replaces the row; the earlier one is a vintage.",),
    columns=columns(
        "dataset settlementDate! settlementPeriod! netBuyPriceCostAdjustmentEnergy! "
        "netBuyPriceVolumeAdjustmentEnergy! netBuyPriceVolumeAdjustmentSystem! buyPricePriceAdjustment! "
        "netSellPriceCostAdjustmentEnergy! netSellPriceVolumeAdjustmentEnergy! "
        "netSellPriceVolumeAdjustmentSystem! sellPricePriceAdjustment!"
    ),
)


BMRS_NETBSAD_SERIES = Dataset(
    table="bmrs_netbsad_series",
    code="NETBSAD",
    family=NAME,
    title="Net balancing adjustment, by start time",
    description="The rows of bmrs_netbsad with their start time; periods of zeros are asked for too.",
    endpoint=between("/balancing/nonbm/netbsad", "startTime", days(7), "inferred", fixed=(("includeZero", "true"),)),
    key=("settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=Lag.minutes(60, 120, 2880),
    freshness=HALF_HOURLY("startTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=48,
    published="per settlement period; revised",
    inferred=("first_day",),
    importance=8,
    notes=("Another view of bmrs_netbsad.",),
    columns=columns(
        "startTime! settlementDate! settlementPeriod! netBuyPriceCostAdjustmentEnergy! "
        "netBuyPriceVolumeAdjustmentEnergy! netBuyPriceVolumeAdjustmentSystem! buyPricePriceAdjustment! "
        "netSellPriceCostAdjustmentEnergy! netSellPriceVolumeAdjustmentEnergy! "
        "netSellPriceVolumeAdjustmentSystem! sellPricePriceAdjustment!"
    ),
)


BMRS_NONBM = Dataset(
    table="bmrs_nonbm",
    code="NONBM",
    family=NAME,
    title="Non-BM reserve used",
    description="Short-term operating reserve (MW) used outside the balancing mechanism.",
    endpoint=between("/datasets/NONBM", "publishTime", days(1), "API 400 body", margin=hours(1)),
    key=("settlementDate", "settlementPeriod"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(30, 60, 1440),
    freshness=HALF_HOURLY("publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=48,
    published="every 30 min",
    inferred=("first_day", "rows_per_day", "published"),
    iris_code="NONBM",
    importance=6,
    notes=(
        "Asked by publication: a period's row may lie in the partition of the next day.",
        "Asked an hour beyond both ends: whether the window selects by publication (as the document says) or by start is not settled.",
        "The unit is inferred.",
    ),
    columns=columns("dataset publishTime! startTime! settlementDate! settlementPeriod! generation!"),
)


BMRS_NONBM_STOR = Dataset(
    table="bmrs_nonbm_stor",
    code="NONBM",
    family=NAME,
    title="Non-BM reserve used, by start time",
    description="The rows of bmrs_nonbm selected by the period they are for; periods of zero are asked for too.",
    endpoint=between(
        "/balancing/nonbm/stor", "startTime", days(1), "inferred from NONBM", fixed=(("includeZero", "true"),)
    ),
    key=("settlementDate", "settlementPeriod"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(30, 60, 1440),
    freshness=HALF_HOURLY("publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=48,
    published="every 30 min",
    inferred=("first_day", "rows_per_day", "published"),
    importance=8,
    notes=("Another view of bmrs_nonbm.",),
    columns=columns("publishTime! startTime! settlementDate! settlementPeriod! generation!"),
)


BMRS_QAS = Dataset(
    table="bmrs_qas",
    code="QAS",
    family=NAME,
    title="Balancing services volumes",
    description="Volume (MWh, signed) that a unit delivered under a balancing service, where it is not zero.",
    endpoint=between(
        "/datasets/QAS",
        PERIOD_START,
        days(1),
        "inferred: /balancing/nonbm/volumes (same data) answered 400 naming 1 day",
    ),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(2880, 1440, 10080),
    freshness=Freshness.minutes("daily", 2160, 4320, "settlementDate"),
    tier=Tier.STANDARD,
    rows_per_day=500,
    published="daily, D+1 or later",
    inferred=("first_day", "rows_per_day", "published"),
    iris_code="QAS",
    importance=6,
    notes=("Most units have none.",),
    columns=columns(
        "dataset settlementDate! settlementPeriod! bmUnitApplicableBalancingServicesVolume! nationalGridBmUnit bmUnit"
    ),
)


BMRS_NONBM_VOLUMES = Dataset(
    table="bmrs_nonbm_volumes",
    code="QAS",
    family=NAME,
    title="Balancing services volumes, by start time",
    description="The rows of bmrs_qas with their time.",
    endpoint=between("/balancing/nonbm/volumes", "time", days(1), "API 400 body"),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(2880, 1440, 10080),
    freshness=Freshness.minutes("daily", 2160, 4320, "time"),
    tier=Tier.OPTIONAL,
    rows_per_day=500,
    published="daily, D+1 or later",
    inferred=("first_day", "rows_per_day", "published"),
    importance=8,
    notes=("Another view of bmrs_qas.",),
    columns=columns(
        "settlementDate! settlementPeriod! bmUnitApplicableBalancingServicesVolume! nationalGridBmUnit bmUnit time!"
    ),
)


FAMILY = Family(
    NAME,
    "Balancing outside the mechanism",
    (
        BMRS_DISBSAD,
        BMRS_DISBSAD_DETAILS,
        BMRS_DISBSAD_SUMMARY,
        BMRS_NETBSAD,
        BMRS_NETBSAD_SERIES,
        BMRS_NONBM,
        BMRS_NONBM_STOR,
        BMRS_QAS,
        BMRS_NONBM_VOLUMES,
    ),
    about="Actions the system operator took outside the balancing mechanism, and how they adjust the imbalance price.",
    examples=EXAMPLES[NAME],
)
