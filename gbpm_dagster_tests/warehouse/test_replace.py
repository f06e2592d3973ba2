"""Replacing partitions in the lake: content, evidence, guard, account, steps."""

from __future__ import annotations

import dataclasses
import errno
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from gbpm_dagster.catalogue.model import Column, Kind
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.warehouse import delta, facts
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import (
    ATTEMPT_SCHEMA,
    EVIDENCE_SCHEMA,
    Outcome,
    WarehouseError,
    stored_schema,
)
from gbpm_dagster_tests.rights import no_permission_in
from gbpm_dagster_tests.warehouse.rows import (
    BMUNITS,
    BOD,
    COSTS,
    DAY,
    FREQ,
    FUELINST,
    INDO,
    MID,
    T0,
    answer,
    cost_row,
    frame,
    later,
    mid,
    mid_row,
)

STEPS = ("vintages", "forget", "data", "quarantine", "drift", "evidence", "attempts", "done")


class Stop(Exception):
    """A fault of the test's own."""


def only(lake: Lake, table: str = "bmrs_mid", day: date = DAY) -> dict:
    rows = lake.evidence([table], day, day)
    assert rows.height == 1
    return rows.row(0, named=True)


def honest(lake: Lake) -> None:
    """Evidence never claims more than the data hold: same days, rows, distinct keys and content."""
    for name in ("bmrs_mid", "bmrs_costs"):
        dataset = lake.datasets[name]
        held = {r["day"]: r for r in lake.count_days(dataset).iter_rows(named=True)}
        measured = facts.measure(dataset, lake.read(dataset))
        hashes = dict(measured.select("_day", "content_hash").iter_rows())
        for e in lake.evidence([name]).iter_rows(named=True):
            there = held.get(e["day"], {"rows": 0, "distinct_keys": 0})
            assert (e["rows"], e["distinct_keys"]) == (there["rows"], there["distinct_keys"])
            assert e["content_hash"] == hashes.get(e["day"], facts.empty_hash(dataset))


def test_a_day_is_written_read_back_and_accounted_for(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    rows = mid()
    (outcome,) = lake.replace(
        MID, [answer(rows.sample(fraction=1, shuffle=True, seed=1), run_id="r1", reason="test")]
    )
    assert (outcome.outcome, outcome.rows, outcome.written, outcome.ok) == ("written", 96, 96, True)
    back = lake.read(MID)
    assert dict(back.schema) == stored_schema(MID)
    key = ["dataProvider", "settlementPeriod"]
    assert back.select(MID.names).sort(key).equals(rows.sort(key))
    e = only(lake)
    assert list(e) == list(EVIDENCE_SCHEMA)
    assert (e["rows"], e["distinct_keys"], e["fetched"], e["written"], e["requests"]) == (96, 96, 96, 96, 1)
    assert e["first_time"] == datetime(2024, 1, 3, tzinfo=UTC) and e["last_time"] == datetime(
        2024, 1, 3, 23, 30, tzinfo=UTC
    )
    assert e["slots"] == [{"date": DAY, "period": p, "rows": 2} for p in range(1, 49)]
    tried = lake.attempts(["bmrs_mid"]).row(0, named=True)
    assert (tried["outcome"], tried["run_id"], tried["reason"], tried["rows"]) == ("written", "r1", "test", 96)
    assert lake.tables() == ["bmrs_mid"]


def test_the_same_answer_again_rewrites_nothing_but_renews_the_evidence(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(MID, [answer(mid())])
    before, first = lake.read(MID), only(lake)
    (outcome,) = lake.replace(MID, [answer(mid(), at=later(5), run_id="second")])
    after = only(lake)
    assert outcome.outcome == "unchanged" and lake.read(MID).equals(before)
    assert after["table_version"] == first["table_version"] and after["content_hash"] == first["content_hash"]
    assert after["fetched_at"] == later(5) and after["run_id"] == "second"
    assert lake.vintages(MID).is_empty()


def test_a_recalculation_supersedes_and_the_earlier_one_is_kept(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    first = frame(COSTS, [cost_row(DAY, p, 80.0, T0) for p in range(1, 49)])
    second = frame(
        COSTS, [cost_row(DAY, p, 95.0 if p == 10 else 80.0, later(9) if p == 10 else T0) for p in range(1, 49)]
    )
    lake.replace(COSTS, [answer(first)])
    (outcome,) = lake.replace(COSTS, [answer(second, at=later(10))])
    assert (outcome.outcome, outcome.written, outcome.superseded, outcome.extra["replaced"]) == ("written", 48, 0, 1)
    (late,) = lake.replace(COSTS, [answer(first, at=later(20))])
    assert (late.outcome, late.written, late.superseded) == ("unchanged", 47, 1)
    now = lake.read(COSTS)
    assert now.filter(pl.col("settlementPeriod") == 10)["systemSellPrice"].to_list() == [95.0]
    old = lake.vintages(COSTS)
    assert old["systemSellPrice"].to_list() == [80.0] and old["_superseded_at"].to_list() == [later(10)]
    assert only(lake, "bmrs_costs")["newest_version"] == "2024-02-01T09:00:00Z"
    honest(lake)


def test_an_answer_that_is_handed_in_late_does_not_undo_a_later_confirmation(tmp_path: Path) -> None:
    """MID has no stamp: asked at 0 and 2 h the source said 50; what it said at 1 h, stored last, is the past."""
    lake = Lake(tmp_path)
    for hour, price, outcome in ((0, 50.0, "written"), (2, 50.0, "unchanged"), (1, 60.0, "unchanged")):
        assert lake.replace(MID, [answer(mid(price=price), at=later(hour))])[0].outcome == outcome
    assert lake.read(MID)["price"].unique().to_list() == [50.0]
    assert lake.vintages(MID)["price"].unique().to_list() == [60.0]
    assert only(lake)["fetched_at"] == later(2)


def test_other_days_of_the_month_stay_as_they_are(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    days = [date(2024, 1, d) for d in range(1, 11)]
    lake.replace(MID, [answer(mid(d), d) for d in days])
    changed = [days[2], days[3], days[7]]
    lake.replace(MID, [answer(mid(d, 70.0), d, later(1)) for d in changed])
    prices = lake.read(MID).group_by("_day").agg(pl.col("price").unique(), pl.len()).sort("_day")
    assert prices["price"].to_list() == [[70.0] if d in changed else [50.0] for d in days]
    assert prices["len"].to_list() == [96] * 10
    assert lake.read(MID, days[2], days[3])["_day"].unique().sort().to_list() == changed[:2]


def test_new_days_are_one_commit_replaced_ones_one_a_month_and_the_evidence_is_one(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    days = [date(2024, 1, 25) + timedelta(n) for n in range(40)]
    lake.replace(MID, [answer(mid(d), d) for d in days])
    assert lake._table("bmrs_mid").version == 1  # 0 makes the table
    assert lake._table("gbpm_evidence").version == 1
    assert lake.evidence(["bmrs_mid"])["day"].to_list() == days
    more = [*days, *(days[-1] + timedelta(n) for n in range(1, 36))]  # and the rest of March, and April, new
    lake.replace(MID, [answer(mid(d, 70.0), d, later(1)) for d in more])
    assert lake._table("bmrs_mid").version == 1 + 3 + 1  # January, February, March replaced; then April
    assert lake.read(MID)["price"].unique().to_list() == [70.0]
    assert lake.evidence(["bmrs_mid"])["rows"].to_list() == [96] * len(more)
    assert lake.read(MID).height == 96 * len(more)


def test_an_empty_answer_is_known_and_a_day_never_asked_is_not(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    (outcome,) = lake.replace(MID, [answer(mid().head(0))])
    assert (outcome.outcome, outcome.rows, outcome.ok) == ("empty", 0, True)
    e = only(lake)
    assert (e["rows"], e["windows_answered"], e["slots"], e["first_time"]) == (0, 1, [], None)
    assert lake.evidence(["bmrs_mid"], DAY + timedelta(1)).is_empty()
    assert lake.tables() == [] and lake.read(MID).is_empty()


def test_a_mixture_of_full_and_empty_days(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    next_day = DAY + timedelta(1)
    done = lake.replace(MID, [answer(mid(next_day), next_day), answer(mid().head(0))])
    assert [(o.day, o.outcome) for o in done] == [(next_day, "written"), (DAY, "empty")]
    honest(lake)


# decision 6


def test_a_smaller_answer_is_held_until_a_later_one_confirms_it(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(MID, [answer(mid())])
    small = mid().filter(pl.col("settlementPeriod") <= 40)
    (held,) = lake.replace(MID, [answer(small, at=later(1))])
    assert held.outcome == "held" and not held.ok and held.rows == 96 and "96" in held.message
    assert lake.read(MID).height == 96 and only(lake)["fetched_at"] == T0
    tried = lake.attempts().filter(pl.col("outcome") == "held").row(0, named=True)
    assert tried["distinct_keys"] == 80 and tried["content_hash"].startswith("keys:")
    (same,) = lake.replace(MID, [answer(small, at=later(1))])
    assert same.outcome == "held", "the same answer handed in twice is no second answer"
    (other,) = lake.replace(MID, [answer(mid().filter(pl.col("settlementPeriod") > 8), at=later(2))])
    assert other.outcome == "held", "other keys confirm nothing"
    (again,) = lake.replace(MID, [answer(small, at=later(3))])
    assert again.outcome == "held", "the last word was another one"
    (confirmed,) = lake.replace(MID, [answer(small, at=later(4))])
    assert (confirmed.outcome, confirmed.rows, confirmed.extra["removed"]) == ("written", 80, 16)
    assert lake.vintages(MID).height == 16
    honest(lake)


def test_an_answer_without_a_column_that_stored_rows_have_is_held_until_a_later_one_confirms_it(
    tmp_path: Path,
) -> None:
    lake = Lake(tmp_path)
    lake.replace(MID, [answer(mid())])
    bare = mid().with_columns(volume=pl.lit(None, pl.Float64))
    (held,) = lake.replace(MID, [answer(bare, at=later(1), absent_columns=["volume"])])
    assert held.outcome == "held" and "lacks volume" in held.message and held.rows == 96
    assert lake.read(MID)["volume"].null_count() == 0
    (other,) = lake.replace(MID, [answer(bare, at=later(2), absent_columns=["price", "volume"])])
    assert other.outcome == "held", "other columns confirm nothing"
    for hours, outcome in ((3, "held"), (4, "written")):
        (done,) = lake.replace(MID, [answer(bare, at=later(hours), absent_columns=["volume"])])
        assert done.outcome == outcome
    assert lake.read(MID)["volume"].null_count() == 96 and lake.vintages(MID).height == 96
    (same,) = lake.replace(MID, [answer(bare, at=later(5), absent_columns=["volume"])])
    assert same.outcome == "unchanged", "what was never stored is not missed"
    honest(lake)


def test_an_empty_answer_for_a_full_day_is_held_and_then_confirmed(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(MID, [answer(mid())])
    assert lake.replace(MID, [answer(mid().head(0), at=later(1))])[0].outcome == "held"
    assert lake.replace(MID, [answer(mid().head(0), at=later(2))])[0].outcome == "empty"
    assert lake.read(MID).is_empty() and lake.vintages(MID).height == 96 and only(lake)["rows"] == 0


def test_a_full_answer_in_between_clears_a_hold(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    small = mid(periods=40)
    for hour, rows, outcome in (
        (0, mid(), "written"),
        (1, small, "held"),
        (2, mid(), "unchanged"),
        (3, small, "held"),
    ):
        assert lake.replace(MID, [answer(rows, at=later(hour))])[0].outcome == outcome


def test_a_held_day_does_not_hold_up_the_others(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(MID, [answer(mid())])
    next_day = DAY + timedelta(1)
    done = lake.replace(MID, [answer(mid(periods=3), at=later(1)), answer(mid(next_day), next_day, later(1))])
    assert [o.outcome for o in done] == ["held", "written"]
    honest(lake)


def units(n: int) -> pl.DataFrame:
    return frame(
        BMUNITS,
        [
            {"elexonBmUnit": f"T_{i}", "creditQualifyingStatus": True, "demandInProductionFlag": False}
            for i in range(n)
        ],
    )


def test_a_snapshot_is_a_day_and_may_shrink_by_five_per_cent(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    days = [DAY + timedelta(n) for n in range(4)]
    assert lake.replace(BMUNITS, [answer(units(100), days[0])])[0].outcome == "written"
    assert lake.replace(BMUNITS, [answer(units(95), days[1], later(24))])[0].outcome == "written"
    (held,) = lake.replace(BMUNITS, [answer(units(90), days[2], later(48))])
    assert held.outcome == "held" and "95 %" in held.message
    assert lake.replace(BMUNITS, [answer(units(89), days[2], later(50))])[0].outcome == "held", "not the same list"
    (confirmed,) = lake.replace(BMUNITS, [answer(units(89), days[3], later(72))])
    assert confirmed.outcome == "written", "the next day's list is the second answer"
    assert lake.read(BMUNITS).group_by("_day").len().sort("_day")["len"].to_list() == [100, 95, 89]


def test_a_list_that_is_asked_by_each_days_ids_is_not_measured_by_the_day_before(tmp_path: Path) -> None:
    """Messages of a day have nothing to do with those of the day before; the day itself may still not shrink."""
    revisions = DATASETS["remit_revisions"]
    lake = Lake(tmp_path)

    def listed(n: int) -> pl.DataFrame:
        return frame(revisions, [{"id": i, "mrid": f"M-{i}", "publishTime": T0} for i in range(n)])

    first, second = DAY, DAY + timedelta(1)
    assert lake.replace(revisions, [answer(listed(100), first)])[0].outcome == "written"
    assert lake.replace(revisions, [answer(listed(3), second, later(24))])[0].outcome == "written"
    assert lake.replace(revisions, [answer(listed(0), second + timedelta(1), later(48))])[0].outcome == "empty"
    (held,) = lake.replace(revisions, [answer(listed(2), second, later(25))])
    assert (held.outcome, held.rows) == ("held", 3)
    assert "fewer than the 3 of the stored partition" in held.message
    assert lake.replace(revisions, [answer(listed(2), second, later(26))])[0].rows == 2
    assert lake.replace(revisions, [answer(listed(4), second, later(27))])[0].rows == 4


def test_null_keys_of_a_snapshot_compare_equal(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    rows = units(3).with_columns(nationalGridBmUnit=pl.lit(None, pl.String))
    lake.replace(BMUNITS, [answer(rows)])
    (again,) = lake.replace(BMUNITS, [answer(pl.concat([rows, rows.head(1)]), at=later(1))])
    assert (again.outcome, again.rows, again.exact_duplicates) == ("unchanged", 3, 1)


# decision 8


def test_every_row_that_came_is_accounted_for(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    older = frame(COSTS, [cost_row(DAY, 1, 60.0, later(-5))])
    rows = frame(COSTS, [cost_row(DAY, p, 80.0, T0) for p in range(1, 49)])
    came = pl.concat([rows, rows.head(3), older])
    (o,) = lake.replace(COSTS, [answer(came, quarantined=[("null key", '{"a": 1}')])])
    e = only(lake, "bmrs_costs")
    assert (e["fetched"], e["written"], e["superseded"], e["exact_duplicates"], e["quarantined"]) == (53, 48, 1, 3, 1)
    assert e["fetched"] == e["written"] + e["superseded"] + e["exact_duplicates"] + e["quarantined"]
    assert (o.written, o.superseded, o.exact_duplicates, o.quarantined) == (48, 1, 3, 1)
    assert e["contradictions"] == 0
    lake.replace(COSTS, [answer(pl.concat([rows, frame(COSTS, [cost_row(DAY, 5, 81.0, T0)])]), at=later(1))])
    assert only(lake, "bmrs_costs")["contradictions"] == 1


def test_an_account_that_does_not_add_up_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path)
    lake.replace(MID, [answer(mid())])
    from gbpm_dagster.warehouse import merge

    real = merge.combine
    monkeypatch.setattr(
        merge,
        "combine",
        lambda *a: dataclasses.replace(
            real(*a), account=real(*a).account.with_columns(written=pl.col("written") - 1)
        ),
    )
    with pytest.raises(WarehouseError, match=r"bmrs_mid 2024-01-03: fetched 96 = written 95"):
        lake.replace(MID, [answer(mid(price=1.0), at=later(1))])
    monkeypatch.undo()
    assert lake.read(MID)["price"].unique().to_list() == [50.0] and only(lake)["fetched_at"] == T0


def test_quarantine_and_drift_belong_to_their_day_and_are_replaced_with_it(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    next_day = DAY + timedelta(1)
    bad = {"quarantined": [("null key: dataProvider", "{}")], "drift": [("newField", '{"newField": 1}')]}
    lake.replace(MID, [answer(mid(), **bad), answer(mid(next_day), next_day, **bad)])
    assert lake.quarantine().height == lake.drift().height == 2
    lake.replace(MID, [answer(mid(), at=later(1))])
    assert lake.quarantine(["bmrs_mid"])["day"].to_list() == lake.drift()["day"].to_list() == [next_day]
    assert lake.quarantine(["bmrs_costs"]).is_empty()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (mid().drop("price"), r"missing: \['price'\]"),
        (mid().with_columns(other=pl.lit(1)), r"unknown: \['other'\]"),
        (mid().with_columns(pl.col("price").cast(pl.Int64)), "price is Int64, not Float64"),
        (mid(DAY + timedelta(1)), "lies on 2024-01-04"),
    ],
)
def test_rows_that_are_not_the_days_are_refused(tmp_path: Path, rows: pl.DataFrame, message: str) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(WarehouseError, match=message):
        lake.replace(MID, [answer(rows)])
    assert lake.read(MID).is_empty() and lake.evidence().is_empty()


def test_two_answers_for_one_day_and_naive_times_are_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(WarehouseError, match="two answers for one day"):
        lake.replace(MID, [answer(mid()), answer(mid())])
    with pytest.raises(WarehouseError, match="no time zone"):
        lake.replace(MID, [answer(mid(), at=datetime(2024, 1, 1))])  # noqa: DTZ001


# steps


@pytest.mark.parametrize(("step", "occurrence"), [*((s, 1) for s in STEPS), ("data", 2)])
def test_failing_between_any_two_steps_leaves_old_or_new_and_honest_evidence(
    tmp_path: Path, step: str, occurrence: int
) -> None:
    """Two months, so that the data step comes twice; January shrinks by replaced prices, February is new."""
    days = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2)]
    Lake(tmp_path).replace(MID, [answer(mid(d), d) for d in days[:3]])
    seen: list[str] = []

    def fault(name: str) -> None:
        seen.append(name)
        if seen.count(step) == occurrence and name == step:
            raise Stop(name)

    change = [answer(mid(d, 70.0), d, later(1), quarantined=[("bad", "{}")]) for d in days]
    with pytest.raises(Stop):
        Lake(tmp_path, fault=fault).replace(MID, change)
    lake = Lake(tmp_path)
    honest(lake)
    for day, group in lake.read(MID).group_by("_day"):
        assert group.height == 96 and group["price"].n_unique() == 1, f"{day} is neither old nor new"
    again = lake.replace(MID, change)
    assert {o.outcome for o in again} <= {"written", "unchanged"}
    honest(lake)
    now = lake.read(MID)
    assert now["price"].unique().to_list() == [70.0] and now["_day"].unique().sort().to_list() == days
    assert lake.evidence(["bmrs_mid"])["day"].to_list() == days
    old = lake.vintages(MID)
    assert old.height == 3 * 96 and old.select(MID.names).is_unique().all(), "vintages doubled or lost"
    assert lake.quarantine().height == len(days)


def test_the_steps_come_in_their_order(tmp_path: Path) -> None:
    seen: list[str] = []
    Lake(tmp_path, fault=seen.append).replace(MID, [answer(mid())])
    assert tuple(seen) == STEPS


def test_a_conflict_is_tried_again_a_bounded_number_of_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [2]

    def fault(step: str) -> None:
        if step == "data" and left[0]:
            left[0] -= 1
            raise delta.Conflict("another process")

    lake = Lake(tmp_path, fault=fault)
    assert lake.replace(MID, [answer(mid())])[0].outcome == "written"
    left[0] = 100
    with pytest.raises(WarehouseError, match="another process"):
        lake.replace(MID, [answer(mid(price=2.0), at=later(1))])
    assert left[0] == 95


# schema evolution, upkeep, bad luck


def test_a_column_added_to_the_catalogue_is_null_in_older_rows(tmp_path: Path) -> None:
    Lake(tmp_path).replace(MID, [answer(mid())])
    wide = dataclasses.replace(
        MID, columns=(*MID.columns, Column("extra", Kind.NUMBER, "new at the source", unit="MW"))
    )
    lake = Lake(tmp_path, {"bmrs_mid": wide})
    old = lake.evidence()["content_hash"].to_list()
    assert lake.read(wide)["extra"].null_count() == 96
    assert lake.sql("SELECT count(*) AS n, count(extra) AS filled FROM bmrs_mid").row(0) == (96, 0)
    (same,) = lake.replace(wide, [answer(mid().with_columns(extra=pl.lit(None, pl.Float64)), at=later(1))])
    assert same.outcome == "unchanged" and lake.evidence()["content_hash"].to_list() == old
    next_day = DAY + timedelta(1)
    lake.replace(wide, [answer(mid(next_day).with_columns(extra=pl.lit(3.5)), next_day, later(1))])
    assert lake.read(wide)["extra"].to_list() == [None] * 96 + [3.5] * 96
    assert lake.sql("SELECT count(*) AS n, sum(extra) AS total FROM bmrs_mid").row(0) == (192, 96 * 3.5)


def test_compacting_and_vacuuming_leave_the_rows(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    days = [date(2024, 1, d) for d in range(1, 7)]
    for d in days:
        lake.replace(MID, [answer(mid(d), d)])
    before, files = lake.read(MID), len(lake._table("bmrs_mid").files())
    assert files == 6 and lake.compact(["bmrs_mid"]) == {"bmrs_mid": 6}
    used = lake.disk_usage()
    assert lake.vacuum(keep=timedelta(0))["bmrs_mid"] == 6
    assert lake.disk_usage()["bmrs_mid"] < used["bmrs_mid"]
    assert lake.read(MID).equals(before) and len(lake._table("bmrs_mid").files()) == 1
    honest(lake)
    lake.replace(MID, [answer(mid(days[2], 1.0), days[2], later(1))])
    assert lake.read(MID).height == 96 * 6
    honest(lake)


def test_the_logs_own_files_stay_few(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for n in range(60):
        lake.record_failures([Outcome("bmrs_mid", DAY, "failed", error_class="transient", message=f"503 no. {n}")])
    assert lake.attempts().height == 60 and len(lake._table("gbpm_attempts").files()) < 20


def test_failures_are_logged_and_nothing_else_is(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.record_failures([
        Outcome("bmrs_mid", DAY, "failed", error_class="transient", message="503", requests=6),
        Outcome("bmrs_mid", DAY + timedelta(1), "written"),
    ], run_id="r", reason="heal")  # fmt: skip
    rows = lake.attempts(since=datetime.now(UTC) - timedelta(hours=1))
    assert list(rows.columns) == list(ATTEMPT_SCHEMA)
    row = rows.row(0, named=True)
    assert rows.height == 1 and (row["error_class"], row["message"], row["requests"]) == ("transient", "503", 6)
    lake.replace(MID, [answer(mid())])
    assert lake.replace(MID, [answer(mid(periods=5), at=later(1))])[0].outcome == "held"
    lake.record_failures([Outcome("bmrs_mid", DAY, "failed", error_class="transient", message="503")])
    (again,) = lake.replace(MID, [answer(mid(periods=5), at=later(2))])
    assert again.outcome == "written", "a failure between two answers is no answer"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("not a folder")
    with pytest.raises(WarehouseError, match=r"lake.*(file where a folder)"):
        Lake(tmp_path / "lake")
    lake = Lake(tmp_path / "other")
    (tmp_path / "other" / "bmrs_mid").write_text("not a folder")
    with pytest.raises(WarehouseError, match=r"bmrs_mid.*file where a folder"):
        lake.replace(MID, [answer(mid())])


def test_a_folder_without_permission_is_named() -> None:
    with no_permission_in(Lake) as folder, pytest.raises(WarehouseError, match=r"permission|writable"):
        Lake(folder).replace(MID, [answer(mid())])


def test_a_full_disk_is_called_so_and_nothing_is_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path)
    lake.replace(MID, [answer(mid())])

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(delta, "write_deltalake", full)
    with pytest.raises(WarehouseError, match=r"disk is full.*free some"):
        lake.replace(MID, [answer(mid(price=1.0), at=later(1))])
    monkeypatch.undo()
    honest(lake)
    assert lake.read(MID)["price"].unique().to_list() == [50.0]


def test_a_damaged_data_file_is_reported_with_its_table(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(MID, [answer(mid())])
    Path(lake._table("bmrs_mid").files()[0]).unlink()
    with pytest.raises(WarehouseError, match=r"bmrs_mid.*backfill"):
        lake.read(MID)


# facts


@pytest.mark.parametrize(
    ("day", "start_utc", "periods"),
    [
        (date(2024, 1, 3), datetime(2024, 1, 3, tzinfo=UTC), 48),
        (date(2024, 7, 1), datetime(2024, 6, 30, 23, tzinfo=UTC), 48),
        (date(2024, 3, 31), datetime(2024, 3, 31, tzinfo=UTC), 46),
        (date(2024, 10, 27), datetime(2024, 10, 26, 23, tzinfo=UTC), 50),
    ],
)
def test_slots_of_instants_follow_the_settlement_calendar(
    tmp_path: Path, day: date, start_utc: datetime, periods: int
) -> None:
    """FREQ has 120 samples a settlement period: 5,760 a day, 5,520 and 6,000 at the clock changes (decision 9)."""
    n = periods * 120
    rows = frame(
        FREQ, [{"measurementTime": start_utc + timedelta(seconds=15 * i), "frequency": 50.0} for i in range(n)]
    )
    lake = Lake(tmp_path)
    lake.replace(FREQ, [answer(rows, day)])
    e = only(lake, "bmrs_freq", day)
    assert e["rows"] == n
    assert e["slots"] == [{"date": day, "period": p, "rows": 120} for p in range(1, periods + 1)]


def test_rows_without_their_value_do_not_count_in_a_slot(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    rows = mid().with_columns(
        price=pl.when((pl.col("settlementPeriod") == 7) & (pl.col("dataProvider") == "APXMIDP"))
        .then(None)
        .otherwise(pl.col("price"))
    )
    lake.replace(MID, [answer(rows)])
    assert [s["rows"] for s in only(lake)["slots"]] == [2] * 6 + [1] + [2] * 41


def test_a_surplus_never_makes_up_for_what_is_not_there(tmp_path: Path) -> None:
    """Rows of an undeclared member, and more of a member than are due, do not fill a slot (domain.md 2.4)."""
    lake = Lake(tmp_path)
    other = pl.col("dataProvider") == "N2EXMIDP"
    seventh = pl.col("settlementPeriod") == 7
    rows = mid().with_columns(
        dataProvider=pl.when(other & seventh).then(pl.lit("NEWMIDP")).otherwise(pl.col("dataProvider"))
    )
    lake.replace(MID, [answer(rows)])
    assert [s["rows"] for s in only(lake)["slots"]] == [2] * 6 + [1] + [2] * 41
    start = datetime(2024, 1, 3, tzinfo=UTC)
    fuel = [
        {"startTime": start + timedelta(minutes=m), "settlementDate": DAY, "settlementPeriod": 1, "fuelType": f,
         "generation": 1}
        for f, minutes in (("CCGT", range(0, 30, 3)), ("WIND", (0, 5)), ("UNHEARDOF", (0,)))
        for m in minutes
    ]  # fmt: skip
    lake.replace(FUELINST, [answer(frame(FUELINST, fuel))])
    assert only(lake, "bmrs_fuelinst")["slots"] == [{"date": DAY, "period": 1, "rows": 6 + 2}]


def test_events_with_a_floor_for_every_period_have_their_periods_counted(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    row = {"settlementDate": DAY, "settlementPeriod": 5, "timeFrom": datetime(2024, 1, 3, 2, tzinfo=UTC),
           "nationalGridBmUnit": "A", "offer": 1.0}  # fmt: skip
    lake.replace(BOD, [answer(frame(BOD, [row | {"pairId": n} for n in (-1, 1, 2)]))])
    assert only(lake, "bmrs_bod")["slots"] == [{"date": DAY, "period": 5, "rows": 3}]


def test_slots_of_a_partition_by_publication_name_their_own_settlement_date(tmp_path: Path) -> None:
    """INDO published just after midnight is about the last period of the day before."""
    lake = Lake(tmp_path)
    half_past = datetime(2024, 1, 2, 23, 30, tzinfo=UTC)
    row = {"publishTime": half_past + timedelta(minutes=45), "startTime": half_past,
           "settlementDate": date(2024, 1, 2), "settlementPeriod": 48, "demand": 25_000}  # fmt: skip
    lake.replace(INDO, [answer(frame(INDO, [row]))])
    assert only(lake, "bmrs_indo")["slots"] == [{"date": date(2024, 1, 2), "period": 48, "rows": 1}]


def test_the_content_hash_depends_on_values_and_nothing_else(tmp_path: Path) -> None:
    def hashed(rows: pl.DataFrame, name: str) -> str:
        lake = Lake(tmp_path / name)
        lake.replace(MID, [answer(rows)])
        return only(lake)["content_hash"]

    first = hashed(mid(), "a")
    assert hashed(mid().reverse(), "b") == first
    row = pl.col("settlementPeriod") == 5
    for n, other in enumerate((
        mid().with_columns(price=pl.when(row).then(50.5).otherwise(pl.col("price"))),
        mid().with_columns(price=pl.when(row).then(None).otherwise(pl.col("price"))),
        mid().with_columns(dataset=pl.when(row).then(pl.lit("MIX")).otherwise(pl.col("dataset"))),
        mid(periods=47),
    )):  # fmt: skip
        assert hashed(other, f"c{n}") != first
    assert first == "3f6dcc165c57cafa427e2824db9e126f", "a stored hash must mean the same tomorrow"


def test_mid_row_is_the_row_of_mid() -> None:
    assert frame(MID, [mid_row(DAY, 1)]).row(0) == mid().row(0)


def test_slots_of_forecasts_are_the_half_hours_of_their_publication(tmp_path: Path) -> None:
    """NDF names the periods it is about; what is counted is when it was published (domain.md 2.2 D)."""
    lake, quarter_past_nine = Lake(tmp_path), datetime(2024, 1, 3, 9, 15, tzinfo=UTC)
    rows = [
        {"publishTime": quarter_past_nine, "startTime": quarter_past_nine + timedelta(minutes=45 + 60 * n),
         "boundary": "N", "settlementDate": DAY, "settlementPeriod": 21 + 2 * n, "demand": 1}
        for n in range(3)
    ]  # fmt: skip
    ndf = DATASETS["bmrs_ndf"]
    lake.replace(ndf, [answer(frame(ndf, rows))])
    assert only(lake, "bmrs_ndf")["slots"] == [{"date": DAY, "period": 19, "rows": 3}]


def test_a_sample_of_frequency_counts_for_the_instant_it_is_within_two_seconds_of(tmp_path: Path) -> None:
    """domain.md 2.4: 00:00:13 and 00:00:17 are one sample, 00:00:12 is none; 23:59:59 is the next day's."""
    lake = Lake(tmp_path)
    start = datetime(2024, 1, 3, tzinfo=UTC)
    seconds = (0, 12, 13, 17, 32, 86_399)
    rows = frame(FREQ, [{"measurementTime": start + timedelta(seconds=s), "frequency": 50.0} for s in seconds])
    lake.replace(FREQ, [answer(rows)])
    e = only(lake, "bmrs_freq")
    assert e["rows"] == 6, "none is dropped"
    assert e["slots"] == [
        {"date": DAY, "period": 1, "rows": 3},
        {"date": DAY + timedelta(days=1), "period": 1, "rows": 1},
    ]


def test_evidence_may_be_read_in_part(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.replace(MID, [answer(mid())])
    brief = lake.evidence(["bmrs_mid"], columns=("table", "day", "rows"))
    assert brief.rows() == [("bmrs_mid", DAY, 96)]
    assert brief.columns == ["table", "day", "rows"]
    assert lake.evidence(["bmrs_mid"]).select(brief.columns).equals(brief)
