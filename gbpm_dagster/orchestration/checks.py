"""Check results as Dagster shows and stores them, and reading the last ones back.

Belongs here: translation. Not here: any rule (quality.checks).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

import dagster as dg

from gbpm_dagster.quality.checks import CheckResult

MISSING = "missing days"
HISTORY = 20
"""So many last executions of a check are searched for a verdict."""


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
    key = dg.AssetCheckKey(dg.AssetKey(table), "gaps")
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=HISTORY):
        event = record.event.dagster_event if record.event else None
        if event is not None and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            missing = event.asset_check_evaluation_data.metadata.get(MISSING)
            data = missing.value if missing is not None else []
            return [date.fromisoformat(d) for d in data] if isinstance(data, list) else []
        run = instance.get_run_by_id(record.run_id)
        if run is not None and not run.is_finished:
            return None
    return None
