"""Forecasts of generation: wind, solar, day-ahead, and the indicated forecasts by zone."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Column, Completeness, Dataset, Family, Freshness, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import HALF_HOURLY, INT, UNKNOWN, as_of, between, dates, days, minutes, published
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "forecasts/generation"

BMRS_WINDFOR = Dataset(
    table="bmrs_windfor",
    code="WINDFOR",
    family=NAME,
    title="Wind generation forecast",
    description="Wind generation (MW) forecast for each hour ahead; every publication is kept.",
    endpoint=published("/datasets/WINDFOR", days(7), "inferred"),
    key=("publishTime", "startTime"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=8),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("eight_a_day", 360, 720, "publishTime"),
    rows_per_day=584,
    published="up to 8 a day: 03:30 05:30 08:30 10:30 12:30 16:30 19:30 23:30",
    inferred=("first_day",),
    iris_code="WINDFOR",
    importance=4,
    notes=(
        "Hourly: a startTime stands for two settlement periods.",
        "Up to eight publications a day.",
    ),
    columns=columns(
        "dataset publishTime! startTime! generation", Column("generation", INT, "Forecast wind generation", unit="MW")
    ),
)


BMRS_WINDFOR_LATEST = Dataset(
    table="bmrs_windfor_latest",
    code="WINDFOR",
    family=NAME,
    title="Last wind forecast of each hour",
    description="The last forecast of wind generation (MW) before each hour.",
    endpoint=between("/forecast/generation/wind/latest", "startTime", days(1), UNKNOWN),
    key=("startTime",),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("eight_a_day", 360, 720, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=24,
    published="8 a day",
    inferred=("first_day",),
    importance=6,
    notes=("Another view of bmrs_windfor.",),
    columns=columns(
        "publishTime! startTime! settlementDate! settlementPeriod! generation",
        Column("generation", INT, "Forecast wind generation", unit="MW"),
    ),
)


BMRS_WINDFOR_EARLIEST = Dataset(
    table="bmrs_windfor_earliest",
    code="WINDFOR",
    family=NAME,
    title="First wind forecast of each hour",
    description="The first forecast of wind generation (MW) for each hour.",
    endpoint=between("/forecast/generation/wind/earliest", "startTime", days(1), UNKNOWN),
    key=("startTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("eight_a_day", 360, 720, "publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=24,
    published="8 a day",
    inferred=("first_day",),
    importance=8,
    notes=("Another view of bmrs_windfor.",),
    columns=columns(
        "publishTime! startTime! settlementDate! settlementPeriod! generation",
        Column("generation", INT, "Forecast wind generation", unit="MW"),
    ),
)


BMRS_WINDFOR_PEAK = Dataset(
    table="bmrs_windfor_peak",
    code="WINDFOR",
    family=NAME,
    title="Forecast daily peak of wind",
    description="The day's highest forecast wind generation (MW).",
    endpoint=dates("/forecast/generation/wind/peak", "from", "to", days(1), UNKNOWN),
    key=("settlementDate",),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("eight_a_day", 360, 720, "publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=1,
    published="8 a day",
    inferred=("first_day",),
    importance=8,
    notes=("Another view of bmrs_windfor.",),
    columns=columns(
        "publishTime! startTime! settlementDate! settlementPeriod! generation",
        Column("generation", INT, "Forecast wind generation", unit="MW"),
    ),
)


BMRS_DAG = Dataset(
    table="bmrs_dag",
    code="DAG",
    family=NAME,
    title="Day-ahead generation forecast",
    description="Total generation (MW) forecast for each settlement period of the day ahead (transparency code B1430).",
    endpoint=published("/datasets/DAG", days(7), "spec"),
    key=("settlementDate", "settlementPeriod", "publishTime"),
    version=("documentRevisionNumber",),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=1, horizon=46),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=48,
    published="daily",
    aliases=("bmrs_b1430",),
    iris_code="DAG",
    importance=6,
    notes=("Asked by publication: the day it is for lies in the next partition.",),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! quantity! startTime! settlementDate! "
        "settlementPeriod!"
    ),
)


BMRS_DAG_SERIES = Dataset(
    table="bmrs_dag_series",
    code="DAG",
    family=NAME,
    title="Day-ahead generation forecast, by start time",
    description="The rows of bmrs_dag, selected by the period they are for; the newest publication is kept.",
    endpoint=between("/forecast/generation/day-ahead", "startTime", days(7), "spec"),
    key=("settlementDate", "settlementPeriod"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=48,
    published="daily",
    inferred=("first_day",),
    importance=8,
    notes=("Another view of bmrs_dag.",),
    columns=columns("publishTime! quantity! startTime! settlementDate! settlementPeriod!"),
)


BMRS_DGWS = Dataset(
    table="bmrs_dgws",
    code="DGWS",
    family=NAME,
    title="Wind and solar forecast",
    description="Solar, wind onshore and wind offshore (MW) forecast for each settlement period (transparency code B1440).",
    endpoint=published("/datasets/DGWS", days(7), "spec"),
    key=("settlementDate", "settlementPeriod", "psrType", "processType", "publishTime"),
    version=("documentRevisionNumber",),
    nullable_key=("psrType", "processType"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=1),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=144,
    published="daily (day ahead), intraday updates",
    inferred=("rows_per_day",),
    aliases=("bmrs_b1440",),
    iris_code="DGWS",
    importance=6,
    notes=(
        "processType says whether it is the day-ahead forecast or an intraday update: choose one before summing.",
        "Asked by publication.",
    ),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! processType businessType psrType "
        "quantity! startTime! settlementDate! settlementPeriod!"
    ),
)


BMRS_DGWS_SERIES = Dataset(
    table="bmrs_dgws_series",
    code="DGWS",
    family=NAME,
    title="Wind and solar forecast, by start time",
    description="The rows of bmrs_dgws, selected by the period they are for, all process types.",
    endpoint=between(
        "/forecast/generation/wind-and-solar/day-ahead", "startTime", days(7), "spec", fixed=(("processType", "all"),)
    ),
    key=("settlementDate", "settlementPeriod", "psrType", "processType"),
    version=("publishTime",),
    nullable_key=("psrType", "processType"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=144,
    published="daily, intraday updates",
    inferred=("first_day",),
    importance=6,
    notes=("Another view of bmrs_dgws: convenient for a backfill.",),
    columns=columns(
        "publishTime! processType businessType psrType startTime! settlementDate! settlementPeriod! quantity!"
    ),
)


BMRS_INDGEN = Dataset(
    table="bmrs_indgen",
    code="INDGEN",
    family=NAME,
    title="Indicated generation",
    description="Sum of the notified generation (MW) by boundary for each settlement period to the end of the day ahead; every publication is kept.",
    endpoint=published("/datasets/INDGEN", days(1), "spec"),
    key=("publishTime", "startTime", "boundary"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=1),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=45_000,
    published="every 30 min",
    inferred=("first_day",),
    iris_code="INDGEN",
    importance=4,
    notes=(
        "A forecast by zone, made from physical notifications: not the output of units (that is bmrs_b1610).",
        "boundary N is the nation, B1 to B17 are zones: about 45,000 rows a day.",
    ),
    columns=columns("dataset generation publishTime! startTime! settlementDate! settlementPeriod! boundary"),
)


BMRS_INDDEM = Dataset(
    table="bmrs_inddem",
    code="INDDEM",
    family=NAME,
    title="Indicated demand",
    description="Sum of the notified demand (MW) by boundary for each settlement period to the end of the day ahead; every publication is kept.",
    endpoint=published("/datasets/INDDEM", days(1), "spec"),
    key=("publishTime", "startTime", "boundary"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=48),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=45_000,
    published="every 30 min",
    inferred=("first_day",),
    iris_code="INDDEM",
    importance=4,
    notes=(
        "A forecast by zone, not demand by unit; its sign (negative) is inferred.",
        "boundary N is the nation: about 45,000 rows a day.",
    ),
    columns=columns("dataset demand publishTime! startTime! settlementDate! settlementPeriod! boundary"),
)


BMRS_IMBALNGC = Dataset(
    table="bmrs_imbalngc",
    code="IMBALNGC",
    family=NAME,
    title="Indicated imbalance",
    description="Indicated generation less forecast demand (MW) by boundary; every publication is kept.",
    endpoint=published("/datasets/IMBALNGC", days(1), "spec"),
    key=("publishTime", "startTime", "boundary"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=1),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=45_000,
    published="every 30 min",
    inferred=("first_day",),
    iris_code="IMBALNGC",
    importance=4,
    notes=(
        "MW: neither a price nor a volume.",
        "boundary N is the nation: about 45,000 rows a day.",
    ),
    columns=columns("dataset imbalance publishTime! startTime! settlementDate! settlementPeriod! boundary"),
)


BMRS_MELNGC = Dataset(
    table="bmrs_melngc",
    code="MELNGC",
    family=NAME,
    title="Indicated margin",
    description="Notified maximum export less forecast demand (MW) by boundary; every publication is kept.",
    endpoint=published("/datasets/MELNGC", days(1), "spec"),
    key=("publishTime", "startTime", "boundary"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=48),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=45_000,
    published="every 30 min",
    inferred=("first_day",),
    iris_code="MELNGC",
    importance=4,
    notes=(
        "MW.",
        "boundary N is the nation: about 45,000 rows a day.",
    ),
    columns=columns("dataset margin publishTime! startTime! settlementDate! settlementPeriod! boundary"),
)


BMRS_INDICATED_DAY_AHEAD = Dataset(
    table="bmrs_indicated_day_ahead",
    code="INDDEM+INDGEN+IMBALNGC+MELNGC",
    family=NAME,
    title="Indicated forecasts side by side",
    description="Indicated generation, demand, margin and imbalance (MW) as one publication had them.",
    endpoint=as_of("/forecast/indicated/day-ahead/history", step=minutes(30)),
    key=("publishTime", "startTime", "boundary"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=45_000,
    published="every 30 min",
    inferred=("first_day",),
    importance=8,
    notes=(
        "One call answers the publication in force at one instant; a day is asked for every half hour.",
        "Another view of bmrs_indgen, bmrs_inddem, bmrs_melngc and bmrs_imbalngc.",
    ),
    columns=columns(
        "publishTime startTime! settlementDate! settlementPeriod! boundary indicatedGeneration "
        "indicatedDemand indicatedMargin indicatedImbalance"
    ),
)


FAMILY = Family(
    NAME,
    "Generation forecasts",
    (
        BMRS_WINDFOR,
        BMRS_WINDFOR_LATEST,
        BMRS_WINDFOR_EARLIEST,
        BMRS_WINDFOR_PEAK,
        BMRS_DAG,
        BMRS_DAG_SERIES,
        BMRS_DGWS,
        BMRS_DGWS_SERIES,
        BMRS_INDGEN,
        BMRS_INDDEM,
        BMRS_IMBALNGC,
        BMRS_MELNGC,
        BMRS_INDICATED_DAY_AHEAD,
    ),
    about="What generation was expected to be, and what the notifications added up to. Every publication is kept.",
    examples=EXAMPLES[NAME],
)
