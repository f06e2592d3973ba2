"""The Dagster instance of a home: its dagster.yaml, and runs whose process has died.

Belongs here: writing the effective dagster.yaml from the template, opening the instance. Not here: starting services.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.home import open_home

PID_TAG = "gbpm/pid"
IN_PROCESS = "in-process.yaml"
TOGETHER = {"DAGSTER_EVENT_BATCH_SIZE": "1000"}
"""Has Dagster store the plan of a run (an event a day) in batches; our storage writes a batch at once."""

NO_CAPTURE = {"module": "dagster.core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}


def write_dagster_yaml(settings: Settings) -> Path:
    """Write `<home>/dagster/dagster.yaml` from the packaged template and the settings; returns the folder."""
    folder = open_home(settings.home).dagster
    template = yaml.safe_load(files("gbpm_dagster.orchestration").joinpath("dagster.yaml").read_text())
    # One more than the loads may use, so that checks find a place beside a long backfill; and one for the stream.
    template["concurrency"]["runs"]["max_concurrent_runs"] = settings.max_runs + 1 + settings.streaming
    template["concurrency"]["pools"]["default_limit"] = settings.max_runs
    template["event_log_storage"] = {
        "module": "gbpm_dagster.orchestration.storage",
        "class": "KeptSqliteEventLogStorage",
        "config": {"base_dir": str(folder / "history" / "runs")},
    }
    _write(folder / "dagster.yaml", template)
    # For runs in the process of a command: its standard output is its answer. Dagster's capture would put two `tail`s
    # and two watchers between, for each run.
    _write(folder / IN_PROCESS, {**template, "compute_logs": NO_CAPTURE})
    return folder


def _write(file: Path, content: dict[str, Any]) -> None:
    text = "# Written by gbpm from its template and GBPM_MAX_RUNS; edits are overwritten.\n" + yaml.safe_dump(content)
    if not file.exists() or file.read_text() != text:
        partial = file.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(text)
        partial.replace(file)


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The home's instance, for a command; a context manager. Sets Dagster's own TOGETHER in this process."""
    for name, value in TOGETHER.items():
        os.environ.setdefault(name, value)
    return DagsterInstance.from_config(str(write_dagster_yaml(settings)), IN_PROCESS)


def fail_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs of `gbpm` processes that were killed, so that the UI does not show them running for ever."""
    orphans = []
    running = instance.get_runs(
        filters=RunsFilter(
            statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.NOT_STARTED]
        )
    )
    for run in running:
        pid = run.tags.get(PID_TAG, "")
        if pid.isdigit() and not _alive(int(pid)):
            instance.report_run_failed(
                run, f"the gbpm process {pid} that ran this was ended; what it stored is whole"
            )
            orphans.append(run.run_id)
    return orphans


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
