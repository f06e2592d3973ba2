"""The asset `bmrs_boalf_complete` with its table of pairs: a day is computed anew when its inputs changed.

Belongs here: turning days asked for into events and checks. Not here: the rules (analytics.acceptances).
"""

import warnings
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg

from gbpm_dagster.analytics.acceptances import judge
from gbpm_dagster.analytics.acceptances.day import BOALF, INPUTS, Sources, priced_day, sources
from gbpm_dagster.catalogue.derived import ACCEPTANCE_PAIRS, ACCEPTANCES, BMRS_BOALF_COMPLETE, DERIVED, Derived
from gbpm_dagster.catalogue.describe import LICENCE
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.orchestration.checks import to_dagster
from gbpm_dagster.orchestration.describe import OWNERS, SHOWN_TYPES
from gbpm_dagster.orchestration.partitions import partitions_of
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.result import ERROR, WARN, CheckResult
from gbpm_dagster.warehouse.protocol import Outcome

GROUP = "analytics"
NEWEST_DAYS = 7
"""Checks launched without days judge so many of the newest stored ones."""

CHECK_TEXT = {
    judge.VOLUMES: "Volumes agree with Elexon's (bmrs_boav) by acceptance and pair; not green where it has none.",
    judge.CASHFLOWS: "Cash agrees with Elexon's (bmrs_ebocf) by unit and period; not green where it has none.",
    judge.PRICED: "At least 99 % of the acceptances with PN and BOD are not Unmatched.",
}


def build_acceptances(datasets: Sequence[Dataset], runtime: Runtime) -> list[dg.AssetsDefinition]:
    """The asset, if the home has the three tables it is computed from; else none."""
    chosen = {d.table: d for d in datasets if d.table in INPUTS}
    return [_asset(chosen[BOALF], runtime)] if len(chosen) == len(INPUTS) else []


def build_late_inputs(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AutomationConditionSensorDefinition]:
    """The sensor that evaluates `late_inputs` of these assets, every minute; none without assets."""
    if not assets:
        return []
    return [
        dg.AutomationConditionSensorDefinition(
            "late_inputs",
            target=dg.AssetSelection.assets(*(key for asset in assets for key in asset.keys)),
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=60,
            description="Every minute: compute the days of analytics whose inputs came or changed.",
        )
    ]


def late_inputs() -> dg.AutomationCondition[Any]:
    """A day whose inputs came or changed, once none of them is under way: that day, and no other.

    Levels of the day before count as the day's input, as one may reach over midnight.
    """
    return (
        dg.AutomationCondition.any_deps_updated().since_last_handled()
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label("inputs of the day changed")


def _asset(boalf: Dataset, runtime: Runtime) -> dg.AssetsDefinition:
    partitions = partitions_of(boalf, runtime.settings, runtime.scope)
    deps = [dg.AssetDep(t, partition_mapping=_days_before(1 if t == BOALF else 0)) for t in INPUTS]

    @dg.multi_asset(
        name=ACCEPTANCES,
        specs=[_spec(d, deps, partitions) for d in DERIVED.values()],
        check_specs=[dg.AssetCheckSpec(n, asset=ACCEPTANCES, description=CHECK_TEXT[n]) for n in judge.CHECKS],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={"gbpm"},
    )
    def complete(context: dg.AssetExecutionContext) -> Iterator[Any]:
        runtime: Runtime = context.resources.gbpm
        step = context.op_execution_context
        failed: list[Outcome] = []
        if step.selected_asset_keys:
            days = [date.fromisoformat(key) for key in context.partition_keys]
            for outcome in compute(runtime, days, context.run_id):
                if outcome.ok:
                    context.log_event(_materialised(outcome, ACCEPTANCES))
                    context.log_event(_materialised(outcome, ACCEPTANCE_PAIRS))
                else:
                    failed.append(outcome)
                    context.log.warning(f"{ACCEPTANCES} {outcome.day}: {outcome.message}")
        else:
            days = _newest(runtime)
        chosen = [key.name for key in step.selected_asset_check_keys]
        if chosen:
            lost = {o.day for o in failed}
            held = [d for d in days if d not in lost]
            yield from (to_dagster(_result(j)) for j in judge.judge(runtime.lake, held, chosen))
        if failed:
            raise _failure(failed)

    return complete


def _days_before(days: int) -> dg.TimeWindowPartitionMapping:
    """A day is made of the same day of an input and so many before it, as far as there are partitions."""
    with warnings.catch_warnings():
        # A beta parameter, and of no interest to who starts Dagster: tests hold what it does.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.TimeWindowPartitionMapping(start_offset=-days, allow_nonexistent_upstream_partitions=True)


def _spec(
    derived: Derived, deps: Sequence[dg.AssetDep], partitions: dg.PartitionsDefinition[str] | None
) -> dg.AssetSpec:
    columns = [
        dg.TableColumn(
            c.name,
            SHOWN_TYPES.get(c.kind, c.kind.value),
            description=c.meaning + (f" ({c.unit})" if c.unit else ""),
            constraints=dg.TableColumnConstraints(nullable=c.nullable),
            tags={"unit": c.unit.replace("/", "_per_")} if c.unit else None,
        )
        for c in derived.columns
    ]
    return dg.AssetSpec(
        derived.table,
        description=f"{derived.title}. {derived.description}",
        group_name=GROUP,
        owners=OWNERS,
        kinds={"polars", "deltalake"},
        metadata={
            "dagster/column_schema": dg.TableSchema(columns=columns),
            "dagster/table_name": derived.table,
            "natural key": ", ".join(("settlementDate", *derived.key)),
            "licence": LICENCE,
        },
        partitions_def=partitions,
        deps=list(deps),
        automation_condition=late_inputs(),
        skippable=True,
    )


def compute(runtime: Runtime, days: Sequence[date], run_id: str) -> Iterator[Outcome]:
    """Compute and store those days, in order; a day whose acceptance levels were never answered fails.

    A day whose inputs are those it was computed from is computed again all the same: it takes less than a second.
    """
    for day, found in sorted(sources(runtime.lake, days).items()):
        if not found.computable:
            why = f"{BOALF} has no evidence of {day}: `gbpm backfill {BOALF} --from {day} --to {day}` fetches it"
            yield Outcome(ACCEPTANCES, day, "failed", message=why, error_class="ours")
            continue
        yield _computed(runtime, day, found, run_id)


def _computed(runtime: Runtime, day: date, found: Sources, run_id: str) -> Outcome:
    priced = priced_day(runtime.lake, day)
    outcome = runtime.lake.replace_derived(
        {ACCEPTANCES: priced.rows, ACCEPTANCE_PAIRS: priced.pairs},
        day,
        computed_at=runtime.settings.clock(),
        digest=found.digest,
        run_id=run_id,
    )
    note = ""
    if found.missing:
        listed = ", ".join(f"{table} of {d}" for table, d in found.missing)
        note = f"no answer is stored of {listed}: what depends on it is null, with its reason"
    return Outcome(
        outcome.table, day, outcome.outcome, outcome.rows, outcome.written, message=note,
        extra={**outcome.extra, "pairs": priced.pairs.height, "inputs": found.digest},
    )  # fmt: skip


def _materialised(outcome: Outcome, table: str) -> dg.AssetMaterialization:
    rows = outcome.rows if table == ACCEPTANCES else outcome.extra["pairs"]
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": rows,
        "outcome": outcome.outcome,
        "inputs": outcome.extra["inputs"],
    }
    if outcome.message:
        metadata["note"] = outcome.message
    return dg.AssetMaterialization(
        dg.AssetKey(table),
        partition=outcome.day.isoformat(),
        description=f"{rows:,} rows, {outcome.outcome}",
        metadata=metadata,
    )


def _newest(runtime: Runtime) -> list[date]:
    days = runtime.lake.evidence([BMRS_BOALF_COMPLETE.table])["day"].to_list()
    return sorted(days)[-NEWEST_DAYS:]


def _result(found: judge.Judgement) -> CheckResult:
    severity = WARN if found.unknown else ERROR
    return CheckResult(ACCEPTANCES, found.check, found.passed, severity, found.summary, details=found.details)


def _failure(failed: Sequence[Outcome]) -> dg.Failure:
    shown = ", ".join(o.day.isoformat() for o in failed[:NEWEST_DAYS])
    more = f" and {len(failed) - NEWEST_DAYS} more" if len(failed) > NEWEST_DAYS else ""
    return dg.Failure(
        f"{ACCEPTANCES}: {len(failed)} day(s) not computed: {shown}{more}. First reason: {failed[0].message}.",
        allow_retries=False,
    )
