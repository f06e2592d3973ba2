"""The interface at full size: definitions of all tables, the asset graph and a table's page over 1,400 days each.

Run: `.venv/bin/python -m benchmarks.bench_interface [--days 1400] [--smallest]`. Every day of every table is told to
a home's Dagster as materialised (no rows are needed for that), then the home's real services run and a headless
Chromium opens the pages: cold (the first look after the start) and warm.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import dagster as dg

from benchmarks.figures import keep, table
from benchmarks.server import ROOT
from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.orchestration import services
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.internal import report_materialized
from gbpm_dagster.orchestration.runtime import Runtime, is_daily
from gbpm_dagster.settings import Settings

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LOOKS = 3
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
NO_BROWSER = f"Pages not measured: no Chromium is installed here ({', '.join(BROWSERS)} were looked for on PATH)"
LOAD = """
import time
began = time.perf_counter()
import dagster
imported = time.perf_counter()
from gbpm_dagster.definitions import defs
repository = defs().get_repository_def()
print(imported - began, time.perf_counter() - began, time.process_time(), len(repository.assets_defs_by_key))
"""


def settings_of(home: Path, days: int, tables: tuple[str, ...]) -> Settings:
    return Settings.load(
        {},
        home=home,
        state_dir=home / "state",
        datasets=tables,
        now=NOW,
        history_start=(NOW - timedelta(days=days - 1)).date(),
        heal=False,
        port=0,
    )


def environment(settings: Settings) -> dict[str, str]:
    """The settings as the services and a fresh process read them."""
    return {
        "PYTHONPATH": str(ROOT),
        "GBPM_HOME": str(settings.home),
        "GBPM_STATE_DIR": str(settings.state_dir),
        "GBPM_DATASETS": " ".join(settings.datasets),
        "GBPM_NOW": NOW.isoformat(),
        "GBPM_HISTORY_START": str(settings.history_start),
        "GBPM_HEAL": "false",
    }


def load_definitions(settings: Settings) -> tuple[float, float, float, int]:
    """(seconds to import dagster, until the definitions are there, of a processor; assets) in a fresh process."""
    command = [sys.executable, "-W", "ignore", "-c", LOAD]
    done = subprocess.run(
        command, env={**os.environ, **environment(settings)}, cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported, whole, cpu, assets = done.stdout.split()
    return float(imported), float(whole), float(cpu), int(assets)


def adopt(instance: dg.DagsterInstance, runtime: Runtime, dataset: Dataset) -> int:
    """Tell Dagster that every wanted day of a table is there; returns how many events that took."""
    keys = [d.isoformat() for d in runtime.wanted(dataset)] if is_daily(dataset) else [None]
    told = [dg.AssetMaterialization(dataset.table, partition=k, metadata={"outcome": "adopted"}) for k in keys]
    report_materialized(instance, told)
    return len(told)


def fill(settings: Settings) -> tuple[int, float]:
    """Adopt all days of all tables: (events, seconds); and one run, so that the home is not taken for a new one."""

    @dg.job
    def nothing() -> None:
        pass

    runtime = Runtime(settings)
    with open_instance(settings) as instance:
        nothing.execute_in_process(instance=instance)
        began = time.perf_counter()
        events = sum(adopt(instance, runtime, dataset) for dataset in runtime.datasets)
        return events, time.perf_counter() - began


def look(settings: Settings, browser: str) -> list[list[str]]:
    """Seconds until each page shows what it is for: cold, and the median of later looks."""
    from playwright.sync_api import Page, sync_playwright

    count = len(Runtime(settings).wanted(DATASETS["bmrs_mid"]))
    whole = re.compile(rf"Materialized \(({count:,}|{count})\)")
    pages: tuple[tuple[str, str, tuple[str | re.Pattern[str], ...]], ...] = (
        ("asset graph", "/asset-groups", ("prices", "demand")),
        ("bmrs_mid, overview", "/assets/bmrs_mid?view=overview", ("Wholesale market index", "settlementPeriod")),
        ("bmrs_mid, partitions", "/assets/bmrs_mid?view=partitions", (whole,)),
    )
    found = []
    with services.running(settings, environment(settings)) as running, sync_playwright() as play:
        window = play.chromium.launch(executable_path=browser, headless=True, args=OPTIONS)

        def seconds(page: Page, address: str, words: tuple[str | re.Pattern[str], ...]) -> float:
            began = time.perf_counter()
            page.goto(f"{running.url}{address}", wait_until="commit")
            for word in words:
                page.get_by_text(word).first.wait_for()
            return time.perf_counter() - began

        page = window.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        for name, address, words in pages:
            cold, *warm = [seconds(page, address, words) for _ in range(1 + LOOKS)]
            found.append([name, f"{cold:.1f}", f"{median(warm):.1f}"])
        window.close()
    return found


def _quietly(work: Callable[[], None]) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    work()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=1400)
    parser.add_argument("--smallest", action="store_true", help="two tables, two days, no pages, and keep no figures")
    given = parser.parse_args()
    names, count = (("bmrs_mid", "bmrs_freq"), 2) if given.smallest else (tuple(DATASETS), given.days)
    with tempfile.TemporaryDirectory(prefix="gbpm-bench-") as folder:
        settings = settings_of(Path(folder) / "home", count, names)
        loads = [load_definitions(settings) for _ in range(1 if given.smallest else 3)]
        imported, whole, cpu = (median(load[i] for load in loads) for i in range(3))
        events, seconds = fill(settings)
        browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
        pages = look(settings, browser) if browser and not given.smallest else []
    text = (
        f"{loads[0][3]} assets with their checks: definitions load in {whole:.1f} s ({cpu:.1f} s of a processor), of "
        f"which importing dagster is {imported:.1f} s (median of {len(loads)} fresh processes). {events:,} "
        f"materialised days were adopted in {seconds:.0f} s ({seconds / events * 1000:.2f} ms each).\n\n"
    )
    text += table(["page", "cold s", "warm s"], pages) if pages else f"{NO_BROWSER}."
    if given.smallest:
        print(text)
    else:
        keep("interface", text)


if __name__ == "__main__":
    _quietly(main)
