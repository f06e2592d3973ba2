"""A notice in words: subject, text, and the JSON of a webhook.

Belongs here: what people and programs read. Not here: how it is sent (`channels`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gbpm_dagster.alerts.engine import (
    AT_SOURCE,
    CHECK,
    FRESHNESS,
    GIVEN_UP,
    RAISED,
    RECOVERED,
    REMINDER,
    RUN,
    Alert,
    Notice,
)

LISTED = 40
"""Alerts a message names; the others are counted."""

NOUN = {
    FRESHNESS: "stale table",
    CHECK: "failed check",
    RUN: "failed run",
    GIVEN_UP: "gap given up",
    AT_SOURCE: "gap at the source",
}
LINE = {RAISED: "since", REMINDER: "still, since", RECOVERED: "was since"}


def subject(notice: Notice) -> str:
    """'3 stale tables, 1 failed run', 'still: ...' or 'recovered: ...'."""
    if not notice.alerts:
        return "test message"
    counted = Counter(a.kind for a in notice.alerts)
    said = ", ".join(f"{n:,} {_plural(NOUN[kind], n)}" for kind, n in sorted(counted.items()))
    if len(notice.alerts) == 1:
        said += f": {notice.alerts[0].subject}"
    return {RAISED: "", REMINDER: "still: ", RECOVERED: "recovered: "}[notice.event] + said


def text(notice: Notice, version: str, home: str) -> str:
    """The message: what, which table, since when, what to do next, and which version of gbpm says so."""
    lines = [f"GB Power Market: {subject(notice)}", ""]
    if not notice.alerts:
        lines += ["This is a test: the channel works.", ""]
    for alert in notice.alerts[:LISTED]:
        lines.append(f"* {alert.subject} ({alert.kind.replace('_', ' ')}): {alert.what or NOUN[alert.kind]}")
        if alert.since:
            lines.append(f"  {LINE[notice.event]} {minute(alert.since)}")
        if alert.next_step and notice.event != RECOVERED:
            lines.append(f"  next: {alert.next_step}")
    if len(notice.alerts) > LISTED:
        lines.append(f"* and {len(notice.alerts) - LISTED:,} more: gbpm alerts list")
    if notice.alerts:
        lines.append("")
        if notice.event != RECOVERED:
            lines.append("Not wanted for a while: gbpm alerts mute TABLE --for 12h")
    lines.append(f"gbpm {version}, home {home}, {minute(notice.at)}")
    return "\n".join(lines)


def payload(notice: Notice, version: str, home: str) -> dict[str, Any]:
    """The JSON of the generic webhook (docs/operations.md)."""
    return {
        "id": notice.id,
        "event": notice.event,
        "at": notice.at.isoformat(),
        "subject": subject(notice),
        "text": text(notice, version, home),
        "alerts": [_alert(a) for a in notice.alerts],
        "version": version,
        "home": home,
    }


def minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")


def _alert(alert: Alert) -> Mapping[str, Any]:
    return {
        "key": alert.key,
        "kind": alert.kind,
        "subject": alert.subject,
        "what": alert.what,
        "since": alert.since.isoformat() if alert.since else None,
        "next": alert.next_step,
    }


def _plural(noun: str, n: int) -> str:
    if n == 1:
        return noun
    first, *rest = noun.split(" ")
    return " ".join([f"{first}s", *rest]) if first == "gap" else f"{noun}s"


def names(alerts: Sequence[Alert], most: int = 5) -> str:
    """'bmrs_mid, bmrs_freq and 3 more'."""
    shown = list(dict.fromkeys(a.subject for a in alerts))
    more = f" and {len(shown) - most:,} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more
