"""The warehouse holds row for row what the server holds, or says which day it does not: against the stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gbpm_dagster import cli
from gbpm_dagster.catalogue import get
from gbpm_dagster.elexon.plan import plan
from gbpm_dagster.market.calendar import days
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.witness import TABLE as COUNTS
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.e2e.faulty import HARMFUL, HARMLESS, TRANSPORT
from gbpm_dagster_tests.e2e.standin import StandIn, absent, running
from gbpm_dagster_tests.e2e.truth import BAD, DayResult, Verdict, compare, stored_tuples, true_rows, true_tuples

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(absent()), reason=absent() or "-")]

CORE = ("bmrs_mid", "bmrs_costs", "bmrs_fuelinst", "bmrs_freq")
OTHERS = ("bmrs_fuelhh", "bmrs_indo", "bmrs_itsdo", "bmrs_boalf", "bmrs_bod", "bmrs_pn", "bmrs_remit")
VARIED = ("bmrs_mid", "bmrs_costs", "bmrs_indo", "bmrs_boalf", "bmrs_bod", "bmrs_pn", "bmrs_remit")
"""One table of every kind: the way it is asked, partitioned and judged."""

NOW = "2024-04-10T12:00:00Z"
AUTUMN, SPRING = (date(2023, 10, 25), date(2023, 11, 2)), (date(2024, 3, 27), date(2024, 4, 4))
NEAR_AUTUMN, NEAR_SPRING = (date(2023, 10, 28), date(2023, 10, 30)), (date(2024, 3, 30), date(2024, 4, 1))

TWO_DAYS = (date(2024, 3, 31), date(2024, 4, 1))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running(tmp_path_factory.mktemp("standin") / "log", "2023-10-20", "2024-04-10") as server:
        yield server


@pytest.fixture
def server(started: StandIn) -> StandIn:
    started.reset()
    return started


class Home:
    """A home that loads from the stand-in: through the command, or through the Runtime alone (no Dagster)."""

    def __init__(self, server: StandIn, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.server, self.folder, self._capsys = server, folder / "home", capsys
        self.environment = {
            "GBPM_HOME": str(self.folder),
            "ELEXON_BASE_URL": server.base_url,
            "GBPM_NOW": NOW,
            "GBPM_HISTORY_START": "2023-10-20",
            "GBPM_STATE_DIR": str(folder / "state"),
            "ELEXON_MAX_REQUESTS_PER_SECOND": "10000",
            "ELEXON_BACKOFF_SECONDS": "0.01",
        }

    @property
    def lake(self) -> Lake:
        return Runtime(Settings.load(self.environment)).lake

    def backfill(self, tables: Sequence[str], *span: date, missing: bool = False) -> tuple[int, dict[str, Any]]:
        """`gbpm backfill --json`: its exit code and what it printed."""
        first, last = span
        self._capsys.readouterr()
        code = cli.run(
            ["backfill", *tables, "--from", f"{first}", "--to", f"{last}", "--json", *(["--missing"] * missing)]
        )
        found: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return code, found

    def load(self, tables: Sequence[str], *span: date, missing: bool = False) -> dict[str, dict[date, str]]:
        """Load the days (or those not complete); then what `gbpm backfill` names of each table, when all are in."""
        runtime, wanted = Runtime(Settings.load(self.environment)), days(*span)
        failed: dict[str, dict[date, str]] = {}
        for table in tables:
            asked = list(self._not_complete(runtime, table, wanted)) if missing else wanted
            told = runtime.load(get(table), asked, run_id="r", reason="test") if asked else ()
            outcomes = [o for part in told if isinstance(part, list) for o in part]
            failed[table] = {o.day: o.message for o in outcomes if not o.ok}
        return {table: {**self._not_complete(runtime, table, wanted), **failed[table]} for table in tables}

    @staticmethod
    def _not_complete(runtime: Runtime, table: str, wanted: Sequence[date]) -> dict[date, str]:
        states = runtime.coverage(get(table), wanted).filter(pl.col("state") != "complete")
        return {r["day"]: f"{r['state']}: {r['reason']}" for r in states.iter_rows(named=True)}

    def compare(
        self, tables: Sequence[str], span: tuple[date, date], named: dict[str, dict[date, str]], query: str = ""
    ) -> list[DayResult]:
        lake = self.lake
        return [
            result
            for table in tables
            for result in compare(lake, get(table), days(*span), self.server.get, named.get(table, {}), query=query)
        ]


@pytest.fixture
def home(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Home:
    made = Home(server, tmp_path, capsys)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def named_in(found: dict[str, Any]) -> dict[str, dict[date, str]]:
    return {
        table: {date.fromisoformat(day): why for day, why in state["missing"].items()}
        for table, state in found["tables"].items()
    }


def bad(results: list[DayResult]) -> list[str]:
    return [f"{r.table} {r.day}: {r.verdict}: {r.difference}" for r in results if r.verdict in BAD]


def fewest(tables: Sequence[str], span: tuple[date, date]) -> int:
    """The requests those days need, by the planner."""
    return sum(len(plan(get(table), days(*span))) for table in tables)


def unequal(results: list[DayResult]) -> list[str]:
    return [f"{r.table} {r.day}: {r.difference or r.said}" for r in results if r.verdict is not Verdict.EQUAL]


def test_the_command_brings_the_truth_across_the_autumn_clock_change(home: Home) -> None:
    code, found = home.backfill(CORE, *AUTUMN)
    assert code == 0 and named_in(found) == {table: {} for table in CORE}
    assert unequal(home.compare(CORE, AUTUMN, {})) == []
    assert found["requests"] == home.server.log()["requests"] == fewest(CORE, AUTUMN)
    assert {t: s["complete"] for t, s in found["tables"].items()} == dict.fromkeys(CORE, 9)


def test_the_core_tables_are_the_truth_across_the_spring_clock_change(home: Home) -> None:
    assert home.load(CORE, *SPRING) == {table: {} for table in CORE}
    assert unequal(home.compare(CORE, SPRING, {})) == []
    assert home.server.log()["requests"] == fewest(CORE, SPRING)


def test_the_other_tables_are_the_truth_around_a_clock_change(home: Home) -> None:
    named = home.load(OTHERS, *NEAR_SPRING)
    assert named == {table: {} for table in OTHERS}
    assert unequal(home.compare(OTHERS, NEAR_SPRING, {})) == []
    assert home.server.log()["requests"] == fewest(OTHERS, NEAR_SPRING)


def test_with_failing_answers_each_day_is_the_truth_or_named_and_a_second_try_brings_the_rest(home: Home) -> None:
    home.server.faults(*({**kind, "p": 0.12, "seed": n} for n, kind in enumerate(TRANSPORT)))
    span = (AUTUMN[0] + timedelta(days=2), AUTUMN[1] - timedelta(days=2))
    code, found = home.backfill(CORE, *span)
    fired = {json.dumps(f["kind"]): f["fired"] for f in home.server.get("/_control/faults")["faults"]}
    assert sum(fired.values()) > len(TRANSPORT)
    assert code == (3 if any(named_in(found).values()) else 0)
    assert bad(home.compare(CORE, span, named_in(found))) == []
    assert found["requests"] == home.server.log()["requests"]
    # A source that is down for one of the tables: every day of it is named, the others are not touched.
    home.server.faults({"kind": "503", "match": "^/datasets/mid"})
    named = home.load(CORE[:2], *SPRING)
    assert set(named["bmrs_mid"]) == set(days(*SPRING)) and not named["bmrs_costs"]
    assert all("503" in why for why in named["bmrs_mid"].values())
    home.server.faults()
    code, found = home.backfill(CORE[:2], *SPRING, missing=True)
    assert (code, found["requests"]) == (0, fewest(["bmrs_mid"], SPRING))
    assert unequal(home.compare(CORE[:2], SPRING, {})) == []


def _id(fault: dict[str, Any]) -> str:
    return str(fault.get("how", fault["kind"]))


def test_with_repeated_shuffled_and_widened_answers_each_day_is_the_truth(home: Home) -> None:
    home.server.faults(*({**fault, "p": 0.4, "seed": n} for n, fault in enumerate(HARMLESS)))
    tables = VARIED
    named = home.load(tables, *TWO_DAYS)
    assert all(f["fired"] > 3 for f in home.server.get("/_control/faults")["faults"])
    assert unequal(home.compare(tables, TWO_DAYS, named)) == []
    assert home.lake.drift(["bmrs_bod"])["column"].unique().to_list() == ["newField"]


@pytest.mark.parametrize("fault", HARMFUL, ids=_id)
def test_with_damaged_answers_each_day_is_the_truth_or_named(home: Home, fault: dict[str, Any]) -> None:
    tables = VARIED
    home.server.faults({**fault, "p": 0.6, "seed": 3, "match": "^/(?!data-status)"})
    named = home.load([*tables, COUNTS], *TWO_DAYS)
    assert home.server.get("/_control/faults")["faults"][0]["fired"] > 1
    results = home.compare(tables, TWO_DAYS, named)
    assert bad(results) == []
    assert unequal(results), "the fault harmed nothing: this proves nothing"


@pytest.mark.parametrize("fault", HARMFUL, ids=_id)
def test_a_damaged_answer_leaves_stored_days_as_they_were(home: Home, fault: dict[str, Any]) -> None:
    tables = ("bmrs_mid", "bmrs_costs", "bmrs_boalf", "bmrs_remit")
    if _id(fault) == "null_in_key":  # of BOALF it blanks bmUnit, and here in every row: decision 14
        tables = ("bmrs_mid", "bmrs_costs", "bmrs_remit")
    home.load(tables, *TWO_DAYS)
    home.server.faults({**fault, "all": True})
    named = home.load(tables, *TWO_DAYS)
    if fault["kind"] == "drop_rows":  # three rows of a window of several days
        assert all(named.values())
    else:
        assert {t: sorted(n) for t, n in named.items()} == {t: days(*TWO_DAYS) for t in tables}
    home.server.faults()
    assert unequal(home.compare(tables, TWO_DAYS, {})) == []


def test_a_settlement_run_moves_what_it_replaces_to_the_vintages(home: Home) -> None:
    table, costs = "bmrs_costs", get("bmrs_costs")
    home.load([table], *NEAR_AUTUMN)
    before = {day: true_tuples(costs, true_rows(costs, day, home.server.get)) for day in days(*NEAR_AUTUMN)}
    home.server.control("run", {"run": "SF"})
    assert home.load([table], *NEAR_AUTUMN) == {table: {}}
    assert unequal(home.compare([table], NEAR_AUTUMN, {}, "run=SF")) == []
    for day, old in before.items():
        now = set(true_tuples(costs, true_rows(costs, day, home.server.get, "run=SF")))
        replaced = set(old) - now
        assert replaced, "the run changes some periods of every day"
        kept = home.lake.vintages(costs, day, day)
        assert set(stored_tuples(costs, kept)) == replaced and kept.height == len(replaced)
    # The older run again (a cache that lags): nothing newer is lost to it.
    home.server.control("run", {"run": "II"})
    home.load([table], *NEAR_AUTUMN)
    assert unequal(home.compare([table], NEAR_AUTUMN, {}, "run=SF")) == []


def test_a_value_changed_at_the_source_is_followed_and_the_old_one_kept(home: Home) -> None:
    day, fuelhh = NEAR_SPRING[1], get("bmrs_fuelhh")
    span = (day, day)
    home.load([fuelhh.table], *span)
    where = {"sp": 5, "where": {"fuelType": "WIND"}}
    home.server.control(
        "overrides", {"dataset": "FUELHH", "date": f"{day}", **where, "field": "generation", "delta": 7}
    )
    assert home.load([fuelhh.table], *span) == {fuelhh.table: {}}
    assert unequal(home.compare([fuelhh.table], span, {})) == []
    new = home.lake.read(fuelhh, day, day).filter(settlementPeriod=5, fuelType="WIND").row(0, named=True)
    (old,) = home.lake.vintages(fuelhh, day, day).iter_rows(named=True)
    assert (old["fuelType"], old["settlementPeriod"], new["generation"] - old["generation"]) == ("WIND", 5, 7)


def test_holes_are_named_with_their_periods_and_heal_when_they_close(home: Home) -> None:
    day = NEAR_SPRING[1]
    tables = ("bmrs_mid", "bmrs_costs", "bmrs_bod", "bmrs_freq")
    periods = [20, 21]
    holes = [{"dataset": c, "date": f"{day}", "sp": periods} for c in ("MID", "BOD", "FREQ")]
    home.server.control("holes", {"open": [*holes, {"dataset": "DISEBSP", "date": f"{day}"}]})
    named = home.load(tables, *NEAR_SPRING)
    assert {t: list(n) for t, n in named.items()} == {t: [day] for t in tables}
    assert all("20-21" in named[t][day] for t in ("bmrs_mid", "bmrs_bod", "bmrs_freq"))
    assert bad(home.compare(tables, NEAR_SPRING, named)) == []
    home.server.control("holes", {"clear": True})
    assert home.load(tables, day, day) == {table: {} for table in tables}
    assert unequal(home.compare(tables, NEAR_SPRING, {})) == []


def test_the_comparison_sees_a_changed_value_a_lost_row_and_a_lost_day(home: Home) -> None:
    """The judge itself: what it must not overlook."""
    table, day = "bmrs_costs", NEAR_AUTUMN[0]
    home.load([table], day, day)

    def verdict(of: date = day, named: dict[date, str] | None = None) -> Verdict:
        return compare(home.lake, get(table), [of], home.server.get, named or {})[0].verdict

    assert verdict() is Verdict.EQUAL
    after = day + timedelta(days=1)
    assert verdict(after) is Verdict.SILENT
    assert verdict(after, {after: "never asked"}) is Verdict.NAMED
    change = {"dataset": "DISEBSP", "date": f"{day}", "sp": 7, "field": "netImbalanceVolume", "delta": 0.001}
    home.server.control("overrides", change)
    assert verdict() is Verdict.DIFFERENT
    home.server.control("overrides", {"clear": True})
    home.server.control("run", {"run": "SF"})
    assert verdict() is Verdict.DIFFERENT
