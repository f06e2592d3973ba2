"""A table's rows in a file of the user's: CSV or Parquet, streamed, whole or not at all.

Belongs here: where rows may be written and how. Not here: which rows (reading), how a value looks (rendering).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gbpm_dagster.catalogue.describe import LICENCE
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse.protocol import WarehouseError
from gbpm_dagster.warehouse.reading import Piece, Reader
from gbpm_dagster.warehouse.rendering import csv_text

CSV, PARQUET = "csv", "parquet"
OURS = {
    "_day": "London day of the partition",
    "_fetched_at": "when the row was received",
    "_source": "how it came: REST or IRIS",
    "_run": "settlement run the row is of",
    "_final": "whether that run is final",
    "_known_from": "when the version became known",
    "_known_until": "when another took its place; null: it is still believed",
    "_superseded_at": "when the answer came that superseded the row",
    "_valid_from": "first list that had the row so",
    "_valid_to": "day before the list that no longer had it; null: the newest has",
    "_last_seen": "last list that had it",
}
"""Meaning of the columns that are ours."""

_LINES = 50_000
_CRLF = "\r\n"  # RFC 4180


class ExportError(WarehouseError):
    """The rows cannot be written there; the message says why and what to do."""


class Bytes(Protocol):
    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Written:
    """rows and bytes written, all files together."""

    rows: int
    bytes: int


Told = Callable[[Piece], None]
"""Called with each piece once it is written."""


def check_target(out: Path, form: str, force: bool, table: str) -> None:
    """Raise ExportError if rows may not be written there.

    What exists is kept unless forced; a folder is replaced only if all it holds is an earlier export of the table.
    """
    if not out.parent.is_dir():
        raise ExportError(f"the folder {out.parent} does not exist: make it, or choose another place")
    if not out.exists():
        return
    if is_folder(out, form):
        if not out.is_dir():
            raise ExportError(f"{out} is a file: name it .parquet to have one file, or choose a new folder")
        if others := [p.name for p in out.iterdir() if not _month_file(table).fullmatch(p.name)]:
            raise ExportError(f"{out} holds other things ({sorted(others)[0]}): choose a new folder")
        if not force and any(out.iterdir()):
            raise ExportError(f"{out} holds an export already: --force replaces it")
    elif out.is_dir():
        raise ExportError(f"{out} is a folder: name a file in it")
    elif not out.is_file():
        raise ExportError(f"{out} is no plain file: name one, or - for the standard output")
    elif not force:
        raise ExportError(f"{out} exists already: --force replaces it")


def is_folder(out: Path, form: str) -> bool:
    """Whether an export goes to a folder with a file a month: Parquet, unless the name ends in .parquet."""
    return form == PARQUET and out.suffix != ".parquet"


def to_stream(reader: Reader, stream: Bytes, told: Told) -> Written:
    """CSV by RFC 4180, with a header: instants ISO 8601 with Z, floats in full, null empty."""
    rows = size = 0
    for piece in reader.pieces():
        frame = pl.DataFrame(pl.from_arrow(piece.rows))
        if not size:
            size += _put(stream, csv_text(frame.head(0), line_end=_CRLF))
        for part in frame.iter_slices(_LINES):
            size += _put(stream, csv_text(part, header=False, line_end=_CRLF)) if part.height else 0
        rows += frame.height
        told(piece)
    return Written(rows, size)


def to_file(reader: Reader, out: Path, form: str, facts: Mapping[str, str], told: Told) -> Written:
    """Write aside, then put in place; facts: the file's key-values (Parquet). Raises OSError, ExportError."""
    with _aside(out, folder=is_folder(out, form)) as place:
        if form == CSV:
            with place.open("wb") as file:
                written = to_stream(reader, file, told)
        elif is_folder(out, form):
            written = _to_months(reader, place, facts, told)
        else:
            rows = _to_parquet(place, facts, reader.pieces(), told)
            written = Written(rows, place.stat().st_size)
    return written


def file_facts(
    reader: Reader, dataset: Dataset | None, asked: Mapping[str, str], exported_at: datetime
) -> dict[str, str]:
    """Key-values of a Parquet file: licence, table, what was asked, when, and of each column meaning and unit."""
    columns = {name: _told_of(name, dataset) for name in reader.columns}
    return {
        "gbpm.table": reader.source.name,
        **({"gbpm.title": dataset.title, "gbpm.description": dataset.description} if dataset else {}),
        "gbpm.licence": LICENCE,
        **{f"gbpm.{name}": value for name, value in asked.items()},
        "gbpm.exported_at": exported_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "gbpm.columns": json.dumps(columns, ensure_ascii=False),
    }


def _told_of(name: str, dataset: Dataset | None) -> dict[str, str]:
    if dataset is not None and name in dataset.names:
        column = dataset.column(name)
        return {"meaning": column.meaning, **({"unit": column.unit} if column.unit else {})}
    return {"meaning": OURS[name]} if name in OURS else {}


def _to_months(reader: Reader, folder: Path, facts: Mapping[str, str], told: Told) -> Written:
    """A file a calendar month that has rows, `<table>-yyyy-mm.parquet`; rows without a day: `<table>.parquet`."""
    rows = 0
    for month, pieces in groupby(reader.pieces(by_month=True), lambda p: f"-{p.first:%Y-%m}" if p.first else ""):
        rows += _to_parquet(folder / f"{reader.source.name}{month}.parquet", facts, pieces, told)
    return Written(rows, sum(p.stat().st_size for p in folder.iterdir()))


def _to_parquet(file: Path, facts: Mapping[str, str], pieces: Iterable[Piece], told: Told) -> int:
    columns = json.loads(facts["gbpm.columns"])
    writer: pq.ParquetWriter | None = None
    rows = 0
    try:
        for piece in pieces:
            if writer is None:
                fields = [f.with_metadata(columns[f.name] or None) for f in piece.rows.schema]
                writer = pq.ParquetWriter(file, pa.schema(fields, dict(facts)), compression="zstd")
            writer.write_table(piece.rows.cast(writer.schema))
            rows += piece.rows.num_rows
            told(piece)
    finally:
        if writer is not None:
            writer.close()
    return rows


def _put(stream: Bytes, text: str) -> int:
    data = text.encode()
    stream.write(data)
    return len(data)


def _month_file(table: str) -> re.Pattern[str]:
    return re.compile(re.escape(table) + r"(-\d{4}-\d{2})?\.parquet")


@contextlib.contextmanager
def _aside(out: Path, *, folder: bool) -> Iterator[Path]:
    """A new file or folder beside `out`, which takes its place when the block ends well and else is removed."""
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", suffix=".part", dir=out.parent))
    place = beside / out.name
    try:
        if folder:
            place.mkdir()
        yield place
        for path in place.iterdir() if folder else (place,):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if folder and out.is_dir():
            _exchange(place, out, beside / "before")
        else:
            place.replace(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _exchange(place: Path, out: Path, before: Path) -> None:
    """Put a folder in the place of another, which comes back if that fails."""
    out.rename(before)
    try:
        place.rename(out)
    except BaseException:
        before.rename(out)
        raise
