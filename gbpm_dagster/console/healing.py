"""What `gbpm heal` prints.

Belongs here: the round, the explanation, exit codes. Not here: finding anything out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gbpm_dagster.console import show
from gbpm_dagster.console.args import UsageError
from gbpm_dagster.console.report import exit_code, minute
from gbpm_dagster.quality.result import count

SHOWN = 20


def check_one_of(now: bool, explain: bool, pause: bool, resume: bool) -> None:
    """UsageError if more than one thing is wanted at once."""
    if now + explain + pause + resume > 1:
        raise UsageError("--now, --explain, --pause and --resume are four things: choose one")


def said(text: str, as_json: bool) -> None:
    if as_json:
        show.print_json({"healer": text})
    else:
        show.say(text)


def round_(found: dict[str, Any], as_json: bool) -> int:
    """3 when a day is still missing, 1 when this machine could not store a table."""
    remains = any(state["missing"] for state in found["after"].values())
    if as_json:
        show.print_json({k: v for k, v in found.items() if k != "faults"})
        return exit_code(found["faults"], remains)
    for table, why in found["decided"].items():
        show.say(f"{table}: {why}")
    if not found["decided"]:
        show.say("nothing to heal: no day is missing" if not remains else "what is missing is being fetched already")
    for table, state in found["after"].items():
        if state["missing"]:
            show.say(f"{table}: {count(len(state['missing']), 'day')} still missing: {state['summary']}")
        elif table in found["asked"]:
            show.say(f"{table}: healed, {state['summary']}")
    for text in found["known_gaps"][:SHOWN]:
        show.say(f"known gaps: {text}")
    if len(found["known_gaps"]) > SHOWN:
        show.say(f"known gaps: {len(found['known_gaps']) - SHOWN} more changed: `gbpm known-gaps list`")
    return exit_code(found["faults"], remains)


def explanation(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(found)
        return
    show.say(f"the healer waits: {found['waits']}" if found["waits"] else "the healer may launch a backfill")
    show.say(found["source"]["text"])
    requests = found["requests"]
    show.say(
        f"requests of healing today: {requests['used']:,} of {requests['a_day']:,} used, {requests['left']:,} left"
    )
    if found["being_fetched"]:
        said = ", ".join(f"{table} {count(days, 'day')}" for table, days in found["being_fetched"].items())
        show.say(f"being fetched, and left alone: {said}")
    if not found["tables"]:
        show.say("no other day is missing" if found["being_fetched"] else "no day is missing")
    else:
        show.narrow(
            f"{count(requests['now'], 'request')} now",
            ("table", "lacking", "now", "why"),
            [_row(table, found["tables"][table]) for table in found["tables"]],
            wraps="why",
        )
    if found["next_at"]:
        show.say(f"the next day's turn: {minute(found['next_at'])}")
    for entry in found["known_gaps"][:SHOWN]:
        show.say(_known(entry))
    if len(found["known_gaps"]) > SHOWN:
        show.say(f"{len(found['known_gaps']) - SHOWN} more known gaps: `gbpm known-gaps list`")


def _row(table: str, found: Mapping[str, Any]) -> tuple[Any, ...]:
    days = {name: group["days"] for name, group in found["classes"].items()}
    return table, sum(days.values()), days.get("now", 0), found["why"]


def _known(entry: Mapping[str, Any]) -> str:
    span = f"{entry['first']}" if entry["first"] == entry["last"] else f"{entry['first']} to {entry['last'] or '...'}"
    again = f"; asked again at {minute(entry['retry_at'])}" if entry["retry_at"] else ""
    return f"{entry['table']} {span}: {entry['status'].replace('_', ' ')}, {entry['reason']}{again}"
