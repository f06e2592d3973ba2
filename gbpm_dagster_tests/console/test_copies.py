"""`gbpm review-copies`: copies as the legacy system left them, each held against its table."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from gbpm_dagster.warehouse.copies import primary_name
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.console.driver import Done, Gbpm, environment
from gbpm_dagster_tests.warehouse.rows import COSTS, DAY, answer, cost_row, frame, later

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def gbpm(tmp_path: Path) -> Gbpm:
    """A home with two days of prices; the first day's were fetched again with a newer run."""
    made = Gbpm(environment(tmp_path, GBPM_DATASETS="bmrs_costs"))
    lake = made.runtime().lake
    for day, price, created in ((DAY, 50.0, 10), (NEXT, 50.0, 10), (DAY, 60.0, 30)):
        rows = frame(COSTS, [cost_row(day, n, price, later(created)) for n in range(1, 49)])
        lake.replace(COSTS, [answer(rows, day, later(created + 2))])
    return made


def put(gbpm: Gbpm, name: str, rows: pl.DataFrame) -> None:
    write_deltalake(str(gbpm.home / "lake" / name), rows.to_arrow(compat_level=pl.CompatLevel.oldest()))


def current(gbpm: Gbpm) -> pl.DataFrame:
    return gbpm.runtime().lake.read(COSTS)


def only(done: Done) -> dict[str, object]:
    (copy,) = done.json["copies"]
    found: dict[str, object] = copy
    return found


@pytest.mark.parametrize(
    ("name", "primary"),
    [
        ("bmrs_costs_backup_20251205_115208", "bmrs_costs"),
        ("bmrs_fuelinst_dedup", "bmrs_fuelinst"),
        ("bmrs_boalf_unified", "bmrs_boalf"),
        ("bmrs_mid_sep_oct_2025", "bmrs_mid"),
        ("bmrs_freq_2025", "bmrs_freq"),
        ("bmrs_bod_sample_october_2025", "bmrs_bod"),
        ("bmrs_remit_iris_backup", "bmrs_remit_iris"),
        ("bmrs_boalf_complete", ""),
        ("demand_2025", ""),
        ("vlp_revenue_sp", ""),
    ],
)
def test_names_of_copies_lead_to_their_table(name: str, primary: str) -> None:
    """Names of the legacy warehouse (operations/inventory.md 3, 4; OPS-61)."""
    assert primary_name(name) == primary


def test_a_lake_without_copies(gbpm: Gbpm) -> None:
    done = gbpm("review-copies")
    assert done.code == 0 and "every table is one of the catalogue's" in done.words
    assert gbpm("review-copies", "--json").json["copies"] == []


def test_what_is_all_here_may_be_dropped_also_as_superseded_versions(gbpm: Gbpm) -> None:
    lake = gbpm.runtime().lake
    old = lake.vintages(COSTS).drop("_superseded_at")
    assert old["systemSellPrice"].unique().to_list() == [50.0]
    put(gbpm, "bmrs_costs_backup_20251205_115208", pl.concat([old, old, current(gbpm)]))
    done = gbpm("review-copies", "--json")
    copy = only(done)
    assert (done.code, copy["verdict"], copy["table"]) == (3, "drop", "bmrs_costs")
    assert copy["reason"] == "each of its 192 rows is in bmrs_costs, 48 of them as superseded versions"
    compared = copy["compared"]
    assert isinstance(compared, dict)
    counts = [
        compared[n] for n in ("rows", "only_here", "only_there", "differing", "in_vintages", "exact_duplicates")
    ]
    assert counts == [192, 0, 0, 0, 48, 48]
    assert (compared["first"], compared["last"]) == (str(DAY), str(NEXT))
    assert (gbpm.home / "lake" / "bmrs_costs_backup_20251205_115208").is_dir()  # never by itself


def test_values_no_version_has_are_to_be_archived_with_the_evidence(gbpm: Gbpm) -> None:
    changed = current(gbpm).with_columns(
        systemSellPrice=pl.when(pl.col("settlementPeriod") < 4).then(1.0).otherwise("systemSellPrice")
    )
    put(gbpm, "bmrs_costs_dedup", changed.filter(_day=DAY, bsadDefaulted=False).head(40))
    copy = only(gbpm("review-copies", "--json"))
    assert copy["verdict"] == "archive"
    assert copy["reason"] == (
        "3 rows have values that no version in bmrs_costs has, in systemSellPrice; every key is there"
    )
    compared = copy["compared"]
    assert isinstance(compared, dict)
    assert (compared["columns"], compared["only_there"]) == ({"systemSellPrice": 3}, 8)
    before = current(gbpm)
    moved = gbpm("review-copies", "--archive", "--json")
    assert moved.code == 0
    folder = Path(str(only(moved)["archived"]))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["kind"], manifest["verdict"]) == ("archive", "archive")
    assert (folder / "bmrs_costs_dedup" / "_delta_log").is_dir()
    assert not (gbpm.home / "lake" / "bmrs_costs_dedup").exists()
    assert current(gbpm).equals(before)
    assert gbpm("review-copies").code == 0


def test_keys_only_here_are_kept_with_the_days(gbpm: Gbpm) -> None:
    later_day = DAY + timedelta(days=2)
    rows = current(gbpm).filter(_day=NEXT)
    moved = rows.with_columns(settlementDate=pl.lit(later_day), _day=pl.lit(later_day))
    put(gbpm, "bmrs_costs_2025", pl.concat([rows, moved]))
    words = gbpm("review-copies").words
    assert f"48 keys (days: 1, {later_day} to {later_day}) are not in bmrs_costs: backfill these days" in words
    assert only(gbpm("review-copies", "--archive", "--json"))["archived"] is None


def test_unknown_empty_and_unreadable_tables_are_reported(gbpm: Gbpm) -> None:
    rows = current(gbpm)
    put(gbpm, "mart_of_somebody", rows)
    put(gbpm, "vlp_revenue_sp", rows)
    put(gbpm, "bmrs_costs_old", rows.head(0))
    put(gbpm, "bmrs_costs_copy", rows.drop("settlementPeriod"))
    put(gbpm, "bmrs_mid_backup", rows)
    put(gbpm, "bmrs_costs_new", rows.with_columns(note=pl.lit("checked")))
    (gbpm.home / "lake" / "bmrs_costs_tmp").mkdir()
    (gbpm.home / "lake" / "bmrs_costs_bak.parquet").write_text("no Parquet")
    found = {c["name"]: (c["verdict"], c["reason"]) for c in gbpm("review-copies", "--json").json["copies"]}
    assert found["mart_of_somebody"][0] == "keep" and "no table of the catalogue" in found["mart_of_somebody"][1]
    assert found["vlp_revenue_sp"][0] == "keep" and "not adopted" in found["vlp_revenue_sp"][1]
    assert found["bmrs_costs_old"] == ("drop", "it has no rows")
    assert "could not be compared" in found["bmrs_costs_copy"][1] and found["bmrs_costs_copy"][0] == "keep"
    assert found["bmrs_mid_backup"] == ("keep", "there is no bmrs_mid to compare it with: backfill it first")
    assert "holds no table" in found["bmrs_costs_tmp"][1]
    assert "could not be compared" in found["bmrs_costs_bak"][1]
    assert found["bmrs_costs_new"] == ("archive", "it has columns that bmrs_costs has not: note")


def test_a_folder_of_parquet_in_the_legacy_form(gbpm: Gbpm, tmp_path: Path) -> None:
    """The folder's own table is the primary; DATETIME without zone and metadata as text are read as such."""
    folder = tmp_path / "export"
    folder.mkdir()
    rows = current(gbpm)
    legacy = rows.select(COSTS.names).with_columns(
        pl.col("settlementDate").cast(pl.Datetime("us")),
        pl.col("startTime", "createdDateTime").dt.replace_time_zone(None),
        pl.lit("2025-12-05 11:52:08 UTC").alias("_ingested_utc"),
        pl.lit("h").alias("_hash_key"),
    )
    legacy.head(90).write_parquet(folder / "bmrs_costs.parquet")
    legacy.write_parquet(folder / "bmrs_costs_backup_20251205.parquet")
    copy = only(gbpm("review-copies", "--in", str(folder), "--json"))
    assert (copy["verdict"], copy["name"]) == ("keep", "bmrs_costs_backup_20251205")
    assert "6 keys" in str(copy["reason"])
    (folder / "bmrs_costs.parquet").unlink()
    assert only(gbpm("review-copies", "--in", str(folder), "--json"))["verdict"] == "drop"  # against the lake's
    refused = gbpm("review-copies", "--in", str(folder), "--archive")
    assert refused.code == 2 and "nothing is moved" in refused.words
    nowhere = gbpm("review-copies", "--in", str(tmp_path / "nowhere"))
    assert nowhere.code == 1 and "is no folder" in nowhere.words


def test_our_own_folders_are_none_of_them(gbpm: Gbpm) -> None:
    names = set(Lake(gbpm.home / "lake").own_names())
    assert {"bmrs_costs", "bmrs_costs_vintages", "bmrs_costs_iris", "gbpm_evidence", "gbpm_known_gaps"} <= names
