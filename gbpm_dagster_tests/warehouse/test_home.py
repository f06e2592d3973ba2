"""The home: folders, marker, owner."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gbpm_dagster.warehouse.home import FORMAT, HomeError, HomeInUse, holder_of, open_home, own
from gbpm_dagster_tests.rights import no_permission_in

HOLD = """
import sys, time
from gbpm_dagster.warehouse.home import open_home, own
with own(open_home(sys.argv[1]), "gbpm up"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_home_is_made_and_found_again(tmp_path: Path) -> None:
    home = open_home(tmp_path / "deep" / "home")
    assert all(p.is_dir() for p in (home.lake, home.dagster, home.landing, home.logs, home.state))
    assert json.loads((home.path / "home.json").read_text())["format"] == FORMAT == home.format
    before = (home.path / "home.json").read_text()
    assert open_home(home.path, create=False) == home
    assert open_home(home.path) == home and (home.path / "home.json").read_text() == before


def test_a_home_that_is_not_there_is_not_made_unasked(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(HomeError, match=re.escape(str(path)) + ".*GBPM_HOME"):
            open_home(path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_home_asks_for_an_upgrade_and_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "home.json").write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(HomeError, match=f"format {FORMAT + 1}.*upgrade gbpm"):
        open_home(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["home.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "one"}', '{"format": 0}', "{}"])
def test_a_damaged_marker_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "home.json").write_text(text)
    with pytest.raises(HomeError, match=r"home\.json is damaged"):
        open_home(tmp_path)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeError, match="home is a file"):
        open_home(tmp_path / "home")
    with pytest.raises(HomeError, match=r"cannot be used.*Not a directory"):
        open_home(tmp_path / "home" / "below")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lake").write_text("")
    with pytest.raises(HomeError, match="lake"):
        open_home(tmp_path / "other")


def test_a_home_without_permission_is_named() -> None:
    with no_permission_in() as folder, pytest.raises(HomeError, match=r"(?i)permission"):
        open_home(folder)


def test_a_second_owner_is_told_who_holds_it_and_a_dead_one_is_forgotten(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        with (
            pytest.raises(HomeInUse, match=f"process {child.pid} .gbpm up., since 20") as caught,
            own(home, "gbpm backfill"),
        ):
            pass
        assert caught.value.holder["pid"] == child.pid and caught.value.holder["what"] == "gbpm up"
    finally:
        child.kill()
        child.wait()
    assert holder_of(home) is not None, "a killed owner leaves its words"
    with own(home, "gbpm backfill"):
        said = holder_of(home)
        assert said is not None and (said["pid"], said["what"]) == (os.getpid(), "gbpm backfill")
        with pytest.raises(HomeInUse), own(home, "again"):
            pass
    assert holder_of(home) is None


def test_programs_started_by_the_owner_do_not_keep_the_home(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    with own(home):
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, close_fds=False
        )
    try:
        with own(home):
            pass
    finally:
        child.communicate(b"")
