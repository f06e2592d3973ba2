"""The register's rules: strongest, overlap, open ends, reopening; and what they make of a day's state."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.quality.coverage import COVERAGE_SCHEMA, coverage
from gbpm_dagster.quality.gaps import check_gaps
from gbpm_dagster.quality.register import (
    Entry,
    Status,
    entries,
    entry_id,
    excluded_days,
    known_days,
    new_entry,
    overlapping,
    reopened,
)
from gbpm_dagster.quality.result import ERROR, WARN, CheckResult
from gbpm_dagster.quality.states import State
from gbpm_dagster.warehouse.protocol import KNOWN_GAP_SCHEMA
from gbpm_dagster_tests.quality.helpers import answer, attempt, attempts, evidence, slots_of, utc

MID = DATASETS["bmrs_mid"]
NOW = utc("2024-03-01 00:00")
FIRST = date(2024, 1, 1)
ORDER = ["excluded", "missing_at_source", "given_up", "suspected"]  # the brief's, strongest first


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def entry(first: int, last: int | None, status: str = "suspected", table: str = "bmrs_mid", **more: object) -> Entry:
    end = None if last is None else day(last)
    made = new_entry(table, day(first), end, Status(status), "said so", "person", NOW)
    return made if not more else Entry(**{**made.row(), "status": Status(status), **more})  # type: ignore[arg-type]


def register(*found: Entry) -> pl.DataFrame:
    return pl.DataFrame([e.row() for e in found], schema=KNOWN_GAP_SCHEMA, orient="row")


# entries


def test_an_entry_survives_its_row() -> None:
    one, two = entry(0, 3, "excluded"), entry(5, None)
    assert entries(register(one, two)) == [one, two]
    assert entries(register(one), "bmrs_freq") == []
    assert [e.span for e in (one, two, entry(2, 2))] == ["2024-01-01 to 2024-01-04", "2024-01-06 on", "2024-01-03"]


def test_said_twice_it_is_one_entry_and_anything_else_is_another() -> None:
    args = ("bmrs_mid", day(0), day(1), "person")
    assert entry_id(*args) == entry_id(*args)
    others = [
        ("bmrs_freq", day(0), day(1), "person"),
        ("bmrs_mid", day(1), day(1), "person"),
        ("bmrs_mid", day(0), None, "person"),
        ("bmrs_mid", day(0), day(1), "healer"),
    ]
    assert len({entry_id(*args), *(entry_id(*o) for o in others)}) == 5


def test_another_state_keeps_what_is_not_said_and_adds_to_the_evidence() -> None:
    later = NOW + timedelta(days=1)
    made = new_entry("bmrs_mid", day(0), None, Status.SUSPECTED, "why", "seed", NOW, evidence={"line": 7})
    lost = made.become(Status.MISSING_AT_SOURCE, "healer", later, evidence={"answers": 2}, recoverable=False)
    assert (lost.id, lost.since, lost.changed_at, lost.reason) == (made.id, NOW, later, "why")
    assert (lost.by, lost.recoverable, lost.evidence) == ("healer", False, '{"line": 7, "answers": 2}')
    over = lost.resolved("person", later, "look again")
    assert (over.status, over.reason, over.recoverable) == (Status.RESOLVED, "look again", False)
    assert over.evidence == '{"line": 7, "answers": 2, "was": "missing_at_source"}'


# rules, held against reading entry by entry and day by day

_spans = st.tuples(st.integers(0, 12), st.none() | st.integers(0, 6)).map(
    lambda s: (s[0], None if s[1] is None else s[0] + s[1])
)
_entries = st.lists(
    st.tuples(_spans, st.sampled_from([*ORDER, "resolved"]), st.sampled_from(["bmrs_mid", "bmrs_freq"]),
              st.integers(0, 3)),
    max_size=8,
)  # fmt: skip


def made(drawn: list[tuple[tuple[int, int | None], str, str, int]]) -> list[Entry]:
    return [
        entry(*span, status, table, id=f"{n}", changed_at=NOW + timedelta(hours=hours))
        for n, (span, status, table, hours) in enumerate(drawn)
    ]


def covers(e: Entry, d: date) -> bool:
    return e.first <= d <= (e.last or date.max)


@given(_entries, st.sets(st.integers(-3, 20)))
def test_the_strongest_entry_of_a_day_counts_and_of_equals_the_newest(
    drawn: list[tuple[tuple[int, int | None], str, str, int]], asked: set[int]
) -> None:
    all_, days = made(drawn), {day(n) for n in asked}
    found = known_days(register(*all_), "bmrs_mid", days)
    for d in days:
        rivals = [e for e in all_ if e.table == "bmrs_mid" and covers(e, d) and e.status != "resolved"]
        if not rivals:
            assert d not in found
            continue
        strongest = min(ORDER.index(e.status) for e in rivals)
        equals = [e for e in rivals if ORDER.index(e.status) == strongest]
        newest = max(e.changed_at for e in equals)
        assert found[d] in [e for e in equals if e.changed_at == newest]
    assert set(found) <= days
    assert excluded_days(register(*all_), "bmrs_mid", days) == {d for d, e in found.items() if e.status == "excluded"}


@given(_entries)
def test_the_order_of_the_register_changes_nothing(drawn: list[tuple[tuple[int, int | None], str, str, int]]) -> None:
    all_, days = made(drawn), [day(n) for n in range(20)]
    assert known_days(register(*all_), "bmrs_mid", days) == known_days(register(*all_[::-1]), "bmrs_mid", days)


@given(_spans, _spans)
def test_two_entries_overlap_when_they_share_a_day(one: tuple[int, int | None], two: tuple[int, int | None]) -> None:
    a, b = entry(*one, "excluded", id="a"), entry(*two, "excluded", id="b")
    shared = any(covers(a, day(n)) and covers(b, day(n)) for n in range(40))
    assert overlapping(register(b), a) == ([b] if shared else [])
    assert a.overlaps(b.first, b.last) == b.overlaps(a.first, a.last) == shared


def test_only_entries_of_the_same_table_and_status_and_never_itself_overlap() -> None:
    one = entry(0, 5, "excluded")
    others = [one, entry(0, 5, "suspected", id="b"), entry(0, 5, "excluded", "bmrs_freq"), entry(6, 9, "excluded")]
    assert overlapping(register(*others), one) == []


# what coverage and the gap check make of it


def judged(days: int, *known: Entry, tries: pl.DataFrame | None = None, held: tuple[int, ...] = ()) -> pl.DataFrame:
    there = evidence(*(answer(MID, day(n), NOW, slots_of(day(n), 2)) for n in held))
    wanted = [day(n) for n in range(days)]
    frame = coverage(MID, wanted, there, attempts() if tries is None else tries, NOW, register=register(*known))
    assert frame.schema == pl.Schema(COVERAGE_SCHEMA)
    return frame


def checked(days: int, *known: Entry, held: tuple[int, ...] = ()) -> CheckResult:
    return check_gaps(MID, judged(days, *known, held=held))


@pytest.mark.parametrize(
    ("status", "state"),
    [("excluded", "excluded"), ("missing_at_source", "missing_at_source"), ("given_up", "missing"),
     ("suspected", "missing"), ("resolved", "missing")],
)  # fmt: skip
def test_the_state_of_a_day_that_is_not_there(status: str, state: str) -> None:
    one = entry(0, 0, status)
    row = judged(1, one).row(0, named=True)
    assert row["state"] == state
    if status == "resolved":
        assert (row["known"], row["known_as"], row["reason"]) == (None, None, "never asked")
    else:
        assert (row["known"], row["known_as"]) == (status, f"{one.id}: said so")
        assert row["reason"] == f"never asked; {status.replace('_', ' ')} ({one.id}: said so)"


def test_a_complete_day_needs_no_entry_and_other_tables_say_nothing() -> None:
    rows = judged(2, entry(0, 0, "excluded"), entry(0, None, "excluded", "bmrs_freq"), held=(0,)).rows(named=True)
    assert [(r["state"], r["known"]) for r in rows] == [("complete", None), ("missing", None)]


def test_excluded_and_lost_days_pass_and_are_listed() -> None:
    out, lost = entry(1, 2, "excluded"), entry(3, 3, "missing_at_source")
    result = checked(5, out, lost, held=(0, 4))
    assert (result.passed, result.missing) == (True, ())
    assert result.summary == "2 of 5 days complete: 1 missing at source, 2 excluded"
    assert result.details["known"] == [
        {"from": "2024-01-02", "to": "2024-01-03", "days": 2, "status": "excluded", "state": "excluded",
         "entry": f"{out.id}: said so"},
        {"from": "2024-01-04", "to": "2024-01-04", "days": 1, "status": "missing_at_source",
         "state": "missing_at_source", "entry": f"{lost.id}: said so"},
    ]  # fmt: skip


def test_known_failing_days_stay_missing_and_only_warn() -> None:
    note = entry(1, None, "given_up")
    result = checked(3, note, held=(0,))
    assert (result.passed, result.severity, result.missing) == (False, WARN, (day(1), day(2)))
    assert result.summary == (
        f"1 of 3 days complete: 2 missing; first 2024-01-02: never asked; given up ({note.id}: said so); "
        "all known to the register"
    )
    assert result.details["known"][0]["status"] == "given_up"


def test_one_day_nobody_knows_of_makes_it_an_error() -> None:
    note = entry(1, 1)
    result = checked(3, note, held=())
    assert (result.passed, result.severity, result.missing) == (False, ERROR, (day(0), day(1), day(2)))
    assert "; 1 of them known to the register" in result.summary
    assert [(r["from"], r["to"]) for r in result.details["ranges"]] == [
        ("2024-01-01", "2024-01-01"), ("2024-01-02", "2024-01-02"), ("2024-01-03", "2024-01-03"),
    ]  # fmt: skip


def test_a_table_without_entries_says_nothing_of_the_register() -> None:
    result = checked(2, held=(0,))
    assert "known" not in result.details and "register" not in result.summary


def answers(*at: datetime) -> pl.DataFrame:
    return attempts(*(attempt(MID, day(1), t, "empty") for t in at))


def lost_day(*known: Entry, tries: pl.DataFrame) -> str:
    empty = answer(MID, day(1), tries["at"].max(), [])
    there = evidence(answer(MID, day(0), NOW, slots_of(day(0), 2)), empty)
    frame = coverage(MID, [day(1)], there, tries, NOW + timedelta(days=9), register=register(*known))
    return str(frame["state"][0])


def test_a_person_opens_a_day_again_and_two_new_answers_are_needed() -> None:
    """The proof of decision 7 stays until a person ends the entry; answers from before then count no more."""
    tries = answers(NOW - timedelta(days=2), NOW - timedelta(days=1))
    entry_ = entry(1, 1, "missing_at_source", changed_at=NOW - timedelta(hours=1))
    assert lost_day(tries=tries) == lost_day(entry_, tries=tries) == "missing_at_source"
    over = entry_.resolved("person", NOW)
    assert reopened(register(over), "bmrs_mid", [day(0), day(1)]) == {day(1): NOW}
    assert lost_day(over, tries=tries) == "missing"
    again = pl.concat([tries, answers(NOW + timedelta(hours=1))])
    assert lost_day(over, tries=again) == "missing"
    again = pl.concat([again, answers(NOW + timedelta(hours=25))])
    assert lost_day(over, tries=again) == "missing_at_source"


def test_only_a_persons_end_of_that_status_opens_days() -> None:
    tries = answers(NOW - timedelta(days=2), NOW - timedelta(days=1))
    by_healer = entry(1, 1, "missing_at_source").resolved("healer", NOW)
    other = entry(1, 1, "suspected").resolved("person", NOW)
    assert lost_day(by_healer, other, tries=tries) == "missing_at_source"


def test_a_partial_day_that_is_excluded_passes() -> None:
    held = evidence(answer(MID, day(0), NOW, slots_of(day(0), 2, without=[7])))
    frame = coverage(MID, [day(0)], held, attempts(), NOW, register=register(entry(0, 0, "excluded")))
    assert frame["state"].to_list() == [State.EXCLUDED]
    assert check_gaps(MID, frame).passed
