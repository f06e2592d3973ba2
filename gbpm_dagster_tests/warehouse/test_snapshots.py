"""Reference lists in SQL: the newest list, and the history as intervals of days, in both dialects."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.demo.replay_recordings import RECORDINGS
from gbpm_dagster.elexon.decode import decode
from gbpm_dagster.warehouse import snapshots
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival, QueryError, stored_schema
from gbpm_dagster.warehouse.views import View
from gbpm_dagster_tests.warehouse.rows import BMUNITS, BOALF, answer, frame

MONDAY = date(2026, 3, 30)
DAYS = [MONDAY + timedelta(days=n) for n in (0, 1, 2, 5)]
"""Days with a list: none was asked on two days, one of them in the next month."""


def register() -> pl.DataFrame:
    body = gzip.decompress((RECORDINGS / "ref_bmunits.native.ndjson.gz").read_bytes())
    return decode(BMUNITS, b"[" + b",".join(body.splitlines()) + b"]").rows


def changed(rows: pl.DataFrame, unit: str, **values: Any) -> pl.DataFrame:
    return rows.with_columns(
        pl.when(pl.col("elexonBmUnit") == unit).then(pl.lit(v)).otherwise(pl.col(c)).alias(c)
        for c, v in values.items()
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The recorded register on four days: FBPGM002 grows on the third, Drax 1 is not in the second's list."""
    lake, rows = Lake(tmp_path_factory.mktemp("lake")), register()
    grown = changed(rows, "2__FBPGM002", generationCapacity="60.000", leadPartyName="Another Party")
    lists = [rows, rows.filter(pl.col("elexonBmUnit").ne_missing("T_DRAXX-1")), grown, grown]
    for day, kept in zip(DAYS, lists, strict=True):
        lake.replace(BMUNITS, [Arrival(day, kept, datetime(day.year, day.month, day.day, 2, tzinfo=UTC))])
    return lake


@pytest.mark.parametrize("dialect", ["duckdb", "bigquery"])
def test_the_plain_table_is_the_newest_list(lake: Lake, dialect: str) -> None:
    found = lake.sql("SELECT COUNT(*) AS n, MIN(_day) AS a, MAX(_day) AS b FROM ref_bmunits", dialect=dialect)
    assert found.rows() == [(2732, DAYS[3], DAYS[3])]  # 2,733 recorded; one key (WLNYO-4) is listed twice
    text = "SELECT generationCapacity FROM ref_bmunits WHERE elexonBmUnit = '2__FBPGM002'"
    assert lake.sql(text, dialect=dialect).rows() == [("60.000",)]


def test_every_list_is_kept(lake: Lake) -> None:
    by_day = lake.read(BMUNITS).group_by("_day").len().sort("_day")
    assert by_day.rows() == list(zip(DAYS, (2732, 2731, 2732, 2732), strict=True))


@pytest.mark.parametrize("dialect", ["duckdb", "bigquery"])
def test_the_history_has_an_interval_for_each_run_of_equal_rows(lake: Lake, dialect: str) -> None:
    text = """SELECT generationCapacity, _valid_from, _valid_to, _last_seen FROM ref_bmunits_history
              WHERE elexonBmUnit = '{}' ORDER BY _valid_from"""
    assert lake.sql(text.format("2__FBPGM002"), dialect=dialect).rows() == [
        ("50.300", DAYS[0], DAYS[1], DAYS[1]),
        ("60.000", DAYS[2], None, DAYS[3]),
    ]
    assert lake.sql(text.format("T_DRAXX-1"), dialect=dialect).rows() == [
        ("665.248", DAYS[0], DAYS[0], DAYS[0]),
        ("665.248", DAYS[2], None, DAYS[3]),
    ]
    found = lake.sql("SELECT COUNT(*) AS n, COUNT(_valid_to) AS ended FROM ref_bmunits_history", dialect=dialect)
    assert found.rows() == [(2734, 2)]


@pytest.mark.parametrize("dialect", ["duckdb", "bigquery"])
def test_rows_are_joined_with_the_register_as_of_their_day(lake: Lake, dialect: str) -> None:
    """A day without a list (April 2) has the register of the list before; a day before the first list has none."""
    for n in range(-1, 6):
        day = MONDAY + timedelta(days=n)
        row = {"settlementDate": day, "nationalGridBmUnit": "FBPG02", "bmUnit": "2__FBPGM002", "acceptanceNumber": n}
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        rows = frame(BOALF, [{**row, "acceptanceTime": at, "timeFrom": at, "amendmentFlag": "ORI"}])
        lake.replace(BOALF, [answer(rows, day)])
    found = lake.sql(documented_join(), dialect=dialect).sort("timeFrom")
    assert found["generationCapacity"].to_list() == [None, "50.300", "50.300", "60.000", "60.000", "60.000", "60.000"]


def documented_join() -> str:
    """The statement of docs/concepts.md."""
    page = (Path(__file__).parents[2] / "docs" / "concepts.md").read_text(encoding="utf-8")
    return page.split("## Snapshots")[1].split("```sql")[1].split("```")[0]


def test_without_a_list_both_are_empty_and_a_wrong_name_is_helped(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.sql("SELECT * FROM ref_bmunits").is_empty()
    history = lake.sql("SELECT * FROM ref_bmunits_history")
    assert history.columns == [*BMUNITS.names, "_valid_from", "_valid_to", "_last_seen"]
    assert history.schema["_valid_from"] == pl.Date
    with pytest.raises(QueryError, match="did you mean ref_bmunits_history"):
        lake.sql("SELECT * FROM ref_bmunit_history")
    with pytest.raises(QueryError, match="did you mean ref_bmunits or"):
        lake.sql("SELECT * FROM ref_bmunitz")


# The views themselves, against lists of any kind, as written and after duckdb -> bigquery -> duckdb.

Lists = dict[date, dict[str, str | None]]
LISTS = st.dictionaries(
    st.integers(0, 12).map(lambda n: MONDAY + timedelta(days=n)),
    st.dictionaries(st.sampled_from(["a", "b", None]), st.sampled_from([None, "x", "y"]), max_size=3),
    max_size=8,
)
MAY_BE_EMPTY = replace(BMUNITS, completeness=replace(BMUNITS.completeness, floor=0))


def ask(view: View, dataset: Dataset, lists: Lists) -> list[dict[str, Any]]:
    """Rows of a view of these lists: key, value and the columns that are ours."""
    rows = [
        {"_day": day, "elexonBmUnit": key, "leadPartyName": value, **dict.fromkeys(("_fetched_at", "_source"))}
        for day, kept in lists.items()
        for key, value in kept.items()
    ]
    schema = {n: t for n, t in stored_schema(dataset).items() if n != "_month"}
    stored = pl.DataFrame([{n: r.get(n) for n in schema} for r in rows], schema=schema)
    listed = [{"table": "ref_bmunits", "day": day} for day in lists] + [{"table": "other", "day": date(2030, 1, 1)}]
    found = []
    for dialect in ("duckdb", "bigquery"):
        text = view.body
        if dialect == "bigquery":
            there = sqlglot.transpile(text, "duckdb", "bigquery", unsupported_level=sqlglot.ErrorLevel.RAISE)[0]
            assert '"' not in there
            text = sqlglot.transpile(there, "bigquery", "duckdb")[0]
        with duckdb.connect() as con:
            con.register("ref_bmunits__rows", stored.to_arrow())
            con.register("gbpm_evidence__rows", pl.DataFrame(listed).to_arrow())
            frame = pl.DataFrame(pl.from_arrow(con.sql(text).to_arrow_table()))
        named = frame.rename({"elexonBmUnit": "key", "leadPartyName": "value"})
        ours = [c for c in ("_day", "_valid_from", "_valid_to", "_last_seen") if c in named.columns]
        found.append(sorted(named.select("key", "value", *ours).to_dicts(), key=str))
    assert found[0] == found[1]
    return found[0]


def intervals(lists: Lists) -> list[dict[str, Any]]:
    return ask(snapshots.intervals(BMUNITS), BMUNITS, lists)


@given(LISTS)
def test_the_newest_list_is_the_last_with_rows_or_the_last_answered(lists: Lists) -> None:
    filled = [day for day, kept in sorted(lists.items()) if kept]
    last = lists[filled[-1]] if filled else {}
    found = ask(snapshots.newest(BMUNITS), BMUNITS, lists)
    assert {r["key"]: r["value"] for r in found} == last
    answered = lists[max(lists)] if lists else {}
    found = ask(snapshots.newest(MAY_BE_EMPTY), MAY_BE_EMPTY, lists)
    assert {r["key"]: r["value"] for r in found} == answered


@given(LISTS)
def test_a_list_that_may_be_empty_ends_what_it_lacks(lists: Lists) -> None:
    found = ask(snapshots.intervals(MAY_BE_EMPTY), MAY_BE_EMPTY, lists)
    for n in range(-1, 15):
        day = MONDAY + timedelta(days=n)
        before = [d for d in sorted(lists) if d <= day]
        valid = [r for r in found if r["_valid_from"] <= day and (r["_valid_to"] is None or day <= r["_valid_to"])]
        assert {r["key"]: r["value"] for r in valid} == (lists[before[-1]] if before else {})


@given(LISTS)
def test_an_as_of_question_gives_what_the_last_list_said(lists: Lists) -> None:
    found = intervals(lists)
    listed = sorted(day for day, kept in lists.items() if kept)  # an empty list leaves no row to see
    for n in range(-1, 15):
        day = MONDAY + timedelta(days=n)
        before = [d for d in listed if d <= day]
        valid = [r for r in found if r["_valid_from"] <= day and (r["_valid_to"] is None or day <= r["_valid_to"])]
        expected = lists[before[-1]] if before else {}
        assert len(valid) == len(expected)
        assert {r["key"]: r["value"] for r in valid} == expected


@given(LISTS)
def test_an_interval_is_a_maximal_run_of_lists(lists: Lists) -> None:
    listed = sorted(day for day, kept in lists.items() if kept)
    covered = []
    for row in intervals(lists):
        first, last = listed.index(row["_valid_from"]), listed.index(row["_last_seen"])
        same = [d for d in listed if row["key"] in lists[d] and lists[d][row["key"]] == row["value"]]
        assert all(d in same for d in listed[first : last + 1])
        assert first == 0 or listed[first - 1] not in same
        following = listed[last + 1] if last + 1 < len(listed) else None
        assert following not in same
        assert row["_valid_to"] == (following - timedelta(days=1) if following else None)
        covered += [(row["key"], d) for d in listed[first : last + 1]]
    assert sorted(covered, key=str) == sorted(((k, d) for d in listed for k in lists[d]), key=str)


def test_the_recorded_register_is_what_these_tests_say() -> None:
    lines = gzip.decompress((RECORDINGS / "ref_bmunits.native.ndjson.gz").read_bytes()).splitlines()
    units = {u["elexonBmUnit"]: u for u in map(json.loads, lines)}
    assert (len(lines), units["2__FBPGM002"]["generationCapacity"], units["T_DRAXX-1"]["generationCapacity"]) == (
        2733,
        "50.300",
        "665.248",
    )
