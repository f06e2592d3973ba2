"""Generation by fuel type: five-minute, half-hourly, and the transparency series."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.members import FUELS, PSR_TYPES, WIND_AND_SOLAR
from gbpm_dagster.catalogue.model import (
    Column,
    Completeness,
    Dataset,
    Endpoint,
    Family,
    Freshness,
    Grain,
    Lag,
    Rule,
    Style,
    Tier,
)
from gbpm_dagster.catalogue.terms import (
    HALF_HOURLY,
    INT,
    LISTED,
    NO_FRESHNESS,
    NUM,
    STREAMED,
    TEXT,
    TRANSPARENCY,
    UNKNOWN,
    between,
    dates,
    days,
    published,
    snapshot,
)
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "generation"

BMRS_FUELINST = Dataset(
    table="bmrs_fuelinst",
    code="FUELINST",
    family=NAME,
    title="Generation by fuel, five minutes",
    description="Generation by fuel type and interconnector, average MW over five minutes. MW, not MWh: divide by 12 for energy.",
    endpoint=dates("/datasets/FUELINST", "settlementDateFrom", "settlementDateTo", days(7), "inferred?"),
    key=("startTime", "fuelType"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(
        Rule.PERIODS, rows_per_period=6, member_column="fuelType", members=FUELS, values=("generation",)
    ),
    lag=Lag.minutes(10, 15, 120),
    freshness=STREAMED("publishTime"),
    rows_per_day=5_760,
    bytes_per_row=175,
    published="every 5 min",
    inferred=("first_day",),
    iris_code="FUELINST",
    importance=2,
    notes=(
        "Interconnectors (INT...) are negative on export; PS is negative when pumping.",
        "Transmission-metered only: no solar, no embedded wind.",
    ),
    columns=columns("dataset publishTime startTime settlementDate settlementPeriod fuelType generation"),
)


BMRS_FUELHH = Dataset(
    table="bmrs_fuelhh",
    code="FUELHH",
    family=NAME,
    title="Generation by fuel, half-hourly",
    description="Generation by fuel type and interconnector, average MW over the settlement period. MW, not MWh: divide by 2 for energy.",
    endpoint=dates("/datasets/FUELHH", "settlementDateFrom", "settlementDateTo", days(7), "inferred?"),
    key=("settlementDate", "settlementPeriod", "fuelType"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS, member_column="fuelType", members=FUELS, values=("generation",)),
    lag=Lag.minutes(30, 60, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=960,
    bytes_per_row=175,
    published="every 30 min",
    inferred=("first_day",),
    iris_code="FUELHH",
    importance=2,
    notes=(
        "Interconnectors (INT...) are negative on export; PS is negative when pumping.",
        "Transmission-metered only: no solar, no embedded wind.",
    ),
    columns=columns("dataset publishTime startTime settlementDate settlementPeriod fuelType generation"),
)


BMRS_AGPT_SERIES = Dataset(
    table="bmrs_agpt_series",
    code="AGPT",
    family=NAME,
    title="Actual generation per type (series)",
    description="Actual generation per transparency type, MW, with solar and embedded wind. One-day windows only: the path averages longer ones.",
    endpoint=between(
        "/generation/actual/per-type", "startTime", days(1), "ours: longer windows are down-sampled", rows_at="data"
    ),
    key=("startTime", "psrType"),
    partition_field="startTime",
    completeness=Completeness(Rule.PERIODS, member_column="psrType", members=PSR_TYPES, values=("quantity",)),
    lag=Lag.minutes(180, 720, 4320),
    freshness=Freshness.minutes("hourly", 90, 180, "startTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=528,
    bytes_per_row=90,
    published="about hourly",
    inferred=("first_day", "published"),
    importance=6,
    notes=("Down-sampled when the window is long; bmrs_agpt has every revision.",),
    columns=columns(
        "startTime! settlementPeriod! businessType psrType quantity!",
        Column(
            "businessType",
            TEXT,
            "In the nested list `data` of the row, one table row an element. Transparency business type",
        ),
        Column(
            "psrType",
            TEXT,
            "In the nested list `data` of the row, one table row an element. Power system resource type (transparency fuel category)",
        ),
        Column(
            "quantity",
            NUM,
            "In the nested list `data` of the row, one table row an element. Quantity, average over the period",
            unit="MW",
            nullable=False,
        ),
    ),
)


BMRS_AGPT = Dataset(
    table="bmrs_agpt",
    code="AGPT",
    family=NAME,
    title="Actual generation by type",
    description="Average MW of each settlement period by production type (transparency code B1620).",
    endpoint=published("/datasets/AGPT", days(4), "spec"),
    key=("settlementDate", "settlementPeriod", "psrType", "businessType"),
    version=("documentRevisionNumber", "publishTime"),
    nullable_key=("psrType", "businessType"),
    partition_field="publishTime",
    completeness=Completeness(
        Rule.DAILY, member_column="psrType", members=PSR_TYPES, values=("quantity",), covers=True
    ),
    lag=TRANSPARENCY,
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    first_day=date(2023, 1, 1),
    rows_per_day=528,
    published="about hourly",
    inferred=("published",),
    aliases=("bmrs_b1620",),
    iris_code="AGPT",
    importance=4,
    notes=(
        "Asked by publication: a settlement day's rows lie in two or more partitions; the view gives one row a key, the newest.",
        "A revision (documentRevisionNumber) is a vintage of the same row.",
        "Solar and wind are those of bmrs_agws, with embedded plants estimated (seen: 1,993 MW of solar in a January half hour): never add the two, nor the wind of bmrs_fuelhh.",
    ),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! businessType psrType quantity! "
        "startTime! settlementDate! settlementPeriod!"
    ),
)


BMRS_AGWS = Dataset(
    table="bmrs_agws",
    code="AGWS",
    family=NAME,
    title="Actual wind and solar",
    description="Average MW of solar, wind onshore and wind offshore in each settlement period, embedded plants estimated (transparency code B1630).",
    endpoint=published("/datasets/AGWS", days(7), "spec"),
    key=("settlementDate", "settlementPeriod", "psrType", "businessType"),
    version=("documentRevisionNumber", "publishTime"),
    nullable_key=("psrType", "businessType"),
    partition_field="publishTime",
    completeness=Completeness(
        Rule.DAILY, member_column="psrType", members=WIND_AND_SOLAR, values=("quantity",), covers=True
    ),
    lag=TRANSPARENCY,
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    first_day=date(2023, 1, 1),
    rows_per_day=144,
    published="about hourly",
    inferred=("published",),
    aliases=("bmrs_wind_solar_gen", "bmrs_b1630"),
    iris_code="AGWS",
    importance=4,
    notes=(
        "Asked by publication: a settlement day's rows lie in two or more partitions.",
        "Where embedded solar is found: bmrs_fuelinst and bmrs_fuelhh have none. Its wind overlaps theirs: never add both.",
        "A revision is a vintage of the same row.",
    ),
    columns=columns(
        "dataset documentId documentRevisionNumber! publishTime! businessType psrType quantity! "
        "startTime! settlementDate! settlementPeriod!"
    ),
)


BMRS_AGWS_SERIES = Dataset(
    table="bmrs_agws_series",
    code="AGWS",
    family=NAME,
    title="Actual wind and solar, by start time",
    description="The rows of bmrs_agws, selected by the period they are for: convenient for a backfill.",
    endpoint=between("/generation/actual/per-type/wind-and-solar", "startTime", days(7), "spec"),
    key=("settlementDate", "settlementPeriod", "psrType", "businessType"),
    version=("publishTime",),
    nullable_key=("psrType", "businessType"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS, member_column="psrType", members=WIND_AND_SOLAR, values=("quantity",)),
    lag=TRANSPARENCY,
    freshness=Freshness.minutes("hourly", 90, 180, "publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=144,
    published="about hourly",
    inferred=("first_day", "published"),
    importance=6,
    notes=("Another view of bmrs_agws.",),
    columns=columns("publishTime! businessType psrType quantity! startTime! settlementDate! settlementPeriod!"),
)


BMRS_INTERCONNECTOR_FLOWS = Dataset(
    table="bmrs_interconnector_flows",
    code="FUELINST",
    family=NAME,
    title="Interconnector flows",
    description="Average MW of each interconnector in each settlement period; positive is import to GB.",
    endpoint=dates("/generation/outturn/interconnectors", "settlementDateFrom", "settlementDateTo", days(1), UNKNOWN),
    key=("startTime", "interconnectorName"),
    version=("publishTime",),
    nullable_key=("interconnectorName",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=Lag.minutes(30, 60, 1440),
    freshness=HALF_HOURLY("publishTime"),
    tier=Tier.STANDARD,
    rows_per_day=480,
    published="every 30 min",
    inferred=("first_day", "rows_per_day", "published"),
    aliases=("bmrs_interfuelhh",),
    importance=6,
    notes=("Derived by Elexon from the INT codes of bmrs_fuelinst.",),
    columns=columns(
        "dataset publishTime startTime settlementDate! settlementDateTimezone settlementPeriod "
        "interconnectorName generation"
    ),
)


BMRS_GENERATION_CURRENT = Dataset(
    table="bmrs_generation_current",
    code="FUELINST+FUELHH",
    family=NAME,
    title="Generation now",
    description="The fuel mix of the last five minutes, half hour and day, in MW and percent.",
    endpoint=snapshot("/generation/outturn/current"),
    key=("fuelType",),
    grain=Grain.SNAPSHOT,
    completeness=Completeness(Rule.SNAPSHOT, floor=1),
    lag=LISTED,
    freshness=NO_FRESHNESS,
    tier=Tier.OPTIONAL,
    rows_per_day=20,
    published="every 5 min",
    importance=8,
    notes=("A chart's feed: the present only. bmrs_fuelinst and bmrs_fuelhh have the history.",),
    columns=columns(
        "dataset fuelType currentUsage currentPercentage! halfHourUsage halfHourPercentage! "
        "twentyFourHourUsage twentyFourHourPercentage!"
    ),
)


BMRS_GENERATION_SUMMARY = Dataset(
    table="bmrs_generation_summary",
    code="FUELINST",
    family=NAME,
    title="Generation, for charts",
    description="Down-sampled generation by fuel type: a chart's feed.",
    endpoint=Endpoint(
        "/generation/outturn/summary",
        Style.RANGE,
        ("startTime", "endTime"),
        selects="startTime",
        cap=days(1),
        cap_source=UNKNOWN,
        fixed=(("includeNegativeGeneration", "true"),),
        rows_at="data",
    ),
    key=("startTime", "fuelType"),
    partition_field="startTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=NO_FRESHNESS,
    tier=Tier.OPTIONAL,
    published="every 5 min",
    inferred=("rows_per_day",),
    importance=8,
    notes=("The source thins it out as it likes: take bmrs_fuelinst or bmrs_fuelhh.",),
    columns=columns(
        "startTime settlementPeriod fuelType generation!",
        Column(
            "fuelType",
            TEXT,
            "In the nested list `data` of the row, one table row an element. Fuel type or interconnector code",
        ),
        Column(
            "generation",
            INT,
            "In the nested list `data` of the row, one table row an element. Generation",
            unit="MW",
            nullable=False,
        ),
    ),
)


BMRS_GENERATION_TOTAL = Dataset(
    table="bmrs_generation_total",
    code="FUELINST",
    family=NAME,
    title="Total generation",
    description="The sum of all fuel types every five minutes, MW.",
    endpoint=between("/generation/outturn", "startTime", days(1), UNKNOWN),
    key=("startTime", "recordType"),
    partition_field="startTime",
    completeness=Completeness(Rule.PERIODS, rows_per_period=6),
    lag=Lag.minutes(30, 60, 1440),
    freshness=STREAMED("startTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=288,
    published="every 5 min",
    inferred=("first_day", "rows_per_day"),
    importance=8,
    notes=("The field is called demand, and is generation: a proxy of rolling system demand.",),
    columns=columns("recordType startTime demand"),
)


FAMILY = Family(
    NAME,
    "Generation",
    (
        BMRS_FUELINST,
        BMRS_FUELHH,
        BMRS_AGPT_SERIES,
        BMRS_AGPT,
        BMRS_AGWS,
        BMRS_AGWS_SERIES,
        BMRS_INTERCONNECTOR_FLOWS,
        BMRS_GENERATION_CURRENT,
        BMRS_GENERATION_SUMMARY,
        BMRS_GENERATION_TOTAL,
    ),
    about="What was generated, by fuel, type or interconnector. Values are average MW over their interval: times its hours for MWh.",
    examples=EXAMPLES[NAME],
)
