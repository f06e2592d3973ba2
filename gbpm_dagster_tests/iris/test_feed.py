"""The stand-in's feed, landed and loaded: its expected.json, exactly (issue 6, "Shown by")."""

from __future__ import annotations

import json
import random
import tarfile
from datetime import date
from pathlib import Path

import pytest

from gbpm_dagster.catalogue.streams import STREAMED, stream_of
from gbpm_dagster.ingest.stream import Loader
from gbpm_dagster.iris.landing import LOADED, UNDECODABLE, Landing
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.iris.feed import Feed, differences, land

ARCHIVE = Path(__file__).parents[1] / "data" / "iris" / "feed.tar.gz"


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Feed:
    folder = tmp_path_factory.mktemp("feed")
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    return Feed.read(folder)


@pytest.fixture(scope="module")
def loaded(feed: Feed, tmp_path_factory: pytest.TempPathFactory) -> tuple[Landing, Lake]:
    home = tmp_path_factory.mktemp("home")
    landing, lake = Landing(home / "landing"), Lake(home / "lake")
    land(feed, landing)
    Loader(landing, lake).drain()
    return landing, lake


def test_everything_expected_is_there_and_nothing_else(feed: Feed, loaded: tuple[Landing, Lake]) -> None:
    assert differences(feed, loaded[1], loaded[0]) == []


def test_odd_messages_did_no_harm(loaded: tuple[Landing, Lake]) -> None:
    assert not Path("/tmp/iris_feed_pwned").exists()
    assert not Path("/tmp/iris_feed_escape.json").exists()
    landing, lake = loaded
    messages = lake.ledger.messages()
    by_name = {r["name"]: r for r in messages.iter_rows(named=True)}
    assert by_name["iris_feed_escape.json"]["written"] == 1
    assert by_name["ODD_unknown_code.json"]["status"] == "unknown"
    assert by_name["ODD_empty_body.json"]["status"] == by_name["ODD_empty_list.json"]["status"] == "empty"
    assert {f.name for f in landing.listed(UNDECODABLE)} == {
        f"ODD_{kind}.json" for kind in ("malformed_json", "not_json", "number_body", "python_literal")
    }
    assert {r["reason"] for r in messages.filter(status="undecodable").iter_rows(named=True)} != {""}
    assert lake.drift()["column"].to_list() == ["brandNewField"]
    reasons = sorted(lake.quarantine()["reason"].to_list())
    assert reasons == [
        'generation: "n/a" is not a number',
        "generation: 1234.5 is not an integer",
        "startTime is absent",
    ]
    freq = stream_of(STREAMED["FREQ"])
    assert lake.streams.read(freq, end=date(2024, 6, 1))["frequency"].to_list() == [50.002]
    assert lake.streams.read(freq, vintages=True)["frequency"].to_list() == [50.001]


def test_the_same_feed_in_another_order_and_twice_ends_the_same(
    feed: Feed, loaded: tuple[Landing, Lake], tmp_path: Path
) -> None:
    landing, lake = Landing(tmp_path / "landing"), Lake(tmp_path / "lake")
    mixed = [m for m in feed.messages for _ in range(2)]
    random.Random(6).shuffle(mixed)
    other = Feed(feed.folder, mixed, feed.expected)
    for part in range(4):
        land(Feed(feed.folder, mixed[part::4], feed.expected), landing)
        Loader(landing, lake).drain()
    assert differences(other, lake, landing) == []
    for dataset in map(stream_of, STREAMED.values()):
        for vintages in (False, True):
            mine, first = (x.streams.read(dataset, vintages=vintages) for x in (lake, loaded[1]))
            columns = ["_day", *dataset.names]
            assert mine.select(columns).sort(columns).equals(first.select(columns).sort(columns)), dataset.table


def test_the_feed_knows_what_is_wrong(feed: Feed, loaded: tuple[Landing, Lake]) -> None:
    """A judge that never complains proves nothing."""
    landing, lake = loaded
    assert len(list(landing.listed(LOADED))) > 300
    less = json.loads(json.dumps(feed.expected))
    less["codes"]["BOD"]["rows_unique"] -= 1
    less["quarantine_rows"] = 7
    assert len(differences(Feed(feed.folder, feed.messages, less), lake, landing)) == 2
    cut = Feed(feed.folder, [m for m in feed.messages if m["subject"] != "REMIT"], feed.expected)
    found = differences(cut, lake, landing)
    assert any("REMIT" in line and "nobody sent" in line for line in found)
