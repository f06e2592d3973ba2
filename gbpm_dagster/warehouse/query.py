"""SQL over the lake: one SELECT, in DuckDB's or BigQuery's dialect, over views of the tables it names.

Belongs here: what a query may be, its views made, the result's types. Not here: where the files come from (lake), the
text of a view (views).
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
from gbpm_dagster.catalogue.registry import became
from gbpm_dagster.warehouse.delta import Table
from gbpm_dagster.warehouse.expand import expand
from gbpm_dagster.warehouse.protocol import QueryError
from gbpm_dagster.warehouse.views import FINAL, RUN, Shape, View, ident, quoted, rows_of

DIALECTS = ("duckdb", "bigquery")

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
    """A table a query may name.

    schema: the columns of its stored rows that SQL shows, in order. files: its live files now; or, of a table that is
    no file, frame: its rows. view: what SQL makes of the rows, where they are not shown as they are; a source may be
    a view alone. dataset: the entry whose rows it shows; table: where they lie, if in one table of the lake; order:
    columns of the view that put a person's rows in order.
    """

    name: str
    schema: Mapping[str, Any]
    files: Callable[[], Sequence[str]] | None = None
    frame: Callable[[], pl.DataFrame] | None = None
    view: Shape | None = None
    dataset: Dataset | None = None
    table: Table | None = None
    order: tuple[str, ...] = ()


def run(query: str, dialect: str, sources: Mapping[str, Source], root: Path) -> pl.DataFrame:
    """Run one SELECT and return its rows; raises QueryError with a readable message."""
    tree = expand(parse(query, dialect))
    names = tables_of(tree, sources)
    named = naming_computed(tree, names)
    text = query if dialect == "duckdb" and not _requalified(tree) else tree.sql(dialect="duckdb")
    with connect(root) as con:
        for name in names:
            make_view(con, name, sources, name in named)
        try:
            return _fetch(con, text)
        except duckdb.Error as error:
            raise QueryError(_explain(error, text, dialect)) from error


@contextlib.contextmanager
def connect(root: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine that works in UTC and may read nothing but the lake's files, whatever a check of a text missed."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone='UTC'")
        con.execute(f"SET allowed_directories=[{quoted(str(root) + '/')}]")
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
            raise QueryError(became(table.name) or _unknown(table.name, sources))
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
    derived = ("_vintages", "_history", "_iris", "_unified")
    every = [s for s in sources if not s.endswith(derived) or name.lower().endswith(derived)]
    near = get_close_matches(name.lower(), every, n=3, cutoff=0.5)
    if not near:
        bare = {s.removeprefix("bmrs_"): s for s in every}
        near = [bare[n] for n in get_close_matches(name.lower(), bare, n=3, cutoff=0.6)]
    hint = f"did you mean {' or '.join(near)}?" if near else "`gbpm tables` lists what there is."
    return f"there is no table {name!r}: {hint}"


def naming_computed(tree: exp.Query, names: Sequence[str]) -> set[str]:
    """Those of the tables whose computed columns (views.RUN, FINAL) the query may show or use.

    All where the text names such a column, or COLUMNS(...) or a whole row; else those selected with a star.
    """
    words = {i.name.lower() for i in tree.find_all(exp.Identifier)}
    rows = {t.alias_or_name.lower() for t in tree.find_all(exp.Table)}
    whole_row = any(not c.table and c.name.lower() in rows for c in tree.find_all(exp.Column))
    if words & {RUN, FINAL} or whole_row or tree.find(exp.Columns):
        return set(names)
    starred = [s for s in tree.find_all(exp.Select) if s.is_star]
    shown = {t.name.lower() for s in starred for t in s.find_all(exp.Table) if t.parent_select is s}
    return {n for n in names if n.lower() in shown}


def view_of(source: Source, named: bool) -> View:
    """What SQL shows of a source; named: with the computed columns RUN and FINAL."""
    return source.view(named) if source.view else View(f"SELECT * FROM {rows_of(source.name)}", (source.name,))


def expanded(name: str, sources: Mapping[str, Source]) -> Source:
    """A view of the catalogue (catalogue.views) as a source of its own, over what SQL shows of its tables."""
    tree = expand(parse(f"SELECT * FROM {ident(name)}"))
    tables = tables_of(tree, sources)

    def shape(named: bool) -> View:
        parts = {t: view_of(sources[t.lower()], named) for t in tables}
        shown = ", ".join(f"{ident(t)} AS ({part.body})" for t, part in parts.items())
        over = dict.fromkeys(rows for part in parts.values() for rows in part.over)
        return View(f"WITH {shown} {tree.sql(dialect='duckdb')}", tuple(over))

    return Source(name, {}, view=shape)


def make_view(con: duckdb.DuckDBPyConnection, name: str, sources: Mapping[str, Source], named: bool) -> None:
    """The view of a source under that name, one of that name replaced; raises QueryError."""
    view = view_of(sources[name.lower()], named)
    try:
        for part in view.over:
            _make_rows(con, sources[part])
        con.execute(f"CREATE OR REPLACE TEMP VIEW {ident(name)} AS {view.body}")
    except duckdb.Error as error:
        raise QueryError(f"{name} cannot be read: {plain(str(error))}") from error


def _make_rows(con: duckdb.DuckDBPyConnection, source: Source) -> None:
    """The stored rows of a source, as the relation `rows_of` its name."""
    view = f"CREATE OR REPLACE TEMP VIEW {rows_of(source.name)} AS"
    if source.frame is not None:
        frame = source.frame().select(list(source.schema))
        con.register(f"{source.name}__frame", frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
        con.execute(f"{view} SELECT * FROM {ident(f'{source.name}__frame')}")
        return
    files = list(source.files()) if source.files else []
    if not files:
        con.execute(f"{view} {_nothing(source.schema)}")
        return
    hive = any("=" in Path(f).parent.name for f in files) and "table" in source.schema
    options = "union_by_name=true, hive_partitioning=" + ("true, hive_types={'table': VARCHAR}" if hive else "false")
    rows = f"read_parquet([{', '.join(quoted(f) for f in files)}], {options})"
    try:
        con.execute(f"{view} SELECT {', '.join(ident(c) for c in source.schema)} FROM {rows}")
    except duckdb.BinderException:
        # Every file is older than a column the catalogue has since gained.
        there = {r[0] for r in con.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}
        columns = [
            ident(c) if c in there else f"CAST(NULL AS {_duck_type(t)}) AS {ident(c)}"
            for c, t in source.schema.items()
        ]
        con.execute(f"{view} SELECT {', '.join(columns)} FROM {rows}")


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
