"""What validity remembers of days it has read: it saves reading, and never changes what is said."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Kind
from gbpm_dagster.market.calendar import days, sp_bounds
from gbpm_dagster.quality import rules
from gbpm_dagster.quality.checks import CheckResult, check_duplicates, check_validity
from gbpm_dagster.quality.judged import Judged
from gbpm_dagster_tests.quality.helpers import Memory, utc

COSTS = DATASETS["bmrs_costs"]
WEEK = days(date(2024, 1, 1), date(2024, 1, 7))
FETCHED = utc("2024-01-08 12:00")
TODAY = date(2024, 1, 8)
Row = dict[str, Any]


class Watched(Memory):
    """A warehouse that notes the days whose rows are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_days: list[date] = []

    def read(self, *args: Any, **more: Any) -> pl.DataFrame:
        frame = super().read(*args, **more)
        self.read_days += frame["_day"].unique().sort().to_list()
        return frame


def row(day: date, period: int, **more: Any) -> Row:
    prices = {"systemSellPrice": 50.0, "systemBuyPrice": 50.0}
    start = sp_bounds(day, period)[0]
    return {"settlementDate": day, "settlementPeriod": period, "startTime": start, "_day": day, **prices, **more}


def week(**bad: Row) -> list[Row]:
    """Two rows a day; bad: d3={...} changes the first row of 3 January."""
    return [row(d, n, **(bad.get(f"d{d.day}", {}) if n == 1 else {})) for d in WEEK for n in (1, 2)]


def stored(rows: list[Row]) -> Watched:
    warehouse = Watched()
    warehouse.put(COSTS, rows, FETCHED)
    return warehouse


def said(result: CheckResult) -> tuple[Any, ...]:
    details = {k: v for k, v in result.details.items() if k != "days read"}
    return result.passed, result.severity, result.summary, details


def judge(warehouse: Watched, judged: Judged, *, anew: bool = False) -> tuple[CheckResult, list[date]]:
    """The verdict, which must be the one without a memory, and the days that were read for it."""
    warehouse.read_days.clear()
    found = check_validity(warehouse, COSTS, WEEK, judged=judged, anew=anew)
    read = list(warehouse.read_days)
    assert found.details["days read"] <= len(read)  # a batch may span days it does not need
    assert said(found) == said(check_validity(warehouse, COSTS, WEEK))
    return found, read


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    return Judged(tmp_path / "judged", TODAY)


def test_a_day_that_has_not_changed_is_not_read_again(judged: Judged) -> None:
    warehouse = stored(week())
    assert judge(warehouse, judged)[1] == WEEK
    assert judge(warehouse, judged)[1] == []
    warehouse.put(COSTS, week(d3={"systemSellPrice": 51.0, "systemBuyPrice": 51.0}), FETCHED)
    assert judge(warehouse, judged)[1] == [WEEK[2]]


def test_an_offence_stays_reported_until_its_day_changes(judged: Judged) -> None:
    warehouse = stored(week(d3={"systemSellPrice": 60.0}, d5={"settlementPeriod": 49}))
    first, _ = judge(warehouse, judged)
    assert set(first.details["offences"]) >= {"SSP = SBP", "settlement period"}
    again, read = judge(warehouse, judged)
    assert (again.details["offences"], read) == (first.details["offences"], [])
    warehouse.put(COSTS, week(d5={"settlementPeriod": 49}), FETCHED)
    healed, read = judge(warehouse, judged)
    assert read == [WEEK[2]]
    assert "SSP = SBP" not in healed.details["offences"]
    assert "settlement period" in healed.details["offences"]


def test_a_new_offence_on_a_day_that_was_clean_is_found(judged: Judged) -> None:
    judge(stored(week()), judged)
    found, read = judge(stored(week(d7={"systemSellPrice": -100_000.0, "systemBuyPrice": -100_000.0})), judged)
    assert (found.passed, read) == (False, [WEEK[6]])


def test_other_rules_judge_every_day_again(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = stored(week())
    assert judge(warehouse, judged)[0].passed
    monkeypatch.setattr(rules, "PRICE_TOLERANCE", -1.0)  # now every row offends
    found, read = judge(warehouse, judged)
    assert (found.passed, read) == (False, WEEK)


def test_a_person_may_have_every_row_read(judged: Judged) -> None:
    warehouse = stored(week())
    judge(warehouse, judged)
    assert judge(warehouse, judged, anew=True)[1] == WEEK
    assert judge(warehouse, judged)[1] == []


def test_a_memory_that_is_damaged_or_cannot_be_kept_costs_reading_only(tmp_path: Path) -> None:
    judged, file = Judged(tmp_path, TODAY), tmp_path / "validity.bmrs_costs.json"
    warehouse = stored(week())
    judge(warehouse, judged)
    for text in (
        "",
        "[",
        "[]",
        '{"rules": "x"}',
        file.read_text().replace('"2024-01-01":[', '"2024-01-01":[1,'),
        "null",
    ):
        file.write_text(text)
        assert judge(warehouse, judged)[1] == WEEK
    (tmp_path / "file").write_text("")
    nowhere = Judged(tmp_path / "file", TODAY)
    assert judge(warehouse, nowhere)[1] == judge(warehouse, nowhere)[1] == WEEK


def test_a_day_written_while_it_was_read_is_not_remembered(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read may be either content: neither hash may answer for it."""
    warehouse = stored(week())
    read = Watched.read

    def meanwhile(self: Watched, *args: Any, **more: Any) -> pl.DataFrame:
        frame = read(self, *args, **more)
        self.put(COSTS, week(d3={"systemSellPrice": 60.0}), FETCHED)
        return frame

    monkeypatch.setattr(Watched, "read", meanwhile)
    check_validity(warehouse, COSTS, WEEK, judged=judged)
    monkeypatch.undo()
    found, read_days = judge(warehouse, judged)
    assert (found.passed, read_days) == (False, [WEEK[2]])


def test_every_day_is_read_again_after_some_weeks_not_all_at_once(tmp_path: Path) -> None:
    """Rows that changed under an unchanged evidence come to light."""
    warehouse = stored(week())
    judge(warehouse, Judged(tmp_path, TODAY))
    evidence = warehouse.answers
    warehouse.put(COSTS, week(d3={"systemSellPrice": 60.0}), FETCHED)
    warehouse.answers = evidence  # written past the lake
    passed, read = {}, {}
    for n in range(1, 56):
        warehouse.read_days.clear()
        found = check_validity(warehouse, COSTS, WEEK, judged=Judged(tmp_path, TODAY + timedelta(n)))
        passed[n], read[n] = found.passed, list(warehouse.read_days)
    assert not any(read[n] for n in range(1, 28))
    assert sorted(day for some in read.values() for day in some) == WEEK
    assert max(len(some) for some in read.values()) == 1
    assert (passed[27], passed[55]) == (True, False)


def test_evidence_without_a_hash_is_never_taken_for_known(judged: Judged) -> None:
    warehouse = stored(week())
    warehouse.answers = warehouse.answers.with_columns(content_hash=pl.lit(None, pl.String))
    assert judge(warehouse, judged)[1] == judge(warehouse, judged)[1] == WEEK


def unique(warehouse: Watched, judged: Judged) -> tuple[CheckResult, int]:
    """The verdict on duplicates, which must be the one without a memory, and how many queries counted keys."""
    before = len(warehouse.queries)
    found = check_duplicates(warehouse, COSTS, WEEK, judged)
    asked = len(warehouse.queries) - before
    assert said(found) == said(check_duplicates(warehouse, COSTS, WEEK))
    return found, asked


def test_keys_of_a_day_that_has_not_changed_are_not_counted_again(judged: Judged) -> None:
    warehouse = stored(week())
    assert [unique(warehouse, judged)[1] for _ in range(3)] == [1, 0, 0]
    warehouse.put(COSTS, week(d3={"systemSellPrice": 60.0}), FETCHED)
    assert unique(warehouse, judged)[1] == 1
    assert warehouse.queries[-2].count("2024-01-0") == 2  # from and to: the one day
    assert unique(warehouse, judged)[1] == 0


def test_rows_that_come_or_go_are_seen_though_the_evidence_stays(judged: Judged) -> None:
    warehouse = stored(week())
    unique(warehouse, judged)
    whole = warehouse.tables["bmrs_costs"]
    warehouse.tables["bmrs_costs"] = pl.concat([whole, whole[:1]])
    twice, _ = unique(warehouse, judged)
    assert (twice.passed, twice.details["rows too many"]) == (False, 1)
    warehouse.tables["bmrs_costs"] = whole[2:]
    gone, _ = unique(warehouse, judged)
    assert [d["day"] for d in gone.details["evidence differs"]] == ["2024-01-01"]
    warehouse.tables["bmrs_costs"] = whole
    assert unique(warehouse, judged) == (check_duplicates(warehouse, COSTS, WEEK), 0)


def test_a_day_with_a_repeated_key_is_counted_every_time(judged: Judged) -> None:
    warehouse = stored([*week(), row(WEEK[2], 1)])
    warehouse.answers = warehouse.answers.with_columns(distinct_keys=pl.lit(2, pl.Int64))
    found = [unique(warehouse, judged) for _ in range(3)]
    assert [result.details["rows too many"] for result, _ in found] == [1, 1, 1]
    assert all(asked for _, asked in found)


BAD = st.sampled_from([{}, {"systemSellPrice": 60.0}, {"settlementPeriod": 49}, {"settlementPeriod": None}])


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from([f"d{n}" for n in range(1, 8)]), BAD), min_size=2, max_size=4))
def test_whatever_changes_the_verdict_is_that_without_a_memory(
    tmp_path: Path, contents: list[dict[str, Row]]
) -> None:
    judged = Judged(tmp_path, TODAY)  # what earlier examples left there must not matter either
    for content in contents:
        judge(stored(week(**content)), judged)


def test_a_fingerprint_stays_with_its_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = {table: rules.print_of(dataset) for table, dataset in DATASETS.items()}
    assert prints == {table: rules.print_of(dataset) for table, dataset in DATASETS.items()}
    assert prints["bmrs_costs"] != prints["bmrs_mid"]
    nullable = replace(COSTS, columns=tuple(replace(c, kind=Kind.STRING) for c in COSTS.columns))
    assert rules.print_of(nullable) != prints["bmrs_costs"]
    monkeypatch.setattr(pl, "__version__", "0")
    assert rules.print_of(COSTS) != prints["bmrs_costs"]


def test_the_fingerprint_is_the_same_in_another_process() -> None:
    ask = "from gbpm_dagster.catalogue import DATASETS as d; from gbpm_dagster.quality.rules import print_of as f"
    command = [sys.executable, "-c", f"{ask}; print(f(d['bmrs_costs']), end='')"]
    other = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert other.stdout == rules.print_of(COSTS)
