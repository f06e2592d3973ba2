"""Backfill every table of the catalogue from the stand-in of Elexon's API and compare each row with its truth.

    python scripts/truth_all.py --base-url http://127.0.0.1:8700 [--days 2025-10-26,...] [--home DIR] [TABLE...]

Needs the stand-in with data of those days (default: `--from 2025-10-01 --to 2026-06-30`): two ordinary days, one of
them a Thursday with its weekly publications, and both clock changes. Uses a home of its own (a temporary one unless
--home is given), `gbpm backfill` through Dagster, and GBPM_NOW = the server's clock. Exit 1 if a row differs and
nobody says so; days that `gbpm` itself names as not complete are listed with its reason.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gbpm_dagster.catalogue import DATASETS, get
from gbpm_dagster.catalogue.model import Dataset, Grain
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings
from gbpm_dagster_tests.e2e.truth import BAD, DayResult, compare
from scripts.compare_truth import fetcher, not_complete, show

DAYS = "2025-10-26,2026-03-29,2026-06-10,2026-06-11"


def main() -> int:
    asked = _arguments()
    fetch = fetcher(asked.base_url)
    with tempfile.TemporaryDirectory(prefix="gbpm-truth-") as folder:
        home = asked.home or Path(folder) / "home"
        environment = _environment(asked.base_url, home, fetch("/_control/now")["now"], min(asked.days))
        tables = [get(t) for t in asked.tables] or list(DATASETS.values())
        requests, seconds = _backfill(tables, asked.days, environment)
        results = _compare(tables, asked.days, environment, fetch)
    show(results)
    print(f"{len(tables)} tables, {len(asked.days)} days, {requests:,} requests, backfill {seconds:.0f} s")
    return 1 if any(r.verdict in BAD for r in results) else 0


def _environment(base_url: str, home: Path, now: str, first: date) -> dict[str, str]:
    root = base_url.rstrip("/").removesuffix("/bmrs/api/v1")
    return {
        "ELEXON_BASE_URL": f"{root}/bmrs/api/v1",
        "ELEXON_MAX_REQUESTS_PER_SECOND": "1000",
        "GBPM_HOME": str(home.absolute()),
        "GBPM_STATE_DIR": str(home.absolute() / "state"),
        "GBPM_NOW": now,
        "GBPM_TIER": "optional",
        "GBPM_HISTORY_START": first.isoformat(),
    }


def _backfill(tables: list[Dataset], days: list[date], environment: dict[str, str]) -> tuple[int, float]:
    """Lists first (other tables are asked by their ids), each day by itself. Returns requests and seconds."""
    today = environment["GBPM_NOW"][:10]
    needed = {d.endpoint.ids.table for d in tables if d.endpoint.ids}
    steps = [(sorted(needed), today, today)] if needed else []
    for day in days:
        steps.append(([d.table for d in tables if d.grain is Grain.DAILY and d.first_day <= day], str(day), str(day)))
    steps.append(([d.table for d in tables if d.grain is Grain.SNAPSHOT], today, today))
    requests, began = 0, time.monotonic()
    for chosen, first, last in steps:
        if not chosen:
            continue
        print(f"{first}: {len(chosen)} tables ...", flush=True)
        command = [sys.executable, "-m", "gbpm_dagster.cli", "backfill", *chosen, "--from", first, "--to", last]
        done = subprocess.run(
            [*command, "--json"], env={**os.environ, **environment}, stdout=subprocess.PIPE, check=False
        )
        if done.returncode not in (0, 3):
            raise SystemExit(f"gbpm backfill ended with {done.returncode}")
        requests += json.loads(done.stdout)["requests"]
    return requests, time.monotonic() - began


def _compare(tables: list[Dataset], days: list[date], environment: dict[str, str], fetch) -> list[DayResult]:  # type: ignore[no-untyped-def]
    runtime = Runtime(Settings.load(environ=environment))
    results: list[DayResult] = []
    for dataset in tables:
        wanted = [runtime.settings.today()] if dataset.grain is Grain.SNAPSHOT else days
        named = not_complete(runtime, dataset, wanted)
        results += compare(runtime.lake, dataset, wanted, fetch, named)
    return results


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="tables of the catalogue (default: all)")
    parser.add_argument("--base-url", required=True, help="address of the stand-in, with or without /bmrs/api/v1")
    parser.add_argument(
        "--days", type=lambda text: [date.fromisoformat(d) for d in text.split(",")], default=DAYS, help=DAYS
    )
    parser.add_argument("--home", type=Path, help="keep the home here")
    asked = parser.parse_args()
    if isinstance(asked.days, str):
        asked.days = [date.fromisoformat(d) for d in asked.days.split(",")]
    return asked


if __name__ == "__main__":
    sys.exit(main())
