"""`gbpm up` as a program: its address, the other commands beside it, one Ctrl-C that stops all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import WEEK, Gbpm, end
from gbpm_dagster_tests.console.faults import FOREVER, FaultySource
from gbpm_dagster_tests.console.secrets import AUTHORIZATION, leaks, with_login
from gbpm_dagster_tests.elexon.scripted import Answer

FAST = {"GBPM_BACKFILL_INTERVAL_SECONDS": "1", "GBPM_HEAL": "false", "ELEXON_MAX_ATTEMPTS": "100"}


@contextmanager
def up(gbpm: Gbpm) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program and its address; killed with its services if the test leaves it running."""
    program = gbpm.program("up", "--port", "0")
    try:
        assert program.stdout is not None
        line = program.stdout.readline()
        found = re.search(r"GB Power Market is up: (http://127\.0\.0\.1:\d+) ", line)
        assert found, (line, end(program).err if program.poll() is not None else "")
        yield program, found[1]
    finally:
        if program.poll() is None:
            os.kill(program.pid, signal.SIGTERM)
            end(program)


def ours(gbpm: Gbpm) -> list[str]:
    """Processes whose command names this home: the services, by the socket, workspace or home they are given."""
    shown = subprocess.run(["ps", "-ww", "-eo", "pid=,command="], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if str(gbpm.home) in line]


@pytest.mark.e2e
def test_up_serves_the_other_commands_and_one_ctrl_c_stops_all(make_gbpm: MakeGbpm, source: FaultySource) -> None:
    gbpm = make_gbpm(with_login(source.base_url), **FAST)
    with up(gbpm) as (program, url):
        assert httpx.get(f"{url}/server_info", timeout=30).status_code == 200
        assert len(ours(gbpm)) == 3  # code server, daemon, web UI
        second = gbpm("up", "--port", "0")
        assert (second.code, f"in use by process {program.pid} (gbpm up)" in second.err) == (1, True)

        done = gbpm("backfill", "--all", *WEEK, "--json")  # through the daemon
        assert done.code == 0, done
        assert {t: (s["complete"], s["missing"]) for t, s in done.json["tables"].items()} == {
            "bmrs_mid": (7, {}),
            "bmrs_indo": (7, {}),
        }
        assert done.json["requests"] == 8
        with open_instance(gbpm.runtime().settings) as instance:
            tags = [instance.get_run_by_id(r).tags for r in done.json["runs"]]  # type: ignore[union-attr]
        assert len(tags) == 1  # both tables want the same days: one run
        assert "dagster/backfill" in tags[0]

        other = gbpm("backfill", "bmrs_itsdo", *WEEK, GBPM_DATASETS="bmrs_itsdo")
        assert other.code == 1
        assert "would not launch the backfill of bmrs_itsdo" in other.err
        assert "give both the same" in other.err
        assert gbpm("status", "--json").json["services"] == url

        source.fault("2024-01-03", Answer(b"", 503, headers={"Retry-After": "1"}), times=FOREVER)
        waiting = gbpm.program("backfill", "bmrs_indo", "--from", "2024-01-03", "--to", "2024-01-03")
        _until(lambda: ("2024-01-03", 503) in source.asked)
        os.kill(waiting.pid, signal.SIGINT)
        said = end(waiting)
        assert source.logins == {AUTHORIZATION}
        source.clear()
        assert said.code == 130, said
        assert re.search(r"the daemon goes on with backfill \w+: http://127\.0\.0\.1:\d+/", said.err), said.err

        os.kill(program.pid, signal.SIGINT)
        began = time.monotonic()
        stopped = end(program, 60)
        assert stopped.code == 130
        assert stopped.err == "gbpm: interrupted: the web UI and the daemon have stopped\n"
        assert time.monotonic() - began < 45
    assert ours(gbpm) == []
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{url}/server_info", timeout=5)
    alone = gbpm("backfill", "bmrs_indo", *WEEK, "--json")  # in this process again
    assert (alone.code, alone.json["tables"]["bmrs_indo"]["complete"]) == (0, 7)
    assert leaks(gbpm, stopped.out, stopped.err, said.out, said.err) == []  # the logs of the services among the files


def _until(true: object, seconds: float = 60) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
