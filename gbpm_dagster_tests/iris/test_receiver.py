"""The receiver: the real client, a real broker over loopback, a real landing; nothing lost, nothing landed twice."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gbpm_dagster.demo.broker import KEY, Broker
from gbpm_dagster.iris import receiver as receiving
from gbpm_dagster.iris.access import Access, AccessError
from gbpm_dagster.iris.landing import Incoming, Landing, LandingError
from gbpm_dagster.iris.receiver import Blocked, Receiver

HOUR = 1_782_900_000.0
"""An instant of 2026-07-01, in seconds since 1970."""


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty queue is believed sooner than in earnest."""
    monkeypatch.setattr(receiving, "WAIT_S", 0.5)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(lock_s=20) as running:
        yield running


def access(broker: Broker) -> Access:
    return Access("iris", broker.connection_string)


def publish(broker: Broker, count: int, code: str = "FREQ") -> dict[str, bytes]:
    """{name: body} of messages that were put into the queue."""
    sent = {f"{code}_{n:04}.json": b'"[{\\"n\\": %d}]"' % n for n in range(count)}
    for number, (name, body) in enumerate(sent.items()):
        broker.publish(body, subject=code, properties={"source_file_name": name}, enqueued=HOUR + number)
    return sent


def waiting(folder: Path) -> dict[str, bytes]:
    landing = Landing(folder)
    found = [landing.read(file) for file in landing.waiting()]
    assert len({message.name for message in found}) == len(found)
    return {message.name: message.body for message in found}


def drain(broker: Broker, folder: Path, **options: Any) -> Receiver:
    found = Receiver(access(broker), Landing(folder), **options)
    found.run(threading.Event(), until_empty=True)
    return found


def test_what_waits_is_landed_as_it_came_and_completed(broker: Broker, tmp_path: Path) -> None:
    sent = publish(broker, 120)
    steps: list[str] = []
    done = drain(broker, tmp_path, fault=steps.append).done
    assert waiting(tmp_path) == sent
    assert broker.depth() == (0, 0, 0)
    assert (done.messages, done.completed, done.by_code) == (120, 120, {"FREQ": 120})
    assert done.newest["FREQ"].timestamp() == HOUR + 119
    assert steps.index("landed") < steps.index("completed")
    landed = Landing(tmp_path).waiting()[0]
    message = Landing.read(landed)
    assert (message.subject, message.enqueued_at and message.enqueued_at.timestamp()) == ("FREQ", HOUR)
    assert message.properties["source_file_name"] == "FREQ_0000.json"


def test_odd_messages_are_landed_too(broker: Broker, tmp_path: Path) -> None:
    broker.publish(b"\xff\xfe no JSON", subject="FREQ", properties={"source_file_name": "../../etc/passwd"})
    broker.publish(b"", subject="NEWCODE", message_id="n.json")
    broker.publish(b"[]")
    drain(broker, tmp_path)
    assert broker.depth() == (0, 0, 0)
    found = waiting(tmp_path)
    assert (found["passwd"], found["n.json"]) == (b"\xff\xfe no JSON", b"")
    assert {p.parts[1] for p in (f.path.relative_to(tmp_path) for f in Landing(tmp_path).waiting())} == {
        "FREQ",
        "NEWCODE",
        "unknown",
    }


DIES = """
import os, signal, sys, threading
from pathlib import Path
from gbpm_dagster.iris.access import Access
from gbpm_dagster.iris.landing import Landing
from gbpm_dagster.iris.receiver import Receiver

step, after = sys.argv[3], int(sys.argv[4])

def die(done):
    global after
    if done == step:
        after -= 1
        if after < 0:
            os.kill(os.getpid(), signal.SIGKILL)

within = die if step in ("rename", "sync") else None
Receiver(Access("iris", sys.argv[1]), Landing(Path(sys.argv[2]), fault=within), batch=10, fault=die).run(
    threading.Event(), until_empty=True)
"""


@pytest.mark.parametrize(
    ("step", "after"),
    [("received", 0), ("rename", 4), ("sync", 0), ("landed", 1), ("completed", 0), ("completed", 7)],
)
def test_killed_between_any_two_steps_nothing_is_lost_and_nothing_is_there_twice(
    step: str, after: int, tmp_path: Path
) -> None:
    with Broker(lock_s=1) as broker:
        sent = publish(broker, 25)
        died = subprocess.run(
            [sys.executable, "-c", DIES, broker.connection_string, str(tmp_path), step, str(after)], check=False
        )
        assert died.returncode == -signal.SIGKILL
        landed, (ready, locked, _) = waiting(tmp_path), broker.depth()
        assert len(landed) + ready + locked >= len(sent)  # each is in the landing, in the queue, or in both
        time.sleep(1.2)  # what the dead one held comes back
        drain(broker, tmp_path)
        assert waiting(tmp_path) == sent
        assert broker.depth() == (0, 0, 0)


def test_a_lock_that_runs_out_while_landing_brings_the_message_again_not_the_file(tmp_path: Path) -> None:
    slow = iter([1.5])
    with Broker(lock_s=1) as broker:
        sent = publish(broker, 3)
        done = drain(
            broker, tmp_path, fault=lambda step: time.sleep(next(slow, 0.0)) if step == "landed" else None
        ).done
        assert done.locks_lost >= 3  # a busy machine may lose more
        assert broker.counts()["lock expired"] == done.locks_lost
        assert broker.depth() == (0, 0, 0)
    assert waiting(tmp_path) == sent


def test_a_lock_is_renewed_while_a_batch_takes_its_time(tmp_path: Path) -> None:
    with Broker(lock_s=3) as broker:
        sent = publish(broker, 6)
        done = drain(broker, tmp_path, fault=lambda step: time.sleep(0.7) if step == "completed" else None).done
        assert broker.counts()["renewed"] > 0
        assert (done.completed, done.locks_lost) == (6, 0)  # 4.2 s of work under locks of 3 s
        assert broker.depth() == (0, 0, 0)
    assert waiting(tmp_path) == sent


def test_duplicates_cuts_a_restart_and_slowness_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "BACKOFF_S", 0.05)
    with Broker(lock_s=2) as broker:
        _faults(broker, tmp_path)


def _faults(broker: Broker, tmp_path: Path) -> None:
    sent = publish(broker, 60)
    broker.lose_completions(5)
    stop = threading.Event()
    found = Receiver(access(broker), Landing(tmp_path), batch=7)
    thread = threading.Thread(target=found.run, args=(stop,))
    thread.start()
    try:
        _until(lambda: len(waiting(tmp_path)) > 10, 10)
        broker.cut()
        sent |= publish(broker, 30, "BOALF")
        _until(lambda: len(waiting(tmp_path)) > 60)
        broker.restart()
        broker.delay_s = 0.01
        sent |= publish(broker, 30, "MID")
        _until(lambda: waiting(tmp_path) == sent and broker.depth() == (0, 0, 0), 45)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert found.done.connections >= 3
    assert found.done.messages >= len(sent)


def test_a_full_disk_stops_receiving_and_completes_nothing(broker: Broker, tmp_path: Path) -> None:
    sent = publish(broker, 20)
    landed: list[str] = []

    def full(step: str) -> None:
        landed.append(step)
        if len(landed) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Blocked, match="the queue keeps"):
        Receiver(access(broker), Landing(tmp_path, fault=full)).run(threading.Event(), until_empty=True)
    ready, locked, dead = broker.depth()
    assert (ready, locked, dead) == (20, 0, 0)  # given back at once, not when their locks run out
    drain(broker, tmp_path)
    assert waiting(tmp_path) == sent


def test_too_little_space_stops_before_anything_is_received(broker: Broker, tmp_path: Path) -> None:
    publish(broker, 3)
    with pytest.raises(Blocked, match="IRIS_MIN_FREE_GIB"):
        drain(broker, tmp_path, min_free_bytes=10**18)
    assert broker.counts()["enqueued"] == 3
    assert "delivered" not in broker.counts()


class Picky(Landing):
    """A landing that one body is too much for."""

    def land_all(self, incoming: Iterable[Incoming]) -> list[Path]:
        found = list(incoming)
        if any(b"poison" in one.body for one in found):
            raise LandingError("cannot be landed")
        return super().land_all(found)


def test_only_what_cannot_be_landed_though_others_can_is_dead_lettered(broker: Broker, tmp_path: Path) -> None:
    sent = publish(broker, 5)
    broker.publish(b"poison", subject="FREQ", message_id="p.json")
    done = Receiver(access(broker), Picky(tmp_path)).run(threading.Event(), until_empty=True)
    assert (done.dead_lettered, done.completed) == (1, 5)
    assert waiting(tmp_path) == sent
    assert broker.depth() == (0, 0, 1)
    drain(broker, tmp_path, dead_letters=True)  # the daily look among the dead: a landing that takes it now
    assert waiting(tmp_path) == sent | {"p.json": b"poison"}
    assert broker.depth() == (0, 0, 0)


def test_a_refusal_is_told_without_the_secret_and_tried_again(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "REFUSED_S", 0.2)
    sent = publish(broker, 2)
    broker.refuse_links = True
    said: list[str] = []
    stop = threading.Event()
    found = Receiver(access(broker), Landing(tmp_path), log=said.append)
    thread = threading.Thread(target=found.run, args=(stop,))
    thread.start()
    try:
        _until(lambda: len(said) >= 2)
        assert "has the secret expired" in said[0] and f"127.0.0.1:{broker.port}" in said[0]
        broker.refuse_links = False
        _until(lambda: waiting(tmp_path) == sent)
    finally:
        stop.set()
        thread.join(10)
    assert not any(KEY in text for text in said)


def test_a_queue_that_is_not_there_is_named(broker: Broker, tmp_path: Path) -> None:
    said: list[str] = []
    stop = threading.Event()

    def hear(text: str) -> None:
        said.append(text)
        stop.set()

    Receiver(Access("nope", broker.connection_string), Landing(tmp_path), log=hear).run(stop)
    assert said[0].startswith(f"there is no queue nope at 127.0.0.1:{broker.port}: is IRIS_QUEUE right")


def test_a_stop_finishes_the_batch_in_hand(broker: Broker, tmp_path: Path) -> None:
    publish(broker, 30)
    stop = threading.Event()
    done = Receiver(
        access(broker), Landing(tmp_path), batch=10, fault=lambda step: stop.set() if step == "received" else None
    ).run(stop)
    assert len(waiting(tmp_path)) == done.completed > 0
    ready, locked, _ = broker.depth()
    assert (ready + done.completed, locked) == (30, 0)


# --- the way in


def test_the_defaults_are_elexons_service() -> None:
    found = Access("q", client_id="id", client_secret="s3cret")
    found.check()
    assert found.host == "elexon-insights-iris.servicebus.windows.net"
    assert found.tenant_id == "4203b7a0-7773-4de5-b830-8b263a20426e"
    assert "s3cret" not in repr(found)
    with found.client() as client:
        assert client.fully_qualified_namespace == found.host


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Access("q"), "IRIS_CLIENT_ID and IRIS_CLIENT_SECRET not set"),
        (Access("q", client_id="id"), "IRIS_CLIENT_SECRET not set"),
        (Access(client_id="id", client_secret="x"), "IRIS_QUEUE is not set"),
        (Access("q", "nonsense"), "IRIS_CONNECTION_STRING cannot be read"),
        (
            Access("", "Endpoint=sb://h.example;SharedAccessKeyName=n;SharedAccessKey=hush"),
            "IRIS_QUEUE is not set",
        ),
    ],
)
def test_what_lacks_is_named(found: Access, words: str) -> None:
    assert found.wanted
    with pytest.raises(AccessError, match=words) as error:
        found.check()
    assert "hush" not in str(error.value)


def test_the_queue_may_stand_in_the_connection_string() -> None:
    text = "Endpoint=sb://h.example;SharedAccessKeyName=n;SharedAccessKey=hush;EntityPath=mine"
    assert (Access("", text).queue_name, Access("other", text).queue_name) == ("mine", "other")
    assert not Access().wanted
    assert Access("", text).hide(f"failed with {text}") == "failed with ***"


def _until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)
