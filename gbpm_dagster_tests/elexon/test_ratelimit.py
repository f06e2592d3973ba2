"""The shared limit of requests: spacing, several processes, broken files, jumping clocks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from gbpm_dagster.elexon.ratelimit import RateLimit, state_file

BASE = "https://example.test/api/v1"


class Clock:
    """A clock that stands still but for those who sleep by it."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def limit(folder: Path, clock: Clock, rate: float = 5.0, base: str = BASE) -> RateLimit:
    return RateLimit(base, rate, folder, clock=clock, sleep=clock.sleep)


def sent(limiter: RateLimit, clock: Clock, count: int) -> list[float]:
    async def run() -> list[float]:
        at = []
        for _ in range(count):
            await limiter.acquire()
            at.append(clock.now)
        return at

    return asyncio.run(run())


def test_the_first_goes_at_once_and_the_next_each_a_fifth_of_a_second_later(tmp_path: Path) -> None:
    clock = Clock()
    at = sent(limit(tmp_path, clock), clock, 6)
    assert at[0] == 1_700_000_000.0
    assert [b - a for a, b in pairwise(at)] == pytest.approx([0.2] * 5)


def test_idle_time_is_not_saved_up_for_a_burst(tmp_path: Path) -> None:
    for rate in (5.0, 500.0):
        clock = Clock()
        limiter = limit(tmp_path, clock, rate)
        sent(limiter, clock, 3)
        clock.now += 60
        at = sent(limiter, clock, 12)
        assert at[0] == pytest.approx(1_700_000_000.0 + 60, abs=1)
        assert [b - a for a, b in pairwise(at)] == pytest.approx([1 / rate] * 11, abs=1e-6)


def test_two_limits_of_one_host_share_and_other_hosts_do_not(tmp_path: Path) -> None:
    clock = Clock()
    sent(limit(tmp_path, clock), clock, 1)
    assert limit(tmp_path, clock, base="https://EXAMPLE.test:443/other").reserve(1) == pytest.approx(
        [clock.now + 0.2]
    )
    assert limit(tmp_path, clock, base="http://example.test/api").reserve(1) == [clock.now]
    assert state_file("http://127.0.0.1:1/x", tmp_path) != state_file("http://127.0.0.1:2/x", tmp_path)


def test_a_path_has_a_limit_of_its_own_beside_its_hosts(tmp_path: Path) -> None:
    """100 a minute is one each 0.6 s; other paths of the host, and the host's own limit, do not wait for it."""
    clock = Clock()
    own = RateLimit(BASE, 100 / 60, tmp_path, path="/datasets/UOU2T3YW", clock=clock, sleep=clock.sleep)
    begun = clock.now
    assert [at - begun for at in sent(own, clock, 4)] == pytest.approx([0, 0.6, 1.2, 1.8])
    assert limit(tmp_path, clock).reserve(1) == [clock.now], "nothing was taken from the host's"
    files = {state_file(BASE, tmp_path, path) for path in ("", "/datasets/UOU2T3YW", "/datasets/UOU2T14D")}
    assert len(files) == 3
    elsewhere = RateLimit("https://EXAMPLE.test/other", 100 / 60, tmp_path, path="/datasets/UOU2T3YW", clock=clock)
    assert elsewhere.reserve(1) == pytest.approx([clock.now + 0.6]), "another process shares it, by host and path"


def test_the_file_is_read_anew_each_time_and_batches_save_reads_only_at_high_rates(tmp_path: Path) -> None:
    clock = Clock()
    slow, fast = limit(tmp_path, clock), limit(tmp_path, clock, 1000.0, base="http://fast.test")
    sent(slow, clock, 1)
    assert json.loads(state_file(BASE, tmp_path).read_text())["next"] == pytest.approx(clock.now + 0.2)
    sent(fast, clock, 1)
    ahead = json.loads(state_file("http://fast.test", tmp_path).read_text())["next"] - clock.now
    assert ahead == pytest.approx(0.02), "what is taken at once is never more than 20 ms"


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "{",
        "[]",
        "null",
        '{"next": "x"}',
        '{"next": 1}',
        '{"written": 0, "next": NaN}',
        '{"written": 5, "next": 1}',
    ],
)
def test_a_broken_file_costs_one_interval_and_is_repaired(tmp_path: Path, broken: str) -> None:
    clock = Clock()
    state_file(BASE, tmp_path).write_text(broken)
    assert limit(tmp_path, clock).reserve(1) == pytest.approx([clock.now + 0.2])
    assert limit(tmp_path, clock).reserve(1) == pytest.approx([clock.now + 0.4])


def test_a_next_instant_a_year_ahead_is_no_queue(tmp_path: Path) -> None:
    clock = Clock()
    state_file(BASE, tmp_path).write_text(json.dumps({"written": clock.now, "next": clock.now + 3e7}))
    assert limit(tmp_path, clock).reserve(1) == pytest.approx([clock.now + 0.2])


def test_a_clock_set_back_an_hour_does_not_stop_requests_for_an_hour(tmp_path: Path) -> None:
    clock = Clock()
    limiter = limit(tmp_path, clock)
    limiter.reserve(4)
    clock.now -= 3600
    assert limiter.reserve(1) == pytest.approx([clock.now + 0.8]), "the queue of four, and no more"


def test_a_clock_set_forward_goes_on_from_there(tmp_path: Path) -> None:
    clock = Clock()
    limiter = limit(tmp_path, clock)
    limiter.reserve(4)
    clock.now += 3600
    assert limiter.reserve(2) == pytest.approx([clock.now, clock.now + 0.2])


def test_tasks_of_one_process_are_served_in_turn(tmp_path: Path) -> None:
    clock = Clock()
    limiter = limit(tmp_path, clock)
    starts: list[float] = []

    async def one() -> None:
        await limiter.acquire()
        starts.append(clock.now)

    async def run() -> None:
        await asyncio.gather(*(one() for _ in range(5)))

    asyncio.run(run())
    assert len(starts) == 5
    assert json.loads(state_file(BASE, tmp_path).read_text())["next"] == pytest.approx(1_700_000_001.0)


def test_a_folder_that_cannot_be_written_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        limit(tmp_path / "file", Clock()).reserve(1)


def test_a_rate_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        RateLimit(BASE, 0, tmp_path)


TAKER = """
import sys
from pathlib import Path
from gbpm_dagster.elexon.ratelimit import RateLimit
limit = RateLimit(sys.argv[1], 1000.0, Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(100):
    for instant in limit.reserve(1):
        print(repr(instant))
"""


def test_three_processes_never_take_the_same_instant(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKER, BASE, str(tmp_path)]
    takers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for taker in takers:
        assert taker.stdout is not None and taker.stdout.readline() == "ready\n"
    for taker in takers:
        assert taker.stdin is not None
        taker.stdin.write("\n")
        taker.stdin.flush()
    taken = sorted(float(line) for taker in takers for line in taker.communicate(timeout=60)[0].split())
    assert len(taken) == 300
    assert min(b - a for a, b in pairwise(taken)) >= 0.001 - 1e-6


HOLDER = """
import sys, time
from filelock import FileLock
FileLock(sys.argv[1]).acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_a_holder_that_is_killed_frees_the_lock(tmp_path: Path) -> None:
    lock = f"{state_file(BASE, tmp_path)}.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, lock], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGKILL)
    assert len(limit(tmp_path, Clock()).reserve(3)) == 3
