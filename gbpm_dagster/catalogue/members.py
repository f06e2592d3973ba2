"""Members that every settlement period must have: fuels, providers, production types.

Belongs here: declared sets with the day each member began. Not here: the tables that have them.
"""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.model import Member

FUELS = (
    *(
        Member(fuel)
        for fuel in ("BIOMASS", "CCGT", "COAL", "NPSHYD", "NUCLEAR", "OCGT", "OIL", "OTHER", "PS", "WIND")
    ),
    *(Member(link) for link in ("INTEW", "INTFR", "INTIRL", "INTNED")),
    Member("INTNEM", date(2018, 9, 26)),
    Member("INTIFA2", date(2020, 3, 3)),
    Member("INTNSL", date(2021, 1, 28)),
    Member("INTELEC", date(2021, 9, 11)),
    # Single values of the two newest links appear earlier (2023-07-12, 2024-03-19) and are welcome; a period
    # must have them from the first month in which every period had (recorded FUELINST of 2023-10 to 2024-10).
    Member("INTVKL", date(2024, 1, 1)),
    Member("INTGRNL", date(2024, 10, 1)),
)
"""Fuel types and interconnectors that FUELHH and FUELINST report, each from its first whole day on."""


PSR_TYPES = tuple(
    Member(name)
    for name in (
        "Biomass",
        "Fossil Gas",
        "Fossil Hard coal",
        "Fossil Oil",
        "Hydro Pumped Storage",
        "Hydro Run-of-river and poundage",
        "Nuclear",
        "Other",
        "Solar",
        "Wind Offshore",
        "Wind Onshore",
    )
)
"""The transparency types every period of AGPT has."""

WIND_AND_SOLAR = (Member("Solar"), Member("Wind Offshore"), Member("Wind Onshore"))
"""The transparency types of AGWS and DGWS."""

MID_PROVIDERS = (Member("APXMIDP"), Member("N2EXMIDP"))
"""The market index data providers."""
