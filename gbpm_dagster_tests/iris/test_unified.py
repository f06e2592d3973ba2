"""History and stream in one view: which of two rows is shown, from which files, in both dialects (domain.md 3.2)."""

from __future__ import annotations

import gzip
import itertools
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.catalogue.streams import DECLARED, STREAMED, stream_of
from gbpm_dagster.ingest.stream_rows import read
from gbpm_dagster.iris.message import Message
from gbpm_dagster.warehouse import query
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import DAY, MONTH, SOURCE, Arrival, stored_schema
from gbpm_dagster.warehouse.unified import unified_view
from gbpm_dagster_tests.warehouse import rows as made
from gbpm_dagster_tests.warehouse.test_views import DIALECTS, ask

T0 = datetime(2024, 1, 3, 12, tzinfo=UTC)
LIMITS = Path(__file__).parents[1] / "data" / "iris" / "limits.json.gz"


def streamed(dataset: Dataset, rows: list[dict[str, Any]], at: datetime = T0) -> pl.DataFrame:
    """Rows as JSON fields, as the loader makes them of a message."""
    found = read(stream_of(dataset), Message("m.json", json.dumps(rows).encode(), dataset.iris_code, "", at, at))
    assert (found.problem, found.quarantined) == ("", ())
    return found.rows


def as_history(dataset: Dataset, rows: list[dict[str, Any]], at: datetime = T0) -> pl.DataFrame:
    return streamed(dataset, rows, at).with_columns(pl.lit("REST").alias(SOURCE)).select(list(stored_schema(dataset)))


def unified(
    dataset: Dataset, history: pl.DataFrame, stream: pl.DataFrame, dialect: str = "duckdb", tail: str = ""
) -> pl.DataFrame:
    relations = {dataset.table: history.drop(MONTH), stream_of(dataset).table: stream.drop(MONTH)}
    return ask(unified_view(dataset)(False), relations, dialect, tail)


def nothing(dataset: Dataset) -> pl.DataFrame:
    return as_history(dataset, [])


def cost(period: int, created: int, price: float, day: str = "2024-01-03") -> dict[str, Any]:
    """A system price, made `created` hours after noon."""
    text = (T0 + timedelta(hours=created)).strftime("%Y-%m-%dT%H:%M:%SZ")
    start = datetime.fromisoformat(f"{day}T00:00:00Z") + timedelta(minutes=30 * (period - 1))
    return {
        "settlementDate": day, "settlementPeriod": period, "startTime": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "createdDateTime": text, "systemSellPrice": price, "systemBuyPrice": price, "bsadDefaulted": False,
        "priceDerivationCode": "N", "reserveScarcityPrice": 0.0, "netImbalanceVolume": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_greatest_version_is_shown_and_on_a_tie_the_history(dialect: str) -> None:
    history = [cost(1, 1, 10.0), cost(2, 1, 10.0), cost(3, 2, 10.0), cost(1, 1, 10.0, "2024-01-02")]
    stream = [cost(1, 2, 20.0), cost(2, 1, 20.0), cost(3, 1, 20.0), cost(4, 1, 20.0), cost(1, 1, 20.0, "2024-01-04")]
    found = unified(made.COSTS, as_history(made.COSTS, history), streamed(made.COSTS, stream), dialect)
    shown = found.sort(DAY, "settlementPeriod").select(DAY, "settlementPeriod", "systemSellPrice", SOURCE).rows()
    third = date(2024, 1, 3)
    assert shown == [
        (date(2024, 1, 2), 1, 10.0, "REST"),
        (third, 1, 20.0, "IRIS"),
        (third, 2, 10.0, "REST"),
        (third, 3, 10.0, "REST"),
        (third, 4, 20.0, "IRIS"),
        (date(2024, 1, 4), 1, 20.0, "IRIS"),
    ]


@pytest.mark.parametrize("dataset", STREAMED.values(), ids=lambda d: d.table)
def test_every_view_works_with_one_side_or_none_in_both_dialects(dataset: Dataset) -> None:
    none, empty_stream = nothing(dataset), streamed(dataset, [])
    for dialect in DIALECTS:
        found = unified(dataset, none, empty_stream, dialect)
        assert found.height == 0
        assert set(found.columns) == set(none.drop(MONTH).columns)


def test_a_key_published_on_two_days_is_shown_once() -> None:
    indo = DATASETS["bmrs_indo"]

    def row(publish: str, demand: int) -> dict[str, Any]:
        return {
            "dataset": "INDO", "publishTime": publish, "startTime": "2024-01-03T23:00:00Z",
            "settlementDate": "2024-01-03", "settlementPeriod": 47, "demand": demand,
        }  # fmt: skip

    history = as_history(indo, [row("2024-01-03T23:45:00Z", 1)])
    stream = streamed(indo, [row("2024-01-04T00:15:00Z", 2)])
    found = unified(indo, history, stream)
    assert found.select("demand", SOURCE).rows() == [(2, "IRIS")]


def test_a_deleted_acceptance_is_not_shown() -> None:
    def row(flag: str) -> dict[str, Any]:
        return {
            "dataset": "BOALF", "settlementDate": "2024-01-03", "settlementPeriodFrom": 9, "settlementPeriodTo": 10,
            "timeFrom": "2024-01-03T04:00:00Z", "timeTo": "2024-01-03T04:30:00Z", "levelFrom": 1, "levelTo": 2,
            "acceptanceNumber": 7, "acceptanceTime": "2024-01-03T03:31:00Z", "deemedBoFlag": False, "soFlag": True,
            "amendmentFlag": flag, "storFlag": False, "rrFlag": False, "nationalGridBmUnit": "U", "bmUnit": "T_U",
        }  # fmt: skip

    history = as_history(made.BOALF, [row("ORI")])
    assert unified(made.BOALF, history, streamed(made.BOALF, [row("DEL")])).height == 0
    assert unified(made.BOALF, history, streamed(made.BOALF, [])).height == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_cashflows_without_a_side_stand_where_the_history_has_none_or_an_older_one(dialect: str) -> None:
    ebocf = DATASETS["bmrs_ebocf"]

    def row(period: int, created: str, total: float, side: str | None) -> dict[str, Any]:
        return {
            "settlementDate": "2024-01-03", "settlementPeriod": period, "startTime": "2024-01-03T00:00:00Z",
            "createdDateTime": created, "bmUnit": "T_U", "nationalGridBmUnit": "U", "totalCashflow": total,
            **({"bidOffer": side} if side else {}),
        }  # fmt: skip

    one, two = "2024-01-03T01:00:00Z", "2024-01-04T01:00:00Z"
    history = as_history(ebocf, [row(1, one, 1.0, "bid"), row(2, two, 2.0, "bid")])
    stream = streamed(
        ebocf,
        [row(1, two, 3.0, None), row(1, two, -3.0, None), row(2, one, 4.0, None), row(3, one, 5.0, None),
         row(3, two, 6.0, None)],
    )  # fmt: skip
    found = unified(ebocf, history, stream, dialect).sort("settlementPeriod", "totalCashflow")
    assert found.select("settlementPeriod", "totalCashflow", "bidOffer", SOURCE).rows() == [
        (1, -3.0, None, "IRIS"), (1, 3.0, None, "IRIS"), (2, 2.0, "bid", "REST"), (3, 6.0, None, "IRIS"),
    ]  # fmt: skip


# MELS and MILS: declarations become the position the API answers.

SHOWN = [
    "settlementDate", "settlementPeriod", "nationalGridBmUnit", "timeFrom", "timeTo", "levelFrom", "levelTo",
    "notificationTime", "notificationSequence",
]  # fmt: skip


@pytest.fixture(scope="module")
def limits() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(LIMITS.read_bytes()))
    return found


@pytest.mark.parametrize(("code", "dialect"), itertools.product(DECLARED, DIALECTS))
def test_declarations_resolve_to_what_the_api_answers(limits: dict[str, Any], code: str, dialect: str) -> None:
    dataset = STREAMED[code]
    stream = streamed(dataset, limits[code]["declarations"])
    truth = as_history(dataset, limits[code]["resolved"]).select(SHOWN).sort(SHOWN)
    assert truth.height > 560 and stream.height > truth.height
    found = unified(dataset, nothing(dataset), stream, dialect)
    assert found.select(SHOWN).sort(SHOWN).equals(truth)
    half = as_history(dataset, [r for r in limits[code]["resolved"] if r["settlementPeriod"] <= 20])
    both = unified(dataset, half, stream, dialect)
    assert both.select(SHOWN).sort(SHOWN).equals(truth)
    assert both.filter(pl.col(SOURCE) == "REST")["settlementPeriod"].max() == 20
    assert both.filter(pl.col(SOURCE) == "IRIS")["settlementPeriod"].min() == 21


def declared(sequence: int, begin: str, end: str, levels: tuple[int, int], notified: str = "08:00") -> dict[str, Any]:
    return {
        "dataset": "MELS", "settlementDate": "2024-01-03",
        "settlementPeriod": 2 * int(begin[:2]) + 1 + (begin[3:] >= "30"),
        "timeFrom": f"2024-01-03T{begin}:00Z", "timeTo": f"2024-01-03T{end}:00Z", "levelFrom": levels[0],
        "levelTo": levels[1], "notificationTime": f"2024-01-03T{notified}:00Z", "notificationSequence": sequence,
        "nationalGridBmUnit": "U", "bmUnit": "T_U",
    }  # fmt: skip


PERIOD = declared(5, "09:00", "09:30", (100, 100))


@pytest.mark.parametrize(
    ("others", "shown"),
    [
        ([], [("09:00", "09:30", 100, 100)]),
        # rule 1: higher sequence; same sequence, later notification; arrival means nothing
        ([declared(4, "09:00", "09:30", (1, 1), "08:30")], [("09:00", "09:30", 100, 100)]),
        ([declared(5, "09:00", "09:30", (7, 7), "08:30")], [("09:00", "09:30", 7, 7)]),
        # rules 2, 3, 5: the old record is cut in two, its levels are copied
        (
            [declared(6, "09:10", "09:20", (40, 60))],
            [("09:00", "09:10", 100, 100), ("09:10", "09:20", 40, 60), ("09:20", "09:30", 100, 100)],
        ),
        ([declared(6, "09:12", "09:30", (0, 0))], [("09:00", "09:12", 100, 100), ("09:12", "09:30", 0, 0)]),
        # rule 4: pieces of one sequence and equal levels are joined, of another sequence are not
        ([declared(5, "09:00", "09:15", (100, 100))], [("09:00", "09:30", 100, 100)]),
        ([declared(6, "09:15", "09:30", (100, 100))], [("09:00", "09:15", 100, 100), ("09:15", "09:30", 100, 100)]),
    ],
)
def test_the_rules_of_overlaying(others: list[dict[str, Any]], shown: list[tuple[str, str, int, int]]) -> None:
    mels = STREAMED["MELS"]
    for rows in itertools.permutations([PERIOD, *others]):
        found = unified(mels, nothing(mels), streamed(mels, list(rows))).sort("timeFrom")
        times = [found[c].dt.strftime("%H:%M").to_list() for c in ("timeFrom", "timeTo")]
        assert list(zip(*times, found["levelFrom"], found["levelTo"], strict=True)) == shown


def test_a_declaration_over_several_periods_is_cut_at_their_ends() -> None:
    mels = STREAMED["MELS"]
    rows = [PERIOD, declared(5, "09:30", "10:00", (100, 100)), declared(9, "09:15", "09:45", (3, 3))]
    found = unified(mels, nothing(mels), streamed(mels, rows)).sort("timeFrom")
    assert found.select("settlementPeriod", "levelFrom", "notificationSequence").rows() == [
        (19, 100, 5), (19, 3, 9), (20, 3, 9), (20, 100, 5),
    ]  # fmt: skip


# In the lake.


def put(lake: Lake, days: list[date]) -> None:
    for day in days:
        lake.replace(made.MID, [Arrival(day, made.mid(day), T0, windows_asked=1, windows_answered=1)])
        lake.add_stream(stream_of(made.MID), _stream_day(day))


def _stream_day(day: date) -> pl.DataFrame:
    rows = [{**made.mid_row(day, p, "APXMIDP", 70.0), "settlementDate": str(day)} for p in range(1, 49)]
    return streamed(made.MID, [{**r, "startTime": r["startTime"].strftime("%Y-%m-%dT%H:%M:%SZ")} for r in rows])


def test_sql_names_the_streams_tables_also_by_aliases(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.sql("SELECT * FROM bmrs_mid_unified").height == 0
    put(lake, [date(2024, 1, 3)])
    lake.add_stream(stream_of(made.MID), _stream_day(date(2024, 1, 4)))
    counted = "SELECT _source, count(*) AS n FROM {} GROUP BY _source ORDER BY 1"
    assert lake.sql(counted.format("bmrs_mid_iris")).rows() == [("IRIS", 96)]
    assert lake.sql(counted.format("`p.uk_energy.bmrs_mid_unified`"), dialect="bigquery").rows() == [
        ("IRIS", 48), ("REST", 96),
    ]  # fmt: skip
    assert lake.sql("SELECT max(_source_file) AS f FROM bmrs_mid_iris")["f"].to_list() == ["m.json"]
    for dataset in STREAMED.values():
        for alias in dataset.aliases:
            lake.sql(f"SELECT * FROM {alias}_iris UNION ALL SELECT * FROM {alias}_iris")
    assert {"bmrs_mid_iris", "gbpm_evidence"} <= set(lake.disk_usage())
    assert lake.compact(["bmrs_mid_iris"]) == {"bmrs_mid_iris": 0}
    lake.vacuum()


def test_a_day_is_read_from_that_days_files(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    days = [date(2024, m, d) for m in (1, 2) for d in (3, 4, 5)]
    put(lake, days)
    wanted = days[4]
    asked = lake.reader("bmrs_mid_unified", wanted, wanted)
    opened = [files for _, _, files in asked._spans(asked.source, ("bmrs_mid", "bmrs_mid_iris"), False)]
    assert [sorted(f) for f in opened] == [["bmrs_mid", "bmrs_mid_iris"]]
    assert [len(files) for files in opened[0].values()] == [1, 1]
    (piece,) = asked.pieces()
    assert piece.rows.num_rows == 96
    with query.connect(lake.root) as con:
        query.make_view(con, "bmrs_mid_unified", lake._sources(), False)
        text = f"SELECT sum(price) FROM bmrs_mid_unified WHERE _day = DATE '{wanted}'"
        plan = json.loads(con.execute(f"EXPLAIN (ANALYZE, FORMAT json) {text}").fetchall()[0][1])
    scanned = [n["operator_rows_scanned"] for n in _nodes(plan) if n.get("operator_rows_scanned")]
    # of the history's 576 and the stream's 288 rows: the day's, and once the stream's days
    assert sum(scanned) <= 96 + 48 + 2 * 288, scanned


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(n for child in plan.get("children", []) for n in _nodes(child))]
