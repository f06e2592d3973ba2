"""A full day of acceptances priced by the engine and by a plain loop over rows: the same energy, and how much faster.

Run: .venv/bin/python -m benchmarks.bench_acceptances [UNITS] (default 300 with acceptances, 54 levels each: 16,200
rows of BOALF, 253,000 of BOD, as seen live). Exit 1 unless the energy is the same and the engine
ten times faster in processor time. The loop is a lean one: tuples by unit, only the lines near each period.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from gbpm_dagster.analytics.acceptances.engine import priced_acceptances
from gbpm_dagster.analytics.acceptances.flags import (
    LOW_VOLUME,
    OUTLIER_GBP_PER_MWH,
    PRICE_OUTLIER,
    PRICED_SHARE,
    SMALL_MWH,
    UNMATCHED,
    VALID,
)
from gbpm_dagster.analytics.acceptances.pricing import LEAST_MWH
from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.market.calendar import HALF_HOUR, day_bounds, periods_in_day
from gbpm_dagster.warehouse.protocol import FETCHED_AT, INSTANT, frame_schema

DAY = date(2024, 6, 5)
EVERY_UNIT, PAIRS, ACCEPTED = 527, (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5), 18
LEAST_RATIO, TOLERANCE, TRIES = 10.0, 1e-6, 3
PERIOD_S = HALF_HOUR // timedelta(seconds=1)

RESIDUAL = 0
"""In place of a pair id: energy beyond the stack."""

Line = tuple[float, float, float, float]
"""Start and end in seconds of the day, level at each."""


def frames(units: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """PN, BOALF and BOD of a made-up day: ramps, acceptances that overlap and undo each other, ten pairs a period."""
    random = np.random.default_rng(1)
    periods = periods_in_day(DAY)
    level = random.integers(-50, 400, (EVERY_UNIT, 2 * periods + 1))
    unit, half = np.meshgrid(np.arange(EVERY_UNIT), np.arange(2 * periods), indexing="ij")
    pn = _table("bmrs_pn", unit, 900 * half, 900 * (half + 1), level[:, :-1], level[:, 1:], half // 2 + 1)
    start = 60 * random.integers(0, 30 * periods - 120, (units, ACCEPTED))
    start = np.repeat(start[:, :, None], 3, axis=2) + np.array([0, 600, 3000])
    target = np.repeat(random.integers(-80, 450, (units, ACCEPTED))[:, :, None], 3, axis=2)
    number = np.repeat(np.arange(ACCEPTED)[None, :, None], units, axis=0).repeat(3, axis=2)
    who = np.arange(units)[:, None, None].repeat(ACCEPTED, axis=1).repeat(3, axis=2)
    ramp = np.array([1, 0, 0]), np.array([0, 0, 1])
    boalf = _table(
        "bmrs_boalf", who, start, start + np.array([600, 2400, 600]), target - 40 * ramp[0], target - 40 * ramp[1],
        number=number,
    )  # fmt: skip
    who, sp, pair = np.meshgrid(np.arange(EVERY_UNIT), np.arange(periods), np.array(PAIRS), indexing="ij")
    size = random.integers(5, 60, who.shape) * np.sign(pair)
    bod = _table("bmrs_bod", who, PERIOD_S * sp, PERIOD_S * (sp + 1), size, size, sp + 1, pair=pair)
    return pn, boalf, bod


def _table(
    table: str, unit: Any, start: Any, end: Any, level: Any, last: Any, period: Any = None, **more: Any
) -> Any:
    begin = day_bounds(DAY)[0]
    columns: dict[str, Any] = {"unit": unit, "start": start, "end": end, "levelFrom": level, "levelTo": last}
    columns |= {"settlementPeriod": period} if period is not None else {}
    raw = pl.DataFrame({k: np.asarray(v).ravel() for k, v in {**columns, **more}.items()})
    at = [(pl.lit(begin) + pl.duration(seconds=c)).alias(n) for c, n in (("start", "timeFrom"), ("end", "timeTo"))]
    made = raw.with_columns(*at, nationalGridBmUnit=pl.format("N_{}", "unit"), settlementDate=pl.lit(DAY))
    if "number" in more:
        given = pl.lit(begin) - pl.duration(minutes=30) + pl.duration(seconds=pl.col("number"))
        made = made.with_columns(acceptanceNumber="number", acceptanceTime=given, soFlag=pl.lit(value=False))
    if "pair" in more:
        made = made.with_columns(pairId="pair", offer=60.0 + 5 * pl.col("pair"), bid=50.0 + 5 * pl.col("pair"))
    schema = frame_schema(get(table)).items()
    typed = made.select((pl.col(n) if n in made.columns else pl.lit(None)).cast(t).alias(n) for n, t in schema)
    return typed.with_columns(pl.lit(datetime(2024, 6, 7, tzinfo=UTC)).cast(INSTANT).alias(FETCHED_AT))


def row_by_row(pn: pl.DataFrame, boalf: pl.DataFrame, bod: pl.DataFrame) -> tuple[float, float]:
    """(sum of |MWh| over acceptances, periods and pairs, sum of cash) by the rules as one would write them down."""
    notified, accepted = _lines(pn, ("nationalGridBmUnit",)), defaultdict(list)
    order = ("nationalGridBmUnit", "acceptanceTime", "acceptanceNumber")
    for (unit, *_), lines in sorted(_lines(boalf, order).items()):
        accepted[unit].append(lines)
    offered: dict[tuple[str, int], list[tuple[int, float, float, float]]] = defaultdict(list)
    columns = ("nationalGridBmUnit", "settlementPeriod", "pairId", "levelFrom", "offer", "bid")
    for unit, period, *pair in bod.select(columns).iter_rows():
        if unit in accepted:
            offered[unit, period].append(tuple(pair))  # type: ignore[arg-type]
    found: dict[tuple[str, int, int, str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    residual: dict[tuple[str, int, int], float] = defaultdict(float)
    for unit, profiles in accepted.items():
        fpn = notified[(unit,)]
        for period in range(1, periods_in_day(DAY) + 1):
            for k, n, volume, paid in _period(fpn, profiles, offered[unit, period], PERIOD_S * (period - 1)):
                if n == RESIDUAL:
                    residual[unit, k, period] += abs(volume)
                    continue
                row = found[unit, k, period, "OFFER" if volume > 0 else "BID", n]
                row[0] += volume
                row[1] += paid
    rows = _rows(found, residual)
    return sum(r["gross_mwh"] for r in rows), sum(r["cashflow_gbp"] for r in rows)


def _rows(found: dict[Any, list[float]], residual: dict[Any, float]) -> list[dict[str, Any]]:
    """The rows by side: sums over pairs, mean price, label."""
    sides: dict[Any, dict[str, Any]] = {}
    for (unit, k, period, side, n), (volume, cash) in found.items():
        if abs(volume) <= LEAST_MWH:
            continue
        row = sides.setdefault(
            (unit, k, period, side), {"pairs": {}, "gross_mwh": 0.0, "volume_mwh": 0.0, "cashflow_gbp": 0.0}
        )
        row["pairs"][n] = volume
        row["gross_mwh"] += abs(volume)
        row["volume_mwh"] += volume
        row["cashflow_gbp"] += cash
    for (unit, k, period, _), row in sides.items():
        row["acceptancePrice"] = row["cashflow_gbp"] / row["volume_mwh"]
        row["residual_mwh"] = residual[unit, k, period]
        row["validation_flag"] = _flag(row)
    return list(sides.values())


def _flag(row: dict[str, Any]) -> str:
    asked = row["gross_mwh"] + row["residual_mwh"]
    if asked >= SMALL_MWH and row["gross_mwh"] / asked < PRICED_SHARE:
        return UNMATCHED
    if abs(row["volume_mwh"]) < SMALL_MWH:
        return LOW_VOLUME
    return PRICE_OUTLIER if abs(row["acceptancePrice"]) > OUTLIER_GBP_PER_MWH else VALID


def _lines(rows: pl.DataFrame, key: Sequence[str]) -> dict[tuple[Any, ...], list[Line]]:
    begin = day_bounds(DAY)[0]
    found: dict[tuple[Any, ...], list[Line]] = defaultdict(list)
    for *who, start, end, first, last in rows.select(*key, "timeFrom", "timeTo", "levelFrom", "levelTo").iter_rows():
        found[tuple(who)].append(((start - begin).total_seconds(), (end - begin).total_seconds(), first, last))
    return found


def _period(
    fpn: list[Line], profiles: list[list[Line]], pairs: list[tuple[int, float, float, float]], start: float
) -> Iterator[tuple[int, int, float, float]]:
    """(acceptance, pair, MWh, GBP) of each acceptance, pair and straight piece of one period."""
    end = start + PERIOD_S
    near = [[x for x in p if x[0] < end and x[1] > start] for p in (fpn, *profiles)]
    edges = sorted({start, end, *(t for lines in near for x in lines for t in x[:2] if start < t < end)})
    bands, top, bottom = [], 0.0, 0.0
    for n, size, offer, bid in sorted(pairs, key=lambda p: abs(p[0])):
        low, top, bottom = (top, top + size, bottom) if n > 0 else (bottom + size, top, bottom + size)
        bands.append((low, low + abs(size), offer, bid, n))
    borders = {edge for band in bands for edge in band[:2]}
    for t0, t1 in pairwise(edges):
        base = _level(near[0], t0, t1)
        before = base
        for k, own in enumerate(near[1:]):
            after = _level(own, t0, t1)
            if after is None or before is None or base is None:
                continue
            a = after[0] - base[0], after[1] - base[1]
            b = before[0] - base[0], before[1] - base[1]
            for n, volume, paid in _pieces(a, b, bands, borders, (t1 - t0) / 3600):
                yield k, n, volume, paid
            before = after


def _level(lines: list[Line], t0: float, t1: float) -> tuple[float, float] | None:
    for start, end, first, last in lines:
        if start <= t0 and t1 <= end:
            slope = (last - first) / (end - start)
            return first + slope * (t0 - start), first + slope * (t1 - start)
    return None


def _pieces(
    a: tuple[float, float], b: tuple[float, float], bands: list[Any], borders: set[float], hours: float
) -> Iterator[tuple[int, float, float]]:
    cuts = {0.0, 1.0}
    for p, q in [(x[0] - e, x[1] - e) for x in (a, b) for e in borders] + [(a[0] - b[0], a[1] - b[1])]:
        if p * q < 0:
            cuts.add(p / (p - q))
    lowest, highest = min(borders, default=0.0), max(borders, default=0.0)
    for z0, z1 in pairwise(sorted(cuts)):
        outside = 0.0
        for z in (z0, z1):
            up, down = a[0] + (a[1] - a[0]) * z, b[0] + (b[1] - b[0]) * z
            beyond = up - min(max(up, lowest), highest), down - min(max(down, lowest), highest)
            outside += (beyond[0] - beyond[1]) * (z1 - z0) * hours / 2
        if outside:
            yield RESIDUAL, outside, 0.0
        for low, high, offer, bid, n in bands:
            volume = 0.0
            for z in (z0, z1):
                up, down = a[0] + (a[1] - a[0]) * z, b[0] + (b[1] - b[0]) * z
                volume += (min(max(up, low), high) - min(max(down, low), high)) * (z1 - z0) * hours / 2
            if volume:
                yield n, volume, volume * (offer if volume > 0 else bid)


def main() -> None:
    pn, boalf, bod = frames(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
    priced_acceptances(pn.head(0), boalf.head(0), bod.head(0), DAY)  # imports
    times = []
    for _ in range(TRIES):
        began = time.process_time()
        found = priced_acceptances(pn, boalf, bod, DAY)
        times.append(time.process_time() - began)
    ours = min(times)
    began = time.process_time()
    gross, cash = row_by_row(pn, boalf, bod)
    loop = time.process_time() - began
    mine = found.pairs.select(pl.col("volume_mwh").abs().sum(), pl.col("cashflow_gbp").sum()).row(0)
    print(
        f"acceptances: a day of {boalf.height:,} BOALF, {pn.height:,} PN and {bod.height:,} BOD rows -> "
        f"{found.rows.height:,} rows, {found.pairs.height:,} pairs, {gross:,.0f} MWh\n"
        f"  engine     {ours:7.2f} s of processor time\n  row by row {loop:7.2f} s   {loop / ours:.0f} times as long"
    )
    for what, a, b in (("MWh", mine[0], gross), ("GBP", mine[1], cash)):
        if abs(a - b) > TOLERANCE * max(1.0, abs(b)):
            sys.exit(f"not the same: {a:,.6f} {what} by the engine, {b:,.6f} row by row")
    if loop < LEAST_RATIO * ours:
        sys.exit(f"the engine is {loop / ours:.1f} times faster than the loop, not {LEAST_RATIO:.0f}")


if __name__ == "__main__":
    main()
