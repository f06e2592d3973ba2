"""The three answers of a day: recorded numbers, and None where a table has no rows."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import polars as pl
import pytest

from gbpm_dagster.analytics.answers import answers
from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival, Warehouse
from gbpm_dagster_tests.analytics.day import DAY, Frames, recorded, warehouse

TABLES = ("bmrs_fuelhh", "bmrs_costs", "bmrs_mid")


def test_the_recorded_day() -> None:
    found = answers(warehouse(*TABLES), DAY)
    assert list(found) == ["generation", "prices", "extremes"]
    generation, prices, ends = found["generation"], found["prices"], found["extremes"]
    assert generation is not None and prices is not None and ends is not None
    assert generation["supply_mwh"] == 777431.5
    assert generation["mix"][0]["fuelType"] == "CCGT"
    assert generation["carbon"]["coverage"] == 1 and generation["carbon"]["warns"]
    assert prices["weighted_market_index"] == pytest.approx(78.921, abs=5e-4)
    assert prices["mean_system_price"] == pytest.approx(78.159, abs=5e-4)
    assert [p["clock"] for p in ends["dearest"]] == ["09:00–09:30 GMT", "09:30–10:00 GMT", "10:00–10:30 GMT"]
    json.dumps(found, default=str)


@pytest.mark.parametrize(
    ("absent", "silent"),
    [
        ("bmrs_fuelhh", {"generation"}),
        ("bmrs_mid", {"prices"}),
        ("bmrs_costs", {"prices", "extremes"}),
    ],
)
def test_a_table_without_rows_silences_its_answers_only(absent: str, silent: set[str]) -> None:
    found = answers(warehouse(*(t for t in TABLES if t != absent)), DAY)
    assert {name for name, value in found.items() if value is None} == silent


def test_a_day_without_rows() -> None:
    assert set(answers(warehouse(*TABLES), date(2024, 1, 4)).values()) == {None}


def test_a_half_recorded_day_has_no_intensity_but_its_mix() -> None:
    part = recorded("bmrs_fuelhh").filter(pl.col("settlementPeriod") <= 20)
    found = answers(cast(Warehouse, Frames({"bmrs_fuelhh": part})), DAY)["generation"]
    assert found is not None and found["mix"]
    assert found["carbon"]["gco2_per_kwh"] is None and found["carbon"]["coverage"] == pytest.approx(20 / 48)


def test_the_lake_says_the_same(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert set(answers(lake, DAY).values()) == {None}
    fetched = datetime(2024, 2, 1, tzinfo=UTC)
    for table in TABLES:
        assert lake.replace(DATASETS[table], [Arrival(DAY, recorded(table), fetched)])[0].ok
    got, want = answers(lake, DAY), answers(warehouse(*TABLES), DAY)
    assert got["generation"] == want["generation"]
    assert got["prices"] == pytest.approx(want["prices"])
    assert got["extremes"] == want["extremes"]
