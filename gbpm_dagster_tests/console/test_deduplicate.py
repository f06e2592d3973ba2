"""`gbpm deduplicate` and `gbpm restore` on a home, and on a file of another's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from gbpm_dagster.orchestration.cleaning import expired_backups
from gbpm_dagster_tests.console.driver import Gbpm, environment
from gbpm_dagster_tests.examples import example
from gbpm_dagster_tests.warehouse.rows import COSTS, DAY, answer, cost_row, frame, later
from gbpm_dagster_tests.warehouse.test_clean import written_past_us


@pytest.fixture
def gbpm(tmp_path: Path) -> Gbpm:
    """A home with one day of prices, period 7 of which stands there again, and with another price."""
    made = Gbpm(environment(tmp_path, GBPM_DATASETS="bmrs_costs"))
    lake = made.runtime().lake
    rows = frame(COSTS, [cost_row(DAY, n, 50.0, later(10)) for n in range(1, 49)])
    lake.replace(COSTS, [answer(rows, DAY, later(12))])
    seventh = lake.read(COSTS).filter(settlementPeriod=7)
    written_past_us(lake, seventh)
    newer = pl.lit(later(20)).cast(seventh.schema["createdDateTime"])
    written_past_us(lake, seventh.with_columns(createdDateTime=newer, systemSellPrice=pl.lit(60.0)))
    return made


def test_a_dry_run_then_apply_then_restore(gbpm: Gbpm) -> None:
    dry = gbpm("deduplicate", "costs", "--json")
    assert dry.code == 3, dry.err
    said = dry.json
    assert [said[n] for n in ("table", "looked_at", "rows", "current", "superseded", "exact_duplicates")] == [
        "bmrs_costs", 50, 50, 48, 1, 1,
    ]  # fmt: skip
    assert said["months"] == [
        {
            "month": "2024-01",
            "days": 1,
            "rows": 50,
            "current": 48,
            "superseded": 1,
            "exact_duplicates": 1,
            "conflicts": 0,
        }
    ]
    assert said["samples"][0]["kept"]["createdDateTime"] == "2024-02-01T20:00:00Z"
    assert (said["applied"], said["backup"], said["refetch"]) == (False, None, {})
    words = gbpm("deduplicate", "bmrs_costs").words
    assert "2 of 50 rows on 1 day would go: 1 exact copies, 1 superseded vintages" in words
    assert "the greatest createdDateTime wins" in words and "nothing was changed" in words
    assert gbpm.runtime().lake.count_rows(COSTS)["rows"].to_list() == [50]

    done = gbpm("deduplicate", "bmrs_costs", "--apply", "--json")
    assert (done.code, done.json["applied"]) == (0, True)
    assert gbpm.runtime().lake.count_rows(COSTS)["rows"].to_list() == [48]
    again = gbpm("deduplicate", "bmrs_costs", "--apply")
    assert again.code == 0 and "48 rows, every (settlementDate, settlementPeriod) once" in again.words

    (listed,) = gbpm("restore", "--json").json["backups"]
    assert (listed["backup"], listed["days"], listed["rows"]) == (done.json["backup"], 1, 50)
    assert gbpm("restore").out.count("bmrs_costs-") == 1
    back = gbpm("restore", done.json["backup"])
    assert back.code == 0 and "1 day, 50 rows are as they were" in back.words
    assert gbpm.runtime().lake.count_rows(COSTS)["rows"].to_list() == [50]


def test_the_check_names_both_kinds_and_passes_after(gbpm: Gbpm) -> None:
    runtime = gbpm.runtime()
    (found,) = runtime.checks(which=["duplicates"])
    assert "2 rows too many" in found.summary and "(1 exact copies, 1 with other content)" in found.summary
    assert gbpm("deduplicate", "bmrs_costs", "--apply").code == 0
    (found,) = gbpm.runtime().checks(which=["duplicates"])
    assert found.passed, found.summary


def test_bad_input_is_one_line_and_code_2(gbpm: Gbpm, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").touch()
    for args, said in (
        (("deduplicate", "bmrs_cost"), "did you mean bmrs_costs"),
        (("deduplicate", str(tmp_path / "x.parquet")), "for example --as bmrs_costs"),
        (("deduplicate", "bmrs_costs", "--out", "a.parquet"), "cleaned in place, with --apply"),
        (("deduplicate", "bmrs_costs", "--from", "2024-02-30"), "no such day"),
        (("deduplicate", "x", "--as", "bmrs_costs", "--apply"), "--out FILE.parquet says where"),
        (("deduplicate", "x", "--as", "bmrs_costs", "--out", "a.csv"), "ends in .parquet"),
    ):
        done = gbpm(*args)
        assert done.code == 2 and said in done.words, done.words
    for args, said in (
        (("restore", "nothing"), "there is no backup 'nothing'"),
        (("deduplicate", str(tmp_path / "y"), "--as", "bmrs_costs"), "holds no table"),
        (("deduplicate", str(tmp_path / "x.parquet"), "--as", "bmrs_costs"), "failed at"),
    ):
        done = gbpm(*args)
        assert done.code == 1 and said in done.words, done.words
    assert "there is no backup" in gbpm("restore").words


def test_a_foreign_file_by_the_worked_example(gbpm: Gbpm, tmp_path: Path) -> None:
    """dup-01 as the legacy warehouse would have it: the file stays, the clean rows go beside."""
    given, expected = example("dup-01")
    rows = [
        {
            "settlementDate": datetime.fromisoformat(r["settlementDate"]),
            "settlementPeriod": r["settlementPeriod"],
            "systemSellPrice": r["systemSellPrice"],
            "createdDateTime": r["createdDateTime"]
            and datetime.fromisoformat(r["createdDateTime"]).replace(tzinfo=None),
            "_ingested_utc": r["ingested_at"],
            "_hash_key": f"h{n}",
        }
        for n, r in enumerate(given["rows"])
    ]
    source, out = tmp_path / "bmrs_costs.parquet", tmp_path / "clean.parquet"
    pl.DataFrame(rows).write_parquet(source)
    before = source.read_bytes()
    dry = gbpm("deduplicate", str(source), "--as", "bmrs_costs", "--json")
    assert dry.code == 3
    assert dry.json["exact_duplicates"] == expected["exact_duplicates"]
    assert dry.json["superseded"] == expected["superseded"]
    done = gbpm("deduplicate", str(source), "--as", "bmrs_costs", "--out", str(out))
    assert done.code == 0, done.words
    clean = pl.read_parquet(out)
    current = {str(n): p for n, p in clean.select("settlementPeriod", "systemSellPrice").iter_rows()}
    assert current == expected["current"]
    assert clean.columns == [*rows[0], "vintage_conflict"] and not clean["vintage_conflict"].any()
    assert sorted(pl.read_parquet(tmp_path / "clean_vintages.parquet")["systemSellPrice"]) == [-12.5, 80.0]
    assert source.read_bytes() == before
    assert "exists already" in gbpm("deduplicate", str(source), "--as", "bmrs_costs", "--out", str(out)).words


def test_conflicts_of_a_foreign_file_are_marked_and_to_be_fetched(gbpm: Gbpm, tmp_path: Path) -> None:
    rows = [
        {
            "settlementDate": DAY,
            "settlementPeriod": 1,
            "systemSellPrice": p,
            "_ingested_utc": f"2024-02-0{n} 06:00:00",
        }
        for n, p in ((2, 20.0), (1, 10.0))
    ]
    source, out = tmp_path / "c.parquet", tmp_path / "o.parquet"
    pl.DataFrame(rows).write_parquet(source)
    done = gbpm("deduplicate", str(source), "--as", "bmrs_costs", "--out", str(out), "--json")
    assert done.code == 3
    assert list(done.json["refetch"]) == [str(DAY)] and "vintage_conflict" in done.json["refetch"][str(DAY)]
    assert pl.read_parquet(out).select("systemSellPrice", "vintage_conflict").rows() == [(20.0, True)]


def test_upkeep_removes_a_backup_after_its_days(gbpm: Gbpm) -> None:
    gbpm("deduplicate", "bmrs_costs", "--apply")
    assert expired_backups(gbpm.runtime()) == []
    (folder,) = (gbpm.home / "backups").iterdir()
    manifest = folder / "manifest.json"
    made = datetime.now(UTC) - timedelta(days=29)
    text = manifest.read_text()
    start = text.index('"created_at": "') + len('"created_at": "')
    manifest.write_text(text[:start] + made.isoformat() + text[text.index('"', start) :])
    assert expired_backups(gbpm.runtime()) == []
    assert expired_backups(gbpm.runtime(GBPM_BACKUP_DAYS="28")) == [folder.name]
    assert not folder.exists()
