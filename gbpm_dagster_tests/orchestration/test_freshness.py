"""What the catalogue of the UI says of freshness: Dagster's own policy on each asset."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import yaml
from dagster import AssetCheckKey, AssetCheckSeverity, AssetKey
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.orchestration.build import build_definitions
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.protocol import MESSAGE_SCHEMA
from gbpm_dagster_tests.orchestration.conftest import HomeMaker


def test_each_table_that_is_fed_carries_its_freshness(tmp_path: Path) -> None:
    """Dagster's daemon judges it (`freshness: enabled`) and the catalogue of the UI shows it."""
    environment = {"GBPM_HOME": str(tmp_path), "GBPM_TIER": "optional"}
    live = build_definitions(Settings.load(environment)).resolve_all_asset_specs()
    found = {spec.key.to_user_string(): spec.freshness_policy for spec in live}
    without = {t for t in DATASETS if found[t] is None}
    assert without == {d.table for d in DATASETS.values() if not d.freshness.judged}
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


def test_the_streams_tables_are_judged_by_their_messages_where_there_is_a_stream(
    home: HomeMaker, tmp_path: Path
) -> None:
    """Every 15 minutes with the others, and alerts know of them."""
    here = home(replay=False, IRIS_FOLDER=str(tmp_path / "in"), IRIS_CODES="FREQ SYS_WARN", GBPM_DATASETS="bmrs_mid")
    at = here.settings.clock() - timedelta(minutes=50)
    row = {**dict.fromkeys(MESSAGE_SCHEMA), "name": "a", "table": "bmrs_freq_iris", "status": "loaded"}
    here.runtime.lake.add_messages([{**row, "enqueued_at": at, "landed_at": at, "loaded_at": at}])
    assert here.defs.resolve_job_def("freshness_check").execute_in_process(instance=here.instance).success
    keys = [AssetCheckKey(AssetKey(t), "freshness") for t in ("bmrs_freq_iris", "bmrs_syswarn_iris", "bmrs_mid")]
    assert set(keys) <= set(here.defs.get_repository_def().asset_graph.asset_check_keys)
    found = here.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    said = {k.asset_key.to_user_string(): (e.passed, e.severity) for k, r in found.items() if (e := r.evaluation)}
    assert said == {
        "bmrs_freq_iris": (False, AssetCheckSeverity.WARN),
        "bmrs_syswarn_iris": (False, AssetCheckSeverity.WARN),
        "bmrs_mid": (False, AssetCheckSeverity.ERROR),
    }


def test_without_a_stream_there_are_none(home: HomeMaker) -> None:
    here = home(replay=False)
    assert here.runtime.stream_freshness() == []
    assert not [k for k in here.defs.get_repository_def().asset_graph.asset_check_keys if "_iris" in str(k)]
