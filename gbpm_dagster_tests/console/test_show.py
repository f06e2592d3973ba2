"""How values are written: JSON that any parser takes, CSV, tables that show text as it is."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.console import show
from gbpm_dagster.warehouse.rendering import csv_text

SUMMER = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (datetime(2024, 6, 1, 1, 30, tzinfo=SUMMER), "2024-06-01T00:30:00Z"),
        (datetime(2024, 6, 1, 0, 30, 0, 250_000, UTC), "2024-06-01T00:30:00.250000Z"),
        (datetime(2024, 6, 1, 0, 30), "2024-06-01T00:30:00"),  # noqa: DTZ001 - a clock time is no instant
        (date(2024, 6, 1), "2024-06-01"),
        (time(1, 30), "01:30:00"),
        (Decimal("1.50"), "1.50"),
        (float("nan"), None),
        (float("-inf"), None),
        (True, True),
        ({"a": [date(2024, 1, 1), None]}, {"a": ["2024-01-01", None]}),
    ],
)
def test_plain(value: Any, said: Any) -> None:
    assert show.plain(value) == said


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | st.integers(-(2**63), 2**63 - 1),
            "f": st.none() | st.floats(),
            "s": st.none() | st.text(st.characters(codec="utf-8"), max_size=8),
            "d": st.none() | st.dates(),
            "t": st.none() | st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
            "l": st.none() | st.lists(st.integers(0, 9), max_size=3),
        }
    ),
    max_size=5,
)
SCHEMA = {
    "i": pl.Int64,
    "f": pl.Float64,
    "s": pl.String,
    "d": pl.Date,
    "t": pl.Datetime("us", "UTC"),
    "l": pl.List(pl.Int64),
}


@given(ROWS)
def test_any_frame_is_json_and_csv_and_says_the_same(records: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame(records, schema=SCHEMA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", text := io.StringIO())
        show.frame(frame, "json")
    found = json.loads(text.getvalue(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert len(found) == len(records)
    for got, row in zip(found, records, strict=True):
        assert list(got) == list(SCHEMA)
        assert got["i"] == row["i"]
        assert got["s"] == row["s"]
        assert got["d"] == (row["d"] and row["d"].isoformat())
        assert (got["t"] and datetime.fromisoformat(got["t"])) == row["t"]
        assert got["t"] is None or got["t"].endswith("Z")
        assert got["l"] == row["l"]
        finite = row["f"] is not None and abs(row["f"]) < float("inf")
        assert got["f"] == (row["f"] if finite else None)
    lines = list(csv.DictReader(io.StringIO(csv_text(frame))))
    assert len(lines) == len(records)
    for line, row in zip(lines, records, strict=True):
        assert line["i"] == ("" if row["i"] is None else str(row["i"]))
        assert (datetime.fromisoformat(line["t"]) if line["t"] else None) == row["t"]
        assert line["d"] == ("" if row["d"] is None else row["d"].isoformat())
        assert (json.loads(line["l"]) if line["l"] else None) == row["l"]


def test_tables_show_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Text of the source is no markup: a REMIT message may say "[red]"."""
    show.frame(pl.DataFrame({"[bold]x": ["[red]stop[/red]", None, "[/]"], "n": [1.0, 2.0, float("nan")]}), "table")
    found = capsys.readouterr().out
    for words in ("[bold]x", "[red]stop[/red]", "[/]", "nan", "3 rows"):
        assert words in found
    show.rows("t", ("a", "b"), [("[green]x", 12345)])
    found = capsys.readouterr().out
    assert "[green]x" in found
    assert "12,345" in found


def test_a_table_for_a_file_is_not_folded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show.frame(pl.DataFrame({f"column_{i}": ["a long enough value"] for i in range(12)}), "table")
    line = next(x for x in capsys.readouterr().out.splitlines() if "long" in x)
    assert line.count("a long enough value") == 12
