"""Ids of BM units: what a prefix means, and finding a unit in a register by any of its ids (domain.md section 5).

Belongs here: the rules of ids, pure. Not here: where a register comes from, or what a unit's entry says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

TYPE_OF_PREFIX = {"2__": "S", "C__": "C", "V__": "V", "T_": "T", "E_": "E", "I_": "I", "M_": "M"}
"""The type an id's prefix stands for; where the register has the unit, its `bmUnitType` counts."""

TYPE_MEANING = {
    "T": "directly connected to transmission",
    "E": "embedded, centrally metered",
    "I": "interconnector user",
    "G": "base supplier unit of a GSP group",
    "S": "additional supplier unit of a GSP group",
    "C": "supplier unit for contracts-for-difference assets",
    "M": "miscellaneous, legacy",
    "V": "secondary unit of a virtual lead party",
}

ELEXON_ID, NG_ID, EIC, SUFFIX, AMBIGUOUS, UNMATCHED = (
    "elexon_id",
    "ng_id",
    "eic",
    "suffix",
    "ambiguous",
    "unmatched",
)
"""Rules, as `Found.rule` and `match` name them."""

ALIKE = 0.7
"""Texts less alike than this (1 = the same) are not offered in place of a wrong id."""

Row = Mapping[str, str | None]
"""A register's row: elexonBmUnit, nationalGridBmUnit and, where there is one, eic; any other fields too."""


@dataclass(frozen=True, slots=True)
class Found:
    """What an id led to. rule: the rule that decided; rows: positions in the register, one unless ambiguous."""

    rule: str
    rows: tuple[int, ...] = ()


def unit_type(unit: str) -> tuple[str | None, str]:
    """(type by prefix or None, id without its prefix): `2__FBPGM002` -> (S, FBPGM002)."""
    plain = _plain(unit)
    for prefix, kind in TYPE_OF_PREFIX.items():
        if plain.startswith(prefix):
            return kind, plain.removeprefix(prefix)
    return None, plain


def find(unit: str, register: Sequence[Row]) -> Found:
    """The row an id leads to, by the first rule that has any: Elexon's id, National Grid's, EIC, Elexon's suffix.

    Case and outer spaces do not count. Several rows by one rule are `ambiguous`, and all of them are given; a suffix
    (one known prefix taken off both ids) is the last resort, as it is no general join.
    """
    asked = _plain(unit)
    suffix = unit_type(asked)[1]
    rules: tuple[tuple[str, Callable[[Row], bool]], ...] = (
        (ELEXON_ID, lambda row: _plain(row.get("elexonBmUnit")) == asked),
        (NG_ID, lambda row: _plain(row.get("nationalGridBmUnit")) == asked),
        (EIC, lambda row: _plain(row.get("eic")) == asked),
        (SUFFIX, lambda row: unit_type(row.get("elexonBmUnit") or "")[1] == suffix),
    )
    if not suffix:
        return Found(UNMATCHED)
    for rule, holds in rules:
        rows = tuple(i for i, row in enumerate(register) if holds(row))
        if rows:
            return Found(rule if len(rows) == 1 else AMBIGUOUS, rows)
    return Found(UNMATCHED)


def match(unit: str, register: Sequence[Row]) -> tuple[str | None, str]:
    """(elexonBmUnit of the row an id leads to, the rule); None where there is no such row or more than one."""
    found = find(unit, register)
    return (register[found.rows[0]].get("elexonBmUnit") if len(found.rows) == 1 else None), found.rule


def nearest(unit: str, register: Sequence[Row], limit: int = 3) -> list[int]:
    """Positions of the rows whose ids, or words of their `bmUnitName`, are most like it, best first; may be none."""
    asked = unit_type(unit)[1]
    if not asked:
        return []
    alike = SequenceMatcher(b=asked, autojunk=False)
    scores = [(max((_likeness(alike, t) for t in _texts(row)), default=0.0), i) for i, row in enumerate(register)]
    best = sorted((s for s in scores if s[0] >= ALIKE), key=lambda s: (-s[0], s[1]))
    return [i for _, i in best[:limit]]


def _texts(row: Row) -> list[str]:
    name = _plain(row.get("bmUnitName"))
    ids = [unit_type(row.get("elexonBmUnit") or "")[1], _plain(row.get("nationalGridBmUnit")), _plain(row.get("eic"))]
    return [t for t in (*ids, name, *name.split()) if t]


def _likeness(alike: SequenceMatcher[str], text: str) -> float:
    alike.set_seq1(text)
    if alike.real_quick_ratio() < ALIKE or alike.quick_ratio() < ALIKE:
        return 0.0
    return alike.ratio()


def _plain(text: str | None) -> str:
    return (text or "").strip().upper()
