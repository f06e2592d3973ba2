"""Ids of BM units against the worked examples bmu-* and the register's own numbers (domain.md section 5)."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.demo.replay_recordings import RECORDINGS
from gbpm_dagster.market import bm_units
from gbpm_dagster_tests.examples import example


@cache
def register() -> list[dict[str, Any]]:
    """The recorded register of November 2025."""
    text = gzip.decompress((RECORDINGS / "ref_bmunits.native.ndjson.gz").read_bytes())
    return [json.loads(line) for line in text.splitlines()]


def test_worked_example_bmu_01_types() -> None:
    given, expected = example("bmu-01")
    assert [list(bm_units.unit_type(unit)) for unit in given["ids"]] == expected


def test_worked_example_bmu_02_matches() -> None:
    given, expected = example("bmu-02")
    assert [list(bm_units.match(unit, given["reference"])) for unit in given["ids"]] == expected


@pytest.mark.parametrize(
    ("asked", "found", "rule"),
    [
        ("2__FBPGM002", "2__FBPGM002", "elexon_id"),
        (" fbpg02 ", "2__FBPGM002", "ng_id"),
        ("FBPGM002", "2__FBPGM002", "suffix"),  # domain.md: by rule 3 only
        ("AG-AFLX03", "2__AFLEX003", "ng_id"),
        ("V__BADEL001", "V__BADEL001", "elexon_id"),
        ("AG-ADL00B", "V__BADEL001", "ng_id"),
        ("AJERE000", "2__AJERE000", "ng_id"),
        ("48w00000draxx-1e", "T_DRAXX-1", "eic"),
        ("AFLEX003", None, "ambiguous"),  # 2__AFLEX003 and V__AFLEX003
        ("WLNYO-4", None, "ambiguous"),  # the one National Grid id that is listed twice
        ("NOSUCH-1", None, "unmatched"),
        ("", None, "unmatched"),
        ("2__", None, "unmatched"),
    ],
)
def test_the_recorded_register_by_each_rule(asked: str, found: str | None, rule: str) -> None:
    assert bm_units.match(asked, register()) == (found, rule)


def test_all_candidates_of_an_ambiguous_id_are_given() -> None:
    found = bm_units.find("AFLEX003", register())
    assert {register()[i]["elexonBmUnit"] for i in found.rows} == {"2__AFLEX003", "V__AFLEX003"}


def test_a_unit_without_an_elexon_id_is_found_by_its_other_one() -> None:
    found = bm_units.find("achyw-1", register())
    assert (found.rule, len(found.rows)) == ("ng_id", 1)
    assert bm_units.match("achyw-1", register()) == (None, "ng_id")


def test_every_unit_of_the_register_is_found_by_its_own_ids() -> None:
    """Unique Elexon ids first; National Grid's are never null and unique but for WLNYO-4 (domain.md section 5)."""
    units = register()
    ids = Counter(u["elexonBmUnit"] for u in units if u["elexonBmUnit"])
    assert [u for u, n in ids.items() if n > 1] == ["T_WLNYO-4"]
    elexon_ids = {u.upper() for u in ids}
    for number in range(0, len(units), 40):  # a walk of all is quadratic
        unit = units[number]
        if unit["elexonBmUnit"]:
            assert bm_units.find(unit["elexonBmUnit"].lower(), units).rows == (number,)
        if unit["nationalGridBmUnit"].upper() not in elexon_ids:
            assert bm_units.find(unit["nationalGridBmUnit"], units).rows == (number,)


def test_types_of_the_register_have_a_meaning_and_prefixes_agree_with_it() -> None:
    """domain.md: I 1,160; G 548 (all 2__); T 451, 8 of them M_; S 269 (267 2__, 2 C__); E 155; V 89; null 61."""
    seen = Counter((u["bmUnitType"], bm_units.unit_type(u["elexonBmUnit"] or "")[0]) for u in register())
    assert seen == {
        ("I", "I"): 1160,
        ("G", "S"): 548,
        ("T", "T"): 443,
        ("T", "M"): 8,
        ("S", "S"): 267,
        ("S", "C"): 2,
        ("E", "E"): 155,
        ("V", "V"): 89,
        (None, None): 61,
    }
    assert {t for t, _ in seen if t} <= set(bm_units.TYPE_MEANING)


def test_what_is_like_a_wrong_id_is_offered() -> None:
    def like(text: str) -> list[str]:
        return [register()[i]["elexonBmUnit"] for i in bm_units.nearest(text, register())]

    assert "T_DRAXX-1" in like("DRAXX1")
    assert like("2__FBPGM02")[0] == "2__FBPGM002"
    assert like("hawthorn")[0] == "2__FBPGM002"  # a word of its name, Hawthorn Pit BESS
    assert like("") == []
    assert like("@@@@@@@@@@") == []


@given(st.text(max_size=12))
def test_a_prefix_is_taken_off_once_and_nothing_else(text: str) -> None:
    kind, suffix = bm_units.unit_type(text)
    plain = text.strip().upper()
    prefixes = [p for p, t in bm_units.TYPE_OF_PREFIX.items() if plain.startswith(p)]
    assert (kind is None) == (not prefixes)
    assert plain == (prefixes[0] if prefixes else "") + suffix
