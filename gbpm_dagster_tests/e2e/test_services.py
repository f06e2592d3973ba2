"""The real webserver, daemon and code server: a backfill with gaps, one healing backfill, green checks, the UI.

One test, because starting the services is what costs: `test_ui` looks at the pages of the same session.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import httpx
import polars as pl
import pytest

from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.demo.withhold import Withholding
from gbpm_dagster.orchestration import launch, services
from gbpm_dagster.orchestration.checks import MISSING, last_gaps
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.internal import HEAL_TAG, BulkActionsFilter, PartitionBackfill
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.home import HomeInUse
from gbpm_dagster_tests.e2e import test_ui

WEEK, LONG_DAY = ("2024-01-01", "2024-01-07"), ("2024-10-27", "2024-10-27")
PERIODS = 7 * 48 + 50
TABLES = ("bmrs_costs", "bmrs_mid", "bmrs_indo")
WITHHELD = [
    {"table": "bmrs_mid", "day": "2024-01-04", "kind": "day"},
    {"table": "bmrs_costs", "day": "2024-01-05", "periods": [17, 18, 35]},
    {
        "table": "bmrs_indo",
        "day": "2024-01-06",
        "kind": "storm",
        "status": 503,
        "times": 8,
    },  # the client tries six times
]
MISSED = {"bmrs_mid": date(2024, 1, 4), "bmrs_costs": date(2024, 1, 5), "bmrs_indo": date(2024, 1, 6)}
HEALED_WITHIN_S = 240.0


@pytest.fixture
def replay() -> Iterator[ReplayServer]:
    with ReplayServer(withhold=Withholding.of(WITHHELD)) as running:
        yield running


@pytest.fixture
def environ(tmp_path: Path, replay: ReplayServer) -> dict[str, str]:
    scope = tmp_path / "scope.json"
    scope.write_text(json.dumps({table: [WEEK, LONG_DAY] for table in TABLES}))
    return {
        "GBPM_HOME": str(tmp_path / "home"),
        "GBPM_STATE_DIR": str(tmp_path / "state"),
        "GBPM_SCOPE_FILE": str(scope),
        "GBPM_NOW": "2024-10-28T12:00:00Z",
        "GBPM_HISTORY_START": "2022-01-01",
        "GBPM_DATASETS": "",
        "GBPM_PORT": "0",
        "GBPM_BACKFILL_INTERVAL_SECONDS": "1",
        "GBPM_HEAL_INTERVAL_SECONDS": "5",
        "GBPM_HEAL_COOLDOWN_SECONDS": "3600",  # a second healing backfill would be one too many
        "ELEXON_BASE_URL": replay.base_url,
        "ELEXON_MAX_REQUESTS_PER_SECOND": "200",
        "ELEXON_BACKOFF_SECONDS": "0.01",
    }


@pytest.mark.e2e
def test_a_gap_is_found_healed_once_and_shown(environ: dict[str, str]) -> None:
    settings = Settings.load(environ)
    runtime = Runtime(settings)
    with services.running(settings, environ) as up, open_instance(settings) as instance:
        pids = {name: process.pid for name, process in up.processes.items()}
        assert set(pids) == {"code server", "daemon", "webserver"}
        assert services.address(settings) == up.url
        with pytest.raises(HomeInUse), services.running(settings, environ):
            pass

        work = {table: runtime.wanted(runtime.named([table])[0]) for table in TABLES}
        done = launch.backfill(runtime, instance, work, services=up.url)
        assert [key for key, outcome in done.outcomes.items() if not outcome.ok] == [
            ("bmrs_indo", MISSED["bmrs_indo"])
        ]
        healing = _healed(instance, runtime)

        assert len(done.runs) == 1  # three tables, the same days, none wanted in between: one run
        assert _asked(healing) == {table: {day.isoformat()} for table, day in MISSED.items()}
        assert {table: _planned(instance, table) for table in TABLES} == dict.fromkeys(TABLES, 0)
        assert _first_verdicts(instance) == {table: [day.isoformat()] for table, day in MISSED.items()}
        for table in TABLES:
            assert set(runtime.coverage(runtime.named([table])[0])["state"]) == {"complete"}
        held = runtime.lake.evidence().group_by("table").agg(pl.col("rows").sum()).sort("table").rows()
        assert held == [("bmrs_costs", PERIODS), ("bmrs_indo", PERIODS), ("bmrs_mid", 2 * PERIODS)]  # two providers
        assert not up.ended()
        test_ui.look(up.url, healing.backfill_id)

    assert services.address(settings) is None
    # Python's own resource tracker ends a moment after the process that it served.
    deadline = time.monotonic() + 15
    while _left(pids.values(), settings.home) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _left(pids.values(), settings.home) == []
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{up.url}/server_info", timeout=5)


def _healed(instance: dg.DagsterInstance, runtime: Runtime) -> PartitionBackfill:
    """The one healing backfill, when it has ended and every gap check has passed."""
    deadline = time.monotonic() + HEALED_WITHIN_S
    while time.monotonic() < deadline:
        found = instance.get_backfills(filters=BulkActionsFilter(tags={HEAL_TAG: "gaps"}))
        assert len(found) <= 1
        if found and found[0].status.value.startswith("COMPLETED"):
            assert found[0].status.value == "COMPLETED_SUCCESS"
            assert all(last_gaps(instance, table) == [] for table in TABLES)
            return found[0]
        time.sleep(0.5)
    verdicts = {table: last_gaps(instance, table) for table in TABLES}
    raise AssertionError(f"not healed after {HEALED_WITHIN_S:.0f} s: {verdicts}; logs: {runtime.settings.logs}")


def _asked(backfill: PartitionBackfill) -> dict[str, set[str]]:
    assert backfill.asset_backfill_data is not None
    target = backfill.asset_backfill_data.target_subset
    return {
        key.to_user_string(): set(subset.get_partition_keys())
        for key, subset in target.partitions_subsets_by_asset_key.items()
    }


def _planned(instance: dg.DagsterInstance, table: str) -> int:
    """Gap checks of runs that have ended and are still shown as planned."""
    key = dg.AssetCheckKey(dg.AssetKey(table), "gaps")
    found = instance.event_log_storage.get_asset_check_execution_history(key, limit=200)
    return sum(record.status.value == "PLANNED" for record in found)


def _first_verdicts(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """What the first gap check of each table said was missing, in Dagster's own record; it failed."""
    found = {}
    for table in TABLES:
        key = dg.AssetCheckKey(dg.AssetKey(table), "gaps")
        first = instance.event_log_storage.get_asset_check_execution_history(key, limit=50)[-1]
        assert first.event is not None
        assert first.event.dagster_event is not None
        evaluation = first.event.dagster_event.asset_check_evaluation_data
        assert not evaluation.passed
        found[table] = list(evaluation.metadata[MISSING].value)
    return found


def _left(pids: Iterable[int], home: Path) -> list[str]:
    """Processes still alive: the services by pid, and, where /proc tells, whatever they started for this home."""
    found = [f"pid {pid}" for pid in pids if _alive(pid)]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"GBPM_HOME={home}".encode() in (process / "environ").read_bytes():
                found.append(f"{process.name}: {(process / 'cmdline').read_text()[:200]}")
        except OSError:
            continue
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
