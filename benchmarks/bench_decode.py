"""How fast an hour of BOD becomes typed rows: ours against json + pandas and against bare polars (no checks at all).

Run: .venv/bin/python benchmarks/bench_decode.py [rows] [repeats]. Prints the best of the repeats and the ratios.
"""

from __future__ import annotations

import io
import json
import random
import sys
import time
from collections.abc import Callable
from datetime import date

import orjson
import pandas as pd
import polars as pl

from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.elexon import exact, fast
from gbpm_dagster.elexon.check import sort_rows
from gbpm_dagster.elexon.decode import decode
from gbpm_dagster.elexon.plan import plan
from gbpm_dagster.warehouse.protocol import frame_schema

BOD = get("bmrs_bod")


def body(rows: int) -> bytes:
    """One hour of bid-offer data, 2024-01-03 09:00Z to 10:00Z, of the size seen live (10,561 rows)."""
    draw = random.Random(1)
    made = []
    for i in range(rows):
        half, unit = divmod(i, max(rows // 2, 1))
        half = min(half, 1)
        start, end = ("09:00", "09:30") if half == 0 else ("09:30", "10:00")
        made.append(
            {
                "dataset": "BOD",
                "settlementDate": "2024-01-03",
                "settlementPeriod": 19 + half,
                "timeFrom": f"2024-01-03T{start}:00Z",
                "levelFrom": draw.randint(-500, 500),
                "timeTo": f"2024-01-03T{end}:00Z",
                "levelTo": draw.randint(-500, 500),
                "pairId": draw.choice([-2, -1, 1, 2]),
                "offer": round(draw.uniform(-99, 999), 2),
                "bid": round(draw.uniform(-99, 999), 2),
                "nationalGridBmUnit": f"UNIT-{unit % 400}",
                "bmUnit": None if unit % 7 == 0 else f"T_UNIT-{unit % 400}",
            }
        )
    return orjson.dumps({"data": made})


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of so many runs."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> None:
    rows, repeats = (int(a) for a in (sys.argv[1:] + ["10561", "7"][len(sys.argv) - 1 :]))
    answer = body(rows)
    array, schema = answer[len(b'{"data":') : -1], frame_schema(BOD)
    window = plan(BOD, [date(2024, 1, 3)])[9]

    def pandas_way() -> pd.DataFrame:
        frame = pd.DataFrame(json.loads(answer)["data"])
        for name in ("timeFrom", "timeTo"):
            frame[name] = pd.to_datetime(frame[name])
        frame["settlementDate"] = pd.to_datetime(frame["settlementDate"]).dt.date
        return frame

    taken = {
        "bare polars.read_json (no checks)": best(lambda: pl.read_json(io.BytesIO(array), schema=schema), repeats),
        "ours: decode": best(lambda: decode(BOD, answer), repeats),
        "ours: decode and window check": best(lambda: sort_rows(BOD, window, decode(BOD, answer)), repeats),
        "ours: exact path": best(lambda: exact.read(BOD, answer), max(1, repeats // 3)),
        "json.loads + pandas": best(pandas_way, max(1, repeats // 2)),
    }
    assert fast.read(BOD, answer) is not None, "the benchmark's body must go the fast way"
    bare = taken["bare polars.read_json (no checks)"]
    print(f"BOD, {rows:,} rows, {len(answer) / 1e6:.1f} MB, best of {repeats}")
    for name, seconds in taken.items():
        print(f"  {name:36} {seconds * 1e3:8.1f} ms   {seconds / bare:5.2f} x bare polars")


if __name__ == "__main__":
    main()
