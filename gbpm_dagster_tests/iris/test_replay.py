"""Replay from the public archive and from our own, packing, and what may be forgotten (iris.md 8, OPS-25 to 27)."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from gbpm_dagster.catalogue.streams import STREAMED, spellings, stream_of
from gbpm_dagster.ingest.replay import from_packs, from_public
from gbpm_dagster.ingest.stream import Loader
from gbpm_dagster.ingest.stream_upkeep import confirmed, upkeep
from gbpm_dagster.iris.landing import LOADED, Landing
from gbpm_dagster.iris.packs import Packs
from gbpm_dagster.iris.public import ArchiveError, PublicArchive
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival
from gbpm_dagster_tests.iris.blobs import Container, served
from gbpm_dagster_tests.iris.test_loader import MID, T0, Killed, mid, put, text
from gbpm_dagster_tests.warehouse import rows as made

DAY = date(2026, 7, 2)


def archive(messages: int = 30, fail: list[int] | None = None) -> Container:
    """A day of MID, every third under the archive's other spelling, and a code nobody knows."""
    blobs = {}
    for n in range(messages):
        dataset = "mibm_mid" if n % 3 == 0 else "MID"
        tags = {"Dataset": dataset, "Timestamp": text(T0), "UploadTime": f"2026-07-02T10:{n:02}:00Z"}
        blobs[f"data/{dataset}/MID_{n}.json"] = (tags, json.dumps([mid(n % 46 + 1, float(n))]).encode())
    blobs["data/NEW/new.json"] = ({"Dataset": "NEW", "UploadTime": "2026-07-02T10:00:00Z"}, b"[]")
    blobs["data/MID/later.json"] = (
        {"Dataset": "MID", "UploadTime": "2026-07-03T00:00:00Z"},
        json.dumps([mid(46, 9.0)]).encode(),
    )
    return Container(blobs, page=7, fail=fail or [])


def home(tmp_path: Path) -> tuple[Landing, Lake, Loader]:
    landing, lake = Landing(tmp_path / "landing"), Lake(tmp_path / "lake")
    return landing, lake, Loader(landing, lake)


@pytest.mark.parametrize("all_codes", [True, False])
def test_a_day_of_the_public_archive_is_loaded_once(tmp_path: Path, all_codes: bool) -> None:
    landing, lake, loader = home(tmp_path)
    waits: list[float] = []
    with served(archive(fail=[503, 429, 500])) as url:
        public = PublicArchive(url, wait=waits.append)
        done = from_public(public, landing, DAY, DAY, ["MID"], loader.drain, all_codes=all_codes)
        assert done == 30
        assert len(waits) == 3
        rows = lake.streams.read(MID)
        assert sorted(rows["price"].to_list()) == [float(n) for n in range(30)]
        before = [f.path for f in landing.listed(LOADED)]
        anew = Loader(landing, lake)
        assert from_public(public, landing, DAY, DAY, ["MID"], anew.drain) == 30
        assert anew.loaded.took == 0
        assert lake.streams.read(MID).equals(rows)
        assert sorted(f.path for f in landing.listed(LOADED)) == sorted(before)


def test_live_and_from_the_archive_a_message_is_one(tmp_path: Path) -> None:
    """The stream encodes twice and the archive once: the same message all the same."""
    landing, lake, loader = home(tmp_path)
    for n in range(10):
        body = json.dumps(json.dumps([mid(n % 46 + 1, float(n))])).encode()
        at = T0 + timedelta(seconds=n)
        landing.land(f"MID_{n}.json", body, {}, subject="mibm_mid" if n % 3 == 0 else "MID", enqueued_at=at)
    loader.drain()
    Packs(landing).pack()
    with served(archive(20)) as url:
        anew = Loader(landing, lake)
        from_public(PublicArchive(url), landing, DAY, DAY, ["MID"], anew.drain)
    assert (anew.loaded.rows["exact_duplicates"], anew.loaded.rows["written"]) == (10, 10)
    assert lake.streams.read(MID).height == 20
    packs = Packs(landing)
    packs.pack()
    assert len(list(packs.messages(DAY, DAY, lambda code: True))) == 20, "packed once"


def test_an_archive_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    landing, _, loader = home(tmp_path)
    with (
        served(archive(fail=[403])) as url,
        pytest.raises(ArchiveError, match=r"HTTP 403; what was landed is safe.*IRIS_ARCHIVE_URL"),
    ):
        from_public(PublicArchive(url), landing, DAY, DAY, ["MID"], loader.drain)
    with served(archive(fail=[503] * 6)) as url, pytest.raises(ArchiveError, match="HTTP 503"):
        from_public(PublicArchive(url, wait=lambda s: None), landing, DAY, DAY, ["MID"], loader.drain)
    assert landing.waiting() == []


def test_packing_keeps_everything_and_replays_it(tmp_path: Path) -> None:
    landing, lake, loader = home(tmp_path)
    for n in range(40):
        put(landing, ("MID", n, [mid(n % 46 + 1, float(n))]), n)
    put(landing, ("NEW", 1, [{"a": 1}]), 1)
    loader.drain()
    packs = Packs(landing)
    assert packs.pack(at_least=20) == 40
    assert packs.pack() == 1
    assert list(landing.listed(LOADED)) == []
    files, size = packs.usage()
    assert files == 2 and size > 0
    kept = {m.name: m for m in packs.messages(DAY, DAY, lambda code: True)}
    assert len(kept) == 41
    assert kept["MID_7.json"].body == json.dumps(json.dumps([mid(8, 7.0)])).encode()
    assert kept["MID_7.json"].at == T0 + timedelta(seconds=7)
    # a table lost by hand is had again from the raw archive alone
    before = lake.streams.read(MID)
    lake.streams.forget(MID, [DAY])
    assert lake.streams.read(MID).height == 0
    put(landing, ("MID", 100, [mid(46, 1.0)]), 100)
    Loader(landing, lake).drain()  # loaded, not packed
    lake.streams.forget(MID, [DAY])
    done = from_packs(packs, DAY, DAY, ["MID"], Loader(landing, lake).drain)
    assert done == 41
    columns = ["_day", "_fetched_at", "_source_file", *MID.names]
    assert (
        lake.streams.read(MID).filter(pl.col("settlementPeriod") < 46).select(columns).equals(before.select(columns))
    )
    assert packs.pack() == 41
    assert len(list(packs.messages(DAY, DAY, lambda code: True))) == 42


@pytest.mark.parametrize("step", ["pack", "unlink"])
def test_a_crash_while_packing_loses_and_doubles_nothing(tmp_path: Path, step: str) -> None:
    landing, _, loader = home(tmp_path)
    for n in range(5):
        put(landing, ("MID", n, [mid(n + 1, 1.0)]), n)
    loader.drain()

    def fault(here: str) -> None:
        if here == step:
            raise Killed

    with pytest.raises(Killed):
        Packs(landing, fault=fault).pack()
    put(landing, ("MID", 9, [mid(9, 1.0)]), 9)
    loader.drain()
    packs = Packs(landing)
    packs.pack()
    assert sorted(m.name for m in packs.messages(DAY, DAY, lambda c: True)) == sorted(
        f"MID_{n}.json" for n in (0, 1, 2, 3, 4, 9)
    )
    assert list(landing.listed(LOADED)) == []


def test_old_packs_go_but_those_of_unknown_codes(tmp_path: Path) -> None:
    landing, _, loader = home(tmp_path)
    put(landing, ("MID", 1, [mid(1, 1.0)]), 1)
    put(landing, ("NEW", 1, [{"a": 1}]), 1)
    loader.drain()
    packs = Packs(landing)
    packs.pack()
    assert packs.expire(30, DAY + timedelta(days=30)) == 0
    assert packs.expire(30, DAY + timedelta(days=31)) == 1
    assert [(subject, day) for subject, day, _ in packs.days()] == [("NEW", DAY)]


def test_every_spelling_is_looked_for() -> None:
    assert spellings("MID") == ("MID", "MIBM_MID", "mibm_mid")
    assert spellings("IMBALNGC") == ("IMBALNGC", "IMBALANGC")
    assert spellings("FREQ") == ("FREQ",)


def test_a_day_is_forgotten_when_history_has_it_all_for_long_enough(tmp_path: Path) -> None:
    landing, lake, loader = home(tmp_path)
    history, day = STREAMED["MID"], date(2024, 1, 3)
    for n in (1, 2, 3):
        row = made.mid_row(day, n, "APXMIDP", 70.0)
        sent = {**row, "settlementDate": str(day), "startTime": text(row["startTime"])}
        at = datetime(2024, 1, 3, 12, n, tzinfo=UTC)
        landing.land(f"m{n}.json", json.dumps([sent]).encode(), {}, subject="MID", enqueued_at=at)
    loader.drain()
    keep, over = timedelta(hours=48), datetime(2024, 1, 4, tzinfo=UTC)

    def answered(at: datetime, rows: pl.DataFrame) -> None:
        lake.replace(history, [Arrival(day, rows, at, windows_asked=1, windows_answered=1)])

    later = over + timedelta(days=9)
    assert confirmed(lake, history, later, keep) == [], "history was never asked"
    answered(over - timedelta(hours=1), made.mid())
    assert confirmed(lake, history, later, keep) == [], "it was asked while the day went on"
    answered(over + timedelta(hours=2), made.mid())
    assert confirmed(lake, history, over + timedelta(hours=49), keep) == [], "not for long enough"
    assert confirmed(lake, history, over + timedelta(hours=50), keep) == [day]
    extra = made.mid_row(day, 4, "OTHER", 70.0)
    sent = {**extra, "settlementDate": str(day), "startTime": text(extra["startTime"])}
    landing.land("x.json", json.dumps([sent]).encode(), {}, subject="MID", enqueued_at=over)
    loader.drain()
    assert confirmed(lake, history, later, keep) == [], "it lacks a key that the stream has"
    answered(over + timedelta(hours=3), pl.concat([made.mid(), made.frame(history, [extra])]))
    done = upkeep(lake, landing, later, keep=keep, raw_days=5000)
    assert done.forgotten == {"bmrs_mid_iris": [day]}
    assert (done.packed, done.expired) == (4, 0)
    assert lake.streams.read(stream_of(history)).height == 0
    assert lake.sql("SELECT count(*) AS n FROM bmrs_mid_unified")["n"][0] == 97
    assert lake.ledger.messages().height == 4
    late = datetime.now(UTC) + timedelta(days=20)
    assert upkeep(lake, landing, late, keep=keep, raw_days=10).expired == 2
    assert lake.ledger.messages().height == 0
