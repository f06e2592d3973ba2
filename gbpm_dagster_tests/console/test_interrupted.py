"""A backfill that ends before its time: Ctrl-C, kill -9, a full disk. What is stored is whole, the rest follows."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.warehouse.delta import Table
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import WEEK, Gbpm, end, rows_of
from gbpm_dagster_tests.console.faults import FaultySource

TABLES = ("bmrs_mid", "bmrs_indo", "bmrs_itsdo")
REQUESTS = 1 + 7 + 7
DAYS = [f"2024-01-0{n}" for n in range(1, 8)]
KILLS = 2


@pytest.fixture(scope="module")
def whole(make_gbpm: MakeGbpm, source: FaultySource) -> Gbpm:
    """The home of a backfill that nobody disturbed."""
    gbpm = make_gbpm(source.base_url)
    assert gbpm("backfill", *TABLES, *WEEK).code == 0
    return gbpm


def started(gbpm: Gbpm, source: FaultySource, requests: int) -> subprocess.Popen[str]:
    """A backfill as a program, at the moment its n-th request has been answered."""
    source.clear()
    program = gbpm.program("backfill", *TABLES, *WEEK, ELEXON_MAX_REQUESTS_PER_SECOND="12")
    deadline = time.monotonic() + 90
    while len(source.asked) < requests and program.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    return program


def whole_days_only(gbpm: Gbpm, whole: Gbpm) -> None:
    """Each day with evidence holds the rows of the undisturbed home; a day without counts as not there."""
    mine, theirs = gbpm.runtime().lake, whole.runtime().lake
    for dataset in gbpm.runtime().named(TABLES):
        rows, true = (lake.read(dataset).drop("_fetched_at") for lake in (mine, theirs))
        for day in mine.evidence([dataset.table])["day"]:
            assert rows.filter(_day=day).equals(true.filter(_day=day)), (dataset.table, day)


def test_ctrl_c_ends_at_once_with_130_and_whole_days(whole: Gbpm, make_gbpm: MakeGbpm, source: FaultySource) -> None:
    gbpm = make_gbpm(source.base_url)
    program = started(gbpm, source, 4)
    os.kill(program.pid, signal.SIGINT)
    done = end(program, 30)
    assert done.code == 130, done
    assert "gbpm: interrupted: what was stored is whole, `gbpm backfill --missing` goes on from there" in done.err
    assert "Traceback" not in done.err
    assert len(source.asked) < REQUESTS  # the other tables were not begun
    whole_days_only(gbpm, whole)
    with open_instance(gbpm.runtime().settings) as instance:
        assert {r.status.value for r in instance.get_runs()} <= {"FAILURE", "CANCELED", "SUCCESS"}
    assert gbpm("backfill", *TABLES, *WEEK, "--missing").code == 0
    assert rows_of(gbpm, *TABLES) == rows_of(whole, *TABLES)


def test_kill_9_at_any_moment_loses_nothing_that_missing_does_not_bring(
    whole: Gbpm, make_gbpm: MakeGbpm, source: FaultySource
) -> None:
    chance = random.Random(20240108)
    gbpm = make_gbpm(source.base_url)
    for _ in range(KILLS):
        program = started(gbpm, source, chance.randint(1, REQUESTS))
        time.sleep(chance.uniform(0, 0.4))
        program.kill()
        end(program)
        whole_days_only(gbpm, whole)
    with open_instance(gbpm.runtime().settings) as instance:
        orphans = [r.run_id for r in instance.get_runs() if r.status.value not in ("SUCCESS", "FAILURE")]
    done = gbpm("backfill", *TABLES, *WEEK, "--missing", "--json")
    assert done.code == 0
    assert {t: s["complete"] for t, s in done.json["tables"].items()} == dict.fromkeys(TABLES, 7)
    assert rows_of(gbpm, *TABLES) == rows_of(whole, *TABLES)
    with open_instance(gbpm.runtime().settings) as instance:
        assert {r.status.value for r in instance.get_runs()} <= {"SUCCESS", "FAILURE"}
        assert {instance.get_run_by_id(r).status.value for r in orphans} <= {"FAILURE"}  # type: ignore[union-attr]
        for table in TABLES:  # also of a day stored by a process that was killed before its event
            assert sorted(instance.get_materialized_partitions(dg.AssetKey(table))) == DAYS


# --- a full disk


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[bool]:
    """A disk of that size on an empty folder; False where this user may not mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "gbpm-test", str(folder)]
    may = sys.platform == "linux" and os.geteuid() == 0
    mounted = may and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_in_words_and_the_old_days_are_whole(
    whole: Gbpm, make_gbpm: MakeGbpm, source: FaultySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    gbpm = make_gbpm(source.base_url)
    lake = gbpm.home / "lake"
    lake.mkdir()
    with small_disk(lake, 110) as real:
        if not real:
            _fill_after(monkeypatch, 6)
        done = gbpm("backfill", *TABLES, *WEEK, "--json")
        assert done.code == 1, done
        assert done.out == ""
        assert "the disk is full" in done.err
        assert "free some" in done.err
        assert "Traceback" not in done.err
        whole_days_only(gbpm, whole)
        stored = gbpm.runtime().lake.evidence(TABLES).height
        assert stored < 21
        monkeypatch.undo()
        if real:
            subprocess.run(["mount", "-o", "remount,size=20m", str(lake)], check=True)
        assert gbpm("backfill", *TABLES, *WEEK, "--missing").code == 0
        assert rows_of(gbpm, *TABLES) == rows_of(whole, *TABLES)


def _fill_after(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Without the right to mount: the n-th write to a table fails as it does on a full disk."""
    left = [writes]
    write = Table._write

    def full(self: Table, *args: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            from gbpm_dagster.warehouse.delta import explained

            with explained(self.path, "writing to the table"):
                raise OSError(28, "No space left on device")
        write(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Table, "_write", full)


def test_a_disk_too_small_for_dagsters_own_log(make_gbpm: MakeGbpm, source: FaultySource) -> None:
    gbpm = make_gbpm(source.base_url)
    folder = gbpm.home / "tiny"
    folder.mkdir()
    with small_disk(folder, 300) as real:
        if not real:
            pytest.skip("only root on Linux may mount a small disk; the other test injects the error")
        done = gbpm("backfill", "bmrs_indo", *WEEK, GBPM_HOME=str(folder / "home"))
        assert done.code == 1, done
        assert "the disk is full" in done.err
        assert "Traceback" not in done.err


# --- a table this machine cannot store


def test_one_broken_table_keeps_no_other_from_its_days(
    whole: Gbpm, make_gbpm: MakeGbpm, source: FaultySource
) -> None:
    gbpm = make_gbpm(source.base_url)
    lake = gbpm.home / "lake"
    lake.mkdir()
    (lake / "bmrs_indo").write_text("a file where a folder must be")
    done = gbpm("backfill", *TABLES, *WEEK, "--json")
    assert done.code == 1
    assert "there is a file where a folder must be" in done.err
    assert str(lake / "bmrs_indo") in done.err
    found = done.json["tables"]
    assert {t: s["complete"] for t, s in found.items()} == {"bmrs_mid": 7, "bmrs_indo": 0, "bmrs_itsdo": 7}
    assert all("there is a file" in why for why in found["bmrs_indo"]["missing"].values())
    (lake / "bmrs_indo").unlink()
    assert gbpm("backfill", "bmrs_indo", *WEEK).code == 0
    assert rows_of(gbpm, *TABLES) == rows_of(whole, *TABLES)
