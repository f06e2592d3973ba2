"""Reference lists, kept as daily snapshots."""

from __future__ import annotations

from gbpm_dagster.catalogue.model import (
    Column,
    Completeness,
    Dataset,
    Endpoint,
    Family,
    Freshness,
    Grain,
    Lag,
    Rule,
    Style,
)
from gbpm_dagster.catalogue.terms import FLAG, TEXT

REF_BMUNITS = Dataset(
    table="ref_bmunits",
    code="",
    family="reference",
    title="BM units",
    description="The register of BM units: ids, fuel, party, capacities (MW, as text). Each day's list is kept.",
    endpoint=Endpoint("/reference/bmunits/all", Style.NONE, cap_source="no window"),
    grain=Grain.SNAPSHOT,
    key=("elexonBmUnit", "nationalGridBmUnit"),
    nullable_key=("elexonBmUnit", "nationalGridBmUnit"),
    completeness=Completeness(Rule.SNAPSHOT),
    lag=Lag.minutes(0, 1440, 2880),
    freshness=Freshness.minutes("daily", 2160, 4320),
    rows_per_day=2960,
    bytes_per_row=700,
    importance=3,
    notes=("Capacities and loss factors are strings in the JSON and stay so in the raw table.",),
    columns=(
        Column("nationalGridBmUnit", TEXT, "National Grid (NESO) BM Unit id, e.g. DRAXX-1"),
        Column("elexonBmUnit", TEXT, "Elexon BM Unit id"),
        Column("eic", TEXT, "EIC"),
        Column("fuelType", TEXT, "Fuel type or interconnector code"),
        Column("leadPartyName", TEXT, "Lead party of the BM Unit"),
        Column(
            "bmUnitType",
            TEXT,
            "BM Unit type (T transmission, E embedded, S supplier, V virtual/secondary, I interconnector, G, M)",
        ),
        Column("fpnFlag", FLAG, "Submits final physical notifications"),
        Column("bmUnitName", TEXT, "BM Unit name"),
        Column("leadPartyId", TEXT, "Lead party id"),
        Column("demandCapacity", TEXT, "Demand capacity (a string in JSON)", unit="MW"),
        Column("generationCapacity", TEXT, "Generation capacity (a string in JSON)", unit="MW"),
        Column("productionOrConsumptionFlag", TEXT, "P or C"),
        Column("transmissionLossFactor", TEXT, "Transmission loss factor (a string in JSON)"),
        Column(
            "workingDayCreditAssessmentImportCapability",
            TEXT,
            "Credit assessment capability (a string in JSON)",
            unit="MW",
        ),
        Column(
            "nonWorkingDayCreditAssessmentImportCapability",
            TEXT,
            "Credit assessment capability (a string in JSON)",
            unit="MW",
        ),
        Column(
            "workingDayCreditAssessmentExportCapability",
            TEXT,
            "Credit assessment capability (a string in JSON)",
            unit="MW",
        ),
        Column(
            "nonWorkingDayCreditAssessmentExportCapability",
            TEXT,
            "Credit assessment capability (a string in JSON)",
            unit="MW",
        ),
        Column("creditQualifyingStatus", FLAG, "Credit qualifying status", nullable=False),
        Column("demandInProductionFlag", FLAG, "Demand in production flag", nullable=False),
        Column("gspGroupId", TEXT, "GSP group id"),
        Column("gspGroupName", TEXT, "GSP group name"),
        Column("interconnectorId", TEXT, "Interconnector id"),
    ),
)


FAMILY = Family("reference", "Reference", (REF_BMUNITS,))
