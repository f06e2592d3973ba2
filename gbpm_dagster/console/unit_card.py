"""How `gbpm unit` prints a unit, several candidates, and (`--json`) both for scripts.

Belongs here: the words. Not here: finding anything (analytics.units).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from gbpm_dagster.console import show as screen

if TYPE_CHECKING:
    from gbpm_dagster.analytics.units import Change, Unit, Units

RULES = {
    "elexon_id": "by Elexon's id",
    "ng_id": "by National Grid's id",
    "eic": "by its EIC",
    "suffix": "by the id without its prefix",
    "ambiguous": "by an id that several share",
}
DIRECTION = {"P": "production", "C": "consumption"}


def show(found: Units, as_json: bool) -> None:
    if as_json:
        screen.print_json(asdict(found))
    elif len(found.units) > 1:
        _candidates(found)
    else:
        _card(found, found.units[0])


def _card(found: Units, unit: Unit) -> None:
    screen.say(f"{unit.elexon_id or unit.national_grid_id}, found {RULES[found.rule]} in the list of {found.list_of}")
    _grid([(name, "-" if value is None else value) for name, value in _lines(found, unit)])
    if len(unit.changes) > 1:
        screen.say("changes, by the day of the list that shows them")
        _grid([(str(c.day), _change(c)) for c in unit.changes])


def _candidates(found: Units) -> None:
    screen.say(
        f"{found.asked} is an id of {len(found.units)} units in the list of {found.list_of}: ask for one of them"
    )
    screen.narrow(
        "",
        ("Elexon id", "National Grid id", "EIC", "name", "generation"),
        [
            tuple(v or "-" for v in (u.elexon_id, u.national_grid_id, u.eic, u.name, _mw(u.generation_capacity_mw)))
            for u in found.units
        ],
        wraps="name",
    )


def _grid(lines: Sequence[tuple[str, str]]) -> None:
    grid = Table.grid(padding=(0, 2))
    for name, value in lines:
        grid.add_row(Text(f"  {name}", "dim"), Text(value))
    screen.out.print(grid)


def _lines(found: Units, unit: Unit) -> list[tuple[str, str | None]]:
    direction = unit.production_or_consumption
    first = " (the first list kept)" if unit.since == found.first_list else ""
    return [
        ("Elexon id", unit.elexon_id),
        ("National Grid id", unit.national_grid_id),
        ("EIC", unit.eic),
        ("name", unit.name),
        ("fuel", unit.fuel),
        ("lead party", _both(unit.lead_party, unit.lead_party_id)),
        ("type", _both(unit.type, unit.type_meaning)),
        ("generation capacity", _mw(unit.generation_capacity_mw)),
        ("demand capacity", _mw(unit.demand_capacity_mw)),
        ("direction", _both(direction, DIRECTION.get(direction or ""))),
        ("GSP group", _both(unit.gsp_group_id, unit.gsp_group)),
        ("interconnector", unit.interconnector),
        ("so since", f"{unit.since}{first}"),
        ("so until", f"{unit.until or f'the newest list, {found.last_list}'}"),
    ]


def _both(first: str | None, second: str | None) -> str | None:
    return f"{first} ({second})" if first and second else first or second


def _mw(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}".rstrip("0").rstrip(".") + " MW"


def _change(change: Change) -> str:
    if change.what != "changed":
        return "listed" if change.what == "listed" else "not in the list"
    before, after = ("none" if v is None else v for v in (change.before, change.after))
    return f"{change.column}: {before} -> {after}"
