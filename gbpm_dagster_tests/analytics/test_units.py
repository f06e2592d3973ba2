"""A BM unit as of a day, against the recorded register of November 2025 kept on a few made-up days."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlglot

from gbpm_dagster.analytics import sql
from gbpm_dagster.analytics.units import Change, Unit, UnitNotFound, find_unit
from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.demo.replay_recordings import RECORDINGS
from gbpm_dagster.elexon.decode import decode
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival

UNITS = DATASETS["ref_bmunits"]
FIRST = date(2026, 3, 1)
HAWTHORN, DRAX = "2__FBPGM002", "T_DRAXX-1"


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def register(**changes: dict[str, Any]) -> pl.DataFrame:
    """The recorded rows; changes: of units by id (`-` and `_` written out), None = not in the list."""
    body = gzip.decompress((RECORDINGS / "ref_bmunits.native.ndjson.gz").read_bytes())
    rows = decode(UNITS, b"[" + b",".join(body.splitlines()) + b"]").rows
    for unit, values in changes.items():
        this = pl.col("elexonBmUnit") == unit
        rows = rows.with_columns(pl.when(this).then(pl.lit(v)).otherwise(c).alias(c) for c, v in values.items())
    return rows


def without(rows: pl.DataFrame, unit: str) -> pl.DataFrame:
    return rows.filter(pl.col("elexonBmUnit").ne_missing(unit))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Lists of day 0, 1, 2, 4, 5 and 6. Hawthorn grows on 2 and gets another id on 4; Drax 1 lacks in 1 and in 6."""
    lake, plain = Lake(tmp_path_factory.mktemp("lake")), register()
    grown = register(**{HAWTHORN: {"generationCapacity": "60.125"}})
    named = register(**{HAWTHORN: {"generationCapacity": "60.125", "nationalGridBmUnit": "HAWT-1"}})
    lists = {0: plain, 1: without(plain, DRAX), 2: grown, 4: named, 5: named, 6: without(named, DRAX)}
    for n, rows in lists.items():
        at = datetime(day(n).year, day(n).month, day(n).day, 2, tzinfo=UTC)
        lake.replace(UNITS, [Arrival(day(n), rows, at)])
    return lake


def one(lake: Lake, asked: str, on: date | None = None) -> Unit:
    found = find_unit(lake, asked, on)
    assert len(found.units) == 1
    return found.units[0]


def test_the_entry_of_hawthorn_pit(lake: Lake) -> None:
    unit = one(lake, "fbpgm002", day(0))
    assert (unit.elexon_id, unit.national_grid_id, unit.eic, unit.name) == (
        HAWTHORN,
        "FBPG02",
        None,
        "Hawthorn Pit BESS",
    )
    assert (unit.fuel, unit.lead_party, unit.lead_party_id) == (None, "BP Gas Marketing Limited", "BPGAS")
    assert (unit.type, unit.type_meaning) == ("S", "additional supplier unit of a GSP group")
    assert (unit.generation_capacity_mw, unit.demand_capacity_mw) == (50.3, -54.8)
    assert (unit.gsp_group_id, unit.gsp_group, unit.interconnector) == ("_F", "Northern", None)
    assert (unit.since, unit.until) == (day(0), day(1))


@pytest.mark.parametrize(
    ("n", "list_of", "capacity", "ng_id"),
    [(0, 0, 50.3, "FBPG02"), (1, 1, 50.3, "FBPG02"), (2, 2, 60.125, "FBPG02"), (3, 2, 60.125, "FBPG02"),
     (4, 4, 60.125, "HAWT-1"), (9, 6, 60.125, "HAWT-1")],
)  # fmt: skip
def test_the_entry_is_of_the_day_asked(lake: Lake, n: int, list_of: int, capacity: float, ng_id: str) -> None:
    found = find_unit(lake, HAWTHORN, day(n))
    assert (found.list_of, found.first_list, found.last_list) == (day(list_of), day(0), day(6))
    assert found.rule == "elexon_id"
    assert (found.units[0].generation_capacity_mw, found.units[0].national_grid_id) == (capacity, ng_id)


def test_without_a_day_the_newest_list_is_asked(lake: Lake) -> None:
    found = find_unit(lake, HAWTHORN)
    assert (found.on, found.list_of) == (day(6), day(6))
    assert (found.units[0].since, found.units[0].until) == (day(4), None)


def test_what_changed_is_told_by_the_list_that_shows_it(lake: Lake) -> None:
    expected = (
        Change(day(0), "listed"),
        Change(day(2), "changed", "generationCapacity", "50.300", "60.125"),
        Change(day(4), "changed", "nationalGridBmUnit", "FBPG02", "HAWT-1"),
    )
    assert one(lake, HAWTHORN, day(0)).changes == expected
    assert one(lake, "HAWT-1").changes == expected, "the unit is the same under its newer id"
    drax = one(lake, "DRAXX-1", day(3)).changes
    assert [(c.day, c.what) for c in drax] == [
        (day(0), "listed"), (day(1), "gone"), (day(2), "listed"), (day(6), "gone")
    ]  # fmt: skip


def test_several_units_are_all_given(lake: Lake) -> None:
    found = find_unit(lake, "AFLEX003")
    assert found.rule == "ambiguous"
    assert {u.elexon_id for u in found.units} == {"2__AFLEX003", "V__AFLEX003"}


def test_units_with_little_said_of_them(lake: Lake) -> None:
    wind = one(lake, "ACHYW-1")
    assert (wind.elexon_id, wind.fuel, wind.type, wind.type_meaning) == (None, "WIND", None, None)
    assert wind.generation_capacity_mw is None
    link = one(lake, "I_IEG-FRAN1")
    assert (link.interconnector, link.type_meaning) == ("FRANCE", "interconnector user")


@pytest.mark.parametrize(
    ("asked", "n", "words"),
    [
        ("DRAXX1", 0, "no BM unit 'DRAXX1' in the list of 2026-03-01: did you mean T_DRAXX-1"),
        ("no such", 0, "no id is like it"),
        (DRAX, 1, "it was listed from 2026-03-01 to 2026-03-01, `gbpm unit T_DRAXX-1 --on 2026-03-01`"),
        (DRAX, 9, "it was listed from 2026-03-03 to 2026-03-06, `gbpm unit T_DRAXX-1 --on 2026-03-06`"),
        ("FBPG02", 5, "it was listed from 2026-03-03 to 2026-03-03"),
        (DRAX, -1, "no list of BM units is kept of 2026-02-28 or before: the first is of 2026-03-01"),
    ],
)
def test_what_is_not_found_is_explained(lake: Lake, asked: str, n: int, words: str) -> None:
    with pytest.raises(UnitNotFound) as caught:
        find_unit(lake, asked, day(n))
    assert words in caught.value.args[0]


def test_without_a_list_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UnitNotFound, match="`gbpm backfill ref_bmunits`"):
        find_unit(Lake(tmp_path), DRAX)


def test_the_statement_is_the_same_in_both_dialects(lake: Lake) -> None:
    text = sql.unit_history()
    bigquery = sqlglot.transpile(text, read="duckdb", write="bigquery", unsupported_level=sqlglot.ErrorLevel.RAISE)[0]
    assert '"' not in bigquery
    assert lake.sql(bigquery, dialect="bigquery").equals(lake.sql(text))
