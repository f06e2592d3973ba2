"""What `gbpm gaps` prints: the heat-map of tables and months, ranges of days, JSON and CSV.

Belongs here: letters, colours and widths of the map; the shapes of docs/contract.md. Not here: finding gaps
(`quality.gapmap`, `orchestration.gap_report`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gbpm_dagster.console import show
from gbpm_dagster.quality import gapmap
from gbpm_dagster.quality.gapmap import Cell, Row, Unit
from gbpm_dagster.quality.result import count
from gbpm_dagster.quality.states import FAILING, State
from gbpm_dagster.warehouse.rendering import csv_text

if TYPE_CHECKING:
    import polars as pl

DONE, REMAINS = 0, 3
KNOWN, SOME = "known", "some"
MARKS: dict[str, tuple[str, str, str]] = {
    State.MISSING: ("M", "bold white on red", "missing"),
    SOME: ("m", "white on red3", "missing, less than half of the days"),
    State.PARTIAL: ("P", "black on yellow", "partial"),
    State.LATE: ("L", "black on bright_yellow", "late"),
    KNOWN: ("k", "white on blue", "gaps, all known to the register"),
    State.MISSING_AT_SOURCE: ("s", "white on magenta", "missing at the source"),
    State.EXCLUDED: ("x", "white on grey37", "excluded"),
    State.DUE: ("d", "black on cyan", "due, not late"),
    State.NOT_DUE: ("-", "dim", "not due yet"),
    State.COMPLETE: (".", "black on green", "complete"),
}
"""Letter, style and meaning of a cell by its worst day, worst first: it reads without its colour."""

FIGURES, LEAST_NAME = 14, 16
"""Columns of the figures behind the cells; what names may have however narrow the terminal."""

PREFIX = "bmrs_"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def report(frames: Sequence[pl.DataFrame], home: str, form: str, by: str | None = None) -> int:
    """Print the coverage of those tables (COVERAGE_SCHEMA each); 3 if days are missing, partial or late.

    form: map, ranges, json or csv. by: a `gapmap.Unit` for the map, None: what suits.
    """
    found = gapmap.ranges(frames)
    if form == "csv":
        sys.stdout.write(csv_text(found))
    elif form == "json":
        show.print_json(_json(gapmap.rows(frames, Unit.YEAR), found))
    elif form == "ranges":
        _ranges(found)
    else:
        _map(frames, home, Unit(by) if by else None)
    return REMAINS if found["state"].is_in([s.value for s in FAILING]).any() else DONE


def _json(rows: Sequence[Row], found: pl.DataFrame) -> dict[str, Any]:
    listed: dict[str, list[dict[str, Any]]] = {row.table: [] for row in rows}
    for said in found.iter_rows(named=True):
        listed[said.pop("table")].append(said)
    return {
        "complete": not any(row.failing for row in rows),
        "tables": {
            row.table: {
                "days": row.days,
                "states": {state.value: row.states[state] for state in State if state in row.states},
                "failing": row.failing,
                "completeness": row.ratio,
                "ranges": listed[row.table],
            }
            for row in rows
        },
    }


def _map(frames: Sequence[pl.DataFrame], home: str, unit: Unit | None) -> None:
    width = show.out.width if show.out.is_terminal else show.UNBOUNDED
    for line in drawn(frames, home, width, unit):
        show.out.print(line, soft_wrap=True)


def drawn(frames: Sequence[pl.DataFrame], home: str, width: int, unit: Unit | None = None) -> list[Text]:
    """The heat-map; its table is at most `width` columns wide, if there are 31 at least.

    A line a table, worst first: name, a cell a `unit` (None: what suits), share of what is due that is there, days
    that fail. Then legend and totals.
    """
    edges = gapmap.span(frames)
    if edges is None:
        return [Text("no day of these tables is wanted in this home")]
    first, last = edges
    name, short = _name_width(frames, width - FIGURES - 1, first, last)
    room = max(width - name - FIGURES - 1, 1)
    unit = unit or gapmap.unit_for(first, last, room)
    heads = gapmap.columns(first, last, unit)
    shown = heads[-room:]
    rows = gapmap.rows(frames, unit)
    upper, lower = _heads(shown, unit)
    lines = [
        Text(f"gaps in {home}: {first} to {last}, a column a {unit.value}", "bold"),
        Text(f"{'':{name}} {upper}"),
        Text(f"{'':{name}} {lower:{len(shown)}} {'there':>6} {'gaps':>6}"),
    ]
    for row in rows:
        left = row.table.removeprefix(PREFIX) if short else row.table
        left = left if len(left) <= name else left[: name - 1] + "~"
        lines.append(Text(f"{left:{name}} ").append_text(_cells(row, shown)).append(_figures(row)))
    if len(shown) < len(heads):
        lines.append(Text(f"columns before {shown[0]} do not fit: widen the terminal, or --by month, quarter, year"))
    return [*lines, _legend(rows, shown), *_totals(rows)]


def _name_width(frames: Sequence[pl.DataFrame], width: int, first: date, last: date) -> tuple[int, bool]:
    """Columns for the names, and whether they lose their `bmrs_`: where whole names leave no room for the cells."""
    names = [frame["table"][0] for frame in frames if not frame.is_empty()]
    wanted = len(gapmap.columns(first, last, gapmap.unit_for(first, last, show.UNBOUNDED)))
    left = max(width - wanted, LEAST_NAME)
    longest = max(map(len, names))
    if longest <= left:
        return longest, False
    return min(max(len(name.removeprefix(PREFIX)) for name in names), left), True


def _cells(row: Row, shown: Sequence[date]) -> Text:
    text = Text()
    for head in shown:
        cell = row.cells.get(head)
        letter, style, _ = MARKS[mark(cell)] if cell else (" ", "", "")
        text.append(letter, style)
    return text


def mark(cell: Cell) -> str:
    """The key of MARKS for a cell: its worst day; SOME if few are missing, KNOWN if all that fails is known."""
    if cell.failing and cell.failing == cell.known:
        return KNOWN
    if 0 < 2 * cell.days.get(State.MISSING, 0) < sum(cell.days.values()):
        return SOME
    return next(m for m in MARKS if m in cell.days)


def _heads(shown: Sequence[date], unit: Unit) -> tuple[str, str]:
    """Two lines over the cells: years (over days and weeks: months), and a character a column."""
    fine = unit in (Unit.DAY, Unit.WEEK)
    upper = [" "] * len(shown)
    free = 0
    for i, head in enumerate(shown):
        named = (head.year, head.month) if fine else (head.year,)
        before = shown[i - 1] if i else None
        if before and named == ((before.year, before.month) if fine else (before.year,)):
            continue
        label = f"{_MONTHS[head.month - 1]} {head.year}" if fine else str(head.year)
        for text in (label, label[:3] if fine else label[2:]):
            if i >= free and i + len(text) <= len(shown):
                upper[i : i + len(text)] = text
                free = i + len(text) + 1
                break
    lower = {
        Unit.DAY: [str(h.day % 10) for h in shown],
        Unit.WEEK: [str((h.day - 1) // 7 + 1) for h in shown],
        Unit.MONTH: [_MONTHS[h.month - 1][0] for h in shown],
        Unit.QUARTER: [str((h.month - 1) // 3 + 1) for h in shown],
        Unit.YEAR: [str(h.year % 10) for h in shown],
    }[unit]
    return "".join(upper).rstrip(), "".join(lower)


def _figures(row: Row) -> str:
    share = "" if row.ratio is None else percent(row.ratio)
    return f" {share:>6} {row.failing:>6,}"


def percent(ratio: float) -> str:
    """'100%' only of a whole, '0%' only of nothing; else with a decimal, rounded down."""
    return f"{ratio:.0%}" if ratio in (0, 1) else f"{max(int(ratio * 1000), 1) / 10:.1f}%"


def _legend(rows: Sequence[Row], shown: Sequence[date]) -> Text:
    there = {mark(cell) for row in rows for head, cell in row.cells.items() if head in set(shown)}
    text = Text()
    for key, (letter, style, meaning) in MARKS.items():
        if key in there:
            text.append(letter, style).append(f" {meaning}   ")
    return text.append("(the worst day of each cell)")


def _totals(rows: Sequence[Row]) -> list[Text]:
    states: dict[State, int] = {}
    for row in rows:
        for state, n in row.states.items():
            states[state] = states.get(state, 0) + n
    total, complete = sum(states.values()), states.get(State.COMPLETE, 0)
    others = [f"{states[s]:,} {MARKS[s][2]}" for s in State if s is not State.COMPLETE and s in states]
    said = f"{count(len(rows), 'table')}, {count(total, 'day')}: {complete:,} complete"
    lines = [Text(", ".join([said, *others]))]
    failing = [row.table for row in rows if row.failing]
    if failing:
        which = f"`gbpm gaps {failing[0]} --ranges` names the days of the worst"
        lines.append(Text(f"{len(failing):,} with gaps; {which}, `gbpm heal` fetches what is missing"))
    return lines


def _ranges(found: pl.DataFrame) -> None:
    show.rows(
        "days that are not complete",
        ("table", "from", "to", "days", "state", "why"),
        [
            (r["table"], r["first"], r["last"], r["days"], show.state(r["state"]), r["reason"])
            for r in found.iter_rows(named=True)
        ],
    )
