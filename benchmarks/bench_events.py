"""Dagster's SQLite event log as it comes against ours: a run over many days, one materialisation a day.

Run: `.venv/bin/python benchmarks/bench_events.py [DAYS]` (default 300). Prints seconds and their ratio.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
import warnings
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

warnings.simplefilter("ignore")
FIRST = date(2020, 1, 1)
OURS = """
event_log_storage:
  module: gbpm_dagster.orchestration.storage
  class: KeptSqliteEventLogStorage
  config: {{base_dir: {base}}}
"""


def asset(days: int) -> dg.AssetsDefinition:
    partitions = dg.DailyPartitionsDefinition(str(FIRST), end_date=str(FIRST + timedelta(days)))

    @dg.multi_asset(
        specs=[dg.AssetSpec("table", partitions_def=partitions, skippable=True)],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def table(context):
        for day in context.partition_keys:
            context.log_event(dg.AssetMaterialization("table", partition=day, metadata={"rows": 48}))

    return table


def seconds(days: int, ours: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        text = OURS.format(base=home / "history" / "runs") if ours else ""
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + text)
        with dg.DagsterInstance.from_config(folder) as instance:
            tags = {
                "dagster/asset_partition_range_start": str(FIRST),
                "dagster/asset_partition_range_end": str(FIRST + timedelta(days - 1)),
            }
            began = time.perf_counter()
            result = dg.materialize([asset(days)], instance=instance, tags=tags)
            assert result.success
            assert len(instance.get_materialized_partitions(dg.AssetKey("table"))) == days
            return time.perf_counter() - began


def main() -> None:
    logging.disable(logging.CRITICAL)
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    theirs, ours = seconds(days, False), seconds(days, True)
    print(
        f"{days} days, one materialisation each: Dagster's default {theirs:.1f} s, ours {ours:.1f} s, "
        f"{theirs / ours:.1f} times as fast"
    )


if __name__ == "__main__":
    main()
