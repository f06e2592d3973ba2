"""The three answers about a day that a person asks first, as plain values.

Belongs here: reading the day's tables and joining the room's functions. Not here: their rules, and any wording.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import Any

import polars as pl

from gbpm_dagster.analytics.extremes import extremes
from gbpm_dagster.analytics.generation import FUELHH_MINUTES, carbon_intensity, generation_mix
from gbpm_dagster.analytics.spread import spread, summarise
from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.market.calendar import periods_in_day
from gbpm_dagster.warehouse.protocol import Warehouse

FUELHH, COSTS, MID = "bmrs_fuelhh", "bmrs_costs", "bmrs_mid"


def answers(warehouse: Warehouse, day: date) -> dict[str, dict[str, Any] | None]:
    """What the stored rows of one London day say; an answer whose tables have no rows that day is None, never 0.

    generation: supply_mwh, mix (a list of fuelType, energy_mwh, share_of_supply, outside_mwh; largest first),
        carbon (the fields of `CarbonIntensity`, and `warns`). From bmrs_fuelhh.
    prices: the fields of `SpreadSummary`. From bmrs_costs and bmrs_mid; None unless both have rows.
    extremes: dearest and cheapest, each a list of the fields of `PricedPeriod`. From bmrs_costs.
    Raises what `Warehouse.read` raises.
    """
    costs = _rows(warehouse, COSTS, day, ("settlementDate", "settlementPeriod", "systemSellPrice"))
    mid = _rows(warehouse, MID, day, ("settlementDate", "settlementPeriod", "price", "volume"))
    fuelhh = _rows(warehouse, FUELHH, day, ("settlementDate", "settlementPeriod", "fuelType", "generation"))
    return {
        "generation": _generation(fuelhh, day),
        "prices": None if costs.is_empty() or mid.is_empty() else asdict(summarise(spread(costs, mid))),
        "extremes": _extremes(costs),
    }


def _rows(warehouse: Warehouse, table: str, day: date, columns: Iterable[str]) -> pl.DataFrame:
    return warehouse.read(DATASETS[table], day, day, tuple(columns))


def _generation(fuelhh: pl.DataFrame, day: date) -> dict[str, Any] | None:
    mix = generation_mix(fuelhh)
    if mix.is_empty():
        return None
    expected = DATASETS[FUELHH].completeness.expected_rows(day) * periods_in_day(day)
    carbon = carbon_intensity(fuelhh, interval_min=FUELHH_MINUTES, expected_rows=expected)
    return {
        "supply_mwh": carbon.supply_mwh,
        "mix": mix.to_dicts(),
        "carbon": {**asdict(carbon), "warns": carbon.warns},
    }


def _extremes(costs: pl.DataFrame) -> dict[str, Any] | None:
    found = extremes(costs)
    if not found.dearest:
        return None
    return {"dearest": [asdict(p) for p in found.dearest], "cheapest": [asdict(p) for p in found.cheapest]}
