"""The checks of validity and duplicates over days of BOD: every row, and again when nothing has changed.

Run: .venv/bin/python benchmarks/bench_checks.py [DAYS] (default 10; 253,000 rows a day). Prints seconds a day, and
what four years (1,461 days) would take at that rate.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.market.calendar import HALF_HOUR, day_bounds, days, periods_in_day
from gbpm_dagster.quality.checks import check_duplicates, check_validity
from gbpm_dagster.quality.judged import Judged
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival, frame_schema

BOD = get("bmrs_bod")
FIRST, FETCHED = date(2024, 1, 1), datetime(2024, 12, 1, tzinfo=UTC)
UNITS, PAIRS = 527, 10
FOUR_YEARS = 1461


def rows(day: date) -> pl.DataFrame:
    """A day of the size seen live: so many units, each with ten pairs a period."""
    periods, start = periods_in_day(day), day_bounds(day)[0]
    unit = np.tile(np.repeat(np.arange(UNITS), PAIRS), periods)
    frame = pl.DataFrame({"settlementPeriod": np.repeat(np.arange(1, periods + 1), UNITS * PAIRS), "unit": unit})
    begin = pl.lit(start) + HALF_HOUR * (pl.col("settlementPeriod") - 1)
    made = frame.with_columns(
        settlementDate=pl.lit(day),
        timeFrom=begin,
        timeTo=begin + HALF_HOUR,
        pairId=pl.Series(np.tile(np.arange(PAIRS), UNITS * periods)) - PAIRS // 2,
        bmUnit=pl.format("T_{}", "unit"),
        nationalGridBmUnit=pl.format("N_{}", "unit"),
    )
    schema = frame_schema(BOD).items()
    return made.select((pl.col(n) if n in made.columns else pl.lit(None)).cast(t).alias(n) for n, t in schema)


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    wanted = days(FIRST, FIRST + timedelta(days=number - 1))
    with tempfile.TemporaryDirectory() as folder:
        lake, judged = Lake(Path(folder) / "lake"), Judged(Path(folder) / "judged", FETCHED.date())
        for day in wanted:
            lake.replace(BOD, [Arrival(day, rows(day), FETCHED, windows_asked=1, windows_answered=1)])
        check_validity(lake, BOD, wanted[:1])  # imports
        print(f"BOD, {number} days of {UNITS * PAIRS * 48:,} rows")
        for name, check in (("validity", check_validity), ("duplicates", check_duplicates)):
            for when in ("every row", "again, unchanged"):
                began = time.perf_counter()
                found = partial(check, lake, BOD, wanted, judged=judged)()
                taken = time.perf_counter() - began
                assert found.passed, found.summary
                each, whole = taken / number, taken / number * FOUR_YEARS
                print(
                    f"  {name:10} {when:16} {taken:7.2f} s   {each * 1e3:7.1f} ms a day   four years {whole:6.0f} s"
                )


if __name__ == "__main__":
    main()
