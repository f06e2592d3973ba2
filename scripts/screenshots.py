"""Pictures of the Dagster UI for docs/tour.md: runs the demo in a home of its own and looks at it with Chromium.

usage: screenshots.py [--to FOLDER] [--url URL]    default docs/images; --url: of a demo that is already running
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
DEMO_S, STOP_S, WAIT_MS = 900.0, 60.0, 60_000
SETTLED_MS = 3000
"""Graphs and charts are drawn after their words are there."""

MAX_BYTES = 300_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images", help="folder of the pictures")
    parser.add_argument("--url", help="address of the UI of a demo that has healed and is left running")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    if options.url:
        take(options.url.rstrip("/"), options.to)
    else:
        with demo() as url:
            take(url, options.to)
    return 0


@contextmanager
def demo() -> Iterator[str]:
    """The address of a demo's UI, when it has healed; ended by Ctrl-C, as a person would."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "demo.log"
        command = [sys.executable, "-m", "gbpm_dagster.demo.run", "--home", f"{folder}/home"]
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield _address(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_S)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + DEMO_S
    while process.poll() is None and time.monotonic() < deadline:
        found = re.search(r"Look at it:\s+(http://\S+)", log.read_text(errors="replace"))
        if found:
            return found[1]
        time.sleep(1)
    raise SystemExit(f"the demo did not come to its end; its last words:\n{log.read_text(errors='replace')[-2000:]}")


def take(url: str, folder: Path) -> None:
    """The pictures of docs/tour.md, in its order."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_browser(), headless=True, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(WAIT_MS)

        def shot(address: str, words: str, name: str) -> None:
            page.goto(f"{url}{address}")
            page.get_by_text(words).first.wait_for()
            _shot(page, folder / name)

        page.goto(f"{url}/asset-groups")
        page.locator("foreignObject >> text=prices >> visible=true").first.click()
        page.get_by_text("100% filled").first.wait_for()
        _shot(page, folder / "asset-graph.png")
        table = "/assets/bmrs_costs?view="
        shot(f"{table}overview", "System sell price", "table.png")
        shot(f"{table}partitions&partition=2024-01-05", "exact duplicates", "table-partitions.png")
        shot(f"{table}checks&checkDetail=gaps", "days complete", "table-checks.png")
        page.get_by_text("Execution history").first.click()
        page.get_by_text("Failed").first.wait_for()
        _shot(page, folder / "check-failed-then-passed.png")
        shot("/runs?view=backfills", "gbpm/heal: gaps", "healing.png")
        browser.close()


def _shot(page: Page, file: Path) -> None:
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=str(file))
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise SystemExit(f"{file} has {size:,} bytes; at most {MAX_BYTES:,} are wanted in the repository")
    print(f"{file} ({size:,} bytes)")


def _browser() -> str:
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise SystemExit(f"no browser here ({', '.join(BROWSERS)}): `apt-get install chromium`")


if __name__ == "__main__":
    sys.exit(main())
