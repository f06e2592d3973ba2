"""System frequency."""

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
from gbpm_dagster.catalogue.terms import INSTANT, NUM, STREAMED, TEXT

BMRS_FREQ = Dataset(
    table="bmrs_freq",
    code="FREQ",
    family="frequency",
    title="System frequency",
    description="System frequency, one sample each 15 seconds.",
    endpoint=Endpoint(
        "/datasets/FREQ",
        Style.RANGE,
        ("measurementDateTimeFrom", "measurementDateTimeTo"),
        selects="measurementTime",
        cap=timedelta(hours=24),
        cap_source="spec and API 400 body",
    ),
    key=("measurementTime",),
    partition_field="measurementTime",
    completeness=Completeness(Rule.PERIODS, rows_per_period=120, values=("frequency",)),
    lag=Lag.minutes(5, 10, 60),
    freshness=STREAMED("measurementTime"),
    rows_per_day=5760,
    bytes_per_row=75,
    iris_code="FREQ",
    importance=2,
    notes=(
        "publishDateTimeFrom is ignored by this path and answers with today: only the measurement parameters count.",
    ),
    columns=(
        Column("dataset", TEXT, "Dataset code of the row"),
        Column("measurementTime", INSTANT, "Time of the sample, UTC", nullable=False),
        Column("frequency", NUM, "System frequency", unit="Hz", nullable=False),
    ),
)


FAMILY = Family("frequency", "Frequency", (BMRS_FREQ,))
