"""Backfills in this process, and what is left of runs whose process was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date

import dagster as dg

from gbpm_dagster.orchestration import launch
from gbpm_dagster.orchestration.instance import PID_TAG, fail_orphans
from gbpm_dagster.warehouse.protocol import Outcome
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker, days


def test_a_backfill_is_one_run_a_table_and_range_recorded_in_the_instance(home: HomeMaker) -> None:
    here = home([{"table": "bmrs_indo", "day": "2024-01-06", "kind": "storm", "times": 99}])
    heard: list[Outcome] = []
    work = {
        "bmrs_mid": [*days("2024-01-01", "2024-01-02"), *days("2024-01-05")],
        "bmrs_indo": days("2024-01-05", "2024-01-06"),
    }
    done = launch.backfill(here.runtime, here.instance, work, listener=heard.append)
    runs = {r.run_id: r for r in here.instance.get_runs()}
    assert set(done.runs) == set(runs)
    spans = sorted(
        (
            *(k.to_user_string() for k in r.asset_selection or ()),
            r.tags[launch.RANGE_START],
            r.tags[launch.RANGE_END],
            r.status.value,
        )
        for r in runs.values()
    )
    assert spans == [
        ("bmrs_indo", "2024-01-05", "2024-01-06", "FAILURE"),
        ("bmrs_mid", "2024-01-01", "2024-01-02", "SUCCESS"),
        ("bmrs_mid", "2024-01-05", "2024-01-05", "SUCCESS"),
    ]
    asked = {(t, d) for t, wanted in work.items() for d in wanted}
    assert {(o.table, o.day) for o in heard} == set(done.outcomes) == asked
    assert [k for k, o in done.outcomes.items() if not o.ok] == [("bmrs_indo", date(2024, 1, 6))]
    assert here.replay is not None
    assert done.requests == len(here.replay.requests)
    assert all(r.tags[PID_TAG] == str(os.getpid()) for r in runs.values())


def test_nothing_to_do_is_no_run(home: HomeMaker) -> None:
    here = home(replay=False)
    assert launch.backfill(here.runtime, here.instance, {}).runs == []
    assert launch.backfill(here.runtime, here.instance, {"bmrs_mid": []}).runs == []
    assert here.instance.get_runs() == []


def _run(here: Home, tags: Mapping[str, str]) -> dg.DagsterRun:
    job = here.defs.resolve_implicit_global_asset_job_def()
    return here.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)


def test_runs_of_killed_processes_are_failed_and_no_others(home: HomeMaker) -> None:
    here = home(replay=False)
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    orphan = _run(here, {PID_TAG: str(gone.pid)})
    mine, daemons = _run(here, {PID_TAG: str(os.getpid())}), _run(here, {})
    assert fail_orphans(here.instance) == [orphan.run_id]

    def status(run: dg.DagsterRun) -> str:
        found = here.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found.status.value

    assert (status(orphan), status(mine), status(daemons)) == ("FAILURE", "STARTED", "STARTED")
    assert fail_orphans(here.instance) == []
