"""Dagster is told what is stored and it does not know: after a kill between evidence and event, or a lost storage."""

from __future__ import annotations

import dagster as dg
import pytest

from gbpm_dagster.orchestration import telling
from gbpm_dagster.orchestration.launch import QUIET, RANGE_END, RANGE_START
from gbpm_dagster.orchestration.telling import NOTE, tell
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker, days

MID = dg.AssetKey("bmrs_mid")


def known(here: Home, table: str = "bmrs_mid") -> list[str]:
    return sorted(here.instance.get_materialized_partitions(dg.AssetKey(table)))


def told(here: Home, *tables: str) -> int:
    return tell(here.instance, here.runtime, here.runtime.named(list(tables)))


def test_dagster_is_told_once_of_each_stored_day_with_its_account(home: HomeMaker) -> None:
    here = home()
    here.run("bmrs_mid", "2024-01-02")
    here.load("bmrs_mid", "2024-01-01", "2024-01-03")  # without Dagster
    here.load("bmrs_indo", "2024-01-03")
    assert (told(here), told(here)) == (3, 0)
    assert known(here) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert known(here, "bmrs_indo") == ["2024-01-03"]
    event = here.instance.get_latest_data_version_record(MID, partition_key="2024-01-03")
    assert event is not None
    materialisation = event.asset_materialization
    assert materialisation is not None
    metadata = {name: value.value for name, value in materialisation.metadata.items()}
    assert (metadata["dagster/partition_row_count"], metadata["outcome"], metadata["note"]) == (96, "written", NOTE)


def test_days_somebody_is_fetching_and_days_nobody_wants_are_left_alone(home: HomeMaker) -> None:
    here = home(GBPM_DATASETS="bmrs_mid")
    here.load("bmrs_mid", "2023-12-31", "2024-01-03")  # the home begins on 1 January
    run = here.instance.create_run_for_job(
        here.defs.resolve_implicit_global_asset_job_def(),
        asset_selection=frozenset({MID}),
        status=dg.DagsterRunStatus.STARTED,
        tags={RANGE_START: "2024-01-02", RANGE_END: "2024-01-03"},
    )
    assert told(here) == 1
    assert known(here) == ["2024-01-01"]
    here.instance.report_run_failed(run, "killed")
    assert told(here) == 2
    assert known(here) == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_a_reference_list_is_told_as_a_whole(home: HomeMaker) -> None:
    here = home(GBPM_DATASETS="ref_bmunits", GBPM_NOW="2026-03-30T12:00:00Z", GBPM_HISTORY_START="2026-03-30")
    assert told(here) == 0
    here.load("ref_bmunits", "2026-03-30")
    assert (told(here), told(here)) == (1, 0)
    assert here.instance.get_latest_materialization_event(dg.AssetKey("ref_bmunits")) is not None


def test_a_storage_that_was_lost_is_told_in_bounded_steps(home: HomeMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "MOST", 3)
    here = home(GBPM_DATASETS="bmrs_mid")
    here.load("bmrs_mid", "2024-01-01", "2024-01-07")
    assert [told(here) for _ in range(4)] == [3, 3, 1, 0]
    assert known(here) == [d.isoformat() for d in days("2024-01-01", "2024-01-07")]


def test_the_gap_check_tells_and_the_freshness_check_does_not(home: HomeMaker) -> None:
    here = home(GBPM_DATASETS="bmrs_mid")
    here.load("bmrs_mid", "2024-01-01", "2024-01-02")
    for job, there in (("freshness_check", []), ("gap_check", ["2024-01-01", "2024-01-02"])):
        assert here.defs.resolve_job_def(job).execute_in_process(instance=here.instance, run_config=QUIET).success
        assert known(here) == there
