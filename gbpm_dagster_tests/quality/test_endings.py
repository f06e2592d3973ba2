"""How gaps end: missing at the source with evidence (OPS-06, OPS-07, decision 7), given up, asked again, resolved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue import get
from gbpm_dagster.quality.coverage import coverage
from gbpm_dagster.quality.endings import HEALER, Rules, due_again, endings, forgiven, next_ask
from gbpm_dagster.quality.healing import HEAL
from gbpm_dagster.quality.register import Entry, Status, new_entry
from gbpm_dagster.warehouse.protocol import KNOWN_GAP_SCHEMA
from gbpm_dagster_tests.quality.helpers import answer, attempt, attempts, evidence, slots_of, utc

MID = get("bmrs_mid")
DAY = date(2024, 1, 3)
NOW = utc("2024-01-20 12:00")
WEEK = timedelta(days=7)
RUNS = [utc("2024-02-20 05:00"), utc("2024-05-20 05:00"), utc("2024-09-20 05:00")]
RULES = Rules(cap=2, week_s=WEEK.total_seconds(), runs_due=lambda day: RUNS)


def register(*entries: Entry) -> pl.DataFrame:
    return pl.DataFrame([e.row() for e in entries], schema=KNOWN_GAP_SCHEMA)


def tried(*at: datetime, outcome: str = "empty", **more: Any) -> list[dict[str, Any]]:
    said = {"reason": HEAL, "content_hash": "e3b0", "rows": 0, "requests": 1, "run_id": "run", **more}
    return [attempt(MID, DAY, instant, outcome, **said) for instant in at]


def ended(
    rows: Sequence[dict[str, Any]], known: pl.DataFrame | None = None, now: datetime = NOW, held: bool = True
) -> list[Entry]:
    """The endings of one empty day whose neighbour (held) has rows, judged by coverage itself."""
    stored = [answer(MID, DAY, rows[-1]["at"])] if rows else []
    stored += [answer(MID, DAY + timedelta(days=1), NOW, slots_of(DAY + timedelta(days=1), 2))] if held else []
    tries, there, before = attempts(*rows), evidence(*stored), register() if known is None else known
    states = coverage(MID, [DAY], there, tries, now, register=before.filter(pl.col("status") == "resolved"))
    return endings(MID, states, tries, there, before, now, RULES)


FIRST, SECOND = utc("2024-01-10 08:00"), utc("2024-01-11 08:00")


def test_two_empty_answers_a_day_apart_and_a_control_enter_the_register_with_their_evidence() -> None:
    (entry,) = ended(tried(FIRST, SECOND))
    assert (entry.table, entry.first, entry.last) == ("bmrs_mid", DAY, DAY)
    assert (entry.status, entry.by, entry.since) == (Status.MISSING_AT_SOURCE, HEALER, NOW)
    assert entry.retry_at == NOW + WEEK
    said = json.loads(entry.evidence)
    assert said["requests"] == ["/datasets/MID?from=2024-01-03T00:00Z&to=2024-01-04T00:00Z"]
    assert said["status"] == 200
    assert said["first_answer"] == FIRST.isoformat()
    assert [(a["at"], a["outcome"], a["content_hash"]) for a in said["answers"]] == [
        (FIRST.isoformat(), "empty", "e3b0"),
        (SECOND.isoformat(), "empty", "e3b0"),
    ]
    assert said["control"] == {"day": "2024-01-04", "rows": 96}
    assert ended(tried(FIRST, SECOND), register(entry)) == [], "said twice it is one entry"


@pytest.mark.parametrize(
    "rows",
    [
        tried(FIRST, SECOND - timedelta(seconds=1)),
        tried(FIRST),
        tried(utc("2024-01-04 08:00"), utc("2024-01-05 09:00")),  # MID: missing 48 h after the hour it is due
        [*tried(FIRST), *tried(SECOND, outcome="failed", error_class="transient")],
    ],
    ids=["sooner than a day", "once", "before it counted as missing", "the second failed"],
)
def test_less_than_the_proof_enters_nothing(rows: list[dict[str, Any]]) -> None:
    assert ended(rows) == []


def test_without_a_control_the_attempts_run_out_and_a_person_is_needed() -> None:
    assert ended(tried(FIRST, SECOND), held=False) == []
    (entry,) = ended(tried(FIRST, SECOND, SECOND + WEEK), held=False)
    assert (entry.status, entry.retry_at) == (Status.GIVEN_UP, None)
    assert entry.reason.startswith("still missing after 3 attempts: ")
    assert json.loads(entry.evidence)["control"] is None


def test_an_outage_never_gives_a_day_up() -> None:
    failed = tried(*(FIRST + timedelta(hours=n) for n in range(99)), outcome="failed", error_class="transient")
    assert ended(failed) == []


def test_a_filled_day_ends_its_entry() -> None:
    (entry,) = ended(tried(FIRST, SECOND))
    full = answer(MID, DAY, NOW, slots_of(DAY, 2))
    tries, there = attempts(*tried(FIRST, SECOND)), evidence(full)
    states = coverage(MID, [DAY], there, tries, NOW)
    (resolved,) = endings(MID, states, tries, there, register(entry), NOW, RULES)
    assert (resolved.id, resolved.status, resolved.reason) == (entry.id, Status.RESOLVED, "the day is complete")
    assert json.loads(resolved.evidence)["was"] == "missing_at_source"


def test_some_rows_after_all_make_it_a_gap_again() -> None:
    (entry,) = ended(tried(FIRST, SECOND))
    tries = attempts(*tried(FIRST, SECOND))
    there = evidence(answer(MID, DAY, NOW, [{"date": DAY, "period": 1, "rows": 1}]))
    states = coverage(MID, [DAY], there, tries.clear(), NOW)
    (resolved,) = endings(MID, states, tries, there, register(entry), NOW, RULES)
    assert resolved.status is Status.RESOLVED
    assert resolved.reason.startswith("no longer proved: ")


def test_it_is_asked_again_weekly_for_four_weeks_then_at_each_settlement_run_then_no_more() -> None:
    """domain.md 2.3."""
    rows = tried(FIRST, SECOND)
    (entry,) = ended(rows)
    found = []
    while entry.retry_at is not None:
        found.append(entry.retry_at)
        assert due_again(register(entry), entry.retry_at - timedelta(seconds=1)) == {}
        assert due_again(register(entry), entry.retry_at) == {"bmrs_mid": [DAY]}
        asked = entry.retry_at + timedelta(minutes=5)
        assert ended(rows, register(entry), asked) == [], "its turn has come and it was not asked yet"
        rows = [*rows, *tried(asked)]
        (entry,) = ended(rows, register(entry), asked + timedelta(minutes=1))
    weeks = [at for at in found if at < RUNS[0]]
    assert len(weeks) == 4
    assert all(timedelta() <= at - (NOW + n * WEEK) < timedelta(hours=1) for n, at in enumerate(weeks, 1))
    assert found[4:] == RUNS


def test_a_person_is_not_overruled() -> None:
    """What a person excluded or called missing gets no entry of the healer's."""
    for status in (Status.EXCLUDED, Status.MISSING_AT_SOURCE):
        said = new_entry("bmrs_mid", DAY - WEEK, None, status, "so it is", "person", NOW)
        assert ended(tried(FIRST, SECOND), register(said)) == []


def test_an_ended_entry_lets_the_day_begin_anew() -> None:
    rows = tried(FIRST, SECOND, SECOND + WEEK)
    (given_up,) = ended(rows, held=False)
    reopened = given_up.resolved("person", NOW)
    assert forgiven(register(reopened), "bmrs_mid", [DAY, DAY + WEEK]) == {("bmrs_mid", DAY): NOW}
    assert ended(rows, register(reopened), held=False) == []
    later = [NOW + timedelta(days=n) for n in (1, 2, 3)]
    (again,) = ended([*rows, *tried(*later)], register(reopened), NOW + WEEK, held=False)
    assert again.status is Status.GIVEN_UP


def test_a_note_ends_when_every_day_of_it_is_complete() -> None:
    note = new_entry("bmrs_mid", DAY, DAY + timedelta(days=1), Status.SUSPECTED, "seen", "seed", NOW)
    days = [DAY, DAY + timedelta(days=1)]
    there = evidence(*(answer(MID, day, NOW, slots_of(day, 2)) for day in days))
    for wanted, expected in ((days[:1], []), (days, [Status.RESOLVED])):
        states = coverage(MID, wanted, there, attempts(), NOW)
        found = endings(MID, states, attempts(), there, register(note), NOW, RULES)
        assert [entry.status for entry in found] == expected


@given(st.lists(st.integers(0, 10_000), max_size=6), st.integers(0, 400), st.integers(1, 30), st.integers(0, 9))
def test_the_next_asking_is_always_later_than_now(run_hours: list[int], day: int, week_days: int, asked: int) -> None:
    now = NOW + timedelta(days=day)
    due = [NOW + timedelta(hours=h) for h in run_hours]
    found = next_ask(asked, now, timedelta(days=week_days).total_seconds(), due)
    assert found is None or found > now
    if found is None:
        assert all(at <= now for at in due)
    assert asked >= 4 or found == now + timedelta(days=week_days)


def test_a_machine_that_was_off_for_the_four_weeks_still_asks_four_times() -> None:
    rows = tried(FIRST, SECOND)
    (entry,) = ended(rows)
    back = NOW + 10 * WEEK
    for n in range(4):
        asked = back + n * WEEK
        rows = [*rows, *tried(asked)]
        (entry,) = ended(rows, register(entry), asked + timedelta(minutes=1))
        late = [at for at in RUNS if at > asked + timedelta(minutes=1)]
        due = asked + timedelta(minutes=1) + WEEK if n < 3 else min(late, default=None)
        assert entry.retry_at == due
