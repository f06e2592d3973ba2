"""Compare a home's lake with what the stand-in of Elexon's API holds, row for row; exit 1 if they differ in silence.

    python scripts/compare_truth.py --base-url http://127.0.0.1:8700 --home HOME --from D --to D TABLE...
        [--named FILE] [--query run=SF]

A day is named when `gbpm` does not call it complete (coverage, judged at GBPM_NOW) or when FILE, what `gbpm backfill
--json` printed, lists it under `missing`.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import polars as pl
from rich.console import Console
from rich.table import Column, Table

from gbpm_dagster.catalogue import get
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.market.calendar import days
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings
from gbpm_dagster_tests.e2e.truth import BAD, DayResult, Verdict, compare, tally

SHOWN = 30


def main() -> int:
    asked = _arguments()
    runtime = Runtime(Settings.load(home=asked.home.absolute()))
    wanted = days(asked.first, asked.last)
    listed = json.loads(asked.named.read_text())["tables"] if asked.named else {}
    results: list[DayResult] = []
    for table in asked.tables:
        dataset = get(table)
        named = not_complete(runtime, dataset, wanted)
        named |= {date.fromisoformat(d): why for d, why in listed.get(table, {}).get("missing", {}).items()}
        results += compare(runtime.lake, dataset, wanted, fetcher(asked.base_url), named, query=asked.query)
    show(results)
    return 1 if any(r.verdict in BAD for r in results) else 0


def not_complete(runtime: Runtime, dataset: Dataset, wanted: list[date]) -> dict[date, str]:
    """Days that the home itself does not call complete, with its reason."""
    states = runtime.coverage(dataset, wanted).filter(pl.col("state") != "complete")
    return {r["day"]: f"{r['state']}: {r['reason']}" for r in states.iter_rows(named=True)}


def show(results: list[DayResult]) -> None:
    """The table of verdicts, and below it every day that is not equal (the first 30)."""
    out = Console(width=110 if not sys.stdout.isatty() else None)
    table = Table(
        Column("table", no_wrap=True), "days", *Verdict, "rows", "rows there", title="the lake against the server"
    )
    for name, counts in tally(results).items():
        mine = [r for r in results if r.table == name]
        sums = (sum(r.rows for r in mine), sum(r.true_rows for r in mine))
        table.add_row(name, str(len(mine)), *(str(counts[v]) for v in Verdict), *(f"{n:,}" for n in sums))
    out.print(table)
    odd = [r for r in results if r.verdict is not Verdict.EQUAL]
    for r in sorted(odd, key=lambda r: r.verdict not in BAD)[:SHOWN]:
        said = f" (said: {r.said})" if r.said else ""
        out.print(f"{r.table} {r.day}: {r.verdict}: {r.difference}{said}", markup=False, highlight=False)
    if len(odd) > SHOWN:
        out.print(f"... and {len(odd) - SHOWN} more")


def fetcher(base_url: str) -> Any:
    root = base_url.rstrip("/").removesuffix("/bmrs/api/v1")

    def fetch(path: str) -> Any:
        with urllib.request.urlopen(root + path, timeout=120) as answer:
            return json.loads(answer.read())

    return fetch


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split(";")[0])
    parser.add_argument("tables", nargs="+", metavar="TABLE", help="tables of the catalogue")
    parser.add_argument("--base-url", required=True, help="address of the stand-in, with or without /bmrs/api/v1")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True, help="first London day")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, required=True, help="last London day")
    parser.add_argument("--home", type=Path, required=True, help="the home whose lake is compared")
    parser.add_argument("--named", type=Path, help="output of `gbpm backfill --json`: its missing days are named")
    parser.add_argument("--query", default="", help="more parameters of the truth, for example run=SF")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
