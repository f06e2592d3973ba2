"""Views a query may name beside the tables: names people used before, and what they stand for.

Belongs here: the declaration of a view, one SELECT over tables of the catalogue in the portable part of DuckDB's
dialect. Not here: running it (warehouse.expand puts it into a query), names that became something else (legacy).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """name: as a query names it. select: over tables or views of this module. doubt: what is inferred, "" if nothing."""

    name: str
    description: str
    select: str
    doubt: str = ""


BMRS_FUELINST_DEDUP = View(
    name="bmrs_fuelinst_dedup",
    description=(
        "The rows of bmrs_fuelinst, one a startTime and fuelType in its newest publication: the table itself holds "
        "no other, the name is kept for old queries."
    ),
    select="SELECT * FROM bmrs_fuelinst",
)

BMRS_DEMAND_FORECAST = View(
    name="bmrs_demand_forecast",
    description=(
        "Demand forecasts of each settlement period, one row: `quantity` is the newest day-ahead total load forecast "
        "(bmrs_datl), `nationalDemand` and `transmissionSystemDemand` are the last day-ahead forecasts before the "
        "period (bmrs_demand_forecast_latest), MW. `publishTime` is the later of the two publications. What was "
        "forecast at an earlier time is in bmrs_datl, bmrs_ndf and bmrs_tsdf."
    ),
    select="""
SELECT coalesce(f.settlementDate, d.settlementDate) AS settlementDate,
  coalesce(f.settlementPeriod, d.settlementPeriod) AS settlementPeriod,
  coalesce(f.startTime, d.startTime) AS startTime,
  CASE WHEN d.publishTime > f.publishTime OR f.publishTime IS NULL THEN d.publishTime ELSE f.publishTime END AS publishTime,
  d.quantity, f.nationalDemand, f.transmissionSystemDemand
FROM (
  SELECT settlementDate, settlementPeriod, startTime, publishTime, nationalDemand, transmissionSystemDemand
  FROM bmrs_demand_forecast_latest
  WHERE boundary = 'N'
) AS f
FULL OUTER JOIN (
  SELECT settlementDate, settlementPeriod, startTime, publishTime, quantity
  FROM bmrs_datl
  QUALIFY row_number() OVER (PARTITION BY settlementDate, settlementPeriod ORDER BY publishTime DESC) = 1
) AS d ON d.settlementDate = f.settlementDate AND d.settlementPeriod = f.settlementPeriod
""",
    doubt=(
        "which table the old name stood for. Its columns decide (`quantity` is DATL; `nationalDemand` and "
        "`transmissionSystemDemand` are NDF and TSDF), so the view has all three"
    ),
)

BMRS_REMIT_UNAVAILABILITY = View(
    name="bmrs_remit_unavailability",
    description=(
        "REMIT messages of bmrs_remit in their newest revision, unavailabilities only; `eventStart` and `eventEnd` "
        "are the older names of eventStartTime and eventEndTime. Dismissed and past ones are there: what stands has "
        "eventStatus 'Active'."
    ),
    select="""
SELECT *, eventStartTime AS eventStart, eventEndTime AS eventEnd
FROM (
  SELECT * FROM bmrs_remit
  QUALIFY row_number() OVER (PARTITION BY mrid ORDER BY revisionNumber DESC, publishTime DESC) = 1
) AS newest
WHERE messageType = 'UnavailabilitiesOfElectricityFacilities'
""",
)

VIEWS: dict[str, View] = {v.name: v for v in (BMRS_FUELINST_DEDUP, BMRS_DEMAND_FORECAST, BMRS_REMIT_UNAVAILABILITY)}
"""Every view by name."""
