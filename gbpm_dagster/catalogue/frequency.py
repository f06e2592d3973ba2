"""System frequency."""

from __future__ import annotations

from datetime import timedelta

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Completeness, Dataset, Endpoint, Family, Lag, Rule, Style
from gbpm_dagster.catalogue.terms import STREAMED, days
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "frequency"

BMRS_FREQ = Dataset(
    table="bmrs_freq",
    code="FREQ",
    family=NAME,
    title="System frequency",
    description="System frequency, one sample each 15 seconds.",
    endpoint=Endpoint(
        "/datasets/FREQ",
        Style.RANGE,
        ("measurementDateTimeFrom", "measurementDateTimeTo"),
        selects="measurementTime",
        cap=days(1),
        cap_source="spec and API 400 body",
    ),
    key=("measurementTime",),
    partition_field="measurementTime",
    completeness=Completeness(Rule.PERIODS, rows_per_period=120, values=("frequency",), grid=timedelta(seconds=15)),
    lag=Lag.minutes(5, 10, 60),
    freshness=STREAMED("measurementTime"),
    rows_per_day=5_760,
    bytes_per_row=75,
    published="15-second samples, received every 2 min",
    inferred=("first_day",),
    iris_code="FREQ",
    oracle="FREQ",
    importance=2,
    notes=(
        "publishDateTimeFrom is ignored by this path and answers with today: only the measurement parameters count.",
    ),
    columns=columns("dataset measurementTime! frequency!"),
)


FAMILY = Family(
    NAME,
    "Frequency",
    (BMRS_FREQ,),
    about="The frequency of the system every 15 seconds; 50 Hz is the target.",
    examples=EXAMPLES[NAME],
)
