"""The healer's tick: when it waits, and that it asks once for exactly what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.orchestration import heal_state
from gbpm_dagster.orchestration.assets import REASON_TAG
from gbpm_dagster.orchestration.checks import store
from gbpm_dagster.orchestration.internal import (
    BACKFILL_TAG,
    HEAL_TAG,
    days_in_flight,
    healing_since,
    healing_under_way,
)
from gbpm_dagster.orchestration.launch import RANGE_END, RANGE_START
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.register import Status, entries, new_entry
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.protocol import Outcome
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker, days

WEEK = ("2024-01-01", "2024-01-07")
END_OF_WEEK = {
    "GBPM_NOW": "2024-01-07T23:30:00Z",
    "GBPM_DATASETS": "bmrs_mid,bmrs_indo",
    "GBPM_HEAL_JOIN_DAYS": "0",
}


MISSING = {
    "bmrs_mid": {date(2024, 1, 3), date(2024, 1, 5), date(2024, 1, 6)},
    "bmrs_indo": {date(2024, 1, 6)},
}


def tick(here: Home) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(here.instance, repository_def=here.defs.get_repository_def())
    found = here.defs.resolve_sensor_def("heal")(context)
    assert isinstance(found, dg.SensorResult | dg.SkipReason)
    return found


def skipped(here: Home) -> str:
    found = tick(here)
    assert isinstance(found, dg.SkipReason), found
    return str(found.skip_message)


def asked(here: Home) -> dict[str, set[date]]:
    """The days of the one run request, read from its asset graph subset; a whole asset counts as no days."""
    found = tick(here)
    assert isinstance(found, dg.SensorResult), found
    (request,) = found.run_requests or []
    assert request.tags[HEAL_TAG] == "gaps"
    assert request.tags[REASON_TAG] == "heal"
    subset = request.asset_graph_subset
    assert subset is not None
    days_of = {
        key.to_user_string(): {date.fromisoformat(k) for k in part.get_partition_keys()}
        for key, part in subset.partitions_subsets_by_asset_key.items()
    }
    return days_of | {key.to_user_string(): set() for key in subset.non_partitioned_asset_keys}


def judge(here: Home) -> None:
    store(here.instance, here.runtime.checks(which=("gaps",)))


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory, recordings: Path) -> Path:
    """A lake in which bmrs_mid lacks 3 and 5-6 January, bmrs_indo 6 January."""
    folder = tmp_path_factory.mktemp("gappy")
    with ReplayServer(recordings) as replay:
        environ = {"GBPM_HOME": str(folder), "GBPM_STATE_DIR": str(folder), "ELEXON_BASE_URL": replay.base_url}
        runtime = Runtime(Settings.load({**environ, **END_OF_WEEK, "ELEXON_MAX_REQUESTS_PER_SECOND": "1000"}))
        for dataset in runtime.named(list(MISSING)):
            there = set(days(*WEEK)) - MISSING[dataset.table]
            list(runtime.load(dataset, there, run_id="test", reason="test"))
    return folder / "lake"


WithGaps = Callable[..., Home]


@pytest.fixture
def with_gaps(home: HomeMaker, gappy: Path) -> WithGaps:
    """with_gaps(**environment): that lake in a home; its gap checks have said what is missing."""

    def make(**environ: str) -> Home:
        here = home(lake=gappy, **{**END_OF_WEEK, **environ})
        judge(here)
        return here

    return make


def add_backfill(
    here: Home, status: BulkActionStatus, tags: Mapping[str, str], work: Mapping[str, list[date]], age_s: float = 5
) -> None:
    began = (datetime.now(UTC) - timedelta(seconds=age_s)).timestamp()
    repository = here.defs.get_repository_def()
    made = PartitionBackfill.from_partitions_by_assets(
        backfill_id=f"test{age_s:.0f}{status.value}"[:12],
        asset_graph=repository.asset_graph,
        backfill_timestamp=began,
        tags=dict(tags),
        dynamic_partitions_store=here.instance,
        partitions_by_assets=[
            _selector(table, wanted[0].isoformat(), wanted[-1].isoformat()) for table, wanted in work.items()
        ],
        title=None,
        description=None,
        run_config=None,
    )
    here.instance.add_backfill(made.with_status(status))


def _selector(table: str, first: str, last: str) -> Any:
    from dagster._core.definitions.selector import (
        PartitionRangeSelector,
        PartitionsByAssetSelector,
        PartitionsSelector,
    )

    span = PartitionsSelector(ranges=[PartitionRangeSelector(start=first, end=last)])
    return PartitionsByAssetSelector(asset_key=dg.AssetKey(table), partitions=span)


def test_it_asks_once_for_exactly_what_is_missing(with_gaps: WithGaps) -> None:
    assert asked(with_gaps()) == MISSING


def test_nothing_fails_nothing_happens(home: HomeMaker) -> None:
    here = home(**END_OF_WEEK)
    assert skipped(here) == "no gap check fails; 2 table(s) have none yet or one under way"
    here.load("bmrs_mid", *WEEK)
    here.load("bmrs_indo", *WEEK)
    judge(here)
    assert skipped(here) == "no gap check fails"


def test_a_check_under_way_is_unknown_and_waited_for(with_gaps: WithGaps) -> None:
    here = with_gaps()
    job = here.defs.resolve_implicit_global_asset_job_def()
    run = here.instance.create_run_for_job(job.get_subset(asset_selection={dg.AssetKey("bmrs_mid")}))
    assert asked(here) == {"bmrs_indo": MISSING["bmrs_indo"]}
    here.instance.report_run_failed(run, "killed before its verdict")
    assert asked(here) == MISSING, "the verdict before it counts"


def test_what_was_healed_since_the_check_is_left_alone(with_gaps: WithGaps) -> None:
    here = with_gaps()
    here.load("bmrs_mid", "2024-01-05")
    assert asked(here) == {**MISSING, "bmrs_mid": {date(2024, 1, 3), date(2024, 1, 6)}}
    here.load("bmrs_mid", *WEEK)
    here.load("bmrs_indo", *WEEK)
    assert "healed since" in skipped(here)


@pytest.mark.parametrize("status", [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING])
def test_one_healing_backfill_at_a_time(with_gaps: WithGaps, status: BulkActionStatus) -> None:
    here = with_gaps(GBPM_HEAL_COOLDOWN_SECONDS="0")
    add_backfill(here, status, {HEAL_TAG: "gaps"}, {"bmrs_mid": days("2024-01-03")})
    assert skipped(here).endswith("is healing: one at a time")
    assert len(healing_under_way(here.instance)) == 1


@pytest.mark.parametrize("status", [BulkActionStatus.CANCELED, BulkActionStatus.COMPLETED_SUCCESS])
def test_a_cooldown_follows_a_healing_backfill_also_one_a_person_cancelled(
    with_gaps: WithGaps, status: BulkActionStatus
) -> None:
    here = with_gaps(GBPM_HEAL_COOLDOWN_SECONDS="600")
    add_backfill(here, status, {HEAL_TAG: "gaps"}, {"bmrs_mid": days("2024-01-03")}, age_s=500)
    assert skipped(here) == ("the last healing backfill began less than 600 s ago (GBPM_HEAL_COOLDOWN_SECONDS)")
    assert len(healing_since(here.instance, datetime.now(UTC) - timedelta(seconds=600))) == 1
    assert healing_since(here.instance, datetime.now(UTC) - timedelta(seconds=400)) == []


def test_after_the_cooldown_it_asks_again(with_gaps: WithGaps) -> None:
    here = with_gaps(GBPM_HEAL_COOLDOWN_SECONDS="600")
    add_backfill(
        here, BulkActionStatus.COMPLETED_FAILED, {HEAL_TAG: "gaps"}, {"bmrs_mid": days("2024-01-03")}, age_s=700
    )
    assert asked(here) == MISSING


def test_days_of_a_cancelled_backfill_are_left_alone_until_a_person_resumes_or_a_day_has_passed(
    with_gaps: WithGaps,
) -> None:
    here = with_gaps(GBPM_HEAL_COOLDOWN_SECONDS="600", GBPM_HEAL_AFTER_CANCEL_SECONDS="3600")
    cancelled = {"bmrs_mid": days("2024-01-05", "2024-01-06")}
    add_backfill(here, BulkActionStatus.CANCELED, {HEAL_TAG: "gaps"}, {"bmrs_mid": days("2024-01-03")}, age_s=3700)
    add_backfill(here, BulkActionStatus.CANCELED, {HEAL_TAG: "gaps"}, cancelled, age_s=700)
    assert asked(here) == {**MISSING, "bmrs_mid": {date(2024, 1, 3)}}
    heal_state.resume(here.settings.home)
    assert asked(here) == MISSING


def test_a_pause_is_kept_in_the_home_until_a_person_ends_it(with_gaps: WithGaps) -> None:
    here = with_gaps()
    heal_state.pause(here.settings.home)
    said = skipped(here)
    assert said.startswith("paused by a person at ")
    assert said.endswith("`gbpm heal --resume` ends it")
    heal_state.resume(here.settings.home)
    assert asked(here) == MISSING


def test_a_damaged_word_of_a_person_is_not_taken_for_none(with_gaps: WithGaps) -> None:
    here = with_gaps()
    heal_state.pause(here.settings.home)
    (here.settings.home / "state" / heal_state.FILE).write_text("{")
    with pytest.raises(CannotWork, match=r"healing\.json cannot be read"):
        tick(here)


def test_days_somebody_is_fetching_are_left_alone(with_gaps: WithGaps) -> None:
    here = with_gaps()
    add_backfill(here, BulkActionStatus.REQUESTED, {}, {"bmrs_mid": days("2024-01-05", "2024-01-07")})
    job = here.defs.resolve_implicit_global_asset_job_def()
    here.instance.create_run_for_job(
        job,
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({dg.AssetKey("bmrs_indo")}),
        tags={RANGE_START: "2024-01-05", RANGE_END: "2024-01-06"},
    )
    assert days_in_flight(here.instance) == {
        "bmrs_mid": set(days("2024-01-05", "2024-01-07")),
        "bmrs_indo": set(days("2024-01-05", "2024-01-06")),
    }
    judge(here)  # the run planned its checks
    assert asked(here) == {"bmrs_mid": {date(2024, 1, 3)}}


def test_it_is_bounded_in_days_and_in_ranges(with_gaps: WithGaps) -> None:
    here = with_gaps(GBPM_HEAL_MAX_PARTITIONS="2")
    first = asked(here)
    assert sum(map(len, first.values())) == 2
    assert all(first[t] <= MISSING[t] for t in first)

    few = with_gaps(GBPM_HEAL_MAX_RUNS="1", GBPM_DATASETS="bmrs_mid")
    assert asked(few) == {"bmrs_mid": {date(2024, 1, 5), date(2024, 1, 6)}}  # the newest range, whole


def test_a_snapshot_is_asked_for_whole(home: HomeMaker) -> None:
    here = home(GBPM_DATASETS="ref_bmunits", GBPM_NOW="2026-03-30T12:00:00Z")
    judge(here)
    assert asked(here) == {"ref_bmunits": set()}


def test_it_is_on_unless_the_home_says_no(home: HomeMaker) -> None:
    on = home(replay=False).defs.resolve_sensor_def("heal")
    assert on.default_status == dg.DefaultSensorStatus.RUNNING
    assert on.minimum_interval_seconds == 60
    off = home(replay=False, GBPM_HEAL="false", GBPM_HEAL_INTERVAL_SECONDS="5").defs.resolve_sensor_def("heal")
    assert off.default_status == dg.DefaultSensorStatus.STOPPED
    assert off.minimum_interval_seconds == 5


def test_ranges_that_complete_days_part_are_one_run_which_leaves_those_alone(with_gaps: WithGaps) -> None:
    here = with_gaps(GBPM_HEAL_JOIN_DAYS="1", GBPM_DATASETS="bmrs_mid")
    assert asked(here) == {"bmrs_mid": set(days("2024-01-03", "2024-01-06"))}
    assert here.replay is not None
    before = len(here.replay.requests)
    result = here.run("bmrs_mid", "2024-01-03", "2024-01-06", reason="heal")
    assert result.success
    events = [e.step_materialization_data.materialization for e in result.all_events if e.is_step_materialization]
    notes = {str(e.partition): e.metadata["note"].value for e in events if "note" in e.metadata}
    assert sorted(str(e.partition) for e in events) == [d.isoformat() for d in days("2024-01-03", "2024-01-06")]
    assert notes == {"2024-01-04": "complete already: not asked again"}
    # A window of MID is seven days: the planner bridges the 4th, whose rows lie outside what was asked (decision 5).
    assert len(here.replay.requests) - before == 1
    tries = here.runtime.lake.attempts(["bmrs_mid"]).filter(pl.col("reason") == "heal")
    assert tries["day"].to_list() == [date(2024, 1, 3), date(2024, 1, 5), date(2024, 1, 6)]


def test_the_tick_says_why_and_the_backfill_is_tagged_with_it(with_gaps: WithGaps) -> None:
    found = tick(with_gaps())
    assert isinstance(found, dg.SensorResult)
    tags = (found.run_requests or [])[0].tags
    assert tags["gbpm/why"] == "bmrs_mid: 3 days (2 requests), bmrs_indo: 1 day (1 request)"  # two runs of bmrs_mid
    assert len(tags["gbpm/decision"]) == 16


def test_a_decision_that_left_no_trace_is_not_launched_again_at_once(with_gaps: WithGaps) -> None:
    """Runs that end before they ask anybody (no code, full disk) must not be launched for ever (OPS-03)."""
    here = with_gaps(GBPM_HEAL_COOLDOWN_SECONDS="0", GBPM_HEAL_DELAYS_SECONDS="3600,7200")
    found = tick(here)
    assert isinstance(found, dg.SensorResult)
    tags = dict((found.run_requests or [])[0].tags)
    add_backfill(here, BulkActionStatus.COMPLETED_FAILED, tags, {"bmrs_mid": days("2024-01-03")}, age_s=3500)
    assert skipped(here).startswith("the same backfill was launched 1 time(s) and no try was recorded")
    heal_some = here.runtime.named(["bmrs_indo"])[0]
    here.runtime.lake.record_failures(
        [Outcome(heal_some.table, date(2024, 1, 6), "failed", error_class="transient", requests=6)], reason="heal"
    )
    assert asked(here) == MISSING, "a try was recorded: the next decision is another"


def test_a_run_does_not_ask_once_the_days_requests_are_used_up(with_gaps: WithGaps) -> None:
    here = with_gaps(GBPM_HEAL_REQUESTS_A_DAY="10")
    spent = Outcome("bmrs_indo", date(2024, 1, 6), "failed", error_class="permanent", requests=10)
    here.runtime.lake.record_failures([spent], reason="heal")
    assert "today's 10 requests are used up" in skipped(here)
    assert here.replay is not None
    before = len(here.replay.requests)
    result = here.run("bmrs_mid", "2024-01-05", "2024-01-06", reason="heal")
    assert not result.success
    assert len(here.replay.requests) == before
    tries = here.runtime.lake.attempts(["bmrs_mid"]).filter(pl.col("reason") == "heal")
    assert (
        tries["message"].to_list()
        == [
            "not asked: healing may make 10 requests a day (GBPM_HEAL_REQUESTS_A_DAY); 0 are left today, 1 are "
            "needed, and as many as one may be tried (2)"
        ]
        * 2
    )
    assert (tries["requests"].sum(), set(tries["error_class"])) == (0, {"transient"})


def test_runs_behind_one_that_met_a_dead_source_do_not_ask(with_gaps: WithGaps) -> None:
    here = with_gaps()
    add_backfill(here, BulkActionStatus.REQUESTED, {HEAL_TAG: "gaps"}, {"bmrs_mid": days("2024-01-05")}, age_s=60)
    (backfill,) = healing_under_way(here.instance)
    for _ in range(3):
        lost = Outcome("bmrs_indo", date(2024, 1, 6), "failed", error_class="transient", requests=2)
        here.runtime.lake.record_failures([lost], reason="heal")
    assert here.replay is not None
    before = len(here.replay.requests)
    more = {BACKFILL_TAG: backfill.backfill_id}
    assert not here.run("bmrs_mid", "2024-01-05", reason="heal", tags=more).success
    assert len(here.replay.requests) == before
    (said,) = here.runtime.lake.attempts(["bmrs_mid"]).filter(pl.col("reason") == "heal")["message"]
    assert said.startswith("not asked: the source is down since ")


def test_what_ends_is_written_into_the_register_and_ends_there_when_it_is_filled(with_gaps: WithGaps) -> None:
    here = with_gaps(
        GBPM_HEAL_DELAYS_SECONDS="1", GBPM_HEAL_COOLDOWN_SECONDS="0", GBPM_DATASETS="bmrs_indo", GBPM_HEAL_JITTER="0"
    )
    day = date(2024, 1, 6)
    failed = Outcome("bmrs_indo", day, "failed", error_class="permanent", message="400: no", requests=1)
    for _ in range(2):
        here.runtime.lake.record_failures([failed], run_id="r", reason="heal")
    assert "1 given up after the last attempt" in skipped(here)
    (entry,) = entries(here.runtime.lake.known_gaps())
    assert (entry.table, entry.first, entry.last, entry.status, entry.by) == (
        "bmrs_indo",
        day,
        day,
        "given_up",
        "healer",
    )
    assert entry.reason.startswith("still missing after 2 attempts: last try failed (permanent): 400: no")
    evidence = json.loads(entry.evidence)
    assert [e["message"] for e in evidence["errors"]] == ["400: no", "400: no"]
    assert evidence["requests"] == [
        "/datasets/INDO?publishDateTimeFrom=2024-01-06T00:00Z&publishDateTimeTo=2024-01-07T00:00Z"
    ]
    here.load("bmrs_indo", "2024-01-06")
    judge(here)
    assert skipped(here) == "no gap check fails"
    (entry,) = entries(here.runtime.lake.known_gaps())
    assert (entry.status, entry.reason) == ("resolved", "the day is complete")


def test_excluded_days_are_never_asked_for(with_gaps: WithGaps) -> None:
    here = with_gaps()
    said = new_entry(
        "bmrs_mid", date(2024, 1, 5), date(2024, 1, 6), Status.EXCLUDED, "not ours", "person", datetime.now(UTC)
    )
    here.runtime.lake.put_known_gaps([said.row()])
    assert asked(here) == {**MISSING, "bmrs_mid": {date(2024, 1, 3)}}
