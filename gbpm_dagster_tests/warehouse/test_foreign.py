"""Tables of another's hand in our columns: the legacy warehouse's types, texts and names."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from gbpm_dagster.warehouse import dedupe, foreign
from gbpm_dagster.warehouse.protocol import WarehouseError, stored_schema
from gbpm_dagster_tests.warehouse import legacy_costs
from gbpm_dagster_tests.warehouse.rows import BMUNITS, BOALF, COSTS, DAY, MID, mid


def legacy(rows: pl.DataFrame) -> pl.DataFrame:
    """Our rows in the legacy warehouse's form: DATETIME without zone in UTC, metadata as text (inventory.md 1)."""
    naive = [pl.col(n).dt.replace_time_zone(None) for n in ("startTime", "createdDateTime")]
    received = pl.col("_fetched_at")
    return rows.with_columns(
        *naive,
        pl.col("settlementDate").cast(pl.Datetime("us")),
        pl.lit("DISEBSP").alias("_dataset"),
        received.dt.strftime("%Y-%m-%d %H:%M:%S UTC").alias("_ingested_utc"),
        pl.col("settlementPeriod").hash(1).cast(pl.String).alias("_hash_key"),
    ).drop("_day", "_month", "_fetched_at", "_source", "copy", strict=False)


def test_the_legacy_prices_come_out_as_the_latest_run_of_each_period(tmp_path: Path) -> None:
    every = legacy_costs.rows()
    legacy(every).write_parquet(tmp_path / "bmrs_costs.parquet")
    rows, ours = foreign.read(COSTS, foreign.find(tmp_path / "bmrs_costs.parquet"))
    assert "_hash_key" in rows.columns
    same = ours.drop("_fetched_at").equals(every.drop("_fetched_at", "copy"))
    assert same and dict(ours.schema) == stored_schema(COSTS)
    found = dedupe.resolve(COSTS, ours)
    prices = found.current.select("settlementDate", "settlementPeriod", "systemSellPrice").iter_rows()
    assert {(d, n): p for d, n, p in prices} == legacy_costs.truth()
    known, counts = legacy_costs.counts(), found.counts.sum().row(0, named=True)
    for name in ("rows", "current", "superseded", "exact_duplicates"):
        assert counts[name] == known[name]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2025-12-05 11:52:08 UTC", datetime(2025, 12, 5, 11, 52, 8, tzinfo=UTC)),
        ("2025-12-05T11:52:08.123456+00:00", datetime(2025, 12, 5, 11, 52, 8, 123456, tzinfo=UTC)),
        ("2025-12-05T11:52Z", datetime(2025, 12, 5, 11, 52, tzinfo=UTC)),
        ("2025-12-05T12:52:08+0100", datetime(2025, 12, 5, 11, 52, 8, tzinfo=UTC)),
        ("2025-12-05", datetime(2025, 12, 5, tzinfo=UTC)),
        ("2025-12-05T11:52:08", datetime(2025, 12, 5, 11, 52, 8, tzinfo=UTC)),
    ],
)
def test_instants_as_text(tmp_path: Path, text: str, read: datetime) -> None:
    frame = pl.DataFrame({"SettlementDate": ["2024-07-01"], "settlementPeriod": ["3"], "_ingested_utc": [text]})
    ours = foreign.translated(COSTS, frame, tmp_path)
    assert ours["_fetched_at"].to_list() == [read]
    assert ours.select("_day", "settlementPeriod", "_source").row(0) == (date(2024, 7, 1), 3, "REST")


def test_parquet_folders_partitioned_folders_and_delta_tables(tmp_path: Path) -> None:
    rows = mid()
    for n in (0, 1):
        (tmp_path / "folder").mkdir(exist_ok=True)
        rows.slice(48 * n, 48).drop(["volume"] * n).write_parquet(tmp_path / "folder" / f"{n}.parquet")
    write_deltalake(str(tmp_path / "delta"), rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
    assert foreign.read(MID, foreign.find(tmp_path / "folder"))[1].height == 96
    ours = foreign.read(MID, foreign.find(tmp_path / "delta"))[1]
    assert set(ours["_day"]) == {DAY} and ours["_fetched_at"].null_count() == 96
    (tmp_path / "note.txt").touch()
    for wrong in ("none", "note.txt"):
        with pytest.raises(WarehouseError, match="holds no table"):
            foreign.find(tmp_path / wrong)


def test_a_day_in_summer_is_londons(tmp_path: Path) -> None:
    frame = pl.DataFrame({"bmUnit": ["A"], "acceptanceNumber": [1], "acceptanceTime": ["2024-06-30T22:50:00Z"]})
    inside = datetime(2024, 6, 30, 23, 10, tzinfo=UTC).replace(tzinfo=None)
    frame = frame.with_columns(timeFrom=pl.lit(inside))
    ours = foreign.translated(BOALF, frame, tmp_path)
    field = BOALF.partition_field
    expected = date(2024, 7, 1) if field == "timeFrom" else date(2024, 6, 30)
    assert ours["_day"].to_list() == [expected]


def test_what_is_no_such_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="has no column settlementPeriod, part of the key of bmrs_costs"):
        foreign.translated(COSTS, pl.DataFrame({"settlementDate": ["2024-01-01"]}), tmp_path)
    odd = pl.DataFrame({"settlementDate": ["2024-01-01"], "settlementPeriod": ["one"]})
    with pytest.raises(WarehouseError, match="cannot be read as bmrs_costs"):
        foreign.translated(COSTS, odd, tmp_path)
    units = pl.DataFrame(
        {"elexonBmUnit": ["A"], "nationalGridBmUnit": ["B"], "_ingested_utc": ["2024-01-05 09:00:00"]}
    )
    assert foreign.translated(BMUNITS, units, tmp_path)["_day"].to_list() == [date(2024, 1, 5)]
