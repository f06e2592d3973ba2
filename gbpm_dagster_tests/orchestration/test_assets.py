"""A run of a table over days: what it materialises, how it fails, what its checks say."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import polars as pl
import pytest

from gbpm_dagster.orchestration.checks import last_gaps
from gbpm_dagster.orchestration.runtime import CHECKS
from gbpm_dagster_tests.orchestration.conftest import HomeMaker, days

WEEK = ("2024-01-01", "2024-01-07")
STORM = {"table": "bmrs_indo", "day": "2024-01-06", "kind": "storm", "status": 503, "times": 8}


def materialisations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetMaterialization]:
    found = {}
    for event in result.all_events:
        if event.is_step_materialization:
            made = event.step_materialization_data.materialization
            assert made.partition not in found, "a day is materialised once a run"
            found[str(made.partition)] = made
    return found


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {e.check_name: e for e in result.get_asset_check_evaluations()}


def test_each_day_is_materialised_with_its_account(home: HomeMaker) -> None:
    here = home([{"table": "bmrs_costs", "day": "2024-01-05", "periods": [17, 18]}])
    result = here.run("bmrs_costs", *WEEK)
    assert result.success
    made = materialisations(result)
    assert sorted(made) == [d.isoformat() for d in days(*WEEK)]

    assert here.replay is not None
    recorded = here.replay.frames["bmrs_costs"]
    for day, event in made.items():
        held = recorded.filter(pl.col("day") == date.fromisoformat(day))
        if day == "2024-01-05":
            held = held.filter(~pl.col("period").is_in([17, 18]))
        meta: dict[str, Any] = {k: v.value for k, v in event.metadata.items()}
        assert meta["dagster/partition_row_count"] == meta["written"] == held.height
        assert event.description == f"{held.height} rows, written"
        assert (meta["outcome"], meta["source"]) == ("written", "REST")
        assert (meta["superseded"], meta["quarantined"], meta["exact duplicates"]) == (0, 0, 0)
        first, last = (held["startTime"].item(i) for i in (0, -1))
        assert datetime.fromtimestamp(meta["first time"], UTC) == first
        assert datetime.fromtimestamp(meta["last time"], UTC) == last
        assert 0 < meta["seconds"] < 600
        assert meta["bytes"] > held.height * 100
    sent = Counter(r.status for r in here.replay.requests)
    assert sum(e.metadata["requests"].value for e in made.values()) == sent[200] == 7  # one a settlement day


def test_a_day_that_fails_fails_alone_and_is_named(home: HomeMaker) -> None:
    here = home([STORM])
    result = here.run("bmrs_indo", *WEEK)
    assert not result.success
    good = [d.isoformat() for d in days(*WEEK) if d != date(2024, 1, 6)]
    assert sorted(materialisations(result)) == good
    stored = here.runtime.lake.evidence(["bmrs_indo"])
    assert [d.isoformat() for d in stored["day"]] == good
    assert stored["rows"].to_list() == [48] * 6

    failure = result.failure_data_for_node("bmrs_indo")
    assert failure is not None
    told = failure.user_failure_data
    assert told is not None
    assert told.description is not None
    assert told.description.startswith("bmrs_indo: 1 day(s) not stored: 2024-01-06. The other days of this run are")
    assert "503" in told.description
    assert told.description.endswith("Next: `gbpm backfill bmrs_indo --missing`.")
    row = told.metadata["failed days"].records[0].data
    assert {k: row[k] for k in ("day", "what", "class")} == {
        "day": "2024-01-06",
        "what": "failed",
        "class": "transient",
    }

    checks = evaluations(result)  # the run judges its table before it fails
    assert set(checks) == set(CHECKS)
    assert not checks["gaps"].passed
    assert "2024-01-06" in checks["gaps"].metadata["missing days"].value

    again = here.run("bmrs_indo", "2024-01-06")  # six of the eight 503s are left
    while not again.success:
        again = here.run("bmrs_indo", "2024-01-06")
    assert last_gaps(here.instance, "bmrs_indo") == [date(2024, 1, 8)]  # today: nothing of it is recorded


def test_many_failed_days_are_counted_and_the_first_are_named(home: HomeMaker) -> None:
    here = home([{**STORM, "day": d.isoformat(), "times": 99} for d in days(*WEEK)])
    result = here.run("bmrs_indo", *WEEK)
    failure = result.failure_data_for_node("bmrs_indo")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "7 day(s) not stored: 2024-01-01, 2024-01-02" in str(failure.user_failure_data.description)
    assert len(failure.user_failure_data.metadata["failed days"].records) == 7
    assert materialisations(result) == {}


def test_fetching_again_changes_nothing_and_says_so(home: HomeMaker) -> None:
    here = home()
    here.load("bmrs_mid", "2024-01-03")
    result = here.run("bmrs_mid", "2024-01-03")
    made = materialisations(result)["2024-01-03"]
    assert made.metadata["outcome"].value == "unchanged"
    assert made.metadata["dagster/partition_row_count"].value == 96
    assert made.metadata["superseded"].value == 0


def test_only_incomplete_asks_for_nothing_that_is_complete(home: HomeMaker) -> None:
    here = home()
    here.load("bmrs_mid", "2024-01-02", "2024-01-06")
    result = here.run("bmrs_mid", *WEEK, only_incomplete=True)
    assert sorted(materialisations(result)) == ["2024-01-01", "2024-01-07"]
    tries = here.runtime.lake.attempts(["bmrs_mid"])
    assert tries.filter(pl.col("run_id") == result.run_id)["day"].to_list() == [date(2024, 1, 1), date(2024, 1, 7)]


def test_the_checks_run_in_the_same_run_and_are_stored(home: HomeMaker) -> None:
    here = home([{"table": "bmrs_mid", "day": "2024-01-04", "kind": "day"}], GBPM_NOW="2024-01-07T23:30:00Z")
    result = here.run("bmrs_mid", *WEEK)
    found = evaluations(result)
    assert set(found) == set(CHECKS)
    assert [n for n in CHECKS if not found[n].passed] == ["gaps"]
    assert found["gaps"].metadata["missing days"].value == ["2024-01-04"]
    assert found["gaps"].description == found["gaps"].metadata["summary"].value
    assert last_gaps(here.instance, "bmrs_mid") == [date(2024, 1, 4)]

    healed = here.run("bmrs_mid", "2024-01-04")
    assert all(e.passed for e in evaluations(healed).values())
    assert last_gaps(here.instance, "bmrs_mid") == []


@pytest.mark.parametrize("chosen", [CHECKS, ("gaps",), ("validity", "freshness")])
def test_checks_alone_fetch_nothing(home: HomeMaker, chosen: tuple[str, ...]) -> None:
    here = home()
    here.load("bmrs_costs", "2024-01-01", "2024-01-02")
    assert here.replay is not None
    before = len(here.replay.requests)
    keys = {dg.AssetCheckKey(dg.AssetKey("bmrs_costs"), name) for name in chosen}
    job = here.defs.resolve_implicit_global_asset_job_def()
    result = job.get_subset(asset_selection=set(), asset_check_selection=keys).execute_in_process(
        instance=here.instance
    )
    assert result.success
    assert set(evaluations(result)) == set(chosen)
    assert materialisations(result) == {}
    assert len(here.replay.requests) == before


def test_a_snapshot_is_one_list_without_partitions(home: HomeMaker) -> None:
    here = home(GBPM_DATASETS="ref_bmunits", GBPM_NOW="2026-03-30T12:00:00Z")
    job = here.defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=here.instance, asset_selection=[dg.AssetKey("ref_bmunits")])
    assert result.success
    made = materialisations(result)
    assert list(made) == ["None"]
    assert made["None"].metadata["dagster/partition_row_count"].value == 2732  # recorded
    assert here.runtime.lake.evidence(["ref_bmunits"])["day"].to_list() == [date(2026, 3, 30)]
    assert set(evaluations(result)) == set(CHECKS)


def test_a_source_that_does_not_answer_fails_every_day_with_a_reason(home: HomeMaker) -> None:
    here = home(replay=False)
    result = here.run("bmrs_mid", *WEEK)
    assert not result.success
    failure = result.failure_data_for_node("bmrs_mid")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert "7 day(s) not stored" in str(failure.user_failure_data.description)
    assert not evaluations(result)["gaps"].passed
