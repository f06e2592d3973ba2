"""Demand outturn."""

from __future__ import annotations

from datetime import timedelta

from gbpm_dagster.catalogue.model import (
    Column,
    Completeness,
    Dataset,
    Endpoint,
    Family,
    Lag,
    Rule,
    Style,
)
from gbpm_dagster.catalogue.terms import DATE, HALF_HOURLY, INSTANT, INT, TEXT

BMRS_INDO = Dataset(
    table="bmrs_indo",
    code="INDO",
    family="demand",
    title="Initial national demand outturn",
    description="National demand outturn, average MW over the settlement period, without station load, pumping and interconnector export.",
    endpoint=Endpoint(
        "/datasets/INDO",
        Style.RANGE,
        ("publishDateTimeFrom", "publishDateTimeTo"),
        selects="publishTime",
        cap=timedelta(days=1),
        cap_source="unknown: starts at one day",
    ),
    iris_code="INDO",
    notes=("Asked by publication: the last period of a day is published in the next and lies in its partition.",),
    key=("settlementDate", "settlementPeriod"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.PERIODS, values=("demand",)),
    lag=Lag.minutes(30, 60, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=48,
    bytes_per_row=160,
    importance=3,
    columns=(
        Column("dataset", TEXT, "Dataset code of the row"),
        Column("publishTime", INSTANT, "When the value was published, UTC"),
        Column("startTime", INSTANT, "Start of the period the value is for, UTC", nullable=False),
        Column("settlementDate", DATE, "Settlement day (London calendar day)", nullable=False),
        Column(
            "settlementPeriod",
            INT,
            "Settlement period of the settlement day, 1..46, 48 or 50",
            nullable=False,
        ),
        Column("demand", INT, "Demand", unit="MW"),
    ),
)


BMRS_ITSDO = Dataset(
    table="bmrs_itsdo",
    code="ITSDO",
    family="demand",
    title="Initial transmission system demand outturn",
    description="Transmission system demand outturn, average MW over the settlement period, with station load, pumping and interconnector export.",
    endpoint=Endpoint(
        "/datasets/ITSDO",
        Style.RANGE,
        ("publishDateTimeFrom", "publishDateTimeTo"),
        selects="publishTime",
        cap=timedelta(days=1),
        cap_source="unknown: starts at one day",
    ),
    iris_code="ITSDO",
    notes=("Asked by publication: the last period of a day is published in the next and lies in its partition.",),
    key=("settlementDate", "settlementPeriod"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.PERIODS, values=("demand",)),
    lag=Lag.minutes(30, 60, 1440),
    freshness=HALF_HOURLY("publishTime"),
    rows_per_day=48,
    bytes_per_row=160,
    importance=3,
    columns=(
        Column("dataset", TEXT, "Dataset code of the row"),
        Column("publishTime", INSTANT, "When the value was published, UTC", nullable=False),
        Column("startTime", INSTANT, "Start of the period the value is for, UTC", nullable=False),
        Column("settlementDate", DATE, "Settlement day (London calendar day)", nullable=False),
        Column(
            "settlementPeriod",
            INT,
            "Settlement period of the settlement day, 1..46, 48 or 50",
            nullable=False,
        ),
        Column("demand", INT, "Demand", unit="MW"),
    ),
)


FAMILY = Family(
    "demand",
    "Demand",
    (
        BMRS_INDO,
        BMRS_ITSDO,
    ),
)
