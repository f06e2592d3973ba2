"""The weekly look at Elexon's OpenAPI document: an asset that fetches and keeps it, a check that turns red on drift.

Belongs here: the asset `elexon_openapi`, its check, job and schedule. Not here: fetching or comparing (`verify`).
"""

import gzip
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg

from gbpm_dagster.catalogue.compare import Difference
from gbpm_dagster.catalogue.describe import LICENCE
from gbpm_dagster.catalogue.verify import Verdict
from gbpm_dagster.console.drift import NEXT, agreement
from gbpm_dagster.orchestration.checks import to_dagster
from gbpm_dagster.orchestration.describe import OWNERS
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.result import ERROR, WARN, CheckResult
from gbpm_dagster.settings import LONDON

ASSET, CHECK, JOB = "elexon_openapi", "catalogue", "catalogue_verify"
SHOWN = 200
"""Differences in a table of the UI; a service with a new interface could have thousands."""
NAMED = 3
"""Differences that a check's sentence names."""

DESCRIPTION = f"""Elexon's OpenAPI document as the service publishes it, fetched every Monday.

* source: `/swagger/v1/swagger.json` under the root of the site of `ELEXON_BASE_URL`
* kept in `<home>/state/openapi` under its date and hash, each version once
* its check holds the catalogue against it, both ways; `gbpm catalogue verify --live` prints the same

{LICENCE}"""

CHECK_TEXT = (
    "The catalogue and the service's document agree: an error when a field, parameter or path of a table has changed "
    "or gone, a warning when there are only new ones."
)


def build_openapi() -> tuple[dg.AssetsDefinition, dg.ScheduleDefinition]:
    """The asset with its check, and the schedule of its job: Mondays at 06:00 London.

    It takes no place in the pool of loads: a long backfill must not keep the watch from its round.
    """
    job = dg.define_asset_job(
        JOB, selection=[ASSET], description="Fetches Elexon's OpenAPI document and holds the catalogue against it."
    )
    schedule = dg.ScheduleDefinition(
        name="catalogue_verify_weekly",
        job=job,
        cron_schedule="0 6 * * 1",
        execution_timezone=LONDON.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Mondays 06:00 London: hold the catalogue against the document that the service publishes.",
    )
    return _asset(), schedule


def _asset() -> dg.AssetsDefinition:
    @dg.asset(
        name=ASSET,
        group_name="reference",
        kinds={"elexon"},
        owners=OWNERS,
        description=DESCRIPTION,
        check_specs=[dg.AssetCheckSpec(CHECK, asset=ASSET, description=CHECK_TEXT)],
        required_resource_keys={"gbpm"},
    )
    def elexon_openapi(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from gbpm_dagster.catalogue.document import with_additions
        from gbpm_dagster.catalogue.verify import verify
        from gbpm_dagster.elexon.errors import SourceError
        from gbpm_dagster.orchestration.verify import fetch_live
        from gbpm_dagster.warehouse.home import open_home

        runtime: Runtime = context.resources.gbpm
        try:
            fetched = fetch_live(runtime.settings)
        except SourceError as error:
            raise dg.Failure(
                f"{error} The catalogue was not checked; the next look is on Monday, or launch the job {JOB}.",
                allow_retries=False,
            ) from None
        found = verify(with_additions(fetched.document))
        try:
            folder = open_home(runtime.settings.home).state / "openapi"
            file, is_new = keep(folder, fetched.body, found.document.sha256, fetched.received_at)
        except OSError as error:
            raise dg.Failure(
                f"the document cannot be kept ({error}): free space or make the home writable, then launch the job "
                f"{JOB} again",
                allow_retries=False,
            ) from error
        result = judge(found)
        context.log.info(f"{fetched.url}: {result.summary}")
        metadata = {
            "source": dg.MetadataValue.url(fetched.url),
            "file": dg.MetadataValue.path(file),
            "new": is_new,
            "sha256": found.document.sha256,
            "bytes": len(fetched.body),
            "requests": fetched.requests,
            **_account(found),
        }
        return dg.MaterializeResult(metadata=metadata, check_results=[_shown(result, found)])

    return elexon_openapi


def judge(found: Verdict) -> CheckResult:
    """The check `catalogue`: an error where the catalogue relies on what is not so any more, else a warning."""
    summary = agreement(found)
    if found.differences:
        first = sorted(found.differences, key=lambda d: not d.breaks)[:NAMED]
        more = len(found.differences) - len(first)
        summary = f"{summary}. {'; '.join(map(str, first))}{f'; and {more:,} more' if more else ''}. {NEXT}."
    severity = ERROR if found.breaks or not found.differences else WARN
    return CheckResult(ASSET, CHECK, not found.differences, severity, summary)


def keep(folder: Path, body: bytes, sha256: str, received_at: datetime) -> tuple[Path, bool]:
    """Store a document as openapi-DATE-HASH.json.gz; (its file, whether it is new). One that is there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = sha256[:12]
    for file in sorted(folder.glob(f"openapi-*-{mark}.json.gz")):
        return file, False
    file = folder / f"openapi-{received_at.astimezone(LONDON).date().isoformat()}-{mark}.json.gz"
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(body if body.startswith(b"\x1f\x8b") else gzip.compress(body, 9, mtime=0))
    partial.replace(file)
    return file, True


def _account(found: Verdict) -> dict[str, Any]:
    document = found.document
    metadata: dict[str, Any] = {
        "paths": len(document.paths) - len(document.inferred),
        "schemas": len(document.schemas),
        "differences": len(found.differences),
        "changes since the stored document": len(found.changes),
    }
    if document.inferred:
        metadata["inferred paths"] = ", ".join(sorted(document.inferred))
    if found.changes:
        metadata["changes"] = _table(found.changes, "before", "after")
    return metadata


def _shown(result: CheckResult, found: Verdict) -> dg.AssetCheckResult:
    """The result with its differences as a table."""
    shown = to_dagster(result)
    diff = {"diff": _table(found.differences, "catalogue", "document")} if found.differences else {}
    return dg.AssetCheckResult(
        passed=shown.passed,
        check_name=shown.check_name,
        severity=shown.severity,
        description=shown.description,
        metadata={**(shown.metadata or {}), **diff},
    )


def _table(differences: tuple[Difference, ...], ours: str, theirs: str) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "change": d.change.value,
                    "what": f"{d.part} {d.name}".strip(),
                    "table": d.table,
                    "path": d.path,
                    ours: d.ours,
                    theirs: d.theirs,
                    "sentence": d.text,
                }
            )
            for d in differences[:SHOWN]
        ]
    )
