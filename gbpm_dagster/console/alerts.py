"""What `gbpm alerts` prints; returns the exit code where there is one.

Belongs here: rendering. Not here: the work (orchestration.alert_actions).
"""

from __future__ import annotations

from typing import Any

from gbpm_dagster.console import show
from gbpm_dagster.console.report import DONE, FAILED

NO_CHANNEL = (
    "no channel is configured, so nobody is told: set GBPM_ALERT_EMAIL_TO and GBPM_SMTP_HOST, GBPM_SLACK_WEBHOOK_URL "
    "or GBPM_WEBHOOK_URL (docs/operations.md)"
)


def listed(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(found)
        return
    channels = ", ".join(f"{c['channel']} ({c['to']})" for c in found["channels"])
    _say(f"told by {channels}" if channels else NO_CHANNEL)
    if found["alerts"]:
        show.narrow(
            "alerts that are on",
            ("since", "told", "about", "what"),
            [(_minute(a["since"]), _minute(a["told_at"]), a["subject"], a["what"]) for a in found["alerts"]],
            wraps="what",
        )
    else:
        _say("no alert is on")
    for table, until in found["muted"].items():
        _say(f"{table} is muted until {_minute(until)} UTC")
    failed = [m for m in found["messages"] if m["error"]]
    for message in failed:
        state = "given up" if message["dropped_at"] else f"tried {message['tries']} time(s)"
        _say(
            f"{message['channel']}: {message['event']} of {_minute(message['made_at'])}, {state}: {message['error']}"
        )
    _say(f"{found['waiting']} message(s) waiting to be sent")


def tested(found: list[dict[str, str]], as_json: bool) -> int:
    """1 when a channel did not take the test message, or there is none."""
    if as_json:
        show.print_json({"channels": found})
    else:
        for channel in found:
            _say(f"{channel['channel']} ({channel['to']}): {channel['error'] or 'the test message was taken'}")
        if not found:
            _say(NO_CHANNEL)
    return DONE if found and not any(c["error"] for c in found) else FAILED


def muted(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(found)
    elif found["until"]:
        _say(f"{found['table']}: nothing is told until {_minute(found['until'])} UTC; its checks go on")
    else:
        _say(f"{found['table']}: alerts are told again")


def _minute(at: Any) -> str:
    return at.strftime("%Y-%m-%d %H:%M") if at else "-"


def _say(text: str) -> None:
    show.out.print(text, markup=False, highlight=False, soft_wrap=True)
