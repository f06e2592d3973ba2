"""A table like the legacy bmrs_costs: 2022-01-01 to 2025-10-27, every period once, and some 55,000 of them repeated.

Made by counting, without chance, so that what is true of it is known by how it was made: of period number i

| i mod 6 | rows |
|---|---|
| 0 | one |
| 1, 2 | the same row, received twice |
| 3 | runs II and SF |
| 4 | runs II to RF, the oldest received last |
| 5 | runs II and SF, each received twice |
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache

import polars as pl

from gbpm_dagster.market.calendar import HALF_HOUR, day_bounds, periods_in_day
from gbpm_dagster.warehouse.protocol import stored_schema
from gbpm_dagster_tests.warehouse.rows import COSTS

FIRST, LAST = date(2022, 1, 1), date(2025, 10, 27)
DAYS = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]
RUN_DAYS = {"II": 7, "SF": 22, "R1": 55, "R2": 118, "R3": 216, "RF": 408}
"""About so many days after the settlement date a run is made."""

_KINDS = {
    0: [("II", 0)],
    1: [("II", 0), ("II", 1)],
    2: [("SF", 0), ("SF", 3)],
    3: [("II", 0), ("SF", 0)],
    4: [(run, 500 if run == "II" else 0) for run in RUN_DAYS],
    5: [("II", 0), ("II", 1), ("SF", 0), ("SF", 2)],
}
"""(run, days after it was made that the row was received)."""


def price(i: int, run: str) -> float:
    """What a run says of period number i: no two runs say the same."""
    return (i * 37 % 20_000) / 100 - 20 + list(RUN_DAYS).index(run) * 1.37


def periods() -> list[tuple[int, date, int, datetime]]:
    """(number, settlement date, period, start) of every period."""
    every = [(day, n) for day in DAYS for n in range(1, periods_in_day(day) + 1)]
    return [(i, day, n, day_bounds(day)[0] + HALF_HOUR * (n - 1)) for i, (day, n) in enumerate(every)]


@cache
def rows() -> pl.DataFrame:
    """Every row, with `copy`: how many of its period came before it in the list above."""
    found = []
    for i, day, n, start in periods():
        for copy, (run, late) in enumerate(_KINDS[i % 6]):
            made = start + timedelta(days=RUN_DAYS[run])
            value = price(i, run)
            received = made + timedelta(days=late, hours=1)
            found.append((day, n, start, made, value, value, False, 1.0, day, f"{day:%Y-%m}", received, "REST", copy))
    names = [
        "settlementDate", "settlementPeriod", "startTime", "createdDateTime", "systemSellPrice", "systemBuyPrice",
        "bsadDefaulted", "netImbalanceVolume", "_day", "_month", "_fetched_at", "_source",
    ]  # fmt: skip
    schema = stored_schema(COSTS)
    frame = pl.DataFrame(found, schema={**{n: schema[n] for n in names}, "copy": pl.Int64}, orient="row")
    absent = [pl.lit(None, kind).alias(n) for n, kind in schema.items() if n not in names]
    return frame.with_columns(absent).select(*schema, "copy")


def truth() -> dict[tuple[date, int], float]:
    """The price of each period: the latest run's there is."""
    return {(day, n): price(i, _KINDS[i % 6][-1][0]) for i, day, n, _ in periods()}


def averages() -> pl.DataFrame:
    """What a query got that averaged over the repeated periods."""
    return rows().group_by("settlementDate", "settlementPeriod").agg(pl.col("systemSellPrice").mean())


def counts() -> dict[str, int]:
    """Rows, exact duplicates and superseded vintages, by how the table was made."""
    kinds = [i % 6 for i, *_ in periods()]
    exact = {1: 1, 2: 1, 5: 2}
    superseded = {3: 1, 4: 5, 5: 1}
    return {
        "rows": sum(len(_KINDS[k]) for k in kinds),
        "current": len(kinds),
        "exact_duplicates": sum(exact.get(k, 0) for k in kinds),
        "superseded": sum(superseded.get(k, 0) for k in kinds),
        "repeated_periods": sum(k != 0 for k in kinds),
    }
