"""The healer with the real daemon and a real server: holes over three tables, an outage, two kills of the daemon.

The server's log is the witness: nothing is asked that the planner does not need for the days that were missing, and
nothing twice but what was not answered.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from gbpm_dagster.catalogue import get
from gbpm_dagster.demo.replay import Answered, ReplayServer
from gbpm_dagster.demo.withhold import Withholding
from gbpm_dagster.elexon.plan import plan, request
from gbpm_dagster.orchestration import services
from gbpm_dagster.orchestration.checks import last_gaps, store
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.internal import (
    BACKFILL_TAG,
    PartitionBackfill,
    days_asked,
)
from gbpm_dagster.orchestration.partitions import RANGE_END, RANGE_START
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.register import entries
from gbpm_dagster.settings import Settings
from gbpm_dagster_tests.e2e.healers import (
    faults_of_sequence,
    healing_backfills,
    kill_daemon_and_start_again,
    wait,
)
from gbpm_dagster_tests.orchestration.conftest import days

WEEK = ("2024-01-01", "2024-01-07")
TABLES = ("bmrs_costs", "bmrs_mid", "bmrs_indo")
HOLES = [
    {"table": "bmrs_mid", "day": "2024-01-02"},
    {"table": "bmrs_mid", "day": "2024-01-04"},
    {"table": "bmrs_costs", "day": "2024-01-03", "periods": [17, 18, 35]},
    {"table": "bmrs_costs", "day": "2024-01-06"},
    {"table": "bmrs_indo", "day": "2024-01-05"},
]
LOST = ("bmrs_mid", date(2024, 1, 4))
MISSING = {(str(h["table"]), date.fromisoformat(str(h["day"]))) for h in HOLES}
OUTAGE = [
    *({**h, "periods": [], "kind": "storm", "status": 503, "times": 2} for h in HOLES if h["day"] != "2024-01-04"),
    {"table": "bmrs_mid", "day": "2024-01-04", "until_answers": 1000},  # the source does not have it
]
TRIES = 2
WITHIN_S = 240.0


@pytest.fixture
def replay() -> Iterator[ReplayServer]:
    with ReplayServer(withhold=Withholding.of(HOLES)) as running:
        yield running


@pytest.fixture
def environ(tmp_path: Path, replay: ReplayServer) -> dict[str, str]:
    scope = tmp_path / "scope.json"
    scope.write_text(json.dumps({table: [WEEK] for table in TABLES}))
    return {
        "GBPM_HOME": str(tmp_path / "home"),
        "GBPM_STATE_DIR": str(tmp_path / "state"),
        "GBPM_SCOPE_FILE": str(scope),
        "GBPM_NOW": "2024-01-20T12:00:00Z",
        "GBPM_HISTORY_START": "2022-01-01",
        "GBPM_DATASETS": "",
        "GBPM_PORT": "0",
        "GBPM_BACKFILL_INTERVAL_SECONDS": "1",
        "GBPM_HEAL_INTERVAL_SECONDS": "5",
        "GBPM_HEAL_COOLDOWN_SECONDS": "2",
        "GBPM_HEAL_DELAYS_SECONDS": "4,4,4,4,4",
        "GBPM_HEAL_PROBE_SECONDS": "4",
        "GBPM_HEAL_REQUESTS_A_DAY": "60",
        "GBPM_PROOF_SPAN_SECONDS": "3",  # the 24 hours of decision 7
        "ELEXON_BASE_URL": replay.base_url,
        "ELEXON_MAX_ATTEMPTS": str(TRIES),
        "ELEXON_MAX_REQUESTS_PER_SECOND": "200",
        "ELEXON_BACKOFF_SECONDS": "0.01",
    }


@pytest.mark.e2e
def test_holes_an_outage_and_two_kills_end_in_one_bounded_sequence(
    environ: dict[str, str], replay: ReplayServer
) -> None:
    settings = Settings.load(environ)
    runtime = Runtime(settings)
    for table in TABLES:
        list(runtime.load(get(table), days(*WEEK), run_id="first", reason="backfill"))
    replay.withholding = Withholding.of(OUTAGE)
    before = len(replay.requests)
    with open_instance(settings) as instance:
        found = runtime.checks(which=("gaps",))
        assert {(r.table, d) for r in found for d in r.missing} == MISSING
        store(instance, found)
        with services.running(settings, environ) as up:
            wait(lambda: healing_backfills(instance), "the first healing backfill", settings, WITHIN_S)
            kill_daemon_and_start_again(up, environ, settings)  # asked for, perhaps not begun
            wait(lambda: _under_way(instance, 2), "a run of the second backfill", settings, WITHIN_S)
            kill_daemon_and_start_again(up, environ, settings)  # in the middle
            wait(lambda: _ended(instance, runtime), "the end of healing", settings, WITHIN_S)
            time.sleep(settings.heal_interval_s + 2)  # one more look
            healing = healing_backfills(instance)
            spans = _ranges(instance, healing)
            assert {table: last_gaps(instance, table) for table in TABLES} == {table: [] for table in TABLES}
    _check_sequence(healing)
    _check_lake(runtime)
    _check_requests(replay.requests[before:], spans)


def _check_sequence(healing: list[PartitionBackfill]) -> None:
    """One after the other, few, none twice."""
    assert 3 <= len(healing) <= 8
    assert faults_of_sequence(healing) == []
    assert all(b.tags["gbpm/why"] for b in healing)
    # The outage ended the first; then the source was probed with one day.
    probes = [b for b in healing if b.tags["gbpm/why"].startswith("probe of a source that is down: ")]
    assert probes
    assert all(sum(map(len, days_asked(b).values())) == 1 for b in probes)


def _check_lake(runtime: Runtime) -> None:
    """Every day is there but the one the source lacks, which is in the register with its evidence."""
    for table in TABLES:
        states = dict(runtime.coverage(get(table)).select("day", "state").iter_rows())
        assert {d for d, state in states.items() if state != "complete"} == ({LOST[1]} if table == LOST[0] else set())
        assert set(states.values()) <= {"complete", "missing_at_source"}
    (entry,) = [e for e in entries(runtime.lake.known_gaps()) if e.status.value != "resolved"]
    assert (entry.table, entry.first, entry.last) == (*LOST, LOST[1])
    assert (entry.status, entry.by) == ("missing_at_source", "healer")
    evidence = json.loads(entry.evidence)
    assert evidence["control"]["rows"] == 96
    assert len(evidence["answers"]) >= 2
    assert evidence["requests"] == ["/datasets/MID?from=2024-01-04T00:00Z&to=2024-01-05T00:00Z"]
    tries = runtime.lake.attempts().filter((pl.col("reason") == "heal") & (pl.col("error_class") != "transient"))
    counted = Counter(tries.select("table", "day").iter_rows())
    # One each: the outage was no attempt, and of the lost day the first backfill's empty answer was the first proof.
    assert counted == dict.fromkeys(MISSING, 1)


def _check_requests(log: list[Answered], spans: list[tuple[str, list[date]]]) -> None:
    """Each request is one that the planner makes for missing days of a range, as often as there were such ranges."""
    planned: Counter[tuple[str, Any]] = Counter()
    for table, wanted in spans:
        missing = [d for d in wanted if (table, d) in MISSING]
        for some in {tuple(missing), *((d,) for d in missing)}:  # what was filled since is left out
            for window in plan(get(table), some):
                asked = request(get(table), window)
                planned[asked.path, asked.params] += 1
    made = Counter((r.path, r.params) for r in log)
    assert set(made) <= set(planned)
    answered = Counter((r.path, r.params) for r in log if r.status == 200)
    touched = Counter((r.table, d) for r in log if r.status == 200 for d in r.days if (r.table, d) in MISSING)
    assert touched == dict.fromkeys(MISSING, 1)
    assert sum(answered.values()) <= len(MISSING)
    assert len(log) <= 60, "the day's budget"
    assert {r.status for r in log} == {200, 503}


def _ranges(instance: dg.DagsterInstance, healing: list[PartitionBackfill]) -> list[tuple[str, list[date]]]:
    """Table and days of every run of those backfills."""
    found = []
    for backfill in healing:
        for run in instance.get_runs(filters=dg.RunsFilter(tags={BACKFILL_TAG: backfill.backfill_id})):
            first = run.tags.get(RANGE_START, run.tags.get("dagster/partition", ""))
            span = days(first, run.tags.get(RANGE_END, first))
            found += [(key.to_user_string(), span) for key in run.asset_selection or ()]
    return found


def _under_way(instance: dg.DagsterInstance, number: int) -> bool:
    found = healing_backfills(instance)
    if len(found) < number:
        return False
    return bool(instance.get_runs(filters=dg.RunsFilter(tags={BACKFILL_TAG: found[number - 1].backfill_id})))


def _ended(instance: dg.DagsterInstance, runtime: Runtime) -> bool:
    open_gaps = any(last_gaps(instance, table) != [] for table in TABLES)
    running = any(not b.status.value.startswith("COMPLETED") for b in healing_backfills(instance))
    return not open_gaps and not running and not runtime.lake.known_gaps().is_empty()
