"""Rules over two tables: levels against limits and capacity, fuels against demand, units and codes against lists."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.market.calendar import sp_bounds
from gbpm_dagster.quality import cross
from gbpm_dagster.quality.checks import CheckResult, check_validity, run_checks
from gbpm_dagster.quality.judged import Judged
from gbpm_dagster_tests.quality.helpers import Memory, utc
from gbpm_dagster_tests.quality.test_lake import SCOPE, recorded

PN, BOALF, MELS, MILS, FUELHH, INDO, ITSDO, UNITS, FUELINST = (
    DATASETS[t]
    for t in (
        "bmrs_pn", "bmrs_boalf", "bmrs_mels", "bmrs_mils", "bmrs_fuelhh", "bmrs_indo", "bmrs_itsdo", "ref_bmunits",
        "bmrs_fuelinst",
    )
)  # fmt: skip
DAY, NEXT = date(2024, 1, 3), date(2024, 1, 4)
FETCHED = utc("2024-01-05 00:00")
Row = dict[str, Any]


class Counting(Memory):
    """A warehouse that notes which tables' rows are read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def read(
        self,
        dataset: Dataset,
        start: date | None = None,
        end: date | None = None,
        columns: Collection[str] | None = None,
    ) -> pl.DataFrame:
        self.reads.append(dataset.table)
        return super().read(dataset, start, end, columns)


def level(period: int, value: float, unit: str = "T_A-1", **more: Any) -> Row:
    start, end = sp_bounds(DAY, period)
    return {
        "settlementDate": DAY,
        "settlementPeriod": period,
        "timeFrom": start,
        "timeTo": end,
        "levelFrom": value,
        "levelTo": value,
        "nationalGridBmUnit": unit,
        "bmUnit": unit,
        "_day": DAY,
        **more,
    }


def unit(name: str, generation: str = "100", demand: str = "0", day: date = DAY) -> Row:
    capacities = {"generationCapacity": generation, "demandCapacity": demand}
    return {"elexonBmUnit": name, "nationalGridBmUnit": name, "_day": day, **capacities}


def warehouse(**tables: list[Row]) -> Counting:
    made = Counting()
    for table, rows in tables.items():
        made.put(DATASETS[table], rows, FETCHED)
    return made


def offences(made: Memory, dataset: Dataset, day: date = DAY) -> dict[str, Any]:
    result = check_validity(made, dataset, [day])
    found: dict[str, Any] = result.details.get("offences", {})
    assert all(o["severity"] == "WARN" for o in found.values())
    assert result.passed == (not found)
    return found


# levels


def test_a_level_within_its_limits_and_their_tolerance_passes() -> None:
    rows = [level(1, 50), level(2, 101), level(3, -11), level(4, 500, unit="T_B-1")]
    made = warehouse(bmrs_pn=rows, bmrs_mels=[level(n, 100) for n in (1, 2, 3)], bmrs_mils=[level(3, -10)])
    assert offences(made, PN) == {}  # of T_B-1 nobody knows a limit


@pytest.mark.parametrize(("value", "limits"), [(102, (100.0, -10.0)), (-12, (100.0, -10.0))])
def test_a_level_beyond_a_declared_limit_is_shown_with_it(value: float, limits: tuple[float, float]) -> None:
    made = warehouse(bmrs_pn=[level(1, 50), level(2, value)], bmrs_mels=[level(2, 100)], bmrs_mils=[level(2, -10)])
    offence = offences(made, PN)[cross.LEVELS]
    assert offence["rows"] == 1
    (shown,) = offence["first"]
    assert (shown["settlementPeriod"], shown["levelFrom"]) == (2, value)
    assert (shown["limit_high_mw"], shown["limit_low_mw"]) == limits


def test_the_widest_limit_of_the_period_holds() -> None:
    half = sp_bounds(DAY, 2)[0] + timedelta(minutes=15)
    limits = [level(2, 60, timeTo=half), level(2, 100, timeFrom=half)]
    assert offences(warehouse(bmrs_pn=[level(2, 100)], bmrs_mels=limits), PN) == {}
    assert offences(warehouse(bmrs_pn=[level(2, 102)], bmrs_mels=limits), PN)[cross.LEVELS]["rows"] == 1


def test_an_acceptance_over_two_periods_may_use_the_limits_of_both() -> None:
    def accepted(value: float) -> Row:
        row = level(1, value, timeTo=sp_bounds(DAY, 2)[1], acceptanceNumber=1, acceptanceTime=sp_bounds(DAY, 1)[0])
        del row["settlementPeriod"]
        return {**row, "settlementPeriodFrom": 1, "settlementPeriodTo": 2, "amendmentFlag": "ORI"}

    limits = [level(1, 40), level(2, 100)]
    assert offences(warehouse(bmrs_boalf=[accepted(100)], bmrs_mels=limits), BOALF) == {}
    assert offences(warehouse(bmrs_boalf=[accepted(102)], bmrs_mels=limits), BOALF)[cross.LEVELS]["rows"] == 1


def test_without_a_declared_limit_the_registered_capacity_and_a_tenth_more_holds() -> None:
    """100 MW registered: 110 + 1 passes, 112 does not; import likewise; without a capacity nothing is said."""
    register = [unit("T_A-1", "100", "-20"), unit("T_B-1", "NULL", ""), unit("T_C-1", "0.000", "0.000")]
    good = [level(1, 111), level(2, -23), level(3, 9999, unit="T_B-1"), level(3, -9999, unit="T_C-1")]
    assert offences(warehouse(bmrs_pn=good, ref_bmunits=register), PN) == {}
    bad = warehouse(bmrs_pn=[level(1, 112), level(2, -24)], ref_bmunits=register)
    assert offences(bad, PN)[cross.LEVELS]["rows"] == 2
    assert offences(warehouse(bmrs_pn=[level(1, 112)], ref_bmunits=register, bmrs_mels=[level(1, 120)]), PN) == {}


# fuels and demand


def fuels(period: int, **mw: float) -> list[Row]:
    start = sp_bounds(DAY, period)[0]
    row = {"settlementDate": DAY, "settlementPeriod": period, "startTime": start, "_day": DAY}
    return [{**row, "fuelType": fuel, "generation": value, "publishTime": start} for fuel, value in mw.items()]


def demand(period: int, mw: float, published: date = DAY, minute: int = 0) -> Row:
    start = sp_bounds(DAY, period)[0]
    at = utc(f"{published} 00:45") + timedelta(minutes=minute)
    row = {"settlementDate": DAY, "settlementPeriod": period, "startTime": start, "demand": mw}
    return {**row, "publishTime": at, "_day": published}


def test_fuels_near_demand_pass_and_beyond_a_tenth_warn() -> None:
    """Positive output is held against ITSDO, in which exports and pumping are demand."""
    made = warehouse(
        bmrs_fuelhh=[*fuels(1, CCGT=900, INTFR=-300), *fuels(2, CCGT=1101), *fuels(3, CCGT=899), *fuels(4, CCGT=1)],
        bmrs_itsdo=[demand(1, 1000), demand(2, 1000), demand(3, 1000)],
    )
    offence = offences(made, FUELHH)[cross.FUELS]
    assert (offence["rows"], offence["meaning"]) == (
        2, "the fuels of a period are more than 10% off its demand (ITSDO, else INDO)",
    )  # fmt: skip
    assert [(s["settlementPeriod"], s["positive_mw"], s["itsdo_mw"]) for s in offence["first"]] == [
        (2, 1101.0, 1000.0),
        (3, 899.0, 1000.0),
    ]


def test_without_itsdo_all_fuels_are_held_against_indo_published_the_day_after() -> None:
    made = warehouse(
        bmrs_fuelhh=[*fuels(47, CCGT=1000, PS=-100), *fuels(48, CCGT=1000, PS=-100)],
        bmrs_indo=[demand(47, 900), demand(48, 700, NEXT)],
    )
    (shown,) = offences(made, FUELHH)[cross.FUELS]["first"]
    assert (shown["settlementPeriod"], shown["net_mw"], shown["indo_mw"]) == (48, 900.0, 700.0)


def test_of_a_demand_published_twice_the_newer_counts() -> None:
    both = [demand(1, 500), demand(1, 1000, minute=30)]
    assert offences(warehouse(bmrs_fuelhh=fuels(1, CCGT=1000), bmrs_itsdo=both), FUELHH) == {}
    both = [demand(1, 1000), demand(1, 500, minute=30)]
    assert cross.FUELS in offences(warehouse(bmrs_fuelhh=fuels(1, CCGT=1000), bmrs_itsdo=both), FUELHH)


@pytest.mark.parametrize(("mw", "named"), [(-15_000, False), (60_000, False), (-15_001, True), (60_001, True)])
def test_the_bounds_of_a_fuels_output(mw: int, named: bool) -> None:
    assert ("generation" in offences(warehouse(bmrs_fuelhh=fuels(1, WIND=mw)), FUELHH)) is named


def test_a_fuel_code_nobody_knows_warns() -> None:
    (shown,) = offences(warehouse(bmrs_fuelhh=fuels(1, CCGT=1, FUSION=2)), FUELHH)["unexpected_member"]["first"]
    assert shown["fuelType"] == "FUSION"
    forecast = DATASETS["bmrs_fou2t14d"]
    row = {"publishTime": utc("2024-01-03 08:00"), "forecastDate": NEXT, "interconnectorName": "-", "_day": DAY}
    rows = [row | {"fuelType": fuel} for fuel in ("CCGT", "INTVKL", "FUSION")]
    (shown,) = offences(warehouse(bmrs_fou2t14d=rows), forecast)["fuelType known"]["first"]
    assert shown["fuelType"] == "FUSION"


# the register


def test_a_unit_of_no_list_warns_and_either_id_will_do() -> None:
    register = [{**unit("T_A-1"), "nationalGridBmUnit": "A-1"}]
    rows = [level(1, 1), level(1, 1, unit="X"), level(2, 1, unit="X"), level(1, 1, "A-1", bmUnit=None)]
    offence = offences(warehouse(bmrs_pn=rows, ref_bmunits=register), PN)[cross.UNITS]
    assert (offence["rows"], {s["bmUnit"] for s in offence["first"]}) == (2, {"X"})


def test_days_long_before_the_first_list_are_not_held_against_it() -> None:
    rows = [level(1, 1, unit="X")]
    near, far = DAY + cross.REGISTER_REACH, DAY + cross.REGISTER_REACH + timedelta(days=1)
    assert cross.UNITS in offences(warehouse(bmrs_pn=rows, ref_bmunits=[unit("T_A-1", day=near)]), PN)
    assert offences(warehouse(bmrs_pn=rows, ref_bmunits=[unit("T_A-1", day=far)]), PN) == {}


def test_a_unit_that_left_the_register_stays_known() -> None:
    lists = [unit("T_A-1", day=DAY), unit("T_A-1", day=NEXT), unit("OLD", day=DAY)]
    made = warehouse(bmrs_pn=[level(1, 1, unit="OLD")], ref_bmunits=lists)
    assert offences(made, PN) == {}


# what it costs


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    return Judged(tmp_path / "judged", NEXT)


def again(made: Counting, dataset: Dataset, judged: Judged) -> tuple[CheckResult, list[str]]:
    """The verdict, which must be the one without a memory, and the tables whose rows were read for it."""
    made.reads.clear()
    found = check_validity(made, dataset, [DAY], judged=judged)
    reads = list(made.reads)
    fresh = check_validity(made, dataset, [DAY])
    assert (found.passed, found.summary, found.details.get("offences")) == (
        fresh.passed, fresh.summary, fresh.details.get("offences"),
    )  # fmt: skip
    return found, reads


def test_a_day_is_read_again_only_when_it_or_what_it_is_held_against_changes(judged: Judged) -> None:
    made = warehouse(bmrs_fuelhh=fuels(48, CCGT=1000), bmrs_itsdo=[demand(48, 1000, NEXT)])
    assert again(made, FUELHH, judged)[1] == ["bmrs_fuelhh", "bmrs_itsdo"]
    assert again(made, FUELHH, judged)[1] == []
    made.put(ITSDO, [demand(48, 500, NEXT)], FETCHED)  # the demand is published anew, a day later
    found, reads = again(made, FUELHH, judged)
    assert reads == ["bmrs_fuelhh", "bmrs_itsdo"] and cross.FUELS in found.details["offences"]
    assert again(made, FUELHH, judged)[1] == []
    made.put(INDO, [demand(48, 500)], FETCHED)
    assert again(made, FUELHH, judged)[1] != []


def test_a_new_list_reads_only_days_whose_unknown_units_it_has(judged: Judged) -> None:
    made = warehouse(bmrs_pn=[level(1, 1), level(1, 1, unit="X")], ref_bmunits=[unit("T_A-1")])
    found, reads = again(made, PN, judged)
    assert "bmrs_pn" in reads and not found.passed
    made.put(UNITS, [unit("T_A-1"), unit("Y")], FETCHED)
    found, reads = again(made, PN, judged)
    assert reads == ["ref_bmunits"] and not found.passed
    made.put(UNITS, [unit("T_A-1"), unit("Y"), unit("X", day=NEXT)], FETCHED)
    found, reads = again(made, PN, judged)
    assert "bmrs_pn" in reads and found.passed


def test_the_register_is_read_once_for_all_tables_and_not_at_all_when_nothing_changed(judged: Judged) -> None:
    rows = [level(1, 1)]
    made = warehouse(bmrs_pn=rows, bmrs_mels=rows, bmrs_mils=[level(1, 0)], ref_bmunits=[unit("T_A-1")])
    tables = [PN, MELS, MILS]
    for reads in (1, 0):
        made.reads.clear()
        wanted = {d.table: [DAY] for d in tables}
        found = run_checks(made, tables, wanted, FETCHED, ["validity"], judged=judged)
        assert [r.summary for r in found if not r.passed] == []
        assert made.reads.count("ref_bmunits") == reads


def test_the_recorded_days_hold_these_rules() -> None:
    """Real fuels against real demand, four days, and real units against the register of another year."""
    made = Memory()
    for dataset in (FUELHH, ITSDO, INDO, PN, BOALF, UNITS):
        frames = recorded(dataset)
        rows = [{**r, "_day": day} for day, frame in frames.items() for r in frame.iter_rows(named=True)]
        made.put(dataset, rows, FETCHED)
    for dataset in (FUELHH, PN, BOALF):
        days = [d for first, last in SCOPE[dataset.table] for d in (first, last)]
        result = check_validity(made, dataset, sorted(set(days)), recorded=True)
        assert result.passed, result.summary
    shifted = made.tables["bmrs_fuelhh"].with_columns(generation=pl.col("generation") * 1.2)
    made.tables["bmrs_fuelhh"] = shifted
    assert not check_validity(made, FUELHH, sorted(set(shifted["_day"])), recorded=True).passed
