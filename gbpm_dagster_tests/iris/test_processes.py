"""Loading in processes of its own: kill -9 at any moment, and the memory that one huge message takes (OPS-24, 32)."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tarfile
import time
from datetime import UTC, datetime
from pathlib import Path

from gbpm_dagster.catalogue.streams import STREAMED, stream_of
from gbpm_dagster.ingest.stream import Loader
from gbpm_dagster.iris.landing import Landing
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.iris.feed import Feed, differences, land
from gbpm_dagster_tests.iris.test_feed import ARCHIVE

LOAD = """
import re, sys
from pathlib import Path
from gbpm_dagster.ingest.stream import Loader
from gbpm_dagster.iris.landing import Landing
from gbpm_dagster.warehouse.lake import Lake
home = Path(sys.argv[1])
loader = Loader(Landing(home / "landing"), Lake(home / "lake"))
print("ready", flush=True)
rows = loader.drain().rows
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(rows["fetched"], rows["written"], int(peak[1]) // 1024)
"""
# Not ru_maxrss: that of a child begins with its parent's.

LIMIT_MB = 512


def started(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", LOAD, str(home)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_a_loader_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(tmp_path / "feed", filter="data")
    feed, landing, chance = Feed.read(tmp_path / "feed"), Landing(tmp_path / "landing"), random.Random(20260702)
    land(feed, landing)
    torn = 0
    for _ in range(5):
        process = started(tmp_path)
        time.sleep(chance.uniform(0.05, 0.6))
        process.kill()
        process.wait()
        if not landing.waiting():
            break
        torn += any((tmp_path / "lake").rglob("*.parquet"))
        land(Feed(feed.folder, chance.sample(feed.messages, 40), feed.expected), landing)  # some come again
    lake = Lake(tmp_path / "lake")
    assert torn, "no kill fell into the work"
    Loader(landing, lake).drain()
    assert differences(feed, lake, landing) == []


def test_twenty_megabytes_in_one_message_need_less_than_half_a_gigabyte(tmp_path: Path) -> None:
    """As UOU2T3YW is sent: one message for all units and weeks."""
    unit = stream_of(STREAMED["UOU2T3YW"])
    rows = [
        {"dataset": "UOU2T3YW", "fuelType": "CCGT", "nationalGridBmUnit": f"U-{n}", "bmUnit": f"T_U-{n}",
         "publishTime": "2026-07-02T10:00:00.000Z", "week": w, "year": 2026, "outputUsable": n}
        for n in range(610) for w in range(1, 156)
    ]  # fmt: skip
    assert set(rows[0]) == set(unit.names)
    body = json.dumps(json.dumps(rows)).encode()
    assert len(body) > 20_000_000
    Landing(tmp_path / "landing").land(
        "huge.json", body, {}, subject="UOU2T3YW", enqueued_at=datetime(2026, 7, 2, 10, tzinfo=UTC)
    )
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert done[1:3] == [str(len(rows))] * 2
    assert int(done[3]) < LIMIT_MB
    assert Lake(tmp_path / "lake").streams.read(unit).height == len(rows)
