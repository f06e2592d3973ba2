"""Check jobs store evaluations; schedules ask for London's yesterday, also around clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from gbpm_dagster.orchestration.assets import REASON_TAG
from gbpm_dagster.orchestration.checks import failed_gaps, last_gaps, last_verdict, store
from gbpm_dagster.orchestration.launch import QUIET
from gbpm_dagster.orchestration.runtime import CHECKS
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker, days

LONDON = ZoneInfo("Europe/London")


def latest(instance: dg.DagsterInstance, table: str, check: str) -> dg.AssetCheckEvaluation | None:
    key = dg.AssetCheckKey(dg.AssetKey(table), check)
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).get(key)
    event = record.event.dagster_event if record and record.event else None
    return event.asset_check_evaluation_data if event else None


@pytest.mark.parametrize(
    ("job", "which"),
    [
        ("gap_check", {"gaps", "duplicates", "validity"}),
        ("freshness_check", {"freshness"}),
        ("all_checks", set(CHECKS)),
    ],
)
def test_a_check_job_stores_an_evaluation_of_every_table_and_fetches_nothing(
    home: HomeMaker, job: str, which: set[str]
) -> None:
    here = home(GBPM_DATASETS="bmrs_costs,bmrs_mid", GBPM_NOW="2024-01-02T23:30:00Z")
    here.load("bmrs_mid", "2024-01-01", "2024-01-02")
    assert here.replay is not None
    before = len(here.replay.requests)
    result = here.defs.resolve_job_def(job).execute_in_process(instance=here.instance, run_config=QUIET)
    assert result.success
    found = {
        (t, n): e
        for t in ("bmrs_costs", "bmrs_mid")
        for n in CHECKS
        if (e := latest(here.instance, t, n)) is not None
    }
    assert set(found) == {(t, n) for t in ("bmrs_costs", "bmrs_mid") for n in which}
    if "gaps" in which:
        assert found["bmrs_mid", "gaps"].passed
        assert not found["bmrs_costs", "gaps"].passed
        assert last_gaps(here.instance, "bmrs_costs") == days("2024-01-01", "2024-01-02")
    assert len(here.replay.requests) == before


def test_stored_results_read_back(home: HomeMaker) -> None:
    here = home(replay=False)
    assert last_gaps(here.instance, "bmrs_mid") is None
    store(here.instance, here.runtime.checks(which=("gaps",)))
    assert last_gaps(here.instance, "bmrs_mid") == days("2024-01-01", "2024-01-08")
    shown = latest(here.instance, "bmrs_mid", "gaps")
    assert shown is not None
    assert shown.severity == dg.AssetCheckSeverity.ERROR
    assert shown.description == shown.metadata["summary"].value


def test_a_planned_check_is_unknown_not_passed(home: HomeMaker) -> None:
    here = home(replay=False)
    store(here.instance, here.runtime.checks(which=("gaps",)))
    job = here.defs.resolve_implicit_global_asset_job_def()
    here.instance.create_run_for_job(job.get_subset(asset_selection={dg.AssetKey("bmrs_mid")}))
    assert last_gaps(here.instance, "bmrs_mid") is None
    assert last_gaps(here.instance, "bmrs_costs")


def test_a_run_that_was_ended_hides_no_verdict(home: HomeMaker) -> None:
    """Nor does one under way from those who ask what was said last."""
    here = home(replay=False)
    store(here.instance, here.runtime.checks(which=("gaps",)))
    job = here.defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={dg.AssetKey("bmrs_mid")})
    week = days("2024-01-01", "2024-01-08")
    for _ in range(30):
        run = here.instance.create_run_for_job(job)
        assert last_gaps(here.instance, "bmrs_mid") is None
        assert last_verdict(here.instance, "bmrs_mid") == week
        here.instance.report_run_failed(run, "killed")
    assert last_gaps(here.instance, "bmrs_mid") == week


def test_what_gap_checks_have_failed_for_stays_known_when_it_is_healed(home: HomeMaker) -> None:
    here = home(GBPM_NOW="2024-01-02T23:30:00Z", GBPM_DATASETS="bmrs_mid")
    store(here.instance, here.runtime.checks(which=("gaps",)))
    began = datetime.now(UTC)
    assert failed_gaps(here.instance, "bmrs_mid", began) == {}  # before it
    here.load("bmrs_mid", "2024-01-01")
    store(here.instance, here.runtime.checks(which=("gaps",)))
    here.load("bmrs_mid", "2024-01-02")
    store(here.instance, here.runtime.checks(which=("gaps",)))
    assert last_gaps(here.instance, "bmrs_mid") == []
    assert failed_gaps(here.instance, "bmrs_mid", began) == {days("2024-01-02")[0]: "late: never asked"}


@pytest.mark.parametrize(
    ("name", "cron"),
    [
        ("daily_backfill_0200", "0 2 * * *"),
        ("settlement_runs_0500", "0 5 * * *"),
        ("gap_check_0800", "0 8 * * *"),
        ("freshness_15_min", "*/15 * * * *"),
    ],
)
def test_schedules_keep_london_time_and_are_on(home: HomeMaker, name: str, cron: str) -> None:
    schedule = home(replay=False).defs.resolve_schedule_def(name)
    assert schedule.cron_schedule == cron
    assert schedule.execution_timezone == "Europe/London"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.description


def requests(here: Home, at: str) -> list[dg.RunRequest]:
    schedule = here.defs.resolve_schedule_def("daily_backfill_0200")
    local = datetime.fromisoformat(at).replace(tzinfo=LONDON)
    context = dg.build_schedule_context(
        scheduled_execution_time=local,
        instance=here.instance,
        repository_def=here.defs.get_repository_def(),
    )
    return list(schedule.evaluate_tick(context).run_requests or [])


@pytest.mark.parametrize(
    ("now", "at", "yesterday"),
    [
        ("2024-01-08T02:00:05Z", "2024-01-08T02:00", "2024-01-07"),
        ("2024-07-08T01:00:05Z", "2024-07-08T02:00", "2024-07-07"),  # 02:00 BST; in UTC it is the same day
        ("2024-03-31T01:00:05Z", "2024-03-31T02:00", "2024-03-30"),  # there is no 01:00 to 02:00 this night
        ("2024-04-01T01:00:05Z", "2024-04-01T02:00", "2024-03-31"),  # yesterday had 46 periods
        ("2024-10-27T02:00:05Z", "2024-10-27T02:00", "2024-10-26"),  # 02:00 GMT, after 01:00 came twice
        ("2024-10-28T02:00:05Z", "2024-10-28T02:00", "2024-10-27"),  # yesterday had 50
    ],
)
def test_the_nightly_backfill_asks_for_yesterday(home: HomeMaker, now: str, at: str, yesterday: str) -> None:
    here = home(replay=False, GBPM_NOW=now, GBPM_DATASETS="bmrs_costs,bmrs_mid,bmrs_indo,ref_bmunits")
    asked = requests(here, at)
    by_key = {r.partition_key: {k.to_user_string() for k in r.asset_selection or ()} for r in asked}
    # One run for all daily tables, one for the reference list, which has no days.
    assert by_key == {yesterday: {"bmrs_costs", "bmrs_mid", "bmrs_indo"}, None: {"ref_bmunits"}}
    assert all(r.tags[REASON_TAG] == "schedule" for r in asked)
    assert len({r.run_key for r in asked}) == 2


@pytest.mark.parametrize("at", ["2024-03-31T02:00", "2024-10-27T02:00", "2024-07-08T02:00"])
def test_a_tick_caught_up_late_asks_for_its_own_yesterday(home: HomeMaker, at: str) -> None:
    here = home(replay=False, GBPM_NOW="")  # the clock: long after that night
    night = datetime.fromisoformat(at).date()
    assert [r.partition_key for r in requests(here, at)] == [(night - timedelta(days=1)).isoformat()]


def test_the_night_of_a_first_day_asks_for_nothing_before_it(home: HomeMaker) -> None:
    here = home(replay=False, GBPM_HISTORY_START="2024-01-08", GBPM_NOW="2024-01-08T02:00:00Z")
    assert requests(here, "2024-01-08T02:00") == []


def test_what_appears_later_is_asked_again_on_the_night_it_is_due(home: HomeMaker) -> None:
    """EBOCF is due a day after its day, B1610 a week after (domain.md 2.3's waits), MID before the night."""
    tables = "bmrs_mid,bmrs_ebocf,bmrs_b1610"
    here = home(replay=False, GBPM_NOW="2024-01-20T02:00:05Z", GBPM_DATASETS=tables)
    asked = requests(here, "2024-01-20T02:00")
    by_day = {r.partition_key: {k.to_user_string() for k in r.asset_selection or ()} for r in asked}
    assert by_day == {
        "2024-01-19": {"bmrs_mid", "bmrs_ebocf", "bmrs_b1610"},
        "2024-01-18": {"bmrs_ebocf"},
        "2024-01-12": {"bmrs_b1610"},
    }
    again = [r for r in asked if r.partition_key != "2024-01-19"]
    assert all(c["config"]["only_incomplete"] for r in again for c in r.run_config["ops"].values())
    assert len({r.run_key for r in asked}) == 3
