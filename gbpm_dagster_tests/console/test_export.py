"""`gbpm export` on recorded days fetched over HTTP: the files hold exactly these rows, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.warehouse import export, reading
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import Done, Gbpm

MID = ["dataset", "startTime", "dataProvider", "settlementDate", "settlementPeriod", "price", "volume"]
WEEK = ("--from", "2024-01-01", "--to", "2024-01-07")
PROGRAM = (sys.executable, "-m", "gbpm_dagster.cli")
GOOD = ("--from", "2024-01-01", "--to", "2024-01-04")


@pytest.fixture(scope="module")
def gbpm(make_gbpm: MakeGbpm, replay: ReplayServer) -> Gbpm:
    """A home with a week of MID but for 5 January, and a list of BM units."""
    gbpm = make_gbpm(replay.base_url, GBPM_DATASETS="bmrs_mid bmrs_indo ref_bmunits")
    for days in (GOOD, ("--from", "2024-01-06", "--to", "2024-01-07")):
        assert gbpm("backfill", "bmrs_mid", *days).code == 0
    assert gbpm("backfill", "ref_bmunits").code == 0
    return gbpm


@pytest.fixture(scope="module")
def sent(replay: ReplayServer) -> list[dict[str, Any]]:
    """The recorded rows of these days as Elexon sent them, by time and provider."""
    frame = replay.frames["bmrs_mid"].filter(pl.col("day").is_between(date(2024, 1, 1), date(2024, 1, 7)))
    rows = [json.loads(body) for body in frame.filter(pl.col("day") != date(2024, 1, 5))["body"]]
    return sorted(rows, key=lambda r: (r["settlementDate"], r["settlementPeriod"], r["dataProvider"]))


def read_csv(data: bytes) -> list[dict[str, str]]:
    """RFC 4180: every line ends in CRLF, and nothing else does."""
    text = data.decode()
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    return list(csv.DictReader(text.splitlines(keepends=True)))


def same_as_sent(rows: list[dict[str, str]], sent: list[dict[str, Any]]) -> None:
    assert len(rows) == len(sent)
    for row, was in zip(rows, sent, strict=True):
        assert {**row, "price": float(row["price"]), "volume": float(row["volume"])} == {
            **{name: str(was[name]) for name in MID},
            "price": float(was["price"]),
            "volume": float(was["volume"]),
        }


def left_over(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_csv_holds_what_was_sent_in_full(gbpm: Gbpm, sent: list[dict[str, Any]], tmp_path: Path) -> None:
    out = tmp_path / "mid.csv"
    done = gbpm("export", "bmrs_mid", str(out), *GOOD, "--columns", ",".join(MID))
    assert (done.code, done.err) == (0, "")
    rows = read_csv(out.read_bytes())
    assert list(rows[0]) == MID
    same_as_sent(rows, [r for r in sent if r["settlementDate"] <= "2024-01-04"])
    size = f"{out.stat().st_size:,} bytes"
    assert done.out == f"bmrs_mid: 384 rows, {size} in {out}; 2024-01-01 to 2024-01-04: 4 of 4 days complete\n"
    assert left_over(tmp_path) == ["mid.csv"]


def test_the_standard_output_takes_the_same_bytes_and_nothing_else(gbpm: Gbpm, tmp_path: Path) -> None:
    out = tmp_path / "mid.csv"
    gbpm("export", "bmrs_mid", str(out), *GOOD)
    command = [*PROGRAM, "export", "bmrs_mid", "-", *GOOD]
    done = subprocess.run(command, env=gbpm._whole({}), capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout == out.read_bytes()
    said = f"bmrs_mid: 384 rows, {len(done.stdout):,} bytes; 2024-01-01 to 2024-01-04: 4 of 4 days complete\n"
    assert done.stderr.decode() == said


def test_parquet_says_what_it_is(gbpm: Gbpm, tmp_path: Path) -> None:
    out = tmp_path / "mid.parquet"
    assert gbpm("export", "mid", str(out), *GOOD, "--where", "price > 50").code == 0
    table = pq.read_table(out)
    asked = gbpm.runtime().lake.sql(
        """SELECT * FROM bmrs_mid WHERE price > 50 AND settlementDate <= '2024-01-04'
           ORDER BY settlementDate, settlementPeriod, dataProvider"""
    )
    assert pl.DataFrame(pl.from_arrow(table)).equals(asked)
    assert table.schema.field("startTime").type == pa.timestamp("us", "UTC")
    file = pq.ParquetFile(out)
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    facts = {k.decode(): v.decode() for k, v in file.metadata.metadata.items()}
    assert facts["gbpm.table"] == "bmrs_mid"
    assert facts["gbpm.licence"] == "Contains BMRS data © Elexon Limited copyright and database right"
    assert (facts["gbpm.from"], facts["gbpm.to"], facts["gbpm.where"]) == ("2024-01-01", "2024-01-04", "price > 50")
    assert "gbpm.not_complete" not in facts
    assert facts["gbpm.exported_at"].endswith("Z")
    columns = json.loads(facts["gbpm.columns"])
    assert list(columns) == [*MID, "_day", "_fetched_at", "_source"]
    assert columns["price"]["unit"] == "GBP/MWh"
    assert columns["volume"]["unit"] == "MWh"
    assert table.schema.field("price").metadata[b"unit"] == b"GBP/MWh"
    assert table.schema.field("_day").metadata == {b"meaning": b"London day of the partition"}


def test_a_folder_gets_a_file_a_month(make_gbpm: MakeGbpm, replay: ReplayServer, tmp_path: Path) -> None:
    gbpm = make_gbpm(replay.base_url, GBPM_NOW="2024-11-01T12:00:00Z")
    for day in ("2024-01-07", "2024-10-27"):
        assert gbpm("backfill", "bmrs_mid", "--from", day, "--to", day).code == 0
    out = tmp_path / "mid"
    done = gbpm("export", "bmrs_mid", str(out), "--format", "parquet", "--allow-gaps")
    assert done.code == 0
    assert left_over(out) == ["bmrs_mid-2024-01.parquet", "bmrs_mid-2024-10.parquet"]
    rows = {p.name: pq.read_metadata(p).num_rows for p in out.iterdir()}
    assert rows == {"bmrs_mid-2024-01.parquet": 96, "bmrs_mid-2024-10.parquet": 100}  # 27 October has 50 periods
    assert f"196 rows, {sum(p.stat().st_size for p in out.iterdir()):,} bytes" in done.words
    again = gbpm("export", "bmrs_mid", str(out), "--format", "parquet", "--from", "2024-10-27")
    assert (again.code, "holds an export already: --force replaces it" in again.err) == (1, True)
    assert gbpm("export", "bmrs_mid", str(out), "--format", "parquet", "--from", "2024-10-27", "--force").code == 0
    assert left_over(out) == ["bmrs_mid-2024-10.parquet"]
    (out / "mine.txt").write_text("mine")
    refused = gbpm("export", "bmrs_mid", str(out), "--format", "parquet", "--force")
    assert (refused.code, "holds other things (mine.txt)" in refused.err) == (1, True)
    assert left_over(out) == ["bmrs_mid-2024-10.parquet", "mine.txt"]
    assert left_over(tmp_path) == ["mid"]


def test_days_that_are_missing_are_named_and_make_it_3(
    gbpm: Gbpm, sent: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "mid.csv"
    done = gbpm("export", "bmrs_mid", str(out), *WEEK, "--columns", ",".join(MID))
    assert done.code == 3
    assert done.out.endswith("; 2024-01-01 to 2024-01-07: 6 of 7 days complete; not complete: 2024-01-05 (missing)\n")
    same_as_sent(read_csv(out.read_bytes()), sent)
    allowed = gbpm("export", "bmrs_mid", str(out), *WEEK, "--allow-gaps", "--force", "--json")
    assert allowed.code == 0
    assert allowed.json == {
        "table": "bmrs_mid",
        "out": str(out),
        "format": "csv",
        "from": "2024-01-01",
        "to": "2024-01-07",
        "rows": 576,
        "bytes": out.stat().st_size,
        "days": 7,
        "not_complete": {"2024-01-05": "missing: never asked"},
    }
    open_ended = gbpm("export", "bmrs_mid", str(tmp_path / "all.parquet"), "--json")
    assert (open_ended.code, open_ended.json["from"], open_ended.json["to"]) == (3, "2024-01-01", "2024-01-07")
    facts = pq.read_metadata(tmp_path / "all.parquet").metadata
    assert facts[b"gbpm.not_complete"] == b"2024-01-05 missing"


def test_days_that_are_not_due_are_named_but_no_gap(gbpm: Gbpm, tmp_path: Path) -> None:
    done = gbpm(
        "export", "bmrs_mid", str(tmp_path / "mid.csv"), "--from", "2024-01-06", "--to", "2024-01-08",
        GBPM_NOW="2024-01-08T00:40:00Z",
    )  # fmt: skip
    assert done.code == 0
    assert "2 of 3 days complete; not complete: 2024-01-08 (not due)" in done.out


def test_reference_tables_and_views(gbpm: Gbpm, tmp_path: Path) -> None:
    done = gbpm("export", "ref_bmunits", str(tmp_path / "units.csv"), "--columns", "elexonBmUnit,eic,fpnFlag")
    assert (done.code, done.out.split(":")[1].split(",")[0]) == (0, " 2")
    rows = read_csv((tmp_path / "units.csv").read_bytes())
    assert len(rows) == 2732
    assert {r["fpnFlag"] for r in rows} == {"true", "false", ""}
    assert gbpm("export", "ref_bmunits_history", str(tmp_path / "h.parquet")).code == 0
    facts = pq.read_metadata(tmp_path / "h.parquet").metadata
    assert json.loads(facts[b"gbpm.columns"])["generationCapacity"]["unit"] == "MW"
    assert gbpm("export", "bmrs_mid_vintages", str(tmp_path / "v.csv")).code == 0
    assert read_csv((tmp_path / "v.csv").read_bytes()) == []


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["bmrs_mdi", "x.csv"], 2, "did you mean bmrs_mid"),
        (["bmrs_indo", "x.csv"], 1, "`gbpm backfill bmrs_indo --from yyyy-mm-dd --to yyyy-mm-dd`"),
        (["bmrs_mid", "x.csv", "--from", "2024-01-05", "--to", "2024-01-05"], 1, "holds no day from 2024-01-05"),
        (["bmrs_mid", "x.csv", "--from", "2024-01-05", "--to", "2024-01-02"], 2, "swap them"),
        (["bmrs_mid", "x.csv", "--to", "2024-01-09"], 2, "in the future"),
        (["bmrs_mid", "x.csv", "--from", "2024-02-30"], 2, "no such day"),
        (["bmrs_mid", "x"], 2, "add --format csv or --format parquet"),
        (["bmrs_mid", "-", "--format", "parquet"], 2, "the standard output takes csv only"),
        (["bmrs_mid", "-", "--json"], 2, "both write to standard output"),
        (["bmrs_mid", "x.csv", "--columns", "prize"], 2, "did you mean price"),
        (["bmrs_mid", "x.csv", "--columns", " , "], 2, "give a list of names"),
        (["bmrs_mid", "x.csv", "--where", "1=1; DROP TABLE bmrs_mid"], 2, "is not one condition"),
        (["bmrs_mid", "x.csv", "--where", "dataProvider > 5"], 2, "cannot be read so"),
        (["bmrs_mid", "none/x.csv"], 1, "none does not exist: make it"),
        (["bmrs_mid", "folder", "--format", "csv"], 1, "folder is a folder: name a file in it"),
        (["bmrs_mid", "folder", "--format", "csv", "--force"], 1, "folder is a folder"),
        (["bmrs_mid", "there.csv"], 1, "there.csv exists already: --force replaces it"),
        (["bmrs_mid", "there.csv", "--format", "parquet"], 1, "is a file: name it .parquet"),
        (["bmrs_mid", "/dev/null", "--format", "csv", "--force"], 1, "/dev/null is no plain file"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_writes_nothing(
    gbpm: Gbpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], code: int, words: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "there.csv").write_text("mine")
    monkeypatch.chdir(tmp_path)
    done = gbpm("export", *args)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("gbpm: ")
    assert len(done.err.splitlines()) == 1
    assert words in done.err
    assert left_over(tmp_path) == ["folder", "there.csv"]
    assert (tmp_path / "there.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (lambda: OSError(28, os.strerror(28), "x"), 1, "the disk is full"),
        (KeyboardInterrupt, 130, "interrupted: nothing was written"),
    ],
)
@pytest.mark.parametrize("name", ["mid.csv", "mid.parquet", "mid"])
def test_an_export_that_ends_midway_leaves_what_was_there(
    gbpm: Gbpm,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: Callable[[], BaseException],
    code: int,
    words: str,
) -> None:
    out = tmp_path / name
    args = ("export", "bmrs_mid", str(out), *GOOD, *(() if "." in name else ("--format", "parquet")))
    assert gbpm(*args).code == 0
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 96)
    seen: list[int] = []
    read = reading.Reader._rows

    def failing(self: reading.Reader, *args: Any) -> pa.Table:
        seen.append(1)
        if len(seen) == 3:
            raise error()
        return read(self, *args)

    monkeypatch.setattr(reading.Reader, "_rows", failing)
    done = gbpm(*args, "--force")
    assert (done.code, words in done.err) == (code, True), done
    assert len(seen) == 3
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert left_over(tmp_path) == [name]


def test_a_folder_comes_back_if_it_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, place, before = (tmp_path / n for n in ("out", "place", "before"))
    out.mkdir()
    (out / "old").write_text("old")
    with pytest.raises(FileNotFoundError):
        export._exchange(place, out, before)
    assert left_over(out) == ["old"]


def test_an_export_in_pieces_is_the_same_file(gbpm: Gbpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by the piece: what is written does not depend on its size."""
    whole, pieces = tmp_path / "whole.csv", tmp_path / "pieces.csv"
    assert gbpm("export", "bmrs_mid", str(whole), *GOOD).code == 0
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(export, "_LINES", 7)
    assert gbpm("export", "bmrs_mid", str(pieces), *GOOD).code == 0
    assert pieces.read_bytes() == whole.read_bytes()


def test_a_bar_is_drawn_on_a_terminal_only(gbpm: Gbpm, tmp_path: Path) -> None:
    done: Done = gbpm("export", "bmrs_mid", str(tmp_path / "plain.csv"), *GOOD)
    assert done.err == ""
    leader, follower = os.openpty()
    program = subprocess.Popen(
        [*PROGRAM, "export", "bmrs_mid", str(tmp_path / "bar.csv"), *GOOD],
        env=gbpm._whole({"TERM": "xterm"}), stdout=subprocess.DEVNULL, stderr=follower, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(follower)
    drawn = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the terminal has closed
            break
        if not part:
            break
        drawn += part
    os.close(leader)
    assert program.wait() == 0
    assert b"exporting bmrs_mid" in drawn
    assert b"4/4" in drawn
