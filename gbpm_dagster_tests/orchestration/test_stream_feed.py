"""The stand-in's feed, published to the broker and drained through its faults: its expected.json, exactly."""

from __future__ import annotations

import tarfile
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from gbpm_dagster.demo.broker import Broker
from gbpm_dagster.iris import receiver as receiving
from gbpm_dagster.iris.landing import Landing
from gbpm_dagster.orchestration import stream
from gbpm_dagster.orchestration.stream import Drain
from gbpm_dagster_tests.iris.feed import Feed, differences
from gbpm_dagster_tests.iris.test_feed import ARCHIVE
from gbpm_dagster_tests.orchestration.conftest import HomeMaker


def test_the_feed_drained_through_lost_completions_cuts_and_a_restart(
    home: HomeMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "WAIT_S", 1.0)
    monkeypatch.setattr(receiving, "BACKOFF_S", 0.05)
    monkeypatch.setattr(stream, "LOAD_EVERY_S", 1.0)
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(tmp_path / "feed", filter="data")
    feed = Feed.read(tmp_path / "feed")
    with Broker(lock_s=2) as broker:
        mine = home(
            replay=False,
            GBPM_NOW="",
            IRIS_QUEUE="iris",
            IRIS_CODES="all",
            IRIS_CONNECTION_STRING=broker.connection_string,
            IRIS_MIN_FREE_GIB="0",
        )
        broker.lose_completions(40)
        publish(feed, broker)
        faults = threading.Thread(target=disturb, args=(broker,))
        faults.start()
        Drain(mine.runtime, "feed, disturbed").run(12)
        faults.join()
        time.sleep(2.5)  # what the cut connections held comes back
        Drain(mine.runtime, "feed, the rest").run(None)
        assert broker.depth() == (0, 0, 0)
    assert differences(feed, mine.runtime.lake, Landing(mine.settings.home / "landing")) == []


def publish(feed: Feed, broker: Broker) -> None:
    """Every message in the feed's order, as it says it was sent."""
    for message in feed.messages:
        broker.publish(
            feed.body(message),
            subject=message["subject"],
            message_id=message["message_id"],
            properties=message["application_properties"] or {},
            enqueued=datetime.fromisoformat(message["enqueued_time_utc"]).timestamp(),
        )


def disturb(broker: Broker) -> None:
    for fault in (broker.cut, broker.restart, broker.cut):
        time.sleep(2.0)
        fault()
