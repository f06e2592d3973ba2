"""SQL over the lake: both dialects, what is refused, types of results."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import EVIDENCE_SCHEMA, POLARS_TYPE, QueryError, frame_schema
from gbpm_dagster_tests.warehouse.rows import (
    BOALF,
    COSTS,
    DAY,
    FUELINST,
    INDO,
    MID,
    T0,
    answer,
    cost_row,
    frame,
    later,
    mid,
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    for d in (DAY, DAY + timedelta(1)):
        lake.replace(MID, [answer(mid(d), d)])
        rows = [cost_row(d, p, 60.0 + p, T0) for p in range(1, 49)]
        lake.replace(COSTS, [answer(frame(COSTS, rows), d)])
    start = datetime(2024, 1, 3, tzinfo=UTC)
    fuel = [
        {"publishTime": start, "startTime": start + timedelta(minutes=5 * i), "settlementDate": DAY,
         "settlementPeriod": i // 6 + 1, "fuelType": f, "generation": 1200 if f == "WIND" else 600}
        for i in range(288)
        for f in ("WIND", "CCGT")
    ]  # fmt: skip
    lake.replace(FUELINST, [answer(frame(FUELINST, fuel))])
    return lake


def test_a_raw_table_shows_the_catalogues_columns_then_ours(lake: Lake) -> None:
    rows = lake.sql("SELECT * FROM bmrs_mid ORDER BY startTime, dataProvider")
    assert rows.columns == [*MID.names, "_day", "_fetched_at", "_source"]
    assert rows.height == 192 and dict(rows.select(MID.names).schema) == frame_schema(MID)
    assert rows["startTime"][0] == datetime(2024, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "table", ["bmrs_bod", "ref_bmunits", "bmrs_remit", "bmrs_bod_vintages", "gbpm_quarantine", "gbpm_drift"]
)
def test_a_table_without_data_is_an_empty_one_with_its_types(lake: Lake, table: str) -> None:
    rows = lake.sql(f"SELECT * FROM {table}")
    assert rows.is_empty()
    if table in lake.datasets:
        kinds = {c.name: POLARS_TYPE[c.kind] for c in lake.datasets[table].columns}
        assert {n: t for n, t in rows.schema.items() if n in kinds} == kinds


def test_evidence_and_attempts_can_be_asked(lake: Lake) -> None:
    rows = lake.sql("SELECT * FROM gbpm_evidence WHERE \"table\" = 'bmrs_mid' ORDER BY day")
    assert rows.columns == list(EVIDENCE_SCHEMA) and rows["rows"].to_list() == [96, 96]
    slots = lake.sql(
        "SELECT s.period FROM gbpm_evidence e, UNNEST(e.slots) AS t(s) WHERE e.\"table\" = 'bmrs_mid' AND s.rows = 2"
    )
    assert slots.height == 96
    assert lake.sql("SELECT count(*) AS n FROM gbpm_attempts").item() == 5


def test_types_of_a_result_are_plain(lake: Lake) -> None:
    rows = lake.sql(
        "SELECT sum(settlementPeriod) AS whole, 1.5 AS exact, 10000000000000000000000::HUGEINT AS huge, "
        "NULL AS nothing, INTERVAL 1 DAY AS span, max(startTime) AS newest, max(settlementDate) AS day FROM bmrs_mid"
    )
    assert rows.row(0) == (
        4 * 1176,
        1.5,
        1e22,
        None,
        "1 day",
        datetime(2024, 1, 4, 23, 30, tzinfo=UTC),
        date(2024, 1, 4),
    )
    assert rows.schema["newest"] == pl.Datetime("us", "UTC") and rows.schema["whole"] == pl.Int64


def test_order_survives_a_cast_of_the_result_and_names_stay_distinct(lake: Lake) -> None:
    rows = lake.sql(
        "SELECT settlementPeriod AS p, INTERVAL 1 HOUR AS h FROM bmrs_mid ORDER BY p DESC, dataProvider LIMIT 60"
    )
    assert rows["p"].to_list() == sorted(rows["p"].to_list(), reverse=True) and rows["p"][0] == 48
    both = lake.sql("SELECT a.price, b.price FROM bmrs_mid a JOIN bmrs_mid b USING (startTime, dataProvider) LIMIT 1")
    assert both.columns == ["price", "price_1"]


def test_instants_are_utc_and_london_is_there_to_ask_for(lake: Lake) -> None:
    text = lake.sql(
        "SELECT strftime(TIMESTAMPTZ '2024-07-01 12:00:00+00' AT TIME ZONE 'Europe/London', '%H:%M') AS t"
    ).item()
    assert text == "13:00"


def test_a_cte_may_carry_the_name_of_a_table(lake: Lake) -> None:
    text = (
        "WITH bmrs_mid AS (SELECT * FROM bmrs_mid LIMIT 2), other AS (SELECT 1) SELECT count(*) FROM bmrs_mid, other"
    )
    assert lake.sql(text).item() == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT * FROM bmrs_mdi", "no table 'bmrs_mdi': did you mean bmrs_mid"),
        ("SELECT * FROM mid", "did you mean .*bmrs_mid"),
        ("SELECT * FROM zzzzzz", "gbpm tables"),
        ("SELECT nope FROM bmrs_mid", 'column "nope" not found'),
        ("SELEC 1", "could not be read as duckdb"),
        ("", "empty"),
        ("-- nothing", "empty"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("DROP TABLE bmrs_mid", "only SELECT"),
        ("INSERT INTO bmrs_mid SELECT * FROM bmrs_mid", "only SELECT"),
        ("CREATE TABLE x AS SELECT 1", "only SELECT"),
        ("COPY bmrs_mid TO '/tmp/x.csv'", "only SELECT"),
        ("ATTACH '/tmp/x.db'", "only SELECT"),
        ("INSTALL delta", "only SELECT"),
        ("SET enable_external_access=true", "only SELECT"),
        ("PRAGMA database_list", "only SELECT"),
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv.. is not allowed"),
        ("SELECT * FROM read_parquet('/tmp/*.parquet')", "is not allowed"),
        ("SELECT * FROM '/etc/passwd'", "no table"),
        ("SELECT * FROM glob('/*')", "glob.. is not allowed"),
        ("SELECT * FROM query('SELECT 1')", "is not allowed"),
        ("SELECT (SELECT content FROM read_text('/etc/passwd'))", "read_text.. is not allowed"),
        ("SELECT * FROM information_schema.tables", "no table"),
    ],
)
def test_what_is_no_plain_select_is_refused_with_a_reason(lake: Lake, text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        lake.sql(text)


def test_the_engine_itself_may_read_nothing_but_the_lake(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a query the check of the text did not understand reaches no other file."""
    from gbpm_dagster.warehouse import query

    monkeypatch.setattr(query, "tables_of", lambda tree, sources: [])
    for text in ("SELECT * FROM read_text('/etc/hostname')", "SELECT * FROM '/etc/hostname.csv'"):
        with pytest.raises(QueryError, match=r"(?i)permission|not exist"):
            lake.sql(text)


def test_unknown_dialects_are_refused(lake: Lake) -> None:
    with pytest.raises(QueryError, match="duckdb or bigquery"):
        lake.sql("SELECT 1", dialect="oracle")


# BigQuery's dialect. Statements as users of the BigQuery warehouse run them, with what they must give here.

BIGQUERY = {
    "spread of a day": (
        """SELECT settlementDate, MAX(systemSellPrice) - MIN(systemSellPrice) AS spread, MIN(systemSellPrice) AS low
           FROM `my-project.uk_energy.bmrs_costs` WHERE settlementDate >= DATE '2024-01-01'
           GROUP BY settlementDate HAVING spread >= 40 ORDER BY spread DESC, settlementDate LIMIT 50;""",
        [(DAY, 47.0, 61.0), (DAY + timedelta(1), 47.0, 61.0)],
    ),
    "copies of a period": (
        """SELECT settlementDate, settlementPeriod, COUNT(*) AS copies FROM uk_energy.bmrs_costs
           GROUP BY settlementDate, settlementPeriod HAVING copies > 1 ORDER BY settlementDate""",
        [],
    ),
    "days with too few prices": (
        """SELECT d AS day, COUNT(DISTINCT c.settlementPeriod) AS periods
           FROM UNNEST(GENERATE_DATE_ARRAY(DATE '2024-01-02', DATE '2024-01-04')) AS d
           LEFT JOIN bmrs_costs AS c ON DATE(c.settlementDate) = d GROUP BY day HAVING periods < 48 ORDER BY day""",
        [(date(2024, 1, 2), 0)],
    ),
    "imbalance against wholesale": (
        """SELECT c.settlementPeriod, c.systemSellPrice - AVG(m.price) AS spread FROM bmrs_costs AS c
           JOIN bmrs_mid AS m ON m.settlementDate = c.settlementDate AND m.settlementPeriod = c.settlementPeriod
           WHERE c.settlementDate = DATE '2024-01-03' AND c.settlementPeriod < 3
           GROUP BY c.settlementDate, c.settlementPeriod, c.systemSellPrice ORDER BY c.settlementPeriod""",
        [(1, 11.0), (2, 12.0)],
    ),
    "generation of a day": (
        """SELECT fuelType, SUM(generation) / 12 AS mwh, MAX(generation) AS peak_mw FROM bmrs_fuelinst
           WHERE DATE(startTime) = DATE '2024-01-03' GROUP BY fuelType ORDER BY mwh DESC""",
        [("WIND", 28_800.0, 1200), ("CCGT", 14_400.0, 600)],
    ),
    "renewable share by hour": (
        """SELECT TIMESTAMP_TRUNC(startTime, HOUR) AS hour,
             ROUND(100 * SAFE_DIVIDE(SUM(CASE WHEN fuelType IN ('WIND', 'NPSHYD') THEN generation ELSE 0 END),
               SUM(generation)), 1) AS pct
           FROM bmrs_fuelinst WHERE startTime >= TIMESTAMP '2024-01-03 00:00:00+00'
             AND startTime < TIMESTAMP '2024-01-03 02:00:00+00' GROUP BY hour ORDER BY hour""",
        [(datetime(2024, 1, 3, h, tzinfo=UTC), 66.7) for h in (0, 1)],
    ),
    "a qualified column": (
        """SELECT uk_energy.bmrs_mid.price FROM uk_energy.bmrs_mid
           WHERE settlementPeriod = 1 AND settlementDate = '2024-01-03'""",
        [(50.0,), (50.0,)],
    ),
    "except": (
        """SELECT * EXCEPT (dataset, startTime, _day, _fetched_at, _source) FROM bmrs_mid
           ORDER BY settlementDate, settlementPeriod, dataProvider LIMIT 1""",
        [("APXMIDP", DAY, 1, 50.0, 10.0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BIGQUERY)
def test_bigquery_statements_run_as_they_are(lake: Lake, name: str) -> None:
    text, expected = BIGQUERY[name]
    assert lake.sql(text, dialect="bigquery").rows() == expected


def test_of_a_period_published_on_two_days_the_newer_is_current(tmp_path: Path) -> None:
    """INDO is partitioned by publication, its key is the period: over partitions, too, a key has one current row."""
    lake = Lake(tmp_path)
    row = {
        "startTime": datetime(2024, 1, 2, 23, 30, tzinfo=UTC),
        "settlementDate": date(2024, 1, 2),
        "settlementPeriod": 48,
    }
    for d, demand in ((DAY, 26_000), (DAY + timedelta(1), 26_500)):
        published = datetime(d.year, d.month, d.day, 0, 15, tzinfo=UTC)
        lake.replace(INDO, [answer(frame(INDO, [{**row, "publishTime": published, "demand": demand}]), d)])
    assert lake.sql("SELECT demand FROM bmrs_indo").rows() == [(26_500,)]
    assert lake.read(INDO).height == 2, "the partitions hold what was answered for them"


def test_a_deletion_removes_its_key_from_the_current_view(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    base = {"nationalGridBmUnit": "A-1", "acceptanceTime": T0, "timeFrom": datetime(2024, 1, 3, 10, tzinfo=UTC)}
    rows = [{**base, "acceptanceNumber": n, "amendmentFlag": "ORI"} for n in (1, 2)]
    lake.replace(BOALF, [answer(frame(BOALF, rows))])
    gone = [rows[0], {**rows[1], "amendmentFlag": "DEL"}]
    lake.replace(BOALF, [answer(frame(BOALF, gone), at=later(1))])
    assert lake.sql("SELECT acceptanceNumber FROM bmrs_boalf").rows() == [(1,)]
    lake.replace(BOALF, [answer(frame(BOALF, rows), at=later(2))])
    assert lake.sql("SELECT acceptanceNumber FROM bmrs_boalf").rows() == [(1,)], "an original does not revive it"
