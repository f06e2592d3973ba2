"""SQL over the lake: one SELECT, in DuckDB's or BigQuery's dialect, over views of the tables it names.

Belongs here: what a query may be, the views, the result's types. Not here: where the files come from (lake).
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import sqlglot
from sqlglot import exp

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse.delta import Table
from gbpm_dagster.warehouse.protocol import FETCHED_AT, SOURCE, QueryError

DIALECTS = ("duckdb", "bigquery")
DELETION = "DEL"
"""The `version_order` word that removes its key from the current view (domain.md 3.2)."""

_TABLE_FUNCTIONS = ("range", "generate_series", "unnest", "generate_date_array", "generate_timestamp_array")
_AS_TEXT = ("INTERVAL", "UUID", "BIT", "TIME WITH TIME ZONE")
_FORBIDDEN = (exp.DML, exp.DDL, exp.Command, exp.Copy, exp.Attach, exp.Set, exp.Pragma, exp.Into, exp.Use)
_DUCK_TYPE: dict[Any, str] = {
    pl.String: "VARCHAR",
    pl.Int64: "BIGINT",
    pl.Int32: "INTEGER",
    pl.Float64: "DOUBLE",
    pl.Boolean: "BOOLEAN",
    pl.Date: "DATE",
    pl.Datetime("us", "UTC"): "TIMESTAMPTZ",
    pl.List(pl.String): "VARCHAR[]",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A table a query may name. files: its live files now; schema: the columns the view shows, in order.

    shape: makes the view of a SELECT of all stored rows, where it is not the current rows of `dataset`.
    stored: the columns to read of the files, where the view shows others. table: where the rows lie, if in one table.
    order: columns that put its rows in order.
    """

    name: str
    files: Callable[[], Sequence[str]]
    schema: Mapping[str, Any]
    dataset: Dataset | None = None
    shape: Callable[[str], str] | None = None
    stored: Mapping[str, Any] | None = None
    table: Table | None = None
    order: tuple[str, ...] = ()


def run(query: str, dialect: str, sources: Mapping[str, Source], root: Path) -> pl.DataFrame:
    """Run one SELECT and return its rows; raises QueryError with a readable message."""
    tree = parse(query, dialect)
    names = tables_of(tree, sources)
    text = query if dialect == "duckdb" and not _requalified(tree) else tree.sql(dialect="duckdb")
    with connect(root) as con:
        for name in names:
            make_view(con, name, sources[name.lower()])
        try:
            return _fetch(con, text)
        except duckdb.Error as error:
            raise QueryError(_explain(error, text, dialect)) from error


@contextlib.contextmanager
def connect(root: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine that works in UTC and may read nothing but the lake's files, whatever a check of a text missed."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone='UTC'")
        con.execute(f"SET allowed_directories=[{_quote(str(root) + '/')}]")
        con.execute("SET enable_external_access=false")
        con.execute("SET lock_configuration=true")
        yield con


def parse(query: str, dialect: str = "duckdb") -> exp.Query:
    """The query's tree, checked to be one SELECT that reads tables only; raises QueryError."""
    if dialect not in DIALECTS:
        raise QueryError(f"unknown dialect {dialect!r}: use {' or '.join(DIALECTS)}")
    try:
        statements = [s for s in sqlglot.parse(query, read=dialect) if s is not None]
    except sqlglot.errors.SqlglotError as error:
        first = str(error).splitlines()[0] if str(error) else "no more is known"
        raise QueryError(f"the SQL could not be read as {dialect}: {plain(first)}") from error
    if not statements:
        raise QueryError("the query is empty: give one SELECT")
    if len(statements) > 1:
        raise QueryError(f"{len(statements)} statements given: run them one at a time")
    tree = statements[0]
    bad = tree.find(*_FORBIDDEN) if isinstance(tree, exp.Query) else tree
    if bad is not None or not isinstance(tree, exp.Query):
        bad = bad or tree
        raise QueryError(
            f"only SELECT (or WITH ... SELECT) is allowed here, not {bad.key.upper()}: the lake is read-only"
        )
    return tree


def tables_of(tree: exp.Query, sources: Mapping[str, Source]) -> list[str]:
    """Names of our tables in the query, project and dataset qualifiers dropped in place; raises QueryError."""
    ctes = {c.alias.lower() for c in tree.find_all(exp.CTE)}
    names: dict[str, None] = {}
    for table in tree.find_all(exp.Table):
        inner = table.this
        if isinstance(inner, exp.Func):
            called = inner.name if isinstance(inner, exp.Anonymous) else inner.sql_name()
            if called.lower() not in _TABLE_FUNCTIONS:
                raise QueryError(f"{called.lower()}() is not allowed in FROM: name a table of the lake")
            continue
        if table.name.lower() in sources:
            names[table.name] = None
            _drop_qualifiers(table)
        elif table.name.lower() not in ctes and not _is_column(table, tree):
            raise QueryError(_unknown(table.name, sources))
    for column in tree.find_all(exp.Column):
        if column.args.get("db"):
            column.set("db", None)
            column.set("catalog", None)
            column.meta["requalified"] = True
    return list(names)


def _drop_qualifiers(table: exp.Table) -> None:
    if table.args.get("db"):
        table.set("db", None)
        table.set("catalog", None)
        table.meta["requalified"] = True


def _requalified(tree: exp.Query) -> bool:
    return any(n.meta.get("requalified") for n in tree.find_all(exp.Table, exp.Column))


def _is_column(table: exp.Table, tree: exp.Query) -> bool:
    """BigQuery's `FROM t, t.list`: a list of a row of another table."""
    aliases = {t.alias_or_name.lower() for t in tree.find_all(exp.Table) if t is not table}
    return bool(table.db) and table.db.lower() in aliases


def _unknown(name: str, sources: Mapping[str, Source]) -> str:
    derived = tuple(d for d in ("_vintages", "_history") if not name.lower().endswith(d))
    every = [s for s in sources if not s.endswith(derived)]
    near = get_close_matches(name.lower(), every, n=3, cutoff=0.5)
    if not near:
        bare = {s.removeprefix("bmrs_"): s for s in every}
        near = [bare[n] for n in get_close_matches(name.lower(), bare, n=3, cutoff=0.6)]
    hint = f"did you mean {' or '.join(near)}?" if near else "`gbpm tables` lists what there is."
    return f"there is no table {name!r}: {hint}"


def make_view(con: duckdb.DuckDBPyConnection, name: str, source: Source) -> None:
    """A view of the source's current rows under that name, one of that name replaced; raises QueryError."""
    try:
        files = list(source.files())
        if not files:
            con.execute(f"CREATE OR REPLACE TEMP VIEW {ident(name)} AS {_nothing(source.schema)}")
            return
        stored = source.stored or source.schema
        hive = any("=" in Path(f).parent.name for f in files) and "table" in stored
        options = "union_by_name=true, hive_partitioning=" + (
            "true, hive_types={'table': VARCHAR}" if hive else "false"
        )
        rows = f"read_parquet([{', '.join(_quote(f) for f in files)}], {options})"
        body = f"SELECT {', '.join(ident(c) for c in stored)} FROM {rows}"
        try:
            con.execute(f"CREATE OR REPLACE TEMP VIEW {ident(name)} AS {_current(body, source)}")
        except duckdb.BinderException:
            # Every file is older than a column the catalogue has since gained.
            there = {r[0] for r in con.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}
            columns = [
                ident(c) if c in there else f"CAST(NULL AS {_duck_type(t)}) AS {ident(c)}" for c, t in stored.items()
            ]
            body = f"SELECT {', '.join(columns)} FROM {rows}"
            con.execute(f"CREATE OR REPLACE TEMP VIEW {ident(name)} AS {_current(body, source)}")
    except duckdb.Error as error:
        raise QueryError(f"{name} cannot be read: {plain(str(error))}") from error


def _current(body: str, source: Source) -> str:
    """The rows that are current over all partitions: of a key published on two days the newer, no deletions."""
    if source.shape is not None:
        return source.shape(body)
    dataset = source.dataset
    if dataset is None:
        return body
    if DELETION in dataset.version_order:
        flags = [v for v in dataset.version if v in dataset.names]
        keep = " AND ".join(f"{ident(v)} IS DISTINCT FROM {_quote(DELETION)}" for v in flags)
        body = f"SELECT * FROM ({body}) WHERE {keep}"
    field = dataset.partition_field
    if field and field in dataset.version and field not in dataset.key:
        fallback = dict(dataset.unit_fallback)
        key = [f"coalesce({ident(k)}, {ident(fallback[k])})" if k in fallback else ident(k) for k in dataset.key]
        order = [f"{ident(v)} DESC NULLS LAST" for v in dataset.version]
        order += [f"{ident(FETCHED_AT)} DESC", f"{ident(SOURCE)} DESC"]
        body += f" QUALIFY row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY {', '.join(order)}) = 1"
    return body


def _nothing(schema: Mapping[str, Any]) -> str:
    columns = ", ".join(f"CAST(NULL AS {_duck_type(t)}) AS {ident(c)}" for c, t in schema.items())
    return f"SELECT {columns} WHERE false"


def _duck_type(polars_type: Any) -> str:
    if isinstance(polars_type, pl.List) and isinstance(polars_type.inner, pl.Struct):
        inner = ", ".join(f'"{f.name}" {_duck_type(f.dtype)}' for f in polars_type.inner.fields)
        return f"STRUCT({inner})[]"
    return next(name for kind, name in _DUCK_TYPE.items() if polars_type == kind)


def _fetch(con: duckdb.DuckDBPyConnection, text: str) -> pl.DataFrame:
    """The result as polars, with the types our callers know: no huge integers, decimals, enums or intervals."""
    relation = con.sql(text)
    if relation is None:
        raise QueryError("the query returns no rows by its nature: give one SELECT")
    columns = _distinct(relation.columns)
    kinds = [str(t) for t in relation.types]
    if any(k in _AS_TEXT for k in kinds):
        heads = [f"c{i}" for i in range(len(columns))]
        parts = [f"CAST({h} AS VARCHAR)" if k in _AS_TEXT else h for h, k in zip(heads, kinds, strict=True)]
        inner = text.strip().rstrip(";")
        relation = con.sql(f"SELECT {', '.join(parts)} FROM ({inner}\n) AS result({', '.join(heads)})")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = pl.DataFrame(pl.from_arrow(relation.to_arrow_table().rename_columns(columns)))
    return frame.with_columns(_plain_type(frame.get_column(c)) for c in frame.columns)


def _plain_type(column: pl.Series) -> pl.Series:
    kind = column.dtype
    if isinstance(kind, pl.Decimal):
        if kind.scale == 0:
            with contextlib.suppress(pl.exceptions.InvalidOperationError):
                return column.cast(pl.Int64)
        return column.cast(pl.Float64)
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        return column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    if isinstance(kind, pl.Null | pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    return column


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names with repeated ones numbered, as a frame cannot have two of a name."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}_{seen[name] - 1}")
    return result


def _explain(error: duckdb.Error, text: str, dialect: str) -> str:
    message = plain(str(error))
    if dialect == "bigquery":
        message += f" (the query as DuckDB's: {' '.join(text.split())[:400]})"
    return message


def plain(message: str) -> str:
    """An engine's message without terminal colours, in one line."""
    for code in ("\x1b[4m", "\x1b[0m"):
        message = message.replace(code, "")
    return " ".join(message.split())[:600]


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def ident(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'
