"""Settlement: accepted volumes and cashflows, the stack, messages, default notices."""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Column, Completeness, Dataset, Each, Family, Grain, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import (
    HALF_HOURLY,
    LISTED,
    NO_FRESHNESS,
    POLLED,
    SETTLED,
    TEXT,
    UNIT,
    UNKNOWN,
    days,
    in_period,
    on_date,
    published,
    snapshot,
)
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "settlement"

BMRS_BOAV = Dataset(
    table="bmrs_boav",
    code="BOAV",
    family=NAME,
    title="Accepted volumes of each acceptance",
    description="Volume (MWh) of each acceptance by bid-offer pair, as settlement calculated it.",
    endpoint=on_date(
        "/balancing/settlement/acceptance/volumes/all/{bidOffer}/{settlementDate}",
        each=Each("bidOffer", ("bid", "offer"), "bidOffer"),
    ),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "bidOffer", "acceptanceId"),
    version=("createdDateTime",),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS, floor=1),
    lag=SETTLED,
    freshness=HALF_HOURLY("createdDateTime"),
    rows_per_day=8_000,
    published="with each settlement calculation",
    inferred=("first_day", "rows_per_day"),
    settlement=True,
    iris_code="BOAV",
    importance=4,
    notes=(
        "One call for bids, one for offers; which one a row came from is column bidOffer.",
        "pairVolumes.negative1 to positive6 are the pairs' volumes; their sum is totalVolumeAccepted. Bids are negative.",
    ),
    columns=columns(
        "createdDateTime! settlementDate! settlementPeriod! startTime! bmUnit bmUnitType! leadPartyName "
        "nationalGridBmUnit acceptanceId! acceptanceDuration totalVolumeAccepted pairVolumes.negative1 "
        "pairVolumes.positive1 pairVolumes.negative2 pairVolumes.positive2 pairVolumes.negative3 "
        "pairVolumes.positive3 pairVolumes.negative4 pairVolumes.positive4 pairVolumes.negative5 "
        "pairVolumes.positive5 pairVolumes.negative6 pairVolumes.positive6 bidOffer!"
    ),
)


BMRS_DISPTAV = Dataset(
    table="bmrs_disptav",
    code="DISPTAV",
    family=NAME,
    title="Indicative accepted volumes",
    description="Accepted volume (MWh) of each unit and period by bid-offer pair, in several kinds (dataType).",
    endpoint=on_date(
        "/balancing/settlement/indicative/volumes/all/{bidOffer}/{settlementDate}",
        each=Each("bidOffer", ("bid", "offer"), "bidOffer"),
    ),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "bidOffer", "dataType"),
    version=("createdDateTime",),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS, floor=1),
    lag=SETTLED,
    freshness=HALF_HOURLY("createdDateTime"),
    rows_per_day=8_000,
    published="with each settlement calculation",
    inferred=("first_day", "rows_per_day"),
    settlement=True,
    iris_code="DISPTAV",
    importance=4,
    notes=(
        "Never sum over dataType: each is another reading of the same volumes.",
        "The values of dataType are not documented by Elexon.",
    ),
    columns=columns(
        "createdDateTime! settlementDate! settlementPeriod! startTime! bmUnit bmUnitType! leadPartyName "
        "nationalGridBmUnit dataType totalVolumeAccepted pairVolumes.negative1 pairVolumes.positive1 "
        "pairVolumes.negative2 pairVolumes.positive2 pairVolumes.negative3 pairVolumes.positive3 "
        "pairVolumes.negative4 pairVolumes.positive4 pairVolumes.negative5 pairVolumes.positive5 "
        "pairVolumes.negative6 pairVolumes.positive6 bidOffer!"
    ),
)


BMRS_EBOCF = Dataset(
    table="bmrs_ebocf",
    code="EBOCF",
    family=NAME,
    title="Indicative bid-offer cashflows",
    description="What a unit is paid (GBP) for its accepted bids or offers in a settlement period, by bid-offer pair.",
    endpoint=on_date(
        "/balancing/settlement/indicative/cashflows/all/{bidOffer}/{settlementDate}",
        each=Each("bidOffer", ("bid", "offer"), "bidOffer"),
    ),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "bidOffer"),
    version=("createdDateTime",),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS, floor=1),
    lag=SETTLED,
    freshness=HALF_HOURLY("createdDateTime"),
    rows_per_day=3_000,
    published="with each settlement calculation",
    inferred=("first_day", "rows_per_day"),
    settlement=True,
    iris_code="EBOCF",
    importance=4,
    notes=(
        "These are cashflows in GBP, neither prices nor volumes.",
        "No acceptance number: bmrs_boav has the volumes of each acceptance.",
    ),
    columns=columns(
        "settlementDate! settlementPeriod! startTime! createdDateTime bmUnit bmUnitType! leadPartyName "
        "nationalGridBmUnit bidOfferPairCashflows.negative1 bidOfferPairCashflows.positive1 "
        "bidOfferPairCashflows.negative2 bidOfferPairCashflows.positive2 bidOfferPairCashflows.negative3 "
        "bidOfferPairCashflows.positive3 bidOfferPairCashflows.negative4 bidOfferPairCashflows.positive4 "
        "bidOfferPairCashflows.negative5 bidOfferPairCashflows.positive5 bidOfferPairCashflows.negative6 "
        "bidOfferPairCashflows.positive6 totalCashflow! bidOffer!"
    ),
)


BMRS_ISPSTACK = Dataset(
    table="bmrs_ispstack",
    code="ISPSTACK",
    family=NAME,
    title="Settlement stack",
    description="The ranked stack of bids and offers behind a settlement period's price, with flags, tagging and the final price of each item.",
    endpoint=in_period(
        "/balancing/settlement/stack/all/{bidOffer}/{settlementDate}/{settlementPeriod}",
        each=Each("bidOffer", ("bid", "offer"), "bidOffer"),
    ),
    key=("settlementDate", "settlementPeriod", "bidOffer", "sequenceNumber"),
    version=("createdDateTime",),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS, floor=1),
    lag=SETTLED,
    freshness=HALF_HOURLY("createdDateTime"),
    tier=Tier.STANDARD,
    rows_per_day=10_000,
    published="with each settlement calculation",
    inferred=("first_day", "rows_per_day"),
    settlement=True,
    aliases=("bmrs_detsysprices",),
    iris_code="ISPSTACK",
    importance=6,
    notes=(
        "One call a period and side.",
        "A volume is adjusted step by step (DMAT, arbitrage, NIV, PAR): take the column of the step you mean.",
    ),
    columns=columns(
        "settlementDate! settlementPeriod! startTime! createdDateTime sequenceNumber! id acceptanceId "
        "bidOfferPairId cadlFlag soFlag storProviderFlag repricedIndicator! reserveScarcityPrice "
        "originalPrice volume! dmatAdjustedVolume arbitrageAdjustedVolume nivAdjustedVolume "
        "parAdjustedVolume finalPrice transmissionLossMultiplier tlmAdjustedVolume tlmAdjustedCost "
        "bidOffer!",
        Column("id", TEXT, "Id of the item"),
    ),
)


BMRS_SETTLEMENT_MESSAGES = Dataset(
    table="bmrs_settlement_messages",
    code="SMSG",
    family=NAME,
    title="Settlement messages",
    description="Messages of the settlement system about a day's calculation.",
    endpoint=on_date("/balancing/settlement/messages/{settlementDate}"),
    key=("settlementDate", "settlementPeriod", "messageReceivedDateTime", "messageTypeCode", "messageText"),
    nullable_key=("messageTypeCode", "messageText"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=SETTLED,
    freshness=POLLED,
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    published="event",
    inferred=("first_day", "rows_per_day"),
    aliases=("bmrs_smsg",),
    iris_code="SMSG",
    importance=6,
    notes=("Most days have none.",),
    columns=columns(
        "settlementDate! settlementPeriod! startTime! messageReceivedDateTime! messageSeverity "
        "messageTypeCode messageType messageText"
    ),
)


BMRS_BOALF_PRICED = Dataset(
    table="bmrs_boalf_priced",
    code="ISPSTACK+BOALF+BOD",
    family=NAME,
    title="Acceptances with prices",
    description="Each acceptance of a settlement period with the bid and offer price of its pair, as Elexon joins them.",
    endpoint=in_period("/balancing/settlement/acceptances/all/{settlementDate}/{settlementPeriod}"),
    key=("settlementDate", "settlementPeriod", "nationalGridBmUnit", "acceptanceNumber", "bidOfferPairId"),
    unit_fallback=UNIT,
    partition_field="settlementDate",
    completeness=Completeness(Rule.EVENTS),
    lag=SETTLED,
    freshness=HALF_HOURLY("acceptanceTime"),
    tier=Tier.OPTIONAL,
    rows_per_day=10_000,
    published="with each settlement calculation",
    inferred=("first_day", "rows_per_day"),
    settlement=True,
    importance=8,
    notes=(
        "No volume: bmrs_boav has it.",
        "A third witness of acceptance prices, asked for when in doubt.",
    ),
    columns=columns(
        "settlementDate! settlementPeriod! bmUnit nationalGridBmUnit acceptanceNumber! acceptanceTime! "
        "bidPrice offerPrice bidOfferPairId!"
    ),
)


BMRS_CDN = Dataset(
    table="bmrs_cdn",
    code="CDN",
    family=NAME,
    title="Credit default notices",
    description="Parties in credit default: level 1 or 2, since when, and when it was cleared.",
    endpoint=published("/datasets/CDN", days(1), UNKNOWN),
    key=("bscPartyId", "enteredDefaultSettlementDate", "enteredDefaultSettlementPeriod", "creditDefaultLevel"),
    version=("publishTime",),
    partition_field="publishTime",
    completeness=Completeness(Rule.EVENTS),
    lag=Lag.minutes(60, 120, 1440),
    freshness=POLLED,
    first_day=date(2023, 1, 1),
    tier=Tier.STANDARD,
    published="event",
    inferred=("first_day", "rows_per_day"),
    iris_code="E0361",
    importance=6,
    notes=("Rare: most days have none.",),
    columns=columns(
        "dataset publishTime bscPartyId creditDefaultLevel! enteredDefaultSettlementDate! "
        "enteredDefaultSettlementPeriod! clearedDefaultSettlementDate clearedDefaultSettlementPeriod "
        "clearedDefaultText"
    ),
)


BMRS_DEFAULT_NOTICES = Dataset(
    table="bmrs_default_notices",
    code="CDN",
    family=NAME,
    title="Default notices in force",
    description="The parties in default now, and those cleared in the last seven days.",
    endpoint=snapshot("/balancing/settlement/default-notices"),
    key=("participantId", "enteredDefaultSettlementDate", "enteredDefaultSettlementPeriod"),
    grain=Grain.SNAPSHOT,
    completeness=Completeness(Rule.SNAPSHOT),
    lag=LISTED,
    freshness=NO_FRESHNESS,
    tier=Tier.OPTIONAL,
    published="event",
    inferred=("rows_per_day",),
    iris_code="E0361",
    importance=8,
    notes=("The present list only; each day's list is kept. bmrs_cdn has the history.",),
    columns=columns(
        "participantId participantName creditDefaultLevel! enteredDefaultSettlementDate! "
        "enteredDefaultSettlementPeriod! clearedDefaultSettlementDate clearedDefaultSettlementPeriod "
        "clearedDefaultText"
    ),
)


FAMILY = Family(
    NAME,
    "Settlement",
    (
        BMRS_BOAV,
        BMRS_DISPTAV,
        BMRS_EBOCF,
        BMRS_ISPSTACK,
        BMRS_SETTLEMENT_MESSAGES,
        BMRS_BOALF_PRICED,
        BMRS_CDN,
        BMRS_DEFAULT_NOTICES,
    ),
    about="What settlement calculated: accepted volumes, cashflows, the ranked stack. Each run (II, SF, R1, R2, R3, RF) replaces the one before at the source; here the earlier ones are kept as vintages.",
    examples=EXAMPLES[NAME],
)
