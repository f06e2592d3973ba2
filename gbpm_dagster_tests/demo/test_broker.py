"""The broker stand-in against the real azure-servicebus client over loopback: what Service Bus documents, it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.servicebus import (
    AutoLockRenewer,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
    ServiceBusReceiver,
)
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessagingEntityNotFoundError,
    ServiceBusAuthorizationError,
    ServiceBusError,
)

from gbpm_dagster.demo.broker import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(lock_s=10, max_deliveries=3) as running:
        yield running


@pytest.fixture
def hasty() -> Iterator[Broker]:
    """Locks that last one second."""
    with Broker(lock_s=1, max_deliveries=3) as running:
        yield running


def client(broker: Broker, retries: int = 2) -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(
        broker.connection_string, retry_total=retries, retry_backoff_factor=0.05
    )


def take(receiver: ServiceBusReceiver, count: int = 10, wait_s: float = 3) -> list[ServiceBusReceivedMessage]:
    return list(receiver.receive_messages(max_message_count=count, max_wait_time=wait_s))


def test_a_message_arrives_as_elexon_sends_it(broker: Broker) -> None:
    broker.publish(b'"[]"', subject="BOALF", message_id="B_1.json", properties={"source_file_name": "B_1.json"})
    with client(broker) as there, there.get_queue_receiver("iris") as receiver:
        (message,) = take(receiver)
        assert b"".join(message.body) == b'"[]"'
        assert (message.subject, message.message_id) == ("BOALF", "B_1.json")
        assert message.application_properties == {b"source_file_name": b"B_1.json"}
        assert (message.sequence_number, message.delivery_count) == (1, 0)
        assert abs(message.enqueued_time_utc.timestamp() - time.time()) < 5
        assert 0 < message.locked_until_utc.timestamp() - time.time() <= 10
        assert broker.depth() == (0, 1, 0)
        receiver.complete_message(message)
        assert broker.depth() == (0, 0, 0)


def test_each_outcome_does_what_it_says(broker: Broker) -> None:
    for body in (b"complete", b"abandon", b"dead"):
        broker.publish(body)
    with client(broker) as there, there.get_queue_receiver("iris") as receiver:
        first, second, third = take(receiver, 3)
        receiver.complete_message(first)
        receiver.abandon_message(second)
        receiver.dead_letter_message(third, reason="bad", error_description="cannot be read")
        (again,) = take(receiver)
        assert (str(again), again.delivery_count) == ("abandon", 1)
        receiver.complete_message(again)
        with there.get_queue_receiver("iris", sub_queue="deadletter") as dead:
            (message,) = take(dead)
            assert (str(message), message.dead_letter_source) == ("dead", "iris")
            dead.complete_message(message)
    assert broker.depth() == (0, 0, 0)


def test_a_lock_that_runs_out_brings_the_message_again_and_at_last_among_the_dead(hasty: Broker) -> None:
    hasty.publish(b"x")
    with client(hasty) as there, there.get_queue_receiver("iris") as receiver:
        counts = []
        for _ in range(3):
            (message,) = take(receiver, wait_s=6)
            counts.append(message.delivery_count)
            time.sleep(1.1)
            with pytest.raises(MessageLockLostError):
                receiver.complete_message(message)
    assert counts == [0, 1, 2]
    assert hasty.depth() == (0, 0, 1)


def test_a_lock_can_be_renewed(hasty: Broker) -> None:
    hasty.publish(b"x")
    with client(hasty) as there, there.get_queue_receiver("iris") as receiver:
        (message,) = take(receiver)
        for _ in range(3):
            time.sleep(0.7)
            receiver.renew_message_lock(message)
        renewer = AutoLockRenewer()
        renewer.register(receiver, message, max_lock_renewal_duration=10)
        time.sleep(1.5)
        receiver.complete_message(message)
        renewer.close()
    assert hasty.depth() == (0, 0, 0)


def test_a_big_body_comes_whole_in_many_frames(broker: Broker) -> None:
    body = os.urandom(1024) * (12 * 1024)  # 12 MB: the biggest of IRIS is 11
    broker.publish(body)
    with client(broker) as there, there.get_queue_receiver("iris") as receiver:
        (message,) = take(receiver, wait_s=20)
        receiver.renew_message_lock(message)
        assert b"".join(message.body) == body
        receiver.complete_message(message)
    assert broker.depth() == (0, 0, 0)


def test_what_a_client_sends_comes_back(broker: Broker) -> None:
    """An owner of an IRIS queue may put dead letters back."""
    with client(broker) as there:
        with there.get_queue_sender("iris") as sender:
            sender.send_messages(ServiceBusMessage(b"one", subject="FREQ", application_properties={"k": "v"}))
            sender.send_messages([ServiceBusMessage(b"%d" % n) for n in range(50)])
        with there.get_queue_receiver("iris", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as receiver:
            got: list[ServiceBusReceivedMessage] = []
            while len(got) < 51:
                got += take(receiver, 60)
    assert [str(m) for m in got] == ["one", *(str(n) for n in range(50))]
    assert (got[0].subject, got[0].application_properties) == ("FREQ", {b"k": b"v"})
    assert broker.depth() == (0, 0, 0)


def test_a_cut_connection_is_survived(broker: Broker) -> None:
    for n in range(3):
        broker.publish(b"%d" % n)
    with client(broker) as there, there.get_queue_receiver("iris") as receiver:
        (message,) = take(receiver, 1)
        broker.cut()
        time.sleep(0.3)
        receiver.complete_message(message)  # over the management link of a new connection
        seen = []
        while len(seen) < 2:
            for message in take(receiver, 1, 5):
                seen.append(str(message))
                receiver.complete_message(message)
                broker.cut()
    assert seen == ["1", "2"]
    assert broker.depth() == (0, 0, 0)


def test_a_completion_that_is_lost_brings_a_duplicate(broker: Broker) -> None:
    broker.publish(b"x")
    broker.lose_completions(1)
    with client(broker) as there, there.get_queue_receiver("iris") as receiver:
        for deliveries in (0, 1):
            (message,) = take(receiver)
            assert message.delivery_count == deliveries
            receiver.complete_message(message)
    assert broker.depth() == (0, 0, 0)


def test_slow_deliveries_come_one_by_one(broker: Broker) -> None:
    broker.delay_s = 0.4
    for n in range(3):
        broker.publish(b"%d" % n)
    with client(broker) as there, there.get_queue_receiver("iris") as receiver:
        began, seen = time.monotonic(), []
        while len(seen) < 3:
            for message in take(receiver, 1):
                receiver.complete_message(message)
                seen.append(str(message))
        assert time.monotonic() - began >= 0.7
    assert seen == ["0", "1", "2"]


def test_refusals_are_the_clients_errors(broker: Broker) -> None:
    with client(broker, 0) as there:
        with pytest.raises(MessagingEntityNotFoundError):
            take(there.get_queue_receiver("nope"))
        broker.refuse_links = True
        with pytest.raises(ServiceBusAuthorizationError):
            take(there.get_queue_receiver("iris"))
        broker.refuse_links, broker.refuse_tokens = False, True
        with pytest.raises(ServiceBusError):
            take(there.get_queue_receiver("iris"))


def test_a_restart_in_the_same_place(broker: Broker) -> None:
    for n in range(3):
        broker.publish(b"%d" % n)
    with client(broker, 8) as there, there.get_queue_receiver("iris") as receiver:
        (message,) = take(receiver, 1)
        receiver.complete_message(message)
        broker.restart(lambda: time.sleep(0.5))
        seen: list[str] = []
        while len(seen) < 2:
            for message in take(receiver, 5, 5):
                receiver.complete_message(message)
                seen.append(str(message))
    assert seen == ["1", "2"]


def test_a_killed_broker_has_its_messages_still(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gbpm_dagster.demo.broker", "--store", str(tmp_path / "messages.sqlite")]

    def start() -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    process, address = start()
    with ServiceBusClient.from_connection_string(address) as there:
        with there.get_queue_sender("iris") as sender:
            sender.send_messages([ServiceBusMessage(b"%d" % n) for n in range(5)])
        with there.get_queue_receiver("iris") as receiver:
            receiver.complete_message(take(receiver, 1)[0])
            process.kill()
            process.wait()
    process, address = start()
    with ServiceBusClient.from_connection_string(address) as there, there.get_queue_receiver("iris") as receiver:
        got: list[ServiceBusReceivedMessage] = []
        while len(got) < 4:
            got += take(receiver)
        assert [str(m) for m in got] == ["1", "2", "3", "4"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_the_thread_ends_with_the_block() -> None:
    before = threading.active_count()
    with Broker():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
