"""Wanted days, scope files and expected slots."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.market.calendar import day_bounds, periods_in_day, sp_bounds
from gbpm_dagster.quality.expected import by_publication, expected_slots, load_scope, wanted_days

MID, INDO, UNITS, REMIT = (DATASETS[t] for t in ("bmrs_mid", "bmrs_indo", "ref_bmunits", "bmrs_remit"))
TODAY = date(2024, 1, 10)


def test_from_the_later_start_through_today() -> None:
    assert wanted_days(MID, date(2024, 1, 8), TODAY, None) == [date(2024, 1, d) for d in (8, 9, 10)]
    late = replace(MID, first_day=date(2024, 1, 10))
    assert wanted_days(late, date(2024, 1, 8), TODAY, None) == [TODAY]
    assert wanted_days(replace(MID, first_day=date(2025, 1, 1)), date(2022, 1, 1), TODAY, None) == []


def test_scope_limits_days_and_tables() -> None:
    scope = {
        "bmrs_mid": [(date(2024, 1, 9), date(2024, 2, 1)), (date(2024, 1, 3), date(2024, 1, 4))],
        "ref_bmunits": [(date(2024, 1, 3), date(2024, 1, 4))],
    }
    wanted = wanted_days(MID, date(2022, 1, 1), TODAY, scope)
    assert wanted == [date(2024, 1, d) for d in (3, 4, 9, 10)]
    assert wanted_days(MID, date(2024, 1, 4), TODAY, scope) == [date(2024, 1, d) for d in (4, 9, 10)]
    assert wanted_days(REMIT, date(2022, 1, 1), TODAY, scope) == []
    assert wanted_days(UNITS, date(2022, 1, 1), TODAY, scope) == [date(2024, 1, 4)]
    assert wanted_days(UNITS, date(2022, 1, 1), TODAY, None) == [TODAY]


def test_load_scope(tmp_path: Path) -> None:
    file = tmp_path / "scope.json"
    file.write_text('{"bmrs_mid": [["2024-01-03", "2024-01-04"]]}')
    assert load_scope(file) == {"bmrs_mid": [(date(2024, 1, 3), date(2024, 1, 4))]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "must be an object"),
        ('{"bmrs_mid": "2024-01-03"}', "bmrs_mid"),
        ('{"bmrs_mid": [["2024-01-03"]]}', "2024-01-03"),
        ('{"bmrs_mid": [["2024-01-03", "yesterday"]]}', "yesterday"),
        ('{"bmrs_mid": [["2024-01-03", 7]]}', "7"),
        ('{"bmrs_mid": [["2024-01-04", "2024-01-03"]]}', "after"),
    ],
)
def test_a_bad_scope_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "scope.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=said) as caught:
        load_scope(file)
    assert str(file) in str(caught.value)


def test_an_absent_scope_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        load_scope(tmp_path / "none.json")


def test_only_tables_kept_by_publication_are_shifted() -> None:
    assert {d.table for d in DATASETS.values() if by_publication(d)} >= {"bmrs_indo", "bmrs_itsdo"}
    assert not any(by_publication(DATASETS[t]) for t in ("bmrs_mid", "bmrs_costs", "bmrs_remit", "bmrs_freq"))


@given(st.dates(date(2015, 1, 1), date(2035, 12, 31)))
def test_slots_of_a_day(day: date) -> None:
    slots = expected_slots(MID, [day])
    assert slots["period"].to_list() == list(range(1, periods_in_day(day) + 1))
    assert slots["date"].unique().to_list() == [day]
    assert slots["expected"].unique().to_list() == [2]
    assert slots["end"].to_list() == [sp_bounds(day, n)[1] for n in slots["period"]]


@given(st.dates(date(2015, 1, 1), date(2035, 12, 31)))
def test_slots_of_a_day_of_publication_are_those_that_end_in_it(day: date) -> None:
    start, end = day_bounds(day)
    before = day - timedelta(days=1)
    ends = {(d, n): sp_bounds(d, n)[1] for d in (before, day) for n in range(1, periods_in_day(d) + 1)}
    slots = expected_slots(INDO, [day])
    found = dict(zip(zip(slots["date"], slots["period"], strict=True), slots["end"], strict=True))
    assert found == {slot: at for slot, at in ends.items() if start <= at < end}


def test_a_day_before_every_member_expects_nothing() -> None:
    late = replace(MID.completeness, members=tuple(replace(m, first_day=TODAY) for m in MID.completeness.members))
    assert expected_slots(replace(MID, completeness=late), [TODAY - timedelta(days=1)]).is_empty()


@given(st.lists(st.dates(date(2016, 1, 1), date(2034, 12, 1)), min_size=1, max_size=5, unique=True))
def test_a_day_of_publications_is_one_slot_that_ends_with_it(wanted: list[date]) -> None:
    found = expected_slots(DATASETS["bmrs_ndfd"], sorted(wanted))
    assert found.rows() == [(day, day, 0, day_bounds(day)[1], 1) for day in sorted(wanted)]
