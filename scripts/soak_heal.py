"""37 holes in four years of three tables, storms and kills of the daemon: the healer closes what the source has,
writes what it lacks into the register, and asks for nothing else; exit 1 if not.

    python scripts/soak_heal.py [--holes 37] [--years 4] [--storms 3] [--kills 3] [--seed 1]
                                [--standin DIR | --base-url http://127.0.0.1:PORT]

The server is the stand-in of Elexon's API: the folder --standin (default: beside the project), or one that runs at
--base-url. Three holes in four are closed by the server after some questions, some of them later than it takes to
prove them missing (then they are asked again, and their entry ends); the others never. Delays are seconds.
Called by `make soak`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import polars as pl

from gbpm_dagster.catalogue import get
from gbpm_dagster.orchestration import services
from gbpm_dagster.orchestration.checks import last_gaps, store
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.register import entries
from gbpm_dagster.settings import Settings

TABLES = {"bmrs_mid": "MID", "bmrs_costs": "DISEBSP", "bmrs_netbsad": "NETBSAD"}
LAST = date(2025, 5, 31)
DELAY_S = 5
Key = tuple[str, date]


def main() -> int:
    asked = _arguments()
    if asked.standin:
        os.environ["GBPM_STANDIN"] = str(asked.standin.absolute())
    from gbpm_dagster_tests.e2e.standin import StandIn, absent, running

    if not asked.base_url and absent():
        print(f"soak_heal: {absent()}", file=sys.stderr)
        return 1
    first = LAST - timedelta(days=round(365.25 * asked.years) - 1)
    with tempfile.TemporaryDirectory(prefix="gbpm-heal-") as scratch:
        folder = Path(scratch)

        @contextlib.contextmanager
        def server() -> Iterator[StandIn]:
            if asked.base_url:
                yield StandIn(asked.base_url.rstrip("/").removesuffix("/bmrs/api/v1"))
                return
            span = f"{first - timedelta(days=8)}", f"{LAST + timedelta(days=8)}"
            with running(folder / "log", *span, seed=asked.seed) as started:
                yield started

        with server() as found:
            found.reset()
            return Soak(found, folder, first, asked).run()


class Soak:
    """One home, its holes and their end."""

    def __init__(self, server: Any, folder: Path, first: date, asked: argparse.Namespace) -> None:
        self.server, self.asked, self.first = server, asked, first
        self.chance = random.Random(asked.seed)
        self.environ = {
            "GBPM_HOME": str(folder / "home"),
            "GBPM_STATE_DIR": str(folder / "state"),
            "GBPM_NOW": f"{LAST + timedelta(days=20)}T12:00:00Z",
            "GBPM_HISTORY_START": f"{first}",
            "GBPM_SCOPE_FILE": str(folder / "scope.json"),
            "GBPM_PORT": "0",
            "GBPM_BACKFILL_INTERVAL_SECONDS": "1",
            "GBPM_HEAL_INTERVAL_SECONDS": "5",
            "GBPM_HEAL_COOLDOWN_SECONDS": "2",
            "GBPM_HEAL_DELAYS_SECONDS": ",".join([str(DELAY_S)] * 8),
            "GBPM_HEAL_PROBE_SECONDS": "5",
            "GBPM_HEAL_PROBE_MAX_SECONDS": "20",
            "GBPM_HEAL_REQUESTS_A_DAY": "600",
            "GBPM_HEAL_ASK_AGAIN_SECONDS": str(4 * DELAY_S),  # the week after which what is lacking is asked again
            "GBPM_PROOF_SPAN_SECONDS": str(DELAY_S + 5),
            "ELEXON_BASE_URL": server.base_url,
            "ELEXON_MAX_ATTEMPTS": "2",
            "ELEXON_BACKOFF_SECONDS": "0.05",
            "ELEXON_MAX_REQUESTS_PER_SECOND": "200",
        }
        (folder / "scope.json").write_text(json.dumps({table: [[f"{first}", f"{LAST}"]] for table in TABLES}))
        self.settings = Settings.load(self.environ)
        self.runtime = Runtime(self.settings)

    def run(self) -> int:
        began = time.monotonic()
        lost, missing = self._dig()
        for table in TABLES:
            dataset = get(table)
            list(self.runtime.load(dataset, self.runtime.wanted(dataset), run_id="first", reason="backfill"))
        print(f"soak_heal: {len(missing)} holes, {self._held():,} days held after {time.monotonic() - began:.0f} s")
        self.server.control("log/reset", {})
        self._storms()
        with open_instance(self.settings) as instance:
            found = self.runtime.checks(which=("gaps",))
            seen = {(r.table, d) for r in found for d in r.missing}
            store(instance, found)
            with services.running(self.settings, self.environ) as up:
                healing = self._watch(instance, up, missing, lost)
        wrong = self._judge(seen, missing, lost, healing)
        tries = self.runtime.lake.attempts().filter(pl.col("reason") == "heal")
        print(
            f"soak_heal: {len(missing)} holes ({len(lost)} for ever) in {self.asked.years:g} years, {len(healing)} "
            f"backfills one after the other, {tries['requests'].sum():,} requests of the healer, {self.asked.storms} "
            f"storms, {self.asked.kills} kills, {time.monotonic() - began:.0f} s; {len(wrong)} faults"
        )
        for text in wrong:
            print(f"soak_heal: WRONG: {text}")
        return 1 if wrong else 0

    def _dig(self) -> tuple[set[Key], set[Key]]:
        """Open the holes: days, or some periods of one. The lost ones are whole days."""
        lost: set[Key] = set()
        missing: set[Key] = set()
        opened = []
        days = (LAST - self.first).days
        while len(missing) < self.asked.holes:
            table = self.chance.choice(list(TABLES))
            day = self.first + timedelta(days=self.chance.randrange(days + 1))
            if (table, day) in missing:
                continue
            missing.add((table, day))
            hole: dict[str, Any] = {"dataset": TABLES[table], "date": f"{day}"}
            if len(missing) % 4 == 0:
                lost.add((table, day))
            else:
                # The first load is one question; a window of MID may be asked again for another day's sake.
                hole["heal_after_hits"] = self.chance.choice((1, 2, 3))
                if self.chance.random() < 0.5:
                    hole["sp"] = sorted(self.chance.sample(range(1, 47), 3))
            opened.append(hole)
        self.server.control("holes", {"open": opened})
        return lost, missing

    def _storms(self) -> None:
        """Every request meets a 503 for half a minute, some times, from soon after the healer begins."""
        rules = [
            {"match": ".", "kind": "503", "start_in_s": 30 + 75 * n, "for_s": 30} for n in range(self.asked.storms)
        ]
        self.server.faults(*rules)

    def _watch(self, instance: Any, up: services.Services, missing: set[Key], lost: set[Key]) -> list[Any]:
        from gbpm_dagster_tests.e2e.healers import healing_backfills, kill_daemon_and_start_again

        deadline = time.monotonic() + self.asked.minutes * 60
        killed = 0
        while time.monotonic() < deadline:
            time.sleep(1)
            found = healing_backfills(instance)
            running = [b for b in found if not b.status.value.startswith("COMPLETED")]
            if killed < self.asked.kills and running and len(found) > 2 * killed:
                killed += 1
                kill_daemon_and_start_again(up, self.environ, self.settings)
            if running or any(last_gaps(instance, table) != [] for table in TABLES):
                continue
            known = {(e.table, e.first) for e in entries(self.runtime.lake.known_gaps()) if e.status != "resolved"}
            if known == lost and self._open(missing) == lost:
                return found
        return healing_backfills(instance)

    def _judge(self, seen: set[Key], missing: set[Key], lost: set[Key], healing: list[Any]) -> list[str]:
        from gbpm_dagster_tests.e2e.healers import faults_of_sequence

        wrong = faults_of_sequence(healing)
        wrong += [f"{t} {d} was found missing, and no hole is there" for t, d in sorted(seen - missing)]
        states: dict[Key, str] = {}
        for table in TABLES:
            frame = self.runtime.coverage(get(table))
            states |= {(table, d): s for d, s in frame.select("day", "state").iter_rows()}
        wrong += [f"{t} {d} is {s}" for (t, d), s in states.items() if (t, d) not in lost and s != "complete"]
        wrong += [f"{k} is {states[k]}, though the source lacks it" for k in lost if states[k] != "missing_at_source"]
        known = {(e.table, e.first): e.status.value for e in entries(self.runtime.lake.known_gaps())}
        wrong += [f"{k} ended as {known.get(k)} in the register" for k in lost if known.get(k) != "missing_at_source"]
        tries = self.runtime.lake.attempts().filter(pl.col("reason") == "heal")
        asked = Counter(tries.filter(pl.col("requests") > 0).select("table", "day").iter_rows())
        wrong += [f"{t} {d} was asked for, and was not missing" for t, d in asked if (t, d) not in missing]
        recorded, served = int(tries["requests"].sum()), int(self.server.log()["requests"])
        if recorded != served:
            wrong.append(f"the healer recorded {recorded} requests, the server was asked {served}")
        if served > self.settings.heal_requests_a_day:
            wrong.append(f"{served} requests, where {self.settings.heal_requests_a_day} are the day's budget")
        return wrong

    def _open(self, missing: set[Key]) -> set[Key]:
        """Of the holes those whose day is not complete."""
        found: set[Key] = set()
        for table in TABLES:
            states = self.runtime.coverage(get(table), [d for t, d in missing if t == table])
            found |= {(table, d) for d, s in states.select("day", "state").iter_rows() if s != "complete"}
        return found

    def _held(self) -> int:
        return self.runtime.lake.evidence().height


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split(";", maxsplit=1)[0])
    parser.add_argument("--holes", type=int, default=37, help="days with a hole (default 37)")
    parser.add_argument("--years", type=float, default=4.0, help="years of each table (default 4)")
    parser.add_argument("--storms", type=int, default=3, help="times at which nothing is answered (default 3)")
    parser.add_argument("--kills", type=int, default=3, help="kills of the daemon (default 3)")
    parser.add_argument("--minutes", type=float, default=40, help="how long healing may take (default 40)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the data and the holes (default 1)")
    parser.add_argument("--standin", type=Path, help="folder of the stand-in")
    parser.add_argument("--base-url", help="address of a stand-in that runs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
