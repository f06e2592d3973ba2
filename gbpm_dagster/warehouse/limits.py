"""Export and import limits (MELS, MILS): from declarations to the position that holds, in SQL.

Belongs here: the rules of iris.md 7 as one SELECT in the portable part of DuckDB's dialect. Not here: where it is
used (unified).

The stream has declarations, each as received; the history has the position Elexon has resolved from them. A row of
either says: from then to then this level, declared under this sequence at this time. So rows of both are overlaid by
one rule: of those that cover an instant the higher `notificationSequence` holds, then the later `notificationTime`,
then the history's row. Levels are copied, never interpolated; what sticks out of an older row stays, cut; pieces are
joined only within a settlement period, and if unit, sequence and both levels are equal.
"""

from __future__ import annotations

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.streams import IRIS
from gbpm_dagster.warehouse import views
from gbpm_dagster.warehouse.protocol import DAY, FETCHED_AT, SOURCE
from gbpm_dagster.warehouse.views import ident, rows_of

_COMPUTED = {
    DAY: '"_date"',
    "settlementDate": '"_date"',
    "settlementPeriod": '"_period"',
    "timeFrom": 'MIN("_a")',
    "timeTo": 'MAX("_b")',
}

_KEPT = ("levelFrom", "levelTo", "notificationSequence", "notificationTime")
"""What pieces that are joined have in common."""

_FIRST = (
    '"notificationSequence" DESC NULLS LAST, "notificationTime" DESC NULLS LAST, '
    f"CASE WHEN {ident(SOURCE)} = 'REST' THEN 1 ELSE 0 END DESC, {ident(FETCHED_AT)} DESC"
)
"""The order of authority of rows that cover one instant."""


def resolved(dataset: Dataset) -> str:
    """The positions: of days the stream has nothing of the history's rows as they are, of others those of both."""
    history, stream = rows_of(dataset.table), rows_of(dataset.table + IRIS)
    shown = ", ".join(map(ident, views.shown(dataset)))
    streamed = f"SELECT {ident(DAY)} FROM {stream}"
    unit = 'COALESCE("nationalGridBmUnit", "bmUnit") AS "_unit"'
    window = 'OVER (PARTITION BY "_unit", "_half" ORDER BY "_a" ASC NULLS FIRST)'
    same = " AND ".join(f"LAG({ident(c)}) {window} = {ident(c)}" for c in _KEPT)
    out, grouped = _joined(dataset)
    return f"""
SELECT {shown} FROM {history} WHERE {ident(DAY)} NOT IN ({streamed})
UNION ALL
SELECT {shown} FROM (
WITH said AS (
  SELECT {shown}, {unit} FROM {history} WHERE {ident(DAY)} IN ({streamed})
  UNION ALL
  SELECT {shown}, {unit} FROM {stream}
), halves AS (
  SELECT "_half", MIN("settlementDate") AS "_date", MIN("settlementPeriod") AS "_period"
  FROM (SELECT {_half('"timeFrom"')} AS "_half", "settlementDate", "settlementPeriod" FROM said) AS f
  GROUP BY "_half"
), cuts AS (
  SELECT "_unit", "timeFrom" AS "_a" FROM said
  UNION DISTINCT SELECT "_unit", "timeTo" FROM said
  UNION DISTINCT SELECT u."_unit", h."_half" FROM (SELECT DISTINCT "_unit" FROM said) AS u CROSS JOIN halves AS h
), pieces AS (
  SELECT "_unit", "_a", LEAD("_a") OVER (PARTITION BY "_unit" ORDER BY "_a" ASC NULLS FIRST) AS "_b" FROM cuts
), held AS (
  SELECT p."_a", p."_b", s.*
  FROM pieces AS p INNER JOIN said AS s ON s."_unit" = p."_unit" AND s."timeFrom" <= p."_a" AND s."timeTo" >= p."_b"
  QUALIFY ROW_NUMBER() OVER (PARTITION BY p."_unit", p."_a" ORDER BY {_FIRST}) = 1
), placed AS (
  SELECT h.* EXCLUDE ("settlementDate", "settlementPeriod", {ident(DAY)}), f."_half", f."_date", f."_period"
  FROM held AS h INNER JOIN halves AS f ON f."_half" = {_half('h."_a"')}
), marked AS (
  SELECT *, CASE WHEN LAG("_b") {window} = "_a" AND {same} THEN 0 ELSE 1 END AS "_new" FROM placed
), runs AS (
  SELECT *, SUM("_new") OVER (
    PARTITION BY "_unit", "_half" ORDER BY "_a" ASC NULLS FIRST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS "_run"
  FROM marked
)
SELECT {out} FROM runs GROUP BY {grouped}
) AS r
""".strip()


def _half(instant: str) -> str:
    """The half hour that an instant lies in, by its beginning: those of UTC are those of London."""
    hour = f"DATE_TRUNC('HOUR', {instant})"
    return f"CASE WHEN EXTRACT(MINUTE FROM {instant}) >= 30 THEN {hour} + INTERVAL 30 MINUTE ELSE {hour} END"


def _joined(dataset: Dataset) -> tuple[str, str]:
    """The columns of joined pieces, and by what pieces are joined."""
    out = []
    for name in views.shown(dataset):
        if name in _COMPUTED:
            out.append(f"{_COMPUTED[name]} AS {ident(name)}")
        else:
            out.append(ident(name) if name in _KEPT else f"MAX({ident(name)}) AS {ident(name)}")
    grouped = ('"_unit"', '"_half"', '"_run"', '"_date"', '"_period"', *map(ident, _KEPT))
    return ", ".join(out), ", ".join(grouped)
