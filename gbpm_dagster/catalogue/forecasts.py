"""Forecasts."""

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

BMRS_DEMAND_FORECAST_LATEST = Dataset(
    table="bmrs_demand_forecast_latest",
    code="NDF+TSDF",
    family="forecasts",
    title="Day-ahead demand forecast, last issue",
    description="The last day-ahead demand forecast (national and transmission system) published before each settlement period, MW.",
    endpoint=Endpoint(
        "/forecast/demand/day-ahead/latest",
        Style.RANGE,
        ("from", "to"),
        selects="startTime",
        cap=timedelta(days=1),
        cap_source="unknown: starts at one day",
    ),
    key=("startTime", "boundary"),
    version=("publishTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=HALF_HOURLY("startTime"),
    rows_per_day=48,
    bytes_per_row=210,
    importance=4,
    notes=(
        "Without the boundary parameter the path gives national rows only.",
        "One of the two forecasts can be null.",
    ),
    columns=(
        Column("publishTime", INSTANT, "When the value was published, UTC"),
        Column("transmissionSystemDemand", INT, "Transmission system demand forecast", unit="MW", nullable=False),
        Column("nationalDemand", INT, "National demand forecast", unit="MW"),
        Column("startTime", INSTANT, "Start of the period the value is for, UTC", nullable=False),
        Column("settlementDate", DATE, "Settlement day (London calendar day)", nullable=False),
        Column(
            "settlementPeriod",
            INT,
            "Settlement period of the settlement day, 1..46, 48 or 50",
            nullable=False,
        ),
        Column("boundary", TEXT, "N for national, B1..B17 for the constraint boundary zones"),
    ),
)


FAMILY = Family("forecasts", "Forecasts", (BMRS_DEMAND_FORECAST_LATEST,))
