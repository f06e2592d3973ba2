"""kill -9 of writers at random moments, and writers side by side."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.warehouse import killing
from gbpm_dagster_tests.warehouse.rows import MID

SIDE_BY_SIDE = """
import sys
from datetime import date, timedelta
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.warehouse.killing import arrivals
from gbpm_dagster_tests.warehouse.rows import MID
root, worker = sys.argv[1], int(sys.argv[2])
days = [date(2024, 1, 1) + timedelta(n) for n in range(31)]
lake = Lake(root)
for turn in range(6):
    mine = days[worker + turn :: 3][:4] + [days[0]]
    lake.replace(MID, arrivals(10 * turn + worker + 1, sorted(set(mine))))
"""


def test_a_writer_killed_at_any_moment_leaves_old_or_new(tmp_path: Path) -> None:
    """Kills at seeded moments, until one fell into the middle of a write; `make soak` does hundreds."""
    torn = 0
    for round_ in range(6):
        tally = killing.series(tmp_path / f"lake{round_}", kills=8, seed=20240103 + round_)
        assert tally.wrong == []
        assert tally.kills == 8
        torn += tally.torn
        if torn:
            return
    raise AssertionError("no kill fell into the middle of a write")


def test_the_judge_sees_what_is_wrong(tmp_path: Path) -> None:
    """A judge that never complains proves nothing: break the lake by hand, once in each way."""
    lake = Lake(tmp_path)
    for generation in (1, 2):
        lake.replace(MID, killing.arrivals(generation))
    assert killing.problems(lake) == []
    day, table = killing.DAYS[0], lake._table("bmrs_mid")
    whole = table.read().filter(pl.col("_day") == day)
    condition = f"_month = '{day:%Y-%m}' AND _day = '{day}'"
    half = whole.with_columns(price=pl.when(pl.col("settlementPeriod") > 9).then(1.0).otherwise(2.0))
    for broken, words in ((half, "half old"), (whole.head(90), "90 rows"), (pl.concat([whole, whole]), "192 rows")):
        lake._table("bmrs_mid").overwrite(broken, condition)
        found = " ".join(killing.problems(lake))
        assert words in found and "the evidence claims" in found
    lake._table("bmrs_mid").overwrite(whole, condition)
    assert killing.problems(lake) == []
    vintages = lake._table("bmrs_mid_vintages")
    vintages.append(vintages.read().head(1))
    assert "a vintage is there twice" in killing.problems(lake)


def test_three_processes_on_one_month_leave_all_days_whole_and_none_doubled(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", SIDE_BY_SIDE, str(tmp_path), str(n)], cwd=killing.REPOSITORY)
        for n in range(3)
    ]
    assert [w.wait(timeout=120) for w in workers] == [0, 0, 0]
    lake = Lake(tmp_path)
    rows = lake.read(MID)
    held = rows.group_by("_day").agg(pl.len(), pl.col("price").n_unique().alias("prices")).sort("_day")
    assert held["len"].unique().to_list() == [killing.ROWS] and held["prices"].unique().to_list() == [1]
    assert not rows.select("_day", "dataProvider", "settlementPeriod").is_duplicated().any()
    evidence = lake.evidence(["bmrs_mid"])
    assert evidence["day"].to_list() == held["_day"].to_list()
    assert evidence["rows"].unique().to_list() == [killing.ROWS]
    first = date(2024, 1, 1)
    assert first in held["_day"].to_list()
    newest = rows.filter(pl.col("_day") == first)["price"].unique().to_list()
    assert newest == [53.0], "the day all three wrote is at the newest answer, whoever came last"
    assert lake.vintages(MID, first, first).select(MID.names).is_unique().all()
    assert lake.attempts(["bmrs_mid"]).height == 3 * 6 * 5 - sum(
        (first in [first + timedelta(n) for n in range(31)][w + t :: 3][:4]) for w in range(3) for t in range(6)
    )
