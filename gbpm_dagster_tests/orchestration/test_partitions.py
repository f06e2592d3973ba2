"""Partitions are London days from the table's beginning through today; spans() is exact."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue import get
from gbpm_dagster.market.calendar import day_bounds
from gbpm_dagster.orchestration.launch import together
from gbpm_dagster.orchestration.partitions import london_days, partitions_of, spans
from gbpm_dagster.settings import Settings
from gbpm_dagster_tests.orchestration.conftest import days

DAYS = st.lists(st.dates(date(2015, 1, 1), date(2035, 12, 31)), max_size=60)
CLOSE_DAY = st.integers(0, 40).map(lambda n: date(2024, 3, 1) + timedelta(days=n))
CLOSE = st.lists(CLOSE_DAY, max_size=60)


def settings(now: str = "", start: str = "2022-01-01") -> Settings:
    return Settings.load({"GBPM_NOW": now, "GBPM_HISTORY_START": start})


def test_keys_are_days_and_today_is_one_of_them() -> None:
    found = london_days(date(2024, 1, 1), None).get_partition_keys(current_time=datetime(2024, 1, 10, 12, tzinfo=UTC))
    assert found == [d.isoformat() for d in days("2024-01-01", "2024-01-10")]


def test_today_is_londons() -> None:
    """At 23:30Z in July London has begun its next day (domain.md 1.1)."""
    late = datetime(2024, 7, 9, 23, 30, tzinfo=UTC)
    assert london_days(date(2024, 7, 1), None).get_partition_keys(current_time=late)[-1] == "2024-07-10"


@pytest.mark.parametrize(
    ("now", "last"), [("2024-01-10T12:00:00Z", "2024-01-10"), ("2024-07-09T23:30:00Z", "2024-07-10")]
)
def test_now_ends_them(now: str, last: str) -> None:
    definition = partitions_of(get("bmrs_costs"), settings(now))
    assert definition is not None
    keys = definition.get_partition_keys()
    assert (keys[0], keys[-1]) == ("2022-01-01", last)


def test_a_table_begins_at_the_later_of_its_first_day_and_the_homes() -> None:
    table = get("bmrs_fuelinst")
    early = partitions_of(table, settings("2024-01-10T12:00:00Z", "2010-01-01"))
    assert early is not None
    assert early.get_partition_keys()[0] == max(table.first_day, date(2010, 1, 1)).isoformat()
    late = partitions_of(table, settings("2024-01-10T12:00:00Z", "2024-01-05"))
    assert late is not None
    assert late.get_partition_keys()[0] == "2024-01-05"


def test_a_snapshot_has_none() -> None:
    assert partitions_of(get("ref_bmunits"), settings()) is None


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-01-03", 24)])
def test_a_partition_is_the_londoners_day(day: str, hours: int) -> None:
    definition = london_days(date(2024, 1, 1), date(2024, 12, 31))
    window = definition.time_window_for_partition_key(day)
    assert window.end.timestamp() - window.start.timestamp() == hours * 3600
    start, end = day_bounds(date.fromisoformat(day))
    assert (window.start.timestamp(), window.end.timestamp()) == (start.timestamp(), end.timestamp())


def test_tables_that_begin_together_share_one_definition() -> None:
    """So that Dagster can put them into one run."""
    here = settings("2024-01-10T12:00:00Z")
    assert partitions_of(get("bmrs_costs"), here) is partitions_of(get("bmrs_indo"), here)


def test_a_home_with_a_scope_has_its_days_and_no_others() -> None:
    """So that nothing is called missing that nobody wants (the demo's home)."""
    first, last = days("2024-01-05", "2024-01-06"), days("2024-01-09")
    scope = {"bmrs_costs": [(first[0], first[-1]), (last[0], date(2024, 2, 1))], "ref_bmunits": [(last[0], last[0])]}
    here = settings("2024-01-09T12:00:00Z")
    found = partitions_of(get("bmrs_costs"), here, scope)
    assert type(found) is dg.DailyPartitionsDefinition  # as live
    assert found.get_partition_keys() == ["2024-01-05", "2024-01-06", "2024-01-09"]
    assert not found.has_partition_key("2024-01-07")
    assert partitions_of(get("ref_bmunits"), here, scope) is None
    nothing = partitions_of(get("bmrs_mid"), here, scope)
    assert nothing is not None
    assert nothing.get_partition_keys() == []
    span = found.get_partition_keys_in_range(dg.PartitionKeyRange("2024-01-05", "2024-01-09"))
    assert span == found.get_partition_keys()
    whole = found.subset_with_partition_keys(span)
    assert whole.get_partition_key_ranges(found) == [dg.PartitionKeyRange("2024-01-05", "2024-01-09")]  # one run
    rest = whole - found.subset_with_partition_keys(["2024-01-06"])
    assert list(rest.get_partition_keys()) == ["2024-01-05", "2024-01-09"]


@given(st.sets(CLOSE_DAY, min_size=1), st.data())
def test_a_scope_with_any_holes_leaves_its_days_in_order(among: set[date], data: st.DataObject) -> None:
    """Over a clock change, and for any set of missing days: what Dagster gives back is what was asked."""
    here, keys = settings("2024-06-01T12:00:00Z"), [d.isoformat() for d in sorted(among)]
    found = partitions_of(get("bmrs_costs"), here, {"bmrs_costs": [(d, d) for d in among]})
    assert found is not None
    assert (found.get_partition_keys(), found.get_num_partitions()) == (keys, len(keys))
    some = sorted(data.draw(st.sets(st.sampled_from(keys))))
    subset = found.subset_with_partition_keys(some)
    assert (sorted(subset.get_partition_keys()), len(subset)) == (some, len(some))
    left = found.subset_with_partition_keys(keys) - subset
    assert sorted(left.get_partition_keys()) == sorted(set(keys) - set(some))


@given(DAYS | CLOSE)
def test_spans_are_exact_apart_and_in_order(wanted: list[date]) -> None:
    found = spans(wanted)
    assert [day for span in found for day in span] == sorted(set(wanted))
    assert all(span == days(span[0].isoformat(), span[-1].isoformat()) for span in found)
    assert all(later[0] - earlier[-1] > timedelta(days=1) for earlier, later in pairwise(found))


@given(st.sets(CLOSE_DAY, min_size=1), st.data())
def test_spans_among_days_are_runs_of_them(among: set[date], data: st.DataObject) -> None:
    keys = sorted(among)
    wanted = data.draw(st.lists(st.sampled_from(keys)))
    found = spans(wanted, keys)
    assert [day for span in found for day in span] == sorted(set(wanted))
    places = [[keys.index(day) for day in span] for span in found]
    assert all(p == list(range(p[0], p[-1] + 1)) for p in places)
    assert all(later[0] - earlier[-1] > 1 for earlier, later in pairwise(places))


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), CLOSE, max_size=4))
def test_together_asks_for_exactly_the_work(work: dict[str, list[date]]) -> None:
    asked: dict[str, list[date]] = {}
    for tables, wanted in together(work):
        for table in tables:
            asked.setdefault(table, []).extend(wanted)
    assert {t: sorted(d) for t, d in asked.items()} == {t: sorted(set(d)) for t, d in work.items() if d}


def test_together_joins_tables_that_want_the_same_days() -> None:
    week, day = days("2024-01-01", "2024-01-07"), days("2024-10-27")
    found = together({"x": week + day, "y": week, "z": day, "w": week + day})
    assert found == [(["w", "x", "y"], week), (["w", "x", "z"], day)]
    assert together({}) == []
    assert together({"x": week + day, "y": day + week}) == [(["x", "y"], week + day)]


def test_together_follows_the_partitions_of_a_scope() -> None:
    far = days("2024-01-01", "2024-01-02") + days("2024-10-27")
    among = {"x": far, "y": far, "z": days("2024-01-01", "2024-01-02")}
    assert together({"x": far, "y": far, "z": far[:2]}, among) == [(["z"], far[:2]), (["x", "y"], far)]
