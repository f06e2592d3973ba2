"""Views of the catalogue in a query become the SELECTs they stand for.

Belongs here: that one rewriting of a query's tree, the same for every dialect and engine. Not here: the views
themselves (catalogue.views), tables and running (query).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlglot
from sqlglot import exp

from gbpm_dagster.catalogue.views import VIEWS, View
from gbpm_dagster.warehouse.protocol import QueryError

REWRITTEN = "requalified"
"""`meta` of a node by which query.run knows that the text must be made anew from the tree."""


def expand(tree: exp.Query, views: Mapping[str, View] = VIEWS) -> exp.Query:
    """The query with every view it names, qualified or not, replaced in place by its SELECT under the same alias.

    Views may stand on views. A name that the query gives to a CTE of its own is the CTE's, but for the inside of that
    CTE. Raises QueryError where such a CTE has the name of a table behind a view, which would then read the CTE.
    """
    own = {c.alias.lower() for c in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        name = table.name.lower()
        if name in views and not isinstance(table.this, exp.Func) and not (name in own and not _within(table, name)):
            table.replace(_derived(table, views[name], views, own))
    return tree


def _within(table: exp.Table, name: str) -> bool:
    """Whether a table is named in the definition of the CTE of that name, where it cannot mean the CTE."""
    parent = table.find_ancestor(exp.CTE)
    while parent is not None and parent.alias.lower() != name:
        parent = parent.find_ancestor(exp.CTE)
    return parent is not None


def _derived(table: exp.Table, view: View, views: Mapping[str, View], own: Collection[str]) -> exp.Subquery:
    parsed = sqlglot.parse_one(view.select, read="duckdb")
    assert isinstance(parsed, exp.Query), view.name
    select = expand(parsed, views)
    for inner in select.find_all(exp.Table):
        if inner.name.lower() in own:
            raise QueryError(
                f"{view.name} reads the table {inner.name}, and the query has a CTE of that name: rename the CTE"
            )
        inner.meta[REWRITTEN] = True
    found = exp.Subquery(this=select, alias=exp.TableAlias(this=table.this.copy()))
    for part, value in table.args.items():  # alias, joins, sample and what else may follow a name in FROM
        if value and part != "this" and part in exp.Subquery.arg_types:
            found.set(part, value)
    return found
