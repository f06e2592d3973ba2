"""Carbon factors of fuels and imports, each with its source and date (market/domain.md 6.4).

Belongs here: the factors and which of them hold on a day. Not here: intensities of a frame (`analytics.carbon`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

PUBLISHED = "GB Carbon Intensity API (carbonintensity.org.uk), answer of /intensity/factors"
METHOD = (
    "GB national carbon intensity method, as market/domain.md 6.4 cites it; /intensity/factors leaves Belgium out"
)
NORWAY = "NVE's factor of electricity used in Norway, as cited by github.com/graabeinstudio/emission-factors"
DENMARK = "Our World in Data (Ember, Energy Institute): electricity generation of Denmark, life cycle"

FALLBACK = "OTHER"
"""The fuel whose factor an unknown code gets, flagged as assumed."""

ASSUMED_LIMIT = 0.01
"""More than this share of supply under assumed factors is worth a warning."""


@dataclass(frozen=True, slots=True)
class Factor:
    """gCO2 per kWh (= kg per MWh) of one FUELINST/FUELHH code, for London days from `effective` on.

    year: the year the source's value is of. assumed: the published national method has no such factor.
    """

    fuel: str
    gco2_per_kwh: float
    source: str
    year: int
    assumed: bool = False
    effective: date = date.min


FACTORS: tuple[Factor, ...] = (
    Factor("CCGT", 394.0, PUBLISHED, 2023),
    Factor("OCGT", 651.0, PUBLISHED, 2023),
    Factor("COAL", 937.0, PUBLISHED, 2023),
    Factor("OIL", 935.0, PUBLISHED, 2023),
    Factor("BIOMASS", 120.0, PUBLISHED, 2023),
    Factor("OTHER", 300.0, PUBLISHED, 2023),
    Factor("NUCLEAR", 0.0, PUBLISHED, 2023),
    Factor("WIND", 0.0, PUBLISHED, 2023),
    Factor("NPSHYD", 0.0, PUBLISHED, 2023),
    Factor("PS", 0.0, PUBLISHED, 2023),
    Factor("INTFR", 53.0, PUBLISHED, 2023),
    Factor("INTIFA2", 53.0, PUBLISHED, 2023),
    Factor("INTELEC", 53.0, PUBLISHED, 2023),
    Factor("INTNED", 474.0, PUBLISHED, 2023),
    Factor("INTNEM", 179.0, METHOD, 2023),
    Factor("INTIRL", 458.0, PUBLISHED, 2023),
    Factor("INTEW", 458.0, PUBLISHED, 2023),
    Factor("INTGRNL", 458.0, PUBLISHED, 2023),
    Factor("INTNSL", 19.0, NORWAY, 2022, assumed=True),
    Factor("INTVKL", 152.0, DENMARK, 2023, assumed=True),
)
"""Factors in use. One that changes is added with its `effective` day; the earlier one stays for earlier days."""


def factors_on(day: date, factors: Sequence[Factor] = FACTORS) -> dict[str, Factor]:
    """Fuel -> the factor with the latest `effective` not after that day; fuels without one are absent."""
    found: dict[str, Factor] = {}
    for factor in sorted((f for f in factors if f.effective <= day), key=lambda f: f.effective):
        found[factor.fuel] = factor
    return found


def factor_of(fuel: str, known: dict[str, Factor]) -> Factor:
    """The fuel's factor of `known`, else OTHER's, flagged assumed; LookupError if `known` lacks OTHER as well."""
    if fuel in known:
        return known[fuel]
    if FALLBACK not in known:
        raise LookupError(f"no carbon factor for {fuel!r}, nor for {FALLBACK} to stand in: add one to the factors")
    return replace(known[FALLBACK], fuel=fuel, assumed=True)
