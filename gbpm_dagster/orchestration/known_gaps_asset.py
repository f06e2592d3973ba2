"""The register of known gaps as Dagster shows it: the asset `gbpm_known_gaps`, its job and schedule.

Belongs here: translation. Not here: the rules (quality.register), what people do with it (known_gaps).
"""

from typing import Any

import dagster as dg

from gbpm_dagster.market.calendar import LONDON
from gbpm_dagster.orchestration.ask import open_runtime
from gbpm_dagster.orchestration.describe import OWNERS
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.known_gaps import counts
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.register import RANK, Entry, Status, entries
from gbpm_dagster.warehouse.ledger import KNOWN_GAPS, SCHEMAS

JOB = "known_gaps"
SHOWN = 200
"""Entries in a table of the UI, strongest first."""

DESCRIPTION = """What is known of days that lack: by whom, why, with which evidence.

* `excluded` (a person does not want them) and `missing_at_source` (proved) pass the gap check and are shown by it
* `given_up` and `suspected` days still fail; a gap check that fails for nothing else is a warning
* `gbpm known-gaps` lists, adds and resolves entries; in SQL it is the table `gbpm_known_gaps`

The healer and people write it at any time; a materialisation shows how it stood then."""

MEANING = {
    "id": "the entry: follows from table, days and author",
    "table": "the table the days are of",
    "first": "first London day",
    "last": "last London day; empty: an open end",
    "status": "excluded, missing_at_source, given_up, suspected or resolved",
    "reason": "why, in words",
    "evidence": "what shows it, a JSON object",
    "recoverable": "whether the source is believed to have the days; empty: nobody knows",
    "since": "when the entry was made",
    "by": "who said the status: seed, healer or person",
    "changed_at": "when the status was said",
    "retry_at": "when the source is to be asked again; empty: not by itself",
}


def build_known_gaps() -> tuple[dg.AssetsDefinition, dg.ScheduleDefinition]:
    """The asset, and the schedule of its job: 08:30 London, after the gap check and what the healer made of it."""
    job = dg.define_asset_job(JOB, selection=[KNOWN_GAPS], description="Shows the register of known gaps as it is.")
    schedule = dg.ScheduleDefinition(
        name="known_gaps_0830",
        job=job,
        cron_schedule="30 8 * * *",
        execution_timezone=LONDON.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="08:30 London: show the register of known gaps.",
    )
    return _asset(), schedule


def _asset() -> dg.AssetsDefinition:
    @dg.asset(
        name=KNOWN_GAPS,
        group_name="quality",
        kinds={"deltalake"},
        owners=OWNERS,
        description=DESCRIPTION,
        metadata={"dagster/table_name": KNOWN_GAPS, "dagster/column_schema": _columns()},
        required_resource_keys={"gbpm"},
    )
    def gbpm_known_gaps(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata=metadata(context.resources.gbpm))

    return gbpm_known_gaps


def tell() -> None:
    """Show the register of this home in Dagster as it is now, after a command that changed it."""
    runtime = open_runtime()
    with open_instance(runtime.settings) as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(dg.AssetKey(KNOWN_GAPS), metadata=metadata(runtime))
        )


def metadata(runtime: Runtime) -> dict[str, Any]:
    """Rows, entries by status, and the entries that are not resolved as a table."""
    register = runtime.lake.known_gaps()
    active = [e for e in entries(register) if e.status is not Status.RESOLVED]
    active.sort(key=lambda e: (RANK[e.status], e.table, e.first))
    found: dict[str, Any] = {"dagster/row_count": register.height, **counts(runtime)}
    if active:
        found["known gaps"] = dg.MetadataValue.table([_record(e) for e in active[:SHOWN]])
    if len(active) > SHOWN:
        found["not shown"] = f"{len(active) - SHOWN:,} more: `gbpm known-gaps list`"
    return found


def _record(entry: Entry) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "id": entry.id,
            "table": entry.table,
            "days": entry.span,
            "status": entry.status.value,
            "by": entry.by,
            "since": entry.since.date().isoformat(),
            "reason": entry.reason,
        }
    )


def _columns() -> dg.TableSchema:
    names = {"String": "string", "Date": "date", "Boolean": "boolean"}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, names.get(str(kind), "timestamp"), description=MEANING[name])
            for name, kind in SCHEMAS[KNOWN_GAPS].items()
        ]
    )
