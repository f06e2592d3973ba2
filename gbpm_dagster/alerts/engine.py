"""What is told and when: findings go in, notices come out; pure (OPS-82, market/domain.md 8.1).

Belongs here: the state of every alert, transitions, reminders, cool-down, grouping. Not here: where findings come
from (`orchestration.alerting`), the words (`words`), keeping and sending (`outbox`, `channels`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gbpm_dagster.alerts.hysteresis import OFF, Latch, Rule, step

OK, WARN, FAIL = 0.0, 1.0, 2.0
"""The values of a finding."""

CHECK, FRESHNESS, RUN, GIVEN_UP, AT_SOURCE = "check", "freshness", "run", "given_up", "missing_at_source"
RAISED, REMINDER, RECOVERED = "raised", "reminder", "recovered"
ORDER = (RAISED, REMINDER, RECOVERED)

REMINDED = frozenset({CHECK, FRESHNESS, GIVEN_UP})
"""Kinds that go on until somebody acts. A failed run is over, and what the source lacks nobody can mend."""

OVER = timedelta(days=7)
"""A failed run after which none of its kind ended well is forgotten then."""

WAITS = frozenset({CHECK})
"""Kinds that the healer often mends by itself, so that they are told only when they last."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One look at one thing.

    key: what it is about, for ever the same (`freshness/bmrs_freq`). subject: the table, or what ran. value: OK,
    WARN, FAIL, or None when it is not known now. at: when it was judged. seen: names the judgement, as the same one
    looked at again counts once. what, next_step: sentences for a person.
    """

    key: str
    kind: str
    subject: str
    value: float | None
    at: datetime
    seen: str
    what: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """State of one key. since: the first of the bad values in a row. told: people know that it is on."""

    key: str
    kind: str
    subject: str
    latch: Latch = OFF
    seen: str = ""
    since: datetime | None = None
    what: str = ""
    next_step: str = ""
    told: bool = False
    told_at: datetime | None = None
    raised_at: datetime | None = None
    recovered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How eager alerts are. minimum: FAIL, or WARN for warnings too. wait: how long a failed check must last.
    remind: between two messages of an alert that goes on. cooldown: between two first messages of one alert."""

    minimum: float = FAIL
    wait: timedelta = timedelta(minutes=30)
    remind: timedelta = timedelta(hours=6)
    cooldown: timedelta = timedelta(hours=1)

    def rule(self, kind: str) -> Rule:
        """Freshness clears at ok only and wants two of each (domain.md 8.1); of a check a warning is a recovery."""
        if kind == FRESHNESS:
            return Rule(self.minimum, WARN if self.minimum > WARN else WARN / 2, n_raise=2, n_clear=2)
        return Rule(self.minimum, self.minimum - 0.5)


@dataclass(frozen=True, slots=True)
class Notice:
    """One message about many alerts. id: the same for ever, so that a receiver can tell a second copy."""

    id: str
    event: str
    at: datetime
    alerts: tuple[Alert, ...] = field(default=())


def advance(
    alerts: Mapping[str, Alert],
    findings: Iterable[Finding],
    now: datetime,
    policy: Policy,
    muted: Collection[str] = (),
) -> tuple[dict[str, Alert], list[Notice]]:
    """The alerts after these findings, and what to tell: at most one notice an event, in the order of ORDER.

    muted: subjects of which nothing is told; their state goes on. Recoveries of what was never told are not told.
    """
    after = {k: a for k, a in alerts.items() if not (a.kind == RUN and a.since and now - a.since > OVER)}
    for finding in findings:
        before = after.get(finding.key, Alert(finding.key, finding.kind, finding.subject))
        after[finding.key] = _judged(before, finding, policy)
    told: dict[str, list[Alert]] = {event: [] for event in ORDER}
    for key, alert in sorted(after.items()):
        event = _event(alert, now, policy)
        if not event:
            continue
        if alert.subject in muted:
            # Whoever muted a table wants neither the bad nor the good news of it.
            after[key] = replace(alert, told=False) if event == RECOVERED else alert
            continue
        after[key] = _marked(alert, event, now)
        told[event].append(after[key])
    return after, [_notice(event, now, tuple(told[event])) for event in ORDER if told[event]]


def _judged(alert: Alert, finding: Finding, policy: Policy) -> Alert:
    if finding.seen == alert.seen or finding.value is None:
        return alert
    rule = policy.rule(finding.kind)
    latch, _ = step(rule, alert.latch, finding.value)
    bad = rule.raises(finding.value)
    since = (alert.since or finding.at) if bad or latch.on else None
    # While an alert is on and values already better, it still says what was wrong.
    said = finding if bad or not latch.on else alert
    return replace(alert, latch=latch, seen=finding.seen, since=since, what=said.what, next_step=said.next_step)


def _event(alert: Alert, now: datetime, policy: Policy) -> str:
    if not alert.latch.on:
        return RECOVERED if alert.told else ""
    if alert.told:
        due = alert.told_at is None or now - alert.told_at >= policy.remind
        return REMINDER if alert.kind in REMINDED and due else ""
    waiting = alert.kind in WAITS and alert.since is not None and now - alert.since < policy.wait
    cooling = alert.raised_at is not None and now - alert.raised_at < policy.cooldown
    return "" if waiting or cooling else RAISED


def _marked(alert: Alert, event: str, now: datetime) -> Alert:
    if event == RECOVERED:
        return replace(alert, told=False, told_at=now, recovered_at=now)
    return replace(alert, told=True, told_at=now, raised_at=now if event == RAISED else alert.raised_at)


def _notice(event: str, now: datetime, alerts: tuple[Alert, ...]) -> Notice:
    name = "\n".join([event, now.isoformat(), *(a.key for a in alerts)])
    return Notice(hashlib.sha256(name.encode()).hexdigest()[:32], event, now, alerts)
