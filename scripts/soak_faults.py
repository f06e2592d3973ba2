"""Backfill 10 tables x 60 days from the stand-in of Elexon's API while most requests meet a fault; exit 1 if a day is
not the truth and nothing says so, or if a day is not the truth once the faults are over.

    python scripts/soak_faults.py [--days 60] [--p 0.05] [--rounds 2] [--seed 1] [--home DIR]

Each kind of fault the stand-in has meets a request with probability --p: with the default about three requests in
four meet one or more. `gbpm backfill` asks for all days, then --rounds times for what is missing, all under faults;
then the faults stop and `gbpm backfill --missing` is repeated until nothing changes. After every round each day of
each table is held row for row against the truth. Called by `make soak`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.e2e.faulty import (
    TABLES,
    Named,
    Round,
    every_fault,
    one_round,
    until_nothing_changes,
)
from gbpm_dagster_tests.e2e.standin import StandIn, absent, running

REPOSITORY = Path(__file__).resolve().parents[1]
FIRST = date(2024, 2, 20)  # sixty days from here hold 29 February and the beginning of summer time
HANG_P = 0.002
SHOWN = 20
out = Console(width=150)


@dataclass
class Asker:
    """Asks through the command line; adds up requests and seconds."""

    environment: Mapping[str, str]
    span: tuple[date, date]
    requests: int = 0
    seconds: float = 0.0

    def __call__(self, tables: Sequence[str], missing: bool) -> Named:
        first, last = self.span
        command = [sys.executable, "-m", "gbpm_dagster.cli", "backfill", *tables, "--from", f"{first}"]
        command += ["--to", f"{last}", "--json", *(["--missing"] * missing)]
        began = time.monotonic()
        done = subprocess.run(command, env=dict(self.environment), capture_output=True, text=True, check=False)
        self.seconds += time.monotonic() - began
        if done.returncode not in (0, 3):
            raise SystemExit(f"gbpm backfill ended with {done.returncode}: {(done.stderr or done.stdout)[-500:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        self.requests += found["requests"]
        return {
            table: {date.fromisoformat(day): why for day, why in state["missing"].items()}
            for table, state in found["tables"].items()
        }

    def lake(self) -> Lake:
        return Runtime(Settings.load(dict(self.environment))).lake


def main() -> int:
    asked = _arguments()
    if absent():
        print(f"soak_faults: {absent()}", file=sys.stderr)
        return 1
    span = (FIRST, FIRST + timedelta(days=asked.days - 1))
    with tempfile.TemporaryDirectory(prefix="gbpm-faults-") as scratch:
        folder = Path(scratch)
        margin = timedelta(days=4)
        with running(folder / "log", f"{span[0] - margin}", f"{span[1] + margin}", seed=asked.seed) as server:
            asker = Asker(_environment(server, asked.home or folder / "home", folder, span), span)
            faulty = _under_faults(asker, server, asked)
            calm = until_nothing_changes(lambda: one_round(asker, asker.lake, server, span))
    for number, found in enumerate(calm, 1):
        _show(f"faults over, round {number}", found)
    rounds = [*faulty, *calm]
    silent = sum(len(r.silent) for r in rounds)
    left = len(calm[-1].unequal)
    spoilt, under_faults = sum(r.spoilt for r in faulty), sum(r.requests for r in faulty)
    end = f"{left} days NOT the truth" if left else "every day the truth"
    print(
        f"soak_faults: {len(TABLES)} tables x {asked.days} days, {asker.requests:,} requests in "
        f"{asker.seconds:.0f} s; under faults {spoilt / under_faults:.0%} of {under_faults:,} met one or more; "
        f"{silent} silent differences in {len(rounds)} rounds; in the end {end}"
    )
    return 1 if silent or left else 0


def _under_faults(asker: Asker, server: StandIn, asked: argparse.Namespace) -> list[Round]:
    rounds = []
    for number in range(asked.rounds + 1):
        rules = every_fault(asked.p, HANG_P, asked.seed + number)
        found = one_round(asker, asker.lake, server, asker.span, missing=number > 0, rules=rules)
        _show(f"under faults, round {number}" if number else "under faults, first backfill", found)
        print(
            f"{found.spoilt:,} of {found.requests:,} requests met a fault: "
            + ", ".join(f"{kind} {n:,}" for kind, n in sorted(found.met.items())),
            flush=True,
        )
        rounds.append(found)
    return rounds


def _show(title: str, found: Round) -> None:
    tally = found.tally()
    verdicts = sorted({v for counts in tally.values() for v in counts})
    table = Table("table", *verdicts, "rows", "rows there", title=title)
    for name, counts in tally.items():
        mine = [r for r in found.results if r.table == name]
        sums = (sum(r.rows for r in mine), sum(r.true_rows for r in mine))
        table.add_row(name, *(str(counts[v]) for v in verdicts), *(f"{n:,}" for n in sums))
    out.print(table)
    for r in found.silent[:SHOWN]:
        out.print(f"SILENT {r.table} {r.day}: {r.difference}", markup=False, highlight=False)
    for r in [r for r in found.unequal if r.said][:3]:
        out.print(
            f"e.g. {r.table} {r.day}: {r.difference[:90]} (said: {r.said[:200]})", markup=False, highlight=False
        )


def _environment(server: StandIn, home: Path, folder: Path, span: tuple[date, date]) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "GBPM_HOME": str(home.absolute()),
        "GBPM_STATE_DIR": str(folder / "state"),
        "GBPM_NOW": f"{span[1] + timedelta(days=3)}T12:00:00Z",
        "GBPM_HISTORY_START": f"{span[0]}",
        "ELEXON_BASE_URL": server.base_url,
        "ELEXON_MAX_REQUESTS_PER_SECOND": "1000",
        "ELEXON_BACKOFF_SECONDS": "0.01",
        "ELEXON_TIMEOUT_SECONDS": "5",
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split(";", maxsplit=1)[0])
    parser.add_argument("--days", type=int, default=60, help="days of each table (default 60)")
    parser.add_argument("--p", type=float, default=0.05, help="probability of each kind of fault (default 0.05)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of --missing under faults (default 2)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the data and the faults (default 1)")
    parser.add_argument("--home", type=Path, help="home to use (default: a temporary one)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
