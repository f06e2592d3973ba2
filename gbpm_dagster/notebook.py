"""Rows in a notebook, without Dagster: `read` a table, ask in `sql`, list the `tables`.

Belongs here: what `import gbpm_dagster` offers, and the types it gives. Not here: finding rows (warehouse.reading),
the command line. Importing this reads no setting and opens nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import polars as pl
import pyarrow as pa

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.console.args import UsageError, parse_day
from gbpm_dagster.market.calendar import london_day
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.lacking import in_words, lacking, stored_span, wanted_between
from gbpm_dagster.quality.states import State
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.reading import Reader

if TYPE_CHECKING:
    import pandas as pd

Day = date | str | None
Where = str | Mapping[str, Any] | None
FORMS = ("pandas", "polars", "arrow")
_SILENT = (State.DUE, State.NOT_DUE)
"""Days whose data are not due yet are no surprise."""


class IncompleteData(UserWarning):
    """Days asked for are not complete in the rows that were read; the message names them."""


@overload
def read(
    table: str,
    start: Day = None,
    end: Day = None,
    *,
    columns: Sequence[str] | None = None,
    where: Where = None,
    as_: Literal["pandas"] = "pandas",
    home: str | Path | None = None,
) -> pd.DataFrame: ...
@overload
def read(
    table: str,
    start: Day = None,
    end: Day = None,
    *,
    columns: Sequence[str] | None = None,
    where: Where = None,
    as_: Literal["polars"],
    home: str | Path | None = None,
) -> pl.DataFrame: ...
@overload
def read(
    table: str,
    start: Day = None,
    end: Day = None,
    *,
    columns: Sequence[str] | None = None,
    where: Where = None,
    as_: Literal["arrow"],
    home: str | Path | None = None,
) -> pa.Table: ...
def read(
    table: str,
    start: Day = None,
    end: Day = None,
    *,
    columns: Sequence[str] | None = None,
    where: Where = None,
    as_: str = "pandas",
    home: str | Path | None = None,
) -> Any:
    """Current rows of a table, as SQL shows them, in the order of day and natural key.

    table: a name of `gbpm tables`, with or without `bmrs_`, an alias, or a view (`bmrs_x_vintages`, `ref_x_history`).
    start, end: first and last London day, both included, as a date or yyyy-mm-dd; None = as far as there is. Of a
        reference table the lists of these days (without days the newest), of its history what was valid on one.
    columns: names, in the order wanted. where: an SQL condition in DuckDB's dialect over the table's columns, for
        example "price > 50 AND dataProvider = 'APXMIDP'", or a dict of column -> value, None or a list of values.
    home: the folder of the home; None = GBPM_HOME.

    Types. pandas: integers Int64 (nulls stay <NA>), booleans boolean, text string, numbers float64 (null is NaN),
    instants datetime64[us, UTC], days objects of datetime.date. polars: Int64, Boolean, String, Float64,
    Datetime("us", "UTC"), Date. arrow: the same. Memory follows the result, not the table.

    Warns with IncompleteData if days asked for are not complete. Raises UnknownTable (with the nearest names),
    NothingStored, QueryError (a column or condition that does not fit), HomeError, and ValueError for a bad day.
    """
    _check_form(as_)
    first, last = _day(start, "start"), _day(end, "end")
    if first and last and first > last:
        raise UsageError(f"start {first} is after end {last}: swap them")
    runtime = _runtime(home)
    asked = runtime.lake.reader(table, first, last, columns, where)
    _judge(runtime, asked)
    pieces = [piece.rows for piece in asked.pieces()]
    return _as(pa.concat_tables(pieces), as_)


@overload
def sql(
    query: str,
    *,
    dialect: str = "duckdb",
    as_: Literal["pandas"] = "pandas",
    home: str | Path | None = None,
) -> pd.DataFrame: ...
@overload
def sql(
    query: str, *, dialect: str = "duckdb", as_: Literal["polars"], home: str | Path | None = None
) -> pl.DataFrame: ...
@overload
def sql(
    query: str, *, dialect: str = "duckdb", as_: Literal["arrow"], home: str | Path | None = None
) -> pa.Table: ...
def sql(query: str, *, dialect: str = "duckdb", as_: str = "pandas", home: str | Path | None = None) -> Any:
    """The rows of one SELECT over the tables, in DuckDB's or BigQuery's dialect; types as of `read`.

    Raises QueryError with what is wrong, HomeError.
    """
    _check_form(as_)
    found = _runtime(home).lake.sql(query, dialect=dialect)
    return found if as_ == "polars" else _as(found.to_arrow(compat_level=pl.CompatLevel.oldest()), as_)


@overload
def tables(*, as_: Literal["pandas"] = "pandas", home: str | Path | None = None) -> pd.DataFrame: ...
@overload
def tables(*, as_: Literal["polars"], home: str | Path | None = None) -> pl.DataFrame: ...
@overload
def tables(*, as_: Literal["arrow"], home: str | Path | None = None) -> pa.Table: ...
def tables(*, as_: str = "pandas", home: str | Path | None = None) -> Any:
    """Every table of the catalogue and what the home holds of it; without a home, nothing of any.

    Columns: table, title, group, tier, key (the natural key's columns), rows and days stored, first_day, last_day.
    """
    _check_form(as_)
    runtime = _runtime(home)
    entries = pl.DataFrame(
        [(d.table, d.title, d.family, d.tier.value, ", ".join(d.key)) for d in DATASETS.values()],
        schema=["table", "title", "group", "tier", "key"],
        orient="row",
    )
    held = runtime.lake.evidence() if runtime.settings.home.exists() else pl.DataFrame(schema=_HELD)
    counted = held.group_by("table").agg(
        rows=pl.col("rows").sum().cast(pl.Int64),
        days=pl.len().cast(pl.Int64),
        first_day=pl.col("day").min(),
        last_day=pl.col("day").max(),
    )
    found = entries.join(counted, on="table", how="left", maintain_order="left")
    found = found.with_columns(pl.col("rows", "days").fill_null(0))
    return found if as_ == "polars" else _as(found.to_arrow(compat_level=pl.CompatLevel.oldest()), as_)


_HELD = {"table": pl.String, "day": pl.Date, "rows": pl.Int64}


def _runtime(home: str | Path | None) -> Runtime:
    settings = Settings.load() if home is None else Settings.load(home=Path(home))
    return Runtime(settings, read_only=True)


def _judge(runtime: Runtime, asked: Reader) -> None:
    """Refuse what nothing is stored of; warn of days that are not complete."""
    dataset, settings = asked.judged, runtime.settings
    if dataset is None:
        if (of := asked.source.dataset) and asked.source.name.endswith("_history"):
            stored_span(runtime.lake, of, None, None, settings.home)
        return
    first, last = stored_span(runtime.lake, dataset, asked.start, asked.end, settings.home)
    wanted = wanted_between(dataset, first, last, settings.clock(), runtime.scope)
    lacks = lacking(runtime.lake, dataset, wanted, settings.clock(), runtime.scope is not None)
    lacks = [k for k in lacks if k.state not in _SILENT]
    if lacks:
        said = f"{dataset.table}: {len(lacks)} of {len(wanted)} days are not complete: {in_words(lacks)}"
        failing = [k.day for k in lacks if k.fails]
        if failing:
            said += f"; `gbpm backfill {dataset.table} --from {failing[0]} --to {failing[-1]} --missing` fetches them"
        warnings.warn(said, IncompleteData, stacklevel=3)


def _day(value: Day, name: str) -> date | None:
    """A London day as given; an aware time is the day it lies in. Raises UsageError (a ValueError)."""
    if value is None or isinstance(value, str):
        return parse_day(value, name)
    if isinstance(value, datetime):
        return london_day(value) if value.tzinfo else value.date()
    if isinstance(value, date):
        return value
    raise UsageError(f"{name} is {value!r}: give a day as yyyy-mm-dd or a date, for example 2024-01-03")


def _check_form(as_: str) -> None:
    if as_ not in FORMS:
        raise UsageError(f"as_ is {as_!r}: give one of {', '.join(FORMS)}")


def _as(rows: pa.Table, as_: str) -> Any:
    if as_ == "arrow":
        return rows
    if as_ == "polars":
        return pl.from_arrow(rows)
    import pandas as pd

    kinds = {
        pa.int64(): pd.Int64Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype("pyarrow"),
        pa.large_string(): pd.StringDtype("pyarrow"),
    }
    # Each column is let go as it is turned into pandas' own: the rows are not held twice.
    return rows.to_pandas(types_mapper=kinds.get, split_blocks=True, self_destruct=True)
