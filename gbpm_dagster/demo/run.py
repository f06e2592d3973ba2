"""`make demo`: build a warehouse from recorded days, find what is missing, heal it, answer from it.

Belongs here: the order of the show. Not here: any rule, any fetch: it is the same assets, client, checks and healer
as live, pointed at a replay server that keeps a few things back at first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from gbpm_dagster.console.show import day_bars, err, out
from gbpm_dagster.demo import story
from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.demo.withhold import Withholding
from gbpm_dagster.orchestration import launch, services
from gbpm_dagster.orchestration.checks import last_gaps
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.internal import healing_since
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
        missing = _red(instance, runtime)
        story.found_missing(missing, _reasons(runtime, missing))
        healed_at = _heal(instance, runtime, missing, began)
        healed = set(healed_at) >= set(missing) and _all_green(instance, runtime)
        story.results(runtime, missing, _reasons_of_first_tries(runtime, missing), healed_at)
        story.answers(runtime.lake)
    return healed


def _red(instance: dg.DagsterInstance, runtime: Runtime) -> dict[tuple[str, date], str]:
    """(table, day) of every gap check that fails now, from Dagster's own record of it."""
    return {(d.table, day): "missing" for d in runtime.datasets for day in last_gaps(instance, d.table) or ()}


def _all_green(instance: dg.DagsterInstance, runtime: Runtime) -> bool:
    """Every table's gap check has passed, and the warehouse itself says every day is complete."""
    judged = all(last_gaps(instance, d.table) == [] for d in runtime.datasets)
    return judged and all(set(runtime.coverage(d)["state"]) == {"complete"} for d in runtime.datasets)


def _reasons(runtime: Runtime, missing: Mapping[tuple[str, date], str]) -> dict[tuple[str, date], str]:
    found = {}
    for table in {t for t, _ in missing}:
        dataset = runtime.named([table])[0]
        for row in runtime.coverage(dataset, [d for t, d in missing if t == table]).iter_rows(named=True):
            found[table, row["day"]] = f"{row['state']}: {row['reason']}"
    return found


def _reasons_of_first_tries(runtime: Runtime, missing: Mapping[tuple[str, date], str]) -> dict[tuple[str, date], str]:
    """Why each day was missing, from the log of tries."""
    found: dict[tuple[str, date], str] = {}
    for row in runtime.lake.attempts([t for t, _ in missing]).sort("at").iter_rows(named=True):
        key = (row["table"], row["day"])
        if key in missing and key not in found:
            found[key] = row["message"] or f"answered with {row['rows']:,} rows"
    return found


def _heal(
    instance: dg.DagsterInstance, runtime: Runtime, missing: Mapping[tuple[str, date], str], began: datetime
) -> dict[tuple[str, date], datetime]:
    """Watch the healer work until its checks pass; when each day was healed."""
    healed: dict[tuple[str, date], datetime] = {}
    seen: set[str] = set()
    deadline = time.monotonic() + HEAL_DEADLINE_S
    while set(healed) != set(missing) and time.monotonic() < deadline:
        for backfill in healing_since(instance, began):
            if backfill.backfill_id not in seen:
                seen.add(backfill.backfill_id)
                story.healing(backfill.backfill_id, backfill.tags.get("gbpm/why", ""))
        red = _red(instance, runtime)
        unknown = {d.table for d in runtime.datasets if last_gaps(instance, d.table) is None}
        for key in set(missing) - set(healed):
            if key not in red and key[0] not in unknown:
                healed[key] = datetime.now(UTC)
                story.healed(key)
        time.sleep(0.5)
    return healed


def _wait(up: services.Services) -> None:
    out.print("Left running: look around, then Ctrl-C.")
    while not up.ended():
        time.sleep(0.5)
    err.print(f"[red]gbpm demo:[/red] the {up.ended()} has ended by itself")


def scope() -> Any:
    """The demo's scope, as shipped."""
    return json.loads((RECORDINGS / "scope.json").read_text())


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
