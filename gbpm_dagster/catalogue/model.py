"""What a catalogue entry is: `Dataset`, `Column`, `Endpoint` and their parts.

Belongs here: the shape of a declaration and what follows from it alone. Not here: the entries (one module a
family), how a request is planned (`elexon`), how completeness is judged (`quality`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum


class Kind(StrEnum):
    """Type of a column. Numbers are float64 or int64, dates DATE, instants UTC timestamps (decision 1)."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    INSTANT = "instant"
    JSON = "json"  # a nested list or object, kept as its JSON text


class Style(StrEnum):
    """How a path is asked (elexon/rest-api.md section 2)."""

    RANGE = "range"  # two instants, both ends included
    DATES = "dates"  # two dates, both included
    DATE = "date"  # one settlement date, in the path or the query
    PERIOD = "period"  # one settlement date and period
    NONE = "none"  # no window: the present list


class Grain(StrEnum):
    DAILY = "daily"  # London days of `Dataset.partition_field`
    SNAPSHOT = "snapshot"  # unpartitioned; each day's list is kept


class Tier(StrEnum):
    CORE = "core"
    STANDARD = "standard"
    OPTIONAL = "optional"


class Rule(StrEnum):
    """What makes a day complete (market/domain.md 2.1)."""

    PERIODS = "periods"  # classes A, B, C: so many rows in each settlement period
    EVENTS = "events"  # class E: every window answered; emptiness is legal
    SNAPSHOT = "snapshot"  # class F: one list a refresh interval


UNIT_SUFFIX = {"MW": "_mw", "MWh": "_mwh", "GBP": "_gbp", "GBP/MWh": "_gbp_per_mwh", "Hz": "_hz"}

FULL_FLOOR = 50
"""A floor of so many rows a day or more means at least one in each of its (at most 50) periods."""

PERIOD_START = "@period"
"""`Endpoint.selects` of paths that select whole settlement periods: the start of (settlementDate, settlementPeriod)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column, under Elexon's own field name.

    `nullable` is the OpenAPI document's word; a field that is absent is null unless it is part of the key.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    nullable: bool = True

    @property
    def derived_name(self) -> str:
        """The name in derived tables: snake_case with the unit's suffix (decision 1)."""
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name).lower().replace("date_time", "datetime")
        suffix = UNIT_SUFFIX.get(self.unit, "")
        return snake if snake.endswith(suffix) else snake + suffix


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path and how its window is asked.

    params: the names of the window's parameters, in order (RANGE, DATES: from, to; DATE: date; PERIOD: date, period).
    cap: the longest window one call may span, both ends included; None where the path has no window.
    selects: the column by which the window selects rows, or PERIOD_START.
    rows_at: name of a list nested in each row whose elements are the table's rows ("" = the rows themselves).
    omits_nulls: the path leaves out fields that are null, so that a column no row has says nothing.
    """

    path: str
    style: Style
    params: tuple[str, ...] = ()
    selects: str = ""
    cap: timedelta | None = None
    cap_source: str = ""
    fixed: tuple[tuple[str, str], ...] = ()
    rows_at: str = ""
    omits_nulls: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a set that every period must have (a fuel, a provider), from its first whole day on."""

    name: str
    first_day: date = date.min
    last_day: date = date.max


@dataclass(frozen=True, slots=True)
class Completeness:
    """The rule that says a day is complete.

    rows_per_period: rows a settlement period has for each member (FREQ 120, FUELINST 6, else 1).
    member_column, members: the column that names the member and the declared members, if any. Without declared
        members a period needs `rows_per_period` rows in all.
    values: a row in which one of these is null does not count.
    floor: fewer rows a day than this is suspicious (a warning, never a gap); 0 = no floor.
    """

    rule: Rule
    rows_per_period: int = 1
    member_column: str = ""
    members: tuple[Member, ...] = ()
    values: tuple[str, ...] = ()
    floor: int = 0

    def members_on(self, day: date) -> tuple[str, ...]:
        """Names of the members declared for that London day, in order of declaration."""
        return tuple(m.name for m in self.members if m.first_day <= day <= m.last_day)

    def expected_rows(self, day: date) -> int:
        """Rows each settlement period of that day must have (0 for rules that do not count periods)."""
        if self.rule is not Rule.PERIODS:
            return 0
        return self.rows_per_period * (len(self.members_on(day)) if self.members else 1)


@dataclass(frozen=True, slots=True)
class Lag:
    """When a slot that ended at e is due, late and missing: e + lag, + grace, + missing (domain.md 2.3)."""

    lag: timedelta
    grace: timedelta
    missing: timedelta

    @classmethod
    def minutes(cls, lag: int, grace: int, missing: int) -> Lag:
        return cls(timedelta(minutes=lag), timedelta(minutes=grace), timedelta(minutes=missing))


@dataclass(frozen=True, slots=True)
class Freshness:
    """Age limits of the newest `column` value (domain.md 8.3); an empty column means age of the last answer."""

    rule: str
    warn: timedelta
    fail: timedelta
    column: str = ""

    @classmethod
    def minutes(cls, rule: str, warn: int, fail: int, column: str = "") -> Freshness:
        return cls(rule, timedelta(minutes=warn), timedelta(minutes=fail), column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Everything there is to say about one table.

    key: the natural key (JSON names). `unit_fallback` maps a key column to the column that stands in when it is
        null (nationalGridBmUnit -> bmUnit); nulls in `nullable_key` columns compare as equal, any other null key
        sends the row to quarantine.
    version: columns that say which vintage is newer, left to right, null lowest; then the time of receipt.
    partition_field: the column whose London day is the partition ("" for snapshots).
    first_day: the first day the source is known to have (a proposal where the notes say so).
    rows_per_day: a typical day, for estimates only.
    """

    table: str
    code: str
    family: str
    title: str
    description: str
    endpoint: Endpoint
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    completeness: Completeness
    lag: Lag
    freshness: Freshness
    version: tuple[str, ...] = ()
    partition_field: str = ""
    grain: Grain = Grain.DAILY
    first_day: date = date(2016, 1, 1)
    tier: Tier = Tier.CORE
    rows_per_day: int = 0
    bytes_per_row: int = 200
    unit_fallback: tuple[tuple[str, str], ...] = ()
    nullable_key: tuple[str, ...] = ()
    version_order: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    iris_code: str = ""
    notes: tuple[str, ...] = ()
    importance: int = 5  # 1 = heal first

    def column(self, name: str) -> Column:
        """The column of that name; KeyError with the table's name if there is none."""
        for c in self.columns:
            if c.name == name:
                return c
        raise KeyError(f"{self.table} has no column {name!r}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of the key and those that stand in for them."""
        fallback = dict(self.unit_fallback)
        return tuple(dict.fromkeys(n for k in self.key for n in (k, fallback.get(k, k))))

    @property
    def has_period(self) -> bool:
        """True when a row names its settlement period itself."""
        return {"settlementDate", "settlementPeriod"} <= set(self.names)

    @property
    def counts_periods(self) -> bool:
        """True when evidence counts the rows of each settlement period.

        So it does of events whose floor means rows in every period (BOD): a day of theirs may be empty, an empty
        period among others with rows is doubtful.
        """
        rule = self.completeness
        return rule.rule is Rule.PERIODS or (
            rule.rule is Rule.EVENTS and self.has_period and rule.floor >= FULL_FLOOR
        )


@dataclass(frozen=True, slots=True)
class Family:
    """A group of tables with a title, as the Dagster UI and the docs show it."""

    name: str
    title: str
    datasets: tuple[Dataset, ...] = field(default_factory=tuple)
