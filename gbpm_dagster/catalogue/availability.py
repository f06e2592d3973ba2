"""Availability of generation 2 to 14 days and 2 to 156 weeks ahead, and installed capacity."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Completeness, Dataset, Family, Freshness, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import NO_FRESHNESS, UNIT, UNKNOWN, as_of, days, hours, published
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "forecasts/availability"

BMRS_IGCA = Dataset(
    table="bmrs_igca",
    code="IGCA",
    family=NAME,
    title="Installed capacity by type",
    description="Installed generation capacity (MW) by production type (transparency code B1410).",
    endpoint=published("/datasets/IGCA", days(731), "spec"),
    key=("year", "psrType", "documentId"),
    version=("documentRevisionNumber", "publishTime"),
    nullable_key=("psrType",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=NO_FRESHNESS,
    first_day=date(2023, 1, 1),
    tier=Tier.OPTIONAL,
    rows_per_day=20,
    published="yearly",
    inferred=("rows_per_day",),
    aliases=("bmrs_b1410",),
    iris_code="IGCA",
    importance=8,
    notes=("Yearly: most days have no publication.",),
    columns=columns("dataset documentId documentRevisionNumber! publishTime! businessType psrType year! quantity!"),
)


BMRS_IGCPU = Dataset(
    table="bmrs_igcpu",
    code="IGCPU",
    family=NAME,
    title="Installed capacity by unit",
    description="Installed capacity (MW) and voltage (kV) of each generation unit (transparency code B1420).",
    endpoint=published("/datasets/IGCPU", days(731), "spec"),
    key=("registeredResourceEicCode", "effectiveFrom", "documentId"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=NO_FRESHNESS,
    first_day=date(2023, 1, 1),
    tier=Tier.OPTIONAL,
    published="yearly / on change",
    inferred=("rows_per_day",),
    aliases=("bmrs_b1420",),
    iris_code="IGCPU",
    importance=8,
    notes=("Published on change; rows that were migrated carry publishTime 2023-01-01.",),
    columns=columns(
        "dataset documentId publishTime! effectiveFrom! psrType registeredResourceEicCode "
        "registeredResourceName bmUnit voltageLimit installedCapacity!"
    ),
)


BMRS_FOU2T14D = Dataset(
    table="bmrs_fou2t14d",
    code="FOU2T14D",
    family=NAME,
    title="Availability by fuel, 2 to 14 days",
    description="Output usable (MW) by fuel type for each of the days 2 to 14 ahead; every publication is kept.",
    endpoint=published("/datasets/FOU2T14D", days(1), UNKNOWN),
    key=("publishTime", "fuelType", "forecastDate", "interconnectorName"),
    nullable_key=("interconnectorName",),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=24),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    first_day=date(2021, 1, 1),
    rows_per_day=5_928,
    published="hourly",
    inferred=("first_day", "published"),
    iris_code="FOU2T14D",
    importance=4,
    notes=("Interconnectors are rows of their own, named in interconnectorName.",),
    columns=columns(
        "dataset fuelType publishTime systemZone forecastDate! forecastDateTimezone outputUsable "
        "biddingZone interconnectorName interconnector!"
    ),
)


BMRS_FOU2T3YW = Dataset(
    table="bmrs_fou2t3yw",
    code="FOU2T3YW",
    family=NAME,
    title="Availability by fuel, 2 to 156 weeks",
    description="Output usable (MW) by fuel type for each of the weeks 2 to 156 ahead; every publication is kept.",
    endpoint=published("/datasets/FOU2T3YW", days(1), UNKNOWN),
    key=("publishTime", "fuelType", "year", "calendarWeekNumber", "interconnectorName"),
    nullable_key=("interconnectorName",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    first_day=date(2021, 1, 1),
    rows_per_day=2_945,
    published="daily or more",
    inferred=("first_day", "rows_per_day", "published"),
    iris_code="FOU2T3YW",
    importance=4,
    notes=("Interconnectors are rows of their own, named in interconnectorName.",),
    columns=columns(
        "dataset fuelType publishTime systemZone calendarWeekNumber year outputUsable biddingZone "
        "interconnectorName interconnector!"
    ),
)


BMRS_NOU2T14D = Dataset(
    table="bmrs_nou2t14d",
    code="NOU2T14D",
    family=NAME,
    title="Availability of the nation, 2 to 14 days",
    description="Output usable (MW) in all for each of the days 2 to 14 ahead; every publication is kept.",
    endpoint=published("/datasets/NOU2T14D", days(1), UNKNOWN),
    key=("publishTime", "systemZone", "forecastDate"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=24, horizon=13),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    first_day=date(2021, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=312,
    published="hourly",
    inferred=("first_day", "rows_per_day", "published"),
    iris_code="NOU2T14D",
    importance=6,
    notes=("Many publications a target.",),
    columns=columns("dataset publishTime systemZone forecastDate! forecastDateTimezone outputUsable"),
)


BMRS_NOU2T3YW = Dataset(
    table="bmrs_nou2t3yw",
    code="NOU2T3YW",
    family=NAME,
    title="Availability of the nation, 2 to 156 weeks",
    description="Output usable (MW) in all for each of the weeks 2 to 156 ahead; every publication is kept.",
    endpoint=published("/datasets/NOU2T3YW", days(1), UNKNOWN),
    key=("publishTime", "systemZone", "year", "calendarWeekNumber"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    first_day=date(2021, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=155,
    published="daily or more",
    inferred=("first_day", "rows_per_day", "published"),
    iris_code="NOU2T3YW",
    importance=6,
    notes=("Many publications a target.",),
    columns=columns("dataset publishTime systemZone calendarWeekNumber year outputUsable"),
)


BMRS_UOU2T14D = Dataset(
    table="bmrs_uou2t14d",
    code="UOU2T14D",
    family=NAME,
    title="Availability by unit, 2 to 14 days",
    description="Output usable (MW) of each unit for each of the days 2 to 14 ahead; every publication is kept.",
    endpoint=published("/datasets/UOU2T14D", hours(4), "API 400 body"),
    key=("publishTime", "nationalGridBmUnit", "forecastDate"),
    unit_fallback=UNIT,
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY, publications=24),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    first_day=date(2021, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=161_000,
    published="hourly",
    inferred=("published",),
    aliases=("bmrs_uo",),
    iris_code="UOU2T14D",
    importance=6,
    notes=("About 161,000 rows a day, four hours a call.",),
    columns=columns("dataset fuelType nationalGridBmUnit bmUnit publishTime forecastDate! outputUsable"),
)


BMRS_UOU2T3YW = Dataset(
    table="bmrs_uou2t3yw",
    code="UOU2T3YW",
    family=NAME,
    title="Availability by unit, 2 to 156 weeks",
    description="Output usable (MW) of each unit for each of the weeks 2 to 156 ahead; every publication is kept.",
    endpoint=published(
        "/datasets/UOU2T3YW",
        hours(4),
        "inferred from UOU2T14D; the spec also limits this endpoint to 100 requests per minute",
        per_minute=100,
    ),
    key=("publishTime", "nationalGridBmUnit", "year", "week"),
    unit_fallback=UNIT,
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    first_day=date(2021, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=80_000,
    published="daily or more",
    inferred=("first_day", "rows_per_day", "published"),
    iris_code="UOU2T3YW",
    importance=6,
    notes=(
        "About 80,000 rows a publication (inferred), four hours a call.",
        "The source allows 100 requests a minute on this path.",
    ),
    columns=columns("dataset fuelType nationalGridBmUnit bmUnit publishTime week year outputUsable"),
)


BMRS_AVAILABILITY_DAILY = Dataset(
    table="bmrs_availability_daily",
    code="FOU2T14D",
    family=NAME,
    title="Availability as of a time, 2 to 14 days",
    description="The newest publication of bmrs_fou2t14d as of an instant.",
    endpoint=as_of("/forecast/availability/daily/history", step=hours(1)),
    key=("publishTime", "fuelType", "bmUnit", "forecastDate"),
    nullable_key=("fuelType", "bmUnit"),
    partition_field="publishTime",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    first_day=date(2021, 1, 1),
    tier=Tier.OPTIONAL,
    rows_per_day=6_000,
    published="hourly",
    inferred=("first_day", "rows_per_day", "published"),
    importance=8,
    notes=(
        "One call answers the publication in force at one instant; a day is asked for every hour.",
        "Another view of bmrs_fou2t14d.",
    ),
    columns=columns("dataset publishTime fuelType ngcBmUnit bmUnit outputUsable forecastDate!"),
)


BMRS_AVAILABILITY_WEEKLY = Dataset(
    table="bmrs_availability_weekly",
    code="FOU2T3YW",
    family=NAME,
    title="Availability as of a time, 2 to 156 weeks",
    description="The newest publication of bmrs_fou2t3yw as of an instant.",
    endpoint=as_of("/forecast/availability/weekly/history", step=days(1)),
    key=("publishTime", "fuelType", "bmUnit", "year", "calendarWeekNumber"),
    nullable_key=("fuelType", "bmUnit"),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    first_day=date(2021, 1, 1),
    tier=Tier.OPTIONAL,
    rows_per_day=3_000,
    published="daily or more",
    inferred=("first_day", "rows_per_day", "published"),
    importance=8,
    notes=(
        "One call answers the publication in force at the end of a day.",
        "Another view of bmrs_fou2t3yw.",
    ),
    columns=columns("dataset publishTime fuelType ngcBmUnit bmUnit outputUsable year! calendarWeekNumber!"),
)


FAMILY = Family(
    NAME,
    "Availability and capacity",
    (
        BMRS_IGCA,
        BMRS_IGCPU,
        BMRS_FOU2T14D,
        BMRS_FOU2T3YW,
        BMRS_NOU2T14D,
        BMRS_NOU2T3YW,
        BMRS_UOU2T14D,
        BMRS_UOU2T3YW,
        BMRS_AVAILABILITY_DAILY,
        BMRS_AVAILABILITY_WEEKLY,
    ),
    about="How much capacity its owners expect to be available (every publication is kept), and how much is installed.",
    examples=EXAMPLES[NAME],
)
