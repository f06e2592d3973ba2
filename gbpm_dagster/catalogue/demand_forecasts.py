"""Forecasts of demand, a day to a year ahead."""

from __future__ import annotations

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Completeness, Dataset, Family, Freshness, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import HALF_HOURLY, UNKNOWN, between, dates, days, published
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "forecasts/demand"

BMRS_DEMAND_FORECAST_LATEST = Dataset(
    table="bmrs_demand_forecast_latest",
    code="NDF+TSDF",
    family=NAME,
    title="Day-ahead demand forecast, last issue",
    description="The last day-ahead demand forecast (national and transmission system) published before each settlement period, MW.",
    endpoint=between("/forecast/demand/day-ahead/latest", "startTime", days(1), UNKNOWN),
    key=("startTime", "boundary"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("startTime"),
    rows_per_day=48,
    bytes_per_row=210,
    published="every 30 min",
    inferred=("first_day",),
    aliases=("bmrs_fordaydem",),
    importance=4,
    notes=(
        "Without the boundary parameter the path gives national rows only.",
        "One of the two forecasts can be null.",
    ),
    columns=columns(
        "publishTime transmissionSystemDemand! nationalDemand startTime! settlementDate! settlementPeriod! boundary"
    ),
)


BMRS_NDF = Dataset(
    table="bmrs_ndf",
    code="NDF",
    family=NAME,
    title="National demand forecast",
    description="National demand (MW) forecast for each settlement period to the end of the day ahead; every publication is kept.",
    endpoint=published("/datasets/NDF", days(1), "spec"),
    key=("publishTime", "startTime", "boundary"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=1),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=2_500,
    published="every 30 min",
    inferred=("first_day",),
    iris_code="NDF",
    importance=4,
    notes=(
        "Many publications a target: choose the newest before a time, never join on the target alone.",
        "demand is positive here.",
    ),
    columns=columns("dataset demand publishTime! startTime! settlementDate! settlementPeriod! boundary"),
)


BMRS_TSDF = Dataset(
    table="bmrs_tsdf",
    code="TSDF",
    family=NAME,
    title="Transmission system demand forecast",
    description="Transmission system demand (MW) forecast for each settlement period and boundary to the end of the day ahead; every publication is kept.",
    endpoint=published("/datasets/TSDF", days(1), "spec"),
    key=("publishTime", "startTime", "boundary"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=1),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=45_000,
    published="every 30 min",
    inferred=("first_day",),
    iris_code="TSDF",
    importance=4,
    notes=(
        "About 45,000 rows a day: boundary N is the nation, B1 to B17 are zones. Filter by boundary first.",
        "Many publications a target.",
    ),
    columns=columns("dataset demand publishTime! startTime! settlementDate! settlementPeriod! boundary"),
)


BMRS_NDFD = Dataset(
    table="bmrs_ndfd",
    code="NDFD",
    family=NAME,
    title="National demand forecast, 2 to 14 days",
    description="Peak national demand (MW) of each of the days 2 to 14 ahead.",
    endpoint=published("/datasets/NDFD", days(92), "spec"),
    key=("publishTime", "forecastDate"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=1, horizon=13),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=13,
    published="daily",
    inferred=("first_day",),
    iris_code="NDFD",
    importance=6,
    notes=("One publication a day.",),
    columns=columns("dataset publishTime! forecastDate! demand"),
)


BMRS_TSDFD = Dataset(
    table="bmrs_tsdfd",
    code="TSDFD",
    family=NAME,
    title="Transmission system demand forecast, 2 to 14 days",
    description="Peak transmission system demand (MW) of each of the days 2 to 14 ahead.",
    endpoint=published("/datasets/TSDFD", days(92), "spec"),
    key=("publishTime", "forecastDate"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=1, horizon=13),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=13,
    published="daily",
    inferred=("first_day",),
    iris_code="TSDFD",
    importance=6,
    notes=("One publication a day.",),
    columns=columns("dataset publishTime! forecastDate! demand"),
)


BMRS_NDFW = Dataset(
    table="bmrs_ndfw",
    code="NDFW",
    family=NAME,
    title="National demand forecast, 2 to 52 weeks",
    description="Peak national demand (MW) of each of the weeks 2 to 52 ahead.",
    endpoint=published("/datasets/NDFW", days(366), "spec"),
    key=("publishTime", "year", "week"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("weekly", 15120, 30240, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=51,
    published="weekly (Thursday)",
    inferred=("first_day", "published"),
    iris_code="NDFW",
    importance=6,
    notes=("Weekly: most days have no publication.",),
    columns=columns("dataset publishTime! year! week! demand"),
)


BMRS_TSDFW = Dataset(
    table="bmrs_tsdfw",
    code="TSDFW",
    family=NAME,
    title="Transmission system demand forecast, 2 to 52 weeks",
    description="Peak transmission system demand (MW) of each of the weeks 2 to 52 ahead.",
    endpoint=published("/datasets/TSDFW", days(366), "spec"),
    key=("publishTime", "year", "week"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("weekly", 15120, 30240, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=51,
    published="weekly (Thursday)",
    inferred=("first_day", "published"),
    iris_code="TSDFW",
    importance=6,
    notes=("Weekly: most days have no publication.",),
    columns=columns("dataset publishTime! year! week! demand"),
)


BMRS_DEMAND_FORECAST_EARLIEST = Dataset(
    table="bmrs_demand_forecast_earliest",
    code="NDF+TSDF",
    family=NAME,
    title="First demand forecast of each period",
    description="The first day-ahead forecast of national and transmission system demand (MW) for each settlement period.",
    endpoint=between("/forecast/demand/day-ahead/earliest", "startTime", days(1), UNKNOWN),
    key=("startTime", "boundary"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=48,
    published="daily",
    inferred=("first_day",),
    importance=8,
    notes=("Another view of bmrs_ndf and bmrs_tsdf.",),
    columns=columns(
        "publishTime transmissionSystemDemand! nationalDemand startTime! settlementDate! settlementPeriod! boundary"
    ),
)


BMRS_DEMAND_FORECAST_PEAK = Dataset(
    table="bmrs_demand_forecast_peak",
    code="TSDF",
    family=NAME,
    title="Forecast daily peak demand",
    description="The day's highest forecast transmission system demand (MW).",
    endpoint=dates("/forecast/demand/day-ahead/peak", "from", "to", days(1), UNKNOWN),
    key=("settlementDate", "boundary"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=1,
    published="every 30 min",
    inferred=("first_day",),
    importance=8,
    notes=("Another view of bmrs_tsdf.",),
    columns=columns("publishTime! startTime! settlementDate! settlementPeriod! boundary transmissionSystemDemand!"),
)


FAMILY = Family(
    NAME,
    "Demand forecasts",
    (
        BMRS_DEMAND_FORECAST_LATEST,
        BMRS_NDF,
        BMRS_TSDF,
        BMRS_NDFD,
        BMRS_TSDFD,
        BMRS_NDFW,
        BMRS_TSDFW,
        BMRS_DEMAND_FORECAST_EARLIEST,
        BMRS_DEMAND_FORECAST_PEAK,
    ),
    about="What demand was expected to be. Every publication is kept: its publishTime is part of the key.",
    examples=EXAMPLES[NAME],
)
