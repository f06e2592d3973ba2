"""Taking duplicates out of the lake: a table as the legacy system left it, backups, crashes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.warehouse import backups, dedupe
from gbpm_dagster.warehouse.backups import stored
from gbpm_dagster.warehouse.clean import Found, clean, differences, survey
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.ledger import Ledger
from gbpm_dagster.warehouse.protocol import WarehouseError, stored_schema
from gbpm_dagster.warehouse.replace import data_table
from gbpm_dagster_tests.quality.test_lake import SCOPE, recorded, store
from gbpm_dagster_tests.warehouse import legacy_costs
from gbpm_dagster_tests.warehouse.rows import COSTS, DAY, MID, T0, answer, cost_row, frame, later, mid

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)


def written_past_us(lake: Lake, rows: pl.DataFrame, table: str = "bmrs_costs") -> None:
    """Rows appended with deltalake, as another program would."""
    write_deltalake(str(lake.root / table), rows.to_arrow(compat_level=pl.CompatLevel.oldest()), mode="append")


def everything(lake: Lake) -> dict[str, pl.DataFrame]:
    """All that is stored of the prices but when the table's versions were made."""
    held = lake.read(COSTS).sort(pl.all())
    vintages = lake.vintages(COSTS).sort(pl.all())
    return {"rows": held, "vintages": vintages, "evidence": lake.evidence(["bmrs_costs"]).drop("table_version")}


def same(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> bool:
    return all(one[name].equals(other[name]) for name in one)


def costs(day: date, value: float, created: int) -> pl.DataFrame:
    return frame(COSTS, [cost_row(day, n, value, later(created)) for n in range(1, 49)])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two days of prices; of the first every row again, and of period 5 of the second a newer and an older run."""
    made = Lake(tmp_path / "lake")
    made.replace(COSTS, [answer(costs(d, 50.0, 10), d, later(12)) for d in (DAY, NEXT)])
    first = made.read(COSTS, DAY, DAY)
    written_past_us(made, first.with_columns(_fetched_at=pl.lit(later(20)).cast(first.schema["_fetched_at"])))
    fifth = made.read(COSTS, NEXT, NEXT).filter(settlementPeriod=5)
    kind = fifth.schema["createdDateTime"]
    for value, created, received in ((60.0, 30, 31), (40.0, 5, 40)):
        written_past_us(
            made,
            fifth.with_columns(
                systemSellPrice=pl.lit(value),
                createdDateTime=pl.lit(later(created)).cast(kind),
                _fetched_at=pl.lit(later(received)).cast(kind),
            ),
        )
    return made


def cleaned(lake: Lake, fault: Callable[[str], None] = lambda step: None) -> Found:
    return clean(lake, COSTS, None, None, lake.root.parent / "backups", NOW, fault=fault)


def totals(found: Found) -> dict[str, int]:
    return found.counts.drop("_day").sum().row(0, named=True)


def test_a_survey_says_what_would_go_and_changes_nothing(lake: Lake) -> None:
    before = everything(lake)
    found = survey(lake, COSTS, None, None)
    assert found.rows == 146
    assert totals(found) == {"rows": 146, "current": 96, "superseded": 2, "exact_duplicates": 48, "conflicts": 0}
    assert found.counts["_day"].to_list() == [DAY, NEXT]
    assert {s["why"] for s in found.samples} == {"1 exact"}
    assert found.backup is None and not (lake.root.parent / "backups").exists()
    assert same(everything(lake), before)
    assert [s["why"] for s in survey(lake, COSTS, NEXT, NEXT).samples] == [
        "2 superseded, the greatest createdDateTime wins"
    ]


def test_what_stays_is_one_row_a_key_and_what_was_superseded_is_history(lake: Lake) -> None:
    evidence = lake.evidence(["bmrs_costs"])
    found = cleaned(lake)
    assert totals(found)["exact_duplicates"] == 48
    assert found.refetch == {}
    assert lake.count_rows(COSTS)["rows"].to_list() == [48, 48]
    assert lake.read(COSTS, NEXT, NEXT).filter(settlementPeriod=5)["systemSellPrice"].to_list() == [60.0]
    assert set(lake.read(COSTS, DAY, DAY)["_fetched_at"]) == {later(12)}  # the first arrival
    assert sorted(lake.vintages(COSTS)["systemSellPrice"]) == [40.0, 50.0]
    believed = lake.sql(
        "SELECT systemSellPrice, _known_from, _known_until FROM bmrs_costs_history "
        f"WHERE settlementDate = DATE '{NEXT}' AND settlementPeriod = 5 ORDER BY _known_from"
    ).rows()
    assert believed == [(40.0, later(5), later(10)), (50.0, later(10), later(30)), (60.0, later(30), None)]
    # The evidence is true again, and of the day of exact copies it was never touched.
    after = lake.evidence(["bmrs_costs"])
    assert after.row(0) == evidence.row(0)
    assert after["rows"].to_list() == after["distinct_keys"].to_list() == [48, 48]
    assert after["content_hash"][1] != evidence["content_hash"][1]
    assert after["fetched_at"].to_list() == evidence["fetched_at"].to_list()
    assert lake.count_days(COSTS).rows() == after.select("day", "rows", "distinct_keys").rows()


def test_doing_it_again_changes_nothing(lake: Lake) -> None:
    cleaned(lake)
    before = everything(lake)
    again = cleaned(lake)
    assert again.counts.is_empty() and again.backup is None
    assert same(everything(lake), before)


def test_a_backup_brings_the_days_back_exactly(lake: Lake) -> None:
    before = everything(lake)
    backup = backups.find(lake.root.parent / "backups", cleaned(lake).backup.name)  # type: ignore[union-attr]
    clean_rows = everything(lake)
    assert backups.restore(lake.root, COSTS, backup) == {DAY: 96, NEXT: 50}
    assert same(everything(lake), before)
    assert backups.restore(lake.root, COSTS, backup) == {DAY: 96, NEXT: 50}
    assert same(everything(lake), before)
    cleaned(lake)
    assert same(everything(lake), clean_rows)


def test_a_day_fetched_since_is_not_overwritten_by_a_restore_unless_forced(lake: Lake) -> None:
    backup = backups.Backup(cleaned(lake).backup)  # type: ignore[arg-type]
    lake.replace(COSTS, [answer(costs(DAY, 70.0, 50), DAY, later(60))])
    newer = everything(lake)
    with pytest.raises(WarehouseError, match=f"{DAY} changed since .* nothing was restored"):
        backups.restore(lake.root, COSTS, backup)
    assert same(everything(lake), newer)
    backups.restore(lake.root, COSTS, backup, force=True)
    assert lake.count_rows(COSTS)["rows"].to_list() == [96, 50]


def test_a_damaged_backup_is_refused(lake: Lake) -> None:
    backup = backups.Backup(cleaned(lake).backup)  # type: ignore[arg-type]
    before = everything(lake)
    file = next(backup.folder.glob("*.rows.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(WarehouseError, match="not as it was written"):
        backups.restore(lake.root, COSTS, backup)
    assert same(everything(lake), before)
    with pytest.raises(WarehouseError, match=r"there is no backup 'bmrs_mid-x': those in .* are: bmrs_costs-2026"):
        backups.find(lake.root.parent / "backups", "bmrs_mid-x")


@pytest.mark.parametrize("step", ["backup", "beside", "vintages", "forget", "data", "compare", "evidence", "done"])
def test_a_crash_before_any_step_leaves_old_or_clean_days_and_true_evidence(lake: Lake, step: str) -> None:
    before = everything(lake)

    def crash(coming: str) -> None:
        if coming == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cleaned(lake, fault=crash)
    held = dict(lake.count_rows(COSTS).iter_rows())
    assert held in ({DAY: 96, NEXT: 50}, {DAY: 48, NEXT: 48})
    hashes = dict(before["evidence"].select("day", "content_hash").iter_rows())
    for day, rows, keys, content in (
        lake.evidence(["bmrs_costs"]).select("day", "rows", "distinct_keys", "content_hash").iter_rows()
    ):
        assert rows == keys == 48
        if held[day] == 48 and day == DAY:
            assert content == hashes[day]
    finished = cleaned(lake)
    # Not a day is to be fetched again: what the crash forgot stands in the backup.
    assert lake.evidence(["bmrs_costs"])["day"].to_list() == [DAY, NEXT]
    assert (
        lake.count_days(COSTS).rows() == lake.evidence(["bmrs_costs"]).select("day", "rows", "distinct_keys").rows()
    )
    assert dict(lake.count_rows(COSTS).iter_rows()) == {DAY: 48, NEXT: 48}
    assert sorted(lake.vintages(COSTS)["systemSellPrice"]) == [40.0, 50.0]
    made = list(backups.listed(lake.root.parent / "backups"))
    whole = [b for b in made if b.parts]
    assert len(whole) >= (step != "backup") and finished.rows
    backups.restore(lake.root, COSTS, whole[0])
    assert everything(lake)["rows"].equals(before["rows"])
    assert everything(lake)["evidence"].equals(before["evidence"])


def test_keys_no_answer_had_and_conflicts_are_to_be_fetched_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.replace(COSTS, [answer(costs(DAY, 50.0, 10).head(47), DAY), answer(costs(NEXT, 50.0, 10), NEXT)])
    first = lake.read(COSTS, DAY, DAY)
    written_past_us(lake, first.head(1))
    written_past_us(lake, first.head(1).with_columns(settlementPeriod=pl.lit(48)))
    unlike = lake.read(COSTS, NEXT, NEXT).head(1).with_columns(systemSellPrice=pl.lit(51.0))
    written_past_us(lake, unlike.with_columns(_fetched_at=pl.lit(later(9)).cast(unlike.schema["_fetched_at"])))
    stray = first.head(1).with_columns(_day=pl.lit(date(2024, 1, 9)))
    written_past_us(lake, pl.concat([stray, stray]))
    found = cleaned(lake)
    assert found.refetch == {
        DAY: "48 keys are stored, the answers had 47",
        NEXT: "vintage_conflict: 1 keys with unlike contents that no stamp decides between",
        date(2024, 1, 9): "no evidence: never fetched",
    }
    assert lake.evidence(["bmrs_costs"])["day"].to_list() == [NEXT]  # the others count as not there: they are fetched
    assert lake.read(COSTS, NEXT, NEXT)["systemSellPrice"][0] == 51.0  # later received, never a mean


def test_backups_expire(lake: Lake) -> None:
    parent = lake.root.parent / "backups"
    name = cleaned(lake).backup.name  # type: ignore[union-attr]
    (parent / "of somebody else").mkdir()
    assert backups.expire(parent, NOW + timedelta(days=30), timedelta(days=30)) == []
    assert backups.expire(parent, NOW + timedelta(days=30, seconds=1), timedelta(days=30)) == [name]
    assert [p.name for p in parent.iterdir()] == ["of somebody else"]


def test_other_days_and_tables_are_left_alone(lake: Lake) -> None:
    lake.replace(MID, [answer(mid())])
    version = lake._table("bmrs_mid").version
    clean(lake, COSTS, NEXT, NEXT, lake.root.parent / "backups", NOW)
    assert lake.count_rows(COSTS)["rows"].to_list() == [96, 48]
    assert lake._table("bmrs_mid").version == version
    manifest = json.loads(next((lake.root.parent / "backups").glob("*/manifest.json")).read_text())
    assert [list(p["days"]) for p in manifest["parts"]] == [[NEXT.isoformat()]]


def test_clean_rows_that_do_not_add_up_are_named(lake: Lake) -> None:
    """The comparison before the swap, each of its parts with what it is there to see."""
    rows = stored(lake.root, COSTS, [DAY, NEXT])
    resolved = dedupe.resolve(COSTS, rows)
    good = resolved.current
    price = pl.when(pl.int_range(pl.len()) == 0).then(50.5).otherwise("systemSellPrice").alias("systemSellPrice")
    for beside, said in (
        (good, []),
        (pl.concat([good, good.head(1)]), ["a key stands twice"]),
        (good.head(95), ["96 keys became 95"]),
        (good.with_columns(price), ["systemSellPrice adds up to 7300.5, not 7300.0"]),
    ):
        found = differences(COSTS, rows, beside, resolved)
        assert found[: len(said)] == said and bool(found) == bool(said)


def test_a_swap_that_went_wrong_is_said_with_the_way_back(lake: Lake) -> None:
    def meddle(step: str) -> None:
        if step == "compare":
            written_past_us(lake, lake.read(COSTS, DAY, DAY).head(1))

    before = everything(lake)
    with pytest.raises(WarehouseError, match=r"not what was written: `gbpm restore bmrs_costs-2026"):
        cleaned(lake, fault=meddle)
    (backup,) = backups.listed(lake.root.parent / "backups")
    backups.restore(lake.root, COSTS, backup, force=True)
    assert same(everything(lake), before)


@pytest.mark.parametrize("step", ["forget", "put_evidence"])
def test_a_restore_that_was_cut_short_is_done_again(lake: Lake, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(lake)
    backup = backups.Backup(cleaned(lake).backup)  # type: ignore[arg-type]

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, step, crash)
        with pytest.raises(KeyboardInterrupt):
            backups.restore(lake.root, COSTS, backup)
    assert not same(everything(lake), before)
    backups.restore(lake.root, COSTS, backup)
    assert same(everything(lake), before)


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.warehouse.clean import clean
from gbpm_dagster.warehouse.lake import Lake
root, step = Path(sys.argv[1]), sys.argv[2]
now = datetime.fromisoformat("2026-03-30T12:00:00+00:00")
kill = lambda coming: os.kill(os.getpid(), signal.SIGKILL) if coming == step else None
clean(Lake(root), DATASETS["bmrs_costs"], None, None, root.parent / "backups", now, fault=kill)
"""


@pytest.mark.parametrize("step", ["forget", "compare"])
def test_kill_9_in_the_middle_costs_nothing(lake: Lake, step: str) -> None:
    before = everything(lake)
    died = subprocess.run([sys.executable, "-c", KILLED, str(lake.root), step], check=False, timeout=120)
    assert died.returncode == -9
    cleaned(Lake(lake.root))
    after = everything(lake)
    assert after["rows"].height == 96 and after["vintages"].height == 2
    assert after["evidence"]["day"].to_list() == [DAY, NEXT]
    first, *_ = [b for b in backups.listed(lake.root.parent / "backups") if b.parts]
    backups.restore(lake.root, COSTS, first)
    assert everything(lake)["rows"].equals(before["rows"])


@pytest.mark.parametrize("table", SCOPE)
def test_recorded_rows_written_twice_past_us_are_once_again_as_they_were(tmp_path: Path, table: str) -> None:
    """Real rows of every shape: fuels, acceptances, REMIT, the register. The copies were received later."""
    lake, dataset = Lake(tmp_path / "lake"), DATASETS[table]
    store(lake, dataset, recorded(dataset), later(0))
    rows, evidence, vintages = lake.read(dataset), lake.evidence([table]), lake.vintages(dataset)
    again = data_table(lake.root, dataset).read()
    written_past_us(lake, again.with_columns(_fetched_at=pl.lit(later(5)).cast(again.schema["_fetched_at"])), table)
    assert lake.count_rows(dataset)["rows"].sum() == 2 * rows.height
    found = clean(lake, dataset, None, None, tmp_path / "backups", NOW)
    assert found.counts["exact_duplicates"].sum() == rows.height and found.refetch == {}
    assert lake.read(dataset).equals(rows)
    assert lake.evidence([table]).equals(evidence)  # no day was ever without it
    assert lake.vintages(dataset).equals(vintages)


def test_a_table_as_the_legacy_system_left_it(tmp_path: Path) -> None:
    """Four years of prices, 55,000 periods repeated: one row a period, each the latest run; OPS-60."""
    lake, every = Lake(tmp_path / "lake"), legacy_costs.rows()
    ours, theirs = every.filter(pl.col("copy") == 0), every.filter(pl.col("copy") > 0).drop("copy")
    by_day = ours.select(COSTS.names).partition_by("settlementDate", as_dict=True)
    lake.replace(COSTS, [answer(rows, day, T0 - timedelta(days=900)) for (day,), rows in by_day.items()])
    order = ["_day", "_fetched_at", "_source", *COSTS.names, "_month"]
    written_past_us(lake, theirs.select(order))
    known = legacy_costs.counts()
    assert 54_000 < known["repeated_periods"] < 57_000
    before = lake.read(COSTS).sort(pl.all())
    said = totals(survey(lake, COSTS, None, None))
    found = cleaned(lake)
    assert totals(found) == said
    for name in ("rows", "current", "superseded", "exact_duplicates"):
        assert said[name] == known[name]
    assert said["conflicts"] == 0
    now = lake.read(COSTS)
    truth = legacy_costs.truth()
    prices = {
        (d, n): p for d, n, p in now.select("settlementDate", "settlementPeriod", "systemSellPrice").iter_rows()
    }
    assert now.height == len(truth) and prices == truth
    latest = before.group_by("settlementDate", "settlementPeriod").agg(pl.col("createdDateTime").max())
    assert now.select(latest.columns).sort(pl.all()).equals(latest.sort(pl.all()))
    wrong = legacy_costs.averages().filter(
        pl.struct("settlementDate", "settlementPeriod").map_elements(
            lambda r: truth[r["settlementDate"], r["settlementPeriod"]], return_dtype=pl.Float64
        )
        != pl.col("systemSellPrice").round(6)
    )
    assert wrong.height > 30_000  # what averaging would have got wrong
    assert lake.vintages(COSTS).height == known["superseded"]
    assert survey(lake, COSTS, None, None).counts.is_empty()
    backups.restore(lake.root, COSTS, backups.Backup(found.backup))  # type: ignore[arg-type]
    assert lake.read(COSTS).sort(pl.all()).equals(before)
    assert set(now.columns) == set(stored_schema(COSTS))
