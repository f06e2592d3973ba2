"""Check results as Dagster shows and stores them, and reading the last ones back.

Belongs here: translation. Not here: any rule (quality.checks).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

import dagster as dg

from gbpm_dagster.orchestration.internal import CheckStatus
from gbpm_dagster.quality.checks import CheckResult

MISSING = "missing days"
HISTORY = 20
"""So many last failures of a check are looked at."""


def _metadata(result: CheckResult) -> dict[str, Any]:
    plain = json.loads(json.dumps(dict(result.details), default=str))
    found: dict[str, Any] = {"summary": result.summary, **{k: _value(v) for k, v in plain.items()}}
    if result.check == "gaps":
        found[MISSING] = dg.MetadataValue.json([d.isoformat() for d in result.missing])
    return found


def _value(value: Any) -> Any:
    if value is None:
        return dg.MetadataValue.null()
    return dg.MetadataValue.json(value) if isinstance(value, dict | list) else value


def _severity(result: CheckResult) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.WARN if result.severity == "WARN" else dg.AssetCheckSeverity.ERROR


def to_dagster(result: CheckResult) -> dg.AssetCheckResult:
    """A result to yield from a run."""
    return dg.AssetCheckResult(
        passed=result.passed,
        asset_key=dg.AssetKey(result.table),
        check_name=result.check,
        severity=_severity(result),
        description=result.summary,
        metadata=_metadata(result),
    )


def store(instance: dg.DagsterInstance, results: Iterable[CheckResult]) -> None:
    """Store results as evaluations outside any run (`gbpm check`): the UI shows them like any other."""
    for result in results:
        shown = to_dagster(result)
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(result.table),
                check_name=result.check,
                passed=result.passed,
                metadata=shown.metadata,
                severity=shown.severity,
                description=result.summary,
            )
        )


def last_gaps(instance: dg.DagsterInstance, table: str) -> list[date] | None:
    """The missing days of the last gap check that gave a verdict; None when there is none, or one is under way.

    A run that ended without one (killed, cancelled) must not hide the verdict before it until somebody checks again.
    """
    newest = instance.event_log_storage.get_asset_check_execution_history(_gaps_of(table), limit=1)
    if newest and newest[0].status is CheckStatus.PLANNED:
        run = instance.get_run_by_id(newest[0].run_id)
        if run is not None and not run.is_finished:
            return None
    return last_verdict(instance, table)


def last_verdict(instance: dg.DagsterInstance, table: str) -> list[date] | None:
    """The missing days of the last gap check that gave a verdict, whatever is under way; None when there is none."""
    for verdict in _verdicts(instance, table, {CheckStatus.SUCCEEDED, CheckStatus.FAILED}, limit=1):
        return sorted(_days(verdict))
    return None


def failed_gaps(instance: dg.DagsterInstance, table: str, since: datetime) -> dict[date, str]:
    """The days that gap checks have failed for since an instant, healed or not, and what the first of them said."""
    found: dict[date, str] = {}
    for verdict in _verdicts(instance, table, {CheckStatus.FAILED}, limit=HISTORY):
        if verdict.timestamp >= since.timestamp():
            found |= _days(verdict)
    return found


def _gaps_of(table: str) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey(table), "gaps")


def _verdicts(
    instance: dg.DagsterInstance, table: str, which: set[CheckStatus], limit: int
) -> Iterator[dg.EventLogEntry]:
    """The last verdicts on gaps, newest first; what is only planned is none."""
    records = instance.event_log_storage.get_asset_check_execution_history(_gaps_of(table), limit, status=which)
    return (record.event for record in records if record.event is not None)


def _days(verdict: dg.EventLogEntry) -> dict[date, str]:
    """The missing days of a verdict and why; the why is short where it lists too many."""
    assert verdict.dagster_event is not None
    metadata = verdict.dagster_event.asset_check_evaluation_data.metadata
    lists: list[Any] = [metadata[name].value if name in metadata else [] for name in (MISSING, "ranges")]
    missing, ranges = lists
    found = dict.fromkeys((date.fromisoformat(d) for d in missing), "missing")
    for span in ranges:
        inside = (d for d in found if span["from"] <= d.isoformat() <= span["to"])
        found |= dict.fromkeys(list(inside), f"{span['state']}: {span['reason']}")
    return found
