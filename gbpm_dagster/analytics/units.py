"""A BM unit's entry in the register as of a day, and what changed in it from list to list.

Belongs here: reading the kept lists. Not here: the rules of ids (market.bm_units), any wording for a terminal.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from gbpm_dagster.analytics import sql
from gbpm_dagster.market import bm_units
from gbpm_dagster.warehouse.protocol import Warehouse

TABLE = "ref_bmunits"
LISTED, CHANGED, GONE = "listed", "changed", "gone"
"""What a list shows of a unit that the one before did not: that it is there, another value, that it is not there."""

_FROM, _TO, _SEEN = "_valid_from", "_valid_to", "_last_seen"
_ONE = timedelta(days=1)
Interval = Mapping[str, Any]
"""A row of ref_bmunits_history."""


class UnitNotFound(LookupError):
    """There is no such unit, or no list to look in; the message says what there is and what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the list of `day` shows that the one before did not. column, before, after: of what `changed`."""

    day: date
    what: str
    column: str = ""
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit's entry as of a day. Capacities in MW (import negative), None where the register has none.

    type: the register's `bmUnitType`, else the one of the id's prefix. since: first list of the run of lists that say
    just this; until: the day before a list that no longer does, None if the newest does. changes: over all lists.
    """

    elexon_id: str | None
    national_grid_id: str | None
    eic: str | None
    name: str | None
    fuel: str | None
    lead_party: str | None
    lead_party_id: str | None
    type: str | None
    type_meaning: str | None
    generation_capacity_mw: float | None
    demand_capacity_mw: float | None
    production_or_consumption: str | None
    gsp_group_id: str | None
    gsp_group: str | None
    interconnector: str | None
    since: date
    until: date | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Units:
    """What an id led to. list_of: day of the list in force on `on`; first_list, last_list: the oldest, the newest.

    rule: of market.bm_units; units: one, or the candidates of an ambiguous id.
    """

    asked: str
    on: date
    list_of: date
    first_list: date
    last_list: date
    rule: str
    units: tuple[Unit, ...]


def find_unit(warehouse: Warehouse, asked: str, on: date | None = None) -> Units:
    """The unit of any of its ids as of that day (None: the newest list); raises UnitNotFound.

    Days without a list have the list before. Reads all intervals: some thousand rows a year of lists.
    """
    history = warehouse.sql(sql.unit_history()).to_dicts()
    if not history:
        raise UnitNotFound(f"no list of BM units is kept yet: `gbpm backfill {TABLE}` fetches today's")
    lists = _lists(warehouse, history)
    day = on or lists[-1]
    if day < lists[0]:
        raise UnitNotFound(
            f"no list of BM units is kept of {day} or before: the first is of {lists[0]}, "
            f"{_ask(asked, lists[0])} shows what that one says"
        )
    list_of = max(d for d in lists if d <= day)
    register = [r for r in history if r[_FROM] <= day and (r[_TO] is None or day <= r[_TO])]
    found = bm_units.find(asked, register)
    if not found.rows:
        raise UnitNotFound(_not_found(asked, list_of, register, history))
    units = tuple(_unit(register[i], history) for i in found.rows)
    return Units(asked, day, list_of, lists[0], lists[-1], found.rule, units)


def _lists(warehouse: Warehouse, history: Sequence[Interval]) -> list[date]:
    """Days with a list that has rows: a list without a change is seen in the evidence only."""
    evidence = warehouse.evidence([TABLE])
    days = {d for d, rows in evidence.select("day", "rows").iter_rows() if rows}
    return sorted(days | {r[_FROM] for r in history} | {r[_SEEN] for r in history})


def _not_found(asked: str, list_of: date, register: Sequence[Interval], history: Sequence[Interval]) -> str:
    said = f"there is no BM unit {asked!r} in the list of {list_of}"
    once = bm_units.find(asked, history)
    if once.rows:
        first, last = min(
            ((history[i][_FROM], history[i][_SEEN]) for i in once.rows),
            key=lambda span: min(abs(d - list_of) for d in span),
        )
        return f"{said}: it was listed from {first} to {last}, {_ask(asked, last)} shows it"
    near = [_label(register[i]) for i in bm_units.nearest(asked, register)]
    if near:
        return f"{said}: did you mean {' or '.join(near)}?"
    return f'{said}, and no id is like it: `gbpm sql "SELECT * FROM {TABLE}"` shows them all'


def _ask(asked: str, day: date) -> str:
    return f"`gbpm unit {shlex.quote(asked)} --on {day}`"


def _label(row: Interval) -> str:
    unit, name = row["elexonBmUnit"] or row["nationalGridBmUnit"], row["bmUnitName"]
    return f"{unit} ({name})" if name and name != unit else str(unit)


def _unit(row: Interval, history: Sequence[Interval]) -> Unit:
    kind = row["bmUnitType"] or bm_units.unit_type(row["elexonBmUnit"] or "")[0]
    return Unit(
        elexon_id=row["elexonBmUnit"],
        national_grid_id=row["nationalGridBmUnit"],
        eic=row["eic"],
        name=row["bmUnitName"],
        fuel=row["fuelType"],
        lead_party=row["leadPartyName"],
        lead_party_id=row["leadPartyId"],
        type=kind,
        type_meaning=bm_units.TYPE_MEANING.get(kind or ""),
        generation_capacity_mw=_mw(row["generationCapacity"]),
        demand_capacity_mw=_mw(row["demandCapacity"]),
        production_or_consumption=row["productionOrConsumptionFlag"],
        gsp_group_id=row["gspGroupId"],
        gsp_group=row["gspGroupName"],
        interconnector=row["interconnectorId"],
        since=row[_FROM],
        until=row[_TO],
        changes=tuple(_changes(_story(row, history))),
    )


def _mw(text: str | None) -> float | None:
    """The register's capacities are texts."""
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _story(row: Interval, history: Sequence[Interval]) -> list[Interval]:
    """The unit's intervals by time: of its Elexon id, whatever its other id was, unless two stood side by side."""
    same = [r for r in history if row["elexonBmUnit"] and r["elexonBmUnit"] == row["elexonBmUnit"]]
    same.sort(key=lambda r: r[_FROM])
    if not same or any(a[_TO] is None or b[_FROM] <= a[_TO] for a, b in pairwise(same)):
        key = ("elexonBmUnit", "nationalGridBmUnit")
        same = [r for r in history if all(r[k] == row[k] for k in key)]
    return same


def _changes(story: Sequence[Interval]) -> list[Change]:
    """What each list showed anew, by time; `story`: intervals of one unit that do not overlap, by time."""
    found = [Change(story[0][_FROM], LISTED)]
    for before, after in pairwise(story):
        ended = before[_TO] + _ONE
        if ended < after[_FROM]:
            found += [Change(ended, GONE), Change(after[_FROM], LISTED)]
        found += [
            Change(after[_FROM], CHANGED, c, before[c], after[c])
            for c in after
            if c not in (_FROM, _TO, _SEEN) and before[c] != after[c]
        ]
    if story[-1][_TO] is not None:
        found.append(Change(story[-1][_TO] + _ONE, GONE))
    return found
