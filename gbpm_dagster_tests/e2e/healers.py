"""Watching the healer of a running home: its backfills, waiting for them, what a sequence of them must be.

Belongs here: what the end-to-end test and `make soak` share. Not here: servers, faults.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from itertools import pairwise

import dagster as dg

from gbpm_dagster.orchestration import services
from gbpm_dagster.orchestration.instance import TOGETHER
from gbpm_dagster.orchestration.internal import DECISION_TAG, HEAL_TAG, BulkActionsFilter, PartitionBackfill
from gbpm_dagster.settings import Settings


def healing_backfills(instance: dg.DagsterInstance) -> list[PartitionBackfill]:
    """The healing backfills, the oldest first."""
    found = instance.get_backfills(filters=BulkActionsFilter(tags={HEAL_TAG: "gaps"}))
    return sorted(found, key=lambda b: b.backfill_timestamp)


def faults_of_sequence(healing: list[PartitionBackfill]) -> list[str]:
    """What is wrong with a sequence of healing backfills that have ended: two at once, or one launched twice."""
    wrong = [
        f"{later.backfill_id} began before {earlier.backfill_id} had ended"
        for earlier, later in pairwise(healing)
        if later.backfill_timestamp < (earlier.backfill_end_timestamp or float("inf"))
    ]
    decisions = [b.tags[DECISION_TAG] for b in healing]
    wrong += [
        f"decision {d} was launched {decisions.count(d)} times" for d in set(decisions) if decisions.count(d) > 1
    ]
    return wrong


def wait(condition: Callable[[], object], what: str, settings: Settings, within_s: float) -> None:
    """Until the condition holds; AssertionError that says where the logs are if it does not in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.3)
    raise AssertionError(f"{what} did not come within {within_s:.0f} s; logs: {settings.logs}")


def kill_daemon_and_start_again(up: services.Services, environ: Mapping[str, str], settings: Settings) -> None:
    """kill -9 of the daemon, and another one as `gbpm up` would have started it."""
    old = up.processes["daemon"]
    os.kill(old.pid, signal.SIGKILL)
    old.wait()
    env = {**TOGETHER, **os.environ, **environ, "DAGSTER_HOME": str(settings.dagster_home)}
    with (settings.logs / "daemon-again.log").open("ab") as log:
        up.processes["daemon"] = subprocess.Popen(
            old.args,  # type: ignore[arg-type]  # the list it was started with
            env={**env, "DAGSTER_DISABLE_TELEMETRY": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
