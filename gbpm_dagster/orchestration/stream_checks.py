"""Freshness of the stream's tables as asset checks.

Belongs here: their specs and what evaluates them by hand; the job `freshness_check` does every 15 minutes. Not here:
the rule (quality.stream_freshness).
"""

from collections.abc import Iterator

import dagster as dg

from gbpm_dagster.catalogue.streams import STREAMED, stream_of
from gbpm_dagster.orchestration.checks import to_dagster
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.result import FRESHNESS

TEXT = "The table's last message is young enough; where no steady flow is to be expected, the last of any table."


def build_stream_checks(runtime: Runtime) -> list[dg.AssetChecksDefinition]:
    """One definition with a check a table whose code is on; none where no stream is configured."""
    if not runtime.settings.streaming:
        return []
    tables = [stream_of(STREAMED[code]).table for code in runtime.settings.iris_wanted]

    @dg.multi_asset_check(
        name="iris_freshness",
        specs=[dg.AssetCheckSpec(FRESHNESS, asset=dg.AssetKey(table), description=TEXT) for table in tables],
        can_subset=True,
        required_resource_keys={"gbpm"},
    )
    def iris_freshness(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        chosen = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        home: Runtime = context.op_execution_context.resources.gbpm
        yield from (to_dagster(r) for r in home.stream_freshness() if r.table in chosen)

    return [iris_freshness]
