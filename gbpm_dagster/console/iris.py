"""What the `gbpm iris` commands print.

Belongs here: the shapes of docs/contract.md. Not here: the work (orchestration.stream).
"""

from __future__ import annotations

from typing import Any

from rich.text import Text

from gbpm_dagster.console import show

DONE, REMAINS = 0, 3
STATE = {"ok": "green", "warn": "yellow", "fail": "red"}


def drained(found: dict[str, Any], as_json: bool) -> int:
    """3 when something waits still, or a message could be neither read nor stored."""
    bad = found["statuses"].get("failed", 0) + found["statuses"].get("undecodable", 0)
    if as_json:
        show.print_json(found)
    else:
        _say(found["summary"])
        for table, rows in sorted(found["tables"].items()):
            _say(f"{table}: {rows:,} rows written")
        if bad:
            _say(f"{bad:,} messages could not be read or stored; they are kept in <home>/landing")
    return REMAINS if bad or found["waiting"] else DONE


def replayed(found: dict[str, Any], as_json: bool) -> int:
    """3 when something waits still that nobody loads."""
    if as_json:
        show.print_json(found)
    else:
        rows = found["rows"]
        _say(
            f"{found['messages']:,} messages of {found['from']} to {found['to']} from {found['source']}: "
            f"{rows.get('written', 0):,} rows written, {rows.get('superseded', 0):,} superseded, "
            f"{rows.get('exact_duplicates', 0):,} there before, {rows.get('quarantined', 0):,} in quarantine"
        )
        for table, written in sorted(found["tables"].items()):
            _say(f"{table}: {written:,} rows written")
        if found["loaded_by"]:
            _say(f"what was landed is loaded elsewhere: {found['loaded_by']}")
    return REMAINS if found["waiting"] and not found["loaded_by"] else DONE


def status(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(found)
        return
    if not found["configured"]:
        _say("no stream is configured: set IRIS_QUEUE, IRIS_CLIENT_ID and IRIS_CLIENT_SECRET (docs/stream.md)")
    else:
        _say(f"{found['source']}; {found['draining'] or 'nobody'} drains it")
    seen = [c for c in found["codes"] if c["newest_message"] is not None]
    if seen:
        show.narrow(
            "codes of the last 24 hours",
            ("code", "state", "newest", "messages", "a minute", "rows", "quarantined", "lag p95"),
            [_row(c) for c in sorted(seen, key=lambda c: c["age_s"])],
        )
    day, waiting = found["last_24h"], found["waiting"]
    lag = found["lag_s"]
    _say(
        f"last message {_age(found['silent_s'])} ago ({found['state']}); {found['messages_a_minute']:g} a minute; "
        f"lag p95 {_age(lag['p95']) if lag else '-'}; {waiting['files']:,} messages wait"
    )
    _say(
        f"last 24 hours: {day['messages']:,} messages, {day['written']:,} rows written, {day['exact_duplicates']:,} "
        f"duplicates, {day['quarantined']:,} rows in quarantine, {day['undecodable']:,} messages undecodable, "
        f"{day['failed']:,} failed"
    )
    if found["unknown_codes"]:
        names = ", ".join(f"{code} ({count:,})" for code, count in found["unknown_codes"].items())
        _say(f"codes that the catalogue does not know, kept raw: {names}")
    if found["dead_letters"] and found["dead_letters"]["count"]:
        _say(f"{found['dead_letters']['count']:,} dead letters at the last look, landed")
    if found["secret_days"] is not None and found["secret_days"] <= 60:
        _say(f"the client secret expires in {found['secret_days']} days: make a new one on Elexon's Insights site")


def brief(found: dict[str, Any]) -> None:
    """The line of `gbpm status`."""
    late = [f"{code} ({state})" for state in ("fail", "warn") for code in found["codes"][state]]
    _say(
        f"stream: last message {_age(found['silent_s'])} ago ({found['state']}), {found['messages_a_minute']:g} a "
        f"minute, {found['waiting']['files']:,} wait, {found['quarantined_24h']:,} rows in quarantine in 24 hours"
        + (f"; late: {', '.join(late)}" if late else "")
    )


def _row(code: dict[str, Any]) -> tuple[Any, ...]:
    return (
        code["code"],
        Text(code["state"], STATE.get(code["state"], "dim")),
        f"{_age(code['age_s'])} ago",
        code["messages_24h"],
        code["messages_a_minute"],
        code["rows_24h"],
        code["quarantined_24h"],
        _age(code["lag_s"]["p95"]) if code["lag_s"] else "-",
    )


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _say(text: str) -> None:
    show.out.print(text, markup=False, highlight=False, soft_wrap=True)
