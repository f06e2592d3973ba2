"""Outages."""

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
    Rule,
    Style,
)
from gbpm_dagster.catalogue.terms import INSTANT, INT, JSON, NUM, TEXT

BMRS_REMIT = Dataset(
    table="bmrs_remit",
    code="REMIT",
    family="outages",
    title="REMIT messages",
    description="Outage messages under REMIT, one row a message and revision; capacities in MW.",
    endpoint=Endpoint(
        "/datasets/REMIT",
        Style.RANGE,
        ("publishDateTimeFrom", "publishDateTimeTo"),
        selects="publishTime",
        cap=timedelta(days=1),
        cap_source="API 400 body",
        omits_nulls=True,  # so are the 512 rows recorded as they came
    ),
    key=("mrid", "revisionNumber"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS, floor=1),
    lag=Lag.minutes(15, 30, 240),
    freshness=Freshness.minutes("remit", 360, 1440, "publishTime"),
    first_day=date(2017, 6, 1),
    rows_per_day=144,
    bytes_per_row=950,
    iris_code="REMIT",
    importance=4,
    notes=(
        "A revision is a row of its own; the newest is a view.",
        "outageProfile is a nested list, kept as JSON text.",
    ),
    columns=(
        Column("dataset", TEXT, "Dataset code of the row"),
        Column("mrid", TEXT, "REMIT message id"),
        Column("revisionNumber", INT, "Revision of the message", nullable=False),
        Column("publishTime", INSTANT, "When the value was published, UTC", nullable=False),
        Column("createdTime", INSTANT, "When the message was created, UTC", nullable=False),
        Column("messageType", TEXT, "Message type"),
        Column("messageHeading", TEXT, "Heading"),
        Column("eventType", TEXT, "Event type"),
        Column("unavailabilityType", TEXT, "Planned or unplanned"),
        Column("participantId", TEXT, "Participant id"),
        Column("registrationCode", TEXT, "Participant registration code"),
        Column("assetId", TEXT, "Asset id"),
        Column("assetType", TEXT, "Asset type"),
        Column("affectedUnit", TEXT, "Affected unit"),
        Column("affectedUnitEIC", TEXT, "EIC of the affected unit"),
        Column("affectedArea", TEXT, "Affected area"),
        Column("biddingZone", TEXT, "Bidding zone"),
        Column("fuelType", TEXT, "Fuel type or interconnector code"),
        Column("normalCapacity", NUM, "Normal capacity", unit="MW"),
        Column("availableCapacity", NUM, "Available capacity during the event", unit="MW"),
        Column("unavailableCapacity", NUM, "Unavailable capacity during the event", unit="MW"),
        Column("eventStatus", TEXT, "Active, Inactive or Dismissed"),
        Column("eventStartTime", INSTANT, "Event start, UTC", nullable=False),
        Column("eventEndTime", INSTANT, "Event end, UTC"),
        Column("durationUncertainty", TEXT, "Uncertainty of the duration"),
        Column("cause", TEXT, "Cause"),
        Column("relatedInformation", TEXT, "Related information"),
        Column(
            "outageProfile",
            JSON,
            "Nested list of {startTime, endTime, capacity MW}; keep as JSON or a child table",
        ),
    ),
)


FAMILY = Family("outages", "Outages", (BMRS_REMIT,))
