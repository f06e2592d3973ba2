"""What an answer over some days lacks, and how it is said."""

from __future__ import annotations

from datetime import date, timedelta
from typing import cast

import pytest

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.quality.lacking import Lack, NothingStored, in_words, lacking, stored_span, wanted_between
from gbpm_dagster.quality.states import State
from gbpm_dagster.warehouse.protocol import Warehouse
from gbpm_dagster_tests.quality.helpers import Memory, answer, evidence, slots_of, utc

MID, UNITS = DATASETS["bmrs_mid"], DATASETS["ref_bmunits"]
DAY = date(2024, 1, 1)
NOW = utc("2024-01-08 12:00")


def days(*numbers: int) -> list[date]:
    return [DAY + timedelta(days=n) for n in numbers]


def of(*held: date, periods: int = 48) -> Warehouse:
    """A warehouse with evidence of these days: whole, or of the first so many periods."""
    memory = Memory()
    asked = utc("2024-01-08 11:00")
    memory.answers = evidence(
        *(answer(MID, d, asked, [s for s in slots_of(d, 2) if s["period"] <= periods]) for d in held)
    )
    return cast(Warehouse, memory)


def test_days_that_are_whole_lack_nothing() -> None:
    assert lacking(of(*days(0, 1)), MID, days(0, 1), NOW) == []
    assert lacking(of(), MID, [], NOW) == []
    assert lacking(of(), UNITS, days(0), NOW) == []


def test_each_state_is_told_and_only_some_fail() -> None:
    found = lacking(of(*days(0), periods=40), MID, days(0, 1, 7, 8), NOW)
    assert [(k.day, k.state.value, k.fails) for k in found] == [
        (days(0)[0], "partial", True),
        (days(1)[0], "missing", True),
        (days(7)[0], "late", True),
        (days(8)[0], "not_due", False),
    ]
    assert "missing 41-48" in found[0].reason


def test_open_ends_are_closed_by_what_is_stored() -> None:
    held = of(*days(0, 5))
    assert stored_span(held, MID, None, None, "h") == tuple(days(0, 5))
    assert stored_span(held, MID, days(3)[0], None, "h") == tuple(days(3, 5))
    assert stored_span(held, MID, days(-9)[0], days(9)[0], "h") == tuple(days(-9, 9))


@pytest.mark.parametrize(
    ("held", "start", "end", "words"),
    [
        ([], None, None, "bmrs_mid holds nothing yet in the home h: `gbpm backfill bmrs_mid --from yyyy-mm-dd"),
        ([], days(1)[0], days(2)[0], "`gbpm backfill bmrs_mid --from 2024-01-02 --to 2024-01-03` fetches"),
        (days(0, 5), days(1)[0], days(2)[0], "no day from 2024-01-02 to 2024-01-03 in the home h, only 2024"),
        (days(0, 5), days(6)[0], None, "holds no day from 2024-01-07 on in the home h, only 2024-01-01 to"),
        (days(0, 5), None, days(-1)[0], "holds no day up to 2023-12-31 in the home h"),
    ],
)
def test_nothing_stored_says_what_is_there_and_how_to_fetch(
    held: list[date], start: date | None, end: date | None, words: str
) -> None:
    with pytest.raises(NothingStored) as caught:
        stored_span(of(*held), MID, start, end, "h")
    assert words in str(caught.value)


def test_no_day_after_today_or_before_the_first_is_wanted() -> None:
    assert wanted_between(MID, days(5)[0], days(20)[0], NOW) == days(5, 6, 7)
    assert wanted_between(MID, date(1990, 1, 1), MID.first_day, NOW) == [MID.first_day]
    assert wanted_between(MID, days(0)[0], days(9)[0], NOW, {"bmrs_mid": [(days(2)[0], days(3)[0])]}) == days(2, 3)
    assert wanted_between(MID, days(9)[0], days(0)[0], NOW) == []


def test_ranges_of_one_state_are_said_together() -> None:
    lacks = [Lack(d, State.MISSING, "") for d in days(0, 1, 2)] + [Lack(d, State.LATE, "") for d in days(3, 5)]
    assert in_words(lacks) == "2024-01-01 to 2024-01-03 (missing), 2024-01-04 (late), 2024-01-06 (late)"
    assert in_words(lacks, most=1) == "2024-01-01 to 2024-01-03 (missing) and 2 more"
    assert in_words([Lack(DAY, State.MISSING_AT_SOURCE, "")]) == "2024-01-01 (missing at source)"
