"""What each command prints, for people and (`--json`) for scripts; returns the exit code where there is one.

Belongs here: the shapes of docs/contract.md. Not here: the work (orchestration.actions).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gbpm_dagster.console import iris, known_gaps, show
from gbpm_dagster.console.failures import fault

if TYPE_CHECKING:
    from gbpm_dagster.quality.checks import CheckResult

DONE, FAILED, REMAINS = 0, 1, 3
SHOWN = 50
FRESH = {"ok": "green", "warn": "yellow", "error": "red"}


def plan(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show.print_json({"tables": {r["table"]: {k: v for k, v in r.items() if k != "table"} for r in found}})
        return
    show.narrow(
        "plan (no request was made)",
        ("table", "days", "requests", "about", "megabytes", "a request spans at most"),
        [
            (r["table"], r["days"], r["requests"], _time(r["seconds"]), round(r["megabytes"], 1), r["window"])
            for r in found
        ],
        wraps="a request spans at most",
    )
    total = sum(r["seconds"] for r in found)
    requests, size = sum(r["requests"] for r in found), sum(r["megabytes"] for r in found)
    show.say(
        f"{_count(requests, 'request')}, about {_time(total)} at the rate limit, {size / 1000:.2f} GB over the wire"
    )


def backfill(found: dict[str, Any], as_json: bool) -> int:
    """3 when a day asked for is not as the source has it, 1 when this machine could not store a table."""
    tables = found["tables"]
    if as_json:
        show.print_json({k: found[k] for k in ("tables", "runs", "requests")})
    else:
        show.rows(
            "backfill",
            ("table", "days complete", "rows", "not complete"),
            [(name, t["complete"], t["rows"], len(t["missing"])) for name, t in tables.items()],
        )
        lost = [(name, day, why) for name, t in tables.items() for day, why in t["missing"].items()]
        if lost:
            show.rows("not complete", ("table", "day", "why"), lost[:SHOWN])
            if len(lost) > SHOWN:
                show.say(f"... and {len(lost) - SHOWN:,} more (--json lists all)")
        for note in found["notes"]:
            show.say(note)
        show.say(f"{_count(len(found['runs']), 'run')}, {_count(found['requests'], 'request')}")
    return exit_code(found["faults"], any(t["missing"] for t in tables.values()))


def exit_code(faults: Sequence[str], remains: bool) -> int:
    for text in faults:
        fault(text)
    return FAILED if faults else REMAINS if remains else DONE


def checks(results: list[CheckResult], as_json: bool) -> int:
    """3 when a check fails (not: warns) or days are missing."""
    failed = [r for r in results if r.missing or (not r.passed and r.severity == "ERROR")]
    if as_json:
        show.print_json({"checks": [check_json(r) for r in results]})
    else:
        show.checks(results)
    return REMAINS if failed else DONE


def check_json(result: CheckResult) -> dict[str, Any]:
    return {
        "table": result.table,
        "check": result.check,
        "passed": result.passed,
        "severity": result.severity,
        "summary": result.summary,
        "missing": list(result.missing),
    }


def export(found: dict[str, Any], as_json: bool, allow_gaps: bool) -> int:
    """3 when days of the range are partial, late or missing, unless gaps are allowed; the last line names them."""
    from gbpm_dagster.quality.lacking import in_words

    lacks = found["lacks"]
    if as_json:
        show.print_json({k: v for k, v in found.items() if k != "lacks"})
    else:
        size = f"{_count(found['rows'], 'row')}, {_count(found['bytes'], 'byte')}"
        said = f"{found['table']}: {size}" + (f" in {found['out']}" if found["out"] != "-" else "")
        if found["days"]:
            said += f"; {found['from']} to {found['to']}: {found['days'] - len(lacks):,} of "
            said += f"{_count(found['days'], 'day')} complete"
        said += f"; not complete: {in_words(lacks, SHOWN)}" if lacks else ""
        (show.err if found["out"] == "-" else show.out).print(said, markup=False, highlight=False, soft_wrap=True)
    return REMAINS if any(k.fails for k in lacks) and not allow_gaps else DONE


def runs(found: dict[str, Any], as_json: bool) -> int:
    """What is due and, after a fetch, what it did: 3 when a day due is not as the source has it, 1 on a fault."""
    fetched = "requests" in found
    missing = found.get("missing", {})
    if as_json:
        show.print_json({k: v for k, v in found.items() if k != "faults"})
        return exit_code(found.get("faults", ()), bool(missing))
    if not found["tables"]:
        show.say("no table of this home is re-run by settlement")
    show.narrow(
        "settlement runs: days due again" + (" before the fetch" if fetched else ""),
        ("table", "days held", "due", "because of", "runs held"),
        [_runs_row(name, t) for name, t in found["tables"].items()],
        wraps="because of",
    )
    lost = [(name, day, why) for name, days in missing.items() for day, why in days.items()]
    if lost:
        show.rows("not fetched", ("table", "day", "why"), lost[:SHOWN])
        if len(lost) > SHOWN:
            show.say(f"... and {len(lost) - SHOWN:,} more (--json lists all)")
    if fetched:
        show.say(f"{_count(len(found['runs']), 'run')}, {_count(found['requests'], 'request')}")
    elif any(t["due"] for t in found["tables"].values()):
        show.say("`gbpm runs --fetch` fetches them; the schedule settlement_runs_0500 does so by itself")
    return exit_code(found.get("faults", ()), bool(missing))


def _runs_row(name: str, table: dict[str, Any]) -> tuple[Any, ...]:
    share = table["vintage_completeness"]
    held = "-" if share is None else f"{table['runs_held']:,}/{table['runs_due']:,} ({100 * share:.0f} %)"
    why = ", ".join(f"{run} {n:,}" for run, n in table["runs"].items()) or "-"
    return name, table["held"], table["due"], why, Text(held, justify="right")


def tables(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show.print_json({"tables": found})
        return
    show.narrow(
        "tables (* = in this home)",
        ("", "table", "group", "tier", "what"),
        [("*" if t["here"] else "", t["table"], t["group"], t["tier"], t["title"]) for t in found],
        wraps="what",
    )


def status(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(found)
        return
    show.say(f"home {found['home']}; web UI: {found['services'] or 'not running (`gbpm up` starts it)'}")
    show.narrow(
        f"tables at {minute(found['now'])}",
        ("table", "complete", "lacking", "rows", "newest value", "fresh"),
        [_status_row(t) for t in found["tables"]],
    )
    if found["runs"]:
        show.narrow(
            "last runs",
            ("run", "what", "status", "started"),
            [(r["run"][:8], _cut(r["what"], 42), r["status"], minute(r["started"])) for r in found["runs"]],
        )
    if found["stream"]:
        iris.brief(found["stream"])
    if found["known_gaps"]:
        show.say(f"known gaps: {known_gaps.summary(found['known_gaps'])}. `gbpm known-gaps list` shows them.")
    show.say(f"lake {found['lake_bytes'] / 1e6:,.1f} MB; free on its disk {found['free_bytes'] / 1e9:,.1f} GB")
    if any(t["fresh"] != "ok" or _lacking(t) for t in found["tables"]):
        show.say("lacking: days partial, late or missing. `gbpm check` says why, `gbpm heal` fetches them.")


def _status_row(table: dict[str, Any]) -> tuple[Any, ...]:
    lacking = _lacking(table)
    return (
        table["table"],
        Text(f"{table['complete']:,}/{table['wanted']:,}", justify="right"),
        Text(f"{lacking:,}", "red" if lacking else "dim", justify="right"),
        table["rows"],
        minute(table["newest"]),
        Text(table["fresh"], FRESH[table["fresh"]]),
    )


def _lacking(table: dict[str, Any]) -> int:
    return sum(table[name] for name in ("partial", "late", "missing"))


def config(found: list[dict[str, Any]], as_json: bool) -> None:
    """A line a setting, and one of what it means."""
    if as_json:
        show.print_json({"settings": found})
        return
    for setting in found:
        value = show.plain(setting["value"])
        shown = ", ".join(str(v) for v in value) if isinstance(value, list) else value
        line = Text(setting["variable"], "bold")
        line.append(" = ", "dim").append("(not set)" if shown in (None, "") else str(shown), "cyan")
        line.append(f"  [{setting['origin']}]", "dim" if setting["origin"] == "default" else "yellow")
        show.out.print(line, soft_wrap=True)
        show.out.print(Text(f"    {setting['meaning']}", "dim"), soft_wrap=True)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def minute(instant: datetime | None) -> str:
    return instant.strftime("%Y-%m-%d %H:%M") if instant else "-"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
