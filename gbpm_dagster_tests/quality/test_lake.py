"""The checks on the real lake, filled with the recorded days the repository ships."""

from __future__ import annotations

import gzip
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

import gbpm_dagster.demo
from gbpm_dagster.catalogue.model import Dataset, Grain
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.elexon.decode import decode, partition_days
from gbpm_dagster.quality.checks import ALL, CheckResult, run_checks
from gbpm_dagster.quality.expected import load_scope, wanted_days
from gbpm_dagster.quality.judged import Judged
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival
from gbpm_dagster_tests.quality.helpers import utc

RECORDINGS = Path(gbpm_dagster.demo.__file__).parent / "recordings"
SCOPE = load_scope(RECORDINGS / "scope.json")
NOW = utc("2026-03-30 12:00")
WANTED = {t: wanted_days(DATASETS[t], date(2016, 1, 1), NOW.date(), SCOPE) for t in SCOPE}
COSTS, INDO, BOALF = (DATASETS[t] for t in ("bmrs_costs", "bmrs_indo", "bmrs_boalf"))


def recorded(dataset: Dataset) -> dict[date, pl.DataFrame]:
    """Recorded rows of a table by wanted day."""
    files = sorted(RECORDINGS.glob(f"{dataset.table}.*.ndjson.gz"))
    bodies = [b"[" + b",".join(gzip.decompress(f.read_bytes()).splitlines()) + b"]" for f in files]
    rows = pl.concat(decode(dataset, body).rows for body in bodies)
    wanted = WANTED[dataset.table]
    days = partition_days(dataset, rows) if dataset.grain is Grain.DAILY else pl.Series([wanted[-1]] * rows.height)
    return {day: rows.filter(days == day) for day in wanted}


def store(lake: Lake, dataset: Dataset, days: dict[date, pl.DataFrame], at: datetime = NOW) -> None:
    lake.replace(
        dataset,
        [Arrival(day=d, rows=r, fetched_at=at, windows_asked=1, windows_answered=1) for d, r in days.items()],
    )


def checked(lake: Lake, dataset: Dataset) -> dict[str, CheckResult]:
    return {r.check: r for r in run_checks(lake, [dataset], WANTED, NOW, recorded=True)}


@pytest.mark.parametrize("table", SCOPE)
def test_every_recorded_table_passes_every_check(tmp_path: Path, table: str) -> None:
    lake = Lake(tmp_path)
    store(lake, DATASETS[table], recorded(DATASETS[table]))
    found = checked(lake, DATASETS[table])
    assert list(found) == list(ALL)
    assert [r.summary for r in found.values() if not r.passed] == []


@pytest.mark.parametrize("table", SCOPE)
def test_an_empty_lake_misses_every_wanted_day(tmp_path: Path, table: str) -> None:
    found = checked(Lake(tmp_path), DATASETS[table])
    assert list(found["gaps"].missing) == WANTED[table]
    assert not found["freshness"].passed
    assert found["duplicates"].passed
    assert found["validity"].passed


def test_every_list_of_a_reference_table_is_held_against_its_evidence(tmp_path: Path) -> None:
    """SQL shows the newest list only; the check counts them all."""
    lake, units = Lake(tmp_path), DATASETS["ref_bmunits"]
    rows, today = recorded(units)[NOW.date()], NOW.date()
    for n in (2, 1, 0):
        store(lake, units, {today - timedelta(days=n): rows.head(rows.height - n)}, NOW - timedelta(days=n))
    found = run_checks(lake, [units], {units.table: [today]}, NOW, recorded=True)
    assert [r.summary for r in found if not r.passed] == []
    assert {r.check: r for r in found}["duplicates"].details["days"] == 3
    yesterday = today - timedelta(days=1)
    again = lake.read(units, yesterday, yesterday).head(1)
    write_deltalake(tmp_path / units.table, again.to_arrow(), mode="append")
    found = run_checks(Lake(tmp_path), [units], {units.table: [today]}, NOW, recorded=True)
    duplicates = {r.check: r for r in found}["duplicates"]
    assert (duplicates.passed, duplicates.details["rows too many"]) == (False, 1)
    assert f"differ on 1 day, first {yesterday}" in duplicates.summary


def test_withheld_days_and_periods_are_named_and_healed(tmp_path: Path) -> None:
    lake, days = Lake(tmp_path), recorded(COSTS)
    day, other = date(2024, 1, 5), date(2024, 1, 4)
    held = {d: r for d, r in days.items() if d != other}
    held[day] = held[day].filter(~pl.col("settlementPeriod").is_in([17, 18, 35]))
    store(lake, COSTS, held)
    gaps = checked(lake, COSTS)["gaps"]
    assert gaps.missing == (other, day)
    reasons = {r["from"]: r["reason"] for r in gaps.details["ranges"]}
    assert reasons == {"2024-01-04": "never asked", "2024-01-05": "45 of 48 periods; missing 17-18, 35"}
    store(lake, COSTS, {d: days[d] for d in gaps.missing}, NOW + timedelta(hours=1))
    assert checked(lake, COSTS)["gaps"].passed


def test_rows_written_behind_the_lakes_back_are_found(tmp_path: Path) -> None:
    lake, days = Lake(tmp_path), recorded(COSTS)
    store(lake, COSTS, days)
    day = date(2024, 1, 5)
    again = lake.read(COSTS, day, day).filter(pl.col("settlementPeriod") == 7)
    write_deltalake(tmp_path / COSTS.table, again.to_arrow(), mode="append")
    result = checked(lake, COSTS)["duplicates"]
    assert not result.passed
    assert result.details["rows too many"] == 1
    assert result.details["repeated keys"][0]["settlementPeriod"] == 7
    assert [d["day"] for d in result.details["evidence differs"]] == ["2024-01-05"]


def test_days_are_read_again_when_what_is_stored_of_them_changes(tmp_path: Path) -> None:
    lake, days, judged = Lake(tmp_path / "lake"), recorded(COSTS), Judged(tmp_path / "judged", NOW.date())

    def valid() -> tuple[bool, int]:
        (found,) = run_checks(lake, [COSTS], WANTED, NOW, ["validity"], True, judged)
        return found.passed, found.details["days read"]

    store(lake, COSTS, days)
    assert (valid(), valid()) == ((True, len(days)), (True, 0))
    day = date(2024, 1, 5)
    wrong = days[day].with_columns(pl.col("systemSellPrice") + 1, pl.col("createdDateTime") + timedelta(hours=1))
    store(lake, COSTS, {day: wrong}, NOW + timedelta(hours=1))
    assert (valid(), valid()) == ((False, 1), (False, 0))
    lake.compact()
    assert valid() == (False, 0)
    right = wrong.with_columns(pl.col("systemSellPrice") - 1, pl.col("createdDateTime") + timedelta(hours=1))
    store(lake, COSTS, {day: right}, NOW + timedelta(hours=2))
    assert (valid(), valid()) == ((True, 1), (True, 0))


def test_a_row_published_again_on_the_next_day_differs_from_nothing(tmp_path: Path) -> None:
    lake, days = Lake(tmp_path), recorded(INDO)
    first, second = date(2024, 1, 3), date(2024, 1, 4)
    moved = (
        days[first].filter(pl.col("settlementPeriod") == 20).with_columns(pl.col("publishTime") + timedelta(days=1))
    )
    days[second] = pl.concat([days[second], moved])
    store(lake, INDO, days)
    found = checked(lake, INDO)
    assert [r.summary for r in found.values() if not r.passed] == []


def test_acceptances_that_were_withdrawn_differ_from_nothing(tmp_path: Path) -> None:
    lake, days = Lake(tmp_path), recorded(BOALF)
    day = WANTED[BOALF.table][0]
    flag = pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("DEL")).otherwise("amendmentFlag").alias("amendmentFlag")
    store(lake, BOALF, {day: days[day].with_columns(flag)})
    found = checked(lake, BOALF)
    assert [r.summary for r in found.values() if not r.passed] == []
