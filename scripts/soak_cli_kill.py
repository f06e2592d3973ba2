"""Kill `gbpm backfill` with SIGKILL at random moments; then `--missing` must bring the rows of a run without kills.

    python scripts/soak_cli_kill.py --kills 20 [--seed N] [--home DIR]

The server is the stand-in of Elexon's API where it lies beside the project (then after each kill every day is also
held against what the server holds), else the replay of recorded days. Called by `make soak`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import polars as pl

from gbpm_dagster.catalogue import get
from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.demo.replay_recordings import RECORDINGS
from gbpm_dagster.market.calendar import days
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.protocol import FETCHED_AT
from gbpm_dagster_tests.e2e.standin import StandIn, absent, running
from gbpm_dagster_tests.e2e.truth import BAD, compare

REPOSITORY = Path(__file__).resolve().parents[1]
TABLES = ("bmrs_costs", "bmrs_mid", "bmrs_fuelinst", "bmrs_freq")
RECORDED = ("bmrs_costs", "bmrs_mid", "bmrs_fuelinst")
LONGEST = 12  # days of the range when it has grown to its end


@dataclass
class Soak:
    """One series of kills on one home."""

    environment: Mapping[str, str]
    tables: tuple[str, ...]
    first: date
    last: date
    server: StandIn | None
    killed: int = 0
    ended: int = 0  # runs that were done before their moment came
    torn: int = 0  # kills that left a table with some of the days asked for
    wrong: list[str] = field(default_factory=list)

    def run(self, kills: int, chance: random.Random) -> None:
        """The kills, over a range that grows with each; after each the lake is judged."""
        typical = self._typical_s()
        span = (self.last - self.first).days
        for n in range(kills):
            last = self.first + timedelta(days=max(1, span * (n + 1) // kills))
            self._one(last, chance.uniform(0.3, 1.0) * typical)
            if self.wrong:
                return

    def repair(self) -> None:
        """`gbpm backfill --missing` over the whole range; then all must be there."""
        done = subprocess.run(
            self._command(self.last, "--missing"), env=dict(self.environment), capture_output=True, text=True
        )
        if done.returncode:
            self.wrong.append(
                f"backfill --missing ended with {done.returncode}: {(done.stderr or done.stdout)[-300:]}"
            )
        self.judge(self.last, complete=True)

    def judge(self, last: date, *, complete: bool = False) -> None:
        """No day up to `last` may hold what the server does not; with `complete` none may be missing either."""
        runtime = Runtime(Settings.load(self.environment))
        wanted = days(self.first, last)
        half = False
        for table in self.tables:
            dataset = get(table)
            states = runtime.coverage(dataset, wanted)
            lacking = {r["day"]: r["reason"] for r in states.iter_rows(named=True) if r["state"] != "complete"}
            if complete and lacking:
                self.wrong.append(f"{table}: not complete: {lacking}")
            half |= 0 < len(lacking) < len(wanted)
            if self.server is not None:
                results = compare(runtime.lake, dataset, wanted, self.server.get, lacking)
                self.wrong += [f"{r.table} {r.day}: {r.verdict}: {r.difference}" for r in results if r.verdict in BAD]
        self.torn += half and not complete

    def rows(self) -> dict[str, pl.DataFrame]:
        """Everything stored, without the time of receipt."""
        runtime = Runtime(Settings.load(self.environment))
        return {t: runtime.lake.read(get(t), self.first, self.last).drop(FETCHED_AT) for t in self.tables}

    def _one(self, last: date, moment_s: float) -> None:
        process = subprocess.Popen(
            self._command(last), env=dict(self.environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(moment_s)
            self.ended += 1
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.killed += 1
        self.judge(last)

    def _typical_s(self) -> float:
        """Seconds of an undisturbed run over half the range, in a home of its own."""
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            other = {**self.environment, "GBPM_HOME": scratch + "/home"}
            middle = self.first + (self.last - self.first) / 2
            subprocess.run(self._command(middle), env=other, check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - begun

    def _command(self, last: date, *more: str) -> list[str]:
        span = ["--from", f"{self.first}", "--to", f"{last}"]
        return [sys.executable, "-m", "gbpm_dagster.cli", "backfill", *self.tables, *span, "--json", *more]


def main() -> int:
    asked = _arguments()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, _server(Path(scratch)) as (soak_of, name):
        soak = soak_of(asked.home or Path(scratch) / "home")
        soak.run(asked.kills, random.Random(asked.seed))
        if not soak.wrong:
            soak.repair()
        if not soak.wrong:
            calm = soak_of(Path(scratch) / "calm")
            calm.repair()
            soak.wrong += calm.wrong
            there, here = calm.rows(), soak.rows()
            soak.wrong += [f"{t}: not the rows of a run without kills" for t in there if not here[t].equals(there[t])]
        rows = sum(f.height for f in soak.rows().values())
    for line in soak.wrong[:20]:
        print(line, file=sys.stderr)
    verdict = f"WRONG: {len(soak.wrong)} problems" if soak.wrong else f"the same {rows:,} rows as without kills"
    print(
        f"soak_cli_kill: {soak.killed} backfills killed ({soak.ended} ended before, {soak.torn} left a table half "
        f"loaded) in {time.monotonic() - begun:.0f} s against the {name}; "
        f"after --missing {verdict} (seed {asked.seed})"
    )
    return 1 if soak.wrong else 0


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[tuple[_Maker, str]]:
    """A server, and how to make a soak on a home that loads from it."""
    first = date(2024, 3, 20)
    last = first + timedelta(days=LONGEST - 1)
    if absent():
        with ReplayServer() as replay:
            week = (date(2024, 1, 1), date(2024, 1, 7))
            scope = {"GBPM_SCOPE_FILE": str(RECORDINGS / "scope.json")}
            yield _Maker(folder, replay.base_url, RECORDED, *week, None, scope), "replay"
        return
    with running(folder / "standin.log", f"{first}", f"{last + timedelta(days=2)}") as standin:
        yield _Maker(folder, standin.base_url, TABLES, first, last, standin, {}), "stand-in"


@dataclass(frozen=True)
class _Maker:
    folder: Path
    base_url: str
    tables: tuple[str, ...]
    first: date
    last: date
    server: StandIn | None
    more: Mapping[str, str]

    def __call__(self, home: Path) -> Soak:
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "GBPM_HOME": str(home),
            "GBPM_STATE_DIR": str(self.folder / "state"),
            "GBPM_NOW": f"{self.last + timedelta(days=3)}T12:00:00Z",
            "ELEXON_BASE_URL": self.base_url,
            "ELEXON_MAX_REQUESTS_PER_SECOND": "1000",
            **self.more,
        }
        return Soak(environment, self.tables, self.first, self.last, self.server)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill `gbpm backfill` at random moments and check what is left.")
    parser.add_argument("--kills", type=int, default=20, help="how many backfills to start and kill (default 20)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of the moments (default: the clock)")
    parser.add_argument("--home", type=Path, help="home to use (default: a temporary one)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
