"""The balancing mechanism: physical notifications, limits, bid-offer data, acceptances."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import PERIOD_START, Column, Completeness, Dataset, Each, Family, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import (
    HALF_HOURLY,
    NO_FRESHNESS,
    NOTIFIED,
    NUM,
    POLLED,
    STREAMED,
    UNIT,
    between,
    days,
    hours,
    in_period,
)
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "balancing"

BMRS_PN = Dataset(
    table="bmrs_pn",
    code="PN",
    family=NAME,
    title="Physical notifications",
    description="The level each BM unit expects to run at, as straight lines from (timeFrom, levelFrom) to (timeTo, levelTo), MW. Integrate for MWh.",
    endpoint=between(
        "/datasets/PN/stream", PERIOD_START, days(1), "the stream form has no stated cap; starts at one day"
    ),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "timeFrom", "timeTo"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=NOTIFIED,
    freshness=HALF_HOURLY("timeFrom"),
    rows_per_day=124_000,
    bytes_per_row=240,
    published="per settlement period, after gate closure",
    iris_code="PN",
    notes=(
        "/datasets/PN takes one settlement period a call; its stream takes a whole day.",
        "Units come and go: each period must have rows, not each unit.",
    ),
    columns=columns(
        "dataset settlementDate! settlementPeriod! timeFrom! timeTo! levelFrom! levelTo! nationalGridBmUnit bmUnit"
    ),
)


BMRS_BOD = Dataset(
    table="bmrs_bod",
    code="BOD",
    family=NAME,
    title="Bid-offer data",
    description="Bid and offer prices (GBP/MWh) and levels (MW) of each BM unit's bid-offer pairs, -6..-1 and 1..6.",
    endpoint=between("/datasets/BOD", "timeFrom", hours(1), "API 400 body"),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "pairId", "timeFrom"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS, floor=10000),
    lag=NOTIFIED,
    freshness=HALF_HOURLY("timeFrom"),
    rows_per_day=253_000,
    bytes_per_row=255,
    published="per settlement period, after gate closure",
    iris_code="BOD",
    notes=(
        "Prices of about ±99,999 mean: do not use. Keep such pairs when you build the stack: without them every band shifts.",
        "Units need not submit, and pairs of zero are left out by the API.",
    ),
    columns=columns(
        "dataset settlementDate! settlementPeriod! timeFrom! levelFrom! timeTo! levelTo! pairId! offer! "
        "bid! nationalGridBmUnit bmUnit"
    ),
)


BMRS_BOALF = Dataset(
    table="bmrs_boalf",
    code="BOALF",
    family=NAME,
    title="Bid-offer acceptance levels",
    description="Acceptances as levels (MW) over time: no price, no volume. soFlag = taken for system reasons; real and paid.",
    endpoint=between("/datasets/BOALF", "timeFrom", days(1), "API 400 body"),
    key=("nationalGridBmUnit", "acceptanceNumber", "acceptanceTime", "timeFrom"),
    version=("amendmentFlag",),
    version_order=("ORI", "INS", "UPD", "DEL"),
    unit_fallback=UNIT,
    partition_field="timeFrom",
    completeness=Completeness(Rule.EVENTS, floor=100),
    lag=NOTIFIED,
    freshness=STREAMED("acceptanceTime"),
    rows_per_day=16_000,
    bytes_per_row=330,
    published="event, minutes after acceptance",
    iris_code="BOALF",
    importance=4,
    notes=(
        "Acceptance numbers repeat over years and units: never key on the number alone.",
        "The path selects by timeFrom; an acceptance over midnight has segments in two partitions.",
        "amendmentFlag ranks ORI < INS < UPD < DEL (unchecked).",
    ),
    columns=columns(
        "dataset settlementDate! settlementPeriodFrom! settlementPeriodTo! timeFrom! timeTo! levelFrom! "
        "levelTo! acceptanceNumber! acceptanceTime! deemedBoFlag! soFlag! amendmentFlag storFlag! rrFlag "
        "nationalGridBmUnit bmUnit"
    ),
)


BMRS_QPN = Dataset(
    table="bmrs_qpn",
    code="QPN",
    family=NAME,
    title="Quiescent physical notifications",
    description="The level each unit expects to run at where that differs from its physical notification, as straight lines, MW.",
    endpoint=between("/datasets/QPN/stream", PERIOD_START, days(1), "unknown for the stream: starts at one day"),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "timeFrom", "timeTo"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS, floor=1),
    lag=NOTIFIED,
    freshness=HALF_HOURLY("timeFrom"),
    tier=Tier.STANDARD,
    rows_per_day=50_000,
    published="per settlement period, after gate closure",
    inferred=("rows_per_day",),
    iris_code="QPN",
    importance=6,
    notes=("/datasets/QPN takes one settlement period a call; its stream takes a whole day.",),
    columns=columns(
        "dataset settlementDate! settlementPeriod! timeFrom! timeTo! levelFrom! levelTo! nationalGridBmUnit bmUnit"
    ),
)


BMRS_MELS = Dataset(
    table="bmrs_mels",
    code="MELS",
    family=NAME,
    title="Maximum export limits",
    description="The most a unit can export (MW), as the position in force: each row a level from timeFrom to timeTo.",
    endpoint=between("/datasets/MELS", "timeFrom", hours(1), "API 400 body"),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "timeFrom"),
    version=("notificationSequence", "notificationTime"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=NOTIFIED,
    freshness=HALF_HOURLY("timeFrom"),
    rows_per_day=150_000,
    published="gate closure plus re-declarations",
    inferred=("rows_per_day",),
    iris_code="MELS",
    importance=4,
    notes=(
        "REST gives the resolved position; the stream's table holds the declarations it was resolved from. Never union the two.",
        "Levels are never interpolated when a record is cut short by a later one.",
        "One hour a call.",
    ),
    columns=columns(
        "dataset settlementDate! settlementPeriod! timeFrom! timeTo! levelFrom! levelTo! "
        "notificationTime! notificationSequence! nationalGridBmUnit bmUnit"
    ),
)


BMRS_MILS = Dataset(
    table="bmrs_mils",
    code="MILS",
    family=NAME,
    title="Maximum import limits",
    description="The most a unit can import (MW, negative), as the position in force: each row a level from timeFrom to timeTo.",
    endpoint=between("/datasets/MILS", "timeFrom", hours(1), "API 400 body"),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "timeFrom"),
    version=("notificationSequence", "notificationTime"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=NOTIFIED,
    freshness=HALF_HOURLY("timeFrom"),
    rows_per_day=150_000,
    published="gate closure plus re-declarations",
    inferred=("rows_per_day",),
    iris_code="MILS",
    importance=4,
    notes=(
        "REST gives the resolved position; the stream's table holds the declarations it was resolved from. Never union the two.",
        "One hour a call.",
    ),
    columns=columns(
        "dataset settlementDate! settlementPeriod! timeFrom! timeTo! levelFrom! levelTo! "
        "notificationTime! notificationSequence! nationalGridBmUnit bmUnit"
    ),
)


BMRS_MDB = Dataset(
    table="bmrs_mdb",
    code="MDB",
    family=NAME,
    title="Maximum delivery bids",
    description="Energy limits of a unit's bids from timeFrom to timeTo (Grid Code change GC0166).",
    endpoint=between("/datasets/MDB/stream", "timeFrom", days(1), "unknown for the stream: starts at one day"),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "timeFrom"),
    version=("publishTime", "serialNumber"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=POLLED,
    first_day=date(2026, 6, 1),
    tier=Tier.STANDARD,
    published="event (GC0166; units join in stages through 2026)",
    inferred=("rows_per_day",),
    iris_code="MDB",
    importance=6,
    notes=(
        "New in June 2026; the path and the unit are inferred from the row schema.",
        "A resubmission is taken as a vintage (unchecked).",
    ),
    columns=columns(
        "dataset settlementDate! settlementPeriod! timeFrom! timeTo! levelFrom! levelTo! "
        "nationalGridBmUnit bmUnit publishTime! serialNumber",
        Column("levelFrom", NUM, "Level at timeFrom (energy limit profile)", unit="MWh?", nullable=False),
        Column("levelTo", NUM, "Level at timeTo (energy limit profile)", unit="MWh?", nullable=False),
    ),
)


BMRS_MDO = Dataset(
    table="bmrs_mdo",
    code="MDO",
    family=NAME,
    title="Maximum delivery offers",
    description="Energy limits of a unit's offers from timeFrom to timeTo (Grid Code change GC0166).",
    endpoint=between("/datasets/MDO/stream", "timeFrom", days(1), "unknown for the stream: starts at one day"),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "timeFrom"),
    version=("publishTime", "serialNumber"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=POLLED,
    first_day=date(2026, 6, 1),
    tier=Tier.STANDARD,
    published="event (GC0166; units join in stages through 2026)",
    inferred=("rows_per_day",),
    iris_code="MDO",
    importance=6,
    notes=(
        "New in June 2026; the path and the unit are inferred from the row schema.",
        "A resubmission is taken as a vintage (unchecked).",
    ),
    columns=columns(
        "dataset settlementDate! settlementPeriod! timeFrom! timeTo! levelFrom! levelTo! "
        "nationalGridBmUnit bmUnit publishTime! serialNumber",
        Column("levelFrom", NUM, "Level at timeFrom (energy limit profile)", unit="MWh?", nullable=False),
        Column("levelTo", NUM, "Level at timeTo (energy limit profile)", unit="MWh?", nullable=False),
    ),
)


BMRS_BOD_ALL = Dataset(
    table="bmrs_bod_all",
    code="BOD",
    family=NAME,
    title="Bid-offer data, by period",
    description="The rows of bmrs_bod, one settlement period a call.",
    endpoint=in_period("/balancing/bid-offer/all"),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "pairId", "timeFrom"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS, floor=10000),
    lag=NOTIFIED,
    freshness=HALF_HOURLY("timeFrom"),
    tier=Tier.OPTIONAL,
    rows_per_day=253_000,
    published="per settlement period, after gate closure",
    importance=8,
    notes=("Another view of bmrs_bod: a way to check one period again without its one hour cap.",),
    columns=columns(
        "settlementDate! settlementPeriod! nationalGridBmUnit bmUnit timeFrom! timeTo! levelFrom! "
        "levelTo! bid! offer! pairId!"
    ),
)


BMRS_BOALF_ALL = Dataset(
    table="bmrs_boalf_all",
    code="BOALF",
    family=NAME,
    title="Acceptances, by period",
    description="The rows of bmrs_boalf, one settlement period a call, without amendmentFlag.",
    endpoint=in_period("/balancing/acceptances/all", earlier=True),
    key=("nationalGridBmUnit", "acceptanceNumber", "acceptanceTime", "timeFrom"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS, floor=100),
    lag=NOTIFIED,
    freshness=NO_FRESHNESS,
    tier=Tier.OPTIONAL,
    rows_per_day=16_000,
    published="event",
    importance=8,
    notes=(
        "An acceptance that spans two periods is answered in both: one row a key is kept.",
        "Another view of bmrs_boalf.",
    ),
    columns=columns(
        "settlementDate! settlementPeriodFrom! settlementPeriodTo! timeFrom! timeTo! levelFrom! levelTo! "
        "nationalGridBmUnit bmUnit acceptanceNumber! acceptanceTime! deemedBoFlag! soFlag! storFlag! "
        "rrFlag"
    ),
)


BMRS_PHYSICAL_ALL = Dataset(
    table="bmrs_physical_all",
    code="PN+QPN+MILS+MELS",
    family=NAME,
    title="Physical data, by period",
    description="PN, QPN, MELS and MILS in a common form, one settlement period and dataset a call.",
    endpoint=in_period("/balancing/physical/all", each=Each("dataset", ("PN", "QPN", "MELS", "MILS"), "")),
    key=("dataset", "settlementDate", "settlementPeriod", "nationalGridBmUnit", "timeFrom"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=NOTIFIED,
    freshness=HALF_HOURLY("timeFrom"),
    tier=Tier.OPTIONAL,
    rows_per_day=400_000,
    published="per settlement period",
    inferred=("rows_per_day",),
    importance=8,
    notes=(
        "Another view of bmrs_pn, bmrs_qpn, bmrs_mels and bmrs_mils, without their one hour cap.",
        "Fields that not all four have are dropped by the source.",
    ),
    columns=columns(
        "dataset settlementDate! settlementPeriod! timeFrom! timeTo! levelFrom! levelTo! nationalGridBmUnit bmUnit"
    ),
)


FAMILY = Family(
    NAME,
    "Balancing mechanism",
    (
        BMRS_PN,
        BMRS_BOD,
        BMRS_BOALF,
        BMRS_QPN,
        BMRS_MELS,
        BMRS_MILS,
        BMRS_MDB,
        BMRS_MDO,
        BMRS_BOD_ALL,
        BMRS_BOALF_ALL,
        BMRS_PHYSICAL_ALL,
    ),
    about="What units meant to do, what they offered, and what was accepted. Levels are MW and straight lines between two instants: integrate over time for MWh.",
    examples=EXAMPLES[NAME],
)
