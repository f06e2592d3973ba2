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
    """The missing days of the last finished gap check; None when there is none yet or one is under way."""
    key = dg.AssetCheckKey(dg.AssetKey(table), "gaps")
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).get(key)
    event = record.event.dagster_event if record and record.event else None
    if event is None or event.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return None
    missing = event.asset_check_evaluation_data.metadata.get(MISSING)
    data = missing.value if missing is not None else []
    return [date.fromisoformat(d) for d in data] if isinstance(data, list) else []
