"""Every kind of fault at once, against the stand-in: each day is the truth or named, and the truth in the end.

The long form, 10 tables x 60 days through `gbpm backfill`, is scripts/soak_faults.py (`make soak`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gbpm_dagster.catalogue import get
from gbpm_dagster.market.calendar import days
from gbpm_dagster.quality.witness import TABLE as COUNTS
from gbpm_dagster_tests.e2e.faulty import (
    TABLES,
    Named,
    Round,
    every_fault,
    one_round,
    until_nothing_changes,
)
from gbpm_dagster_tests.e2e.standin import StandIn, absent, running
from gbpm_dagster_tests.e2e.test_truth import Home
from gbpm_dagster_tests.e2e.truth import Verdict, compare

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(absent()), reason=absent() or "-")]

SPAN = (date(2024, 3, 31), date(2024, 4, 1))  # the first day of summer time has 46 periods
FORECASTS = (date(2024, 4, 5), date(2024, 4, 12))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running(tmp_path_factory.mktemp("standin") / "log", "2024-03-25", "2024-04-14") as server:
        yield server


@pytest.fixture
def server(started: StandIn) -> StandIn:
    started.reset()
    return started


@pytest.fixture
def home(server: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Home:
    made = Home(server, tmp_path, capsys)
    made.environment |= {"GBPM_NOW": "2024-04-14T12:00:00Z", "ELEXON_TIMEOUT_SECONDS": "3"}
    return made


def words(results: Sequence[object]) -> list[str]:
    return [str(r) for r in results]


def test_under_every_fault_a_day_is_the_truth_or_named_and_afterwards_all_is_the_truth(home: Home) -> None:
    def once(missing: bool = True, rules: Sequence[Mapping[str, Any]] = ()) -> Round:
        def ask(tables: Sequence[str], missing: bool) -> Named:
            return home.load(tables, *SPAN, missing=missing)

        return one_round(ask, lambda: home.lake, home.server, SPAN, missing=missing, rules=rules)

    rules = every_fault(p=0.05, hang_p=0.005)
    first = once(missing=False, rules=rules)
    assert {str(f.get("how", f["kind"])) for f in rules} == first.met.keys()
    assert min(n for kind, n in first.met.items() if kind != "hang") >= 1, first.met
    assert first.spoilt > first.requests / 2
    assert words(first.silent) == []
    assert len(first.unequal) > 5, "the faults harmed nothing: this proves nothing"
    again = once(rules=every_fault(p=0.05, hang_p=0.005, seed=1))
    assert words(again.silent) == []
    rounds = until_nothing_changes(once)
    assert [words(r.silent) for r in rounds] == [[]] * len(rounds)
    said = [why for r in (first, again, *rounds) for found in r.named.values() for why in found.values()]
    assert any("data-status counts" in why for why in said), "the count of the rows was not needed"
    assert words(rounds[-1].unequal) == []
    assert rounds[-1].named == {table: {} for table in (*TABLES, COUNTS)}


@pytest.mark.parametrize("kind", ["drop_rows", "empty200"])
def test_rows_left_out_of_forecasts_are_seen_by_their_regular_size(home: Home, kind: str) -> None:
    table, hit = "bmrs_ndf", date(2024, 4, 10)
    home.server.faults({"kind": kind, "match": "^/datasets/ndf.*from=2024-04-09t23"})  # London midnight in summer
    named = home.load([table], *FORECASTS)[table]
    assert list(named) == [hit]
    assert ("447 rows, where the days around it have 450 each" if kind == "drop_rows" else "empty") in named[hit]
    results = compare(home.lake, get(table), days(*FORECASTS), home.server.get, named)
    assert [r.day for r in results if r.verdict is not Verdict.EQUAL] == [hit]
