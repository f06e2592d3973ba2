"""Questions people ask each family of tables, answered in SQL: the cookbook of docs/catalogue.

Belongs here: for each family pairs of a question, which ends with the unit of the answer, and one SELECT in the portable
part of DuckDB's dialect (decision 14; it runs in BigQuery's as well). Not here: views a query may name (views).
The tests run every one, on recorded days against plain loops where there are recordings.
"""

from __future__ import annotations

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {}
"""By Family.name."""

EXAMPLES["prices"] = (
    (
        "Each day's mean imbalance price beside the volume-weighted wholesale price (GBP/MWh)",
        """
SELECT c.settlementDate,
  avg(c.systemSellPrice) AS imbalance_gbp_per_mwh,
  sum(m.value_gbp) / nullif(sum(m.volume_mwh), 0) AS wholesale_gbp_per_mwh
FROM bmrs_costs AS c
LEFT JOIN (
  SELECT settlementDate, settlementPeriod, sum(price * volume) AS value_gbp, sum(volume) AS volume_mwh
  FROM bmrs_mid
  GROUP BY settlementDate, settlementPeriod
) AS m ON m.settlementDate = c.settlementDate AND m.settlementPeriod = c.settlementPeriod
GROUP BY c.settlementDate
ORDER BY c.settlementDate
""",
    ),
    (
        "How often the system was short or long, by how much in all, and the mean price then (MWh, GBP/MWh)",
        """
SELECT CASE WHEN netImbalanceVolume > 0 THEN 'short' ELSE 'long' END AS market,
  count(*) AS periods,
  sum(netImbalanceVolume) AS imbalance_mwh,
  avg(systemSellPrice) AS price_gbp_per_mwh
FROM bmrs_costs
WHERE netImbalanceVolume <> 0
GROUP BY market
ORDER BY market
""",
    ),
)

EXAMPLES["settlement"] = (
    (
        "What each unit was paid for its accepted bids and offers; negative: it paid (GBP)",
        """
SELECT coalesce(nationalGridBmUnit, bmUnit) AS unit, sum(totalCashflow) AS cashflow_gbp
FROM bmrs_ebocf
GROUP BY unit
ORDER BY cashflow_gbp DESC, unit
LIMIT 20
""",
    ),
    (
        "Accepted energy of each unit, offers up and bids down (MWh)",
        """
SELECT coalesce(nationalGridBmUnit, bmUnit) AS unit,
  sum(CASE WHEN bidOffer = 'offer' THEN totalVolumeAccepted ELSE 0 END) AS offers_mwh,
  sum(CASE WHEN bidOffer = 'bid' THEN totalVolumeAccepted ELSE 0 END) AS bids_mwh
FROM bmrs_boav
GROUP BY unit
ORDER BY offers_mwh DESC, unit
LIMIT 20
""",
    ),
)

EXAMPLES["settlement/metering"] = (
    (
        "Metered energy of each unit; a value is MWh in its half hour already (MWh)",
        """
SELECT coalesce(nationalGridBmUnitId, bmUnit) AS unit, sum(quantity) AS energy_mwh
FROM bmrs_b1610
GROUP BY unit
ORDER BY energy_mwh DESC, unit
LIMIT 20
""",
    ),
)

EXAMPLES["balancing"] = (
    (
        "Energy each unit notified: the area under its straight lines (MWh)",
        """
SELECT coalesce(nationalGridBmUnit, bmUnit) AS unit,
  sum((levelFrom + levelTo) / 2.0
    * (extract(hour FROM timeTo - timeFrom) + extract(minute FROM timeTo - timeFrom) / 60.0)) AS notified_mwh
FROM bmrs_pn
GROUP BY unit
ORDER BY notified_mwh DESC, unit
LIMIT 20
""",
    ),
    (
        "The cheapest offer to go up from the notified level, by settlement period (GBP/MWh)",
        """
SELECT settlementDate, settlementPeriod,
  min(offer) AS cheapest_offer_gbp_per_mwh,
  count(DISTINCT coalesce(nationalGridBmUnit, bmUnit)) AS units
FROM bmrs_bod
WHERE pairId = 1 AND levelTo > 0 AND abs(offer) < 99000
GROUP BY settlementDate, settlementPeriod
ORDER BY settlementDate, settlementPeriod
""",
    ),
)

EXAMPLES["balancing/dynamic"] = (
    (
        "The stable export limit of each unit in force at the end of the data (MW)",
        """
SELECT coalesce(nationalGridBmUnit, bmUnit) AS unit, level AS stable_export_limit_mw, time AS since
FROM bmrs_sel
QUALIFY row_number() OVER (PARTITION BY coalesce(nationalGridBmUnit, bmUnit) ORDER BY time DESC) = 1
ORDER BY unit
""",
    ),
)

EXAMPLES["balancing/rates"] = (
    (
        "The first run-up rate of each unit in force at the end of the data (MW/min)",
        """
SELECT coalesce(nationalGridBmUnit, bmUnit) AS unit, rate1 AS run_up_mw_min, time AS since
FROM bmrs_rure
QUALIFY row_number() OVER (PARTITION BY coalesce(nationalGridBmUnit, bmUnit) ORDER BY time DESC) = 1
ORDER BY unit
""",
    ),
)

EXAMPLES["balancing/adjustment"] = (
    (
        "Actions outside the balancing mechanism by settlement period: volume and cost (MWh, GBP)",
        """
SELECT settlementDate, settlementPeriod,
  count(*) AS actions, sum(volume) AS net_volume_mwh, sum(cost) AS known_cost_gbp
FROM bmrs_disbsad
GROUP BY settlementDate, settlementPeriod
ORDER BY settlementDate, settlementPeriod
""",
    ),
)

EXAMPLES["balancing/reserves"] = (
    (
        "Reserve under contract by day, type and direction (MW)",
        """
SELECT settlementDate, businessType, psrType, flowDirection, sum(quantity) AS reserve_mw
FROM bmrs_abuc
GROUP BY settlementDate, businessType, psrType, flowDirection
ORDER BY settlementDate, businessType, psrType, flowDirection
""",
    ),
)

EXAMPLES["generation"] = (
    (
        "Each day's net energy of every fuel and interconnector (GWh)",
        """
SELECT settlementDate, fuelType, sum(generation) / 2 / 1000.0 AS net_gwh
FROM bmrs_fuelhh
GROUP BY settlementDate, fuelType
ORDER BY settlementDate, net_gwh DESC, fuelType
""",
    ),
    (
        "Wind and hydro as a share of all supply to the transmission system, imports included (percent)",
        """
SELECT settlementDate,
  100.0 * sum(CASE WHEN fuelType IN ('WIND', 'NPSHYD') AND generation > 0 THEN generation ELSE 0 END)
    / nullif(sum(CASE WHEN generation > 0 THEN generation ELSE 0 END), 0) AS tx_over_supply_pct
FROM bmrs_fuelhh
GROUP BY settlementDate
ORDER BY settlementDate
""",
    ),
)

EXAMPLES["demand"] = (
    (
        "Each day's peak of national demand, when its half hour began, and the day's energy (MW, MWh)",
        """
SELECT settlementDate,
  max(demand) AS peak_mw,
  arg_max(startTime, demand) AS peak_start,
  sum(demand) / 2.0 AS energy_mwh
FROM bmrs_indo
GROUP BY settlementDate
ORDER BY settlementDate
""",
    ),
    (
        "National and transmission system demand side by side (MW)",
        """
SELECT settlementDate, settlementPeriod,
  initialDemandOutturn AS national_mw,
  initialTransmissionSystemDemandOutturn AS transmission_mw
FROM bmrs_demand_outturn
ORDER BY settlementDate, settlementPeriod
""",
    ),
)

EXAMPLES["demand/peaks"] = (
    (
        "The highest transmission system demand of each day, and the half hour it was in (MW)",
        """
SELECT settlementDate, settlementPeriod, initialTransmissionSystemDemandOutturn AS peak_mw
FROM bmrs_demand_peak
ORDER BY settlementDate
""",
    ),
)

EXAMPLES["frequency"] = (
    (
        "Time outside 49.8 to 50.2 Hz and the extremes, by London day; a sample stands for 15 seconds (minutes, Hz)",
        """
SELECT _day AS day,
  sum(CASE WHEN frequency < 49.8 OR frequency > 50.2 THEN 1 ELSE 0 END) / 4.0 AS outside_min,
  min(frequency) AS lowest_hz,
  max(frequency) AS highest_hz
FROM bmrs_freq
GROUP BY day
ORDER BY day
""",
    ),
)

EXAMPLES["forecasts/demand"] = (
    (
        "How far the last forecast of national demand was from the outturn, by day (MW)",
        """
SELECT f.settlementDate,
  count(*) AS periods,
  avg(f.nationalDemand - o.demand) AS bias_mw,
  avg(abs(f.nationalDemand - o.demand)) AS mean_error_mw
FROM bmrs_demand_forecast_latest AS f
JOIN bmrs_indo AS o ON o.settlementDate = f.settlementDate AND o.settlementPeriod = f.settlementPeriod
WHERE f.boundary = 'N' AND f.nationalDemand IS NOT NULL
GROUP BY f.settlementDate
ORDER BY f.settlementDate
""",
    ),
    (
        "National demand as it was forecast at least 12 hours before each settlement period (MW)",
        """
SELECT settlementDate, settlementPeriod, demand AS national_demand_mw, publishTime
FROM bmrs_ndf
WHERE publishTime <= startTime - INTERVAL 12 HOUR
QUALIFY row_number() OVER (PARTITION BY startTime, boundary ORDER BY publishTime DESC) = 1
ORDER BY settlementDate, settlementPeriod
""",
    ),
)

EXAMPLES["forecasts/load"] = (
    (
        "The newest day-ahead load forecast of each settlement period (MW)",
        """
SELECT settlementDate, settlementPeriod, arg_max(quantity, publishTime) AS load_mw
FROM bmrs_datl
GROUP BY settlementDate, settlementPeriod
ORDER BY settlementDate, settlementPeriod
""",
    ),
)

EXAMPLES["forecasts/generation"] = (
    (
        "How far the newest wind forecast of each hour moved from the first one (MW)",
        """
SELECT startTime,
  count(*) AS publications,
  arg_max(generation, publishTime) AS newest_mw,
  arg_max(generation, publishTime) - arg_min(generation, publishTime) AS revision_mw
FROM bmrs_windfor
GROUP BY startTime
ORDER BY startTime
""",
    ),
    (
        "The nation's indicated imbalance in the newest publication: generation notified less demand forecast (MW)",
        """
SELECT settlementDate, settlementPeriod, imbalance AS indicated_imbalance_mw
FROM bmrs_imbalngc
WHERE boundary = 'N' AND publishTime = (SELECT max(publishTime) FROM bmrs_imbalngc)
ORDER BY settlementDate, settlementPeriod
""",
    ),
)

EXAMPLES["forecasts/margins"] = (
    (
        "The smallest de-rated margin of each publication, and the settlement period it was forecast for (MW)",
        """
SELECT publishTime,
  min(deratedMargin) AS lowest_margin_mw,
  arg_min(startTime, deratedMargin) AS at_start
FROM bmrs_lolpdrm
GROUP BY publishTime
ORDER BY publishTime
""",
    ),
)

EXAMPLES["forecasts/availability"] = (
    (
        "Output usable by fuel in the newest publication (MW)",
        """
SELECT forecastDate, fuelType, sum(outputUsable) AS output_usable_mw
FROM bmrs_fou2t14d
WHERE publishTime = (SELECT max(publishTime) FROM bmrs_fou2t14d)
GROUP BY forecastDate, fuelType
ORDER BY forecastDate, output_usable_mw DESC, fuelType
""",
    ),
)

EXAMPLES["outages"] = (
    (
        "The largest outages that stand, each message in its newest revision (MW)",
        """
SELECT mrid, affectedUnit, fuelType, unavailabilityType,
  unavailableCapacity AS unavailable_mw, eventStart, eventEnd
FROM bmrs_remit_unavailability
WHERE eventStatus = 'Active'
ORDER BY unavailable_mw DESC, mrid
LIMIT 20
""",
    ),
)

EXAMPLES["reference"] = (
    (
        "Units by fuel and their capacity; capacities are texts at the source (MW)",
        """
SELECT fuelType, count(*) AS units, sum(TRY_CAST(generationCapacity AS DOUBLE)) AS capacity_mw
FROM ref_bmunits
GROUP BY fuelType
ORDER BY units DESC, fuelType
""",
    ),
)
