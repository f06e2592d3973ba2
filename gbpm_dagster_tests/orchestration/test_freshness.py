"""What the catalogue of the UI says of freshness: Dagster's own policy on each asset."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import yaml
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.orchestration.build import build_definitions
from gbpm_dagster.settings import Settings


def test_each_table_that_is_fed_carries_its_freshness(tmp_path: Path) -> None:
    """Dagster's daemon judges it (`freshness: enabled`) and the catalogue of the UI shows it."""
    environment = {"GBPM_HOME": str(tmp_path), "GBPM_TIER": "optional"}
    live = build_definitions(Settings.load(environment)).resolve_all_asset_specs()
    found = {spec.key.to_user_string(): spec.freshness_policy for spec in live}
    assert {t for t, policy in found.items() if policy is None} == {
        "elexon_openapi", *(d.table for d in DATASETS.values() if not d.freshness.judged)
    }  # fmt: skip
    freq = found["bmrs_freq"]
    assert isinstance(freq, TimeWindowFreshnessPolicy)
    assert freq.warn_window is not None
    assert freq.warn_window.to_timedelta() == timedelta(hours=27.5)
    assert freq.fail_window.to_timedelta() == timedelta(hours=28)
    template = yaml.safe_load((files("gbpm_dagster.orchestration") / "dagster.yaml").read_text())
    assert template["freshness"] == {"enabled": True}


def test_a_home_that_stands_still_carries_none(tmp_path: Path) -> None:
    """Pinned to the past or of recorded days: nothing feeds it, and its last answer is no fault."""
    environment = {"GBPM_HOME": str(tmp_path), "GBPM_NOW": "2024-01-10T12:00:00Z"}
    still = build_definitions(Settings.load(environment)).resolve_all_asset_specs()
    assert {spec.freshness_policy for spec in still} == {None}
