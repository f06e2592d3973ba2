"""The asset of priced acceptances: the recorded wind day by Dagster, its checks, and which days run by themselves."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from gbpm_dagster.catalogue.derived import ACCEPTANCE_PAIRS, ACCEPTANCES
from gbpm_dagster.demo.replay_recordings import RECORDINGS
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker

DAY = date(2022, 1, 1)
INPUTS = ("bmrs_pn", "bmrs_boalf", "bmrs_bod")
WIND = {
    "GBPM_DATASETS": "bmrs_pn,bmrs_boalf,bmrs_bod,bmrs_boav,bmrs_ebocf",
    "GBPM_HISTORY_START": "2022-01-01",
    "GBPM_NOW": "2022-01-04T12:00:00Z",
}


def _checks(done: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {e.check_name: e for e in done.get_asset_check_evaluations()}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of the tables it is computed from."""
    folder = tmp_path_factory.mktemp("recordings")
    for table in INPUTS:
        for file in RECORDINGS.glob(f"{table}.*"):
            (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture
def wind(home: HomeMaker) -> Home:
    made = home(**WIND)
    for table in INPUTS:
        made.load(table, "2022-01-01")
    return made


def test_a_day_is_stored_with_its_pairs_and_judged(wind: Home) -> None:
    done = wind.run(ACCEPTANCES, "2022-01-01")
    assert done.success
    rows = wind.runtime.lake.read_derived(ACCEPTANCES, DAY, DAY)
    assert rows.height > 3000 and rows["cashflow_gbp"].null_count() == 0
    made = [e.event_specific_data.materialization for e in done.get_asset_materialization_events()]
    told = {m.asset_key.to_user_string(): m.partition for m in made}
    assert told == {ACCEPTANCES: "2022-01-01", ACCEPTANCE_PAIRS: "2022-01-01"}
    checks = _checks(done)
    assert checks["priced"].passed
    for name in ("reconciled_volumes", "reconciled_cashflows"):
        assert not checks[name].passed
        assert checks[name].severity is dg.AssetCheckSeverity.WARN
        assert "nothing is published" in str(checks[name].description)


def test_without_acceptance_levels_a_day_fails_and_says_what_to_do(wind: Home) -> None:
    done = wind.run(ACCEPTANCES, "2022-01-01", "2022-01-02")
    assert not done.success
    failure = done.get_step_failure_events()[0]
    assert "gbpm backfill bmrs_boalf --from 2022-01-02" in str(failure.step_failure_data.error)
    assert wind.runtime.lake.evidence([ACCEPTANCES])["day"].to_list() == [DAY]


def test_a_missing_table_gives_nulls_and_a_reason(home: HomeMaker) -> None:
    made = home(**WIND)
    made.load("bmrs_pn", "2022-01-01")
    made.load("bmrs_boalf", "2022-01-01")
    done = made.run(ACCEPTANCES, "2022-01-01")
    rows = made.runtime.lake.read_derived(ACCEPTANCES, DAY, DAY)
    assert set(rows["unmatched_reason"]) == {"no_bod"}
    assert rows["cashflow_gbp"].null_count() == rows.height
    assert not _checks(done)["priced"].passed


def test_days_whose_inputs_came_or_changed_run_by_themselves_and_no_others(wind: Home) -> None:
    def asked(cursor: object = None) -> tuple[set[str], object]:
        found = dg.evaluate_automation_conditions(
            defs=wind.defs,
            instance=wind.instance,
            asset_selection=dg.AssetSelection.assets(ACCEPTANCES, ACCEPTANCE_PAIRS),
            cursor=cursor,  # type: ignore[arg-type]
        )
        return set(found.get_requested_partitions(dg.AssetKey(ACCEPTANCES))), found.cursor

    def tell(table: str, day: str) -> None:
        wind.instance.report_runless_asset_event(dg.AssetMaterialization(table, partition=day))

    requested, cursor = asked()
    assert requested == set()
    for table in INPUTS:
        for day in ("2022-01-01", "2022-01-02"):
            tell(table, day)
    requested, cursor = asked(cursor)
    assert requested == {"2022-01-01", "2022-01-02"}
    requested, cursor = asked(cursor)
    assert requested == set()
    tell("bmrs_bod", "2022-01-02")
    requested, cursor = asked(cursor)
    assert requested == {"2022-01-02"}
    requested, cursor = asked(cursor)
    assert requested == set()
    tell("bmrs_boalf", "2022-01-01")  # levels may reach into the next day
    requested, cursor = asked(cursor)
    assert requested == {"2022-01-01", "2022-01-02"}
