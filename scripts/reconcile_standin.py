"""Backfill days from the stand-in of Elexon's API, price their acceptances, compare with its BOAV and EBOCF; exit 1
unless every volume, pair and cashflow matches.

    python scripts/reconcile_standin.py --base-url http://127.0.0.1:8700/bmrs/api/v1 --home HOME DATE [DATE...]
        [--exact 1e-6]

A stand-in of full scale: `elexon_standin.py --port 8700 --scale full --from D --to D`; D must not be its first day,
as levels that reach over midnight belong to the day before.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import polars as pl
from rich.console import Console
from rich.table import Column, Table

from gbpm_dagster.analytics.acceptances import reconcile
from gbpm_dagster.analytics.acceptances.day import BOALF, BOAV, BOD, EBOCF, MARGIN, PN, priced_day, published
from gbpm_dagster.catalogue import get
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings

OUT = Console(width=150 if not sys.stdout.isatty() else None)


def main() -> int:
    asked = _arguments()
    runtime = Runtime(
        Settings.load(
            {
                "ELEXON_BASE_URL": asked.base_url,
                "GBPM_STATE_DIR": str(asked.home / "state"),
                "ELEXON_MAX_REQUESTS_PER_SECOND": "200",
            },
            home=asked.home.absolute(),
        )
    )
    exact = True
    for day in asked.days:
        load(runtime, day)
        exact &= show(runtime, day, asked.exact)
    return 0 if exact else 1


def load(runtime: Runtime, day: date) -> None:
    """The day of every table that is needed, and the day before of the levels."""
    for table in (PN, BOD, BOALF, BOAV, EBOCF):
        wanted = [day - MARGIN, day] if table == BOALF else [day]
        for _ in runtime.load(get(table), wanted, run_id="reconcile", reason="script"):
            pass


def show(runtime: Runtime, day: date, exact: float) -> bool:
    """Print the day's comparison; True if all match, and differ by no more than `exact`."""
    began = time.monotonic()
    priced = priced_day(runtime.lake, day)
    seconds = time.monotonic() - began
    boav, ebocf = (published(runtime.lake, table, [day]) for table in (BOAV, EBOCF))
    compared = {
        "volumes (MWh)": (reconcile.volumes(priced.rows, boav), boav.height),
        "pairs (MWh)": (reconcile.pair_volumes(priced.pairs, boav), boav.height),
        "cashflows (GBP)": (reconcile.cashflows(priced.rows, ebocf), ebocf.height),
    }
    OUT.print(
        f"{day}: {priced.rows.height:,} rows and {priced.pairs.height:,} pairs of "
        f"{priced.rows['nationalGridBmUnit'].n_unique()} units, priced in {seconds:.2f} s"
    )
    table = Table(
        *(
            Column(c, justify="left" if c == "what" else "right")
            for c in (
                "what",
                "published",
                *reconcile.OUTCOMES,
                "ours",
                "theirs",
                "largest diff.",
                "ratio",
                "verdict",
            )
        )
    )
    good = True
    for what, (frame, rows) in compared.items():
        said = reconcile.verdict(frame, rows)
        largest = (
            frame.select((pl.col("ours").fill_null(0) - pl.col("theirs").fill_null(0)).abs().max()).item() or 0.0
        )
        matches = said.passed and said.outcomes["match"] == said.rows and largest <= exact
        good &= matches
        table.add_row(
            what,
            f"{rows:,}",
            *(f"{n:,}" for n in said.outcomes.values()),
            f"{said.ours:,.3f}",
            f"{said.theirs:,.3f}",
            f"{largest:.2e}",
            f"{said.median_ratio:.6f}" if said.median_ratio else "",
            "exact" if matches else "DIFFERS",
        )
    OUT.print(table)
    flags = priced.rows.group_by("validation_flag", "unmatched_reason").len().sort(pl.all())
    OUT.print("flags: " + ", ".join(f"{f}{f' ({r})' if r else ''} {n:,}" for f, r, n in flags.iter_rows()))
    for what, (frame, _) in compared.items():
        odd = frame.filter(pl.col("outcome") != reconcile.MATCH)
        if odd.height:
            OUT.print(what, odd.head(10).to_dicts())
    return good


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--exact", type=float, default=1e-6, help="largest difference that still counts as exact")
    parser.add_argument("days", nargs="+", type=date.fromisoformat)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
