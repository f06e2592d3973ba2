"""What generated: energy by fuel and its carbon intensity, from FUELHH or FUELINST (market/domain.md 6.4, 6.5).

Belongs here: pure functions over frames. Not here: the factors (`market.carbon`), reading tables (`answers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from gbpm_dagster.market.carbon import ASSUMED_LIMIT, FACTORS, Factor, factor_of, factors_on

FUELHH_MINUTES, FUELINST_MINUTES = 30, 5
LEAST_COVERAGE = 0.5
"""Below this share of the samples there is no intensity (domain.md 6.4)."""


def _hours(interval_min: float) -> float:
    if not interval_min > 0:
        raise ValueError(f"a sample lasts some minutes, not {interval_min}: FUELHH 30, FUELINST 5")
    return interval_min / 60


def _supply(frame: pl.DataFrame, interval_min: float) -> pl.DataFrame:
    """The rows that have a value, with `energy_mwh` >= 0 (supply) and `outside_mwh` <= 0 (exports, pumping)."""
    energy = pl.col("generation").cast(pl.Float64) * _hours(interval_min)
    return frame.filter(pl.col("generation").is_not_null()).with_columns(
        energy.clip(lower_bound=0.0).alias("energy_mwh"), energy.clip(upper_bound=0.0).alias("outside_mwh")
    )


def generation_mix(fuelhh: pl.DataFrame, *, interval_min: float = FUELHH_MINUTES) -> pl.DataFrame:
    """Energy by fuel over all samples of the frame, largest first.

    fuelhh: columns fuelType, generation (average MW over `interval_min` minutes; 5 for FUELINST).
    Returns fuelType, energy_mwh (positive flows), share_of_supply (0..1 of all positive flows, imports among them;
    null when nothing flowed), outside_mwh (exports and pumping, <= 0, in no sum). Null MW is no sample, never 0.
    """
    by_fuel = _supply(fuelhh, interval_min).group_by("fuelType").agg(pl.sum("energy_mwh", "outside_mwh"))
    supply = pl.col("energy_mwh").sum()
    share = pl.when(supply > 0).then(pl.col("energy_mwh") / supply).alias("share_of_supply")
    return (
        by_fuel.with_columns(share)
        .select("fuelType", "energy_mwh", "share_of_supply", "outside_mwh")
        .sort("energy_mwh", "fuelType", descending=[True, False])
    )


@dataclass(frozen=True, slots=True)
class CarbonIntensity:
    """Carbon of the supply of a frame.

    gco2_per_kwh: emissions over supply; null without positive flow or with less than half of the samples.
    tco2, supply_mwh: of the samples there are, nothing scaled up; null without samples, tco2 also below half.
    assumed_share: part of the supply (0..1) whose factor is assumed; null without positive flow.
    coverage: samples there are / samples expected (0..1); null when nobody said how many to expect.
    """

    gco2_per_kwh: float | None
    tco2: float | None
    supply_mwh: float | None
    assumed_share: float | None = None
    coverage: float | None = None

    @property
    def warns(self) -> bool:
        """True when more than 1 % of the supply has an assumed factor."""
        return (self.assumed_share or 0.0) > ASSUMED_LIMIT


def carbon_intensity(
    frame: pl.DataFrame,
    *,
    interval_min: float,
    factors: Sequence[Factor] = FACTORS,
    expected_rows: int | None = None,
) -> CarbonIntensity:
    """Carbon intensity of supply over the whole frame: energy and mass summed first, divided once.

    frame: columns fuelType, generation (average MW over `interval_min` minutes) and, if factors changed over time,
    settlementDate (without it the newest factors count). Only positive flows enter. A code without a factor gets
    OTHER's, as assumed. expected_rows: rows (sample x fuel) a complete frame has, for the coverage.
    Raises ValueError for a bad interval or an expectation below 1.
    """
    if expected_rows is not None and expected_rows < 1:
        raise ValueError(f"a complete frame has at least one row, not {expected_rows}")
    rows = _supply(frame, interval_min)
    coverage = None if expected_rows is None else min(1.0, rows.height / expected_rows)
    if rows.is_empty():
        return CarbonIntensity(None, None, None, None, coverage)
    keys = [k for k in ("settlementDate", "fuelType") if k in rows.columns]
    energy = rows.group_by(keys).agg(pl.sum("energy_mwh"))
    supply = kilograms = assumed = 0.0
    known: dict[date, dict[str, Factor]] = {}
    for row in energy.sort(keys).iter_rows(named=True):
        day = row.get("settlementDate") or date.max
        factor = factor_of(row["fuelType"], known.setdefault(day, factors_on(day, factors)))
        supply += row["energy_mwh"]
        kilograms += row["energy_mwh"] * factor.gco2_per_kwh
        assumed += row["energy_mwh"] if factor.assumed else 0.0
    share = assumed / supply if supply else None
    if coverage is not None and coverage < LEAST_COVERAGE:
        return CarbonIntensity(None, None, supply, share, coverage)
    return CarbonIntensity(kilograms / supply if supply else None, kilograms / 1000, supply, share, coverage)
