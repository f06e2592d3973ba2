"""The landing: names, identity, durability, faults, Elexon's own client (iris.md 2 to 4)."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.iris.landing import LOADED, UNDECODABLE, WAITING, Incoming, Landing, LandingError
from gbpm_dagster.iris.message import NotLanded, digest, parse, safe_name

AT = datetime(2026, 7, 2, 10, 2, 5, tzinfo=UTC)
NAME = "FREQ_202607021002_000001.json"


def land(landing: Landing, body: bytes = b"[]", name: str | None = NAME, subject: str | None = "FREQ") -> Path:
    return landing.land(name, body, {}, subject=subject, enqueued_at=AT)


def test_a_message_lies_under_its_subject_and_day_and_reads_back(tmp_path: Path) -> None:
    body = b'"[{\\"dataset\\":\\"FREQ\\"}]"\n\xff'
    landing = Landing(tmp_path)
    path = landing.land(
        None, body, {b"source_file_name": NAME.encode(), b"n": 7}, subject="FREQ", message_id="x", enqueued_at=AT
    )
    assert path == tmp_path / "waiting/FREQ/2026-07-02" / NAME
    (file,) = landing.waiting()
    message = landing.read(file)
    assert (message.name, message.body, message.subject, message.message_id) == (NAME, body, "FREQ", "x")
    assert message.enqueued_at == AT
    assert message.properties == {"source_file_name": NAME, "n": "7"}


def test_the_same_message_again_is_one(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    first = land(landing)
    assert land(landing) == first
    landing.done(landing.waiting())
    assert land(landing).relative_to(tmp_path).parts[0] == LOADED, "not loaded again"
    assert landing.waiting() == []


def test_the_same_name_with_other_bytes_is_kept_beside(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, b"[1]")
    other = land(landing, b"[2]")
    assert other.name == f"FREQ_202607021002_000001_{digest(b'[2]')}.json"
    assert land(landing, b"[2]") == other
    assert sorted(landing.read(f).body for f in landing.waiting()) == [b"[1]", b"[2]"]
    landing.done(landing.waiting())
    assert land(landing, b"[3]").parts[-4] == WAITING


def test_without_a_name_the_id_counts_then_the_hash(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    assert landing.land("", b"x", {}, subject="FREQ", message_id="a/b.json", enqueued_at=AT).name == "b.json"
    assert landing.land(None, b"x", {}, enqueued_at=AT).name == f"unknown_{digest(b'x')}.json"
    assert {f.code for f in landing.waiting()} == {"FREQ", "unknown"}


@given(st.text(max_size=300), st.text(max_size=30))
def test_no_name_leaves_the_landing(tmp_path_factory: pytest.TempPathFactory, name: str, subject: str) -> None:
    folder = tmp_path_factory.mktemp("landing")
    path = Landing(folder).land(name, b"[]", {}, subject=subject, enqueued_at=AT)
    assert path.resolve().is_relative_to(folder / "waiting")
    assert path.parent.parent.parent == folder / "waiting"
    assert not path.name.startswith(".")


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("../../../../tmp/evil.json", "evil.json"),
        ("..\\..\\evil.json", "evil.json"),
        ("..", "_."),
        (".hidden", "_hidden"),
        ("a b\x00c/d e.json", "d_e.json"),
        ("/", ""),
    ],
)
def test_safe_names(given: str, safe: str) -> None:
    assert safe_name(given) == safe


def test_arrival_orders_the_list_not_the_name(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    for n, name in enumerate(["c.json", "a.json", "b.json"]):
        os.utime(land(landing, name=name, subject=f"S{n % 2}"), ns=(n, n))
    assert [f.name for f in landing.waiting()] == ["c.json", "a.json", "b.json"]
    assert [f.name for f in landing.waiting({"S1"})] == ["a.json"]
    backlog = landing.backlog()
    assert (backlog.files, backlog.oldest) == (3, datetime(1970, 1, 1, tzinfo=UTC))


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["rename", "sync"])
def test_a_crash_while_landing_leaves_the_whole_message_or_none(tmp_path: Path, step: str) -> None:
    def fault(here: str) -> None:
        if here == step:
            raise Killed

    with pytest.raises(Killed):
        land(Landing(tmp_path, fault=fault), b"[1]")
    landing = Landing(tmp_path)
    assert [landing.read(f).body for f in landing.waiting()] == ([b"[1]"] if step == "sync" else [])
    land(landing, b"[1]")  # the queue delivers it again
    assert [landing.read(f).body for f in landing.waiting()] == [b"[1]"]


def test_a_torn_temporary_file_is_never_listed_and_goes_later(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    path = land(landing)
    torn = path.with_name(".tmp-1-1")
    torn.write_bytes(b"{")
    assert [f.name for f in landing.waiting()] == [NAME]
    landing.tidy()
    assert torn.exists()
    os.utime(torn, (0, 0))
    landing.tidy()
    assert not torn.exists()
    assert path.exists()


def test_done_twice_is_done_once(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing)
    files = landing.waiting()
    landing.done(files)
    landing.done(files)
    assert [f.name for f in landing.listed(LOADED)] == [NAME]
    landing.tidy()
    assert not (tmp_path / "waiting/FREQ").exists()
    land(landing, b"[5]")
    assert len(landing.waiting()) == 1


def test_a_body_that_is_no_text_is_set_aside_whole(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, b"\xff\xfe")
    (file,) = landing.waiting()
    path = landing.set_aside(file)
    assert path == tmp_path / UNDECODABLE / "FREQ/2026-07-02" / NAME
    assert parse(path.read_bytes()).body == b"\xff\xfe"
    assert land(landing, b"\xff\xfe") == path, "a redelivery is not asked again"


def test_a_full_or_closed_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / "waiting").write_text("in the way")
    with pytest.raises(LandingError, match=r"landing a message failed.*go on"):
        land(Landing(tmp_path))


def test_a_file_that_is_not_ours_is_named(tmp_path: Path) -> None:
    for content in (b"", b"no line", b"[]\nx", b'{"gbpm_iris":99}\n'):
        with pytest.raises(NotLanded, match="no landed message"):
            parse(content)


def test_taking_over_the_folder_of_elexons_client(tmp_path: Path) -> None:
    theirs, landing = tmp_path / "data", Landing(tmp_path / "landing")
    files = {
        "BOALF/BOALF_202607021002_NGET-1.json": b'[{"dataset": "BOALF"}]',
        "SYS_WARN_202607021002_000001.json": b"[]",
        "unknown/abc": b"[1]",
        ".secret/no.json": b"no",
    }
    for name, body in files.items():
        (theirs / name).parent.mkdir(parents=True, exist_ok=True)
        (theirs / name).write_bytes(body)
        os.utime(theirs / name, (AT.timestamp(), AT.timestamp()))
    young = theirs / "BOALF/young.json"
    young.write_bytes(b"[{")
    paths = landing.take_over(theirs)
    assert {(p.parts[-3], p.parts[-2], p.name) for p in paths} == {
        ("BOALF", "2026-07-02", "BOALF_202607021002_NGET-1.json"),
        ("SYS_WARN", "2026-07-02", "SYS_WARN_202607021002_000001.json"),
        ("unknown", "2026-07-02", "abc"),
    }
    left = sorted(str(p.relative_to(theirs)) for p in theirs.rglob("*") if p.is_file())
    assert left == [".secret/no.json", "BOALF/young.json"]
    os.utime(young, (time.time() - 60,) * 2)
    assert [p.name for p in landing.take_over(theirs)] == ["young.json"]


def test_many_messages_at_once(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    paths = landing.land_all(Incoming(b"%d" % n, f"{n}.json", subject="PN", enqueued_at=AT) for n in range(20))
    assert len(set(paths)) == 20
    assert sorted(int(landing.read(f).body) for f in landing.waiting()) == list(range(20))


def test_a_time_without_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Landing(tmp_path).land("a", b"", {}, enqueued_at=AT.replace(tzinfo=None))
