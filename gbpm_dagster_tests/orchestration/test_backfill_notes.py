"""What a backfill says besides its days: rows that nobody has counted yet."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from gbpm_dagster.catalogue import get
from gbpm_dagster.orchestration.actions import _uncounted
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.witness import TABLE as COUNTS
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.protocol import Arrival, frame_schema

DAY = date(2024, 1, 3)
NEXT = DAY + timedelta(days=1)


def made(folder: Path, **more: str) -> Runtime:
    return Runtime(Settings.load({"GBPM_HOME": str(folder), "GBPM_NOW": "2024-02-01T00:00:00Z", **more}))


def test_days_whose_rows_were_not_counted_are_named_with_what_to_do(tmp_path: Path) -> None:
    runtime = made(tmp_path)
    asked = {"bmrs_boalf": [DAY, NEXT], "bmrs_mid": [DAY], "bmrs_bod": []}
    assert _uncounted(runtime, asked) == [
        "bmrs_boalf: the rows of 2 day(s) are not compared with Elexon's own counts yet: "
        "`gbpm backfill meta_data_status --from 2024-01-03 --to 2024-01-04` fetches these"
    ]
    assert _uncounted(runtime, {"bmrs_mid": [DAY]}) == []  # its rule counts every row
    counts, nothing = get(COUNTS), pl.DataFrame(schema=frame_schema(get(COUNTS)))
    runtime.lake.replace(counts, [Arrival(d, nothing, datetime.now(UTC)) for d in (DAY, NEXT)])
    assert _uncounted(runtime, asked) == []


def test_a_home_without_the_counts_is_not_told_of_them(tmp_path: Path) -> None:
    assert _uncounted(made(tmp_path, GBPM_DATASETS="bmrs_boalf"), {"bmrs_boalf": [DAY]}) == []
