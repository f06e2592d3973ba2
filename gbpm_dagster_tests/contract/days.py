"""Which London day has which rows: whole ordinary and clock-change days, and days on which something is odd.

Belongs here: the cases of the contract as rows to serve. Not here: what must become of them (`test_contract`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from gbpm_dagster.catalogue.model import Dataset, Grain, Style
from gbpm_dagster_tests.contract.facts import HALF_HOUR, Facts, midnight, text
from gbpm_dagster_tests.contract.rows import PUBLISHED, Moment, Row, flat, key_of, make

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@dataclass(frozen=True)
class Days:
    """The days of the cases, with `unwanted`, which nobody asks for, and `stray`, asked for by itself."""

    broken: date
    empty: date
    spring: date
    ordinary: date
    odd: date
    autumn: date
    unwanted: date
    stray: date

    @property
    def wanted(self) -> list[date]:
        return sorted({self.empty, self.spring, self.ordinary, self.odd, self.broken, self.autumn})

    @property
    def whole(self) -> list[date]:
        return sorted((self.spring, self.ordinary, self.autumn))


YEAR = Days(
    broken=date(2024, 3, 8),  # the first: rows of which nobody can say the day are counted to a window's first day
    empty=date(2024, 3, 12),
    spring=date(2024, 3, 31),
    ordinary=date(2024, 10, 8),
    odd=date(2024, 10, 9),  # next to the ordinary day: their windows share an edge
    autumn=date(2024, 10, 27),
    unwanted=date(2024, 10, 12),
    stray=date(2024, 10, 22),
)

LISTS = replace(YEAR, empty=date(2024, 3, 1))
"""Of lists the empty one comes first: later it would be held, as it is shorter than the one before."""

BY_PERIOD = replace(YEAR, odd=YEAR.broken)
"""Of paths that are asked period by period: all oddities on one day, as a day is many calls."""

SEASON = replace(
    YEAR,
    broken=date(2023, 12, 5),
    ordinary=date(2023, 12, 12),
    odd=date(2023, 12, 13),
    empty=date(2024, 1, 9),
    unwanted=date(2024, 1, 4),
    stray=date(2024, 2, 6),
)
"""Of Triad seasons: no clock changes in one, so that both such days are out of season."""


def days_of(dataset: Dataset) -> Days:
    return {Style.SEASON: SEASON, Style.NONE: LISTS, Style.PERIOD: BY_PERIOD}.get(dataset.endpoint.style, YEAR)


CADENCE = {
    "bmrs_freq": timedelta(seconds=15),
    "bmrs_fuelinst": timedelta(minutes=5),
    "bmrs_generation_total": timedelta(minutes=5),
}
"""Rows more often than each half hour (datasets.csv, expected_per_day)."""

STEP = {
    "bmrs_indicated_day_ahead": HALF_HOUR,
    "bmrs_availability_daily": timedelta(hours=1),
    "bmrs_margin_weekly": DAY,
    "bmrs_surplus_weekly": DAY,
    "bmrs_availability_weekly": DAY,
}
"""How often there is a publication, of paths that are asked for one."""

MESSAGES = 52
"""REMIT messages of a whole day: more than one call takes."""

LISTED = 40
"""Entries of a list."""


@dataclass(frozen=True)
class Again:
    """A second answer for a day. new: the row that replaces `old`; late: one that is older than what is stored."""

    rows: list[Row]
    new: Row
    old: Row
    late: Row | None


class Cases:
    """The rows of each case of one table."""

    def __init__(self, dataset: Dataset, facts: Facts) -> None:
        self.dataset, self.facts, self.days = dataset, facts, days_of(dataset)
        self._of: dict[date, list[Row]] = {}
        self.once_a_day = dataset.grain is Grain.SNAPSHOT or self._once_a_day()
        self.units = self._units()

    def of(self, day: date) -> list[Row]:
        """What the source has of one of the wanted days."""
        if day not in self._of:
            self._of[day] = self._made(day)
        return self._of[day]

    def _made(self, day: date) -> list[Row]:
        if day in self.days.whole:
            return self.whole(day)
        cases = [*self.odd()] if day == self.days.odd else []
        cases += self.broken() if day == self.days.broken else []
        rows = [row for row, _ in cases]
        if self.units == LISTED and rows:
            used = 5 if day == self.days.odd else 2
            rows += self._some(day)[used:]  # a list much shorter than the one before would be held
        return rows

    def extras(self) -> list[Row]:
        """Rows of days nobody asks for: within a long window, on the edge that two windows share, and the publication
        that was in force when the empty day began."""
        days = self.days
        instants = [midnight(days.unwanted) + DAY / 2, midnight(days.odd + DAY)]
        if self.dataset.table in STEP:
            instants.append(midnight(days.empty) - DAY / 2)
        return [row for at in instants for row in self._objects(at)]

    def whole(self, day: date) -> list[Row]:
        """Every row the day must have to be complete."""
        if self.dataset.endpoint.style is Style.SEASON and day not in (self.days.ordinary,):
            return []
        return [row for at in self.instants(day) for row in self._objects(at)]

    def odd(self) -> Iterator[tuple[Row, str]]:
        """Rows that are stored all the same: (row, which oddity): plain, nulls, no unit id, twice."""
        rows = self._some(self.days.odd)
        few = len(rows) < 5
        if not few:
            yield rows[0], "plain"
            yield _without(self.facts, rows[1], self.nullable()), "nulls"
            yield _without(self.facts, rows[2], self.dataset.nullable_key), "nulls in the key"
            yield _without(self.facts, rows[3], [self.facts.unit_key]), "no unit id"
        twice = _without(self.facts, rows[0], self.nullable()) if few else rows[4]
        single = self.facts.operation.envelope == "object"  # an answer of one row cannot have it twice
        for _ in range(1 if single else 3):
            yield twice, "nulls" if few else "twice"

    def broken(self) -> Iterator[tuple[Row, str]]:
        """(row, what is wrong): a field nobody knows, or the column of the key that is null."""
        rows = list(self._some(self.days.broken))[6 if self.days.odd == self.days.broken else 0 :]
        bare = isinstance(rows[0].body, str)
        yield rows[0] if bare else rows[0].but(surprise={"is": 1}), "" if bare else "surprise"
        single = self.facts.operation.envelope == "object"
        for place, column in enumerate(self.required(), start=2):
            names = [column, "bmUnit"] if column == self.facts.unit_key else [column]
            yield _without(self.facts, rows[place if single else min(1, len(rows) - 1)], names), column
        later = rows[1:]
        if self.dataset.table in STEP:  # or each call of the day would answer what is wrong once more
            later = [row for at in self.instants(self.days.broken) for row in self._objects(at) if at > rows[1].at]
            later = [rows[1], *later]
        for row in later[: None if self.dataset.table in STEP else 1]:
            yield row, ""

    def again(self) -> Again | None:
        """The ordinary day as a later answer has it; None where a row has nothing but its key to change."""
        rows = self.of(self.days.ordinary)
        place = len(rows) // 2
        value = self._changeable(rows[place])
        if not value:
            return None
        old = rows[place]
        new = old.but(**value)
        replaced, late = {place: new}, None
        if self.facts.version:
            replaced[place] = new = _stamped(self.facts, new, 1)
            if len(rows) > 1 and self.facts.fields[self.facts.version[0]].type != "string":
                late = _stamped(self.facts, rows[place - 1].but(**self._changeable(rows[place - 1])), -1)
                replaced[place - 1] = late
        return Again([replaced.get(i, row) for i, row in enumerate(rows)], new, old, late)

    def _changeable(self, row: Row) -> dict[str, Any]:
        """Another value for a field that is neither key nor version nor where the row belongs."""
        facts = self.facts
        placed = {*facts.key, *facts.version, facts.home, facts.selected_by, facts.added, facts.choice, "bmUnit"}
        fields = [f for n, f in facts.fields.items() if n not in placed and not n.startswith("settlement")]
        for kind, change in (("number", 2.25), ("integer", 7), ("string", "another £"), ("boolean", None)):
            for field in (f for f in fields if f.type == kind):
                value = change if kind in ("number", "integer", "string") else None
                if facts.nest and field.name not in row.body:
                    first, *others = row.body[facts.nest]
                    return {facts.nest: [{**first, field.name: value}, *others]}
                return {field.name: value}
        return {}

    def nullable(self) -> list[str]:
        """The fields that may be null and do not say where the row belongs."""
        facts = self.facts
        placed = {*facts.key, facts.home, facts.selected_by, "settlementDate", "settlementPeriod", facts.added}
        return [name for name, field in facts.fields.items() if field.nullable and name not in placed]

    def required(self) -> list[str]:
        """The columns of the key that come in the rows and may not be null."""
        if self.facts.operation.envelope == "array_of_string":
            return []
        own = {*self.facts.key} - {*self.dataset.nullable_key, self.facts.added}
        return [k for k in self.facts.key if k in own]

    def instants(self, day: date) -> list[datetime]:
        """When the day has rows."""
        start, end = midnight(day), midnight(day + DAY)
        table = self.dataset.table
        if table in STEP:
            return [at for step in _every(start, end, STEP[table]) if (at := step + STEP[table] / 3) < end]
        if table in CADENCE:
            return _every(start, end, CADENCE[table])
        if table.startswith("remit_"):
            return [start + (end - start) * i / MESSAGES for i in range(MESSAGES)]
        if self.once_a_day:
            return [end - HALF_HOUR]
        if self.facts.home in PUBLISHED:
            if "settlementPeriod" in self.facts.fields:
                return [at + HALF_HOUR / 2 for at in _every(start, end, HALF_HOUR)]
            return [start, *_every(start + timedelta(minutes=97), end, timedelta(hours=4)), end - SECOND]
        late = timedelta(minutes=1) if self.facts.selected_by == "time" else timedelta()
        return [at + late for at in _every(start, end, HALF_HOUR)]

    def _once_a_day(self) -> bool:
        """Whether the key says nothing of the time of day."""
        noon = midnight(self.days.ordinary) + DAY / 2
        made = [flat(self.facts, make(self.facts, [Moment(at)]))[0] for at in (noon, noon + HALF_HOUR)]
        return self.dataset.endpoint.style is Style.SEASON or len({key_of(self.facts, row) for row in made}) == 1

    def _objects(self, at: datetime) -> list[Row]:
        """The objects served of one instant: one a choice, member and unit, or one with all of them nested in it."""
        rule = self.dataset.completeness
        members = rule.members_on(at.date()) or ("",)
        moments = [
            Moment(at, unit, member, choice)
            for choice in self.facts.choices or ("",)
            for member in members
            for unit in range(1 if rule.members else self.units)
        ]
        if self.facts.nest:
            return [make(self.facts, moments, rule.member_column)]
        return [make(self.facts, [moment], rule.member_column) for moment in moments]

    def _units(self) -> int:
        """How many rows of one moment the key tells apart: two will do, a list has more."""
        if self.dataset.table.startswith("remit_"):
            return 1
        if self.dataset.grain is Grain.SNAPSHOT:
            return LISTED
        if self.dataset.table == "bmrs_lolp_horizons":
            return 5
        at = midnight(self.days.ordinary) + DAY / 2
        made = [flat(self.facts, make(self.facts, [Moment(at, unit)])) for unit in (0, 1)]
        return len({key_of(self.facts, row) for rows in made for row in rows})

    def _some(self, day: date) -> Sequence[Row]:
        """A few rows of a day with keys of their own, none on the edge of a window; one where the day has but one."""
        instants = self.instants(day)
        if len(instants) >= 7:
            return [self._objects(at)[0] for at in (instants[3:-1:2] if len(instants) > 12 else instants[1:-1])]
        if self.units == 1 or self.facts.nest:
            return self._objects(instants[0])
        count = LISTED if self.dataset.grain is Grain.SNAPSHOT else 6
        choice = self.facts.choices[0] if self.facts.choices else ""
        return [make(self.facts, [Moment(instants[0], unit, "", choice)]) for unit in range(count)]


def _every(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    return [start + step * i for i in range(-((start - end) // step))]


def _stamped(facts: Facts, row: Row, step: int) -> Row:
    """The row with a newer (step 1) or older (step -1) version."""
    name = facts.version[0]
    match facts.fields[name].type:
        case "instant":
            at = datetime.fromisoformat(row.body[name]) + step * timedelta(minutes=1)
            moved = row.but(**{name: text(at)})
            return replace(moved, at=at) if name == facts.selected_by else moved
        case "integer":
            return row.but(**{name: row.body[name] + step})
        case _:
            return row.but(**{name: "UPD"})  # of acceptances: an update of the original


def _without(facts: Facts, row: Row, names: Sequence[str]) -> Row:
    """The row with null in those columns."""
    names = [n for n in names if n in facts.fields]
    if isinstance(row.body, str):
        return row
    inner = [n for n in names if facts.nest and n not in row.body]
    row = row.but(**{n: None for n in names if n not in inner})
    if inner:
        row = row.but(**{facts.nest: [{**e, **dict.fromkeys(inner)} for e in row.body[facts.nest]]})
    return row
