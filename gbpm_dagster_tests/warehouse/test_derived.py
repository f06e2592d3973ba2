"""Computed tables in the lake: a day replaced whole, with evidence, seen by SQL in both dialects, kept tidy."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from gbpm_dagster.catalogue.derived import ACCEPTANCE_PAIRS, ACCEPTANCES
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import WarehouseError
from gbpm_dagster_tests.analytics.acceptances.made import priced
from gbpm_dagster_tests.examples import example

DAY = date(2025, 1, 15)
AT = datetime(2025, 1, 20, tzinfo=UTC)


def _frames(name: str) -> dict[str, pl.DataFrame]:
    found = priced(example(name)[0], DAY)
    return {ACCEPTANCES: found.rows, ACCEPTANCE_PAIRS: found.pairs}


def test_a_day_is_replaced_whole_and_has_its_evidence(tmp_path: Path) -> None:
    """bo-05 has two rows and two pairs; bo-01, which replaces it, one and one."""
    lake = Lake(tmp_path)
    assert lake.replace_derived(_frames("bo-05"), DAY, computed_at=AT, digest="one").outcome == "written"
    assert lake.replace_derived(_frames("bo-05"), DAY, computed_at=AT, digest="one").outcome == "unchanged"
    assert lake.read_derived(ACCEPTANCES, DAY, DAY)["cashflow_gbp"].sum() == pytest.approx(650.0)
    assert lake.replace_derived(_frames("bo-01"), DAY, computed_at=AT, digest="two").outcome == "written"
    rows, pairs = (lake.read_derived(name) for name in (ACCEPTANCES, ACCEPTANCE_PAIRS))
    assert (rows.height, pairs.height) == (1, 1)
    assert rows.row(0, named=True)["cashflow_gbp"] == pytest.approx(950.0)
    told = lake.evidence([ACCEPTANCES, ACCEPTANCE_PAIRS])
    assert told.select("table", "day", "rows", "newest_version", "source").rows() == [
        (ACCEPTANCES, DAY, 1, "two", "derived"),
        (ACCEPTANCE_PAIRS, DAY, 1, "two", "derived"),
    ]


def test_other_days_stay(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace_derived(_frames("bo-01"), DAY, computed_at=AT, digest="one")
    other = {name: f.with_columns(settlementDate=date(2025, 1, 16)) for name, f in _frames("bo-05").items()}
    lake.replace_derived(other, date(2025, 1, 16), computed_at=AT, digest="two")
    nothing = {name: f.clear() for name, f in other.items()}
    assert lake.read_derived(ACCEPTANCES)["_day"].n_unique() == 2
    assert lake.replace_derived(nothing, date(2025, 1, 16), computed_at=AT, digest="three").outcome == "empty"
    assert lake.read_derived(ACCEPTANCES)["_day"].unique().to_list() == [DAY]
    lake.compact()
    lake.vacuum()
    assert lake.read_derived(ACCEPTANCES).height == 1


@pytest.mark.parametrize("fault", ["other day", "twice", "column"])
def test_rows_that_make_no_sense_are_refused(tmp_path: Path, fault: str) -> None:
    frames = _frames("bo-01")
    frames[ACCEPTANCES] = {
        "other day": lambda f: f.with_columns(settlementDate=date(2025, 1, 16)),
        "twice": lambda f: pl.concat([f, f]),
        "column": lambda f: f.drop("so_flag"),
    }[fault](frames[ACCEPTANCES])
    lake = Lake(tmp_path)
    with pytest.raises(WarehouseError, match=ACCEPTANCES):
        lake.replace_derived(frames, DAY, computed_at=AT, digest="one")
    assert lake.evidence([ACCEPTANCES]).is_empty()


OWNER_QUERIES = {
    "flags": """SELECT validation_flag, COUNT(*) AS n_rows,
  ROUND(100 * COUNT(*) / SUM(COUNT(*)) OVER (), 2) AS pct
FROM bmrs_boalf_complete GROUP BY validation_flag ORDER BY n_rows DESC""",
    "earned": """SELECT DATE(settlementDate) AS day, SUM(acceptancePrice * acceptanceVolume) AS revenue_gbp,
  SUM(acceptanceVolume) AS mwh,
  SAFE_DIVIDE(SUM(acceptancePrice * acceptanceVolume), SUM(acceptanceVolume)) AS gbp_per_mwh
FROM bmrs_boalf_complete
WHERE bmUnit = 'T_UNIT-1' AND validation_flag = 'Valid' GROUP BY day ORDER BY day""",
    "bands": """SELECT CASE WHEN acceptancePrice < 0 THEN '1 negative' WHEN acceptancePrice < 25 THEN '2 below 25'
    WHEN acceptancePrice < 70 THEN '3 25 to 70' ELSE '4 70 and above' END AS band,
  COUNT(*) AS n_rows, SUM(acceptanceVolume) AS mwh, AVG(acceptancePrice) AS mean_price
FROM bmrs_boalf_complete
WHERE bmUnit IN ('T_UNIT-1', '2__FBPGM002') AND settlementDate BETWEEN DATE '2025-01-10' AND DATE '2025-01-20'
GROUP BY band ORDER BY band""",
    "most": """SELECT bmUnit,
  COUNT(DISTINCT CONCAT(CAST(settlementDate AS STRING), '-', CAST(settlementPeriod AS STRING))) AS periods_active,
  COUNT(DISTINCT settlementDate) AS days_active, SUM(acceptanceVolume) AS mwh
FROM bmrs_boalf_complete WHERE validation_flag = 'Valid' GROUP BY bmUnit
HAVING periods_active >= 1 ORDER BY periods_active DESC LIMIT 20""",
}
"""Queries of the kind existing users run (BigQuery's dialect); only the unit, the days and a threshold are others."""


def test_queries_of_existing_users_run_unchanged(tmp_path: Path) -> None:
    """bo-05: 10 MWh at 95 up, 5 MWh at 60 down; the naive sum of price x volume counts both as income: 1,250."""
    lake = Lake(tmp_path)
    assert lake.sql(OWNER_QUERIES["flags"], dialect="bigquery").is_empty()
    lake.replace_derived(_frames("bo-05"), DAY, computed_at=AT, digest="one")
    found = {name: lake.sql(text, dialect="bigquery").rows() for name, text in OWNER_QUERIES.items()}
    assert found["flags"] == [("Valid", 2, 100.0)]
    assert found["earned"] == [(DAY, pytest.approx(1250.0), pytest.approx(15.0), pytest.approx(1250 / 15))]
    assert found["bands"] == [
        ("3 25 to 70", 1, pytest.approx(5.0), pytest.approx(60.0)),
        ("4 70 and above", 1, pytest.approx(10.0), pytest.approx(95.0)),
    ]
    assert found["most"] == [("T_UNIT-1", 1, 1, pytest.approx(15.0))]
    right = "SELECT SUM(cashflow_gbp) AS gbp FROM bmrs_boalf_complete WHERE is_payable"
    assert lake.sql(right).item() == pytest.approx(650.0)


def test_a_reader_takes_it_by_day(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace_derived(_frames("bo-05"), DAY, computed_at=AT, digest="one")
    pieces = list(lake.reader(ACCEPTANCES, DAY, DAY, ["side", "volume_mwh"]).pieces())
    assert len(pieces) == 1
