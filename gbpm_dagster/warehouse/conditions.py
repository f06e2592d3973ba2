"""Which rows a person wants, as one checked condition: an SQL expression, or values by column.

Belongs here: what a condition may be, and the days that it alone leaves. Not here: running it (reading).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Any

import sqlglot
from sqlglot import exp

from gbpm_dagster.warehouse.protocol import QueryError

_ONE = timedelta(days=1)
Where = str | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked expression in DuckDB's dialect over a table's columns; "" is true of every row."""

    text: str = ""
    tree: exp.Expr | None = None

    @property
    def columns(self) -> set[str]:
        """Names it uses, in lower case."""
        return {c.name.lower() for c in self.tree.find_all(exp.Column)} if self.tree else set()


def condition(where: Where, columns: Sequence[str], table: str) -> Condition:
    """Check a condition; raises QueryError. where: SQL, or column -> value, None (is null) or a list of them."""
    if where is None:
        return Condition()
    if isinstance(where, Mapping):
        parts = [_equals(column_named(str(name), columns, table), value) for name, value in where.items()]
        return _checked(" AND ".join(parts), columns, table) if parts else Condition()
    if not isinstance(where, str):
        raise QueryError(
            f'where is {where!r}: give an SQL condition, for example "price > 50", or a dict of column: value'
        )
    return _checked(where, columns, table)


def column_named(name: str, columns: Sequence[str], table: str) -> str:
    """The column of that name, whatever its case; raises QueryError with the nearest names."""
    by_lower = {c.lower(): c for c in columns}
    found = by_lower.get(name.strip().lower())
    if found is not None:
        return found
    near = [by_lower[n] for n in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(columns)}"
    raise QueryError(f"{table} has no column {name!r}: {hint}")


def day_bounds(found: Condition, columns: Mapping[str, timedelta]) -> tuple[date | None, date | None]:
    """First and last day a row can have for which the condition holds, as far as it says so; None = open.

    columns: those that tell the day, each with how far its own date may lie from it.
    """
    first: date | None = None
    last: date | None = None
    for part in _conjuncts(found.tree):
        for column, low, high in _ranges(part):
            margin = columns.get(column)
            if margin is None:
                continue
            if low is not None:
                first = max(first or date.min, _moved(low, -margin))
            if high is not None:
                last = min(last or date.max, _moved(high, margin))
    return first, last


def _moved(day: date, by: timedelta) -> date:
    try:
        return day + by
    except OverflowError:
        return day


def _checked(text: str, columns: Sequence[str], table: str) -> Condition:
    if not text.strip():
        raise QueryError('the condition is empty: leave it away, or give one, for example "price > 50"')
    try:
        # The type of an expression, not of a statement: whatever follows it, or ends it, is refused.
        tree = sqlglot.parse_one(text, read="duckdb", into=exp.Condition)
    except sqlglot.errors.SqlglotError:
        raise QueryError(
            f"{text!r} is not one condition in DuckDB's dialect: give what could follow WHERE, "
            "for example \"price > 50 AND dataProvider = 'APXMIDP'\""
        ) from None
    if tree.find(exp.Query, exp.Table):
        raise QueryError(f"{text!r} asks a table: a condition is about {table}'s own columns (use sql for more)")
    if tree.find(exp.Placeholder, exp.Parameter, exp.Star):
        raise QueryError(f"{text!r} has a placeholder or a *: name columns and write values out")
    for column in tree.find_all(exp.Column):
        try:
            column_named(column.name, columns, table)
        except QueryError as error:
            quoted = isinstance(column.this, exp.Identifier) and column.this.quoted
            hint = f" (text stands in single quotes: '{column.name}')" if quoted else ""
            raise QueryError(f"{error}{hint}") from None
    return Condition(text, tree)


def _equals(column: str, value: Any) -> str:
    name = '"' + column.replace('"', '""') + '"'
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | set | frozenset):
        return f"{name} IS NULL" if value is None else f"{name} = {_literal(column, value)}"
    given = [v for v in value if v is not None]
    parts = [f"{name} IN ({', '.join(_literal(column, v) for v in given)})"] if given else []
    if len(given) < len(value):
        parts.append(f"{name} IS NULL")
    return "(" + " OR ".join(parts) + ")" if parts else "false"


def _literal(column: str, value: Any) -> str:
    value = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise QueryError(f"where: the time {value} of {column} has no zone: give an aware datetime")
        return f"TIMESTAMPTZ '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    raise QueryError(f"where: {column} cannot be compared with {value!r}: give text, numbers, days or times")


def _conjuncts(tree: exp.Expr | None) -> Iterator[exp.Expr]:
    """The parts all of which must hold."""
    if isinstance(tree, exp.Paren):
        yield from _conjuncts(tree.this)
    elif isinstance(tree, exp.And):
        yield from _conjuncts(tree.left)
        yield from _conjuncts(tree.right)
    elif tree is not None:
        yield tree


def _ranges(part: exp.Expr) -> Iterator[tuple[str, date | None, date | None]]:
    """(column, least day, greatest day) that a comparison with written days means; nothing of other expressions."""
    column, low, high = None, None, None
    if isinstance(part, exp.Between) and not part.args.get("symmetric"):
        column, low, high = part.this, _day(part.args.get("low")), _day(part.args.get("high"))
    elif isinstance(part, exp.In):
        days = [_day(e) for e in part.expressions]
        known = [d for d in days if d is not None]
        if known and len(known) == len(days):
            column, low, high = part.this, min(known), max(known)
    elif isinstance(part, exp.EQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
        turned = isinstance(part.right, exp.Column)
        column, day = (part.right, _day(part.left)) if turned else (part.left, _day(part.right))
        above = isinstance(part, exp.LT | exp.LTE) if turned else isinstance(part, exp.GT | exp.GTE)
        equal = isinstance(part, exp.EQ)
        low, high = (day if equal or above else None), (day if equal or not above else None)
    if isinstance(column, exp.Column) and (low or high):
        yield column.name.lower(), low and low[0], high and high[1]


def _day(value: exp.Expr | None) -> tuple[date, date] | None:
    """Least and greatest day that a written day, or an instant of any zone, can mean."""
    while isinstance(value, exp.Cast | exp.Paren):
        value = value.this
    if not (isinstance(value, exp.Literal) and value.is_string):
        return None
    text = value.name.strip()
    try:
        day = date.fromisoformat(text[:10])
        return (day, day) if len(text) == 10 else (day - _ONE, day + _ONE)
    except (ValueError, OverflowError):
        return None
