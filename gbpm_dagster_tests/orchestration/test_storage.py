"""The event log that keeps its connections: Dagster's own class must read exactly what it wrote."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from gbpm_dagster.orchestration.storage import KeptSqliteEventLogStorage

KEY = dg.AssetKey("bmrs_mid")
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
