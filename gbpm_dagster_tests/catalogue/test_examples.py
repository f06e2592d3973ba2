"""The SQL examples of each family run, in both dialects, and say what plain loops over the recorded answers say.

On recorded days through the replay server; on a day of the stand-in (e2e) those of families without recordings too.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import sqlglot
from polars.testing import assert_frame_equal
from sqlglot import exp

from gbpm_dagster.catalogue import FAMILIES, get
from gbpm_dagster.catalogue.examples import EXAMPLES
from gbpm_dagster.catalogue.model import UNIT_SUFFIX
from gbpm_dagster.catalogue.views import VIEWS
from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.demo.replay_recordings import RECORDINGS, scope
from gbpm_dagster.market.calendar import days
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.expand import expand
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Outcome
from gbpm_dagster_tests.e2e.standin import absent, running

Rows = list[dict[str, Any]]

LONDON = ZoneInfo("Europe/London")
SUFFIX = {**UNIT_SUFFIX, "GWh": "_gwh"}
BIGQUERY_FUNCTIONS = {
    *("ABS", "AVG", "CAST", "COALESCE", "COUNT", "EXTRACT", "MAX", "MAX_BY", "MIN", "MIN_BY", "NULLIF"),
    *("ROW_NUMBER", "SAFE_CAST", "SUM"),
}
"""Of the functions GoogleSQL has, those in use: a name that sqlglot passes on unknown is not among them."""
BIGQUERY_WORDS = {"AND", "AS", "BY", "DISTINCT", "FROM", "IN", "JOIN", "ON", "OVER", "SELECT", "WHEN", "WHERE"}

CASES = [pytest.param(family, n, id=f"{family} {n}") for family, pairs in EXAMPLES.items() for n in range(len(pairs))]


def example(family: str, n: int) -> tuple[str, str]:
    return EXAMPLES[family][n]


def tables_in(sql: str) -> list[str]:
    """Tables a statement reads, through views."""
    tree = sqlglot.parse_one(sql, read="duckdb")
    assert isinstance(tree, exp.Query)
    return sorted({t.name for t in expand(tree).find_all(exp.Table)})


def in_bigquery(sql: str) -> str:
    return sqlglot.transpile(sql, read="duckdb", write="bigquery", unsupported_level=sqlglot.ErrorLevel.RAISE)[0]


def fill(folder: Path, base_url: str, now: str, wanted: Collection[tuple[str, Sequence[date]]]) -> Lake:
    """A lake that holds those days of those tables, through the real planner, client and checks."""
    runtime = Runtime(
        Settings.load(
            {
                "GBPM_HOME": str(folder / "home"),
                "GBPM_STATE_DIR": str(folder / "state"),
                "GBPM_NOW": now,
                "ELEXON_BASE_URL": base_url,
                "ELEXON_MAX_REQUESTS_PER_SECOND": "10000",
            }
        )
    )
    for table, these in wanted:
        told = runtime.load(get(table), these, run_id="r", reason="test")
        failed = [o.message for o in told if isinstance(o, Outcome) and not o.ok]
        assert not failed, failed[:2]
    return runtime.lake


# --- what every example must be


def test_every_family_asks_something_of_its_own_tables() -> None:
    assert set(EXAMPLES) == {family.name for family in FAMILIES}
    for family in FAMILIES:
        assert family.examples == EXAMPLES[family.name]
        own = {d.table for d in family.datasets}
        assert all(own & set(tables_in(sql)) for _, sql in family.examples)
    questions = [question for pairs in EXAMPLES.values() for question, _ in pairs]
    assert len(set(questions)) == len(questions)


@pytest.mark.parametrize(
    "sql",
    [*(pytest.param(sql, id=q[:40]) for pairs in EXAMPLES.values() for q, sql in pairs)]
    + [pytest.param(view.select, id=view.name) for view in VIEWS.values()],
)
def test_bigquery_has_every_word(sql: str) -> None:
    """The round trip through sqlglot cannot show what BigQuery itself does not know."""
    text = in_bigquery(sql)
    called = set(re.findall(r"\b([A-Z_]+)\s?\(", text)) - BIGQUERY_WORDS
    assert called <= BIGQUERY_FUNCTIONS, text
    assert "FILTER" not in text and "GROUP BY ALL" not in text


# --- recorded days

JANUARY = [date(2024, 1, 3), date(2024, 1, 4)]
NEW_YEAR = [date(2022, 1, 1)]
RECORDED_DAYS: dict[str, list[date]] = {
    **dict.fromkeys(("bmrs_costs", "bmrs_mid", "bmrs_fuelhh", "bmrs_indo", "bmrs_demand_forecast_latest"), JANUARY),
    **dict.fromkeys(("bmrs_pn", "bmrs_bod"), NEW_YEAR),
    "bmrs_remit": [day for ends in scope()["bmrs_remit"] for day in days(*ends)],
    "ref_bmunits": [date(2026, 3, 30)],
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    with ReplayServer() as server:
        folder = tmp_path_factory.mktemp("recorded")
        yield fill(folder, server.base_url, "2026-03-30T12:00:00Z", RECORDED_DAYS.items())


def records(table: str, by: str = "settlementDate") -> Rows:
    """The recorded rows of the days in the lake, as they were sent. by: the field whose London day counts."""
    found: Rows = []
    for file in sorted(RECORDINGS.glob(f"{table}.*.ndjson.gz")):
        found += [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    wanted = {str(day) for day in RECORDED_DAYS[table]}
    return [row for row in found if not by or _london_day(row[by]) in wanted]


def _london_day(text: str) -> str:
    return text if len(text) == 10 else str(at(text).astimezone(LONDON).date())


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def unit(row: dict[str, Any]) -> str:
    return str(row.get("nationalGridBmUnit") or row["bmUnit"])


def imbalance_and_wholesale() -> Rows:
    prices, worth, volume = defaultdict(list), defaultdict(float), defaultdict(float)
    for row in records("bmrs_costs"):
        prices[row["settlementDate"]].append(row["systemSellPrice"])
    for row in records("bmrs_mid"):
        worth[row["settlementDate"]] += row["price"] * row["volume"]
        volume[row["settlementDate"]] += row["volume"]
    return [
        {
            "settlementDate": date.fromisoformat(day),
            "imbalance_gbp_per_mwh": sum(prices[day]) / len(prices[day]),
            "wholesale_gbp_per_mwh": worth[day] / volume[day],
        }
        for day in sorted(prices)
    ]


def short_and_long() -> Rows:
    sides: dict[str, Rows] = {"long": [], "short": []}
    for row in records("bmrs_costs"):
        volume = row.get("netImbalanceVolume")
        if volume:
            sides["short" if volume > 0 else "long"].append(row)
    return [
        {
            "market": side,
            "periods": len(rows),
            "imbalance_mwh": sum(r["netImbalanceVolume"] for r in rows),
            "price_gbp_per_mwh": sum(r["systemSellPrice"] for r in rows) / len(rows),
        }
        for side, rows in sides.items()
        if rows
    ]


def notified() -> Rows:
    area: dict[str, float] = defaultdict(float)
    for row in records("bmrs_pn"):
        hours = (at(row["timeTo"]) - at(row["timeFrom"])).total_seconds() / 3600
        area[unit(row)] += (row["levelFrom"] + row["levelTo"]) / 2 * hours
    first = sorted(area.items(), key=lambda pair: (-pair[1], pair[0]))[:20]
    return [{"unit": name, "notified_mwh": mwh} for name, mwh in first]


def cheapest_offers() -> Rows:
    offers: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for row in records("bmrs_bod"):
        if row["pairId"] == 1 and row["levelTo"] > 0 and -99000 < row["offer"] < 99000:
            offers[row["settlementPeriod"]].append((row["offer"], unit(row)))
    return [
        {
            "settlementDate": NEW_YEAR[0],
            "settlementPeriod": period,
            "cheapest_offer_gbp_per_mwh": min(offers[period])[0],
            "units": len({name for _, name in offers[period]}),
        }
        for period in sorted(offers)
    ]


def energy_by_fuel() -> Rows:
    energy: dict[tuple[str, str], float] = defaultdict(float)
    for row in records("bmrs_fuelhh"):
        energy[row["settlementDate"], row["fuelType"]] += row["generation"] * 0.5 / 1000
    ordered = sorted(energy.items(), key=lambda pair: (pair[0][0], -pair[1], pair[0][1]))
    return [
        {"settlementDate": date.fromisoformat(day), "fuelType": fuel, "net_gwh": gwh} for (day, fuel), gwh in ordered
    ]


def renewable_share() -> Rows:
    supply, renewable = defaultdict(float), defaultdict(float)
    for row in records("bmrs_fuelhh"):
        if row["generation"] > 0:
            supply[row["settlementDate"]] += row["generation"]
            renewable[row["settlementDate"]] += row["generation"] if row["fuelType"] in ("WIND", "NPSHYD") else 0
    return [
        {"settlementDate": date.fromisoformat(day), "tx_over_supply_pct": 100 * renewable[day] / supply[day]}
        for day in sorted(supply)
    ]


def demand_peaks() -> Rows:
    by_day: dict[str, Rows] = defaultdict(list)
    for row in records("bmrs_indo", by="publishTime"):
        by_day[row["settlementDate"]].append(row)
    peaks = {day: max(rows, key=lambda r: r["demand"]) for day, rows in by_day.items()}
    return [
        {
            "settlementDate": date.fromisoformat(day),
            "peak_mw": peaks[day]["demand"],
            "peak_start": at(peaks[day]["startTime"]),
            "energy_mwh": sum(r["demand"] for r in by_day[day]) / 2,
        }
        for day in sorted(by_day)
    ]


def forecast_errors() -> Rows:
    true = {(r["settlementDate"], r["settlementPeriod"]): r["demand"] for r in records("bmrs_indo", by="publishTime")}
    errors = defaultdict(list)
    for row in records("bmrs_demand_forecast_latest"):
        key = row["settlementDate"], row["settlementPeriod"]
        if row["boundary"] == "N" and key in true and row.get("nationalDemand") is not None:
            errors[row["settlementDate"]].append(row["nationalDemand"] - true[key])
    return [
        {
            "settlementDate": date.fromisoformat(day),
            "periods": len(found),
            "bias_mw": sum(found) / len(found),
            "mean_error_mw": sum(map(abs, found)) / len(found),
        }
        for day, found in sorted(errors.items())
    ]


def standing_outages() -> Rows:
    newest: dict[str, dict[str, Any]] = {}
    for row in records("bmrs_remit", by="publishTime"):
        held = newest.get(row["mrid"])
        if held is None or row["revisionNumber"] > held["revisionNumber"]:
            newest[row["mrid"]] = row
    active = [r for r in newest.values() if r["eventStatus"] == "Active"]
    assert {r["messageType"] for r in active} == {"UnavailabilitiesOfElectricityFacilities"}
    active.sort(key=lambda r: (-r["unavailableCapacity"], r["mrid"]))
    return [
        {
            "mrid": r["mrid"],
            "affectedUnit": r.get("affectedUnit"),
            "fuelType": r.get("fuelType"),
            "unavailabilityType": r["unavailabilityType"],
            "unavailable_mw": r["unavailableCapacity"],
            "eventStart": at(r["eventStartTime"]),
            "eventEnd": at(r["eventEndTime"]),
        }
        for r in active[:20]
    ]


def capacity_by_fuel() -> Rows:
    # WLNYO-4 is listed twice, with two EICs: one unit (domain.md section 5).
    listed = {(row.get("elexonBmUnit"), row["nationalGridBmUnit"]): row for row in records("ref_bmunits", by="")}
    units: dict[str | None, list[float]] = defaultdict(list)
    for row in listed.values():
        capacity = row.get("generationCapacity")
        units[row.get("fuelType")].append(float(capacity) if capacity else 0.0)
    ordered = sorted(units.items(), key=lambda pair: (-len(pair[1]), pair[0] is None, pair[0] or ""))
    return [
        {"fuelType": fuel, "units": len(found), "capacity_mw": sum(found) if any(found) else None}
        for fuel, found in ordered
    ]


PLAIN_LOOPS: dict[tuple[str, int], Callable[[], Rows]] = {
    ("prices", 0): imbalance_and_wholesale,
    ("prices", 1): short_and_long,
    ("balancing", 0): notified,
    ("balancing", 1): cheapest_offers,
    ("generation", 0): energy_by_fuel,
    ("generation", 1): renewable_share,
    ("demand", 0): demand_peaks,
    ("forecasts/demand", 0): forecast_errors,
    ("outages", 0): standing_outages,
    ("reference", 0): capacity_by_fuel,
}


def test_what_can_be_asked_of_the_recordings_is_held_against_a_plain_loop() -> None:
    every = {(family, n): sql for family, pairs in EXAMPLES.items() for n, (_, sql) in enumerate(pairs)}
    able = {case for case, sql in every.items() if set(tables_in(sql)) <= set(RECORDED_DAYS)}
    assert able == set(PLAIN_LOOPS)
    families = {get(table).family for table in scope()}
    assert families == {family for family, _ in PLAIN_LOOPS}, "a family with recordings has an example on them"


@pytest.mark.parametrize(("family", "n"), [pytest.param(*case, id=f"{case[0]} {case[1]}") for case in PLAIN_LOOPS])
def test_an_example_says_what_a_plain_loop_over_the_recordings_says(recorded: Lake, family: str, n: int) -> None:
    found = recorded.sql(example(family, n)[1])
    expected = PLAIN_LOOPS[family, n]()
    assert len(expected) > 1 and found.height == len(expected)
    for ours, theirs in zip(found.iter_rows(named=True), expected, strict=True):
        assert ours == {k: pytest.approx(v, rel=1e-9) if isinstance(v, float) else v for k, v in theirs.items()}


# --- a day of the stand-in

SERVED_DAY = date(2024, 4, 2)
SERVED_NOW = "2024-04-12T12:00:00Z"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    folder = tmp_path_factory.mktemp("served")
    wanted = sorted({table for pairs in EXAMPLES.values() for _, sql in pairs for table in tables_in(sql)})
    with running(folder / "log", "2024-03-20", "2024-04-12") as server:
        loads = [(t, [SERVED_DAY] if get(t).partition_field else [date(2024, 4, 12)]) for t in wanted]
        yield fill(folder, server.base_url, SERVED_NOW, loads)


@pytest.mark.e2e
@pytest.mark.skipif(bool(absent()), reason=absent() or "-")
@pytest.mark.parametrize(("family", "n"), CASES)
def test_an_example_runs_in_both_dialects_and_names_its_units(served: Lake, family: str, n: int) -> None:
    question, sql = example(family, n)
    found = served.sql(sql)
    assert found.height > 0
    stated = re.search(r"\(([^()]+)\)$", question)
    assert stated, f"{question!r} does not end with the unit of the answer"
    ends = [SUFFIX[name] for name in stated[1].split(", ")]
    assert all(any(column.endswith(end) for column in found.columns) for end in ends), (ends, found.columns)
    numbers = [c for c, kind in found.schema.items() if kind == pl.Float64]
    assert all(column.endswith(tuple(ends)) for column in numbers), "a number without its unit"
    assert any(found[c].drop_nulls().len() for c in found.columns if c.endswith(tuple(ends)))
    again = served.sql(in_bigquery(sql), dialect="bigquery")
    assert_frame_equal(found, again, check_row_order=False, rel_tol=1e-9)
