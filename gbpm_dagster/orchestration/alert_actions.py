"""What `gbpm alerts` does, as plain functions that return plain values.

Belongs here: list, test, mute. Not here: printing (`console.alerts`), the sensor (`alerting`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from gbpm_dagster.alerts.channels import ChannelError
from gbpm_dagster.alerts.engine import RAISED, Notice
from gbpm_dagster.console.args import UsageError
from gbpm_dagster.orchestration.alerting import channels_of, outbox_of
from gbpm_dagster.orchestration.ask import open_runtime

_SPAN = re.compile(r"(\d{1,6})\s*([mhd])")
_UNIT = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
LAST = 20
"""Messages listed, the newest."""


def listed() -> dict[str, Any]:
    """channels, alerts that are on (the newest first), mutes, the last messages and what waits to be sent."""
    settings, now = open_runtime().settings, datetime.now(UTC)
    outbox = outbox_of(settings)
    on = sorted((a for a in outbox.alerts().values() if a.latch.on), key=lambda a: (a.since or now, a.key))
    messages = outbox.messages()
    return {
        "channels": [{"channel": c.name, "to": c.where} for c in channels_of(settings)],
        "alerts": [
            {
                "key": a.key,
                "kind": a.kind,
                "subject": a.subject,
                "since": a.since,
                "told_at": a.told_at if a.told else None,
                "what": a.what,
                "next": a.next_step,
            }
            for a in reversed(on)
        ],
        "muted": outbox.mutes(now),
        "waiting": sum(m.sent_at is None and m.dropped_at is None for m in messages),
        "messages": [
            {
                "channel": m.channel,
                "event": m.notice.event,
                "alerts": len(m.notice.alerts),
                "made_at": m.made_at,
                "sent_at": m.sent_at,
                "dropped_at": m.dropped_at,
                "tries": m.tries,
                "error": m.error,
            }
            for m in messages[-LAST:]
        ],
    }


def test() -> list[dict[str, str]]:
    """Send a test message to each channel, past the outbox; channel, to, and error ("" = it was taken)."""
    settings, now = open_runtime().settings, datetime.now(UTC)
    notice = Notice(f"test-{now:%Y%m%dT%H%M%S%f}", RAISED, now)
    found = []
    for channel in channels_of(settings):
        error = ""
        try:
            channel.send(notice)
        except ChannelError as failed:
            error = str(failed)
        found.append({"channel": channel.name, "to": channel.where, "error": error})
    return found


def mute(table: str, span: str) -> dict[str, Any]:
    """Tell nothing of a table for so long (30m, 12h, 7d; 0h = tell again); raises UsageError, UnknownTable."""
    runtime, now = open_runtime(), datetime.now(UTC)
    found = _SPAN.fullmatch(span.strip().lower())
    if not found:
        raise UsageError(f"--for is {span!r}: a number and m, h or d, for example 30m, 12h or 7d (0h = no longer)")
    until = now + int(found[1]) * _UNIT[found[2]]
    name = runtime.named([table])[0].table
    outbox_of(runtime.settings).mute(name, until)
    return {"table": name, "until": until if until > now else None}
