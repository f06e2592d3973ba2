"""`gbpm iris`: what it prints, its exit codes, and that no secret is in any of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gbpm_dagster.demo.broker import KEY, Broker
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import Gbpm

ROWS = [{"dataset": "FREQ", "measurementTime": "2026-07-02T10:00:15.000Z", "frequency": 50.0}]


@pytest.fixture
def gbpm(make_gbpm: MakeGbpm) -> Gbpm:
    return make_gbpm()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


def environ(broker: Broker) -> dict[str, str]:
    return {"IRIS_QUEUE": "iris", "IRIS_CONNECTION_STRING": broker.connection_string, "IRIS_MIN_FREE_GIB": "0"}


def test_drain_loads_what_waits_and_status_tells(gbpm: Gbpm, broker: Broker) -> None:
    broker.publish(json.dumps(json.dumps(ROWS)).encode(), subject="FREQ", message_id="f.json")
    done = gbpm("iris", "drain", "--json", **environ(broker))
    assert done.code == 0
    assert (done.json["tables"], done.json["waiting"]) == ({"bmrs_freq_iris": 1}, 0)
    assert done.json["statuses"] == {"loaded": 1}
    broker.publish(b"\xff", subject="FREQ", message_id="bad.json")
    again = gbpm("iris", "drain", **environ(broker))
    assert again.code == 3
    assert "1 messages could not be read or stored" in again.out
    found = gbpm("iris", "status", "--json", **environ(broker))
    assert (found.code, found.json["state"], found.json["last_24h"]["undecodable"]) == (0, "ok", 1)
    told = gbpm("iris", "status", **environ(broker))
    assert f"queue iris at 127.0.0.1:{broker.port}; nobody drains it" in told.out
    short = gbpm("status", "--json", GBPM_DATASETS="bmrs_freq", **environ(broker)).json["stream"]
    assert (short["state"], short["waiting"]["files"]) == ("ok", 0)
    assert "stream: last message" in gbpm("status", GBPM_DATASETS="bmrs_freq", **environ(broker)).out
    assert not any(secret in text for text in (done.out, again.out, found.out, told.out) for secret in (KEY,))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "no stream is configured: set IRIS_QUEUE"),
        ({"IRIS_QUEUE": "q"}, "IRIS_CLIENT_ID and IRIS_CLIENT_SECRET not set"),
        ({"IRIS_CONNECTION_STRING": "hush-hush"}, "IRIS_CONNECTION_STRING cannot be read"),
    ],
)
def test_what_lacks_is_said_in_one_line(gbpm: Gbpm, given: dict[str, str], words: str) -> None:
    done = gbpm("iris", "drain", **given)
    assert (done.code, done.out) == (1, "")
    assert words in done.err and "hush" not in done.err
    assert len(done.err.splitlines()) == 1


def test_a_code_that_there_is_not_is_bad_usage(gbpm: Gbpm) -> None:
    done = gbpm("iris", "status", IRIS_CODES="FREQ,NOPE")
    assert done.code == 2
    assert "IRIS_CODES" in done.err and "no code NOPE" in done.err


def test_config_hides_the_secrets(gbpm: Gbpm, broker: Broker) -> None:
    found = gbpm("config", "--json", IRIS_CLIENT_SECRET="hush-hush", **environ(broker))
    shown = {s["variable"]: s["value"] for s in found.json["settings"]}
    assert shown["IRIS_CLIENT_SECRET"] == shown["IRIS_CONNECTION_STRING"] == "(set, hidden)"
    assert "hush" not in found.out and KEY not in found.out
