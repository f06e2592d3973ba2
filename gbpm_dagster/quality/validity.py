"""The check of validity: stored rows against the pandera schema of their table.

Belongs here: reading rows in bounded batches and collecting offenders. Not here: the rules (`rules`), what is
remembered between two checks (`judged`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset, Grain
from gbpm_dagster.quality.cross import Others, Register
from gbpm_dagster.quality.judged import Judged, Offence
from gbpm_dagster.quality.result import (
    ERROR,
    SAMPLE,
    VALIDITY,
    WARN,
    CheckResult,
    batches,
    count,
    nothing_to_check,
    plain,
)
from gbpm_dagster.quality.rules import print_of, required, rules_for, schema, with_calendar
from gbpm_dagster.warehouse.protocol import DAY, Warehouse

if TYPE_CHECKING:
    from pandera.errors import SchemaError, SchemaErrors

BATCH_ROWS = 1_000_000
"""Rows validated at once: bounds memory (about 300 MB for the widest tables)."""

TYPES, NULL_KEY = "types", "key not null"


@dataclass(frozen=True, slots=True)
class _Aside:
    """What is not in the rows: those in quarantine by reason, columns no answer had by days."""

    quarantined: dict[str, int]
    absent: dict[str, int]
    recorded: bool


def check_validity(
    warehouse: Warehouse,
    dataset: Dataset,
    days: Sequence[date],
    recorded: bool = False,
    judged: Judged | None = None,
    anew: bool = False,
    register: Register | None = None,
) -> CheckResult:
    """Types, keys and the market's rules, also those that look into other tables (cross), over the stored rows of the
    days; rows in quarantine are a warning, and so are columns that answers did not have, except of recordings (they
    may be restored; then details name them).

    Severity ERROR for types, keys and calendar, WARN for ranges. Of a snapshot table the newest list is checked.
    judged: remembers what was found; a day whose evidence and rules are as then is not read again (for some weeks),
    and what was found on it is said again. anew: read every row of the days all the same.
    register: shared by the checks of many tables, so that it is read once.
    Raises WarehouseError if the rows cannot be read.
    """
    evidence = warehouse.evidence([dataset.table]).select("day", "rows", "content_hash", "absent_columns")
    held = dict(evidence.select("day", "rows").iter_rows())
    wanted = [max(held)] if dataset.grain is Grain.SNAPSHOT and held else sorted(set(days) & held.keys())
    if not wanted:
        return nothing_to_check(dataset.table, VALIDITY, "nothing is stored for the wanted days yet")
    table, register = dataset.table, register or Register(warehouse)
    others = Others(warehouse, dataset, register)
    rules = print_of(dataset) + others.print_of() if judged else ""
    known = others.still(judged.known(VALIDITY, table, rules, others.marked(evidence))) if judged and not anew else {}
    unread = [day for day in wanted if day not in known]
    fresh = _read(warehouse, dataset, unread, held, others)
    if judged and unread:
        after = Others(warehouse, dataset, register).marked(warehouse.evidence([table]))
        judged.learn(VALIDITY, table, rules, fresh, before=others.marked(evidence), after=after)
    found = {day: judgement.offences for day, judgement in known.items()} | fresh
    offences: dict[str, Offence] = {}
    for day in wanted:
        for name, said in found[day].items():
            offences.setdefault(name, Offence(said.severity, said.meaning)).add(said.rows, said.sample)
    aside = _Aside(_quarantined(warehouse, dataset, wanted), _absent(dataset, evidence, wanted), recorded)
    return _result(dataset, sum(held[day] for day in wanted), len(wanted), len(unread), offences, aside)


def _read(
    warehouse: Warehouse, dataset: Dataset, days: Sequence[date], held: Mapping[date, int], others: Others
) -> dict[date, dict[str, Offence]]:
    """What the rows of each of those days break, by rule; an empty dict for a day that is clean."""
    found: dict[date, dict[str, Offence]] = {}
    for part in batches(days, held, BATCH_ROWS):
        frame = warehouse.read(dataset, part[0], part[-1], columns=[*dataset.names, DAY])
        rows = frame.filter(pl.col(DAY).is_in(part))
        broken = inspect(dataset, rows)
        beside = others.inspect(rows) if not any(TYPES in said for said in broken.values()) else {}
        found |= {day: broken.get(day, {}) | beside.get(day, {}) for day in part}
    return found


def inspect(dataset: Dataset, rows: pl.DataFrame) -> dict[date, dict[str, Offence]]:
    """Validate one eager frame (dataset's columns and `_day`): the days on which something is wrong, by rule name."""
    from pandera.errors import SchemaErrors  # slow to import

    try:
        frame = with_calendar(rows, dataset)
    except pl.exceptions.PolarsError:
        frame = rows  # a column is absent or of a wrong type: the schema says which
    try:
        schema(dataset).validate(frame, lazy=True)
    except SchemaErrors as errors:
        return _collect(dataset, frame, errors)
    return {}


def _collect(dataset: Dataset, frame: pl.DataFrame, errors: SchemaErrors) -> dict[date, dict[str, Offence]]:
    """Pandera says which rules are broken; the rows are found again to count and show them exactly."""
    by_reason: dict[str, list[SchemaError]] = {}
    for error in errors.schema_errors:
        by_reason.setdefault(error.reason_code.name if error.reason_code else "", []).append(error)
    found: dict[date, dict[str, Offence]] = {}
    if "SERIES_CONTAINS_NULLS" in by_reason:
        bad = frame.filter(pl.any_horizontal(pl.col(sorted(required(dataset))).is_null()))
        _add(found, NULL_KEY, ERROR, "a column of the natural key is null", bad.select(DAY, *dataset.names))
    broken = {str(getattr(e.check, "name", "")) for e in by_reason.get("DATAFRAME_CHECK", ())}
    for rule in rules_for(dataset):
        if rule.name in broken:
            bad = frame.filter(~rule.ok.fill_null(True))
            _add(found, rule.name, rule.severity, rule.meaning, bad.select(DAY, *dataset.names))
    types = [*by_reason.get("WRONG_DATATYPE", ()), *by_reason.get("COLUMN_NOT_IN_DATAFRAME", ())]
    for error in types or (errors.schema_errors if not found else ()):  # whatever it is, it is said
        problem = pl.lit(" ".join(str(error).split())[:200]).alias("problem")
        _add(found, TYPES, ERROR, "a column is absent or of another type", frame.select(DAY, problem), shown=1)
    return found


def _add(
    found: dict[date, dict[str, Offence]],
    name: str,
    severity: str,
    meaning: str,
    bad: pl.DataFrame,
    shown: int = SAMPLE,
) -> None:
    """bad: `_day` and what is shown of each row that breaks the rule."""
    for day, rows in bad.partition_by(DAY, as_dict=True, include_key=False).items():
        offence = found.setdefault(day[0], {}).setdefault(name, Offence(severity, meaning))
        offence.add(rows.height, plain(rows.head(shown).iter_rows(named=True)))


def _quarantined(warehouse: Warehouse, dataset: Dataset, days: Sequence[date]) -> dict[str, int]:
    """Rows in quarantine on these days, by reason."""
    found = warehouse.quarantine([dataset.table]).filter(pl.col("day").is_in(list(days)))
    counts = found.group_by("reason").len().sort("len", descending=True)
    return {str(reason): int(n) for reason, n in counts.iter_rows()}


def _absent(dataset: Dataset, evidence: pl.DataFrame, days: Sequence[date]) -> dict[str, int]:
    """Columns that answers of these days did not have: on how many days. None where a path leaves out nulls."""
    if dataset.endpoint.omits_nulls:
        return {}
    lists = evidence.filter(pl.col("day").is_in(list(days)) & (pl.col("rows") > 0)).select("absent_columns")
    found = lists.explode("absent_columns", empty_as_null=True).drop_nulls().to_series().value_counts()
    return {str(name): int(n) for name, n in sorted(found.iter_rows(), key=lambda c: (-c[1], c[0]))}


def _result(
    dataset: Dataset, rows: int, days: int, read: int, offences: dict[str, Offence], aside: _Aside
) -> CheckResult:
    worst_first = sorted(offences.items(), key=lambda o: (o[1].severity != ERROR, -o[1].rows, o[0]))
    said = [f"{count(o.rows, 'row')}: {o.meaning}" for _, o in worst_first]
    details: dict[str, Any] = {"days": days, "rows": rows, "days read": read}
    if worst_first:
        details["offences"] = {
            name: {"severity": o.severity, "meaning": o.meaning, "rows": o.rows, "first": o.sample}
            for name, o in worst_first
        }
    if aside.quarantined:
        said.append(f"{count(sum(aside.quarantined.values()), 'row')} in quarantine")
        details["quarantined"] = aside.quarantined
    if aside.absent:
        details["columns the answers did not have, by days"] = aside.absent
        if not aside.recorded:
            said.append(
                f"the answers did not have {', '.join(aside.absent)} ({count(max(aside.absent.values()), 'day')})"
            )
    if said:
        details["next step"] = (
            f"look at the rows named here; gbpm backfill {dataset.table} --from DAY --to DAY asks for a day again"
        )
    severity = ERROR if any(o.severity == ERROR for o in offences.values()) else WARN
    summary = "; ".join(said) or f"{count(rows, 'row')} on {count(days, 'day')} hold every rule"
    return CheckResult(dataset.table, VALIDITY, not said, severity if said else ERROR, summary, details=details)
