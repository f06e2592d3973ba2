"""Metered volumes: of each unit, of trading units, exempt supply, load shapes."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import (
    PERIOD_START,
    Column,
    Completeness,
    Dataset,
    Endpoint,
    Family,
    Freshness,
    Lag,
    Rule,
    Style,
    Tier,
)
from gbpm_dagster.catalogue.terms import METERED, NO_FRESHNESS, NUM, UNKNOWN, between, dates, days, on_date
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "settlement/metering"

BMRS_B1610 = Dataset(
    table="bmrs_b1610",
    code="B1610",
    family=NAME,
    title="Metered output of each unit",
    description="Metered volume (MWh) of each BM unit in each settlement period: what really flowed, against the notifications of bmrs_pn.",
    endpoint=between("/datasets/B1610/stream", PERIOD_START, days(1), "unknown for the stream: starts at one day"),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnitId"),
    unit_fallback=(("nationalGridBmUnitId", "bmUnit"),),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=METERED,
    freshness=Freshness.minutes("b1610", 12240, 14400, "halfHourEndTime"),
    rows_per_day=120_000,
    published="II run at about 5 working days, refreshed by SF, R1, R2, R3, RF",
    inferred=("first_day", "rows_per_day"),
    settlement=True,
    importance=4,
    notes=(
        "Appears about five working days later, with the II run, and is refreshed by every later run; the source keeps the latest only.",
        "quantity is MWh in a half hour: times two is average MW.",
        "halfHourEndTime is the end of the half hour, not its start.",
        "The unit's NESO id is called nationalGridBmUnitId here; either id may be missing.",
    ),
    columns=columns(
        "dataset psrType bmUnit nationalGridBmUnitId settlementDate! settlementPeriod! halfHourEndTime! quantity!",
        Column(
            "quantity", NUM, "Metered volume in the settlement period (x2 for average MW)", unit="MWh", nullable=False
        ),
    ),
)


BMRS_TUDM = Dataset(
    table="bmrs_tudm",
    code="TUDM",
    family=NAME,
    title="Trading unit data",
    description="Import, export and net volume (MWh) of each trading unit, by settlement run.",
    endpoint=Endpoint(
        "/datasets/TUDM/stream",
        Style.SPAN,
        ("settlementDateFrom", "settlementPeriodFrom", "settlementDateTo", "settlementPeriodTo"),
        selects="settlementDate",
        cap=days(1),
        cap_source="unknown for the stream: starts at one day",
    ),
    key=("settlementDate", "settlementPeriod", "tradingUnitName", "settlementRunType"),
    version=("fileCreationTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=METERED,
    freshness=NO_FRESHNESS,
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    rows_per_day=2_000,
    published="per settlement run (S0491)",
    inferred=("first_day", "rows_per_day"),
    settlement=True,
    importance=6,
    notes=("settlementRunType is part of the key: choose one run before summing.",),
    columns=columns(
        "dataset serialNumber fileCreationTime! tradingUnitType tradingUnitName settlementDate! "
        "settlementPeriod! settlementRunType startTime! deliveryMode importVolume! exportVolume! "
        "netVolume!"
    ),
)


SAA_TOTAL_EXEMPT_VOLUME = Dataset(
    table="saa_total_exempt_volume",
    code="S0621",
    family=NAME,
    title="Total exempt supply volume",
    description="Volume (MWh) of exempt supply in each settlement period.",
    endpoint=on_date("/saa/datasets/total-exempt-volume/{settlementDate}"),
    key=("settlementDate", "settlementPeriod", "settlementRunType"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=METERED,
    freshness=NO_FRESHNESS,
    first_day=date(2025, 3, 1),
    tier=Tier.OPTIONAL,
    rows_per_day=48,
    published="per settlement run",
    settlement=True,
    importance=8,
    notes=(
        "Published since March 2025.",
        "Asked without a run, it gives the latest one.",
    ),
    columns=columns("creationTime! settlementDate! settlementPeriod! settlementRunType totalExemptSupplyVolume"),
)


LSS_LOAD_SHAPE_PERIOD = Dataset(
    table="lss_load_shape_period",
    code="IF022",
    family=NAME,
    title="Load shapes by period",
    description="Load shape values of each settlement period by GSP group, connection type and market segment (half-hourly settlement reform).",
    endpoint=on_date("/lss/load-shape-period", param="date"),
    key=(
        "settlementDate",
        "settlementPeriod",
        "gspGroupId",
        "connectionTypeIndicator",
        "marketSegmentIndicator",
        "domesticPremiseIndicator",
        "measurementQuantityId",
        "runNumber",
    ),
    nullable_key=("gspGroupId",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(2880, 1440, 10080),
    freshness=Freshness.minutes("daily", 2160, 4320, "settlementDate"),
    first_day=date(2026, 1, 1),
    tier=Tier.OPTIONAL,
    published="daily (MHHS)",
    inferred=("rows_per_day",),
    importance=8,
    notes=(
        "The unit is inferred.",
        "runNumber is part of the key: choose one before summing.",
    ),
    columns=columns(
        "sourceFileName sourceFileDatetime! settlementDate! settlementPeriodStartDateTime! "
        "settlementPeriodEndDateTime! settlementPeriod! gspGroupId connectionTypeIndicator "
        "marketSegmentIndicator domesticPremiseIndicator measurementQuantityId runNumber! eventCode "
        "settlementPeriodDuration! loadShapePeriodValue! defaultLoadShapeFlag"
    ),
)


LSS_LOAD_SHAPE_TOTALS = Dataset(
    table="lss_load_shape_totals",
    code="IF023",
    family=NAME,
    title="Load shape totals",
    description="Day, rolling week and rolling year totals of the load shapes.",
    endpoint=dates("/lss/load-shape-totals", "fromDate", "toDate", days(1), UNKNOWN),
    key=(
        "settlementDate",
        "gspGroupId",
        "connectionTypeIndicator",
        "marketSegmentIndicator",
        "domesticPremiseIndicator",
        "measurementQuantityId",
        "runNumber",
    ),
    nullable_key=("gspGroupId",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(2880, 1440, 10080),
    freshness=Freshness.minutes("daily", 2160, 4320, "settlementDate"),
    first_day=date(2026, 1, 1),
    tier=Tier.OPTIONAL,
    published="daily (MHHS)",
    inferred=("rows_per_day",),
    importance=8,
    notes=(
        "The unit is inferred.",
        "runNumber is part of the key: choose one before summing.",
    ),
    columns=columns(
        "sourceFileName sourceFileDatetime! settlementDate! gspGroupId connectionTypeIndicator "
        "marketSegmentIndicator domesticPremiseIndicator measurementQuantityId runNumber! eventCode "
        "settlementPeriodDuration! loadShapeDayTotal! loadShapeDayPeakTotal loadShapeDayOffPeakTotal "
        "loadShape7DayRollingTotal! loadShape7DayRollingPeakTotal loadShape7DayRollingOffPeakTotal "
        "loadShapeRollingAnnualTotal!"
    ),
)


FAMILY = Family(
    NAME,
    "Metered volumes",
    (
        BMRS_B1610,
        BMRS_TUDM,
        SAA_TOTAL_EXEMPT_VOLUME,
        LSS_LOAD_SHAPE_PERIOD,
        LSS_LOAD_SHAPE_TOTALS,
    ),
    about="What really flowed, metered: MWh a settlement period, days after the event and refreshed by each settlement run.",
    examples=EXAMPLES[NAME],
)
