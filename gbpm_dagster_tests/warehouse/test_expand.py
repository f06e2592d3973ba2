"""Views of the catalogue in queries: what they show, in both dialects, wherever a table may stand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlglot
from polars.testing import assert_frame_equal

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.catalogue.views import VIEWS, View
from gbpm_dagster.warehouse.expand import expand
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import DAY as DAY_COLUMN
from gbpm_dagster.warehouse.protocol import QueryError
from gbpm_dagster_tests.warehouse.rows import DAY, FUELINST, answer, frame

REMIT, DATL, LATEST = (DATASETS[t] for t in ("bmrs_remit", "bmrs_datl", "bmrs_demand_forecast_latest"))
Row = dict[str, Any]
ABOUT_FACILITIES = "UnavailabilitiesOfElectricityFacilities"
START = datetime(2024, 1, 3, tzinfo=UTC)


def message(mrid: str, revision: int, hour: int, kind: str = ABOUT_FACILITIES, status: str = "Active") -> Row:
    return {
        "mrid": mrid, "revisionNumber": revision, "publishTime": START + timedelta(hours=hour),
        "createdTime": START, "messageType": kind, "eventStatus": status, "unavailableCapacity": 100.0 * revision,
        "eventStartTime": START, "eventEndTime": START + timedelta(hours=1),
    }  # fmt: skip


def load(period: int, quantity: float, published: datetime) -> Row:
    return {
        "settlementDate": DAY, "settlementPeriod": period, "startTime": START + timedelta(minutes=30 * (period - 1)),
        "documentRevisionNumber": 1, "publishTime": published, "quantity": quantity,
    }  # fmt: skip


def demand(period: int, mw: int, published: datetime, boundary: str = "N") -> Row:
    return {
        "settlementDate": DAY, "settlementPeriod": period, "startTime": START + timedelta(minutes=30 * (period - 1)),
        "publishTime": published, "nationalDemand": mw, "transmissionSystemDemand": mw + 500, "boundary": boundary,
    }  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    fuel = [
        {"publishTime": START, "startTime": START, "settlementDate": DAY, "settlementPeriod": 1, "fuelType": f,
         "generation": mw}
        for f, mw in (("WIND", 900), ("CCGT", 600))
    ]  # fmt: skip
    lake.replace(FUELINST, [answer(frame(FUELINST, fuel))])
    messages = [
        message("A", 1, 1),
        message("A", 3, 2, status="Dismissed"),
        message("A", 2, 3),  # an older revision published late is no newer one
        message("B", 1, 1),
        message("C", 1, 1),
        message("C", 2, 2, kind="OtherMarketInformation"),  # no longer an unavailability: the older one never revives
        message("D", 1, 1, kind="OtherMarketInformation"),
    ]
    lake.replace(REMIT, [answer(frame(REMIT, messages))])
    early, late = START - timedelta(hours=12), START - timedelta(hours=1)
    lake.replace(DATL, [answer(frame(DATL, [load(1, 20_000, early)]), DAY - timedelta(1))])
    # In one publication day two publications of period 1; period 3 only DATL has.
    rows = [load(1, 21_000, START), load(1, 20_500, START + timedelta(hours=1)), load(3, 23_000, START)]
    lake.replace(DATL, [answer(frame(DATL, rows))])
    rows = [demand(1, 19_000, late), demand(2, 19_500, late), demand(1, 1, late, boundary="B1")]
    lake.replace(LATEST, [answer(frame(LATEST, rows))])
    return lake


@pytest.mark.parametrize("dialect", ["duckdb", "bigquery"])
class TestViews:
    def test_the_deduplicated_rows_are_the_tables(self, lake: Lake, dialect: str) -> None:
        found = lake.sql("SELECT * FROM bmrs_fuelinst_dedup ORDER BY fuelType", dialect=dialect)
        assert_frame_equal(found, lake.sql("SELECT * FROM bmrs_fuelinst ORDER BY fuelType"))
        assert found["generation"].to_list() == [600, 900]

    def test_an_outage_is_its_newest_revision(self, lake: Lake, dialect: str) -> None:
        found = lake.sql(
            "SELECT mrid, revisionNumber, eventStatus, eventStart, eventEnd FROM bmrs_remit_unavailability",
            dialect=dialect,
        ).sort("mrid")
        end = START + timedelta(hours=1)
        assert found.rows() == [("A", 3, "Dismissed", START, end), ("B", 1, "Active", START, end)]

    def test_a_demand_forecast_has_the_columns_of_both_readings(self, lake: Lake, dialect: str) -> None:
        found = lake.sql("SELECT * FROM bmrs_demand_forecast ORDER BY settlementPeriod", dialect=dialect)
        columns = ["settlementPeriod", "quantity", "nationalDemand", "transmissionSystemDemand", "publishTime"]
        assert found.select(columns).rows() == [
            (1, 20_500.0, 19_000, 19_500, START + timedelta(hours=1)),
            (2, None, 19_500, 20_000, START - timedelta(hours=1)),
            (3, 23_000.0, None, None, START),
        ]
        assert found["startTime"].to_list() == [START + timedelta(minutes=30 * n) for n in range(3)]
        assert found["settlementDate"].unique().to_list() == [date(2024, 1, 3)]

    def test_a_view_stands_wherever_a_table_may(self, lake: Lake, dialect: str) -> None:
        quote = "`p.uk_energy.bmrs_fuelinst_dedup`" if dialect == "bigquery" else "uk_energy.bmrs_fuelinst_dedup"
        for text, expected in {
            f"SELECT d.generation FROM {quote} AS d WHERE d.fuelType = 'WIND'": [(900,)],
            "SELECT bmrs_fuelinst_dedup.generation FROM BMRS_FUELINST_DEDUP WHERE fuelType = 'CCGT'": [(600,)],
            "SELECT count(*) FROM bmrs_fuelinst_dedup JOIN bmrs_fuelinst_dedup b USING (fuelType)": [(2,)],
            "SELECT (SELECT max(generation) FROM bmrs_fuelinst_dedup) AS most": [(900,)],
            "SELECT count(*) FROM bmrs_fuelinst WHERE fuelType IN (SELECT fuelType FROM bmrs_fuelinst_dedup)": [(2,)],
            "SELECT generation FROM bmrs_fuelinst UNION ALL SELECT generation FROM bmrs_fuelinst_dedup ORDER BY 1": [
                (600,), (600,), (900,), (900,),
            ],
            "WITH x AS (SELECT * FROM bmrs_fuelinst_dedup) SELECT sum(generation) FROM x": [(1500,)],
            # a CTE may carry a view's name: inside it the view is meant, outside the CTE
            "WITH bmrs_fuelinst_dedup AS (SELECT fuelType FROM bmrs_fuelinst_dedup WHERE generation > 700) "
            "SELECT * FROM bmrs_fuelinst_dedup": [("WIND",)],
        }.items():  # fmt: skip
            assert lake.sql(text, dialect=dialect).rows() == expected, text

    def test_a_cte_with_the_name_of_a_table_behind_a_view_is_refused(self, lake: Lake, dialect: str) -> None:
        text = "WITH bmrs_remit AS (SELECT 1 AS mrid) SELECT * FROM bmrs_remit_unavailability, bmrs_remit"
        with pytest.raises(QueryError, match="reads the table bmrs_remit, and the query has a CTE of that name"):
            lake.sql(text, dialect=dialect)


def test_a_view_shows_our_columns_too(lake: Lake) -> None:
    assert DAY_COLUMN in lake.sql("SELECT * FROM bmrs_remit_unavailability").columns


def test_views_may_stand_on_views() -> None:
    views = {
        v.name: v for v in (View("lower", "", "SELECT 1 AS a"), View("upper", "", "SELECT a + 1 AS a FROM lower"))
    }
    tree = sqlglot.parse_one("SELECT u.a FROM upper AS u", read="duckdb")
    text = expand(tree, views).sql("duckdb")  # type: ignore[arg-type]
    assert text == "SELECT u.a FROM (SELECT a + 1 AS a FROM (SELECT 1 AS a) AS lower) AS u"


def test_a_query_without_views_is_left_as_it_is() -> None:
    text = "SELECT a, b FROM bmrs_mid AS m TABLESAMPLE (10 ROWS) JOIN bmrs_costs USING (startTime)"
    tree = sqlglot.parse_one(text, read="duckdb")
    assert expand(tree.copy()) == tree  # type: ignore[arg-type]


def test_every_view_reads_tables_there_are_and_says_what_it_is(tmp_path: Path) -> None:
    empty = Lake(tmp_path)
    for view in VIEWS.values():
        assert view.name not in DATASETS
        assert view.description.endswith(".")
        found = empty.sql(f"SELECT * FROM {view.name}")
        assert found.is_empty() and all(kind != pl.Null for kind in found.dtypes)
        assert len(set(found.columns)) == found.width
