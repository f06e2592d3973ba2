"""The drain and its sensor: a real broker, a real landing and lake, Dagster's own runs in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from gbpm_dagster.catalogue.streams import STREAMED
from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.demo.broker import Broker
from gbpm_dagster.iris import receiver as receiving
from gbpm_dagster.orchestration import stream, stream_job
from gbpm_dagster.orchestration.stream import AlreadyDraining, Drain, Told, lock_of
from gbpm_dagster.orchestration.stream_job import in_the_way, run_label
from gbpm_dagster.orchestration.stream_status import limits, stream_status
from gbpm_dagster.warehouse.home import hold
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "WAIT_S", 0.3)
    monkeypatch.setattr(stream, "LOAD_EVERY_S", 0.5)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def streaming(home: HomeMaker, broker: Broker) -> Home:
    return home(
        replay=False,
        GBPM_NOW="",
        IRIS_QUEUE="iris",
        IRIS_CONNECTION_STRING=broker.connection_string,
        IRIS_MIN_FREE_GIB="0",
        IRIS_DRAIN_SECONDS="5",
    )


def publish(broker: Broker, minutes: range) -> None:
    """A message a minute of frequency, each of one row, as Elexon encodes them: JSON in a JSON string."""
    for minute in minutes:
        at = f"2026-07-02T10:{minute:02}:15.000Z"
        rows = [{"dataset": "FREQ", "measurementTime": at, "frequency": 50.0}]
        name = f"FREQ_2026070210{minute:02}.json"
        broker.publish(
            json.dumps(json.dumps(rows)).encode(),
            subject="FREQ",
            message_id=name,
            properties={"source_file_name": name},
        )


def frequencies(home: Home) -> int:
    return int(home.runtime.lake.ledger.messages()["written"].sum() or 0)


def test_a_drain_takes_what_waits_and_tells_what_it_did(streaming: Home, broker: Broker) -> None:
    publish(broker, range(10))
    publish(broker, range(5))  # sent again
    broker.publish(b"\xff", subject="FREQ", message_id="bad.json")
    broker.publish(b'"[]"', subject="NEWCODE", message_id="new.json")
    told: list[Told] = []
    done = Drain(streaming.runtime, "test", tell=told.extend).run(None)
    assert broker.depth() == (0, 0, 0)
    assert done.received["completed"] == 17
    assert dict(done.statuses) == {"loaded": 10, "undecodable": 1, "unknown": 1}  # the same file is landed once
    assert (done.rows["fetched"], done.rows["written"], done.waiting) == (10, 10, 0)
    assert {t.table: (t.counts["messages"], t.counts["written"]) for t in told} == {"bmrs_freq_iris": (11, 10)}
    assert max(done.lag_s) < 60


def test_a_run_materialises_the_tables_it_fed(streaming: Home, broker: Broker) -> None:
    publish(broker, range(3))
    found = streaming.defs.get_job_def("iris_drain").execute_in_process(instance=streaming.instance)
    assert found.success
    event = streaming.instance.get_latest_materialization_event(dg.AssetKey("bmrs_freq_iris"))
    assert event is not None and event.asset_materialization is not None
    metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert (metadata["messages"], metadata["rows"], metadata["quarantined"]) == (3, 3, 0)
    assert 0 < metadata["lag seconds"] <= metadata["longest lag seconds"] < 60
    assert event.run_id == found.run_id


def test_a_second_drain_is_refused_and_says_who_drains(streaming: Home, broker: Broker) -> None:
    publish(broker, range(2))
    with hold(lock_of(streaming.runtime), "run 123"), pytest.raises(AlreadyDraining, match="run 123"):
        Drain(streaming.runtime, "test").run(None)
    assert broker.depth()[0] == 2


def test_too_little_space_ends_the_drain_with_its_reason(home: HomeMaker, broker: Broker) -> None:
    publish(broker, range(2))
    full = home(
        replay=False, IRIS_QUEUE="iris", IRIS_CONNECTION_STRING=broker.connection_string, IRIS_MIN_FREE_GIB="10000"
    )
    with pytest.raises(CannotWork, match="IRIS_MIN_FREE_GIB"):
        Drain(full.runtime, "test").run(30)
    assert broker.depth()[0] == 2


def test_a_folder_that_elexons_client_fills_is_a_source(home: HomeMaker, tmp_path: Path) -> None:
    folder = tmp_path / "theirs" / "FREQ"
    folder.mkdir(parents=True)
    rows = [{"dataset": "FREQ", "measurementTime": "2026-07-02T10:00:15Z", "frequency": 50.0}]
    file = folder / "FREQ_1.json"
    file.write_text(json.dumps(rows))
    os.utime(file, (time.time() - 60, time.time() - 60))
    found = home(replay=False, IRIS_FOLDER=str(folder.parent))
    done = Drain(found.runtime, "test").run(None)
    assert (done.rows["written"], file.exists()) == (1, False)


# --- the sensor


def tick(home: Home) -> str:
    """What the sensor says: "run" when it asks for a drain, else why not."""
    sensor = home.defs.get_sensor_def("iris")
    context = dg.build_sensor_context(instance=home.instance, definitions=home.defs)
    found = sensor(context)
    return "run" if isinstance(found, dg.RunRequest) else str(found.skip_message)


def started(home: Home, status: dg.DagsterRunStatus, seconds_ago: float = 0.0) -> dg.DagsterRun:
    run = create_run_for_test(home.instance, job_name="iris_drain", status=status)
    with home.instance.run_storage.connect() as connection:
        from dagster._core.storage.runs.schema import RunsTable

        values = {"start_time": time.time() - seconds_ago}
        connection.execute(RunsTable.update().where(RunsTable.c.run_id == run.run_id).values(**values))
    return run


def test_the_sensor_asks_for_a_drain_when_none_is_under_way(streaming: Home) -> None:
    assert tick(streaming) == "run"


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
)
def test_never_two_drains(streaming: Home, status: dg.DagsterRunStatus) -> None:
    run = started(streaming, status)
    assert tick(streaming) == f"run {run.run_id} is draining: one at a time"


def test_a_run_whose_process_died_makes_place(streaming: Home) -> None:
    run = started(streaming, dg.DagsterRunStatus.STARTED, seconds_ago=3600)
    assert tick(streaming) == "run"
    record = streaming.instance.get_run_by_id(run.run_id)
    assert record is not None and record.status is dg.DagsterRunStatus.FAILURE
    assert tick(streaming) == "run"  # a death says nothing against the next: no pause


def test_a_run_that_still_holds_the_queue_is_alive_however_long_it_has_run(streaming: Home) -> None:
    run = started(streaming, dg.DagsterRunStatus.STARTED)
    code = (
        "import sys; from pathlib import Path; from gbpm_dagster.warehouse.home import hold\n"
        f"with hold(Path({str(lock_of(streaming.runtime))!r}), {run_label(run.run_id)!r}):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    lock_of(streaming.runtime).parent.mkdir(parents=True, exist_ok=True)
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    assert tick(streaming) == f"run {run.run_id} is draining: one at a time"
    holder.kill()
    holder.wait()
    assert tick(streaming) == "run"


def test_a_drain_by_hand_keeps_the_sensor_off(streaming: Home) -> None:
    lock_of(streaming.runtime).parent.mkdir(parents=True, exist_ok=True)
    with hold(lock_of(streaming.runtime), "gbpm iris drain"):
        assert "gbpm iris drain" in tick(streaming)


def test_after_a_drain_that_failed_by_its_own_fault_the_sensor_waits(
    streaming: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise CannotWork("the disk is full")

    monkeypatch.setattr(Drain, "run", fail)
    job = streaming.defs.get_job_def("iris_drain")
    assert not job.execute_in_process(instance=streaming.instance, raise_on_error=False).success
    assert "the last drain failed" in in_the_way(streaming.instance, streaming.runtime)
    monkeypatch.setattr(stream_job, "PAUSE_S", 0.0)
    assert tick(streaming) == "run"


def test_without_a_stream_the_sensor_is_off_and_there_are_no_tables_of_it(home: HomeMaker) -> None:
    plain = home(replay=False)
    assert plain.defs.get_sensor_def("iris").default_status is dg.DefaultSensorStatus.STOPPED
    assert tick(plain).startswith("no stream is configured")
    keys = plain.defs.resolve_asset_graph().get_all_asset_keys()
    assert not any(key.to_user_string().endswith("_iris") for key in keys)


def test_every_code_but_mels_and_mils_is_an_asset(streaming: Home) -> None:
    keys = {key.to_user_string() for key in streaming.defs.resolve_asset_graph().get_all_asset_keys()}
    wanted = {f"{d.table}_iris" for code, d in STREAMED.items() if code not in ("MELS", "MILS")}
    assert {key for key in keys if key.endswith("_iris")} == wanted


# --- how it is


def test_the_status_is_judged_by_the_newest_message(streaming: Home, broker: Broker) -> None:
    assert stream_status(streaming.runtime)["state"] == "no messages"
    publish(broker, range(4))
    broker.publish(b'"[]"', subject="NEWCODE", message_id="new.json")
    Drain(streaming.runtime, "test").run(None)
    found = stream_status(streaming.runtime)
    assert (found["state"], found["draining"], found["waiting"]["files"]) == ("ok", None, 0)
    assert found["last_24h"]["written"] == 4 and found["unknown_codes"] == {"NEWCODE": 1}
    assert found["messages_a_minute"] == 0.5  # 5 in ten minutes
    assert found["dead_letters"]["count"] == 0
    codes = {code["code"]: code for code in found["codes"]}
    assert (codes["FREQ"]["state"], codes["FREQ"]["messages_24h"], codes["FREQ"]["rows_24h"]) == ("ok", 4, 4)
    assert codes["BOALF"]["state"] == "no messages"
    assert found["lag_s"]["p95"] < 60


@pytest.mark.parametrize(("minutes", "state"), [(29, "ok"), (31, "warn"), (59, "warn"), (61, "fail")])
def test_a_code_is_ok_below_30_minutes_warns_below_60_and_fails_then(
    streaming: Home, broker: Broker, minutes: int, state: str
) -> None:
    rows = [{"dataset": "FREQ", "measurementTime": "2026-07-02T10:00:15Z", "frequency": 50.0}]
    sent = time.time() - 60 * minutes
    broker.publish(json.dumps(rows).encode(), subject="FREQ", message_id="f.json", enqueued=sent)
    Drain(streaming.runtime, "test").run(None)
    codes = {code["code"]: code for code in stream_status(streaming.runtime)["codes"]}
    assert codes["FREQ"]["state"] == state


def test_limits_are_never_shorter_than_a_tables_own() -> None:
    for dataset in STREAMED.values():
        found = limits(dataset)
        if found is not None:
            assert found[0] >= dataset.freshness.warn and found[1] >= dataset.freshness.fail
            assert (found[0].total_seconds(), found[1].total_seconds()) >= (1800, 3600)
