"""`gbpm known-gaps`, and what it changes for the commands that judge and fetch."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest

from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.orchestration.heal_plan import Around, plan_healing
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.quality.register import Entry, Status, new_entry
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import Done, Gbpm

DAYS = ("--from", "2024-01-03", "--to", "2024-01-05")


@pytest.fixture
def gbpm(make_gbpm: MakeGbpm) -> Gbpm:
    return make_gbpm(GBPM_DATASETS="bmrs_mid")


def add(gbpm: Gbpm, *args: str, reason: str = "the exchange was closed") -> Done:
    return gbpm("known-gaps", "add", "bmrs_mid", *(args or DAYS), "--reason", reason)


def register(gbpm: Gbpm) -> list[tuple[str, date, date | None, str, str]]:
    return gbpm.runtime().lake.known_gaps().select("table", "first", "last", "status", "reason").rows()


def enter(gbpm: Gbpm, first: date, last: date | None, status: Status, by: str = "healer") -> Entry:
    entry = new_entry("bmrs_mid", first, last, status, "as it is", by, datetime.now(UTC))
    gbpm.runtime().lake.put_known_gaps([entry.row()])
    return entry


def test_a_fresh_home_knows_of_no_gap(gbpm: Gbpm) -> None:
    done = gbpm("known-gaps", "list")
    assert (done.code, done.out) == (0, "0 known gaps\n")
    assert gbpm("known-gaps", "list", "--json").json == {"known_gaps": []}
    assert "known gaps" not in gbpm("status").out
    assert gbpm("status", "--json").json["known_gaps"] == {}


def test_add_list_resolve(gbpm: Gbpm) -> None:
    done = gbpm(
        "known-gaps", "add", "mid", *DAYS, "--reason", "the exchange was closed", "--status", "excluded",
        "--evidence", "ticket 12", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    (entry,) = done.json["known_gaps"]
    assert {k: entry[k] for k in ("table", "first", "last", "status", "reason", "evidence", "by", "recoverable")} == {
        "table": "bmrs_mid", "first": "2024-01-03", "last": "2024-01-05", "status": "excluded",
        "reason": "the exchange was closed", "evidence": {"said": "ticket 12"}, "by": "person", "recoverable": None,
    }  # fmt: skip
    assert gbpm("known-gaps", "list", "--json").json["known_gaps"] == [entry]
    words = gbpm("known-gaps", "list", COLUMNS="160").words
    assert f"{entry['id']} bmrs_mid 2024-01-03 to 2024-01-05 excluded the exchange was closed" in words
    assert gbpm("known-gaps", "list", "bmrs_mid", "--status", "suspected").words == "0 known gaps"

    ended = gbpm("known-gaps", "resolve", entry["id"][:5], "--reason", "open again")
    assert ended.code == 0
    assert f"{entry['id']}: bmrs_mid 2024-01-03 to 2024-01-05 is resolved; it was excluded" in ended.words
    assert "`gbpm check bmrs_mid` says which" in ended.words
    assert register(gbpm) == [("bmrs_mid", date(2024, 1, 3), date(2024, 1, 5), "resolved", "open again")]
    assert "0 known gaps; 1 resolved ones are not shown" in gbpm("known-gaps", "list").words
    assert len(gbpm("known-gaps", "list", "--status", "resolved", "--json").json["known_gaps"]) == 1
    (over,) = gbpm("known-gaps", "list", "--status", "resolved", "--json").json["known_gaps"]
    assert gbpm("known-gaps", "resolve", entry["id"], "--json").json == {"known_gaps": [over]}
    again = gbpm("known-gaps", "resolve", entry["id"])
    assert (again.code, "is resolved already; nothing changed" in again.words) == (0, True)


def test_a_gap_said_again_is_one_entry_with_the_new_words(gbpm: Gbpm) -> None:
    add(gbpm)
    done = add(gbpm, *DAYS, "--status", "excluded", reason="not needed")
    assert done.code == 0 and "is excluded (it was suspected): not needed" in done.words
    assert register(gbpm) == [("bmrs_mid", date(2024, 1, 3), date(2024, 1, 5), "excluded", "not needed")]
    assert add(gbpm, *DAYS, "--status", "excluded", reason="still not").code == 0  # it does not overlap itself
    states = gbpm.runtime().lake.ledger.table("gbpm_known_gaps").read()
    assert states.height == 3 and states["since"].n_unique() == 1


def test_an_open_end_and_days_to_come_may_be_said(gbpm: Gbpm) -> None:
    assert "bmrs_mid 2024-01-03 on is suspected" in add(gbpm, "--from", "2024-01-03", "--open").words
    assert add(gbpm, "--from", "2024-01-03", "--to", "2031-01-01").code == 0
    assert [last for _, _, last, *_ in register(gbpm)].count(None) == 1


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("add", "bmrs_midd", *DAYS, "--reason", "x"), 2, "there is no table 'bmrs_midd': did you mean bmrs_mid"),
        (("add", "bmrs_mid", "--from", "2024-02-30", "--open", "--reason", "x"), 2, "no such day in the calendar"),
        (("add", "bmrs_mid", "--from", "3.1.2024", "--open", "--reason", "x"), 2, "give a day as yyyy-mm-dd"),
        (("add", "bmrs_mid", "--from", "2024-01-05", "--to", "2024-01-03", "--reason", "x"), 2, "swap them"),
        (("add", "bmrs_mid", "--from", "2024-01-05", "--reason", "x"), 2, "its last day, or --open for none"),
        (("add", "bmrs_mid", *DAYS, "--open", "--reason", "x"), 2, "or --open for none, not both"),
        (("add", "bmrs_mid", "--to", "2024-01-05", "--reason", "x"), 2, "say which days: --from and --to"),
        (("add", "bmrs_mid", "--from", "1999-01-05", "--open", "--reason", "x"), 2, "has it from 2016-01-01 on"),
        (("add", "bmrs_mid", *DAYS, "--reason", "  "), 2, "--reason is empty"),
        (("add", "bmrs_mid", *DAYS), 2, "Missing option '--reason'"),
        (("add", "bmrs_mid", *DAYS, "--reason", "x", "--status", "given_up"), 2, "'given_up' is not one of"),
        (("list", "nonsense"), 2, "there is no table 'nonsense'"),
        (("list", "--status", "lost"), 2, "'lost' is not one of"),
        (("resolve", "abcdef"), 2, "the register has no entry 'abcdef': `gbpm known-gaps list` shows the ids"),
        (("resolve", "abc"), 2, "too short for an id: give at least its first 4 digits"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_a_sentence(
    gbpm: Gbpm, args: tuple[str, ...], code: int, words: str
) -> None:
    done = gbpm("known-gaps", *args)
    assert done.code == code
    assert words in done.words.replace("│ ", "")
    assert "Traceback" not in done.err
    assert register(gbpm) == []


def test_exclusions_may_not_overlap_and_the_message_says_how_to_go_on(gbpm: Gbpm) -> None:
    add(gbpm, *DAYS, "--status", "excluded")
    done = add(gbpm, "--from", "2024-01-05", "--open", "--status", "excluded")
    (entry,) = gbpm("known-gaps", "list", "--json").json["known_gaps"]
    assert done.code == 1
    assert f"2024-01-03 to 2024-01-05 is excluded already ({entry['id']}: the exchange was closed)" in done.words
    assert f"`gbpm known-gaps resolve {entry['id']}` ends that" in done.words
    assert add(gbpm, "--from", "2024-01-05", "--open").code == 0  # a note may
    assert add(gbpm, "--from", "2024-01-06", "--open", "--status", "excluded").code == 0


def test_an_id_that_begins_two_entries_is_refused(gbpm: Gbpm) -> None:
    lake = gbpm.runtime().lake
    one = enter(gbpm, date(2024, 1, 1), None, Status.SUSPECTED)
    for digit in "01":
        lake.put_known_gaps([{**one.row(), "id": f"abcd{digit}00000"}])
    done = gbpm("known-gaps", "resolve", "abcd")
    assert (done.code, "'abcd' may be abcd000000 or abcd100000: give more digits" in done.words) == (2, True)


def test_seeds_are_entered_once_and_what_was_said_of_them_stays(gbpm: Gbpm) -> None:
    done = gbpm("known-gaps", "seed")
    assert (done.code, done.out) == (0, "88 known gaps added, 0 there already\n")
    (entry,) = gbpm("known-gaps", "list", "bmrs_netbsad", "--json").json["known_gaps"]
    assert entry["evidence"] == {"source": "inventory of the legacy warehouse, section 5", "line": 11}
    assert gbpm("known-gaps", "resolve", entry["id"]).code == 0
    assert gbpm("known-gaps", "seed").out == "0 known gaps added, 88 there already\n"
    assert gbpm("known-gaps", "seed", "--json").json == {"added": 0, "there": 88}
    assert gbpm("known-gaps", "list", "bmrs_netbsad", "--json").json["known_gaps"] == []
    stream = gbpm("known-gaps", "list", "bmrs_mid_iris", "--json").json["known_gaps"]
    assert {e["table"] for e in stream} == {"bmrs_mid_iris"} and len(stream) == 4


def test_the_status_counts_them(gbpm: Gbpm) -> None:
    add(gbpm, *DAYS, "--status", "excluded")
    enter(gbpm, date(2024, 1, 6), None, Status.GIVEN_UP)
    said = gbpm("status", "--json").json
    assert said["known_gaps"] == {"excluded": 1, "given_up": 1}
    assert said["tables"][0]["excluded"] == 3
    assert "known gaps: 1 excluded, 1 given up. `gbpm known-gaps list` shows them." in gbpm("status").out


def test_dagster_shows_the_register_as_it_is_after_each_command(gbpm: Gbpm) -> None:
    def shown() -> dict[str, Any]:
        with open_instance(gbpm.runtime().settings) as instance:
            event = instance.get_latest_materialization_event(dg.AssetKey("gbpm_known_gaps"))
        assert event is not None and event.asset_materialization is not None
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    add(gbpm, *DAYS, "--status", "excluded")
    first = shown()
    assert (first["dagster/row_count"], first["excluded"]) == (1, 1)
    (record,) = first["known gaps"].records
    entry = gbpm("known-gaps", "list", "--json").json["known_gaps"][0]
    assert dict(record.data) == {
        "id": entry["id"], "table": "bmrs_mid", "days": "2024-01-03 to 2024-01-05", "status": "excluded",
        "by": "person", "since": entry["since"][:10], "reason": "the exchange was closed",
    }  # fmt: skip
    gbpm("known-gaps", "resolve", entry["id"])
    assert shown() == {"dagster/row_count": 1, "resolved": 1}


def test_excluded_days_are_not_asked_by_missing_nor_healer_and_pass(
    make_gbpm: MakeGbpm, replay: ReplayServer
) -> None:
    gbpm = make_gbpm(replay.base_url, GBPM_DATASETS="bmrs_mid", GBPM_NOW="2024-01-20T12:00:00Z")
    add(gbpm, *DAYS, "--status", "excluded")
    add(gbpm, "--from", "2024-01-08", "--open", "--status", "excluded", reason="not recorded")
    asked = len(replay.requests)
    done = gbpm("backfill", "bmrs_mid", "--missing", "--json")
    assert done.code == 0
    assert done.json["tables"]["bmrs_mid"] == {"complete": 4, "rows": 384, "missing": {}}
    lake, days = gbpm.runtime().lake, [date(2024, 1, n) for n in (1, 2, 6, 7)]
    assert lake.evidence(["bmrs_mid"])["day"].to_list() == days
    assert len(replay.requests) > asked
    checked = {r["check"]: r for r in gbpm("check", "bmrs_mid", "--json").json["checks"]}
    assert (checked["gaps"]["passed"], checked["gaps"]["missing"]) == (True, [])
    assert checked["gaps"]["summary"].startswith("4 of 20 days complete")
    runtime = gbpm.runtime()
    wanted = {"bmrs_mid": [date(2024, 1, n) for n in range(1, 20)]}
    assert plan_healing(runtime, wanted, Around()).days == 0
    assert gbpm("heal", "--json").json["asked"] == {}

    one = gbpm("backfill", "bmrs_mid", "--from", "2024-01-04", "--to", "2024-01-04", "--json")
    assert (one.code, one.json["tables"]["bmrs_mid"]["complete"]) == (0, 1)  # who names a day gets it


def test_a_person_makes_a_lost_day_missing_again(make_gbpm: MakeGbpm, replay: ReplayServer) -> None:
    gbpm = make_gbpm(replay.base_url, GBPM_DATASETS="bmrs_mid", GBPM_NOW="2024-01-08T12:00:00Z")
    lost = enter(gbpm, date(2024, 1, 3), date(2024, 1, 3), Status.MISSING_AT_SOURCE)
    gbpm("backfill", "bmrs_mid", "--from", "2024-01-01", "--to", "2024-01-02")
    gbpm("backfill", "bmrs_mid", "--from", "2024-01-04", "--to", "2024-01-07")
    span = ("--from", "2024-01-01", "--to", "2024-01-07")

    def gaps() -> Any:
        return {r["check"]: r for r in gbpm("check", "bmrs_mid", *span, "--json").json["checks"]}["gaps"]

    assert (gaps()["passed"], gaps()["missing"]) == (True, [])
    assert gbpm("known-gaps", "resolve", lost.id).code == 0
    assert (gaps()["passed"], gaps()["severity"], gaps()["missing"]) == (False, "ERROR", ["2024-01-03"])
    add(gbpm, "--from", "2024-01-03", "--to", "2024-01-03", reason="seen in the log")
    assert (gaps()["passed"], gaps()["severity"], gaps()["missing"]) == (False, "WARN", ["2024-01-03"])
    assert gbpm("check", "bmrs_mid", *span).code == 3  # a warning, and a day is missing still
    done = gbpm("backfill", "bmrs_mid", *span, "--missing", "--json")
    assert (done.code, done.json["tables"]["bmrs_mid"]["complete"]) == (0, 7)
