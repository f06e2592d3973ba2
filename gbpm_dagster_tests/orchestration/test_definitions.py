"""The definitions as Dagster loads them: the snapshot, no secrets, no network, and the internals in use."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue import describe as words
from gbpm_dagster.catalogue.derived import DERIVED
from gbpm_dagster.demo.replay_recordings import RECORDINGS
from gbpm_dagster.orchestration import build, describe, internal, jobs, openapi_asset
from gbpm_dagster.settings import Settings, SettingsError
from gbpm_dagster.warehouse.ledger import KNOWN_GAPS, SCORECARD
from gbpm_dagster_tests.orchestration import snapshot


def test_the_definitions_are_those_of_the_snapshot() -> None:
    kept = snapshot.FILE.read_text(encoding="utf-8")
    assert snapshot.render() == kept, "if the change is meant: python -m gbpm_dagster_tests.orchestration.snapshot"


def test_every_table_and_column_is_described_in_the_ui() -> None:
    kept = snapshot.FILE.read_text(encoding="utf-8")
    assert "described: NO" not in kept
    assert Counter(line.rpartition(": ")[2] for line in kept.splitlines() if "without a meaning" in line).keys() == {
        "none"
    }


@pytest.mark.parametrize("table", ["bmrs_mid", "bmrs_mdb", "ref_bmunits"])
def test_the_ui_says_what_the_pages_say(table: str) -> None:
    dataset = DATASETS[table]
    spec = describe.asset_spec(dataset, None)
    assert spec.description == words.description(dataset)
    assert spec.metadata["licence"] == words.LICENCE
    shown = {c.name: c.description for c in spec.metadata["dagster/column_schema"].columns}
    assert shown == {c.name: words.meaning(c) for c in dataset.columns}


def test_they_load_without_a_home_a_secret_or_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the definitions opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    home = tmp_path / "not-made"
    repository = build.build_definitions(Settings.load({"GBPM_HOME": str(home)})).get_repository_def()
    assert repository.asset_graph.get_all_asset_keys()
    assert not home.exists()


def test_dagster_itself_finds_them_valid(tmp_path: Path) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("GBPM_", "ELEXON_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "gbpm_dagster.definitions"],
        cwd=tmp_path,
        env={**environ, "HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not (tmp_path / ".gbpm").exists()


def test_gbpm_datasets_limits_them() -> None:
    found = build.build_definitions(Settings.load({"GBPM_DATASETS": "bmrs_mid, bmrs_costs"}))
    keys = {k.to_user_string() for k in found.get_repository_def().asset_graph.get_all_asset_keys()}
    assert keys == {"bmrs_mid", "bmrs_costs", openapi_asset.ASSET, KNOWN_GAPS, SCORECARD}
    with pytest.raises(SettingsError, match="bmrs_mdi"):
        build.build_definitions(Settings.load({"GBPM_DATASETS": "bmrs_mdi"}))


def test_every_table_of_the_catalogue_makes_an_asset() -> None:
    everything = build.build_definitions(Settings.load({"GBPM_DATASETS": ",".join(DATASETS)}))
    graph = everything.get_repository_def().asset_graph
    assert {k.to_user_string() for k in graph.get_all_asset_keys()} == {
        *DATASETS,
        *DERIVED,
        openapi_asset.ASSET,
        KNOWN_GAPS,
        SCORECARD,
    }
    assert len(graph.asset_check_keys) == 4 * len(DATASETS) + 1 + 3


@pytest.mark.parametrize(
    "environ",
    [
        {"GBPM_HISTORY_START": "2010-01-01"},  # tables begin on different days
        {"GBPM_SCOPE_FILE": str(RECORDINGS / "scope.json"), "GBPM_NOW": "2026-03-30T12:00:00Z"},  # the demo's
    ],
)
def test_tables_may_have_different_partitions(environ: dict[str, str]) -> None:
    repository = build.build_definitions(Settings.load(environ)).get_repository_def()
    repository.load_all_definitions()
    graph = repository.asset_graph
    assert len({graph.get(key).partitions_def for key in graph.get_all_asset_keys()} - {None}) > 1


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("dagster._core.definitions.assets.graph.asset_graph_subset", "AssetGraphSubset"),
        ("dagster._core.execution.backfill", "BulkActionsFilter"),
        ("dagster._core.execution.backfill", "BulkActionStatus"),
        ("dagster._core.execution.backfill", "PartitionBackfill"),
        ("dagster._core.storage.dagster_run", "NOT_FINISHED_STATUSES"),
        ("dagster._daemon.controller", "DEFAULT_DAEMON_INTERVAL_SECONDS"),
        ("dagster._daemon.cli", "main"),
    ],
)
def test_the_internals_in_use_are_in_the_pinned_dagster(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name), f"dagster {version('dagster')} has no {module}.{name}"


def test_the_job_of_all_assets_has_its_name() -> None:
    from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME

    assert jobs.ASSET_JOB == IMPLICIT_ASSET_JOB_NAME


def test_the_daemon_looks_at_backfills_as_often_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's loop reads the number anew when it starts, from this name; else the setting would do nothing."""
    from dagster._daemon import backfill, controller

    monkeypatch.setattr(controller, "DEFAULT_DAEMON_INTERVAL_SECONDS", 30)
    internal.look_at_backfills_every(7)
    assert controller.DEFAULT_DAEMON_INTERVAL_SECONDS == 7
    source = Path(str(backfill.__file__)).read_text(encoding="utf-8")
    assert "    from dagster._daemon.controller import DEFAULT_DAEMON_INTERVAL_SECONDS" in source
