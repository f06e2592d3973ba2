"""The balancing mechanism: physical notifications, bid-offer data, acceptances."""

from __future__ import annotations

from datetime import timedelta

from gbpm_dagster.catalogue.model import (
    PERIOD_START,
    Column,
    Completeness,
    Dataset,
    Endpoint,
    Family,
    Lag,
    Rule,
    Style,
)
from gbpm_dagster.catalogue.terms import DATE, FLAG, HALF_HOURLY, INSTANT, INT, NUM, STREAMED, TEXT, UNIT

BMRS_PN = Dataset(
    table="bmrs_pn",
    code="PN",
    family="balancing",
    title="Physical notifications",
    description="The level each BM unit expects to run at, as straight lines from (timeFrom, levelFrom) to (timeTo, levelTo), MW. Integrate for MWh.",
    endpoint=Endpoint(
        "/datasets/PN/stream",
        Style.RANGE,
        ("from", "to"),
        selects=PERIOD_START,
        cap=timedelta(days=1),
        cap_source="the stream form has no stated cap; starts at one day",
    ),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "timeFrom", "timeTo"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS),
    lag=Lag.minutes(15, 30, 240),
    freshness=HALF_HOURLY("timeFrom"),
    rows_per_day=124000,
    bytes_per_row=240,
    iris_code="PN",
    importance=5,
    notes=(
        "/datasets/PN takes one settlement period a call; its stream takes a whole day.",
        "Units come and go: each period must have rows, not each unit.",
    ),
    columns=(
        Column("dataset", TEXT, "Dataset code of the row"),
        Column("settlementDate", DATE, "Settlement day (London calendar day)", nullable=False),
        Column(
            "settlementPeriod",
            INT,
            "Settlement period of the settlement day, 1..46, 48 or 50",
            nullable=False,
        ),
        Column("timeFrom", INSTANT, "Start of the segment, UTC", nullable=False),
        Column("timeTo", INSTANT, "End of the segment, UTC", nullable=False),
        Column("levelFrom", INT, "Level at timeFrom", unit="MW", nullable=False),
        Column("levelTo", INT, "Level at timeTo", unit="MW", nullable=False),
        Column("nationalGridBmUnit", TEXT, "National Grid (NESO) BM Unit id, e.g. DRAXX-1"),
        Column("bmUnit", TEXT, "Elexon BM Unit id, e.g. T_DRAXX-1; null for units with no Elexon id"),
    ),
)


BMRS_BOD = Dataset(
    table="bmrs_bod",
    code="BOD",
    family="balancing",
    title="Bid-offer data",
    description="Bid and offer prices (GBP/MWh) and levels (MW) of each BM unit's bid-offer pairs, -6..-1 and 1..6.",
    endpoint=Endpoint(
        "/datasets/BOD",
        Style.RANGE,
        ("from", "to"),
        selects="timeFrom",
        cap=timedelta(hours=1),
        cap_source="API 400 body",
    ),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "pairId", "timeFrom"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS, floor=10_000),
    lag=Lag.minutes(15, 30, 240),
    freshness=HALF_HOURLY("timeFrom"),
    rows_per_day=253000,
    bytes_per_row=255,
    iris_code="BOD",
    importance=5,
    notes=(
        "Prices of about 99,999 mean: do not use.",
        "Units need not submit, and pairs of zero are left out by the API.",
    ),
    columns=(
        Column("dataset", TEXT, "Dataset code of the row"),
        Column("settlementDate", DATE, "Settlement day (London calendar day)", nullable=False),
        Column(
            "settlementPeriod",
            INT,
            "Settlement period of the settlement day, 1..46, 48 or 50",
            nullable=False,
        ),
        Column("timeFrom", INSTANT, "Start of the segment, UTC", nullable=False),
        Column("levelFrom", INT, "Level at timeFrom", unit="MW", nullable=False),
        Column("timeTo", INSTANT, "End of the segment, UTC", nullable=False),
        Column("levelTo", INT, "Level at timeTo", unit="MW", nullable=False),
        Column("pairId", INT, "Bid-offer pair number, -6..6 without 0", nullable=False),
        Column("offer", NUM, "Offer price of the pair", unit="GBP/MWh", nullable=False),
        Column("bid", NUM, "Bid price of the pair", unit="GBP/MWh", nullable=False),
        Column("nationalGridBmUnit", TEXT, "National Grid (NESO) BM Unit id, e.g. DRAXX-1"),
        Column("bmUnit", TEXT, "Elexon BM Unit id, e.g. T_DRAXX-1; null for units with no Elexon id"),
    ),
)


BMRS_BOALF = Dataset(
    table="bmrs_boalf",
    code="BOALF",
    family="balancing",
    title="Bid-offer acceptance levels",
    description="Acceptances as levels (MW) over time: no price, no volume. soFlag = taken for system reasons; real and paid.",
    endpoint=Endpoint(
        "/datasets/BOALF",
        Style.RANGE,
        ("from", "to"),
        selects="timeFrom",
        cap=timedelta(hours=24),
        cap_source="API 400 body",
    ),
    key=("nationalGridBmUnit", "acceptanceNumber", "acceptanceTime", "timeFrom"),
    unit_fallback=UNIT,
    version=("amendmentFlag",),
    version_order=("ORI", "INS", "UPD", "DEL"),
    partition_field="timeFrom",
    completeness=Completeness(Rule.EVENTS, floor=100),
    lag=Lag.minutes(15, 30, 240),
    freshness=STREAMED("acceptanceTime"),
    rows_per_day=16000,
    bytes_per_row=330,
    iris_code="BOALF",
    importance=4,
    notes=(
        "Acceptance numbers repeat over years and units: never key on the number alone.",
        "The path selects by timeFrom; an acceptance over midnight has segments in two partitions.",
        "amendmentFlag ranks ORI < INS < UPD < DEL (unchecked).",
    ),
    columns=(
        Column("dataset", TEXT, "Dataset code of the row"),
        Column("settlementDate", DATE, "Settlement day (London calendar day)", nullable=False),
        Column("settlementPeriodFrom", INT, "First settlement period the acceptance touches", nullable=False),
        Column("settlementPeriodTo", INT, "Last settlement period the acceptance touches", nullable=False),
        Column("timeFrom", INSTANT, "Start of the segment, UTC", nullable=False),
        Column("timeTo", INSTANT, "End of the segment, UTC", nullable=False),
        Column("levelFrom", INT, "Level at timeFrom", unit="MW", nullable=False),
        Column("levelTo", INT, "Level at timeTo", unit="MW", nullable=False),
        Column("acceptanceNumber", INT, "Bid-offer acceptance number, per BM Unit", nullable=False),
        Column("acceptanceTime", INSTANT, "When the acceptance was issued, UTC", nullable=False),
        Column("deemedBoFlag", FLAG, "Deemed bid-offer acceptance", nullable=False),
        Column("soFlag", FLAG, "System-operator (constraint) flagged", nullable=False),
        Column("amendmentFlag", TEXT, "Amendment state of the record (ORI, INS, UPD, DEL)"),
        Column("storFlag", FLAG, "STOR flagged", nullable=False),
        Column("rrFlag", FLAG, "Replacement reserve flagged"),
        Column("nationalGridBmUnit", TEXT, "National Grid (NESO) BM Unit id, e.g. DRAXX-1"),
        Column("bmUnit", TEXT, "Elexon BM Unit id, e.g. T_DRAXX-1; null for units with no Elexon id"),
    ),
)


FAMILY = Family(
    "balancing",
    "Balancing mechanism",
    (
        BMRS_PN,
        BMRS_BOD,
        BMRS_BOALF,
    ),
)
