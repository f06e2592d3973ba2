"""What is told and when (OPS-82): once, reminders, recovery; grouped; muted; after the healer had its time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.alerts.engine import (
    AT_SOURCE,
    CHECK,
    FAIL,
    FRESHNESS,
    GIVEN_UP,
    OK,
    RAISED,
    RECOVERED,
    REMINDER,
    RUN,
    WARN,
    Alert,
    Finding,
    Notice,
    Policy,
    advance,
)
from gbpm_dagster.alerts.words import LISTED, subject, text
from gbpm_dagster_tests.quality.helpers import utc

START = utc("2024-07-02 08:00")
POLICY = Policy(FAIL, wait=timedelta(minutes=30), remind=timedelta(hours=6), cooldown=timedelta())


class Watch:
    """Looks every so often, each look a new judgement of each subject."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy, self.now, self.looks = policy, START, 0
        self.alerts: Mapping[str, Alert] = {}
        self.muted: set[str] = set()

    def look(
        self, values: Mapping[str, float | None], kind: str = FRESHNESS, after: timedelta = timedelta(minutes=15)
    ) -> list[tuple[str, list[str]]]:
        self.now += after
        self.looks += 1
        found = [
            Finding(f"{kind}/{s}", kind, s, v, self.now, str(self.looks), f"{s} is bad", f"gbpm check {s}")
            for s, v in values.items()
        ]
        return self.again(found)

    def again(self, found: list[Finding]) -> list[tuple[str, list[str]]]:
        self.alerts, notices = advance(self.alerts, found, self.now, self.policy, self.muted)
        return [(n.event, [a.subject for a in n.alerts]) for n in notices]


def test_a_stale_table_is_told_after_two_failures_once_reminded_and_recovers_after_two() -> None:
    watch, table = Watch(), "bmrs_freq"
    assert watch.look({table: FAIL}) == []
    assert watch.look({table: FAIL}) == [(RAISED, [table])]
    for _ in range(23):  # to 5 h 45 min after it was told
        assert watch.look({table: FAIL}) == []
    assert watch.look({table: FAIL}) == [(REMINDER, [table])]
    assert watch.look({table: OK}) == []
    assert watch.look({table: WARN}) == []  # a warning is no recovery: ok is (domain.md 8.1)
    assert watch.look({table: OK}) == []
    assert watch.look({table: OK}) == [(RECOVERED, [table])]
    assert watch.look({table: OK}) == []


def test_the_same_judgement_looked_at_again_counts_once() -> None:
    watch = Watch()
    one = Finding("freshness/bmrs_freq", FRESHNESS, "bmrs_freq", FAIL, START, "17")
    assert [watch.again([one]) for _ in range(5)] == [[]] * 5
    assert watch.look({"bmrs_freq": FAIL}) == [(RAISED, ["bmrs_freq"])]


def test_many_tables_are_one_message() -> None:
    watch, tables = Watch(), [f"bmrs_{n:03}" for n in range(151)]
    watch.look(dict.fromkeys(tables, FAIL))
    assert watch.look(dict.fromkeys(tables, FAIL)) == [(RAISED, tables)]
    watch.look(dict.fromkeys(tables, OK))
    assert watch.look(dict.fromkeys(tables, OK)) == [(RECOVERED, tables)]


def test_what_the_healer_mends_within_the_wait_is_never_told() -> None:
    watch = Watch()
    assert watch.look({"bmrs_mid": FAIL}, CHECK) == []
    assert watch.look({"bmrs_mid": OK}, CHECK) == []
    assert watch.look({"bmrs_mid": OK}, CHECK, timedelta(hours=3)) == []


def test_what_lasts_is_told_without_a_new_judgement() -> None:
    """The next gap check comes tomorrow; nobody waits that long for the news."""
    watch = Watch()
    assert watch.look({"bmrs_mid": FAIL}, CHECK) == []
    watch.now += timedelta(minutes=29)
    assert watch.again([]) == []
    watch.now += timedelta(minutes=1)
    assert watch.again([]) == [(RAISED, ["bmrs_mid"])]
    assert watch.look({"bmrs_mid": WARN}, CHECK) == [(RECOVERED, ["bmrs_mid"])]  # known now: a warning


def test_a_failed_run_is_told_at_once_and_never_again() -> None:
    watch = Watch()
    assert watch.look({"upkeep": FAIL}, RUN) == [(RAISED, ["upkeep"])]
    assert watch.look({"upkeep": FAIL}, RUN, timedelta(days=1)) == []
    assert watch.look({"upkeep": OK}, RUN) == [(RECOVERED, ["upkeep"])]
    assert watch.look({"upkeep": FAIL}, RUN) == [(RAISED, ["upkeep"])]
    watch.now += timedelta(days=8)
    assert watch.again([]) == []
    assert not watch.alerts


def test_a_gap_given_up_is_reminded_one_at_the_source_is_not() -> None:
    watch = Watch()
    assert watch.look({"a": FAIL}, GIVEN_UP) == [(RAISED, ["a"])]
    assert watch.look({"b": FAIL}, AT_SOURCE) == [(RAISED, ["b"])]
    assert watch.look({}, after=timedelta(hours=6)) == [(REMINDER, ["a"])]


def test_a_muted_table_tells_nothing_and_its_state_goes_on() -> None:
    watch = Watch()
    watch.muted = {"bmrs_freq"}
    watch.look({"bmrs_freq": FAIL, "bmrs_mid": FAIL})
    assert watch.look({"bmrs_freq": FAIL, "bmrs_mid": FAIL}) == [(RAISED, ["bmrs_mid"])]
    assert watch.alerts["freshness/bmrs_freq"].latch.on
    watch.muted = set()
    assert watch.look({"bmrs_freq": FAIL, "bmrs_mid": FAIL}) == [(RAISED, ["bmrs_freq"])]
    watch.muted = {"bmrs_freq"}
    watch.look({"bmrs_freq": OK})
    assert watch.look({"bmrs_freq": OK}) == []
    watch.muted = set()
    assert watch.look({"bmrs_freq": OK}) == []


def test_a_cooldown_suppresses_messages_never_state() -> None:
    watch = Watch(Policy(cooldown=timedelta(hours=2)))
    watch.look({"t": FAIL}, RUN)
    watch.look({"t": OK}, RUN)
    assert watch.look({"t": FAIL}, RUN) == []
    assert watch.alerts["run/t"].latch.on
    assert watch.look({"t": OK}, RUN) == []
    assert not watch.alerts["run/t"].latch.on
    assert watch.look({"t": FAIL}, RUN) == []
    assert watch.look({"t": FAIL}, RUN, timedelta(hours=1)) == [(RAISED, ["t"])]


def test_warnings_are_told_where_they_are_wanted() -> None:
    quiet, eager = Watch(), Watch(Policy(WARN, wait=timedelta()))
    assert [quiet.look({"t": WARN}), quiet.look({"t": WARN})] == [[], []]
    assert [eager.look({"t": WARN}), eager.look({"t": WARN})] == [[], [(RAISED, ["t"])]]


def test_what_is_not_known_changes_nothing() -> None:
    watch = Watch()
    watch.look({"t": FAIL})
    assert watch.look({"t": None}) == []
    assert watch.look({"t": FAIL}) == [(RAISED, ["t"])]
    assert [watch.look({"t": None}) for _ in range(4)] == [[]] * 4


def test_the_message_says_what_which_since_when_what_next_and_the_version() -> None:
    alert = Alert("freshness/bmrs_freq", FRESHNESS, "bmrs_freq", since=START, what="26 h old", next_step="do this")
    notice = Notice("1", RAISED, START + timedelta(hours=1), (alert,))
    assert subject(notice) == "1 stale table: bmrs_freq"
    said = text(notice, "1.2.3", "/home/x/.gbpm")
    for part in (
        "bmrs_freq",
        "26 h old",
        "since 2024-07-02 08:00 UTC",
        "next: do this",
        "gbpm 1.2.3",
        "/home/x/.gbpm",
    ):
        assert part in said
    over = text(Notice("2", RECOVERED, START, (alert,)), "1.2.3", "x")
    assert "recovered" in over and "next:" not in over
    many = Notice("3", RAISED, START, tuple(Alert(f"run/{n}", RUN, str(n)) for n in range(LISTED + 5)))
    assert subject(many) == "45 failed runs"
    assert "and 5 more: gbpm alerts list" in text(many, "1", "x")


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([OK, WARN, FAIL, None])), max_size=60))
def test_of_each_subject_raise_and_recovery_take_turns(series: list[tuple[str, float | None]]) -> None:
    watch = Watch(Policy(remind=timedelta(hours=1), cooldown=timedelta(minutes=40)))
    told: dict[str, list[str]] = {}
    for name, value in series:
        for event, names in watch.look({name: value}):
            for each in names:
                told.setdefault(each, []).append(event)
    for events in told.values():
        turns = [e for e in events if e != REMINDER]
        assert turns == [RAISED if i % 2 == 0 else RECOVERED for i in range(len(turns))]
        assert events[0] == RAISED
        assert all(events[i - 1] != RECOVERED for i, e in enumerate(events) if e == REMINDER and i)
    for name, alert in watch.alerts.items():
        last = [e for e in told.get(name.partition("/")[2], []) if e != REMINDER][-1:]
        assert alert.told == (last == [RAISED])


@pytest.mark.parametrize("minimum", [WARN, FAIL])
@pytest.mark.parametrize("kind", [CHECK, FRESHNESS, RUN])
def test_every_rule_makes_sense(kind: str, minimum: float) -> None:
    rule = Policy(minimum).rule(kind)
    assert rule.raises(FAIL) and rule.clears(OK) and rule.raises(WARN) == (minimum == WARN)


def test_ids_differ_by_event_time_and_alerts_and_by_nothing_else() -> None:
    first, second = Watch(), Watch()
    for watch in (first, second):
        watch.look({"t": FAIL}, RUN)
    ids = [advance(w.alerts, [], w.now + timedelta(hours=7), POLICY)[1] for w in (first, second)]
    assert ids[0] == ids[1]
    times: list[datetime] = [START, START + timedelta(hours=1)]
    finding = Finding("run/t", RUN, "t", FAIL, START, "1")
    assert len({advance({}, [finding], now, POLICY)[1][0].id for now in times}) == 2
