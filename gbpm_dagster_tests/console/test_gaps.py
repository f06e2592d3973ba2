"""`gbpm gaps`: the map for people of any terminal, ranges, JSON and CSV for scripts, and what it refuses."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import polars as pl
import pytest

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.console.gaps import MARKS, drawn, mark, percent
from gbpm_dagster.market.calendar import days
from gbpm_dagster.quality.gapmap import Cell, Unit
from gbpm_dagster.quality.states import State
from gbpm_dagster.warehouse.protocol import Arrival, frame_schema
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import DEAD, Gbpm
from gbpm_dagster_tests.quality.test_gapmap import frame

BOALF = DATASETS["bmrs_boalf"]
ANSWERED = datetime(2024, 1, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def gbpm(make_gbpm: MakeGbpm) -> Gbpm:
    """January 2024 of acceptances, asked for on the 20th but for the 5th, 6th and 9th; the source is out of reach."""
    made = make_gbpm(
        DEAD, GBPM_DATASETS="bmrs_boalf", GBPM_NOW="2024-01-15T00:00:00Z", GBPM_HISTORY_START="2024-01-01"
    )
    nothing = pl.DataFrame(schema=frame_schema(BOALF))
    asked = [d for d in days(date(2024, 1, 1), date(2024, 1, 14)) if d.day not in (5, 6, 9)]
    made.runtime().lake.replace(
        BOALF, [Arrival(d, nothing, ANSWERED, windows_asked=1, windows_answered=1) for d in asked]
    )
    return made


FOUND = [
    {"first": first, "last": last, "days": n, "state": state, "reason": reason, "known": False}
    for first, last, n, state, reason in (
        ("2024-01-05", "2024-01-06", 2, "missing", "never asked"),
        ("2024-01-09", "2024-01-09", 1, "missing", "never asked"),
        ("2024-01-15", "2024-01-15", 1, "not_due", "not due yet"),
    )
]


def test_json_is_the_contract(gbpm: Gbpm) -> None:
    done = gbpm("gaps", "--json")
    assert (done.code, done.err) == (3, "")
    assert done.json == {
        "complete": False,
        "tables": {
            "bmrs_boalf": {
                "days": 15,
                "states": {"missing": 3, "not_due": 1, "complete": 11},
                "failing": 3,
                "completeness": 11 / 14,
                "ranges": FOUND,
            }
        },
    }


def test_csv_has_a_line_a_range(gbpm: Gbpm) -> None:
    done = gbpm("gaps", "bmrs_boalf", "--csv")
    assert done.code == 3
    found = list(csv.DictReader(io.StringIO(done.out)))
    assert [(r["table"], r["first"], r["last"], r["state"]) for r in found] == [
        ("bmrs_boalf", r["first"], r["last"], r["state"]) for r in FOUND
    ]


def test_a_person_sees_the_map_and_the_ranges(gbpm: Gbpm) -> None:
    done = gbpm("gaps")
    assert done.code == 3
    assert "bmrs_boalf ....MM..M.....- 78.5% 3" in done.words
    assert "1 table, 15 days: 11 complete, 3 missing, 1 not due yet" in done.words
    shown = gbpm("gaps", "bmrs_boalf", "--ranges")
    assert shown.code == 3
    assert "bmrs_boalf 2024-01-05 2024-01-06 2 missing never asked" in shown.words


def test_a_range_without_gaps_is_0(gbpm: Gbpm) -> None:
    done = gbpm("gaps", "bmrs_boalf", "--from", "2024-01-10", "--to", "2024-01-14")
    assert done.code == 0
    assert "bmrs_boalf ..... 100% 0" in done.words and "with gaps" not in done.words
    assert gbpm("gaps", "bmrs_boalf", "--from", "2024-01-10", "--to", "2024-01-14", "--json").json["complete"] is True


def test_what_makes_no_sense_is_2(gbpm: Gbpm) -> None:
    for asked, said in (
        (("--json", "--csv"), "one of the three"),
        (("bmrs_boalv",), "or bmrs_boalf"),
        (("bmrs_boalf", "--group", "balancing"), "name tables, or a --group"),
        (("--by", "decade"), "decade"),
        (("bmrs_boalf", "--from", "2024-01-10", "--to", "2024-01-02"), "swap them"),
    ):
        done = gbpm("gaps", *asked)
        assert done.code == 2, asked
        assert said in done.words, asked


YEARS = [frame("bmrs_a_table_of_a_long_name", ["complete"] * 1400), frame("bmrs_b", ["complete", *["missing"] * 900])]


@pytest.mark.parametrize(("width", "cells"), [(44, 4), (60, 16), (80, 47), (200, 47)])
def test_the_map_fits_the_terminal(width: int, cells: int) -> None:
    """February 2024 to December 2027: 47 months, 16 quarters, 4 years."""
    lines = [line.plain for line in drawn(YEARS, "h", width)]
    table = lines[1:5]
    assert all(len(line) <= width for line in table), table
    assert len(table[3].split()[1]) == cells
    assert table[2].startswith("bmrs_b " if width == 200 else "b "), "the worst first"


def test_a_terminal_too_narrow_for_a_unit_asked_for_says_so() -> None:
    lines = [line.plain for line in drawn(YEARS, "h", 60, Unit.DAY)]
    assert all(len(line) <= 60 for line in lines[1:5])
    assert any("do not fit" in line for line in lines)


def test_the_heads_stand_over_their_columns() -> None:
    """500 days from 27 February 2024: to 10 July 2025."""
    upper, lower, row = (line.plain for line in drawn([frame("t", ["complete"] * 500)], "h", 120, Unit.MONTH)[1:4])
    assert lower.split()[0] == "FMAMJJASONDJFMAMJJ"
    assert upper.index("2024") == row.index(".") == lower.index("F")
    assert upper.index("2025") == lower.index("J", lower.index("D"))


def test_letters_tell_what_colours_do() -> None:
    assert len({letter for letter, _, _ in MARKS.values()}) == len(MARKS)
    assert {State(s) for s in MARKS if s in set(State)} == set(State)
    assert mark(Cell({State.MISSING: 20, State.COMPLETE: 10})) == State.MISSING
    assert MARKS[mark(Cell({State.MISSING: 1, State.COMPLETE: 29}))][0] == "m"
    assert mark(Cell({State.PARTIAL: 1, State.MISSING_AT_SOURCE: 5})) == State.PARTIAL
    assert MARKS[mark(Cell({State.MISSING: 3, State.COMPLETE: 1}, known=3))][0] == "k"
    assert MARKS[mark(Cell({State.MISSING: 3, State.COMPLETE: 1}, known=2))][0] == "M"
    assert mark(Cell({State.EXCLUDED: 3, State.COMPLETE: 9})) == State.EXCLUDED
    assert mark(Cell({State.COMPLETE: 3})) == State.COMPLETE


def test_a_share_is_never_rounded_up_to_the_whole() -> None:
    assert [percent(r) for r in (0.0, 0.00001, 0.5, 0.99999, 1.0)] == ["0%", "0.1%", "50.0%", "99.9%", "100%"]


def test_nothing_wanted_is_said() -> None:
    (line,) = drawn([], "h", 80)
    assert "no day" in line.plain


def test_days_are_columns_of_a_month() -> None:
    """30 and 31 January, 1 February: 4 and 4 of 10 due are there of the last two."""
    lines = drawn([frame("t", ["complete", "late", "missing_at_source"], date(2024, 1, 30))], "h", 80)
    heads = ["  Jan", "  011  there   gaps", "t .Ls  60.0%      1"]
    assert [line.plain.rstrip() for line in lines[1:4]] == heads
