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
    SPAN = "span"  # two dates and two periods (from date, from period, to date, to period), all included
    DATE = "date"  # one settlement date, in the path or the query
    PERIOD = "period"  # one settlement date and period
    INSTANT = "instant"  # one publish time: the publication that was newest then
    SEASON = "season"  # the year in which a Triad season begins: 1 November to the end of February
    IDS = "ids"  # ids that another table lists, several a call
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
    DAILY = "daily"  # class D, and what is kept by publication: at least one row each London day
    EVENTS = "events"  # class E: every window answered; emptiness is legal
    SNAPSHOT = "snapshot"  # class F: one list a refresh interval


DOUBT = "?"
"""What ends a unit or a meaning that is inferred and not yet settled by evidence."""

UNIT_SUFFIX = {
    "MW": "_mw",
    "MWh": "_mwh",
    "kWh": "_kwh",
    "GBP": "_gbp",
    "GBP/MWh": "_gbp_per_mwh",
    "GBP/MW": "_gbp_per_mw",
    "MW/min": "_mw_min",
    "Hz": "_hz",
    "kV": "_kv",
    "degC": "_c",
    "percent": "_pct",
    "minutes": "_min",
    "hours": "_h",
}

_NESTED = {"pairVolumes": "pair_volume", "bidOfferPairCashflows": "pair_cashflow"}
"""Derived names of nested objects whose members are columns."""

INFERABLE = ("first_day", "rows_per_day", "published")
"""Facts of an entry that may be proposals (`Dataset.inferred`)."""

TYPICAL_VALUE = 14
"""Bytes of a value in JSON with its quotes, colon and comma."""

FULL_FLOOR = 50
"""A floor of so many rows a day or more means at least one in each of its (at most 50) periods."""

GRID_TOLERANCE = timedelta(seconds=2)
"""How far from its instant of the grid a sample may lie (domain.md 2.4)."""

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
    def inferred(self) -> bool:
        """True where unit or meaning still end in `?`: nobody has seen evidence for them."""
        return self.unit.endswith(DOUBT) or self.meaning.endswith(DOUBT)

    @property
    def derived_name(self) -> str:
        """The name in derived tables: snake_case with the unit's suffix (decision 1)."""
        outer, _, inner = self.name.rpartition(".")
        if outer in _NESTED:
            snake = f"{_NESTED[outer]}_{re.sub(r'(?<=[a-z])(?=[0-9])', '_', inner)}"
        else:
            words = re.sub(r"(?<!^[a-z])(?<=[a-z0-9])(?=[A-Z])", "_", self.name.replace(".", "_"))
            snake = words.lower().replace("date_time", "datetime")
        suffix = UNIT_SUFFIX.get(self.unit.rstrip(DOUBT), "")
        return snake if snake.endswith(suffix) else snake + suffix


@dataclass(frozen=True, slots=True)
class Each:
    """A parameter that takes one value a call and has to be asked with each of them (`bidOffer`: bid, offer).

    column: the table's column that the value becomes, as it is not in the rows; "" where they have it already.
    """

    param: str
    values: tuple[str, ...]
    column: str = ""


@dataclass(frozen=True, slots=True)
class Ids:
    """Where the ids come from that a path is asked by: `column` of the same London day of `table`.

    at_once: so many a call (the parameter is repeated).
    """

    table: str
    column: str
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path and how its window is asked.

    params: the names of the window's parameters, in order (RANGE, DATES: from, to; DATE: date; PERIOD: date, period;
        SPAN: date, period, date, period; INSTANT, SEASON, IDS: the one there is).
    cap: the longest window one call may span, both ends included; None where the path has no window.
    selects: the column by which the window selects rows, or PERIOD_START; "" where it selects none (IDS, NONE).
    step: INSTANT only: how far apart the publish times are that a day is asked for.
    rows_at: name of a list nested in each row whose elements are the table's rows ("" = the rows themselves).
    single: the answer is one object, which is the row.
    omits_nulls: the path leaves out fields that are null, so that a column no row has says nothing.
    earlier: rows that began before the window are answered too; they are another day's.
    margin: asked so much beyond both ends of the days, and rows of other days left out: for paths of which it is not
        settled by which time the window selects (Elexon's document and a service that was seen differ).
    empty_is_404: 404 is the path's way to say that there are no rows (elsewhere it is a fault of the request).
    per_minute: requests a minute the source allows this path; 0 = no limit of its own.
    """

    path: str
    style: Style
    params: tuple[str, ...] = ()
    selects: str = ""
    cap: timedelta | None = None
    cap_source: str = ""
    fixed: tuple[tuple[str, str], ...] = ()
    each: Each | None = None
    ids: Ids | None = None
    step: timedelta = timedelta(days=1)
    rows_at: str = ""
    single: bool = False
    omits_nulls: bool = False
    earlier: bool = False
    margin: timedelta = timedelta()
    empty_is_404: bool = False
    per_minute: int = 0


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
    floor: fewer rows a day than this is suspicious (a warning, never a gap); 0 = no floor. A snapshot with fewer rows
        is no snapshot: 0 = the list may be empty.
    publications: DAILY: how many Elexon declares for a day of 48 periods: 48 = one each half hour, 24 = one each hour,
        other numbers count half hours with one; 0 = not declared.
    horizon: DAILY: rows that each publication has at least; 0 = not declared.
    covers: DAILY: the rows are those of settlement periods (with their members), on whatever day they are published.
    grid: samples lie so far apart, each within GRID_TOLERANCE of its instant; zero = no grid.
    """

    rule: Rule
    rows_per_period: int = 1
    member_column: str = ""
    members: tuple[Member, ...] = ()
    values: tuple[str, ...] = ()
    floor: int = 0
    publications: int = 0
    horizon: int = 0
    covers: bool = False
    grid: timedelta = timedelta()

    def members_on(self, day: date) -> tuple[str, ...]:
        """Names of the members declared for that London day, in order of declaration."""
        return tuple(m.name for m in self.members if m.first_day <= day <= m.last_day)

    def expected_rows(self, day: date) -> int:
        """Rows each settlement period of that day must have (0 for rules that do not count periods)."""
        return self.rows_of_period(day) if self.rule is Rule.PERIODS else 0

    def rows_of_period(self, day: date) -> int:
        """Rows of a settlement period of that day, whichever partition they lie in."""
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

    @property
    def judged(self) -> bool:
        """False where no age is too old: values that never change, or come once a year."""
        return self.fail < timedelta.max


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Everything there is to say about one table.

    key: the natural key (JSON names). `unit_fallback` maps a key column to the column that stands in when it is
        null (nationalGridBmUnit -> bmUnit); nulls in `nullable_key` columns compare as equal, any other null key
        sends the row to quarantine.
    version: columns that say which vintage is newer, left to right, null lowest; then the time of receipt.
    partition_field: the column whose London day is the partition ("" for snapshots).
    first_day: the first day the source is known to have.
    rows_per_day: a typical day, for estimates only.
    published: when rows appear, in words.
    inferred: which of `INFERABLE` nobody has seen evidence for: proposals until the first month of loads.
    settlement: the source calculates the rows anew with each settlement run and serves the latest only (class G).
    oracle: the code under which `/data-status/{code}` counts the source's rows of each settlement period ("" = none).
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
    bytes_per_row: int = 0
    published: str = ""
    inferred: tuple[str, ...] = ()
    settlement: bool = False
    unit_fallback: tuple[tuple[str, str], ...] = ()
    nullable_key: tuple[str, ...] = ()
    version_order: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    iris_code: str = ""
    oracle: str = ""
    notes: tuple[str, ...] = ()
    importance: int = 5  # 1 = heal first

    def column(self, name: str) -> Column:
        """The column of that name; KeyError with the table's name if there is none."""
        for c in self.columns:
            if c.name == name:
                return c
        raise KeyError(f"{self.table} has no column {name!r}")

    @property
    def wire_bytes_per_row(self) -> int:
        """About how many bytes of JSON a row is: measured where `bytes_per_row` says so, else from its columns."""
        return self.bytes_per_row or sum(len(c.name) + TYPICAL_VALUE for c in self.columns)

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
    def fills_periods(self) -> bool:
        """True for events whose floor means rows in every period (BOD): a day of theirs may be empty, an empty period
        among others with rows is doubtful."""
        rule = self.completeness
        return rule.rule is Rule.EVENTS and self.has_period and rule.floor >= FULL_FLOOR

    @property
    def counts_periods(self) -> bool:
        """True when evidence counts the rows of each settlement period: where the rule of completeness needs it, or
        the source's own count is to be compared with it (`oracle`); of tables that count publications, those of each
        half hour."""
        counted = self.counts_publications or self.covers_periods
        return self.completeness.rule is Rule.PERIODS or self.fills_periods or bool(self.oracle) or counted

    @property
    def counts_publications(self) -> bool:
        """True where evidence counts rows by the half hour in which they were published."""
        rule = self.completeness
        return rule.rule is Rule.DAILY and rule.publications > 0 and self.partition_field == "publishTime"

    @property
    def covers_periods(self) -> bool:
        """True where a day of publications holds rows of settlement periods that are counted."""
        return self.completeness.rule is Rule.DAILY and self.completeness.covers

    @property
    def counts_every_row(self) -> bool:
        """True where the rule of completeness leaves no row uncounted: one key a period and member, or a cadence."""
        rule = self.completeness
        counted = {"settlementDate", "settlementPeriod", "startTime", self.partition_field, rule.member_column}
        return rule.rule is Rule.PERIODS and set(self.key) <= counted

    @property
    def counted_elsewhere(self) -> bool:
        """True where only the source's own count (`oracle`) shows that rows of an answer are missing."""
        return bool(self.oracle) and not self.counts_every_row


@dataclass(frozen=True, slots=True)
class Family:
    """A group of tables as the Dagster UI and the docs show it.

    name: the asset group (`forecasts/demand` lies within `forecasts`). about: what belongs together here, in a
    sentence or two. examples: (question, SQL) pairs that run on the lake.
    """

    name: str
    title: str
    datasets: tuple[Dataset, ...] = field(default_factory=tuple)
    about: str = ""
    examples: tuple[tuple[str, str], ...] = ()
