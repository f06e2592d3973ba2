"""From one settlement run to the next against the stand-in: fetched again once, and both are still there to ask.

Worked by hand for Easter 2024 (29 March and 1 April are bank holidays): of 28 March to 1 April II is on 8 April and
SF on the 23rd, of 2 April on the 9th and 24th; each is due at 05:00 London (04:00Z) of the working day after.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gbpm_dagster import cli
from gbpm_dagster.catalogue import Dataset, get
from gbpm_dagster.elexon import source
from gbpm_dagster.market.calendar import days, london_day, periods_in_day
from gbpm_dagster.market.working_days import settlement_run_dates
from gbpm_dagster_tests.e2e.standin import StandIn, absent, running
from gbpm_dagster_tests.e2e.test_truth import Home, unequal
from gbpm_dagster_tests.e2e.truth import stored_tuples, true_rows, true_tuples

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(absent()), reason=absent() or "-")]

COSTS = get("bmrs_costs")
SPAN = date(2024, 3, 28), date(2024, 4, 2)
DAYS = days(*SPAN)
PERIODS = sum(periods_in_day(d) for d in DAYS)  # one of them has 46

Clock = Callable[[str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running(tmp_path_factory.mktemp("standin") / "log", "2024-03-25", "2024-05-20") as started:
        yield started


@pytest.fixture
def home(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Home:
    server.reset()
    made = Home(server, tmp_path, capsys)
    for name, value in {**made.environment, "GBPM_HISTORY_START": "2024-03-25", "GBPM_DATASETS": COSTS.table}.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """clock("2024-04-05T12:00Z"): the home's now, and the time at which answers are received."""

    def set_to(text: str) -> None:
        class Then(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.fromisoformat(text).astimezone(tz)

        monkeypatch.setattr(source, "datetime", Then)
        monkeypatch.setenv("GBPM_NOW", text)

    return set_to


def gbpm(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = cli.run([*args, "--json"])
    said = capsys.readouterr()
    assert said.out, said.err
    found: dict[str, Any] = json.loads(said.out)
    return code, found


def due(found: dict[str, Any]) -> dict[str, list[str]]:
    """Days due by the run that is why."""
    by_run: dict[str, list[str]] = {}
    for day, run in found["tables"][COSTS.table]["days"].items():
        by_run.setdefault(run, []).append(day)
    return by_run


def asked(home: Home) -> int:
    """Requests since the last time."""
    n: int = home.server.log()["requests"]
    home.server.control("log/reset", {})
    return n


def believed(home: Home, at: str, dataset: Dataset = COSTS) -> list[tuple[Any, ...]]:
    """What the docs' statement gives for that instant, as the server words rows."""
    then = f"TIMESTAMPTZ '{at}'"
    rows = home.lake.sql(
        f"SELECT * FROM {dataset.table}_history WHERE _known_from <= {then} "
        f"AND (_known_until IS NULL OR _known_until > {then}) ORDER BY settlementDate, settlementPeriod"
    )
    return stored_tuples(dataset, rows)


def truth(home: Home, run: str) -> list[tuple[Any, ...]]:
    return [row for d in DAYS for row in true_tuples(COSTS, true_rows(COSTS, d, home.server.get, f"run={run}"))]


EASTER = [d.isoformat() for d in DAYS[:5]]


def test_each_run_is_fetched_once_and_both_can_be_asked(
    home: Home, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    clock("2024-04-05T12:00Z")
    assert home.backfill([COSTS.table], *SPAN)[0] == 0
    first = truth(home, "II")
    assert unequal(home.compare([COSTS.table], SPAN, {}, "run=II")) == [] and asked(home) == len(DAYS)

    clock("2024-04-09T03:59:59Z")
    assert due(gbpm(capsys, "runs")[1]) == {}
    clock("2024-04-09T04:00Z")
    assert due(gbpm(capsys, "runs")[1]) == {"II": EASTER}
    code, found = gbpm(capsys, "runs", COSTS.table, "--fetch")
    assert (code, found["requests"], found["missing"], len(found["runs"])) == (0, 5, {}, 1)
    assert asked(home) == 5 and home.lake.vintages(COSTS).is_empty()  # II it was, and II it is

    home.server.control("run", {"run": "SF"})
    clock("2024-04-24T04:00Z")
    code, found = gbpm(capsys, "runs", "--fetch")
    # Of 2 April SF is due tomorrow; II has been since the 10th.
    assert (code, due(found), found["requests"]) == (0, {"SF": EASTER, "II": ["2024-04-02"]}, 6)
    assert asked(home) == 6
    reasons = home.lake.attempts([COSTS.table]).group_by("reason").len().sort("reason").rows()
    assert reasons == [("backfill", 6), ("settlement run II", 6), ("settlement run SF", 5)]

    second = truth(home, "SF")
    assert unequal(home.compare([COSTS.table], SPAN, {}, "run=SF")) == []
    changed = sum(a != b for a, b in zip(_without_stamp(first), _without_stamp(second), strict=True))
    assert PERIODS / 10 < changed < PERIODS / 2  # the run changes about a quarter of the periods
    for then, rows in (
        ("2024-04-05 12:00+00", first),
        ("2024-04-19 12:00+00", first),
        ("2024-05-01 00:00+00", second),
    ):
        assert believed(home, then) == rows, then
    kept = home.lake.vintages(COSTS)
    assert stored_tuples(COSTS, kept) == first and kept.height == PERIODS

    code, found = gbpm(capsys, "runs", "--fetch")
    assert (code, due(found), found["runs"], asked(home)) == (0, {}, [], 0)
    clock("2024-04-25T04:00Z")
    code, found = gbpm(capsys, "runs", "--fetch")
    assert (code, due(found), asked(home)) == (0, {"SF": ["2024-04-02"]}, 1)
    assert home.lake.vintages(COSTS).equals(kept)  # it had SF already
    _, found = gbpm(capsys, "runs")
    # II and SF of the five days, and of 2 April: each answered while it was the latest.
    said = found["tables"][COSTS.table]
    assert (said["held"], said["due"], said["runs_due"], said["runs_held"]) == (6, 0, 12, 12)
    assert said["vintage_completeness"] == 1.0


def _without_stamp(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    place = COSTS.names.index("createdDateTime")
    return [(*row[:place], *row[place + 1 :]) for row in rows]


def test_the_run_of_each_row_is_that_of_its_calculation(
    home: Home, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stand-in calculates its II a day after the settlement date and its SF 23 days after."""
    home.load([COSTS.table], *SPAN)
    home.server.control("run", {"run": "SF"})
    home.load([COSTS.table], *SPAN)
    every = home.lake.sql("SELECT settlementDate, createdDateTime, _run, _final FROM bmrs_costs_history")
    assert every.height == 2 * PERIODS and not every["_final"].any()
    for day, made, run, _ in every.iter_rows():
        come = [r for r, on in settlement_run_dates(day).items() if on <= london_day(made)]
        assert run == (come[-1] if come else "indicative")
    assert set(every.filter(pl.col("settlementDate") == DAYS[4])["_run"]) == {"indicative", "SF"}
    assert set(home.lake.sql("SELECT _run FROM bmrs_costs")["_run"]) == {"II", "SF"}


def test_a_source_that_is_down_leaves_the_days_due_and_says_so(
    home: Home, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    clock("2024-04-05T12:00Z")
    home.load([COSTS.table], *SPAN)
    clock("2024-04-24T04:00Z")
    home.server.faults({"kind": "503"})
    code, found = gbpm(capsys, "runs", "--fetch", "--to", "2024-04-01")
    assert code == 3 and sorted(found["missing"][COSTS.table]) == EASTER
    assert all("503" in why for why in found["missing"][COSTS.table].values())
    assert unequal(home.compare([COSTS.table], SPAN, {}, "run=II")) == []
    home.server.faults()
    home.server.control("run", {"run": "SF"})
    code, found = gbpm(capsys, "runs", "--fetch", "--to", "2024-04-01")
    assert (code, due(found), found["missing"]) == (0, {"SF": EASTER}, {})
    assert unequal(home.compare([COSTS.table], (DAYS[0], DAYS[4]), {}, "run=SF")) == []
    assert due(gbpm(capsys, "runs")[1]) == {"II": ["2024-04-02"]}
    assert DAYS[4] + timedelta(days=1) == DAYS[5] == date(2024, 4, 2)


OTHERS = ("bmrs_b1610", "bmrs_tudm")
"""Rows of B1610 do not say when they were made; those of TUDM state their run, which is part of their key."""


def test_tables_without_a_time_of_calculation_are_followed_by_receipt(
    home: Home, clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GBPM_DATASETS", " ".join(OTHERS))
    span = DAYS[3], DAYS[4]  # the day of 46 periods and Easter Monday
    clock("2024-04-20T12:00Z")
    assert home.load(OTHERS, *span) == {table: {} for table in OTHERS}
    home.server.control("run", {"run": "SF"})
    clock("2024-04-24T04:00Z")
    code, found = gbpm(capsys, "runs", "--fetch", "--to", DAYS[4].isoformat())
    assert (code, {t: f["runs"] for t, f in found["tables"].items()}) == (0, {t: {"SF": 2} for t in OTHERS})
    assert gbpm(capsys, "runs", "--fetch")[1]["requests"] == 0
    for table in OTHERS:
        assert unequal(home.compare([table], span, {}, "run=SF")) == []
        dataset = get(table)
        for then, run in (
            ("2024-04-20 12:00+00", "II"),
            ("2024-04-24 03:59+00", "II"),
            ("2024-04-24 04:00+00", "SF"),
        ):
            true = [
                r
                for d in days(*span)
                for r in true_tuples(dataset, true_rows(dataset, d, home.server.get, f"run={run}"))
            ]
            assert sorted(believed(home, then, dataset), key=str) == sorted(true, key=str), (table, then)
    of_run = "SELECT _run, _final, count(*) AS n FROM {} GROUP BY ALL"
    (row,) = home.lake.sql(of_run.format("bmrs_b1610")).rows()
    assert row[:2] == ("SF", False), "also rows that II had already: the source said them again after SF"
    assert {r[:2] for r in home.lake.sql(of_run.format("bmrs_tudm")).rows()} == {("SF", False)}
    assert {r[0] for r in home.lake.sql(of_run.format("bmrs_tudm_history")).rows()} == {"II", "SF"}
