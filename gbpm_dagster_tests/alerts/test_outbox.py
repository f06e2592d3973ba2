"""At least once, once a key, in order: over faults, restarts and kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.alerts.channels import ChannelError, Sender, Webhook
from gbpm_dagster.alerts.engine import (
    FAIL,
    FRESHNESS,
    OK,
    RAISED,
    RECOVERED,
    RUN,
    Alert,
    Finding,
    Notice,
    Policy,
    advance,
)
from gbpm_dagster.alerts.outbox import KEPT_FOR, Outbox, Round
from gbpm_dagster_tests.alerts.servers import RESET, Hook, hook
from gbpm_dagster_tests.quality.helpers import utc

START = utc("2024-07-02 08:00")
MINUTE, BUDGET = timedelta(minutes=1), timedelta(seconds=30)
POLICY = Policy(wait=timedelta(), cooldown=timedelta())


class House:
    """An outbox file, a clock, and looks at one job that fails or ends well. Each look opens the file anew."""

    def __init__(self, file: Path, *channels: object) -> None:
        self.file, self.channels, self.now, self.looks = file, channels, START, 0

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.file)

    def look(self, **values: float) -> Sequence[Notice]:
        self.looks += 1
        found = [Finding(f"run/{s}", RUN, s, v, self.now, str(self.looks)) for s, v in values.items()]

        def change(
            alerts: Mapping[str, Alert], muted: Collection[str]
        ) -> tuple[Mapping[str, Alert], Sequence[Notice]]:
            return advance(alerts, found, self.now, POLICY, muted)

        return self.outbox.change(change, [c.name for c in self.channels], self.now)  # type: ignore[attr-defined]

    def deliver(self, after: timedelta = timedelta()) -> Round:
        self.now += after
        return self.outbox.deliver(self.channels, lambda: self.now, BUDGET)  # type: ignore[arg-type]


def to(at: Hook, name: str = "webhook") -> Webhook:
    return Webhook(Sender("1.2.3", "x"), at.url, timeout_s=2, name=name)


def events(at: Hook) -> list[str]:
    return [post.body["event"] for post in at.posts]


def test_a_message_is_sent_once_and_states_survive_a_restart(tmp_path: Path) -> None:
    with hook() as at:
        house = House(tmp_path / "state" / "alerts.sqlite", to(at))
        house.look(upkeep=FAIL)
        assert house.deliver() == Round(sent=1)
        house.look(upkeep=FAIL)
        assert house.deliver(MINUTE) == Round()
        house.look(upkeep=OK)
        assert house.deliver(MINUTE) == Round(sent=1)
    assert events(at) == [RAISED, RECOVERED]
    assert [m.sent_at for m in house.outbox.messages()] == [START, START + 2 * MINUTE]


def test_the_raise_comes_before_the_recovery_however_often_it_fails(tmp_path: Path) -> None:
    with hook(500, RESET, (429, 600), 503) as at:
        house = House(tmp_path / "a.sqlite", to(at))
        house.look(upkeep=FAIL)
        first = house.deliver()
        assert (first.sent, first.waiting) == (0, 1)
        assert first.errors == ("webhook: 127.0.0.1 answered 500: refused /***",)
        house.look(upkeep=OK)
        assert house.deliver() == Round(waiting=2)  # the recovery waits behind the raise, the raise for its minute
        assert house.deliver(MINUTE).waiting == 2
        assert house.deliver(2 * MINUTE).waiting == 2
        assert house.deliver(9 * MINUTE) == Round(waiting=2)  # it was told to wait for ten
        assert house.deliver(MINUTE).waiting == 2
        assert house.deliver(8 * MINUTE) == Round(sent=2)
    assert events(at) == [RAISED, RECOVERED]
    assert len({p.key for p in at.seen}) == 2
    assert [m.tries for m in house.outbox.messages()] == [5, 1]


def test_a_channel_that_fails_does_not_hold_up_another(tmp_path: Path) -> None:
    with hook(*[500] * 9) as bad, hook() as good:
        house = House(tmp_path / "a.sqlite", to(bad, "slack"), to(good))
        house.look(upkeep=FAIL)
        assert house.deliver().sent == 1
        assert house.deliver(timedelta(hours=1)).sent == 0
    assert (events(bad), events(good)) == ([], [RAISED])


def test_after_three_days_a_message_is_given_up_and_the_next_goes_on(tmp_path: Path) -> None:
    with hook() as at:
        house = House(tmp_path / "a.sqlite", to(at))
        house.look(upkeep=FAIL)
        at.faults += [404] * 100
        while not (done := house.deliver(timedelta(minutes=30))).dropped:
            assert house.now - START < KEPT_FOR + timedelta(hours=1)
        at.faults.clear()
        house.look(upkeep=OK)
        assert (done.dropped, house.deliver(MINUTE).sent) == (1, 1)
    dropped, sent = house.outbox.messages()
    assert dropped.error.startswith("127.0.0.1 answered 404") and dropped.sent_at is None
    assert dropped.tries > 60, "about hourly for three days"
    assert sent.error == ""


def test_what_waits_for_a_channel_that_was_taken_away_is_dropped(tmp_path: Path) -> None:
    with hook(500) as at:
        house = House(tmp_path / "a.sqlite", to(at))
        house.look(upkeep=FAIL)
        house.deliver()
        house.channels = ()
        assert house.deliver(MINUTE) == Round(dropped=1)


def test_nothing_is_delivered_beyond_the_budget(tmp_path: Path) -> None:
    class Slow:
        name, where = "slow", ""
        sent = 0

        def send(self, notice: Notice) -> None:
            self.sent += 1
            house.now += timedelta(seconds=20)

    slow = Slow()
    house = House(tmp_path / "a.sqlite", slow)
    for n in range(5):
        house.look(**{f"job{n}": FAIL})
    assert (house.deliver().sent, slow.sent) == (2, 2)
    assert (house.deliver().waiting, slow.sent) == (1, 4)


def test_mutes_end_by_themselves(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite", to(Hook(url="http://127.0.0.1:9")))
    house.outbox.mute("upkeep", START + MINUTE)
    assert (house.look(upkeep=FAIL), house.outbox.mutes(START)) == ([], {"upkeep": START + MINUTE})
    house.now += MINUTE
    assert [n.event for n in house.look(upkeep=FAIL)] == [RAISED]
    assert house.outbox.mutes(house.now) == {}


def test_what_was_put_there_comes_back_whole(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite", to(Hook(url="http://127.0.0.1:9")))
    told = Alert(
        "k", FRESHNESS, "bmrs_freq", seen="9", since=START, what="ä", next_step="b", told=True, told_at=START
    )
    notice = Notice("n", RAISED, START, (told,))
    for _ in range(2):  # the same notice twice is one message
        house.outbox.change(lambda alerts, muted: ({"k": told}, [notice]), ["webhook"], START)
    assert house.outbox.alerts() == {"k": told}
    assert [m.notice for m in house.outbox.messages()] == [notice]


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    house = House(tmp_path / "a.sqlite", to(Hook(url="http://127.0.0.1:9")))
    house.look(upkeep=FAIL)
    before = (house.outbox.alerts(), house.outbox.messages())

    def fails(alerts: Mapping[str, Alert], muted: Collection[str]) -> tuple[Mapping[str, Alert], Sequence[Notice]]:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        house.outbox.change(fails, ["webhook"], START)
    assert (house.outbox.alerts(), house.outbox.messages()) == before


KILLED = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from gbpm_dagster.alerts.channels import Sender, Webhook
from gbpm_dagster.alerts.outbox import Outbox

class Killer(Outbox):
    def _mark(self, *args):
        os.kill(os.getpid(), signal.SIGKILL)

channel = Webhook(Sender("1.2.3", "x"), sys.argv[2])
Killer(Path(sys.argv[1])).deliver([channel], lambda: datetime.now(UTC), timedelta(seconds=30))
"""


def test_kill_9_between_sending_and_marking_sends_again_under_the_same_key(tmp_path: Path) -> None:
    with hook() as at:
        house = House(tmp_path / "a.sqlite", to(at))
        house.look(upkeep=FAIL)
        command = [sys.executable, "-c", KILLED, str(house.file), at.url]
        killed = subprocess.run(command, env=os.environ, check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        assert len(at.posts) == 1
        assert house.deliver() == Round(sent=1)
        assert house.deliver(MINUTE) == Round()
    assert len(at.posts) == 2
    assert at.posts[0].key == at.posts[1].key
    assert at.posts[0].body == at.posts[1].body


class Flaky:
    """Takes a message, refuses it, or takes it and dies before it can say so."""

    name, where = "flaky", ""

    def __init__(self, fates: list[str]) -> None:
        self.fates, self.taken, self.deaths = fates, list[Notice](), 0

    def send(self, notice: Notice) -> None:
        fate = self.fates.pop(0) if self.fates else "takes"
        if fate != "refuses":
            self.taken.append(notice)
        self.deaths += fate == "dies"
        if fate != "takes":
            raise KeyboardInterrupt if fate == "dies" else ChannelError("no")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([OK, FAIL]), max_size=12),
    st.lists(st.sampled_from(["takes", "refuses", "dies"]), max_size=12),
)
def test_whatever_happens_every_message_arrives_in_order(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], fates: list[str]
) -> None:
    channel = Flaky(fates)
    house = House(tmp_path_factory.mktemp("outbox") / "a.sqlite", channel)
    made: list[Notice] = []
    for value in [*values, *[None] * 30]:
        if value is not None:
            made += house.look(job=value)
        try:
            house.deliver(timedelta(hours=1))
        except KeyboardInterrupt:
            continue
    arrived = list(dict.fromkeys(n.id for n in channel.taken))
    assert arrived == [n.id for n in made]
    assert [n.event for n in made] == [RAISED if i % 2 == 0 else RECOVERED for i in range(len(made))]
    copies = len(channel.taken) - len(made)
    assert copies == channel.deaths, "a copy for each death, none without"
    times: list[datetime] = [m.made_at for m in house.outbox.messages()]
    assert times == sorted(times)
