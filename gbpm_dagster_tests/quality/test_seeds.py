"""The seeds of the register against a copy of the list they were made from (data/known_gaps.md)."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.quality.register import Entry
from gbpm_dagster.quality.seeds import seed_entries

AT, TODAY, START = datetime(2026, 1, 5, 9, tzinfo=UTC), date(2026, 1, 5), date(2016, 1, 1)
LISTED = (Path(__file__).parents[1] / "data" / "known_gaps.md").read_text()
STREAM = (
    "boalf",
    "bod",
    "fuelinst",
    "freq",
    "indgen",
    "inddem",
    "indo",
    "mid",
    "remit",
    "beb",
    "mels",
    "mils",
    "windfor",
)
"""Stream tables of December 2025: inventory.md, section 2, above `later`."""

LINES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in LISTED.splitlines()
    if line.startswith(("| bmrs_", "| all "))
]


def seeds(line: int) -> list[Entry]:
    return [e for e in seed_entries(AT, TODAY, START) if json.loads(e.evidence)["line"] == line]


def test_every_line_of_the_list_has_its_seeds_and_no_other() -> None:
    assert len(LINES) == 27
    numbers = {json.loads(e.evidence)["line"] for e in seed_entries(AT, TODAY, START)}
    assert numbers == set(range(1, 28))


def test_the_status_of_each_line_is_the_stated_one() -> None:
    for number, (table, span, reason, status) in enumerate(LINES, 1):
        assert {e.status.value for e in seeds(number)} == {status.strip("`")}, (table, span, reason)


def test_the_tables_of_each_line_are_the_named_ones() -> None:
    """`all _iris` are those of December 2025, less the two that the line after says otherwise of."""
    for number, (tables, *_) in enumerate(LINES, 1):
        found = {e.table for e in seeds(number)}
        if tables.startswith("all"):
            without = {"bmrs_fuelinst_iris", "bmrs_freq_iris"} if number == 23 else set()
            assert found == {f"bmrs_{name}_iris" for name in STREAM} - without
            continue
        names = {n if n.startswith("bmrs_") else f"bmrs_{n}" for n in tables.replace(" ", "").split(",")}
        names = {n.replace("bmrs_demand_forecast", "bmrs_demand_forecast_latest") for n in names}
        assert found == names, tables


def test_the_days_that_a_line_states_are_the_seeds_days() -> None:
    """A stated day is the first or last of a seed, unless the table begins later or the line says which are not."""
    for number, (_, span, *_) in enumerate(LINES, 1):
        stated = [date.fromisoformat(d) for d in re.findall(r"\d{4}-\d\d-\d\d", span)]
        ends = {d for e in seeds(number) for d in (e.first, e.last)}
        if span.startswith(("all but", "before")):
            assert not any(
                e.first <= d <= (e.last or TODAY) for e in seeds(number) for d in stated if e.table != "bmrs_itsdo"
            )
            continue
        for day in stated:
            begins_later = any(e.first > day and e.first == DATASETS[e.table].first_day for e in seeds(number))
            assert day in ends or begins_later, span
        if span.startswith("from") or span.split(" ")[0].endswith(".."):
            assert {e.last for e in seeds(number)} == {TODAY}, span


def test_days_by_hand() -> None:
    found = {
        (e.table, e.first.isoformat(), (e.last or date.max).isoformat(), e.status.value)
        for e in seed_entries(AT, TODAY, START)
    }
    assert {
        ("bmrs_freq", "2016-01-01", "2025-12-15", "suspected"),
        ("bmrs_bod", "2016-01-01", "2019-12-31", "suspected"),
        ("bmrs_mid", "2024-07-16", "2024-07-21", "resolved"),
        ("bmrs_indo", "2016-01-01", "2025-10-26", "suspected"),
        ("bmrs_indo", "2025-10-29", "2026-01-05", "suspected"),
        ("bmrs_itsdo", "2016-01-01", "2026-01-05", "suspected"),
        ("bmrs_agpt", "2023-01-01", "2026-01-05", "suspected"),
        ("bmrs_boalf_iris", "2025-12-14", "2025-12-17", "suspected"),
        ("bmrs_freq_iris", "2025-12-14", "2025-12-17", "resolved"),
    } <= found  # fmt: skip
    assert Counter(status for *_, status in found) == {"suspected": 80, "resolved": 8}


def test_none_is_missing_at_the_source_and_all_can_be_filled() -> None:
    assert {e.status.value for e in seed_entries(AT, TODAY, START)} == {"suspected", "resolved"}
    assert {e.recoverable for e in seed_entries(AT, TODAY, START)} == {True}
    assert {e.by for e in seed_entries(AT, TODAY, START)} == {"seed"}


def test_an_id_is_of_one_seed_and_the_same_on_every_day() -> None:
    later = seed_entries(datetime(2027, 6, 1, tzinfo=UTC), date(2027, 6, 1), date(2024, 1, 1))
    ids = [e.id for e in seed_entries(AT, TODAY, START)]
    assert ids == [e.id for e in later]
    assert len(set(ids)) == len(ids)


def test_in_a_home_that_is_pinned_before_a_gap_its_seed_is_still_whole() -> None:
    assert all(e.last is None or e.first <= e.last for e in seed_entries(AT, date(2024, 1, 10), date(2024, 1, 8)))


def test_a_seed_begins_no_sooner_than_the_home_so_that_its_days_can_all_be_there() -> None:
    """The healer ends a note when each of its days is complete; days before the home's history never are."""
    found = {(e.table, e.first, e.last) for e in seed_entries(AT, TODAY, date(2022, 1, 1))}
    assert {
        ("bmrs_freq", date(2022, 1, 1), date(2025, 12, 15)),
        ("bmrs_itsdo", date(2022, 1, 1), TODAY),
        ("bmrs_fuelinst", date(2022, 12, 31), date(2025, 12, 17)),
        ("bmrs_bod", date(2016, 1, 1), date(2019, 12, 31)),  # all before it: not this home's, kept as stated
    } <= found
