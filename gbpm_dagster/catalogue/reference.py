"""Reference lists and the source's own status, kept as daily snapshots."""

from __future__ import annotations

from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import Completeness, Dataset, Each, Family, Freshness, Grain, Lag, Rule, Tier
from gbpm_dagster.catalogue.terms import (
    EACH_DAY,
    LISTED,
    NO_FRESHNESS,
    STREAMED,
    UNKNOWN,
    dates,
    days,
    snapshot,
)
from gbpm_dagster.catalogue.vocabulary import columns

NAME = "reference"

REF_BMUNITS = Dataset(
    table="ref_bmunits",
    code="",
    family=NAME,
    title="BM units",
    description="The register of BM units: ids, fuel, party, capacities (MW, as text). Each day's list is kept.",
    endpoint=snapshot("/reference/bmunits/all"),
    key=("elexonBmUnit", "nationalGridBmUnit"),
    nullable_key=("elexonBmUnit", "nationalGridBmUnit"),
    grain=Grain.SNAPSHOT,
    completeness=Completeness(Rule.SNAPSHOT, floor=1),
    lag=Lag.minutes(0, 1440, 2880),
    freshness=Freshness.minutes("daily", 2160, 4320),
    rows_per_day=2_960,
    bytes_per_row=700,
    published="daily",
    inferred=("published",),
    aliases=("bmu_registration_data", "all_generators"),
    importance=3,
    notes=("Capacities and loss factors are strings in the JSON and stay so in the raw table.",),
    columns=columns(
        "nationalGridBmUnit elexonBmUnit eic fuelType leadPartyName bmUnitType fpnFlag bmUnitName "
        "leadPartyId demandCapacity generationCapacity productionOrConsumptionFlag "
        "transmissionLossFactor workingDayCreditAssessmentImportCapability "
        "nonWorkingDayCreditAssessmentImportCapability workingDayCreditAssessmentExportCapability "
        "nonWorkingDayCreditAssessmentExportCapability creditQualifyingStatus! demandInProductionFlag! "
        "gspGroupId gspGroupName interconnectorId"
    ),
)


REF_FUELTYPES = Dataset(
    table="ref_fueltypes",
    code="",
    family=NAME,
    title="Fuel types",
    description="The fuel type codes of FUELINST and FUELHH. Each day's list is kept.",
    endpoint=snapshot("/reference/fueltypes/all"),
    key=("value",),
    grain=Grain.SNAPSHOT,
    completeness=Completeness(Rule.SNAPSHOT, floor=1),
    lag=LISTED,
    freshness=EACH_DAY,
    rows_per_day=20,
    published="rare",
    importance=4,
    notes=("A list of texts; they become column value.",),
    columns=columns("value!"),
)


REF_INTERCONNECTORS = Dataset(
    table="ref_interconnectors",
    code="",
    family=NAME,
    title="Interconnectors",
    description="The interconnectors: id, name and bidding zone. Each day's list is kept.",
    endpoint=snapshot("/reference/interconnectors/all"),
    key=("interconnectorId",),
    grain=Grain.SNAPSHOT,
    completeness=Completeness(Rule.SNAPSHOT, floor=1),
    lag=LISTED,
    freshness=EACH_DAY,
    rows_per_day=10,
    published="rare",
    inferred=("rows_per_day",),
    importance=4,
    notes=("interconnectorId is the fuel type code (INTFR, ...).",),
    columns=columns("interconnectorId interconnectorName interconnectorBiddingZone"),
)


REF_REMIT_PARTICIPANTS = Dataset(
    table="ref_remit_participants",
    code="",
    family=NAME,
    title="REMIT participants",
    description="The codes of participants that sent REMIT messages. Each day's list is kept.",
    endpoint=snapshot("/reference/remit/participants/all"),
    key=("value",),
    grain=Grain.SNAPSHOT,
    completeness=Completeness(Rule.SNAPSHOT, floor=1),
    lag=LISTED,
    freshness=EACH_DAY,
    tier=Tier.OPTIONAL,
    published="rare",
    inferred=("rows_per_day",),
    importance=8,
    notes=("A list of texts; they become column value.",),
    columns=columns("value!"),
)


REF_REMIT_ASSETS = Dataset(
    table="ref_remit_assets",
    code="",
    family=NAME,
    title="REMIT assets",
    description="The codes of assets in REMIT messages. Each day's list is kept.",
    endpoint=snapshot("/reference/remit/assets/all"),
    key=("value",),
    grain=Grain.SNAPSHOT,
    completeness=Completeness(Rule.SNAPSHOT, floor=1),
    lag=LISTED,
    freshness=EACH_DAY,
    tier=Tier.OPTIONAL,
    published="rare",
    inferred=("rows_per_day",),
    importance=8,
    notes=("A list of texts; they become column value.",),
    columns=columns("value!"),
)


REF_REMIT_FUELTYPES = Dataset(
    table="ref_remit_fueltypes",
    code="",
    family=NAME,
    title="REMIT fuel types",
    description="The fuel types that REMIT messages use. Each day's list is kept.",
    endpoint=snapshot("/reference/remit/fueltypes/all"),
    key=("value",),
    grain=Grain.SNAPSHOT,
    completeness=Completeness(Rule.SNAPSHOT, floor=1),
    lag=LISTED,
    freshness=EACH_DAY,
    tier=Tier.OPTIONAL,
    published="rare",
    inferred=("rows_per_day",),
    importance=8,
    notes=(
        "Other words than ref_fueltypes.",
        "A list of texts; they become column value.",
    ),
    columns=columns("value!"),
)


META_DATASET_LATEST = Dataset(
    table="meta_dataset_latest",
    code="",
    family=NAME,
    title="When each dataset was last updated",
    description="The source's own word on how fresh each dataset is. Each day's list is kept.",
    endpoint=snapshot("/datasets/metadata/latest"),
    key=("dataset",),
    grain=Grain.SNAPSHOT,
    completeness=Completeness(Rule.SNAPSHOT, floor=1),
    lag=LISTED,
    freshness=STREAMED("lastUpdated"),
    rows_per_day=82,
    published="continuous",
    importance=4,
    notes=("Spellings differ from the dataset codes: IMBALANGC, LOLPDM, SYS_WARN, E0361.",),
    columns=columns("dataset lastUpdated"),
)


META_DATA_STATUS = Dataset(
    table="meta_data_status",
    code="ISPSTACK+FREQ+BOALF+DISEBSP+DISPTAV+DISBSAD+NETBSAD+BOD+EBOCF+BOAV+PN+REMIT",
    family=NAME,
    title="Data points by period",
    description="How many data points the source holds in each settlement period, for twelve datasets: an oracle of completeness.",
    endpoint=dates(
        "/data-status/{code}",
        "settlementDateFrom",
        "settlementDateTo",
        days(1),
        UNKNOWN,
        each=Each(
            "code",
            (
                "ISPSTACK",
                "FREQ",
                "BOALF",
                "DISEBSP",
                "DISPTAV",
                "DISBSAD",
                "NETBSAD",
                "BOD",
                "EBOCF",
                "BOAV",
                "PN",
                "REMIT",
            ),
            "code",
        ),
    ),
    key=("code", "settlementDate", "settlementPeriod"),
    partition_field="settlementDate",
    completeness=Completeness(Rule.PERIODS, rows_per_period=12),
    lag=Lag.minutes(30, 60, 1440),
    freshness=NO_FRESHNESS,
    rows_per_day=576,
    published="continuous",
    importance=4,
    notes=("Twelve paths, one a code; the code becomes a column.",),
    columns=columns("settlementDate! settlementPeriod! dataPointCount! code!"),
)


FAMILY = Family(
    NAME,
    "Reference",
    (
        REF_BMUNITS,
        REF_FUELTYPES,
        REF_INTERCONNECTORS,
        REF_REMIT_PARTICIPANTS,
        REF_REMIT_ASSETS,
        REF_REMIT_FUELTYPES,
        META_DATASET_LATEST,
        META_DATA_STATUS,
    ),
    about="Units, fuels, interconnectors and participants as they are now, each day's list kept; and what the source says of its own data.",
    examples=EXAMPLES[NAME],
)
