"""What `gbpm scorecard` prints: a row a table with its parts and a strip of its days.

Belongs here: rendering. Not here: the scores (quality.scorecard).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date
from typing import Any

from rich.text import Text

from gbpm_dagster.console import show
from gbpm_dagster.quality.scorecard import PARTS
from gbpm_dagster.warehouse.rendering import csv_text

STYLE = {"A": "green", "B": "yellow", "C": "dark_orange", "D": "red"}
BLOCK, NONE = "█", "·"
STRIP = 14
"""Days of a strip, the last ones: a line has 80 columns."""


def scorecard(found: Mapping[str, Any], as_json: bool, as_csv: bool) -> None:
    """JSON: tables with their days; CSV: a line a table and day; else the table, the platform's score, the worst."""
    if as_csv:
        sys.stdout.write(csv_text(found["scores"]))
        sys.stdout.flush()
        return
    if as_json:
        show.print_json(_json(found))
        return
    days = found["days"][-STRIP:]
    strips = _strips(found, days)
    show.narrow(
        f"scorecard {found['days'][0]} to {found['days'][-1]}" if found["days"] else "scorecard",
        ("table", "score", "", "C", "T", "U", "V", "the last days"),
        [
            (
                row["table"],
                Text(_points(row["score"]), STYLE.get(row["grade"], "dim"), justify="right"),
                Text(row["grade"] or "-", STYLE.get(row["grade"], "dim")),
                *(Text(_share(row[part]), justify="right") for part in PARTS),
                strips[row["table"]],
            )
            for row in found["tables"].iter_rows(named=True)
        ],
        wraps="the last days",
    )
    _say("C completeness, T timeliness, U uniqueness, V validity, in percent; - = nothing due, or not known")
    worst = ", ".join(f"{table} {points:.1f}" for table, points in found["worst"])
    _say(
        f"platform {_points(found['platform'])}, tables weighted by importance"
        + (f"; worst: {worst}" if worst else "")
    )


def _strips(found: Mapping[str, Any], days: list[date]) -> dict[str, Text]:
    made: dict[str, Text] = {}
    grades = {(t, d): g for t, d, g in found["scores"].select("table", "day", "grade").iter_rows()}
    for table in found["tables"]["table"]:
        strip = Text()
        for day in days:
            letter = grades.get((table, day))
            strip.append(BLOCK if letter else NONE, STYLE.get(letter or "", "dim"))
        made[table] = strip
    return made


def _json(found: Mapping[str, Any]) -> dict[str, Any]:
    days: dict[str, dict[str, Any]] = {}
    for row in found["scores"].iter_rows(named=True):
        days.setdefault(row.pop("table"), {})[row.pop("day").isoformat()] = row
    tables = {r.pop("table"): r for r in found["tables"].iter_rows(named=True)}
    return {
        "platform": found["platform"],
        "worst": [{"table": table, "score": points} for table, points in found["worst"]],
        "tables": {table: {**row, "by_day": days.get(table, {})} for table, row in tables.items()},
    }


def _points(points: float | None) -> str:
    return "-" if points is None else f"{points:.1f}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _say(text: str) -> None:
    show.out.print(text, markup=False, highlight=False, soft_wrap=True)
