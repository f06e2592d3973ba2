"""Generation by fuel type: five-minute, half-hourly, and the transparency series."""

from __future__ import annotations

from datetime import date, timedelta

from gbpm_dagster.catalogue.model import (
    Column,
    Completeness,
    Dataset,
    Endpoint,
    Family,
    Freshness,
    Lag,
    Member,
    Rule,
    Style,
    Tier,
)
from gbpm_dagster.catalogue.terms import DATE, HALF_HOURLY, INSTANT, INT, NUM, STREAMED, TEXT

FUELS = (
    *(
        Member(fuel)
        for fuel in ("BIOMASS", "CCGT", "COAL", "NPSHYD", "NUCLEAR", "OCGT", "OIL", "OTHER", "PS", "WIND")
    ),
    *(Member(link) for link in ("INTEW", "INTFR", "INTIRL", "INTNED")),
    Member("INTNEM", date(2018, 9, 26)),
    Member("INTIFA2", date(2020, 3, 3)),
    Member("INTNSL", date(2021, 1, 28)),
    Member("INTELEC", date(2021, 9, 11)),
    # Single values of the two newest links appear earlier (2023-07-12, 2024-03-19) and are welcome; a period
    # must have them from the first month in which every period had (recorded FUELINST of 2023-10 to 2024-10).
    Member("INTVKL", date(2024, 1, 1)),
    Member("INTGRNL", date(2024, 10, 1)),
)
"""Fuel types and interconnectors that FUELHH and FUELINST report, each from its first whole day on."""


PSR_TYPES = tuple(
    Member(name)
    for name in (
        "Biomass",
        "Fossil Gas",
        "Fossil Hard coal",
        "Fossil Oil",
        "Hydro Pumped Storage",
        "Hydro Run-of-river and poundage",
        "Nuclear",
        "Other",
        "Solar",
        "Wind Offshore",
        "Wind Onshore",
    )
)
"""The transparency types every period of AGPT has."""


BMRS_FUELINST = Dataset(
    table="bmrs_fuelinst",
    code="FUELINST",
    family="generation",
    title="Generation by fuel, five minutes",
    description="Generation by fuel type and interconnector, average MW over five minutes. MW, not MWh: divide by 12 for energy.",
    endpoint=Endpoint(
        "/datasets/FUELINST",
        Style.DATES,
        ("settlementDateFrom", "settlementDateTo"),
        selects="settlementDate",
        cap=timedelta(days=7),
        cap_source="inferred?",
    ),
    key=("startTime", "fuelType"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(
        Rule.PERIODS, rows_per_period=6, member_column="fuelType", members=FUELS, values=("generation",)
    ),
    lag=Lag.minutes(10, 15, 120),
    freshness=STREAMED("publishTime"),
    rows_per_day=5760,
    bytes_per_row=175,
    iris_code="FUELINST",
    importance=2,
    notes=("Interconnectors (INT...) are negative on export; PS is negative when pumping.",),
    columns=(
        Column("dataset", TEXT, "Dataset code of the row"),
        Column("publishTime", INSTANT, "When the value was published, UTC"),
        Column("startTime", INSTANT, "Start of the period the value is for, UTC"),
        Column("settlementDate", DATE, "Settlement day (London calendar day)"),
        Column("settlementPeriod", INT, "Settlement period of the settlement day, 1..46, 48 or 50"),
        Column("fuelType", TEXT, "Fuel type or interconnector code"),
        Column("generation", INT, "Generation", unit="MW"),
    ),
)


BMRS_FUELHH = Dataset(
    table="bmrs_fuelhh",
    code="FUELHH",
    family="generation",
    title="Generation by fuel, half-hourly",
    description="Generation by fuel type and interconnector, average MW over the settlement period. MW, not MWh: divide by 2 for energy.",
    endpoint=Endpoint(
        "/datasets/FUELHH",
        Style.DATES,
        ("settlementDateFrom", "settlementDateTo"),
        selects="settlementDate",
        cap=timedelta(days=7),
        cap_source="inferred?",
    ),
    key=("settlementDate", "settlementPeriod", "fuelType"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS, member_column="fuelType", members=FUELS, values=("generation",)),
    lag=Lag.minutes(30, 60, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=960,
    bytes_per_row=175,
    iris_code="FUELHH",
    importance=2,
    notes=("Transmission-metered only: no solar, no embedded wind.",),
    columns=(
        Column("dataset", TEXT, "Dataset code of the row"),
        Column("publishTime", INSTANT, "When the value was published, UTC"),
        Column("startTime", INSTANT, "Start of the period the value is for, UTC"),
        Column("settlementDate", DATE, "Settlement day (London calendar day)"),
        Column("settlementPeriod", INT, "Settlement period of the settlement day, 1..46, 48 or 50"),
        Column("fuelType", TEXT, "Fuel type or interconnector code"),
        Column("generation", INT, "Generation", unit="MW"),
    ),
)


BMRS_AGPT_SERIES = Dataset(
    table="bmrs_agpt_series",
    code="AGPT",
    family="generation",
    title="Actual generation per type (series)",
    description="Actual generation per transparency type, MW, with solar and embedded wind. One-day windows only: the path averages longer ones.",
    endpoint=Endpoint(
        "/generation/actual/per-type",
        Style.RANGE,
        ("from", "to"),
        selects="startTime",
        cap=timedelta(days=1),
        cap_source="ours: longer windows are down-sampled",
        rows_at="data",
    ),
    key=("startTime", "psrType"),
    partition_field="startTime",
    tier=Tier.OPTIONAL,
    completeness=Completeness(
        Rule.PERIODS,
        member_column="psrType",
        members=PSR_TYPES,
        values=("quantity",),
    ),
    lag=Lag.minutes(180, 720, 4320),
    freshness=Freshness.minutes("hourly", 90, 180, "startTime"),
    rows_per_day=528,
    bytes_per_row=90,
    importance=6,
    notes=("Down-sampled when the window is long; bmrs_agpt has every revision.",),
    columns=(
        Column("startTime", INSTANT, "Start of the period the value is for, UTC", nullable=False),
        Column(
            "settlementPeriod",
            INT,
            "Settlement period of the settlement day, 1..46, 48 or 50",
            nullable=False,
        ),
        Column("businessType", TEXT, "Transparency business type"),
        Column("psrType", TEXT, "Power system resource type (transparency fuel category)"),
        Column("quantity", NUM, "Quantity, average over the period", unit="MW", nullable=False),
    ),
)


FAMILY = Family(
    "generation",
    "Generation",
    (
        BMRS_FUELINST,
        BMRS_FUELHH,
        BMRS_AGPT_SERIES,
    ),
)
