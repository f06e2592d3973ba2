"""`gbpm unit` on the recorded register, fetched over HTTP on two days of a home."""

from __future__ import annotations

import pytest

from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import Gbpm

MONDAY, TUESDAY = "2026-03-30T12:00:00Z", "2026-03-31T12:00:00Z"


@pytest.fixture(scope="module")
def gbpm(make_gbpm: MakeGbpm, replay: ReplayServer) -> Gbpm:
    """A home with the lists of two days, though nothing has changed: each day's is asked."""
    gbpm = make_gbpm(replay.base_url, GBPM_DATASETS="ref_bmunits", GBPM_NOW=TUESDAY)
    for now in (MONDAY, TUESDAY):
        done = gbpm("backfill", "ref_bmunits", "--json", GBPM_NOW=now)
        assert (done.code, done.json["requests"]) == (0, 1)
    return gbpm


def test_both_lists_are_kept_and_sql_shows_one(gbpm: Gbpm) -> None:
    counted = gbpm("sql", "SELECT _day, COUNT(*) AS n FROM ref_bmunits GROUP BY _day", "--format", "json")
    assert counted.json == [{"_day": "2026-03-31", "n": 2732}]
    lists = gbpm("sql", "SELECT day FROM gbpm_evidence WHERE rows = 2732 ORDER BY day", "--format", "csv")
    assert lists.out.split() == ["day", "2026-03-30", "2026-03-31"]
    history = "SELECT _valid_from, _valid_to, _last_seen, COUNT(*) AS n FROM ref_bmunits_history GROUP BY ALL"
    assert gbpm("sql", history, "--format", "json").json == [
        {"_valid_from": "2026-03-30", "_valid_to": None, "_last_seen": "2026-03-31", "n": 2732}
    ]


@pytest.mark.parametrize(
    ("asked", "rule"),
    [("2__FBPGM002", "elexon_id"), ("fbpg02", "ng_id"), ("FBPGM002", "suffix"), ("2__fbpgm002", "elexon_id")],
)
def test_json_is_the_contract(gbpm: Gbpm, asked: str, rule: str) -> None:
    done = gbpm("unit", asked, "--json")
    assert done.code == 0, done.err
    assert done.json == {
        "asked": asked,
        "on": "2026-03-31",
        "list_of": "2026-03-31",
        "first_list": "2026-03-30",
        "last_list": "2026-03-31",
        "rule": rule,
        "units": [
            {
                "elexon_id": "2__FBPGM002",
                "national_grid_id": "FBPG02",
                "eic": None,
                "name": "Hawthorn Pit BESS",
                "fuel": None,
                "lead_party": "BP Gas Marketing Limited",
                "lead_party_id": "BPGAS",
                "type": "S",
                "type_meaning": "additional supplier unit of a GSP group",
                "generation_capacity_mw": 50.3,
                "demand_capacity_mw": -54.8,
                "production_or_consumption": "C",
                "gsp_group_id": "_F",
                "gsp_group": "Northern",
                "interconnector": None,
                "since": "2026-03-30",
                "until": None,
                "changes": [
                    {"day": "2026-03-30", "what": "listed", "column": "", "before": None, "after": None},
                ],
            }
        ],
    }


def test_a_person_reads_a_card(gbpm: Gbpm) -> None:
    done = gbpm("unit", "T_DRAXX-1", "--on", "2026-03-30")
    assert done.code == 0
    for words in (
        "T_DRAXX-1, found by Elexon's id in the list of 2026-03-30",
        "fuel BIOMASS",
        "lead party Drax Power Ltd (DRAX)",
        "type T (directly connected to transmission)",
        "generation capacity 665.248 MW",
        "demand capacity 0 MW",
        "so since 2026-03-30 (the first list kept)",
        "so until the newest list, 2026-03-31",
    ):
        assert words in done.words
    assert max(len(line) for line in done.out.splitlines()) <= 80


def test_several_units_are_listed(gbpm: Gbpm) -> None:
    done = gbpm("unit", "aflex003")
    assert done.code == 0
    assert "aflex003 is an id of 2 units in the list of 2026-03-31" in done.words
    assert "2__AFLEX003 AG-AFLX03" in done.words
    assert "V__AFLEX003" in done.words
    found = gbpm("unit", "aflex003", "--json").json
    assert (found["rule"], len(found["units"])) == ("ambiguous", 2)


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["DRAXX1"], 1, "did you mean T_DRAXX-1"),
        (["DRAXX-1", "--on", "2026-03-29"], 1, "the first is of 2026-03-30"),
        (["DRAXX-1", "--on", "2026-04-01"], 2, "--on 2026-04-01 is in the future"),
        (["DRAXX-1", "--on", "30/3/2026"], 2, "yyyy-mm-dd"),
    ],
)
def test_what_cannot_be_told_is_one_line(gbpm: Gbpm, args: list[str], code: int, words: str) -> None:
    for more in ([], ["--json"]):
        done = gbpm("unit", *args, *more)
        assert (done.code, done.out) == (code, "")
        assert done.err.startswith("gbpm: ")
        assert len(done.err.splitlines()) == 1
        assert words in done.err


def test_a_home_without_a_list_says_how_to_get_one(make_gbpm: MakeGbpm) -> None:
    done = make_gbpm()("unit", "DRAXX-1")
    assert (done.code, done.out) == (1, "")
    assert "no list of BM units is kept yet: `gbpm backfill ref_bmunits` fetches today's" in done.err
