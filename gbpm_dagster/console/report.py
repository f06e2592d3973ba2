"""What each command prints, for people and (`--json`) for scripts; returns the exit code where there is one.

Belongs here: the shapes of docs/contract.md. Not here: the work (orchestration.actions).
"""

from __future__ import annotations

from typing import Any

from gbpm_dagster.console import show
from gbpm_dagster.quality.checks import CheckResult

DONE, REMAINS = 0, 3


def plan(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show.print_json({"tables": {r["table"]: {k: v for k, v in r.items() if k != "table"} for r in found}})
        return
    show.rows(
        "plan (no request was made)",
        ("table", "days", "requests", "about", "megabytes"),
        [(r["table"], r["days"], r["requests"], _time(r["seconds"]), round(r["megabytes"], 1)) for r in found],
    )
    total = sum(r["seconds"] for r in found)
    requests, size = sum(r["requests"] for r in found), sum(r["megabytes"] for r in found)
    show.out.print(
        f"{requests:,} requests, about {_time(total)} at the rate limit, {size / 1000:.2f} GB over the wire"
    )


def backfill(found: dict[str, Any], as_json: bool) -> int:
    tables = found["tables"]
    remains = any(t["missing"] for t in tables.values())
    if as_json:
        show.print_json({k: found[k] for k in ("tables", "runs", "requests")})
        return REMAINS if remains else DONE
    show.rows(
        "backfill",
        ("table", "days complete", "rows", "not complete"),
        [(name, t["complete"], t["rows"], len(t["missing"])) for name, t in tables.items()],
    )
    lost = [(name, day, why) for name, t in tables.items() for day, why in t["missing"].items()]
    if lost:
        show.rows("not complete", ("table", "day", "why"), lost[:50])
        if len(lost) > 50:
            show.out.print(f"... and {len(lost) - 50} more (--json lists all)")
    for note in found.get("notes", ()):
        show.out.print(note)
    show.out.print(f"{len(found['runs'])} run(s), {found['requests']:,} requests")
    return REMAINS if remains else DONE


def checks(results: list[CheckResult], as_json: bool) -> int:
    failed = [r for r in results if not r.passed and r.severity == "ERROR"]
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


def heal(found: dict[str, Any], as_json: bool) -> int:
    remains = any(state["missing"] for state in found["after"].values())
    if as_json:
        show.print_json(found)
        return REMAINS if remains else DONE
    for table, why in found["decided"].items():
        show.out.print(f"{table}: {why}")
    if not found["decided"]:
        show.out.print("nothing to heal: no gap check fails")
    for table, state in found["after"].items():
        word = "healed" if not state["missing"] else f"{len(state['missing'])} day(s) still missing"
        show.out.print(f"{table}: {word}")
    return REMAINS if remains else DONE


def tables(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show.print_json({"tables": found})
        return
    show.rows(
        "tables (* = in this home)",
        ("", "table", "group", "tier", "what", "from"),
        [("*" if t["here"] else "", t["table"], t["group"], t["tier"], t["title"], t["first_day"]) for t in found],
    )


def status(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(found)
        return
    show.out.print(f"home {found['home']}; web UI: {found['services'] or 'not running (`gbpm up` starts it)'}")
    show.rows(
        "tables",
        ("table", "days wanted", "complete", "partial", "late", "missing", "rows", "newest value", "freshness", "MB"),
        [
            (
                t["table"], t["wanted"], t["complete"], t["partial"], t["late"], t["missing"], t["rows"],
                show.plain(t["newest"]) or "-", t["freshness"], round(t["bytes"] / 1e6, 1),
            )
            for t in found["tables"]
        ],
    )  # fmt: skip
    if found["runs"]:
        show.rows("last runs", ("run", "what", "status", "started"), [tuple(r.values()) for r in found["runs"]])
    show.out.print(f"lake {found['lake_bytes'] / 1e6:,.1f} MB; free on its disk {found['free_bytes'] / 1e9:,.1f} GB")


def config(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show.print_json({"settings": found})
        return
    show.rows(
        "settings",
        ("variable", "value", "from", "meaning"),
        [(s["variable"], show.plain(s["value"]), s["origin"], s["meaning"]) for s in found],
    )


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
