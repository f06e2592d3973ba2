"""The event log that keeps its connections: Dagster's own class must read exactly what it wrote."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from gbpm_dagster.orchestration.instance import TOGETHER
from gbpm_dagster.orchestration.internal import log_materialized, report_materialized
from gbpm_dagster.orchestration.storage import KeptSqliteEventLogStorage

KEY = dg.AssetKey("bmrs_mid")
DAYS = [f"2024-01-{n:02}" for n in range(1, 32)]
KEPT = """
event_log_storage:
  module: gbpm_dagster.orchestration.storage
  class: KeptSqliteEventLogStorage
  config: {{base_dir: {base}}}
telemetry: {{enabled: false}}
"""
WRITER = """
import sys
import dagster as dg
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    for n in range(20):
        day = f"2024-{int(sys.argv[2]):02}-{n + 1:02}"
        instance.report_runless_asset_event(dg.AssetMaterialization("bmrs_mid", partition=day))
"""


def kept(home: Path) -> dg.DagsterInstance:
    (home / "dagster.yaml").write_text(KEPT.format(base=home / "history" / "runs"))
    return dg.DagsterInstance.from_config(str(home))


def plain(home: Path) -> SqliteEventLogStorage:
    return SqliteEventLogStorage(str(home / "history" / "runs"))


@dg.multi_asset(specs=[dg.AssetSpec(KEY)], check_specs=[dg.AssetCheckSpec("gaps", asset=KEY)])
def load(context):
    yield dg.MaterializeResult(asset_key=KEY, metadata={"rows": 96})
    yield dg.AssetCheckResult(asset_key=KEY, check_name="gaps", passed=False)


def test_dagsters_own_class_reads_the_same_runs_and_events(tmp_path: Path) -> None:
    with kept(tmp_path) as instance:
        runs = [dg.materialize([load], instance=instance).run_id for _ in range(3)]
        written = {r: instance.event_log_storage.get_logs_for_run(r) for r in runs}
    theirs = plain(tmp_path)
    assert sorted(theirs.get_all_run_ids()) == sorted(runs)
    for run in runs:
        assert theirs.get_logs_for_run(run) == written[run]
        assert len(written[run]) > 5
    record = theirs.get_asset_records([KEY])[0].asset_entry
    assert record.last_run_id == runs[-1]
    check = dg.AssetCheckKey(KEY, "gaps")
    assert theirs.get_latest_asset_check_execution_by_key([check])[check].run_id == runs[-1]


def test_a_check_of_a_run_over_many_days_is_planned_once(tmp_path: Path) -> None:
    """Dagster plans one for each partition of the run, and the evaluation of the whole table ends none of them."""
    week = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-08", timezone="Europe/London")
    subset = week.subset_with_partition_keys(week.get_partition_keys()).to_serializable_subset()
    check = dg.AssetCheckKey(KEY, "gaps")
    counts = []
    for folder, storage in (("ours", KeptSqliteEventLogStorage), ("dagsters", SqliteEventLogStorage)):
        log = storage(str(tmp_path / folder))
        planned = AssetCheckEvaluationPlanned(asset_key=KEY, check_name="gaps", partitions_subset=subset)
        verdict = dg.AssetCheckEvaluation(asset_key=KEY, check_name="gaps", passed=False, metadata={})
        for kind, data in (("ASSET_CHECK_EVALUATION_PLANNED", planned), ("ASSET_CHECK_EVALUATION", verdict)):
            log.store_event(entry(DagsterEventType(kind), data))
        records = log.get_asset_check_execution_history(check, limit=50)
        counts.append([record.status.value for record in records])
    assert counts == [["FAILED"], ["FAILED", *["PLANNED"] * 7]]


def entry(kind: DagsterEventType, data: AssetCheckEvaluationPlanned | dg.AssetCheckEvaluation) -> dg.EventLogEntry:
    said = DagsterEvent(kind.value, "job", event_specific_data=data)
    return dg.EventLogEntry(None, 10, "", "a run", time.time(), job_name="job", dagster_event=said)


def test_two_processes_writing_at_once_lose_nothing(tmp_path: Path) -> None:
    with kept(tmp_path):
        pass
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), m]) for m in ("1", "2")]
    assert [w.wait(120) for w in writers] == [0, 0]
    assert len(plain(tmp_path).get_materialized_partitions(KEY)) == 40


def many(log: Callable[[dg.OpExecutionContext, list[dg.AssetMaterialization]], None]) -> dg.AssetsDefinition:
    """An asset that tells of 31 days, some of them twice, in the way given."""

    @dg.multi_asset(
        specs=[dg.AssetSpec(KEY, partitions_def=dg.StaticPartitionsDefinition(DAYS), skippable=True)],
        check_specs=[dg.AssetCheckSpec("gaps", asset=KEY)],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def table(context):
        found = [
            dg.AssetMaterialization(
                KEY, partition=day, description=f"{n} rows", metadata={"rows": n}, tags={"a": day}
            )
            for n, day in enumerate([*DAYS, *DAYS[:3]])
        ]
        log(context.op_execution_context, found)
        yield dg.AssetCheckResult(asset_key=KEY, check_name="gaps", passed=False)

    return table


def one_by_one(context: dg.OpExecutionContext, found: list[dg.AssetMaterialization]) -> None:
    for materialization in found:
        context.log_event(materialization)


def run_of(instance: dg.DagsterInstance, asset: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    tags = {"dagster/asset_partition_range_start": DAYS[0], "dagster/asset_partition_range_end": DAYS[-1]}
    return dg.materialize([asset], instance=instance, tags=tags, raise_on_error=False)


def told(storage: SqliteEventLogStorage, run: str) -> list[tuple[object, ...]]:
    """What the run's log says of materialisations, without what differs from run to run."""
    found = []
    for entry in storage.get_logs_for_run(run, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = entry.get_dagster_event()
        materialization = event.step_materialization_data.materialization
        found.append(
            (
                *(materialization, entry.level, entry.user_message, entry.step_key, entry.job_name, event.message),
                *(event.step_handle, event.node_handle, event.step_kind_value),
            )
        )
    return found


def test_many_at_once_leave_what_one_by_one_leaves(tmp_path: Path) -> None:
    """In the run's log, in the asset's history and in its own row, as Dagster's own class reads them."""
    left = []
    for name, log in (("theirs", one_by_one), ("ours", log_materialized)):
        home = tmp_path / name
        home.mkdir()
        with kept(home) as instance:
            result = run_of(instance, many(log))
            assert result.success
            emitted = [e.partition for e in result.all_events if e.is_step_materialization]
        storage = plain(home)
        records = storage.fetch_materializations(KEY, limit=100).records
        last = storage.get_asset_records([KEY])[0].asset_entry
        left.append(
            {
                "emitted": emitted,
                "run": told(storage, result.run_id),
                "asset": [(r.partition_key, r.asset_materialization) for r in records],
                "last": (
                    last.last_materialization.asset_materialization.partition,
                    last.last_run_id == result.run_id,
                ),
                "days": storage.get_materialized_partitions(KEY),
                "by day": sorted(
                    storage.get_latest_storage_id_by_partition(KEY, dg.DagsterEventType.ASSET_MATERIALIZATION)
                ),
                "tags": [dict(t) for t in storage.get_event_tags_for_asset(KEY)],
            }
        )
        assert last.last_materialization_storage_id == records[0].storage_id
        latest = storage.get_latest_storage_id_by_partition(KEY, dg.DagsterEventType.ASSET_MATERIALIZATION)
        assert dict(latest) == {r.partition_key: r.storage_id for r in reversed(records)}
    assert left[0] == left[1]
    assert len(left[0]["run"]) == len(DAYS) + 3


def test_many_at_once_are_two_transactions(tmp_path: Path) -> None:
    with kept(tmp_path) as instance:
        storage = instance.event_log_storage
        assert isinstance(storage, KeptSqliteEventLogStorage)
        opened: list[str] = []
        real = storage._connect
        storage._connect = lambda shard: (opened.append(shard), real(shard))[1]  # type: ignore[method-assign]

        def counted(context: dg.OpExecutionContext, found: list[dg.AssetMaterialization]) -> None:
            opened.clear()
            log_materialized(context, found)
            during.extend(opened)

        during: list[str] = []
        run = run_of(instance, many(counted)).run_id
        assert len(during) <= 4  # the run's file, the index, and its look at the index's own columns
        assert set(during) == {run, "index"}


@pytest.mark.parametrize("together", [False, True], ids=["singly", "together"])
def test_days_that_were_planned_and_not_told_of_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """The plan of a run is an event a day; stored at once it says the same: 20 days safe, 11 failed."""
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", TOGETHER["DAGSTER_EVENT_BATCH_SIZE"] if together else "0")

    def half(context: dg.OpExecutionContext, found: list[dg.AssetMaterialization]) -> None:
        log_materialized(context, found[:20])
        raise dg.Failure("the others are not there", allow_retries=False)

    with kept(tmp_path) as instance:
        run = run_of(instance, many(half)).run_id
    storage = plain(tmp_path)
    planned = storage.get_logs_for_run(run, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    assert sorted(e.get_dagster_event().partition for e in planned) == DAYS
    index = storage.get_latest_storage_id_by_partition(KEY, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    assert sorted(index) == DAYS
    open_days = storage.get_latest_asset_partition_materialization_attempts_without_materializations(KEY)
    assert sorted(open_days) == DAYS[20:]
    assert {found[0] for found in open_days.values()} == {run}
    assert storage.get_materialized_partitions(KEY) == set(DAYS[:20])
    assert storage.get_asset_records([KEY])[0].asset_entry.last_run_id == run


def test_days_of_no_run_at_once_leave_in_the_index_what_one_by_one_leaves(tmp_path: Path) -> None:
    """And no log of no run, which would be as large again and which nobody reads."""
    left = []
    told_of = [
        dg.AssetMaterialization(KEY, partition=day, metadata={"rows": n}, tags={"a": day})
        for n, day in enumerate([*DAYS, *DAYS[:3]])
    ]
    for name in ("theirs", "ours"):
        home = tmp_path / name
        home.mkdir()
        with kept(home) as instance:
            if name == "ours":
                report_materialized(instance, told_of)
            else:
                for event in told_of:
                    instance.report_runless_asset_event(event)
        storage = plain(home)
        records = storage.fetch_materializations(KEY, limit=100).records
        last = storage.get_asset_records([KEY])[0].asset_entry
        assert last.last_materialization_storage_id == records[0].storage_id
        entries = [r.event_log_entry for r in records]
        left.append(
            {
                "events": [
                    (e.run_id, e.level, e.user_message, e.step_key, e.job_name, e.get_dagster_event())
                    for e in entries
                ],
                "last": (last.last_materialization.asset_materialization, last.last_run_id),
                "days": storage.get_materialized_partitions(KEY),
                "tags": [dict(t) for t in storage.get_event_tags_for_asset(KEY)],
            }
        )
        assert (home / "history" / "runs" / ".db").exists() == (name == "theirs")
    assert left[0] == left[1]
    assert len(left[0]["events"]) == len(DAYS) + 3
