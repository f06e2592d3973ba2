"""The register's storage: the newest state wins, whoever writes, and a killed writer leaves it whole."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.warehouse import ledger
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import KNOWN_GAP_SCHEMA, WarehouseError
from gbpm_dagster_tests.warehouse.killing import REPOSITORY

NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)

WRITER = """
import sys
from datetime import UTC, date, datetime
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.warehouse.test_known_gaps import entry
lake, who = Lake(sys.argv[1]), sys.argv[2]
for n in range(12):
    lake.put_known_gaps([entry(f"{who}{n}"), entry("shared", reason=f"{who}{n}")])
"""

KILLED = """
import os, sys
from gbpm_dagster.warehouse.delta import Table
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.warehouse.test_known_gaps import entry
import gbpm_dagster.warehouse.delta as delta
real = delta.write_deltalake
def dies(*args, **kwargs):
    if sys.argv[2] == "after":
        real(*args, **kwargs)
    os.kill(os.getpid(), 9)
delta.write_deltalake = dies
Lake(sys.argv[1]).put_known_gaps([entry("a", status="resolved"), entry("b")])
"""


def entry(id_: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "table": "bmrs_mid",
        "first": date(2024, 1, 3),
        "last": None,
        "status": "suspected",
        "reason": "loading stopped",
        "evidence": "{}",
        "recoverable": None,
        "since": NOON,
        "by": "person",
        "changed_at": NOON,
        "retry_at": None,
        **more,
    }


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def test_an_empty_register_has_its_columns(lake: Lake) -> None:
    assert lake.known_gaps().schema == pl.Schema(KNOWN_GAP_SCHEMA)
    assert lake.known_gaps().is_empty()
    assert lake.sql("SELECT * FROM gbpm_known_gaps").is_empty()


def test_what_is_put_comes_back_by_table_first_day_and_id(lake: Lake) -> None:
    rows = [
        entry("c", table="bmrs_mid", first=date(2024, 1, 5), last=date(2024, 1, 9), recoverable=True),
        entry("b", table="bmrs_mid", retry_at=NOON + timedelta(days=7), evidence='{"answers": 2}'),
        entry("a", table="bmrs_freq_iris"),
    ]
    lake.put_known_gaps(rows)
    assert lake.known_gaps().to_dicts() == [rows[2], rows[1], rows[0]]
    assert lake.known_gaps(["bmrs_mid"])["id"].to_list() == ["b", "c"]
    assert lake.known_gaps([]).is_empty()


def test_the_newest_state_of_an_entry_counts_and_the_others_stay(lake: Lake) -> None:
    lake.put_known_gaps([entry("a"), entry("b")])
    lake.put_known_gaps([entry("a", status="resolved", changed_at=NOON + timedelta(hours=1))])
    assert dict(lake.known_gaps().select("id", "status").iter_rows()) == {"a": "resolved", "b": "suspected"}
    assert lake.ledger.table("gbpm_known_gaps").read().height == 3


def test_sql_shows_the_newest_states(lake: Lake) -> None:
    lake.put_known_gaps([entry("a"), entry("b", last=date(2024, 1, 4))])
    lake.put_known_gaps([entry("a", status="excluded")])
    found = lake.sql('SELECT id, "table", "first", "last", status FROM gbpm_known_gaps ORDER BY id')
    assert found.rows() == [
        ("a", "bmrs_mid", date(2024, 1, 3), None, "excluded"),
        ("b", "bmrs_mid", date(2024, 1, 3), date(2024, 1, 4), "suspected"),
    ]
    pieces = [p.rows.num_rows for p in lake.reader("gbpm_known_gaps").pieces()]
    assert sum(pieces) == 2


def test_the_last_written_wins_though_its_clock_is_behind(lake: Lake) -> None:
    lake.put_known_gaps([entry("a")])
    lake.put_known_gaps([entry("a", status="excluded", changed_at=NOON - timedelta(days=1))])
    lake.put_known_gaps([entry("a", status="given_up"), entry("a", status="resolved")])
    state = lake.known_gaps().row(0, named=True)
    assert (state["status"], state["changed_at"]) == ("resolved", NOON + timedelta(microseconds=3))


def test_a_change_sees_the_register_as_it_is_and_says_what_it_wrote(lake: Lake) -> None:
    lake.put_known_gaps([entry("a")])
    seen: list[str] = []

    def change(now: pl.DataFrame) -> list[dict[str, Any]]:
        seen.extend(now["id"])
        return [entry("b")]

    assert lake.ledger.change_known_gaps(change)["id"].to_list() == ["b"]
    assert seen == ["a"]
    version = lake.ledger.table("gbpm_known_gaps").version
    assert lake.ledger.change_known_gaps(lambda now: []).is_empty()
    assert lake.ledger.table("gbpm_known_gaps").version == version  # nothing to say is no commit


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"status": "lost"},
            "status is 'lost', not one of excluded, missing_at_source, given_up, suspected, resolved",
        ),
        ({"by": "me"}, "by is 'me', not one of seed, healer, person"),
        ({"last": date(2024, 1, 2)}, "entry a of bmrs_mid ends on 2024-01-02, before it begins on 2024-01-03"),
        ({"reason": ""}, "has no reason"),
        ({"first": None}, "has no first"),
        ({"colour": "red"}, "see colour"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_and_nothing_is_written(
    lake: Lake, wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(WarehouseError, match=words):
        lake.put_known_gaps([entry("b"), entry("a", **wrong)])
    assert lake.known_gaps().is_empty()


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), who], cwd=REPOSITORY) for who in ("x", "y")
    ]
    assert [w.wait(timeout=120) for w in workers] == [0, 0]
    states = Lake(tmp_path).ledger.table("gbpm_known_gaps").read()
    shared = states.filter(id="shared")
    assert shared.height == 24 and shared["changed_at"].n_unique() == 24
    now = {r["id"]: r for r in Lake(tmp_path).known_gaps().to_dicts()}
    assert set(now) == {"shared", *(f"{who}{n}" for who in "xy" for n in range(12))}
    assert now["shared"]["reason"] == shared.sort("changed_at")["reason"][-1]


@pytest.mark.parametrize(
    ("when", "then"), [("before", {"a": "suspected"}), ("after", {"a": "resolved", "b": "suspected"})]
)
def test_a_writer_killed_in_its_commit_leaves_all_of_it_or_nothing(
    tmp_path: Path, when: str, then: dict[str, str]
) -> None:
    Lake(tmp_path).put_known_gaps([entry("a")])
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], cwd=REPOSITORY, check=False)
    assert done.returncode == -9
    lake = Lake(tmp_path)
    assert dict(lake.known_gaps().select("id", "status").iter_rows()) == then
    lake.put_known_gaps([entry("c")])  # and its lock went with it
    assert "c" in lake.known_gaps()["id"].to_list()


def test_small_files_are_joined(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_MANY_FILES", 3)
    for n in range(5):
        lake.put_known_gaps([entry(f"{n}")])
    assert len(lake.ledger.table("gbpm_known_gaps").files()) <= 3
    assert lake.known_gaps()["id"].to_list() == ["0", "1", "2", "3", "4"]
    assert lake.disk_usage()["gbpm_known_gaps"] > 0
