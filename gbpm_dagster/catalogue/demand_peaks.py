"""Peaks of demand, Triads, and demand in a restoration."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import (
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
from gbpm_dagster.catalogue.terms import LISTED, NO_FRESHNESS, NUM, POLLED, UNKNOWN, dates, days
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "demand/peaks"

BMRS_DEMAND_PEAK = Dataset(
    table="bmrs_demand_peak",
    code="ITSDO",
    family=NAME,
    title="Daily peak demand",
    description="The highest transmission system demand (MW) of each day.",
    endpoint=dates("/demand/peak", "from", "to", days(1), UNKNOWN),
    key=("settlementDate",),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.DAILY),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("daily", 2160, 4320, "publishTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=1,
    published="daily",
    inferred=("first_day",),
    importance=8,
    notes=("Derived from bmrs_itsdo.",),
    columns=columns(
        "publishTime startTime! settlementDate! settlementPeriod! initialTransmissionSystemDemandOutturn!"
    ),
)


BMRS_DEMAND_PEAK_SETTLEMENT = Dataset(
    table="bmrs_demand_peak_settlement",
    code="S0142",
    family=NAME,
    title="Triad season peaks, settlement data",
    description="The day's demand peak in a Triad season (November to February), from settlement volumes.",
    endpoint=Endpoint(
        "/demand/peak/indicative/settlement/{triadSeason}",
        Style.SEASON,
        ("triadSeason",),
        selects="settlementDate",
        cap=days(366),
        cap_source="a season a call",
    ),
    key=("settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(2880, 1440, 10080),
    freshness=NO_FRESHNESS,
    tier=Tier.OPTIONAL,
    rows_per_day=1,
    published="per settlement run",
    inferred=("first_day",),
    settlement=True,
    importance=8,
    notes=(
        "A call answers a whole season; days outside a season have no rows and need no call.",
        "The unit is inferred.",
    ),
    columns=columns(
        "settlementDate! settlementPeriod! halfHourEndTime! demand! settlementRunType",
        Column("demand", NUM, "Peak demand", unit="MW?", nullable=False),
    ),
)


BMRS_DEMAND_PEAK_OPERATIONAL = Dataset(
    table="bmrs_demand_peak_operational",
    code="ITSDO+FUELHH",
    family=NAME,
    title="Triad season peaks, operational data",
    description="The day's demand peak (MW) in a Triad season (November to February), from operational data.",
    endpoint=Endpoint(
        "/demand/peak/indicative/operational/{triadSeason}",
        Style.SEASON,
        ("triadSeason",),
        selects="settlementDate",
        cap=days(366),
        cap_source="a season a call",
    ),
    key=("settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(2880, 1440, 10080),
    freshness=Freshness.minutes("daily", 2160, 4320, "halfHourEndTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=1,
    published="daily",
    inferred=("first_day",),
    importance=8,
    notes=("A call answers a whole season; days outside a season have no rows and need no call.",),
    columns=columns(
        "settlementDate! settlementPeriod! halfHourEndTime! demand! settlementRunType",
        Column("demand", NUM, "Demand", unit="MW", nullable=False),
    ),
)


BMRS_TRIAD_PEAKS = Dataset(
    table="bmrs_triad_peaks",
    code="S0142+ITSDO+FUELHH",
    family=NAME,
    title="Triads",
    description="The three half hours of highest demand of a season, at least ten days apart.",
    endpoint=Endpoint(
        "/demand/peak/triad",
        Style.SEASON,
        ("triadSeasonStartYear",),
        selects="settlementDate",
        cap=days(366),
        cap_source="a season a call",
        fixed=(("data", "operational"),),
    ),
    key=("settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=LISTED,
    freshness=NO_FRESHNESS,
    tier=Tier.OPTIONAL,
    rows_per_day=3,
    published="daily in season",
    inferred=("first_day",),
    importance=8,
    notes=(
        "Asked with operational data; the settlement reading would be another table.",
        "Of a season in progress they are provisional.",
    ),
    columns=columns(
        "settlementDate! settlementPeriod! halfHourEndTime! demand! settlementRunType",
        Column("demand", NUM, "Peak demand", unit="MW?", nullable=False),
    ),
)


BMRS_RZDF = Dataset(
    table="bmrs_rzdf",
    code="RZDF",
    family=NAME,
    title="Restoration region demand forecast",
    description="Peak demand (MW) forecast for each restoration region: 60 % and 100 %.",
    endpoint=Endpoint(
        "/datasets/RZDF",
        Style.RANGE,
        ("submissionDateTimeFrom", "submissionDateTimeTo"),
        selects="submissionDateTime",
        cap=days(365),
        cap_source="spec",
    ),
    key=("submissionDateTime", "settlementDate", "region", "gspGroupId"),
    version=("publishTime",),
    nullable_key=("gspGroupId",),
    partition_field="submissionDateTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=POLLED,
    first_day=date(2025, 1, 1),
    tier=Tier.OPTIONAL,
    published="when received",
    inferred=("rows_per_day",),
    importance=8,
    notes=("Published since 2025, when submitted.",),
    columns=columns(
        "dataset submissionDateTime! publishTime! settlementDate! region gspGroupId forecastDemand60! "
        "forecastDemand100!"
    ),
)


BMRS_RZDR = Dataset(
    table="bmrs_rzdr",
    code="RZDR",
    family=NAME,
    title="Restoration region demand restored",
    description="Demand restored (MW) in each restoration region: only in a restoration.",
    endpoint=Endpoint(
        "/datasets/RZDR",
        Style.RANGE,
        ("submissionDateTimeFrom", "submissionDateTimeTo"),
        selects="submissionDateTime",
        cap=days(365),
        cap_source="spec",
    ),
    key=("submissionDateTime", "region", "gspGroupId"),
    version=("publishTime",),
    nullable_key=("gspGroupId",),
    partition_field="submissionDateTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=POLLED,
    first_day=date(2025, 1, 1),
    tier=Tier.OPTIONAL,
    published="event (restoration)",
    inferred=("rows_per_day",),
    importance=8,
    notes=("Empty in ordinary times.",),
    columns=columns("dataset submissionDateTime! publishTime! region gspGroupId restoredDemand!"),
)


FAMILY = Family(
    NAME,
    "Peaks and restoration",
    (
        BMRS_DEMAND_PEAK,
        BMRS_DEMAND_PEAK_SETTLEMENT,
        BMRS_DEMAND_PEAK_OPERATIONAL,
        BMRS_TRIAD_PEAKS,
        BMRS_RZDF,
        BMRS_RZDR,
    ),
    about="The highest demand of days and seasons, and the regions' demand that a restoration would bring back.",
    examples=EXAMPLES[NAME],
)
