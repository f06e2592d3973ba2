"""What a person sees: `look` opens the pages of a running UI in a headless browser and asserts on their words.

Belongs here: the browser. Not here: the session it looks at (`test_services` runs it and calls `look`).
"""

from __future__ import annotations

import os
import shutil
import warnings

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
WAIT_MS = 60_000
NO_BROWSER = f"no browser for the UI: install chromium ({', '.join(BROWSERS)} were looked for on PATH)"


def browser() -> str | None:
    """The path of a Chromium. None where none is installed; under CI that is a failure."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None and os.environ.get("CI"):
        pytest.fail(NO_BROWSER)
    return found


def look(url: str, healing: str) -> None:
    """Assert that the UI shows the groups, bmrs_costs with its days and its red then green check, and the healing."""
    path = browser()
    if path is None:
        warnings.warn(f"the services passed, the UI was not looked at: {NO_BROWSER}", stacklevel=2)
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        window = play.chromium.launch(executable_path=path, headless=True, args=OPTIONS)
        page = window.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(WAIT_MS)

        def see(address: str, *words: str) -> None:
            page.goto(f"{url}{address}")
            for word in words:
                page.get_by_text(word).first.wait_for()

        see("/asset-groups", "prices", "demand")
        see("/assets/bmrs_costs?view=overview", "Imbalance (system) prices", "systemSellPrice", "GBP/MWh")
        see("/assets/bmrs_costs?view=partitions", "2024-01-05", "Materialized (8)", "Missing (0)", "Failed (0)")
        see("/assets/bmrs_costs?view=checks&checkDetail=gaps", "8 of 8 days complete", "Passed")
        page.get_by_text("Execution history").first.click()
        page.get_by_text("Failed").first.wait_for()  # the verdict before the healing
        see("/runs?view=backfills", healing, "gbpm/heal: gaps", "heal")
        window.close()


def test_under_ci_a_missing_browser_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no browser for the UI: install chromium"):
        browser()
    monkeypatch.delenv("CI")
    assert browser() is None
