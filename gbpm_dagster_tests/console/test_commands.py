"""Every command against the recorded days: what it prints, its exit code, the shapes of docs/contract.md."""

from __future__ import annotations

import json
import platform
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from gbpm_dagster import __version__
from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.orchestration.checks import last_gaps
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.settings import fields, variable
from gbpm_dagster.warehouse.protocol import Arrival, frame_schema
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import WEEK, Done, Gbpm, rows_of

DAYS = [f"2024-01-0{n}" for n in range(1, 8)]


@pytest.fixture(scope="module")
def gbpm(make_gbpm: MakeGbpm, replay: ReplayServer) -> Gbpm:
    """A home of this module. No test depends on what another did to it."""
    return make_gbpm(replay.base_url)


@pytest.fixture(scope="module")
def filled(gbpm: Gbpm) -> tuple[Gbpm, Done]:
    """The home with a week and the half of a day in it, and what the backfill said."""
    return gbpm, gbpm("backfill", "bmrs_mid", "bmrs_indo", "--from", "2024-01-01", "--to", "2024-01-08", "--json")


def test_json_is_alone_on_the_standard_output_of_the_program(make_gbpm: MakeGbpm, replay: ReplayServer) -> None:
    gbpm = make_gbpm(replay.base_url)
    days = ("--from", "2024-01-01", "--to", "2024-01-02")
    done = gbpm.finish("backfill", "bmrs_mid", *days, "--json", PYTHONWARNINGS="default")
    assert done.code == 0, done.err
    assert done.json["tables"] == {"bmrs_mid": {"complete": 2, "rows": 192, "missing": {}}}
    assert done.out.count("\n") == 1
    shown = gbpm.finish("check", "bmrs_mid", *days, "--json")
    assert (shown.code, len(shown.json["checks"])) == (0, 4)


def test_backfill_json_is_the_contract(filled: tuple[Gbpm, Done]) -> None:
    gbpm, done = filled
    assert done.code == 3, done.err
    said = done.json  # the whole of stdout is one document
    assert list(said) == ["tables", "runs", "requests"]
    assert said["tables"] == {
        "bmrs_mid": {"complete": 7, "rows": 672, "missing": {"2024-01-08": "late: answered, empty"}},
        "bmrs_indo": {
            "complete": 7,
            "rows": 337,
            "missing": {"2024-01-08": "partial: 1 of 48 periods; missing 1-21"},
        },
    }
    with open_instance(gbpm.runtime().settings) as instance:
        runs = {r.run_id: r for r in instance.get_runs()}
        partitions = instance.get_materialized_partitions(dg.AssetKey("bmrs_mid"))
    assert set(said["runs"]) == set(runs)
    assert {r.status.value for r in runs.values()} == {"SUCCESS"}
    assert partitions == {*DAYS, "2024-01-08"}
    assert said["requests"] == 2 + 8  # eight days of MID and of INDO, whose caps are 7 days and 1


def test_the_rows_are_the_recorded_ones(filled: tuple[Gbpm, Done], replay: ReplayServer) -> None:
    gbpm, _ = filled
    lake = gbpm.runtime().lake
    for table in ("bmrs_mid", "bmrs_indo"):
        recorded = replay.frames[table].filter(pl.col("day").is_between(date(2024, 1, 1), date(2024, 1, 8)))
        assert lake.evidence([table])["rows"].sum() == recorded.height
        account = lake.evidence([table])
        kept = account["written"] + account["superseded"] + account["exact_duplicates"] + account["quarantined"]
        assert account["fetched"].to_list() == kept.to_list()


def test_a_second_backfill_changes_nothing_and_missing_asks_nothing(
    filled: tuple[Gbpm, Done], replay: ReplayServer
) -> None:
    gbpm, _ = filled
    before, asked = rows_of(gbpm), len(replay.requests)
    done = gbpm("backfill", "bmrs_mid", "bmrs_indo", *WEEK, "--missing")
    assert done.code == 0
    assert "0 runs, 0 requests" in done.out
    assert len(replay.requests) == asked
    again = gbpm("backfill", "bmrs_indo", "--from", "2024-01-03", "--to", "2024-01-03")
    assert again.code == 0
    assert "1 run, 1 request" in again.out
    assert rows_of(gbpm) == before


def test_missing_takes_what_is_late_or_partial_and_not_what_is_not_due(filled: tuple[Gbpm, Done]) -> None:
    gbpm, _ = filled
    at_one = {"GBPM_NOW": "2024-01-08T00:40:00Z"}  # the day has begun: nothing of it is due yet
    states = gbpm.runtime(**at_one)
    today = [date(2024, 1, 8)]
    assert states.coverage(states.named(["bmrs_mid"])[0], today)["state"].to_list() == ["not_due"]
    before = gbpm("backfill", "bmrs_mid", "--missing", "--json", **at_one)
    assert (before.code, before.json["requests"], before.json["runs"]) == (0, 0, [])

    late = gbpm("backfill", "--all", "--missing", "--json")  # at noon: late (MID), partial (INDO)
    assert late.code == 3
    assert late.json["requests"] == 2
    assert set(late.json["tables"]["bmrs_mid"]["missing"]) == {"2024-01-08"}
    assert late.json["tables"]["bmrs_mid"]["missing"]["2024-01-08"].startswith("late: ")
    assert "missing 1-21" in late.json["tables"]["bmrs_indo"]["missing"]["2024-01-08"]  # partial: asked again
    again = gbpm("backfill", "--group", "demand", "--missing", "--json")
    assert (again.code, again.json["requests"]) == (3, 1)


def test_missing_leaves_alone_what_the_source_does_not_have(make_gbpm: MakeGbpm, replay: ReplayServer) -> None:
    """Two empty answers 25 hours apart, while its neighbours answer: proven to be missing at the source."""
    gbpm = make_gbpm(replay.base_url, GBPM_NOW="2024-01-20T12:00:00Z", GBPM_DATASETS="bmrs_mid")
    runtime, day = gbpm.runtime(), date(2024, 1, 3)
    mid = runtime.named(["bmrs_mid"])[0]
    span = ("--from", "2024-01-02", "--to", "2024-01-04")
    for hours in (0, 25):
        answered = datetime(2024, 1, 18, tzinfo=UTC) + timedelta(hours=hours)
        nothing = pl.DataFrame(schema=frame_schema(mid))
        runtime.lake.replace(mid, [Arrival(day, nothing, answered, windows_asked=1, windows_answered=1)])
    alone = runtime.coverage(mid, [day])["state"].to_list()
    assert alone == ["missing"]  # without a neighbour that answers it proves nothing
    for other in ("2024-01-02", "2024-01-04"):
        assert gbpm("backfill", "bmrs_mid", "--from", other, "--to", other).code == 0
    done = gbpm("backfill", "bmrs_mid", *span, "--missing", "--json")
    assert (done.code, done.json["requests"]) == (0, 0)
    assert done.json["tables"]["bmrs_mid"] == {"complete": 2, "rows": 192, "missing": {}}
    assert runtime.coverage(mid, [day])["state"].to_list() == ["missing_at_source"]


def test_the_check_names_the_days_that_the_backfill_names(make_gbpm: MakeGbpm, replay: ReplayServer) -> None:
    """Restored prices lack columns that are never null: doubtful days, in a home whose clock is pinned too."""
    gbpm = make_gbpm(replay.base_url, GBPM_DATASETS="bmrs_costs")
    done = gbpm("backfill", "bmrs_costs", *WEEK, "--json")
    assert done.code == 3
    named = list(done.json["tables"]["bmrs_costs"]["missing"])
    assert named == DAYS
    for args in (("check", *WEEK, "--json"), ("check", "--json")):
        gaps = next(c for c in gbpm(*args).json["checks"] if c["check"] == "gaps")
        assert [day for day in gaps["missing"] if day in DAYS] == named, gaps
    assert set(gbpm("heal", "--json").json["decided"]) == {"bmrs_costs"}


def test_check_stores_what_it_says(filled: tuple[Gbpm, Done]) -> None:
    gbpm, _ = filled
    done = gbpm("check", "bmrs_indo", "--json")
    assert done.code == 3  # 2024-01-08 is partial
    found = done.json["checks"]
    assert [list(c) for c in found] == [["table", "check", "passed", "severity", "summary", "missing"]] * 4
    assert {c["check"] for c in found} == {"gaps", "duplicates", "validity", "freshness"}
    gaps = next(c for c in found if c["check"] == "gaps")
    assert (gaps["table"], gaps["passed"], gaps["severity"], gaps["missing"]) == (
        "bmrs_indo",
        False,
        "ERROR",
        ["2024-01-08"],
    )
    with open_instance(gbpm.runtime().settings) as instance:
        for check in found:
            key = dg.AssetCheckKey(dg.AssetKey("bmrs_indo"), check["check"])
            record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
            assert record.event is not None
            stored = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
            assert (stored.passed, stored.severity.value) == (check["passed"], check["severity"])
            assert stored.description == check["summary"]


def test_a_check_of_some_days_judges_those_and_hides_no_other_gap(filled: tuple[Gbpm, Done]) -> None:
    gbpm, _ = filled
    done = gbpm("check", *WEEK, "--json")
    assert done.code == 0, done.out
    assert all(c["passed"] and not c["missing"] for c in done.json["checks"])
    assert len(done.json["checks"]) == 8
    with open_instance(gbpm.runtime().settings) as instance:
        assert last_gaps(instance, "bmrs_indo") == [date(2024, 1, 8)]
        key = dg.AssetCheckKey(dg.AssetKey("bmrs_indo"), "gaps")
        record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        stored = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
    assert stored.passed
    assert stored.description.startswith("2024-01-01 to 2024-01-07 only: ")


def test_heal_decides_fetches_and_verifies(filled: tuple[Gbpm, Done], make_gbpm: MakeGbpm) -> None:
    gbpm = make_gbpm(filled[0].environment["ELEXON_BASE_URL"], home=filled[0])
    more = {"GBPM_NOW": "2024-01-08T00:40:00Z", "GBPM_DATASETS": "bmrs_mid bmrs_indo bmrs_itsdo"}
    done = gbpm("heal", "--json", **more)
    said = done.json
    assert done.code == 0, done.out
    assert list(said) == ["decided", "asked", "runs", "backfills", "requests", "after", "known_gaps"]
    assert said["asked"] == {"bmrs_itsdo": DAYS}
    assert "asking for 7 now" in said["decided"]["bmrs_itsdo"]
    assert len(said["runs"]) == 1
    assert said["requests"] == 7
    assert {t: (s["passed"], s["missing"]) for t, s in said["after"].items()} == dict.fromkeys(
        ("bmrs_mid", "bmrs_indo", "bmrs_itsdo"), (True, [])
    )
    with open_instance(gbpm.runtime().settings) as instance:
        assert last_gaps(instance, "bmrs_itsdo") == []
        assert instance.get_run_by_id(said["runs"][0]).tags["gbpm/reason"] == "heal"  # type: ignore[union-attr]
    again = gbpm("heal", **more)
    assert (again.code, again.out) == (0, "nothing to heal: no day is missing\n")


def test_heal_that_cannot_heal_says_which_days_remain(filled: tuple[Gbpm, Done]) -> None:
    gbpm, _ = filled
    done = gbpm("heal")
    assert done.code == 3
    assert "bmrs_indo: 1 day still missing: 7 of 8 days complete" in done.words
    waiting = gbpm("heal", "--json")
    assert waiting.code == 3
    assert (waiting.json["asked"], waiting.json["runs"], waiting.json["requests"]) == ({}, [], 0)
    assert "waiting for their next attempt" in waiting.json["decided"]["bmrs_indo"]
    assert waiting.json["after"]["bmrs_indo"]["missing"] == ["2024-01-08"]


def test_a_snapshot_table_is_one_list_of_today(make_gbpm: MakeGbpm, replay: ReplayServer) -> None:
    gbpm = make_gbpm(replay.base_url, GBPM_NOW="2026-03-30T12:00:00Z")
    done = gbpm("backfill", "ref_bmunits", "--json")
    assert done.code == 0
    assert done.json["tables"] == {"ref_bmunits": {"complete": 1, "rows": 2732, "missing": {}}}
    assert gbpm("backfill", "ref_bmunits", "--missing", "--json").json["requests"] == 0


def test_a_home_with_a_scope_asks_for_its_days_only(
    make_gbpm: MakeGbpm, replay: ReplayServer, tmp_path: Path
) -> None:
    scope = tmp_path / "scope.json"
    scope.write_text('{"bmrs_indo": [["2024-01-02", "2024-01-03"]], "bmrs_mid": [["2024-01-05", "2024-01-05"]]}')
    gbpm = make_gbpm(replay.base_url, GBPM_SCOPE_FILE=str(scope), GBPM_DATASETS="")
    before = len(replay.requests)
    done = gbpm("backfill", "--all", *WEEK, "--json")
    assert done.code == 0
    assert {t: s["complete"] for t, s in done.json["tables"].items()} == {"bmrs_mid": 1, "bmrs_indo": 2}
    assert {d.isoformat() for r in replay.requests[before:] for d in r.days} <= {
        "2024-01-02",
        "2024-01-03",
        "2024-01-05",
    }
    assert gbpm("check", "--json").code == 0
    outside = gbpm("backfill", "bmrs_mid", "--from", "2024-01-01", "--to", "2024-01-02")
    assert outside.code == 2
    assert "no day of bmrs_mid in that range is in the scope of this home" in outside.words
    some = gbpm("backfill", "bmrs_mid", "bmrs_indo", "--from", "2024-01-01", "--to", "2024-01-02", "--missing")
    assert (some.code, "bmrs_mid: no day of that range is wanted in this home" in some.out) == (0, True)


def test_status_tells_tables_runs_and_disk(filled: tuple[Gbpm, Done]) -> None:
    gbpm, _ = filled
    found = gbpm("status", "--json").json
    assert list(found) == [
        "home",
        "services",
        "now",
        "tables",
        "known_gaps",
        "stream",
        "runs",
        "lake_bytes",
        "free_bytes",
    ]
    assert (found["home"], found["services"], found["now"]) == (str(gbpm.home), None, "2024-01-08T12:00:00Z")
    mid = next(t for t in found["tables"] if t["table"] == "bmrs_mid")
    assert (mid["wanted"], mid["complete"], mid["late"], mid["rows"]) == (8, 7, 1, 672)
    assert (mid["newest"], mid["fresh"]) == ("2024-01-07T23:30:00Z", "ok")
    assert mid["bytes"] > 0
    assert found["lake_bytes"] >= mid["bytes"]
    assert 0 < len(found["runs"]) <= 5
    assert set(found["runs"][0]) == {"run", "what", "status", "started"}
    shown = gbpm("status", GBPM_DATASETS="bmrs_mid bmrs_demand_forecast_latest")
    assert shown.code == 0
    assert _widest(shown.out.splitlines()[1:-1]) <= 80
    assert re.search(r"bmrs_mid +7/8 +1 +672 +2024-01-07 23:30 +ok", shown.out)
    assert "bmrs_demand_forecast_latest" in shown.out


def test_config_shows_every_setting_with_its_origin_and_no_password(gbpm: Gbpm) -> None:
    secret = {"ELEXON_BASE_URL": "https://me:hush" + "@example.org/api"}
    found = gbpm("config", "--json", **secret).json["settings"]
    assert [s["variable"] for s in found] == [variable(info) for info in fields().values()]
    assert all(list(s) == ["variable", "value", "origin", "meaning"] and s["meaning"] for s in found)
    by_name = {s["variable"]: s for s in found}
    assert by_name["GBPM_HOME"]["origin"] == "environment"
    assert by_name["GBPM_PORT"] | {"meaning": ""} == {
        "variable": "GBPM_PORT",
        "value": 3000,
        "origin": "default",
        "meaning": "",
    }
    assert by_name["GBPM_HISTORY_START"]["value"] == "2024-01-01"
    assert by_name["ELEXON_BASE_URL"]["value"] == "https://***@example.org/api"
    shown = gbpm("config", **secret)
    assert "hush" not in shown.out
    assert "GBPM_PORT = 3000  [default]" in shown.out
    assert sum(line.startswith("    ") for line in shown.out.splitlines()) == len(found)


def test_plan_counts_requests_without_a_network(make_gbpm: MakeGbpm) -> None:
    gbpm = make_gbpm()  # nobody would answer
    done = gbpm("plan", "bmrs_mid", "bmrs_indo", *WEEK, "--json", ELEXON_MAX_REQUESTS_PER_SECOND="5")
    assert done.code == 0
    mid = done.json["tables"]["bmrs_mid"]
    assert mid == {
        "days": 7,
        "requests": 1,
        "window": "7 days (API 400 body)",
        "seconds": 0.2,
        "rows": 672,
        "megabytes": pytest.approx(0.1008),
    }
    assert done.json["tables"]["bmrs_indo"]["requests"] == 7
    shown = gbpm("plan", "--all", *WEEK)
    assert "8 requests, about 0 s at the rate limit" in shown.out


def test_tables_and_version(gbpm: Gbpm) -> None:
    found = {t["table"]: t for t in gbpm("tables", "--json").json["tables"]}
    assert {n for n, t in found.items() if t["here"]} == {"bmrs_mid", "bmrs_indo"}
    assert found["bmrs_mid"]["first_day"] == "2016-01-01"
    shown = gbpm("tables")
    assert _widest(shown.out.splitlines()) <= 80
    assert "bmrs_demand_forecast_latest" in shown.out
    said = gbpm("version")
    assert said.code == 0
    assert said.out == f"gbpm {__version__} (Dagster {dg.__version__}, Python {platform.python_version()})\n"


QUERY = (
    'SELECT "startTime", "settlementDate", "settlementPeriod" AS sp, price, volume, NULL AS nothing '
    "FROM bmrs_mid WHERE \"dataProvider\" = 'APXMIDP' ORDER BY 1 LIMIT 2"
)


def test_sql_in_three_forms(filled: tuple[Gbpm, Done], replay: ReplayServer) -> None:
    gbpm, _ = filled
    true = replay.frames["bmrs_mid"].filter(day=date(2024, 1, 1), dataProvider="APXMIDP").sort("startTime")
    recorded = [json.loads(body) for body in true["body"][:2]]
    price, volume = [r["price"] for r in recorded], [r["volume"] for r in recorded]
    found = gbpm("sql", QUERY, "--format", "json").json
    start = datetime(2024, 1, 1, tzinfo=UTC)
    assert found == [
        {
            "startTime": f"{start + timedelta(minutes=30 * i):%Y-%m-%dT%H:%M:%SZ}",
            "settlementDate": "2024-01-01",
            "sp": i + 1,
            "price": price[i],
            "volume": volume[i],
            "nothing": None,
        }
        for i in range(2)
    ]
    assert all(type(row["sp"]) is int and type(row["price"]) is float for row in found)
    csv = gbpm("sql", QUERY, "--format", "csv").out.splitlines()
    assert csv[0] == "startTime,settlementDate,sp,price,volume,nothing"
    assert csv[1] == f"2024-01-01T00:00:00Z,2024-01-01,1,{price[0]},{volume[0]},"
    table = gbpm("sql", QUERY)
    assert table.code == 0
    assert "2024-01-01T00:30:00Z" in table.out
    assert table.out.splitlines()[-1] == "2 rows"
    empty = gbpm("sql", "SELECT * FROM bmrs_mid WHERE false", "--format", "json")
    assert (empty.code, empty.json) == (0, [])


def test_sql_of_bigquery(filled: tuple[Gbpm, Done]) -> None:
    gbpm, _ = filled
    query = (
        "SELECT DATE(startTime) AS day, COUNT(*) AS n FROM `jibber-jabber-knowledge.uk_energy.bmrs_mid` "
        "WHERE settlementDate BETWEEN DATE '2024-01-02' AND DATE('2024-01-03') GROUP BY day ORDER BY day"
    )
    done = gbpm("sql", query, "--dialect", "bigquery", "--format", "json")
    assert done.code == 0, done.err
    assert done.json == [{"day": "2024-01-02", "n": 96}, {"day": "2024-01-03", "n": 96}]


def _widest(lines: list[str]) -> int:
    return max(len(line.rstrip()) for line in lines)
