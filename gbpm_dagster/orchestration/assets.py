"""One Dagster asset a table: a run covers many London days, each succeeds or fails by itself (decision 17).

Belongs here: turning days asked for into events. Not here: fetching or judging (the Runtime does both).
"""

import time
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon.address import printable
from gbpm_dagster.elexon.plan import span_text
from gbpm_dagster.ingest.run import Report
from gbpm_dagster.orchestration import heal_run
from gbpm_dagster.orchestration.checks import to_dagster
from gbpm_dagster.orchestration.describe import asset_spec, check_specs
from gbpm_dagster.orchestration.internal import REASON_TAG as REASON_TAG
from gbpm_dagster.orchestration.internal import log_materialized
from gbpm_dagster.orchestration.partitions import partitions_of
from gbpm_dagster.orchestration.runtime import CHECKS, Runtime, is_daily
from gbpm_dagster.quality.healing import HEAL
from gbpm_dagster.warehouse.protocol import Outcome

POOL = "elexon"
FAILED_SHOWN = 20
NOT_ASKED = "complete already: not asked again"


class IngestConfig(dg.Config):
    """How a run treats the days it was launched for."""

    only_incomplete: bool = Field(
        default=False, description="leave out days that are complete already (re-fetching them is always safe)"
    )


def build_asset(dataset: Dataset, runtime: Runtime) -> dg.AssetsDefinition:
    """The asset and the checks of one table.

    A run materialises the days of its partition range: one AssetMaterialization a day that is safe on disk; then
    evaluates the checks; then fails, naming the failed days, if there are any. Launched with checks alone, it only
    evaluates them.
    """

    @dg.multi_asset(
        name=dataset.table,
        specs=[asset_spec(dataset, partitions_of(dataset, runtime.settings, runtime.scope), _is_fed(runtime))],
        check_specs=check_specs(dataset, CHECKS),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=POOL,
        required_resource_keys={"gbpm"},
    )
    def load(context: dg.AssetExecutionContext, config: IngestConfig) -> Iterator[Any]:
        runtime: Runtime = context.resources.gbpm
        step = context.op_execution_context
        failed: list[Outcome] = []
        if step.selected_asset_keys:
            days = _days(context, runtime, dataset, config)
            leave = heal_run.leave(context, runtime, dataset, days)
            if leave.why_not:
                failed = heal_run.record(runtime, dataset, days, leave.why_not, context.run_id)
            else:
                failed = _load(context, runtime, dataset, days, leave.requests)
        chosen = [key.name for key in step.selected_asset_check_keys]
        if chosen:
            yield from (to_dagster(r) for r in runtime.checks([dataset], chosen))
        if failed:
            raise _failure(dataset, failed)

    return load


def _is_fed(runtime: Runtime) -> bool:
    """Whether the home follows the clock: not one of recorded days, not one pinned to the past."""
    return runtime.scope is None and runtime.settings.now is None


def _days(context: dg.AssetExecutionContext, runtime: Runtime, dataset: Dataset, config: IngestConfig) -> list[date]:
    if not is_daily(dataset):
        return runtime.wanted(dataset)[-1:]
    days = [date.fromisoformat(key) for key in context.partition_keys]
    if config.only_incomplete or _healing(context):
        held = runtime.coverage(dataset, days).filter(state="complete")["day"].to_list()
        days = sorted(set(days) - set(held))
        if _healing(context) and held:
            _tell_complete(context, runtime, dataset, held)
    return days


def _healing(context: dg.AssetExecutionContext) -> bool:
    """Whether the run is the healer's: it never asks for a day that is complete, whatever range it was given."""
    return context.run.tags.get(REASON_TAG) == HEAL


def _tell_complete(
    context: dg.AssetExecutionContext, runtime: Runtime, dataset: Dataset, held: Collection[date]
) -> None:
    """The complete days in a healing run's range: its backfill waits for a word of each."""
    evidence = runtime.lake.evidence([dataset.table], min(held), max(held))
    rows = [row for row in evidence.iter_rows(named=True) if row["day"] in set(held)]
    log_materialized(context.op_execution_context, [materialised(dataset, as_stored(row, NOT_ASKED)) for row in rows])
    context.log.info(f"{dataset.table}: {len(rows)} day(s) of this range are complete and are not asked again")


def as_stored(row: Mapping[str, Any], note: str) -> Outcome:
    """A stored day as its evidence (EVIDENCE_SCHEMA) has it."""
    names = ("table", "day", "rows", "written", "superseded", "exact_duplicates", "quarantined", "requests", "bytes")
    told = {name: row[name] for name in (*names, "first_time", "last_time")}
    word = "written" if row["rows"] else "empty"
    return Outcome(outcome=word, message=note, extra={"source": row["source"]}, **told)


def _load(
    context: dg.AssetExecutionContext, runtime: Runtime, dataset: Dataset, days: list[date], requests: int | None
) -> list[Outcome]:
    failed: list[Outcome] = []
    began = time.monotonic()
    context.log.info(f"{dataset.table}: asking {printable(runtime.settings.base_url)} for {len(days)} day(s)")
    reason = context.run.tags.get(REASON_TAG, "backfill")
    for told in runtime.load(dataset, days, run_id=context.run_id, reason=reason, requests=requests):
        if isinstance(told, Report):
            _summarise(context, dataset, told, time.monotonic() - began)
            continue
        seconds = time.monotonic() - began
        log_materialized(context.op_execution_context, [materialised(dataset, o, seconds) for o in told if o.ok])
        for outcome in told:
            if not outcome.ok:
                failed.append(outcome)
                context.log.warning(f"{dataset.table} {outcome.day}: {outcome.outcome}: {outcome.message}")
    return sorted(failed, key=lambda o: o.day)


def materialised(dataset: Dataset, outcome: Outcome, seconds: float | None = None) -> dg.AssetMaterialization:
    """The event of a stored day. seconds: from the start of its table's load in the run until it was safe on disk."""
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": outcome.rows,
        "outcome": outcome.outcome,
        "written": outcome.written,
        "superseded": outcome.superseded,
        "exact duplicates": outcome.exact_duplicates,
        "quarantined": outcome.quarantined,
        "requests": outcome.requests,
        "bytes": outcome.bytes,
        **({} if seconds is None else {"seconds": round(seconds, 3)}),
        "source": str(outcome.extra.get("source", "REST")),
    }
    for name, value in (("first time", outcome.first_time), ("last time", outcome.last_time)):
        if value is not None:
            metadata[name] = dg.MetadataValue.timestamp(value)
    if outcome.message:
        metadata["note"] = outcome.message
    return dg.AssetMaterialization(
        dg.AssetKey(dataset.table),
        partition=outcome.day.isoformat() if is_daily(dataset) else None,
        description=f"{outcome.rows:,} rows, {outcome.outcome}",
        metadata=metadata,
    )


def _summarise(context: dg.AssetExecutionContext, dataset: Dataset, report: Report, seconds: float) -> None:
    context.log.info(
        f"{dataset.table}: {len(report.outcomes) - len(report.failed)} day(s) safe, {len(report.failed)} not; "
        f"{report.requests} requests, {report.bytes:,} bytes, {report.fetched:,} rows "
        f"({report.outside:,} outside the days asked for), {seconds:.1f} s"
    )
    if report.learnt_cap:
        context.log.warning(
            f"{dataset.table}: the source takes windows of at most {span_text(report.learnt_cap)} on "
            f"{dataset.endpoint.path}; asked in these, and remembered (`gbpm plan {dataset.table}` shows it)"
        )
    if report.unknown_columns:
        context.log.warning(
            f"{dataset.table}: fields the catalogue does not know, kept aside in gbpm_drift: "
            f"{', '.join(sorted(report.unknown_columns))}"
        )


def _failure(dataset: Dataset, failed: list[Outcome]) -> dg.Failure:
    shown = ", ".join(o.day.isoformat() for o in failed[:FAILED_SHOWN])
    more = f" and {len(failed) - FAILED_SHOWN} more" if len(failed) > FAILED_SHOWN else ""
    rows = [
        dg.TableRecord({"day": o.day.isoformat(), "what": o.outcome, "class": o.error_class, "why": o.message})
        for o in failed
    ]
    return dg.Failure(
        f"{dataset.table}: {len(failed)} day(s) not stored: {shown}{more}. The other days of this run are safe. "
        f"First reason: {failed[0].message.rstrip('. ')}. Next: `gbpm backfill {dataset.table} --missing`.",
        metadata={"failed days": dg.MetadataValue.table(rows)},
        allow_retries=False,
    )
