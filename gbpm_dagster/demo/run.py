"""`make demo`: build a warehouse from recorded days, find what is missing, heal it, answer from it.

Belongs here: the order of the show. Not here: any rule, any fetch: it is the same assets, client, checks and healer
as live, pointed at a replay server that keeps a few things back at first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
import warnings
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from gbpm_dagster.console.show import day_bars, err, out
from gbpm_dagster.demo import story
from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.demo.withhold import Withholding
from gbpm_dagster.orchestration import launch, services
from gbpm_dagster.orchestration.checks import failed_gaps, last_gaps, last_verdict
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.internal import days_asked, healing_since
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings

RECORDINGS = Path(__file__).parent / "recordings"
MARKER = "demo-home.txt"
NOW = "2026-03-30T12:00:00Z"
"""The demo's now: the day after the last recorded one (decision 18)."""

HEAL_DEADLINE_S = 600.0
ENVIRONMENT = {
    "GBPM_NOW": NOW,
    "GBPM_SCOPE_FILE": str(RECORDINGS / "scope.json"),
    "GBPM_BACKFILL_INTERVAL_SECONDS": "2",
    "GBPM_HEAL_INTERVAL_SECONDS": "5",
    "GBPM_HEAL_COOLDOWN_SECONDS": "1",
    "GBPM_HEAL_DELAYS_SECONDS": "2,4,8,16,32",
    "ELEXON_MAX_REQUESTS_PER_SECOND": "200",
    "ELEXON_BACKOFF_SECONDS": "0.05",
    "ELEXON_MAX_CONCURRENCY": "4",
    "GBPM_DATASETS": "",
    "GBPM_HISTORY_START": "2022-01-01",
}
"""Healing in seconds, not hours, and a rate that a server on this machine may have: printed, so nobody is misled."""


def main(argv: list[str] | None = None) -> int:
    """Run the demo; 0 only if every gap was healed."""
    options = _options(argv)
    began = time.monotonic()
    home = _fresh_home(options.home)
    with ReplayServer(withhold=Withholding.from_file(RECORDINGS / "withheld.json")) as replay:
        environ = {**ENVIRONMENT, "GBPM_HOME": str(home), "ELEXON_BASE_URL": replay.base_url}
        settings = Settings.load(environ, port=options.port, state_dir=home / "state")
        environ["GBPM_STATE_DIR"] = str(settings.state_dir)
        story.opening(replay.base_url, home, environ)
        try:
            with services.running(settings, environ) as up:
                story.stage(f"Dagster is up: {up.url}  (log files: {settings.logs})")
                healed = _show(settings, up.url, replay)
                story.ending(up.url, home, time.monotonic() - began, healed)
                if options.exit:
                    return 0 if healed else 3
                _wait(up)
        except services.ServiceError as error:
            err.print(f"[red]gbpm demo:[/red] {error}")
            return 1
        except KeyboardInterrupt:
            out.print("stopped")
            return 130 if options.exit else 0
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--exit", action="store_true", help="end by itself; status 0 only if all healed")
    parser.add_argument("--home", type=Path, default=Path(".gbpm-demo"), help="folder of the demo's own home")
    parser.add_argument("--port", type=int, default=0, help="port of the web UI (0 = a free one)")
    return parser.parse_args(argv)


def _fresh_home(home: Path) -> Path:
    """An empty home for the show. Only a folder that an earlier demo marked as its own is removed."""
    home = home.absolute()
    if home.exists():
        if any(home.iterdir()) and not (home / MARKER).exists():
            err.print(f"[red]gbpm demo:[/red] {home} is not a demo's home: name another folder with --home")
            raise SystemExit(2)
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / MARKER).write_text("Made by `make demo` and removed by the next one. Its data are recordings.\n")
    return home


def _show(settings: Settings, url: str, replay: ReplayServer) -> bool:
    runtime = Runtime(settings)
    work = {d.table: runtime.wanted(d) for d in runtime.datasets}
    with open_instance(settings) as instance:
        began = datetime.now(UTC)
        days = sum(len(d) for d in work.values())
        story.stage(f"Backfill through the daemon: {days} recorded days of {len(work)} tables")
        with day_bars({t: len(d) for t, d in work.items()}) as listener:
            done = launch.backfill(runtime, instance, work, listener=listener, services=url)
        story.backfilled(done, replay)
        missing = _found_missing(instance, runtime, began)
        story.found_missing(missing)
        healed_at = _heal(instance, runtime, missing, began)
        hidden = {(rule.table, rule.day) for rule in replay.withholding.rules}
        wanted = hidden.union(missing)  # what was hidden and not found is no success either
        story.results(runtime, wanted, _reasons_of_first_tries(runtime, wanted), healed_at)
        story.answers(runtime.lake)
        return wanted == set(healed_at) and _all_green(instance, runtime)


def _found_missing(instance: dg.DagsterInstance, runtime: Runtime, began: datetime) -> dict[story.Key, str]:
    """(table, day) that gap checks have found missing, and what they said. The healer may have begun with them, or
    even be done; what a check found before its day's turn in the backfill came is nobody's gap."""
    failed = {
        (d.table, day): why for d in runtime.datasets for day, why in failed_gaps(instance, d.table, began).items()
    }
    known = _red(instance, runtime)
    known |= {(t, d) for b in healing_since(instance, began) for t, days in days_asked(b).items() for d in days}
    return {key: why for key, why in failed.items() if key in known}


def _red(instance: dg.DagsterInstance, runtime: Runtime) -> set[story.Key]:
    """(table, day) of every gap check that failed last, from Dagster's own record of it."""
    return {(d.table, day) for d in runtime.datasets for day in last_verdict(instance, d.table) or ()}


def _all_green(instance: dg.DagsterInstance, runtime: Runtime) -> bool:
    """Every table's gap check has passed, and the warehouse itself says every day is complete."""
    judged = all(last_gaps(instance, d.table) == [] for d in runtime.datasets)
    return judged and all(set(runtime.coverage(d)["state"]) == {"complete"} for d in runtime.datasets)


def _reasons_of_first_tries(runtime: Runtime, missing: Collection[story.Key]) -> dict[story.Key, str]:
    """Why each day was missing, from the log of tries."""
    found: dict[story.Key, str] = {}
    for row in runtime.lake.attempts([t for t, _ in missing]).sort("at").iter_rows(named=True):
        key = (row["table"], row["day"])
        if key in missing and key not in found:
            found[key] = row["message"] or f"answered with {row['rows']:,} rows"
    return found


def _heal(
    instance: dg.DagsterInstance, runtime: Runtime, missing: Mapping[story.Key, str], began: datetime
) -> dict[story.Key, datetime]:
    """Watch the healer work until its checks pass; when each day was healed."""
    healed: dict[story.Key, datetime] = {}
    seen: set[str] = set()
    deadline = time.monotonic() + HEAL_DEADLINE_S
    while not (set(healed) == set(missing) and _all_green(instance, runtime)) and time.monotonic() < deadline:
        for backfill in healing_since(instance, began):
            if backfill.backfill_id not in seen:
                seen.add(backfill.backfill_id)
                story.healing(backfill.backfill_id, backfill.tags.get("gbpm/why", ""))
        red = _red(instance, runtime)
        for key in sorted(set(missing) - set(healed) - red):
            healed[key] = datetime.now(UTC)
            story.healed(key)
        time.sleep(0.5)
    return healed


def _wait(up: services.Services) -> None:
    out.print("Left running: look around, then Ctrl-C.")
    while not up.ended():
        time.sleep(0.5)
    err.print(f"[red]gbpm demo:[/red] the {up.ended()} has ended by itself")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    warnings.simplefilter("ignore")
    sys.exit(main())
