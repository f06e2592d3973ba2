"""Margins: surplus and margin forecasts, loss of load probability."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Completeness, Dataset, Family, Freshness, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import (
    HALF_HOURLY,
    NO_FRESHNESS,
    UNKNOWN,
    as_of,
    between,
    days,
    hours,
    published,
)
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "forecasts/margins"

BMRS_OCNMFD = Dataset(
    table="bmrs_ocnmfd",
    code="OCNMFD",
    family=NAME,
    title="Surplus forecast, 2 to 14 days",
    description="Generation surplus (MW) at the daily peak of each of the days 2 to 14 ahead; every publication is kept.",
    endpoint=published("/datasets/OCNMFD", days(7), "spec"),
    key=("publishTime", "forecastDate"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=24, horizon=13),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    rows_per_day=312,
    published="hourly",
    inferred=("first_day",),
    aliases=("bmrs_surplus_margin",),
    iris_code="OCNMFD",
    importance=4,
    notes=("Surplus is after the reserve requirement, margin (bmrs_ocnmfd2) before it.",),
    columns=columns("dataset publishTime! forecastDate! surplus"),
)


BMRS_OCNMFD2 = Dataset(
    table="bmrs_ocnmfd2",
    code="OCNMFD2",
    family=NAME,
    title="Margin forecast, 2 to 14 days",
    description="Generation margin (MW) at the daily peak of each of the days 2 to 14 ahead; every publication is kept.",
    endpoint=published("/datasets/OCNMFD2", days(7), "spec"),
    key=("publishTime", "forecastDate"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=24, horizon=13),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=312,
    published="hourly",
    inferred=("first_day",),
    iris_code="OCNMFD2",
    importance=6,
    notes=("Margin is before the reserve requirement, surplus (bmrs_ocnmfd) after it.",),
    columns=columns("dataset publishTime! forecastDate! margin"),
)


BMRS_OCNMF3Y = Dataset(
    table="bmrs_ocnmf3y",
    code="OCNMF3Y",
    family=NAME,
    title="Surplus forecast, 2 to 156 weeks",
    description="Generation surplus (MW) of each of the weeks 2 to 156 ahead.",
    endpoint=published("/datasets/OCNMF3Y", days(7), "spec"),
    key=("publishTime", "year", "week"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("weekly", 15120, 30240, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=155,
    published="daily or weekly",
    inferred=("first_day", "published"),
    iris_code="OCNMF3Y",
    importance=6,
    notes=("Most days have no publication.",),
    columns=columns("dataset publishTime! week! year! surplus"),
)


BMRS_OCNMF3Y2 = Dataset(
    table="bmrs_ocnmf3y2",
    code="OCNMF3Y2",
    family=NAME,
    title="Margin forecast, 2 to 156 weeks",
    description="Generation margin (MW) of each of the weeks 2 to 156 ahead.",
    endpoint=published("/datasets/OCNMF3Y2", days(7), "spec"),
    key=("publishTime", "year", "week"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("weekly", 15120, 30240, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=155,
    published="daily or weekly",
    inferred=("first_day", "published"),
    iris_code="OCNMF3Y2",
    importance=6,
    notes=("Most days have no publication.",),
    columns=columns("dataset publishTime! week! year! margin"),
)


BMRS_MARGIN_WEEKLY = Dataset(
    table="bmrs_margin_weekly",
    code="OCNMFW2+OCNMF3Y2",
    family=NAME,
    title="Margin forecast, 2 to 52 weeks",
    description="Generation margin (MW) of each of the weeks 2 to 52 ahead (stream code OCNMFW2).",
    endpoint=as_of("/forecast/margin/weekly/history", step=days(1), fixed=(("range", "52W"),)),
    key=("publishTime", "year", "week"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("weekly", 15120, 30240, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=155,
    published="daily or weekly",
    inferred=("first_day", "published"),
    aliases=("bmrs_ocnmfw2",),
    iris_code="OCNMFW2",
    importance=6,
    notes=(
        "Asked with range=52W, the only road to OCNMFW2; the 156 weeks are bmrs_ocnmf3y2.",
        "One call answers the publication in force at the end of a day.",
    ),
    columns=columns("publishTime! margin week! year! weekStartDate!"),
)


BMRS_SURPLUS_WEEKLY = Dataset(
    table="bmrs_surplus_weekly",
    code="OCNMFW+OCNMF3Y",
    family=NAME,
    title="Surplus forecast, 2 to 52 weeks",
    description="Generation surplus (MW) of each of the weeks 2 to 52 ahead (stream code OCNMFW).",
    endpoint=as_of("/forecast/surplus/weekly/history", step=days(1), fixed=(("range", "52W"),)),
    key=("publishTime", "year", "week"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("weekly", 15120, 30240, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=155,
    published="daily or weekly",
    inferred=("first_day", "published"),
    aliases=("bmrs_ocnmfw",),
    iris_code="OCNMFW",
    importance=6,
    notes=(
        "Asked with range=52W, the only road to OCNMFW; the 156 weeks are bmrs_ocnmf3y.",
        "One call answers the publication in force at the end of a day.",
    ),
    columns=columns("publishTime! surplus week! year! weekStartDate!"),
)


BMRS_LOLPDRM = Dataset(
    table="bmrs_lolpdrm",
    code="LOLPDRM",
    family=NAME,
    title="Loss of load probability",
    description="Loss of load probability (0 to 1) and de-rated margin (MW) of each settlement period ahead; every publication is kept.",
    endpoint=published("/datasets/LOLPDRM", hours(12), "API 400 body"),
    key=("publishTime", "startTime"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=48, horizon=46),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=2_500,
    published="every 30 min",
    inferred=("first_day",),
    iris_code="LOLPDM",
    importance=4,
    notes=(
        "Rows call their dataset LOLPDM.",
        "Many publications a target.",
    ),
    columns=columns(
        "dataset publishTime! publishingPeriodCommencingTime! startTime! settlementDate! "
        "settlementPeriod! lossOfLoadProbability deratedMargin"
    ),
)


BMRS_LOLP_HORIZONS = Dataset(
    table="bmrs_lolp_horizons",
    code="LOLPDRM",
    family=NAME,
    title="Loss of load probability, by horizon",
    description="The forecasts of bmrs_lolpdrm made 1, 2, 4, 8 and 12 hours ahead of each settlement period.",
    endpoint=between("/forecast/system/loss-of-load", "startTime", days(1), UNKNOWN),
    key=("startTime", "forecastHorizon"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS, rows_per_period=5),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=240,
    published="every 30 min",
    inferred=("first_day",),
    importance=6,
    notes=("forecastHorizon (hours) is part of the key: choose one.",),
    columns=columns(
        "publishTime! publishingPeriodCommencingTime! startTime! settlementDate! settlementPeriod! "
        "forecastHorizon! lossOfLoadProbability deratedMargin"
    ),
)


BMRS_YAFM = Dataset(
    table="bmrs_yafm",
    code="YAFM",
    family=NAME,
    title="Year-ahead forecast margin",
    description="The margin (MW) forecast for a year ahead (transparency code B0810).",
    endpoint=published("/datasets/YAFM", days(7305), "spec"),
    key=("year", "businessType", "publishTime"),
    version=("documentRevisionNumber",),
    nullable_key=("businessType",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=NO_FRESHNESS,
    first_day=date(2023, 1, 1),
    tier=Tier.OPTIONAL,
    rows_per_day=1,
    published="yearly",
    aliases=("bmrs_b0810",),
    iris_code="YAFM",
    importance=8,
    notes=("Yearly: most days have no publication.",),
    columns=columns("dataset documentId documentRevisionNumber! publishTime! businessType year! quantity!"),
)


FAMILY = Family(
    NAME,
    "Margins",
    (
        BMRS_OCNMFD,
        BMRS_OCNMFD2,
        BMRS_OCNMF3Y,
        BMRS_OCNMF3Y2,
        BMRS_MARGIN_WEEKLY,
        BMRS_SURPLUS_WEEKLY,
        BMRS_LOLPDRM,
        BMRS_LOLP_HORIZONS,
        BMRS_YAFM,
    ),
    about="How much generation is expected to be spare. Every publication is kept.",
    examples=EXAMPLES[NAME],
)
