"""Dynamic parameters of BM units: rates, notices, limits in time and energy."""

from __future__ import annotations

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Column, Completeness, Dataset, Family, Rule, Tier
from gbpm_dagster.catalogue.terms import HALF_HOURLY, INT, NOTIFIED, POLLED, UNIT, between, days, in_period
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "balancing/dynamic"

BMRS_SEL = Dataset(
    table="bmrs_sel",
    code="SEL",
    family=NAME,
    title="Stable export limits",
    description="The lowest level (MW) at which a unit can run stably while exporting, from `time` on.",
    endpoint=between("/datasets/SEL", "time", days(1), "inferred"),
    key=("nationalGridBmUnit", "time"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=NOTIFIED,
    freshness=POLLED,
    tier=Tier.STANDARD,
    rows_per_day=1_000,
    published="event",
    inferred=("rows_per_day",),
    iris_code="SEL",
    importance=6,
    notes=("A value holds until the unit's next one: join as of a time, never on the day.",),
    columns=columns("dataset settlementDate! settlementPeriod! time! level! nationalGridBmUnit bmUnit"),
)


BMRS_SIL = Dataset(
    table="bmrs_sil",
    code="SIL",
    family=NAME,
    title="Stable import limits",
    description="The level (MW, negative) nearest zero at which a unit can run stably while importing, from `time` on.",
    endpoint=between("/datasets/SIL", "time", days(1), "inferred"),
    key=("nationalGridBmUnit", "time"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=NOTIFIED,
    freshness=POLLED,
    tier=Tier.STANDARD,
    rows_per_day=1_000,
    published="event",
    inferred=("rows_per_day",),
    iris_code="SIL",
    importance=6,
    notes=("A value holds until the unit's next one: join as of a time, never on the day.",),
    columns=columns("dataset settlementDate! settlementPeriod! time! level! nationalGridBmUnit bmUnit"),
)


BMRS_MZT = Dataset(
    table="bmrs_mzt",
    code="MZT",
    family=NAME,
    title="Minimum zero times",
    description="The shortest time (minutes) a unit stays at zero, from `time` on.",
    endpoint=between("/datasets/MZT", "time", days(1), "inferred"),
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
    iris_code="MZT",
    importance=6,
    notes=("A value holds until the unit's next one.",),
    columns=columns("dataset settlementDate! settlementPeriod! time! periodMin! nationalGridBmUnit bmUnit"),
)


BMRS_MNZT = Dataset(
    table="bmrs_mnzt",
    code="MNZT",
    family=NAME,
    title="Minimum non-zero times",
    description="The shortest time (minutes) a unit stays off zero, from `time` on.",
    endpoint=between("/datasets/MNZT", "time", days(1), "inferred"),
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
    iris_code="MNZT",
    importance=6,
    notes=("A value holds until the unit's next one.",),
    columns=columns("dataset settlementDate! settlementPeriod! time! periodMin! nationalGridBmUnit bmUnit"),
)


BMRS_MDV = Dataset(
    table="bmrs_mdv",
    code="MDV",
    family=NAME,
    title="Maximum delivery volumes",
    description="The most energy (MWh, signed) a unit delivers over its maximum delivery period, from `time` on.",
    endpoint=between("/datasets/MDV", "time", days(1), "inferred"),
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
    iris_code="MDV",
    importance=6,
    notes=("A value holds until the unit's next one.",),
    columns=columns("dataset settlementDate! settlementPeriod! time! volumeMax! nationalGridBmUnit bmUnit"),
)


BMRS_MDP = Dataset(
    table="bmrs_mdp",
    code="MDP",
    family=NAME,
    title="Maximum delivery periods",
    description="The time (minutes) over which bmrs_mdv counts, from `time` on.",
    endpoint=between("/datasets/MDP", "time", days(1), "inferred"),
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
    iris_code="MDP",
    importance=6,
    notes=("A value holds until the unit's next one.",),
    columns=columns("dataset settlementDate! settlementPeriod! time! periodMax! nationalGridBmUnit bmUnit"),
)


BMRS_NTB = Dataset(
    table="bmrs_ntb",
    code="NTB",
    family=NAME,
    title="Notices to deliver bids",
    description="The notice (minutes) a unit needs before it delivers a bid, from `time` on.",
    endpoint=between("/datasets/NTB", "time", days(1), "inferred"),
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
    iris_code="NTB",
    importance=6,
    notes=("A value holds until the unit's next one.",),
    columns=columns("dataset settlementDate! settlementPeriod! time! notice! nationalGridBmUnit bmUnit"),
)


BMRS_NTO = Dataset(
    table="bmrs_nto",
    code="NTO",
    family=NAME,
    title="Notices to deliver offers",
    description="The notice (minutes) a unit needs before it delivers an offer, from `time` on.",
    endpoint=between("/datasets/NTO", "time", days(1), "inferred"),
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
    iris_code="NTO",
    importance=6,
    notes=("A value holds until the unit's next one.",),
    columns=columns("dataset settlementDate! settlementPeriod! time! notice! nationalGridBmUnit bmUnit"),
)


BMRS_NDZ = Dataset(
    table="bmrs_ndz",
    code="NDZ",
    family=NAME,
    title="Notices to deviate from zero",
    description="The notice (minutes) a unit needs before it leaves zero, from `time` on.",
    endpoint=between("/datasets/NDZ", "time", days(1), "inferred"),
    key=("nationalGridBmUnit", "time"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=NOTIFIED,
    freshness=POLLED,
    tier=Tier.STANDARD,
    rows_per_day=1_000,
    published="event",
    inferred=("rows_per_day",),
    iris_code="NDZ",
    importance=6,
    notes=("A value holds until the unit's next one.",),
    columns=columns("dataset settlementDate! settlementPeriod! time! notice! nationalGridBmUnit bmUnit"),
)


BMRS_DYNAMIC_ALL = Dataset(
    table="bmrs_dynamic_all",
    code="SEL+SIL+MZT+MNZT+MDV+MDP+NTB+NTO+NDZ",
    family=NAME,
    title="Dynamic data, by period",
    description="The nine dynamic tables in a common form: what was in force at the start of a period, and what changed in it.",
    endpoint=in_period("/balancing/dynamic/all"),
    key=("dataset", "settlementDate", "settlementPeriod", "nationalGridBmUnit", "time"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=NOTIFIED,
    freshness=HALF_HOURLY("time"),
    tier=Tier.OPTIONAL,
    rows_per_day=50_000,
    published="per settlement period snapshot",
    inferred=("rows_per_day",),
    importance=8,
    notes=(
        "`value` is MW, minutes or MWh, depending on `dataset`.",
        "Standing values repeat in every period: another view of the nine tables.",
    ),
    columns=columns(
        "dataset bmUnit nationalGridBmUnit time! value! settlementDate! settlementPeriod!",
        Column("value", INT, "MW, minutes or MWh, by dataset", unit="mixed", nullable=False),
    ),
)


FAMILY = Family(
    NAME,
    "Dynamic data of units",
    (
        BMRS_SEL,
        BMRS_SIL,
        BMRS_MZT,
        BMRS_MNZT,
        BMRS_MDV,
        BMRS_MDP,
        BMRS_NTB,
        BMRS_NTO,
        BMRS_NDZ,
        BMRS_DYNAMIC_ALL,
    ),
    about="How fast, how long and with what notice a unit can move. A declaration holds from its `time` until the unit's next one.",
    examples=EXAMPLES[NAME],
)
