"""`gbpm_dagster.read`, `sql` and `tables`: recorded days as a notebook gets them, without Dagster."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import warnings
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gbpm_dagster
from gbpm_dagster.catalogue import DATASETS, UnknownTable
from gbpm_dagster.demo.replay_recordings import RECORDINGS
from gbpm_dagster.elexon.decode import decode, partition_days
from gbpm_dagster.notebook import IncompleteData
from gbpm_dagster.quality.lacking import NothingStored
from gbpm_dagster.settings import SettingsError
from gbpm_dagster.warehouse.home import HomeError, open_home
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival, QueryError
from gbpm_dagster_tests.rights import no_permission_in

MID, INDO, FUELHH, UNITS = (DATASETS[t] for t in ("bmrs_mid", "bmrs_indo", "bmrs_fuelhh", "ref_bmunits"))
FIRST, LAST, LOST = date(2024, 1, 1), date(2024, 1, 7), date(2024, 1, 5)
NOW = "2024-01-08T12:00:00Z"


@cache
def lines(table: str) -> tuple[bytes, ...]:
    return tuple(
        line
        for file in sorted(RECORDINGS.glob(f"{table}.*.ndjson.gz"))
        for line in gzip.decompress(file.read_bytes()).splitlines()
    )


def sent(table: str, day: date) -> list[dict[str, Any]]:
    """The recorded rows of a settlement date as Elexon sent them."""
    return [r for r in map(json.loads, lines(table)) if r["settlementDate"] == day.isoformat()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week of MID and FUELHH but for one day of MID, INDO with a null that no recording has, a list of BM units."""
    home = open_home(tmp_path_factory.mktemp("home"))
    lake, at = Lake(home.lake), datetime(2024, 1, 8, tzinfo=UTC)
    for dataset in (MID, FUELHH, INDO):
        rows = decode(dataset, b"[" + b",".join(lines(dataset.table)) + b"]").rows
        if dataset is INDO:
            first = pl.col("settlementPeriod") == 1
            rows = rows.with_columns(demand=pl.when(first).then(None).otherwise("demand"))
        days = partition_days(dataset, rows)
        wanted = [FIRST + timedelta(days=n) for n in range(7)]
        lake.replace(
            dataset,
            [
                Arrival(d, rows.filter(days == d), at, windows_asked=1, windows_answered=1)
                for d in wanted
                if (dataset, d) != (MID, LOST)
            ],
        )
    units = decode(UNITS, b"[" + b",".join(lines("ref_bmunits")) + b"]").rows
    lake.replace(UNITS, [Arrival(LAST, units, at, windows_asked=1, windows_answered=1)])
    return home.path


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    for name in [n for n in os.environ if n.startswith(("GBPM_", "ELEXON_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GBPM_HOME", str(home))
    monkeypatch.setenv("GBPM_NOW", NOW)


def test_a_recorded_day_as_pandas() -> None:
    """Volume-weighted APXMIDP of 2024-01-03 is 78.921 (recorded/README.md)."""
    day = date(2024, 1, 3)
    mid = gbpm_dagster.read("bmrs_mid", "2024-01-03", day)
    assert isinstance(mid, pd.DataFrame)
    rows = sorted(sent("bmrs_mid", day), key=lambda r: (r["settlementPeriod"], r["dataProvider"]))
    for name in ("dataProvider", "settlementPeriod", "price", "volume"):
        assert mid[name].to_list() == [r[name] for r in rows]
    assert mid["settlementDate"].to_list() == [day] * 96
    assert mid["startTime"].to_list() == [pd.Timestamp(r["startTime"]) for r in rows]
    apx = mid[mid["dataProvider"] == "APXMIDP"]
    assert round((apx["price"] * apx["volume"]).sum() / apx["volume"].sum(), 3) == 78.921


def test_pandas_types_are_those_the_docstring_names() -> None:
    with pytest.warns(IncompleteData, match=r"2024-01-01 \(partial\)"):  # a period without a value
        indo = gbpm_dagster.read("bmrs_indo", FIRST, FIRST)
    kinds = {name: str(kind) for name, kind in indo.dtypes.items()}
    assert kinds["demand"] == kinds["settlementPeriod"] == "Int64"
    assert kinds["startTime"] == kinds["_fetched_at"] == "datetime64[us, UTC]"
    assert kinds["dataset"].startswith("string")
    assert indo["demand"].isna().sum() == 1
    second = indo[(indo["settlementDate"] == FIRST) & (indo["settlementPeriod"] == 2)]
    assert second["demand"].to_list() == [r["demand"] for r in sent("bmrs_indo", FIRST) if r["settlementPeriod"] == 2]
    assert isinstance(indo["settlementDate"].iloc[0], date)
    assert str(gbpm_dagster.read("mid", FIRST, FIRST)["price"].dtype) == "float64"
    assert str(gbpm_dagster.read("ref_bmunits", columns=["fpnFlag"])["fpnFlag"].dtype) == "boolean"


@pytest.mark.filterwarnings("ignore::gbpm_dagster.notebook.IncompleteData")
def test_polars_and_arrow_say_the_same() -> None:
    frame = gbpm_dagster.read("bmrs_indo", FIRST, LAST, as_="polars")
    table = gbpm_dagster.read("bmrs_indo", FIRST, LAST, as_="arrow")
    assert isinstance(frame, pl.DataFrame)
    assert isinstance(table, pa.Table)
    assert frame.equals(pl.DataFrame(pl.from_arrow(table)))
    assert frame.schema["startTime"] == pl.Datetime("us", "UTC")
    assert frame.schema["settlementDate"] == pl.Date
    assert table.schema.field("startTime").type == pa.timestamp("us", "UTC")
    lake = Lake(open_home(Path(os.environ["GBPM_HOME"])).lake)
    assert frame.equals(lake.sql("SELECT * FROM bmrs_indo ORDER BY _day, settlementDate, settlementPeriod"))


def test_columns_and_conditions() -> None:
    wind = gbpm_dagster.read(
        "bmrs_fuelhh", FIRST, FIRST, columns=["settlementPeriod", "generation"], where={"fuelType": "WIND"}
    )
    assert list(wind.columns) == ["settlementPeriod", "generation"]
    rows = sorted(
        (r["settlementPeriod"], r["generation"]) for r in sent("bmrs_fuelhh", FIRST) if r["fuelType"] == "WIND"
    )
    assert list(wind.itertuples(index=False, name=None)) == rows
    dear = gbpm_dagster.read("bmrs_mid", FIRST, FIRST, where="price > 50 AND dataProvider = 'APXMIDP'")
    expected = [r for r in sent("bmrs_mid", FIRST) if r["price"] > 50 and r["dataProvider"] == "APXMIDP"]
    assert len(dear) == len(expected) > 0
    none = gbpm_dagster.read("bmrs_mid", FIRST, FIRST, where="price > 1e6")
    assert (len(none), str(none["settlementPeriod"].dtype)) == (0, "Int64")


def test_days_that_are_not_complete_are_named() -> None:
    with pytest.warns(IncompleteData, match=r"1 of 7 days are not complete: 2024-01-05 \(missing\)") as seen:
        mid = gbpm_dagster.read("bmrs_mid")
    assert len(mid) == 6 * 96
    assert "`gbpm backfill bmrs_mid --from 2024-01-05 --to 2024-01-05 --missing` fetches them" in str(seen[0].message)
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gbpm_dagster.read("bmrs_mid", FIRST, date(2024, 1, 4))
        gbpm_dagster.read("bmrs_fuelhh")
        gbpm_dagster.read("ref_bmunits")
        gbpm_dagster.read("bmrs_mid_vintages")


def test_a_home_with_a_scope_lacks_no_day_outside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = tmp_path / "scope.json"
    scope.write_text('{"mid": [["2024-01-01", "2024-01-04"], ["2024-01-06", "2024-01-07"]]}')
    monkeypatch.setenv("GBPM_SCOPE_FILE", str(scope))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(gbpm_dagster.read("bmrs_mid")) == 6 * 96


def test_views_and_histories_are_tables_too() -> None:
    assert len(gbpm_dagster.read("ref_bmunits_history", LAST)) == 2732
    assert gbpm_dagster.read("bmrs_indo_vintages", as_="arrow").num_rows == 0
    assert len(gbpm_dagster.read("gbpm_evidence", where={"table": "bmrs_mid"})) == 6


def test_sql_in_both_dialects() -> None:
    text = "SELECT settlementDate, COUNT(*) AS n, MAX(price) AS price FROM {} GROUP BY 1 ORDER BY 1"
    plain = gbpm_dagster.sql(text.format("bmrs_mid"))
    other = gbpm_dagster.sql(text.format("`my-project.uk_energy.bmrs_mid`"), dialect="bigquery")
    pd.testing.assert_frame_equal(plain, other)
    assert plain["n"].to_list() == [96] * 6
    assert str(plain["n"].dtype) == "Int64"
    assert plain["price"].iloc[0] == max(r["price"] for r in sent("bmrs_mid", FIRST))
    assert gbpm_dagster.sql("SELECT 1 AS one", as_="arrow").to_pydict() == {"one": [1]}
    assert gbpm_dagster.sql("SELECT 1 AS one", as_="polars").item() == 1


def test_tables_tells_what_is_held(tmp_path: Path) -> None:
    found = gbpm_dagster.tables().set_index("table")
    assert list(found.index) == list(DATASETS)
    mid = found.loc["bmrs_mid"]
    assert (mid["rows"], mid["days"], mid["first_day"], mid["last_day"]) == (6 * 96, 6, FIRST, LAST)
    assert (found.loc["bmrs_bod", "rows"], found.loc["bmrs_bod", "first_day"]) == (0, None)
    nothing = gbpm_dagster.tables(home=tmp_path / "none", as_="polars")
    assert (nothing.height, nothing["rows"].sum()) == (len(DATASETS), 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "words"),
    [
        (["bmrs_mdi"], {}, UnknownTable, "did you mean bmrs_mid"),
        (["bmrs_bod"], {}, NothingStored, "`gbpm backfill bmrs_bod --from yyyy-mm-dd --to yyyy-mm-dd`"),
        (["bmrs_mid", LOST, LOST], {}, NothingStored, "2024-01-01 to 2024-01-07: `gbpm backfill bmrs_mid --from"),
        (["bmrs_mid", "2024-02-01"], {}, NothingStored, "holds no day from 2024-02-01 on"),
        (["ref_bmunits", None, FIRST], {}, NothingStored, "`gbpm backfill ref_bmunits` fetches today's list"),
        (["bmrs_mid", "2024-02-30"], {}, ValueError, "start is '2024-02-30': there is no such day"),
        (["bmrs_mid", None, "03/01/2024"], {}, ValueError, "end is '03/01/2024': give a day as yyyy-mm-dd"),
        (["bmrs_mid", 20240103], {}, ValueError, "start is 20240103: give a day as yyyy-mm-dd or a date"),
        (["bmrs_mid", LAST, FIRST], {}, ValueError, "start 2024-01-07 is after end 2024-01-01: swap them"),
        (["bmrs_mid"], {"as_": "spark"}, ValueError, "as_ is 'spark': give one of pandas, polars, arrow"),
        (["bmrs_mid"], {"columns": ["prize"]}, QueryError, "no column 'prize': did you mean price"),
        (["bmrs_mid"], {"where": "1=1; DROP TABLE bmrs_mid"}, QueryError, "is not one condition"),
        (["bmrs_mid"], {"home": "/nowhere/at/all"}, HomeError, "there is no home at /nowhere/at/all"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(
    args: list[Any], kwargs: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        gbpm_dagster.read(*args, **kwargs)
    assert words in str(caught.value)


def test_the_quick_start_runs_as_it_stands() -> None:
    page = (Path(__file__).parents[1] / "docs" / "quick-start.md").read_text(encoding="utf-8")
    block = page.split("## In a notebook")[1].split("```python")[1].split("```")[0]
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(block, names)
    week = [FIRST + timedelta(days=n) for n in range(7)]
    apx = [r for d in week[:4] for r in sent("bmrs_mid", d) if r["dataProvider"] == "APXMIDP" and r["volume"] > 0]
    assert len(names["mid"]) == len(apx)
    assert names["mid"]["value_gbp"].sum() == pytest.approx(sum(r["price"] * r["volume"] for r in apx))
    wind = [r["generation"] for d in week for r in sent("bmrs_fuelhh", d) if r["fuelType"] == "WIND"]
    assert (names["wind"].height, names["wind"]["generation"].sum()) == (len(wind), sum(wind))
    assert names["daily"]["settlementDate"].to_list() == [d for d in week if d != LOST]
    assert len(names["held"]) == len(DATASETS)


def test_a_time_is_the_london_day_it_lies_in() -> None:
    late = datetime(2024, 1, 3, 23, 59, tzinfo=UTC)
    mid = gbpm_dagster.read("bmrs_mid", pd.Timestamp("2024-01-03"), late)
    assert set(mid["_day"]) == {date(2024, 1, 3)}


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBPM_NOW", "noon")
    with pytest.raises(SettingsError, match="GBPM_NOW is 'noon'"):
        gbpm_dagster.read("bmrs_mid")


def test_reading_changes_nothing_and_needs_no_right_to_write(home: Path, tmp_path: Path) -> None:
    before = sorted((p, p.stat().st_mtime_ns) for p in home.rglob("*"))
    gbpm_dagster.read("bmrs_fuelhh", FIRST, FIRST, home=str(home))
    assert sorted((p, p.stat().st_mtime_ns) for p in home.rglob("*")) == before
    with no_permission_in(lambda folder: shutil.copytree(home, folder, dirs_exist_ok=True)) as fixed:
        assert len(gbpm_dagster.read("bmrs_fuelhh", FIRST, FIRST, home=fixed)) == 48 * 19
    with pytest.raises(HomeError, match="is not a home"):
        gbpm_dagster.read("bmrs_mid", home=tmp_path)
    assert list(tmp_path.iterdir()) == []


BARE = """
import sys
import gbpm_dagster
heavy = {"polars", "pandas", "pyarrow", "duckdb", "deltalake", "pydantic", "dagster"} & set(sys.modules)
assert not heavy, heavy
assert "read" in dir(gbpm_dagster)
sys.modules["dagster"] = None  # an import of it fails from here on
print(len(gbpm_dagster.read("bmrs_mid", "2024-01-03", "2024-01-03", as_="polars")))
assert "pandas" not in sys.modules
"""


def test_importing_loads_nothing_and_reading_needs_no_dagster() -> None:
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "96\n", "")
    with pytest.raises(AttributeError, match="nosuch"):
        _ = gbpm_dagster.nosuch
