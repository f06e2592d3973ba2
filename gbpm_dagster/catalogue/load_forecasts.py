"""Forecasts of total load under the transparency regulation: a day, a week, a month, a year ahead."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Completeness, Dataset, Family, Freshness, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import NO_FRESHNESS, between, dates, days, published
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "forecasts/load"

BMRS_DATL = Dataset(
    table="bmrs_datl",
    code="DATL",
    family=NAME,
    title="Day-ahead total load forecast",
    description="Total load (MW) forecast for each settlement period of the day ahead (transparency code B0620).",
    endpoint=published("/datasets/DATL", days(7), "spec"),
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
    aliases=("bmrs_b0620",),
    iris_code="DATL",
    importance=6,
    notes=("Asked by publication: the day it is for lies in the next partition.",),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! startTime! settlementDate! "
        "settlementPeriod! quantity!"
    ),
)


BMRS_DATL_SERIES = Dataset(
    table="bmrs_datl_series",
    code="DATL",
    family=NAME,
    title="Day-ahead total load forecast, by start time",
    description="The rows of bmrs_datl, selected by the period they are for; the newest publication is kept.",
    endpoint=between("/forecast/demand/total/day-ahead", "startTime", days(7), "spec"),
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
    notes=("Another view of bmrs_datl.",),
    columns=columns("publishTime! startTime! settlementDate! settlementPeriod! quantity!"),
)


BMRS_WATL = Dataset(
    table="bmrs_watl",
    code="WATL",
    family=NAME,
    title="Week-ahead total load forecast",
    description="Lowest and highest total load (MW) forecast for each day of the week ahead (transparency code B0630).",
    endpoint=published("/datasets/WATL", days(367), "spec"),
    key=("forecastDate", "publishTime"),
    version=("documentRevisionNumber",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("weekly", 15120, 30240, "publishTime"),
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=7,
    published="weekly",
    inferred=("rows_per_day",),
    aliases=("bmrs_b0630",),
    iris_code="WATL",
    importance=6,
    notes=("Weekly: most days have no publication.",),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! forecastDate! forecastWeek! "
        "minimumPossible! maximumAvailable!"
    ),
)


BMRS_WATL_SERIES = Dataset(
    table="bmrs_watl_series",
    code="WATL",
    family=NAME,
    title="Week-ahead total load forecast, by forecast date",
    description="The rows of bmrs_watl, selected by the day they are for.",
    endpoint=dates(
        "/forecast/demand/total/week-ahead", "from", "to", days(367), "spec", selects="forecastDate", margin=days(1)
    ),
    key=("forecastDate", "publishTime"),
    partition_field="forecastDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("weekly", 15120, 30240, "publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=1,
    published="weekly",
    inferred=("first_day",),
    importance=8,
    notes=(
        "Another view of bmrs_watl.",
        "Asked a day beyond both ends: how the window counts a London day is not settled.",
    ),
    columns=columns("publishTime! forecastDate! forecastWeek! minimumPossible! maximumAvailable!"),
)


BMRS_MATL = Dataset(
    table="bmrs_matl",
    code="MATL",
    family=NAME,
    title="Month-ahead total load forecast",
    description="Lowest and highest total load (MW) forecast for each week of the month ahead (transparency code B0640).",
    endpoint=published("/datasets/MATL", days(367), "spec"),
    key=("forecastWeekCommencingDate", "publishTime"),
    version=("documentRevisionNumber",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=NO_FRESHNESS,
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    published="weekly or monthly",
    inferred=("rows_per_day", "published"),
    aliases=("bmrs_b0640",),
    iris_code="MATL",
    importance=6,
    notes=("Most days have no publication.",),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! forecastWeekCommencingDate! "
        "forecastYear! forecastMonth minimumPossible! maximumAvailable!"
    ),
)


BMRS_YATL = Dataset(
    table="bmrs_yatl",
    code="YATL",
    family=NAME,
    title="Year-ahead total load forecast",
    description="Lowest and highest total load (MW) forecast for each week of the year ahead (transparency code B0650).",
    endpoint=published("/datasets/YATL", days(367), "spec"),
    key=("forecastYear", "forecastWeek", "publishTime"),
    version=("documentRevisionNumber",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=NO_FRESHNESS,
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=52,
    published="yearly or monthly",
    inferred=("rows_per_day", "published"),
    aliases=("bmrs_b0650",),
    iris_code="YATL",
    importance=6,
    notes=("Most days have no publication.",),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! forecastYear! forecastWeek! "
        "minimumPossible! maximumAvailable!"
    ),
)


FAMILY = Family(
    NAME,
    "Load forecasts",
    (
        BMRS_DATL,
        BMRS_DATL_SERIES,
        BMRS_WATL,
        BMRS_WATL_SERIES,
        BMRS_MATL,
        BMRS_YATL,
    ),
    about="What total load was expected to be. Every publication is kept; those of the longer horizons are rare.",
    examples=EXAMPLES[NAME],
)
