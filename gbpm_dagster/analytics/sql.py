"""Every SQL statement of the analytics room, in the portable part of DuckDB's dialect (decision 14).

Belongs here: building SELECT texts that say what the functions of this room say. Not here: running them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from gbpm_dagster.analytics.spread import EQUAL_WITHIN
from gbpm_dagster.market.carbon import FACTORS, FALLBACK, Factor, factors_on


def _days(start: date, end: date) -> str:
    return f"\"settlementDate\" BETWEEN DATE '{start.isoformat()}' AND DATE '{end.isoformat()}'"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def generation_mix(start: date, end: date) -> str:
    """Energy by fuel over those days (both included) of bmrs_fuelhh: the columns of `generation.generation_mix`."""
    # CASE, not GREATEST: engines differ on a null argument.
    return f"""
WITH by_fuel AS (
  SELECT "fuelType",
    SUM(CASE WHEN "generation" > 0 THEN "generation" ELSE 0 END) * 0.5 AS energy_mwh,
    SUM(CASE WHEN "generation" < 0 THEN "generation" ELSE 0 END) * 0.5 AS outside_mwh
  FROM bmrs_fuelhh
  WHERE {_days(start, end)} AND "generation" IS NOT NULL
  GROUP BY "fuelType"
)
SELECT "fuelType", CAST(energy_mwh AS DOUBLE) AS energy_mwh,
  CAST(energy_mwh AS DOUBLE) / NULLIF(SUM(CAST(energy_mwh AS DOUBLE)) OVER (), 0) AS share_of_supply,
  CAST(outside_mwh AS DOUBLE) AS outside_mwh
FROM by_fuel
ORDER BY energy_mwh DESC, "fuelType"
""".strip()


def carbon_intensity(day: date, factors: Sequence[Factor] = FACTORS) -> str:
    """One row for that day of bmrs_fuelhh: supply_mwh, tco2, gco2_per_kwh, assumed_share (domain.md 6.4).

    The factors of the day are part of the text; LookupError if OTHER, which stands in for unknown codes, has none.
    """
    known = factors_on(day, factors)
    if FALLBACK not in known:
        raise LookupError(f"no carbon factor for {FALLBACK} on {day}, to stand in for unknown codes: add one")
    table = "\n  UNION ALL ".join(
        f"SELECT {_text(f.fuel)} AS fuel, {float(f.gco2_per_kwh)} AS factor, {int(f.assumed)} AS assumed"
        for f in known.values()
    )
    return f"""
WITH factors AS (
  {table}
), energy AS (
  SELECT CAST(CASE WHEN f."generation" > 0 THEN f."generation" ELSE 0 END AS DOUBLE) * 0.5 AS mwh,
    COALESCE(CAST(k.factor AS DOUBLE), {float(known[FALLBACK].gco2_per_kwh)}) AS factor,
    COALESCE(k.assumed, 1) AS assumed
  FROM bmrs_fuelhh AS f
  LEFT JOIN factors AS k ON k.fuel = f."fuelType"
  WHERE {_days(day, day)} AND f."generation" IS NOT NULL
)
SELECT SUM(mwh) AS supply_mwh, SUM(mwh * factor) / 1000 AS tco2,
  SUM(mwh * factor) / NULLIF(SUM(mwh), 0) AS gco2_per_kwh,
  SUM(mwh * assumed) / NULLIF(SUM(mwh), 0) AS assumed_share
FROM energy
""".strip()


def spread(start: date, end: date) -> str:
    """System price minus market index by period (both days included): the columns of `spread.spread`."""
    return f"""
WITH kept AS (
  SELECT "settlementDate", "settlementPeriod", "price", "volume",
    CASE WHEN "price" IS NULL OR "volume" IS NULL OR ("price" = 0 AND "volume" = 0) THEN 0 ELSE 1 END AS counts
  FROM bmrs_mid
  WHERE {_days(start, end)}
), sums AS (
  SELECT "settlementDate", "settlementPeriod", SUM(counts) AS n,
    SUM(CASE WHEN counts = 1 THEN "volume" ELSE 0 END) AS total,
    SUM(CASE WHEN counts = 1 THEN "price" * "volume" ELSE 0 END) AS worth,
    AVG(CASE WHEN counts = 1 THEN "price" ELSE NULL END) AS plain
  FROM kept
  GROUP BY "settlementDate", "settlementPeriod"
), market AS (
  SELECT "settlementDate", "settlementPeriod",
    CASE WHEN total > 0 THEN worth / NULLIF(total, 0) ELSE plain END AS price,
    CASE WHEN total > 0 THEN total ELSE 0 END AS volume,
    CASE WHEN total > 0 THEN 'weighted' WHEN n > 0 THEN 'unweighted' ELSE 'none' END AS method
  FROM sums
), imbalance AS (
  SELECT "settlementDate", "settlementPeriod", "systemSellPrice" AS price
  FROM bmrs_costs
  WHERE {_days(start, end)}
)
SELECT COALESCE(i."settlementDate", m."settlementDate") AS "settlementDate",
  COALESCE(i."settlementPeriod", m."settlementPeriod") AS "settlementPeriod",
  i.price AS system_price_gbp_per_mwh, m.price AS market_index_gbp_per_mwh,
  m.volume AS volume_mwh, m.method AS method, i.price - m.price AS spread_gbp_per_mwh
FROM imbalance AS i
FULL OUTER JOIN market AS m
  ON i."settlementDate" = m."settlementDate" AND i."settlementPeriod" = m."settlementPeriod"
ORDER BY 1, 2
""".strip()


def spread_counts(start: date, end: date) -> str:
    """One row: periods, imbalance_dearer, wholesale_dearer, equal, unmatched, and the means of `SpreadSummary`."""
    near = f"{EQUAL_WITHIN:.6f}"
    return f"""
SELECT COUNT(*) AS periods,
  COUNT(CASE WHEN spread_gbp_per_mwh > {near} THEN 1 END) AS imbalance_dearer,
  COUNT(CASE WHEN spread_gbp_per_mwh < -{near} THEN 1 END) AS wholesale_dearer,
  COUNT(CASE WHEN ABS(spread_gbp_per_mwh) <= {near} THEN 1 END) AS equal,
  COUNT(CASE WHEN spread_gbp_per_mwh IS NULL THEN 1 END) AS unmatched,
  AVG(system_price_gbp_per_mwh) AS mean_system_price,
  AVG(market_index_gbp_per_mwh) AS mean_market_index,
  SUM(market_index_gbp_per_mwh * volume_mwh) / NULLIF(SUM(CASE WHEN market_index_gbp_per_mwh IS NOT NULL
    THEN volume_mwh END), 0) AS weighted_market_index,
  AVG(spread_gbp_per_mwh) AS mean_spread,
  SUM(spread_gbp_per_mwh * volume_mwh) / NULLIF(SUM(CASE WHEN spread_gbp_per_mwh IS NOT NULL
    THEN volume_mwh END), 0) AS weighted_spread
FROM (
{spread(start, end).rsplit("ORDER BY", 1)[0].strip()}
) AS s
""".strip()


def extremes(start: date, end: date, n: int = 3) -> str:
    """The periods of `extremes.extremes` over those days (both included): keys, price, and the two ranks from 1."""
    return f"""
WITH ranked AS (
  SELECT "settlementDate", "settlementPeriod", "systemSellPrice" AS price_gbp_per_mwh,
    ROW_NUMBER() OVER (ORDER BY "systemSellPrice" DESC, "settlementDate", "settlementPeriod") AS dearest_rank,
    ROW_NUMBER() OVER (ORDER BY "systemSellPrice", "settlementDate", "settlementPeriod") AS cheapest_rank
  FROM bmrs_costs
  WHERE {_days(start, end)} AND "systemSellPrice" IS NOT NULL
)
SELECT "settlementDate", "settlementPeriod", price_gbp_per_mwh, dearest_rank, cheapest_rank
FROM ranked
WHERE dearest_rank <= {int(n)} OR cheapest_rank <= {int(n)}
ORDER BY dearest_rank
""".strip()


def unit_history() -> str:
    """Every interval of the register of BM units: the columns of ref_bmunits_history, by unit and time."""
    return """
SELECT *
FROM ref_bmunits_history
ORDER BY "elexonBmUnit", "nationalGridBmUnit", "_valid_from"
""".strip()
