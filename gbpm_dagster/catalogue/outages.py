"""Outages under REMIT, system warnings, demand control."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import (
    Column,
    Completeness,
    Dataset,
    Endpoint,
    Family,
    Freshness,
    Grain,
    Ids,
    Lag,
    Rule,
    Style,
    Tier,
)
from gbpm_dagster.catalogue.terms import (
    LISTED,
    NO_FRESHNESS,
    NOTIFIED,
    NUM,
    POLLED,
    UNKNOWN,
    between,
    days,
    published,
)
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "outages"

BMRS_REMIT = Dataset(
    table="bmrs_remit",
    code="REMIT",
    family=NAME,
    title="REMIT messages",
    description="Outage messages under REMIT, one row a message and revision; capacities in MW.",
    endpoint=published("/datasets/REMIT", days(1), "API 400 body", omits_nulls=True),
    key=("mrid", "revisionNumber"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS, floor=1),
    lag=NOTIFIED,
    freshness=Freshness.minutes("remit", 360, 1440, "publishTime"),
    first_day=date(2017, 6, 1),
    rows_per_day=144,
    bytes_per_row=950,
    published="event",
    iris_code="REMIT",
    importance=4,
    notes=(
        "A revision is a row of its own; bmrs_remit_unavailability has the newest of each message.",
        "outageProfile is a nested list, kept as JSON text.",
    ),
    columns=columns(
        "dataset mrid revisionNumber! publishTime! createdTime! messageType messageHeading eventType "
        "unavailabilityType participantId registrationCode assetId assetType affectedUnit "
        "affectedUnitEIC affectedArea biddingZone fuelType normalCapacity availableCapacity "
        "unavailableCapacity eventStatus eventStartTime! eventEndTime durationUncertainty cause "
        "relatedInformation outageProfile"
    ),
)


BMRS_SYSWARN = Dataset(
    table="bmrs_syswarn",
    code="SYSWARN",
    family=NAME,
    title="System warnings",
    description="Warnings of the system operator, as text.",
    endpoint=published("/datasets/SYSWARN", days(1), UNKNOWN),
    key=("publishTime", "warningType", "warningText"),
    nullable_key=("warningText",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=POLLED,
    published="event",
    inferred=("first_day", "rows_per_day"),
    iris_code="SYS_WARN",
    importance=4,
    notes=("Rare: most days have few or none.",),
    columns=columns("dataset publishTime warningType warningText"),
)


BMRS_SYSTEM_WARNINGS = Dataset(
    table="bmrs_system_warnings",
    code="SYSWARN",
    family=NAME,
    title="System warnings, by publication",
    description="The rows of bmrs_syswarn under another path.",
    endpoint=published("/system/warnings", days(1), UNKNOWN),
    key=("publishTime", "warningType", "warningText"),
    nullable_key=("warningText",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=POLLED,
    tier=Tier.OPTIONAL,
    published="event",
    inferred=("first_day", "rows_per_day"),
    importance=8,
    notes=("Another view of bmrs_syswarn.",),
    columns=columns("publishTime warningType warningText"),
)


BMRS_DCI = Dataset(
    table="bmrs_dci",
    code="DCI",
    family=NAME,
    title="Demand control instructions",
    description="Instructions to reduce demand: affected network, volume (MW), from and to.",
    endpoint=published("/datasets/DCI", days(1), UNKNOWN),
    key=("mRID", "revisionNumber", "demandControlId", "instructionSequence"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=POLLED,
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    published="event (rare)",
    inferred=("first_day", "rows_per_day"),
    iris_code="DCI",
    importance=6,
    notes=(
        "Very rare.",
        "Revisions are rows of their own.",
    ),
    columns=columns(
        "dataset mRID revisionNumber! publishTime publishingPeriodCommencingTime! affectedDso "
        "demandControlId instructionSequence! demandControlEventFlag! timeFrom! timeTo volume! "
        "systemManagementActionFlag amendmentFlag",
        Column("volume", NUM, "Demand control volume", unit="MW", nullable=False),
    ),
)


REMIT_MESSAGE_LIST = Dataset(
    table="remit_message_list",
    code="REMIT",
    family=NAME,
    title="List of REMIT messages",
    description="Ids and revisions of the REMIT messages published on a day.",
    endpoint=between(
        "/remit/list/by-publish", "publishTime", days(1), "inferred", fixed=(("latestRevisionOnly", "false"),)
    ),
    key=("id",),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS, floor=1),
    lag=Lag.minutes(60, 120, 1440),
    freshness=Freshness.minutes("remit", 360, 1440, "publishTime"),
    first_day=date(2017, 1, 1),
    rows_per_day=144,
    published="event",
    importance=4,
    notes=("Asked with latestRevisionOnly=false, so that every revision is listed.",),
    columns=columns("id! mrid revisionNumber! createdTime! publishTime! url"),
)


REMIT_MESSAGES = Dataset(
    table="remit_messages",
    code="REMIT",
    family=NAME,
    title="REMIT messages by id",
    description="The messages whose ids remit_message_list has for a day, in full.",
    endpoint=Endpoint(
        "/remit",
        Style.IDS,
        ("messageId",),
        cap_source="ids, no window",
        ids=Ids("remit_message_list", "id", at_once=50),
        empty_is_404=True,
    ),
    key=("mrid", "revisionNumber"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=NO_FRESHNESS,
    first_day=date(2017, 1, 1),
    tier=Tier.OPTIONAL,
    rows_per_day=144,
    published="event",
    importance=8,
    notes=(
        "Needs that day of remit_message_list.",
        "Another road to bmrs_remit.",
    ),
    columns=columns(
        "dataset mrid revisionNumber! publishTime! createdTime! messageType messageHeading eventType "
        "unavailabilityType participantId registrationCode assetId assetType affectedUnit "
        "affectedUnitEIC affectedArea biddingZone fuelType normalCapacity availableCapacity "
        "unavailableCapacity eventStatus eventStartTime! eventEndTime durationUncertainty cause "
        "relatedInformation outageProfile id!"
    ),
)


REMIT_REVISIONS = Dataset(
    table="remit_revisions",
    code="REMIT",
    family=NAME,
    title="Revision chains of REMIT messages",
    description="For each message that remit_message_list has for the newest day: all revisions of its chain.",
    endpoint=Endpoint(
        "/remit/revisions",
        Style.IDS,
        ("messageId",),
        cap_source="ids, no window",
        ids=Ids("remit_message_list", "id", at_once=1),
        empty_is_404=True,
    ),
    key=("id",),
    version=("publishTime",),
    grain=Grain.SNAPSHOT,
    completeness=Completeness(Rule.SNAPSHOT),
    lag=LISTED,
    freshness=NO_FRESHNESS,
    first_day=date(2017, 1, 1),
    tier=Tier.OPTIONAL,
    published="event",
    inferred=("rows_per_day",),
    importance=8,
    notes=("Needs the newest day of remit_message_list; each day's answer is kept.",),
    columns=columns("id! mrid revisionNumber! createdTime! publishTime! url"),
)


FAMILY = Family(
    NAME,
    "Outages and warnings",
    (
        BMRS_REMIT,
        BMRS_SYSWARN,
        BMRS_SYSTEM_WARNINGS,
        BMRS_DCI,
        REMIT_MESSAGE_LIST,
        REMIT_MESSAGES,
        REMIT_REVISIONS,
    ),
    about="What is broken or about to be, in its owners' words, and what the system operator warned of. Every revision of a message is kept.",
    examples=EXAMPLES[NAME],
)
