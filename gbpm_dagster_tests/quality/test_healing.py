"""The healer's decision: attempts, delays, caps, order, bounds, budget (OPS-03..05, decision 19)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue import DATASETS, get
from gbpm_dagster.catalogue.model import Dataset, Tier
from gbpm_dagster.elexon.plan import plan
from gbpm_dagster.quality.healing import (
    HEAL,
    Decision,
    Limits,
    Situation,
    Why,
    decide,
    near_ranges,
    requests_today,
    wait_s,
)
from gbpm_dagster.quality.healing_words import in_one, of_table, short
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.protocol import ATTEMPT_SCHEMA

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
# OPS-04: 1 h, 4 h, 1 d, 3 d, 7 d
LIMITS = Limits((3600, 14_400, 86_400, 259_200, 604_800), max_partitions=200, max_runs=20)
DAY = date(2024, 1, 3)
ALL = tuple(DATASETS.values())


def days(n: int, first: date = DAY) -> list[date]:
    """So many days up to a day."""
    return [first - timedelta(days=k) for k in range(n)]


def cost(dataset: Dataset, wanted: Sequence[date]) -> int:
    ids = {day: ["id"] for day in wanted}
    return len(plan(dataset, wanted, None, ids))


def tries(*rows: tuple[str, date, datetime, str, str], requests: int = 1) -> pl.DataFrame:
    """Attempts as (table, day, at, error_class, reason)."""
    records = [
        {
            "table": t,
            "day": d,
            "at": at,
            "error_class": c,
            "reason": r,
            "outcome": "failed" if c else "empty",
            "requests": requests,
        }
        for t, d, at, c, r in rows
    ]
    return pl.DataFrame(records, schema=ATTEMPT_SCHEMA)


def decided(
    missing: dict[str, list[date]],
    attempts: pl.DataFrame | None = None,
    now: datetime = NOW,
    limits: Limits = LIMITS,
    **more: Any,
) -> Decision:
    return decide(Situation(missing, tries() if attempts is None else attempts, now, **more), ALL, limits, cost)


def test_a_day_never_tried_is_asked_for_at_once() -> None:
    decision = decided({"bmrs_mid": [DAY]})
    assert decision.launch == {"bmrs_mid": [DAY]}
    assert of_table(decision.tables["bmrs_mid"]) == "1 day missing, asking for 1 now (1 request)"
    assert short(decision) == "bmrs_mid: 1 day (1 request)"


def test_waits_grow_as_ops_04_says_and_end_after_five_retries() -> None:
    waits = [1, 4, 24, 72, 168]
    for n, hours in enumerate(waits, start=1):
        log = tries(*[("bmrs_mid", DAY, NOW - k * timedelta(days=30), "", HEAL) for k in range(n)])
        early = decided({"bmrs_mid": [DAY]}, log, NOW + hours * HOUR - timedelta(seconds=1))
        assert early.launch == {}
        assert early.next_at == NOW + hours * HOUR
        assert decided({"bmrs_mid": [DAY]}, log, NOW + hours * HOUR).launch == {"bmrs_mid": [DAY]}
    log = tries(*[("bmrs_mid", DAY, NOW - k * HOUR, "", HEAL) for k in range(6)])
    capped = decided({"bmrs_mid": [DAY]}, log, NOW + timedelta(days=999))
    assert capped.launch == {}
    assert capped.tables["bmrs_mid"].days == {Why.GIVEN_UP: [DAY]}
    assert "given up after the last attempt" in in_one(capped, NOW)


def test_jitter_is_never_shorter_always_the_same_and_parts_tables() -> None:
    limits = Limits(LIMITS.delays_s, 200, 20, jitter=0.1)
    waits = {table: wait_s(table, 2, limits) for table in DATASETS}
    assert all(14_400 <= wait <= 15_840 for wait in waits.values())
    assert waits == {table: wait_s(table, 2, limits) for table in DATASETS}
    assert len(set(waits.values())) == len(waits)


def test_an_outage_uses_up_no_attempt_and_is_probed_with_one_day() -> None:
    """Days that failed while the source was down are asked again however often: after a probe that is answered."""
    down = tries(*[("bmrs_mid", DAY, NOW - timedelta(minutes=k), "transient", HEAL) for k in range(50)])
    waiting = decided({"bmrs_mid": days(9)}, down)
    assert waiting.launch == {}
    assert waiting.source.failures == 50
    assert waiting.next_at == waiting.source.probe_at
    assert "the source is down since 2026-11-01T11:11Z: 50 requests without an answer" in in_one(waiting, NOW)
    assert waiting.next_at is not None
    probing = decided({"bmrs_mid": days(9)}, down, waiting.next_at)
    assert (probing.launch, probing.probe) == ({"bmrs_mid": [DAY]}, True)
    assert short(probing).startswith("probe of a source that is down")
    answered = pl.concat([down, tries(("bmrs_mid", DAY, waiting.next_at, "", HEAL))])
    assert decided({"bmrs_mid": days(9)[1:]}, answered, waiting.next_at).days == 8


def test_a_probe_goes_to_the_table_that_has_waited_longest() -> None:
    """A path that is broken alone must not keep the others from being asked."""
    log = tries(
        ("bmrs_bod", DAY, NOW - 3 * HOUR, "", HEAL),
        *[("bmrs_mid", DAY, NOW - 2 * HOUR + timedelta(minutes=k), "transient", HEAL) for k in range(3)],
    )
    found = decided({"bmrs_mid": [DAY], "bmrs_bod": [DAY]}, log)
    assert found.launch == {"bmrs_bod": [DAY]}


def test_a_path_that_is_down_while_others_answer_is_asked_for_one_day() -> None:
    log = tries(
        *[("bmrs_mid", DAY, NOW - HOUR + timedelta(seconds=k), "transient", HEAL) for k in range(3)],
        ("bmrs_costs", DAY, NOW - timedelta(minutes=50), "", HEAL),
    )
    found = decided({"bmrs_mid": days(5), "bmrs_indo": days(5)}, log)
    assert {table: len(asked) for table, asked in found.launch.items()} == {"bmrs_mid": 1, "bmrs_indo": 5}


def test_a_persons_backfill_is_no_attempt_of_the_healer() -> None:
    log = tries(*[("bmrs_mid", DAY, NOW, "permanent", "backfill") for _ in range(9)])
    assert decided({"bmrs_mid": [DAY]}, log).launch == {"bmrs_mid": [DAY]}


def test_a_thousand_missing_days_give_one_bounded_backfill_newest_first() -> None:
    decision = decided({"bmrs_mid": days(1000)})
    assert decision.days == 200
    assert max(decision.launch["bmrs_mid"]) == DAY
    assert min(decision.launch["bmrs_mid"]) == DAY - timedelta(days=199)
    assert len(decision.tables["bmrs_mid"].days[Why.BOUNDS]) == 800


def test_prices_go_before_the_balancing_mechanism() -> None:
    decision = decided({"bmrs_bod": days(150), "bmrs_costs": days(150)})
    assert len(decision.launch["bmrs_costs"]) == 150
    assert len(decision.launch["bmrs_bod"]) == 50


def test_the_days_budget_is_counted_in_london_and_ends_the_asking_until_midnight() -> None:
    """On 1 July London's day began at 23:00Z. BOD takes one request an hour (OPS-09): 24 a day."""
    now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    rows = [("bmrs_mid", DAY, datetime(2026, 6, 30, h, 30, tzinfo=UTC), "", HEAL) for h in (21, 22, 23)]
    log = tries(*rows, ("bmrs_mid", DAY, now, "", "backfill"), requests=40)
    assert requests_today(log, now) == 40
    limits = Limits(LIMITS.delays_s, 200, 20, requests_a_day=100)
    decision = decided({"bmrs_bod": days(10), "bmrs_costs": days(10)}, log, now, limits)
    assert {t: len(d) for t, d in decision.launch.items()} == {"bmrs_costs": 10, "bmrs_bod": 2}
    assert decision.requests == 10 + 2 * 24 <= 100 - 40
    assert decision.launch["bmrs_bod"] == [DAY - timedelta(days=1), DAY]
    assert decision.tables["bmrs_bod"].until[Why.BUDGET] == datetime(2026, 7, 1, 23, tzinfo=UTC)
    spent = decided({"bmrs_costs": [DAY]}, tries(rows[2], requests=100), now, limits)
    assert spent.launch == {}
    assert "today's 100 requests are used up (GBPM_HEAL_REQUESTS_A_DAY)" in in_one(spent, now)


def test_the_default_budget_is_above_the_daily_need_of_the_standard_tier() -> None:
    """Ten times: a week's outage of every table of core and standard heals within a day."""
    long_day = date(2024, 10, 27)
    need = 0
    for dataset in ALL:
        if dataset.tier in (Tier.CORE, Tier.STANDARD):
            ids = dataset.endpoint.ids
            typical = [str(i) for i in range(DATASETS[ids.table].rows_per_day)] if ids else []
            need += len(plan(dataset, [long_day], None, {long_day: typical}))
    assert 300 < need < 400
    assert Settings.load({}).heal_requests_a_day > 10 * need


def test_ranges_that_complete_days_part_share_a_run() -> None:
    asked = [date(2024, 1, d) for d in (9, 6, 5, 1)]
    complete = {date(2024, 1, d) for d in (7, 8, 3, 4)}  # the 2nd is not
    assert near_ranges(asked, complete, 2) == [asked[:3], asked[3:]]
    assert near_ranges(asked, complete, 1) == [asked[:1], asked[1:3], asked[3:]]
    limits = Limits(LIMITS.delays_s, 200, max_runs=1, join_days=2)
    decision = decided({"bmrs_mid": asked}, limits=limits, complete={"bmrs_mid": complete})
    assert decision.launch == {"bmrs_mid": sorted(asked[:3])}
    assert decision.target == {"bmrs_mid": [date(2024, 1, d) for d in (5, 6, 7, 8, 9)]}


def test_what_a_person_said_goes_first() -> None:
    until = NOW + 5 * HOUR
    decision = decided(
        {"bmrs_mid": days(4)},
        excluded={"bmrs_mid": {DAY}},
        given_up={"bmrs_mid": {DAY - timedelta(days=1)}},
        cancelled={"bmrs_mid": {DAY - timedelta(days=2): until, DAY - timedelta(days=3): NOW - HOUR}},
    )
    found = decision.tables["bmrs_mid"]
    assert [found.days[why] for why in (Why.EXCLUDED, Why.GIVEN_UP, Why.CANCELLED, Why.NOW)] == [
        [day] for day in days(4)
    ]
    assert found.until == {Why.CANCELLED: until}


def test_a_forced_table_waits_for_nothing_but_an_exclusion() -> None:
    log = tries(*[("bmrs_mid", day, NOW, "", HEAL) for day in days(4) for _ in range(9)])
    down = tries(*[("bmrs_mid", DAY, NOW, "transient", HEAL) for _ in range(9)])
    more: dict[str, Any] = {
        "excluded": {"bmrs_mid": {DAY}},
        "given_up": {"bmrs_mid": {DAY - timedelta(days=1)}},
        "cancelled": {"bmrs_mid": {DAY - timedelta(days=2): NOW + HOUR}},
        "forced": {"bmrs_mid"},
    }
    for attempts in (log, down, pl.concat([log, down])):
        assert decided({"bmrs_mid": days(4)}, attempts, **more).launch == {"bmrs_mid": sorted(days(4)[1:])}


def test_what_is_missing_at_the_source_is_asked_again_when_its_turn_comes() -> None:
    log = tries(*[("bmrs_mid", DAY, NOW - HOUR, "", HEAL) for _ in range(9)])
    decision = decided({}, log, again={"bmrs_mid": [DAY]})
    assert decision.launch == {"bmrs_mid": [DAY]}
    assert "1 of them asked again though missing at the source" in of_table(decision.tables["bmrs_mid"])


def test_a_day_whose_entry_was_ended_begins_anew() -> None:
    log = tries(*[("bmrs_mid", DAY, NOW - HOUR, "", HEAL) for _ in range(9)])
    assert decided({"bmrs_mid": [DAY]}, log).launch == {}
    again = decided({"bmrs_mid": [DAY]}, log, forgiven={("bmrs_mid", DAY): NOW})
    assert again.launch == {"bmrs_mid": [DAY]}


def test_a_decision_has_the_same_name_until_something_was_tried() -> None:
    first, again = decided({"bmrs_mid": days(3)}), decided({"bmrs_mid": days(3)}, now=NOW + HOUR)
    assert first.id == again.id
    assert first.id != decided({"bmrs_mid": days(2)}).id
    assert first.id != decided({"bmrs_mid": days(3)}, tries(("bmrs_mid", DAY, NOW, "transient", HEAL))).id


missing_days = st.sets(st.integers(0, 400), min_size=1, max_size=120)


@given(
    missing_days,
    missing_days,
    st.sets(st.integers(0, 400), max_size=300),
    st.integers(1, 60),
    st.integers(1, 12),
    st.integers(0, 300),
    st.integers(0, 4),
)
def test_never_more_than_asked_nor_over_a_bound(
    a: set[int], b: set[int], there: set[int], partitions: int, runs: int, budget: int, join: int
) -> None:
    missing = {t: [DAY + timedelta(days=n) for n in found] for t, found in (("bmrs_mid", a), ("bmrs_bod", b))}
    complete = {t: {DAY + timedelta(days=n) for n in there} - set(missing[t]) for t in missing}
    limits = Limits((1.0,), partitions, runs, budget, join_days=join)
    decision = decided(missing, limits=limits, complete=complete)
    assert decision.days <= partitions
    assert decision.requests <= budget
    assert (decision.days > 0) == (budget > 0)
    ranges, needed = 0, 0
    for table, asked in decision.target.items():
        chosen = decision.launch[table]
        assert set(chosen) <= set(missing[table])
        assert set(asked) - set(chosen) <= complete[table]
        ranges += 1 + sum(y - x != timedelta(days=1) for x, y in pairwise(asked))
        needed += cost(get(table), chosen)
    assert ranges <= runs
    assert needed <= decision.requests
    for table, found in decision.tables.items():
        assert sorted(day for some in found.days.values() for day in some) == sorted(missing[table])


@pytest.mark.parametrize("why", list(Why))
def test_every_class_of_days_has_words(why: Why) -> None:
    decision = decided({"bmrs_mid": [DAY]})
    found = decision.tables["bmrs_mid"]
    found.days = {why: [DAY]}
    text = of_table(found)
    assert text.startswith("1 day missing, asking for ")
    assert why is Why.NOW or text.count(",") == 2
