"""Demand outturn, load and temperature."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Column, Completeness, Dataset, Family, Freshness, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import (
    HALF_HOURLY,
    INT,
    TRANSPARENCY,
    UNKNOWN,
    between,
    dates,
    days,
    published,
)
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "demand"

BMRS_INDO = Dataset(
    table="bmrs_indo",
    code="INDO",
    family=NAME,
    title="Initial national demand outturn",
    description="National demand outturn, average MW over the settlement period, without station load, pumping and interconnector export.",
    endpoint=published("/datasets/INDO", days(1), UNKNOWN),
    key=("settlementDate", "settlementPeriod"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.PERIODS, values=("demand",)),
    lag=Lag.minutes(30, 60, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=48,
    bytes_per_row=160,
    published="every 30 min, within 15 min of SP end",
    inferred=("first_day",),
    iris_code="INDO",
    importance=3,
    notes=("Asked by publication: the last period of a day is published in the next and lies in its partition.",),
    columns=columns("dataset publishTime startTime! settlementDate! settlementPeriod! demand"),
)


BMRS_ITSDO = Dataset(
    table="bmrs_itsdo",
    code="ITSDO",
    family=NAME,
    title="Initial transmission system demand outturn",
    description="Transmission system demand outturn, average MW over the settlement period, with station load, pumping and interconnector export.",
    endpoint=published("/datasets/ITSDO", days(1), UNKNOWN),
    key=("settlementDate", "settlementPeriod"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.PERIODS, values=("demand",)),
    lag=Lag.minutes(30, 60, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=48,
    bytes_per_row=160,
    published="every 30 min",
    inferred=("first_day",),
    iris_code="ITSDO",
    importance=3,
    notes=("Asked by publication: the last period of a day is published in the next and lies in its partition.",),
    columns=columns("dataset publishTime! startTime! settlementDate! settlementPeriod! demand"),
)


BMRS_INDOD = Dataset(
    table="bmrs_indod",
    code="INDOD",
    family=NAME,
    title="Daily energy transmitted",
    description="The day's national demand as energy (MWh).",
    endpoint=published("/datasets/INDOD", days(731), "spec"),
    key=("settlementDate",),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=1),
    lag=Lag.minutes(2880, 1440, 10080),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=1,
    published="daily",
    inferred=("first_day",),
    iris_code="INDOD",
    importance=6,
    notes=("MWh of a whole day, not MW.",),
    columns=columns(
        "dataset publishTime! settlementDate! demand",
        Column("demand", INT, "Initial national demand outturn, whole day", unit="MWh"),
    ),
)


BMRS_DEMAND_OUTTURN = Dataset(
    table="bmrs_demand_outturn",
    code="INDO+ITSDO",
    family=NAME,
    title="Demand outturn, by settlement date",
    description="National and transmission system demand (average MW) of each settlement period: INDO and ITSDO side by side.",
    endpoint=dates("/demand/outturn", "settlementDateFrom", "settlementDateTo", days(1), UNKNOWN),
    key=("settlementDate", "settlementPeriod"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(
        Rule.PERIODS, values=("initialDemandOutturn", "initialTransmissionSystemDemandOutturn")
    ),
    lag=Lag.minutes(30, 60, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=48,
    published="every 30 min, within 15 min of SP end",
    inferred=("first_day",),
    importance=4,
    notes=(
        "Selected by settlement date: its partitions are whole settlement days, which those of bmrs_indo and bmrs_itsdo are not.",
    ),
    columns=columns(
        "publishTime startTime! settlementDate! settlementPeriod! initialDemandOutturn "
        "initialTransmissionSystemDemandOutturn"
    ),
)


BMRS_DEMAND_OUTTURN_DAILY = Dataset(
    table="bmrs_demand_outturn_daily",
    code="INDOD",
    family=NAME,
    title="Daily energy transmitted, by settlement date",
    description="The rows of bmrs_indod, selected by the day they are for.",
    endpoint=dates("/demand/outturn/daily", "settlementDateFrom", "settlementDateTo", days(731), "spec"),
    key=("settlementDate",),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(2880, 1440, 10080),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=1,
    published="daily",
    inferred=("first_day",),
    importance=8,
    notes=("MWh of a whole day, not MW.",),
    columns=columns(
        "publishTime! settlementDate! demand",
        Column("demand", INT, "Initial national demand outturn, whole day", unit="MWh"),
    ),
)


BMRS_ATL = Dataset(
    table="bmrs_atl",
    code="ATL",
    family=NAME,
    title="Actual total load",
    description="Total load (average MW) of each settlement period (transparency code B0610).",
    endpoint=published("/datasets/ATL", days(7), "spec"),
    key=("settlementDate", "settlementPeriod"),
    version=("documentRevisionNumber", "publishTime"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, values=("quantity",), covers=True),
    lag=TRANSPARENCY,
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=48,
    published="about hourly",
    inferred=("published",),
    aliases=("bmrs_b0610",),
    iris_code="ATL",
    importance=6,
    notes=(
        "Asked by publication: a settlement day's rows lie in two partitions.",
        "A revision is a vintage of the same row.",
    ),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! startTime! settlementDate! "
        "settlementPeriod! quantity!"
    ),
)


BMRS_ATL_SERIES = Dataset(
    table="bmrs_atl_series",
    code="ATL",
    family=NAME,
    title="Actual total load, by start time",
    description="The rows of bmrs_atl, selected by the period they are for.",
    endpoint=between("/demand/actual/total", "startTime", days(7), "spec"),
    key=("settlementDate", "settlementPeriod"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=TRANSPARENCY,
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=48,
    published="about hourly",
    inferred=("first_day", "published"),
    importance=8,
    notes=("Another view of bmrs_atl.",),
    columns=columns("publishTime! startTime! settlementDate! settlementPeriod! quantity!"),
)


BMRS_TEMP = Dataset(
    table="bmrs_temp",
    code="TEMP",
    family=NAME,
    title="Temperature",
    description="The day's temperature (degrees Celsius) at midday, the average of six stations.",
    endpoint=published("/datasets/TEMP", days(1), UNKNOWN),
    key=("measurementDate",),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=1),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=1,
    published="daily at about 17:00 London",
    inferred=("first_day",),
    iris_code="TEMP",
    importance=6,
    notes=("Published once a day, about 17:00 London.",),
    columns=columns("dataset measurementDate! publishTime! temperature"),
)


BMRS_TEMPERATURE = Dataset(
    table="bmrs_temperature",
    code="TEMP",
    family=NAME,
    title="Temperature with references",
    description="The day's temperature beside its reference average, high and low, by measurement date.",
    endpoint=dates("/temperature", "from", "to", days(1), UNKNOWN, selects="measurementDate"),
    key=("measurementDate",),
    version=("publishTime",),
    partition_field="measurementDate",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=1,
    published="daily at about 17:00 London",
    inferred=("first_day",),
    importance=6,
    notes=("Degrees Celsius; the references are those the operator forecasts with.",),
    columns=columns(
        "measurementDate! publishTime temperature temperatureReferenceAverage temperatureReferenceHigh "
        "temperatureReferenceLow"
    ),
)


FAMILY = Family(
    NAME,
    "Demand",
    (
        BMRS_INDO,
        BMRS_ITSDO,
        BMRS_INDOD,
        BMRS_DEMAND_OUTTURN,
        BMRS_DEMAND_OUTTURN_DAILY,
        BMRS_ATL,
        BMRS_ATL_SERIES,
        BMRS_TEMP,
        BMRS_TEMPERATURE,
    ),
    about="What was consumed: national and transmission demand (average MW), total load, and the temperature behind them.",
    examples=EXAMPLES[NAME],
)
