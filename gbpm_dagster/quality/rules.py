"""What a valid row is: types and keys from the catalogue, and the market's rules, as one pandera schema a table.

Belongs here: rules (market/domain.md 8.2). Not here: reading rows or wording results (`validity`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl

from gbpm_dagster.catalogue.members import FUELS, PSR_TYPES
from gbpm_dagster.catalogue.model import Dataset, Kind
from gbpm_dagster.market import calendar
from gbpm_dagster.market.calendar import HALF_HOUR, day_bounds, periods_in_day
from gbpm_dagster.quality.judged import fingerprint
from gbpm_dagster.quality.result import ERROR, WARN
from gbpm_dagster.warehouse.protocol import DAY, INSTANT, POLARS_TYPE

if TYPE_CHECKING:
    import pandera.polars as pa

LONDON = "Europe/London"
ONE_PRICE_SINCE = date(2015, 11, 5)  # P305
PRICE_TOLERANCE = 0.01 + 1e-9  # GBP/MWh (decision 9); the rest is float noise

_DATE, _PERIODS, _START = "_rule_date", "_rule_periods", "_rule_start"


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on rows: `ok` is true, or null where the row does not say."""

    name: str
    severity: str
    meaning: str
    ok: pl.Expr


def rules_for(dataset: Dataset) -> list[Rule]:
    """All rules that apply to a table; evaluate them on `with_calendar(rows, dataset)`."""
    return [*_keys(dataset), *_calendar(dataset), *_members(dataset), *_codes(dataset), *_ranges(dataset)]


def with_calendar(frame: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Adds each row's settlement date, its number of periods and its period's start, where the table has them."""
    day = _settlement_date(dataset)
    if day is None:
        return frame
    frame = frame.with_columns(day.alias(_DATE))
    dates = frame[_DATE].drop_nulls().unique().to_list()
    known = pl.DataFrame(
        {_DATE: dates, _PERIODS: [periods_in_day(d) for d in dates], _START: [day_bounds(d)[0] for d in dates]},
        schema={_DATE: pl.Date, _PERIODS: pl.Int64, _START: INSTANT},
    )
    return frame.join(known, on=_DATE, how="left", maintain_order="left").with_columns(
        pl.col(_START) + HALF_HOUR * (pl.col("settlementPeriod") - 1)
    )


def required(dataset: Dataset) -> frozenset[str]:
    """Key columns that may not be null by themselves."""
    fallback = dict(dataset.unit_fallback)
    return frozenset(k for k in dataset.key if k not in fallback and k not in dataset.nullable_key)


def schema(dataset: Dataset) -> pa.DataFrameSchema:
    """The pandera schema (polars backend) of a table: types, keys that are not null, and `rules_for`.

    Validate eager frames only: on a LazyFrame pandera missed a bad row (lake-notes.md).
    """
    import pandera.polars as pa  # slow to import, and only this needs it

    needed = required(dataset)
    return pa.DataFrameSchema(
        columns={c.name: pa.Column(POLARS_TYPE[c.kind], nullable=c.name not in needed) for c in dataset.columns},
        checks=[pa.Check(_predicate(r.ok), name=r.name, error=r.name) for r in rules_for(dataset)],
        name=dataset.table,
    )


def print_of(dataset: Dataset) -> str:
    """Changes whenever a row of the table could be judged otherwise: with its columns, its rules or this code."""
    columns = [(c.name, str(POLARS_TYPE[c.kind])) for c in dataset.columns]
    rules = [(r.name, r.severity, r.meaning, r.ok.meta.serialize().hex()) for r in rules_for(dataset)]
    return fingerprint((calendar, sys.modules[__name__]), columns, sorted(required(dataset)), rules)


def _predicate(ok: pl.Expr) -> Callable[[Any], pl.LazyFrame]:
    def holds(data: Any) -> pl.LazyFrame:
        frame: pl.LazyFrame = data.lazyframe
        return frame.select(ok.fill_null(True).alias("ok"))

    return holds


def _settlement_date(dataset: Dataset) -> pl.Expr | None:
    """The settlement date of a row that has a settlement period, from its own field or the start of its period."""
    names = set(dataset.names)
    if "settlementPeriod" not in names:
        return None
    if "settlementDate" in names:
        return pl.col("settlementDate")
    if "startTime" in names:
        return pl.col("startTime").dt.convert_time_zone(LONDON).dt.date()
    return None


def _keys(dataset: Dataset) -> list[Rule]:
    return [
        Rule(
            f"{k} or {other}",
            ERROR,
            f"neither {k} nor {other} names the row's unit",
            pl.coalesce(k, other).is_not_null(),
        )
        for k, other in dataset.unit_fallback
        if k in dataset.key and k not in dataset.nullable_key
    ]


def _calendar(dataset: Dataset) -> list[Rule]:
    names = set(dataset.names)
    rules = []
    if _settlement_date(dataset) is not None:
        period = pl.col("settlementPeriod").is_between(1, pl.col(_PERIODS))
        rules.append(Rule("settlement period", ERROR, "the settlement day has no such period", period))
        if "startTime" in names:
            start = pl.col("startTime") - pl.col(_START)
            inside = (start >= pl.duration()) & (start < HALF_HOUR)
            whole = dataset.completeness.rows_per_period == 1
            meaning = f"startTime is {'not the start of' if whole else 'outside'} its settlement period"
            rules.append(Rule("start time", ERROR, meaning, start == pl.duration() if whole else inside))
    if dataset.partition_field:
        value = pl.col(dataset.partition_field)
        if dataset.column(dataset.partition_field).kind is Kind.INSTANT:
            value = value.dt.convert_time_zone(LONDON).dt.date()
        meaning = f"{dataset.partition_field} is not of the London day the row is stored under"
        rules.append(Rule("partition", ERROR, meaning, value == pl.col(DAY)))
    return rules


def _members(dataset: Dataset) -> list[Rule]:
    """Names nobody has declared (domain.md 2.2). One seen before its first whole day is welcome, and not reported."""
    rule = dataset.completeness
    if not rule.members:
        return []
    known = pl.col(rule.member_column).is_in([m.name for m in rule.members])
    return [Rule("unexpected_member", WARN, f"{rule.member_column} is none that the catalogue knows", known)]


def _codes(dataset: Dataset) -> list[Rule]:
    """Codes of fuels that the catalogue does not list (domain.md 8.2), where `_members` does not judge them."""
    known: dict[str, set[str]] = {}
    if "fuelType" in dataset.names:  # REMIT names transparency types
        known["fuelType"] = {m.name for m in (*FUELS, *PSR_TYPES)}
    if "psrType" in dataset.names and dataset.family == "generation":
        known["psrType"] = {m.name for m in PSR_TYPES}
    if dataset.completeness.members:
        known.pop(dataset.completeness.member_column, None)
    return [
        Rule(f"{name} known", WARN, f"{name} is no code that the catalogue lists", pl.col(name).is_in(sorted(names)))
        for name, names in known.items()
    ]


def _ranges(dataset: Dataset) -> list[Rule]:
    names = set(dataset.names)
    rules = []
    for column in dataset.columns:
        value = pl.col(column.name)
        if column.unit == "Hz":
            rules.append(Rule(column.name, WARN, "frequency outside 45 to 55 Hz", value.is_between(45, 55)))
        elif column.unit == "GBP/MWh":
            rules.append(Rule(column.name, WARN, "price beyond 99,999 GBP/MWh", value.abs() <= 99_999))
        elif column.unit == "MW" and names & {"fuelType", "psrType"} and column.name in ("generation", "quantity"):
            inside = value.is_between(-15_000, 60_000)
            rules.append(Rule(column.name, WARN, "output outside -15,000 to 60,000 MW", inside))
    if {"systemSellPrice", "systemBuyPrice"} <= names:
        apart = (pl.col("systemSellPrice") - pl.col("systemBuyPrice")).abs()
        ok = (apart <= PRICE_TOLERANCE) | (pl.col("settlementDate") < ONE_PRICE_SINCE)
        rules.append(Rule("SSP = SBP", WARN, "system sell and buy price differ by more than 0.01 GBP/MWh", ok))
    if {"timeFrom", "timeTo"} <= names:
        ok = pl.col("timeFrom") < pl.col("timeTo")
        rules.append(Rule("timeFrom < timeTo", WARN, "timeFrom is not before timeTo", ok))
    return rules
