"""How fast BM units move: run-up and run-down rates, exporting and importing."""

from __future__ import annotations

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Completeness, Dataset, Family, Rule, Tier
from gbpm_dagster.catalogue.terms import HALF_HOURLY, NOTIFIED, POLLED, UNIT, between, days, in_period
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "balancing/rates"

BMRS_RURE = Dataset(
    table="bmrs_rure",
    code="RURE",
    family=NAME,
    title="Run-up rates, export",
    description="How fast (MW/min) a unit raises its output while exporting: up to three rates, and the levels (elbows, MW) where they change.",
    endpoint=between("/datasets/RURE", "time", days(1), "inferred"),
    key=("nationalGridBmUnit", "time"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=NOTIFIED,
    freshness=POLLED,
    tier=Tier.STANDARD,
    rows_per_day=500,
    published="event",
    inferred=("rows_per_day",),
    iris_code="RURE",
    importance=6,
    notes=(
        "A value holds until the unit's next one.",
        "rate2 counts from elbow2 on, rate3 from elbow3 on; null where there is none.",
    ),
    columns=columns(
        "dataset settlementDate! settlementPeriod! time! rate1! elbow2 rate2 elbow3 rate3 nationalGridBmUnit bmUnit"
    ),
)


BMRS_RURI = Dataset(
    table="bmrs_ruri",
    code="RURI",
    family=NAME,
    title="Run-up rates, import",
    description="How fast (MW/min) a unit moves towards zero while importing: up to three rates and their elbows.",
    endpoint=between("/datasets/RURI", "time", days(1), "inferred"),
    key=("nationalGridBmUnit", "time"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=NOTIFIED,
    freshness=POLLED,
    tier=Tier.STANDARD,
    rows_per_day=500,
    published="event",
    inferred=("rows_per_day",),
    iris_code="RURI",
    importance=6,
    notes=("A value holds until the unit's next one.",),
    columns=columns(
        "dataset settlementDate! settlementPeriod! time! rate1! elbow2 rate2 elbow3 rate3 nationalGridBmUnit bmUnit"
    ),
)


BMRS_RDRE = Dataset(
    table="bmrs_rdre",
    code="RDRE",
    family=NAME,
    title="Run-down rates, export",
    description="How fast (MW/min) a unit lowers its output while exporting: up to three rates and their elbows.",
    endpoint=between("/datasets/RDRE", "time", days(1), "inferred"),
    key=("nationalGridBmUnit", "time"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=NOTIFIED,
    freshness=POLLED,
    tier=Tier.STANDARD,
    rows_per_day=500,
    published="event",
    inferred=("rows_per_day",),
    iris_code="RDRE",
    importance=6,
    notes=("A value holds until the unit's next one.",),
    columns=columns(
        "dataset settlementDate! settlementPeriod! time! rate1! elbow2 rate2 elbow3 rate3 nationalGridBmUnit bmUnit"
    ),
)


BMRS_RDRI = Dataset(
    table="bmrs_rdri",
    code="RDRI",
    family=NAME,
    title="Run-down rates, import",
    description="How fast (MW/min) a unit moves away from zero while importing: up to three rates and their elbows.",
    endpoint=between("/datasets/RDRI", "time", days(1), "inferred"),
    key=("nationalGridBmUnit", "time"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=NOTIFIED,
    freshness=POLLED,
    tier=Tier.STANDARD,
    rows_per_day=500,
    published="event",
    inferred=("rows_per_day",),
    iris_code="RDRI",
    importance=6,
    notes=("A value holds until the unit's next one.",),
    columns=columns(
        "dataset settlementDate! settlementPeriod! time! rate1! elbow2 rate2 elbow3 rate3 nationalGridBmUnit bmUnit"
    ),
)


BMRS_DYNAMIC_RATES_ALL = Dataset(
    table="bmrs_dynamic_rates_all",
    code="RDRE+RURE+RDRI+RURI",
    family=NAME,
    title="Run-up and run-down rates, by period",
    description="The four tables of rates in a common form, as in force in a settlement period.",
    endpoint=in_period("/balancing/dynamic/rates/all"),
    key=("dataset", "settlementDate", "settlementPeriod", "nationalGridBmUnit", "time"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=NOTIFIED,
    freshness=HALF_HOURLY("time"),
    tier=Tier.OPTIONAL,
    rows_per_day=20_000,
    published="per settlement period snapshot",
    inferred=("rows_per_day",),
    importance=8,
    notes=("Standing values repeat in every period: another view of the four tables.",),
    columns=columns(
        "dataset settlementDate! settlementPeriod! time! rate1! elbow2 rate2 elbow3 rate3 nationalGridBmUnit bmUnit"
    ),
)


FAMILY = Family(
    NAME,
    "Run-up and run-down rates",
    (
        BMRS_RURE,
        BMRS_RURI,
        BMRS_RDRE,
        BMRS_RDRI,
        BMRS_DYNAMIC_RATES_ALL,
    ),
    about="Up to three rates (MW/min) and the levels (elbows, MW) where one gives way to the next. A declaration holds from its `time` until the unit's next one.",
    examples=EXAMPLES[NAME],
)
