"""Rows for a person: exactly what SQL shows, in order, in bounded pieces, from no more files than needed."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from gbpm_dagster.catalogue import UnknownTable
from gbpm_dagster.catalogue import views as catalogue_views
from gbpm_dagster.warehouse import query, reading
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival, QueryError
from gbpm_dagster.warehouse.views import CALENDAR_SCHEMA
from gbpm_dagster_tests.warehouse.rows import (
    BMUNITS,
    BOALF,
    COSTS,
    INDO,
    MID,
    T0,
    answer,
    cost_row,
    frame,
    later,
    mid,
)

FIRST = date(2024, 1, 30)
DAYS = [FIRST + timedelta(days=n) for n in range(5)]  # two months


def prices(day: date, first: float, created: datetime) -> list[dict[str, Any]]:
    """A day of system prices of which period 1 has another price and was made at another time."""
    others = [cost_row(day, period, 1.0 * period, T0) for period in range(2, 49)]
    return [cost_row(day, 1, first, created), *others]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    for n, day in enumerate(DAYS):
        lake.replace(MID, [answer(mid(day, price=50.0 + n), day)])
        lake.replace(COSTS, [answer(frame(COSTS, prices(day, 1.0, T0)), day)])
        lake.replace(COSTS, [answer(frame(COSTS, prices(day, 99.0, later(2))), day, later(3))])
    published = [(DAYS[0], 1, 100), (DAYS[0], 2, 200), (DAYS[3], 1, 111)]  # of period 1 a newer one, days later
    for day in (DAYS[0], DAYS[3]):
        rows = [
            {"settlementDate": DAYS[0], "settlementPeriod": p, "demand": mw, "startTime": T0,
             "publishTime": datetime(d.year, d.month, d.day, 12, tzinfo=UTC)}
            for d, p, mw in published if d == day
        ]  # fmt: skip
        lake.replace(INDO, [answer(frame(INDO, rows), day)])
    for n, day in enumerate(DAYS[:3]):
        units = [
            {"elexonBmUnit": f"T_{u}", "nationalGridBmUnit": u, "leadPartyName": "A" if n < 2 else "B"} for u in "XY"
        ]
        lake.replace(BMUNITS, [Arrival(day, frame(BMUNITS, units), datetime(2024, 2, 3, n, tzinfo=UTC))])
    return lake


def read(lake: Lake, table: str, *args: Any, **kwargs: Any) -> pl.DataFrame:
    pieces = list(lake.reader(table, *args, **kwargs).pieces())
    return pl.DataFrame(pl.from_arrow(pa.concat_tables(p.rows for p in pieces)))


ORDER = {
    "bmrs_mid": "_day, settlementDate, settlementPeriod, dataProvider",
    "bmrs_costs": "_day, settlementDate, settlementPeriod",
    "bmrs_costs_vintages": "_day, settlementDate, settlementPeriod, _superseded_at",
    "bmrs_costs_history": "_day, settlementDate, settlementPeriod, _known_from",
    "bmrs_indo": "_day, settlementDate, settlementPeriod",
    "bmrs_indo_history": "_day, settlementDate, settlementPeriod, _known_from",
    "ref_bmunits": "elexonBmUnit, nationalGridBmUnit",
    "ref_bmunits_history": "elexonBmUnit, nationalGridBmUnit, _valid_from",
    "gbpm_evidence": '"table", day',
}


@pytest.mark.parametrize("table", ORDER)
def test_all_rows_are_those_of_sql_in_the_order_of_the_key(lake: Lake, table: str) -> None:
    assert read(lake, table).equals(lake.sql(f"SELECT * FROM {table} ORDER BY {ORDER[table]}"))


@pytest.mark.parametrize("at_once", [1, 100, 200, 10**6])
@pytest.mark.parametrize(
    "table", ["bmrs_mid", "bmrs_costs_vintages", "bmrs_costs_history", "bmrs_indo", "bmrs_indo_history"]
)
@pytest.mark.parametrize(("first", "last"), [(None, None), (0, 0), (1, 3), (2, None), (None, 1), (-9, 9)])
def test_days_are_those_of_sql_however_small_the_pieces(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, at_once: int, table: str, first: int | None, last: int | None
) -> None:
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", at_once)
    start, end = (None if n is None else FIRST + timedelta(days=n) for n in (first, last))
    conditions = [f"_day >= DATE '{start}'"] * bool(start) + [f"_day <= DATE '{end}'"] * bool(end)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    expected = lake.sql(f"SELECT * FROM {table} {where} ORDER BY {ORDER[table]}")
    assert read(lake, table, start, end).equals(expected)


def test_pieces_are_bounded_and_span_no_two_months_when_asked(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 200)  # two days of 96 rows
    spans = [(p.first, p.last, p.rows.num_rows) for p in lake.reader("bmrs_mid").pieces()]
    assert spans == [(DAYS[0], DAYS[1], 192), (DAYS[2], DAYS[3], 192), (DAYS[4], DAYS[4], 96)]
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 10**6)
    assert [p.rows.num_rows for p in lake.reader("bmrs_mid").pieces()] == [480]
    assert [p.rows.num_rows for p in lake.reader("bmrs_mid").pieces(by_month=True)] == [192, 288]


def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files each view was made over, from now on."""
    counts: list[int] = []
    make = query.make_view

    def counting(con: Any, name: str, sources: Any, named: bool) -> None:
        if sources[name].files is not None:  # without it only its columns are asked
            counts.append(len(sources[name].files()))
        make(con, name, sources, named)

    monkeypatch.setattr(query, "make_view", counting)
    return counts


@pytest.mark.parametrize(
    ("kwargs", "files"),
    [
        ({"start": DAYS[1], "end": DAYS[1]}, 1),
        ({"start": DAYS[1], "end": DAYS[2]}, 2),
        ({"where": f"settlementDate = '{DAYS[1]}'"}, 1),
        ({"where": {"settlementDate": DAYS[1:3]}}, 2),
        ({"start": DAYS[1], "where": f"_day < '{DAYS[2]}' AND price > 0"}, 2),
        ({"start": date(2030, 1, 1)}, 0),
        ({"start": DAYS[3], "where": f"_day < '{DAYS[2]}'"}, 0),
    ],
)
def test_only_files_that_may_hold_the_days_are_opened(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, kwargs: dict[str, Any], files: int
) -> None:
    counts = opened(monkeypatch)
    rows = read(lake, "bmrs_mid", **kwargs)
    assert counts == [files]
    assert rows.columns == [*MID.names, "_day", "_fetched_at", "_source"]
    assert rows.schema["startTime"] == pl.Datetime("us", "UTC")


def test_a_row_that_a_later_day_superseded_is_not_shown_for_its_own(lake: Lake) -> None:
    assert read(lake, "bmrs_indo", DAYS[0], DAYS[0])["demand"].to_list() == [200]
    assert read(lake, "bmrs_indo", DAYS[3], DAYS[3])["demand"].to_list() == [111]


def test_where_something_else_than_the_day_decides_all_files_are_asked(tmp_path: Path) -> None:
    """A document's revision comes before its publication: the row of the earlier day may be the current one."""
    dataset = dataclasses.replace(INDO, version=("demand", "publishTime"))
    lake = Lake(tmp_path, {"bmrs_indo": dataset})
    for day, mw in ((DAYS[0], 300), (DAYS[1], 200)):
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        row = {"settlementDate": DAYS[0], "settlementPeriod": 1, "startTime": T0, "publishTime": at, "demand": mw}
        lake.replace(dataset, [answer(frame(dataset, [row]), day)])
    assert read(lake, "bmrs_indo")["demand"].to_list() == [300]
    assert read(lake, "bmrs_indo", DAYS[1], DAYS[1]).is_empty()


def test_the_columns_of_settlement_runs_are_there_and_can_be_asked(lake: Lake) -> None:
    days = DAYS[:2]
    calendar = pl.DataFrame(
        [(d, "II", d, datetime(2024, 2, 1, 1, tzinfo=UTC)) for d in days], schema=CALENDAR_SCHEMA, orient="row"
    )
    here = Lake(lake.root, calendar=lambda: calendar)
    rows = read(here, "bmrs_costs", DAYS[0], DAYS[0])
    assert rows.columns == [*COSTS.names, "_day", "_fetched_at", "_source", "_run", "_final"]
    assert rows["_run"].to_list() == [
        "II",
        *["indicative"] * 47,
    ]  # made at 02:00, and at 00:00 before the run's 01:00
    assert read(here, "bmrs_costs", where="_run = 'II'")["settlementDate"].to_list() == days
    assert read(here, "bmrs_costs", columns=["_final"], where={"settlementPeriod": 1, "_day": DAYS[0]}).rows() == [
        (False,)
    ]
    plain = read(here, "bmrs_costs", columns=["systemSellPrice"], where={"settlementPeriod": 1})
    assert plain["systemSellPrice"].to_list() == [99.0] * 5


def test_a_withdrawn_acceptance_is_not_shown(tmp_path: Path) -> None:
    lake, day = Lake(tmp_path), date(2024, 1, 3)
    base = {"nationalGridBmUnit": "A-1", "acceptanceTime": T0, "timeFrom": datetime(2024, 1, 3, 10, tzinfo=UTC)}
    rows = [{**base, "acceptanceNumber": n, "amendmentFlag": f} for n, f in ((1, "ORI"), (2, "DEL"))]
    lake.replace(BOALF, [answer(frame(BOALF, rows), day)])
    assert read(lake, "bmrs_boalf", day, day)["acceptanceNumber"].to_list() == [1]


def test_a_reference_table_is_its_newest_list_or_the_lists_of_days(lake: Lake) -> None:
    assert read(lake, "ref_bmunits").select("_day", "leadPartyName").rows() == [(DAYS[2], "B")] * 2
    first = read(lake, "ref_bmunits", DAYS[0], DAYS[1])
    assert first.select("_day", "leadPartyName").rows() == [(DAYS[0], "A")] * 2 + [(DAYS[1], "A")] * 2
    valid = read(lake, "ref_bmunits_history", DAYS[1], DAYS[1], columns=["elexonBmUnit", "leadPartyName"])
    assert valid.rows() == [("T_X", "A"), ("T_Y", "A")]
    assert read(lake, "ref_bmunits_history", DAYS[2])["leadPartyName"].to_list() == ["B", "B"]


def test_columns_are_those_asked_in_that_order(lake: Lake) -> None:
    rows = read(lake, "bmrs_mid", DAYS[0], DAYS[0], columns=["PRICE", "settlementPeriod", "price"])
    assert rows.columns == ["price", "settlementPeriod"]
    assert rows["settlementPeriod"].to_list() == sorted([*range(1, 49)] * 2)


@pytest.mark.parametrize(
    "name", ["bmrs_mid", "BMRS_MID", "mid", " bmrs_mid ", "bmrs_mid_vintages", "gbpm_attempts", "ref_bmunits_history"]
)
def test_tables_are_found_by_any_of_their_names(lake: Lake, name: str) -> None:
    assert next(iter(lake.reader(name).pieces())).rows.num_columns > 3


VIEWS = {
    "bmrs_fuelinst_dedup": "_day, settlementDate, settlementPeriod, startTime, publishTime, fuelType",
    "bmrs_demand_forecast": "settlementDate, settlementPeriod",
    "bmrs_remit_unavailability": "_day, mrid",
}


@pytest.mark.parametrize("name", catalogue_views.VIEWS)
def test_views_of_the_catalogue_are_read_as_sql_shows_them(tmp_path: Path, name: str) -> None:
    lake, day = Lake(tmp_path), DAYS[0]
    at = datetime(2024, 1, 30, 12, tzinfo=UTC)
    period = {"settlementDate": day, "settlementPeriod": 24, "startTime": at, "publishTime": at}
    rows = {
        "bmrs_fuelinst": [{**period, "fuelType": "WIND", "generation": 5}],
        "bmrs_demand_forecast_latest": [{**period, "boundary": "N", "nationalDemand": 30_000}],
        "bmrs_datl": [{**period, "quantity": 31_000.0}],
        "bmrs_remit": [
            {"mrid": "m", "revisionNumber": n, "publishTime": at, "eventStartTime": at,
             "messageType": "UnavailabilitiesOfElectricityFacilities"} for n in (1, 2)
        ],
    }  # fmt: skip
    for table, found in rows.items():
        dataset = lake.datasets[table]
        lake.replace(dataset, [answer(frame(dataset, found), day)])
    expected = lake.sql(f"SELECT * FROM {name} ORDER BY {VIEWS[name]}")
    assert expected.height == 1
    assert read(lake, name.upper()).equals(expected)
    assert read(lake, name, day, day).equals(expected)
    assert read(lake, name, DAYS[1]).is_empty()


def test_conditions_choose_rows(lake: Lake) -> None:
    assert read(lake, "bmrs_mid", where="price > 53 AND dataProvider = 'APXMIDP'").height == 48
    assert read(lake, "bmrs_mid", where={"price": [50, 51], "settlementPeriod": 1}).height == 4
    assert read(lake, "bmrs_mid", where="bmrs_mid.price = 50 -- the table's own name").height == 96
    assert read(lake, "bmrs_mid", where="false").is_empty()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"columns": ["prize"]}, "no column 'prize': did you mean price"),
        ({"columns": "price"}, "give a list of names"),
        ({"columns": []}, "give a list of names"),
        ({"where": "max(price) > 1"}, "cannot contain aggregates"),
        ({"where": "dataProvider > 5"}, "bmrs_mid cannot be read so"),
        ({"where": "read_text('/etc/hostname') = 'x'"}, "(?i)read_text"),
        ({"where": "nosuch(price)"}, "nosuch"),
    ],
)
def test_what_cannot_be_read_says_why(lake: Lake, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        read(lake, "bmrs_mid", **kwargs)


def test_a_table_without_days_and_one_that_is_not_there(lake: Lake) -> None:
    with pytest.raises(QueryError, match="some_view has no days"):
        reading.reader({"some_view": query.Source("some_view", {"x": pl.Int64})}, "some_view", lake.root, DAYS[0])
    with pytest.raises(UnknownTable, match="did you mean bmrs_mid"):
        lake.reader("bmrs_mdi")


def test_a_text_the_check_did_not_understand_reaches_no_other_file(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's parser takes one expression only, and the engine may read the lake's files only."""
    from gbpm_dagster.warehouse import conditions

    monkeypatch.setattr(conditions, "_checked", lambda text, columns, table: conditions.Condition(text))
    for text in (
        "1=1; DROP VIEW bmrs_mid",
        "1=1) UNION SELECT * FROM (bmrs_costs",
        "1=1 FROM bmrs_costs",
        "1=1, 2=2",
    ):
        with pytest.raises(QueryError, match=r"(?i)parser|expression"):
            read(lake, "bmrs_mid", where=text)
    with pytest.raises(QueryError, match=r"(?i)permission"):
        read(lake, "bmrs_mid", where="EXISTS (SELECT * FROM read_text('/etc/hostname'))")
