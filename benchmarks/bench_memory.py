"""The most memory one command holds: `gbpm backfill bmrs_bod` over BOD_DAYS days of full size (default 14).

Run: `BOD_DAYS=365 .venv/bin/python -m benchmarks.bench_memory [--keep NAME]`. The server makes the days while they
are asked for, so the time is not a speed. Exit 1 above 2 GB resident.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from benchmarks import made
from benchmarks.figures import keep, table
from benchmarks.server import ROOT, serving

MOST_MB = 2048
FIRST = date(2023, 1, 1)
DEFAULT_DAYS = "14"


def backfill(name: str, first: date, last: date, url: str, home: Path) -> tuple[float, float]:
    """(peak resident MB, seconds) of the command, its checks included."""
    command = [sys.executable, "-m", "gbpm_dagster.cli", "backfill", name, "--from", str(first), "--to", str(last)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GBPM_HOME": str(home),
        "GBPM_STATE_DIR": str(home / "state"),
        "GBPM_HISTORY_START": str(first),
        "GBPM_NOW": f"{last + timedelta(days=1)}T12:00:00Z",
        "ELEXON_BASE_URL": url,
        "ELEXON_MAX_REQUESTS_PER_SECOND": "10000",
    }
    began = time.perf_counter()
    with (home.parent / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--json"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"gbpm ended with {process.returncode}: {(home.parent / 'log').read_text()[-2000:]}")
    return usage.ru_maxrss / (1 if sys.platform == "linux" else 1024) / 1024, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", default="memory", help="section of docs/performance.md")
    given = parser.parse_args()
    count = int(os.environ.get("BOD_DAYS", DEFAULT_DAYS))
    last = FIRST + timedelta(days=count - 1)
    with serving() as server, tempfile.TemporaryDirectory(prefix="gbpm-bench-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        peak, seconds = backfill("bmrs_bod", FIRST, last, server.url, home)
        asked = server.count()
        stored = sum(f.stat().st_size for f in (home / "lake" / "bmrs_bod").rglob("*.parquet"))
    rows = made.rows_of("bmrs_bod", FIRST, last)
    text = table(
        ["days of BOD", "rows", "requests", "peak resident MB", "allowed", "seconds", "MB stored"],
        [
            [
                *(str(count), f"{rows:,}", f"{asked:,}", f"{peak:,.0f}", f"{MOST_MB:,}", f"{seconds:,.0f}"),
                f"{stored / 1e6:,.0f}",
            ]
        ],
    )
    keep(given.keep, text)
    if peak > MOST_MB:
        sys.exit(f"{peak:,.0f} MB resident, at most {MOST_MB:,} are allowed")


if __name__ == "__main__":
    main()
