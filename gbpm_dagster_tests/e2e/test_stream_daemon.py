"""The stream under the real daemon: drains follow each other, one at a time, whatever is killed; nothing is lost."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus, RunsFilter

from gbpm_dagster.demo.broker import Broker
from gbpm_dagster.orchestration import services
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.orchestration.stream_job import JOB
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.home import held_by

SECONDS = 5
"""Of a drain: the shortest that is allowed."""

FIRST = datetime(2026, 7, 2, tzinfo=UTC)


@contextmanager
def publishing(broker: Broker) -> Iterator[itertools.count[int]]:
    """Four messages a second of one row each, until the block ends; yields the count of those that were sent."""
    numbers, ended = itertools.count(), threading.Event()

    def publish() -> None:
        while not ended.wait(0.25):
            number = next(numbers)
            at = FIRST + timedelta(seconds=15 * number)
            rows = [{"dataset": "FREQ", "measurementTime": f"{at:%Y-%m-%dT%H:%M:%S.000Z}", "frequency": 50.0}]
            broker.publish(json.dumps(json.dumps(rows)).encode(), subject="FREQ", message_id=f"FREQ_{number}.json")

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield numbers
    finally:
        ended.set()
        thread.join()


def loaded(runtime: Runtime) -> int:
    return int(runtime.lake.sql("SELECT count(*) AS n FROM bmrs_freq_iris")["n"][0])


def until(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def drains(instance: dg.DagsterInstance) -> list[dg.RunRecord]:
    return sorted(instance.get_run_records(filters=RunsFilter(job_name=JOB)), key=lambda r: r.create_timestamp)


def ended(instance: dg.DagsterInstance, status: DagsterRunStatus) -> int:
    return sum(r.dagster_run.status is status for r in drains(instance))


@pytest.mark.e2e
def test_drains_follow_each_other_and_survive_kills(tmp_path: Path) -> None:
    with Broker(lock_s=10) as broker, publishing(broker) as numbers:
        environ = {
            "GBPM_HOME": str(tmp_path / "home"),
            "GBPM_STATE_DIR": str(tmp_path / "state"),
            "GBPM_DATASETS": "bmrs_freq",
            "GBPM_HEAL": "false",
            "GBPM_PORT": "0",
            "ELEXON_BASE_URL": "http://127.0.0.1:9",
            "IRIS_QUEUE": "iris",
            "IRIS_CONNECTION_STRING": broker.connection_string,
            "IRIS_DRAIN_SECONDS": str(SECONDS),
            "IRIS_MIN_FREE_GIB": "0",
        }
        settings = Settings.load(environ)
        runtime = Runtime(settings)
        lock = settings.home / "state" / "iris.lock"
        with services.running(settings, environ) as up, open_instance(settings) as instance:
            until(lambda: ended(instance, DagsterRunStatus.SUCCESS) >= 2, "two drains in turn")
            holder: dict[str, int] = {}
            until(lambda: bool(holder.update(held_by(lock) or {}) or holder), "a drain that holds the queue")
            os.kill(holder["pid"], signal.SIGKILL)
            until(
                lambda: (held_by(lock) or holder)["what"] != holder["what"], "a drain after the one that was killed"
            )
            run = instance.get_run_by_id(str(holder["what"]).removeprefix("run "))
            assert run is not None and run.status is DagsterRunStatus.FAILURE
            up.processes["daemon"].kill()  # while that drain goes on
            until(lambda: up.ended() == "daemon", "the daemon's end")
        with services.running(settings, environ), open_instance(settings) as instance:
            sent = next(numbers)
            until(lambda: loaded(runtime) >= sent, "every message in the table")
            found = drains(instance)
            event = instance.get_latest_materialization_event(dg.AssetKey("bmrs_freq_iris"))
            assert event is not None and event.run_id in {r.dagster_run.run_id for r in found}
        assert broker.most_at_once == 1  # a receiver is a connection
        for one, other in itertools.pairwise(found):
            assert other.start_time is None or one.end_time is None or one.end_time <= other.start_time
        stamps = [r["measurementTime"] for r in runtime.lake.sql(
            "SELECT measurementTime FROM bmrs_freq_iris ORDER BY measurementTime"
        ).to_dicts()]  # fmt: skip
        gaps = [b - a for a, b in itertools.pairwise(stamps)]
        # `sent` itself was never published: it is the one gap there may be.
        assert sorted(set(gaps)) in ([timedelta(seconds=15)], [timedelta(seconds=15), timedelta(seconds=30)])
        assert len(stamps) == len(set(stamps)) and gaps.count(timedelta(seconds=30)) <= 1
