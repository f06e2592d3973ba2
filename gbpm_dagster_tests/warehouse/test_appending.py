"""Files that polars wrote stand in a Delta table like Delta's own: read, pruned, joined, replaced."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from gbpm_dagster.warehouse import appending
from gbpm_dagster.warehouse.delta import Conflict, Table

SCHEMA = {
    "_day": pl.Date,
    "at": pl.Datetime("us", "UTC"),
    "unit": pl.String,
    "level": pl.Int64,
    "price": pl.Float64,
    "flag": pl.Boolean,
    "_month": pl.String,
}


def rows(day: date, many: int, first: int = 0) -> pl.DataFrame:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    n = range(first, first + many)
    return pl.DataFrame(
        {
            "_day": [day] * many,
            "at": [begin + timedelta(microseconds=i) for i in n],
            "unit": [None if i % 7 == 0 else f"T_{i % 300}" for i in n],
            "level": list(n),
            "price": [i / 4 for i in n],
            "flag": [i % 2 == 0 for i in n],
            "_month": [f"{day:%Y-%m}"] * many,
        },
        schema=SCHEMA,
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "LEAST_ROWS", 10)


def opened(path: Path, partition: tuple[str, ...] = ("_month",)) -> Table:
    return Table(path, SCHEMA, partition)


def test_a_large_append_is_one_commit_with_a_file_a_month(tmp_path: Path, small: None) -> None:
    both = pl.concat([rows(date(2024, 1, 31), 20), rows(date(2024, 2, 1), 30)])
    table = opened(tmp_path / "t")
    table.append(rows(date(2024, 1, 3), 1))  # makes the table, by Delta's writer
    before = table.version
    table.append(both)
    again = opened(tmp_path / "t")
    assert again.version == before + 1  # type: ignore[operator]
    added = again.actions().filter(pl.col("num_records") > 1).sort("num_records")
    assert added.select("num_records", "partition._month", "min._day", "max._day", "null_count._day").rows() == [
        (20, "2024-01", date(2024, 1, 31), date(2024, 1, 31), 0),
        (30, "2024-02", date(2024, 2, 1), date(2024, 2, 1), 0),
    ]
    stored = again.read().filter(pl.col("_day") > date(2024, 1, 3)).sort("_day", "at")
    assert stored.equals(both)


def test_duckdb_and_delta_read_the_same(tmp_path: Path, small: None) -> None:
    wanted = rows(date(2024, 1, 3), 500)
    table = opened(tmp_path / "t")
    table.append(wanted)
    found = duckdb.sql(f"SELECT count(*), sum(level), count(unit), max(epoch_us(\"at\")) FROM '{table.files()[0]}'")
    highest = wanted["at"].max()
    assert isinstance(highest, datetime)
    assert found.fetchall() == [(500, 500 * 499 // 2, 500 - 72, int(highest.timestamp() * 1e6 + 0.5))]
    arrow = pl.DataFrame(pl.from_arrow(DeltaTable(str(tmp_path / "t")).to_pyarrow_table()))
    assert arrow.select(list(SCHEMA)).sort("at").equals(wanted)


def test_its_files_can_be_replaced_and_joined(tmp_path: Path, small: None) -> None:
    table = opened(tmp_path / "t")
    table.append(rows(date(2024, 1, 3), 40))
    table.append(rows(date(2024, 1, 4), 40))
    table.overwrite(rows(date(2024, 1, 3), 5), "_month = '2024-01' AND _day = '2024-01-03'")
    assert table.compact(1 << 30) == 2
    stored = table.read().sort("_day", "at")
    assert stored.equals(pl.concat([rows(date(2024, 1, 3), 5), rows(date(2024, 1, 4), 40)]))


def test_two_writers_who_opened_the_same_version_both_append(tmp_path: Path, small: None) -> None:
    opened(tmp_path / "t").append(rows(date(2024, 1, 1), 10))
    one, other = opened(tmp_path / "t"), opened(tmp_path / "t")
    assert one.version == other.version == 1 or one.version == other.version
    one.append(rows(date(2024, 1, 2), 10))
    try:
        other.append(rows(date(2024, 1, 3), 10))
    except Conflict:  # its caller asks again with what is there now
        opened(tmp_path / "t").append(rows(date(2024, 1, 3), 10))
    assert opened(tmp_path / "t").read().height == 30


@pytest.mark.parametrize("kind", ["small", "nested", "new column"])
def test_what_is_left_to_deltas_writer_arrives_as_well(tmp_path: Path, small: None, kind: str) -> None:
    frame, schema = rows(date(2024, 1, 3), 20), dict(SCHEMA)
    if kind == "small":
        frame = frame.head(3)
    if kind == "nested":
        frame = frame.with_columns(more=pl.struct(a="level"))
        schema = {
            **{k: v for k, v in SCHEMA.items() if k != "_month"},
            "more": frame.schema["more"],
            "_month": pl.String,
        }
    if kind == "new column":
        Table(tmp_path / "t", {k: v for k, v in SCHEMA.items() if k != "flag"}, ("_month",)).append(
            frame.drop("flag").head(0)
        )
        opened(tmp_path / "t").append(frame)
    table = Table(tmp_path / "t", schema, ("_month",))
    if kind != "new column":
        table.append(frame)
    assert table.read().sort("at").equals(frame.select(list(schema)))


def test_a_killed_append_leaves_a_file_that_is_not_in_the_table(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = opened(tmp_path / "t")
    table.append(rows(date(2024, 1, 1), 10))

    def killed(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DeltaTable, "create_write_transaction", killed)
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path / "t").append(rows(date(2024, 1, 2), 10))
    assert opened(tmp_path / "t").read().height == 10
    log = sorted((tmp_path / "t" / "_delta_log").glob("*.json"))
    assert all("2024-01-02" not in json.dumps(line) for path in log for line in path.read_text().splitlines())
