"""The fast path of decoding: polars reads the whole body, accepted only when counts prove that nothing was lost.

Belongs here: that proof. Not here: what to do with odd rows: this path declines and `exact` takes them.

Left to itself `polars.read_json` ignores unknown fields, cuts 1.5 to 1 for integers, makes `true` 1 and huge numbers
null. So integers are read as floats, and the bytes after each `":` are counted: so many nulls, truth values, texts
and numbers as stand in the body must be in the frame.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import orjson
import polars as pl

from gbpm_dagster.catalogue.model import Column, Dataset, Kind
from gbpm_dagster.elexon import envelope
from gbpm_dagster.elexon.exact import NOTHING, Decoded, absent, never_null, required
from gbpm_dagster.warehouse.protocol import POLARS_TYPE, frame_schema

_READ_AS: dict[Kind, type[pl.DataType]] = {
    Kind.STRING: pl.String,
    Kind.DATE: pl.String,
    Kind.INSTANT: pl.String,
    Kind.BOOLEAN: pl.Boolean,
    Kind.INTEGER: pl.Float64,
    Kind.NUMBER: pl.Float64,
}

_INSTANT_FORMATS = {
    (20, "T"): "%Y-%m-%dT%H:%M:%SZ",
    (24, "T"): "%Y-%m-%dT%H:%M:%S%.3fZ",
    (17, "T"): "%Y-%m-%dT%H:%MZ",
    (20, " "): "%Y-%m-%d %H:%M:%SZ",
}
"""By length and separator of the column's first text; a column in which they are mixed goes the exact way."""

_EXACT_FLOAT = 2.0**53


def read(dataset: Dataset, body: bytes, given: Mapping[str, str] = NOTHING) -> Decoded | None:
    """All rows of a body that has no oddity; None when it may have one (or when JSON is nested in its rows)."""
    if dataset.endpoint.rows_at or any(c.kind is Kind.JSON for c in dataset.columns) or b"\\" in body:
        return None
    array = envelope.find(body)
    if array is None:
        return None
    columns = _columns(dataset, array, given)
    if columns is None or any(c.name in given for c in columns):
        return None
    try:
        raw = pl.read_json(io.BytesIO(array), schema={c.name: _READ_AS[c.kind] for c in columns})
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    if not _nothing_lost(array, columns, raw):
        return None
    rows = _typed(dataset, columns, raw, given)
    if rows is None or not _placed(dataset, rows):
        return None
    lacking = absent(dataset, rows, {c.name for c in columns} | given.keys()) if rows.height else ()
    if any(rows.get_column(name).null_count() for name in never_null(dataset) if name not in lacking):
        return None
    return Decoded(rows, rows.height, absent_columns=lacking, fast=True)


def _columns(dataset: Dataset, array: bytes, given: Mapping[str, str]) -> list[Column] | None:
    """The columns of the first row, in the catalogue's order; None if it has an unknown one or is no flat object."""
    if array[1:].lstrip()[:1] == b"]":
        return [c for c in dataset.columns if c.name not in given]
    try:
        first = orjson.loads(array[1 : array.index(b"}") + 1])
    except (orjson.JSONDecodeError, ValueError):
        return None
    if not isinstance(first, dict) or not first or not first.keys() <= set(dataset.names):
        return None
    return [c for c in dataset.columns if c.name in first]


def _nothing_lost(array: bytes, columns: list[Column], raw: pl.DataFrame) -> bool:
    """Whether each value of the body is one value of the frame, of the same JSON type.

    Without a backslash in the body `":` stands nowhere but after a field's name, or at the beginning of a text that
    begins with a colon, which is ruled out. Texts only become texts and truth values only come from truth values (or
    polars raises), so equal counts of each type leave no room for a conversion.
    """
    text = np.frombuffer(array, dtype=np.uint8)
    at = np.flatnonzero(text[1:-2] == ord(":"))
    at = at[text[at] == ord('"')]
    if at.size != raw.height * len(columns):
        return False
    after, then = text[at + 2], text[at + 3]
    if bool(np.any((after == ord('"')) & (then == ord(":")))):
        return False
    seen = np.bincount(after, minlength=256)
    there = {c.name: raw.height - raw.get_column(c.name).null_count() for c in columns}
    texts = sum(there[c.name] for c in columns if _READ_AS[c.kind] is pl.String)
    truths = sum(there[c.name] for c in columns if c.kind is Kind.BOOLEAN)
    numbers = sum(there.values()) - texts - truths
    return bool(
        seen[ord("n")] == at.size - sum(there.values())
        and seen[ord('"')] == texts
        and seen[ord("t")] + seen[ord("f")] == truths
        and seen[ord("0") : ord("9") + 1].sum() + seen[ord("-")] == numbers
    )


def _typed(
    dataset: Dataset, columns: list[Column], raw: pl.DataFrame, given: Mapping[str, str]
) -> pl.DataFrame | None:
    """The frame in its final types; None where a text is no date or instant, or a number no integer."""
    done = {name: pl.Series(name, [value]).new_from_index(0, raw.height) for name, value in given.items()}
    for column in columns:
        series = raw.get_column(column.name)
        typed = _convert(column.kind, series)
        if typed is None or typed.null_count() != series.null_count():
            return None
        done[column.name] = typed
    empty = {name: pl.Series(name, [None], dtype=kind) for name, kind in frame_schema(dataset).items()}
    return pl.DataFrame([done.get(n, empty[n].new_from_index(0, raw.height)) for n in dataset.names])


def _convert(kind: Kind, series: pl.Series) -> pl.Series | None:
    match kind:
        case Kind.DATE:
            return series.str.to_date("%Y-%m-%d", strict=False) if _lengths(series) <= {10} else None
        case Kind.INSTANT:
            lengths = _lengths(series)
            first = series.drop_nulls().head(1)
            if not lengths:
                return series.cast(POLARS_TYPE[kind])
            form = _INSTANT_FORMATS.get((next(iter(lengths)), first[0][10:11])) if len(lengths) == 1 else None
            return (
                series.str.to_datetime(form, time_unit="us", strict=False).dt.replace_time_zone("UTC")
                if form
                else None
            )
        case Kind.INTEGER:
            whole = series.drop_nulls()
            if not bool(((whole == whole.floor()) & (whole.abs() < _EXACT_FLOAT)).all()):
                return None
            return series.cast(pl.Int64)
        case _:
            return series


def _lengths(series: pl.Series) -> set[int]:
    lengths = series.str.len_bytes()
    low, high = lengths.min(), lengths.max()
    return set() if low is None else {int(low), int(high)}  # type: ignore[arg-type]


def _placed(dataset: Dataset, rows: pl.DataFrame) -> bool:
    """Whether every row has its key, its partition and its place in a window."""
    for group in required(dataset):
        if rows.get_column(group[0]).null_count() == 0:
            continue
        if not rows.select(pl.any_horizontal(pl.col(*group).is_not_null()).all()).item():
            return False
    return True
