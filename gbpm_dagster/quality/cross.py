"""Rules that hold a table's rows against another's: levels inside limits, fuels near demand, registered units.

Belongs here: these rules, and what of the other tables they read. Not here: rules within a row (`rules`), reading the
rows that are judged (`validity`). All warn (market/domain.md 8.2); a rule judges only where the other table has rows.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.quality.judged import Judgement, Offence, fingerprint
from gbpm_dagster.quality.result import SAMPLE, WARN, plain
from gbpm_dagster.warehouse.protocol import DAY, Warehouse, frame_schema

LEVEL_TOLERANCE_MW = 1.0
"""Choice: levels are whole MW, so a level this much beyond a limit may be rounding."""
CAPACITY_SHARE = 1.1
"""Choice: where no limit is declared for the period, a level may be so many times the registered capacity."""
FUEL_DEMAND_SHARE = 0.10
"""Choice: fuels may differ so much from demand. On the 476 periods of 2022 to 2026 that the repository ships the
positive fuels are -4.5 % to +4.7 % off ITSDO, all fuels -2.2 % to +7.4 % off INDO."""
REGISTER_REACH = timedelta(days=90)
"""Choice: the register is taken to hold so long before its first list: units of older days may have left it since."""

LEVELS, FUELS, UNITS = "levels inside limits", "fuels near demand", "unit in the register"
REGISTER = "ref_bmunits"
_NAMED = 500  # unknown units remembered of a day
_LIMITED = ("bmrs_pn", "bmrs_boalf")
_UNIT, _HIGH, _LOW = "_unit", "_high", "_low"
_PERIOD = ["settlementDate", "settlementPeriod"]


def companions(dataset: Dataset) -> tuple[tuple[str, int], ...]:
    """(table, days after) whose partitions the rules read with a day of this one; the register is read whole."""
    if dataset.table in _LIMITED:
        return ("bmrs_mels", 0), ("bmrs_mils", 0)
    if dataset.table == "bmrs_fuelhh":
        return ("bmrs_itsdo", 1), ("bmrs_indo", 1)  # kept by publication: the last period's comes after midnight
    return ()


def has_units(dataset: Dataset) -> bool:
    """Whether a row names its unit by an id of the register."""
    return dataset.table != REGISTER and any(other == "bmUnit" for _, other in dataset.unit_fallback)


class Register:
    """Every unit there ever was in a list of the register; read once, when first asked for its units."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    @cached_property
    def there(self) -> bool:
        """Whether there is a list."""
        return not self._warehouse.evidence([REGISTER]).filter(pl.col("rows") > 0).is_empty()

    @cached_property
    def units(self) -> pl.DataFrame:
        """elexonBmUnit, nationalGridBmUnit, _high, _low (MW, the widest stated capacity), first (day of a list)."""
        names = ["elexonBmUnit", "nationalGridBmUnit"]
        if not self.there:
            schema = {**dict.fromkeys(names, pl.String), _HIGH: pl.Float64, _LOW: pl.Float64, "first": pl.Date}
            return pl.DataFrame(schema=schema)
        columns = [DAY, *names, "generationCapacity", "demandCapacity"]
        rows = self._warehouse.read(DATASETS[REGISTER], columns=columns)
        high, low = (pl.col(f"{n}Capacity").cast(pl.Float64, strict=False) for n in ("generation", "demand"))
        # Zero is what the register says where nothing is stated: of 2,733 units of 2026 1,178 generate "0.000".
        stated = high.filter(high > 0).max().alias(_HIGH), low.filter(low < 0).min().alias(_LOW)
        return rows.group_by(names).agg(*stated, pl.col(DAY).min().alias("first")).sort(names)

    @cached_property
    def ids(self) -> pl.Series:
        """Both ids of all units."""
        both = [self.units[n] for n in ("elexonBmUnit", "nationalGridBmUnit")]
        return pl.concat(both).drop_nulls().unique()


@dataclass
class Others:
    """What the rules of one table need to know of the others; cheap to make, reads when asked."""

    warehouse: Warehouse
    dataset: Dataset
    register: Register

    def __post_init__(self) -> None:
        self._names = [name for name, _ in companions(self.dataset)]
        self._wants_register = has_units(self.dataset)
        self._held = {
            name: dict(self.warehouse.evidence([name]).select("day", "content_hash").iter_rows())
            for name in self._names
        }

    def print_of(self) -> str:
        """Changes with these rules, and when the register appears; empty without rules."""
        if not (self._names or self._wants_register):
            return ""
        return fingerprint((sys.modules[__name__],), self._wants_register and self.register.there)

    def marked(self, evidence: pl.DataFrame) -> pl.DataFrame:
        """Evidence (day, content_hash) whose hash changes with the other tables' days as well."""
        if not self._names:
            return evidence
        added = []
        for name, after in companions(self.dataset):
            held = self._held[name]
            for n in range(after + 1):
                marks = [str(held.get(d + timedelta(days=n)) or "-") for d in evidence["day"].to_list()]
                added.append(pl.lit(pl.Series(marks, dtype=pl.String)))
        return evidence.with_columns(pl.concat_str("content_hash", *added, separator=" "))

    def still(self, known: Mapping[date, Judgement]) -> dict[date, Judgement]:
        """Those judgements of which no unknown unit has been registered since."""
        named = {day: j.offences[UNITS].names for day, j in known.items() if UNITS in j.offences}
        if not named:
            return dict(known)
        ids = set(self.register.ids.to_list())
        return {day: j for day, j in known.items() if not ids.intersection(named.get(day, ()))}

    def inspect(self, rows: pl.DataFrame) -> dict[date, dict[str, Offence]]:
        """What these rows (the dataset's columns and `_day`) break, by day and rule."""
        found: dict[date, dict[str, Offence]] = {}
        if rows.is_empty():
            return found
        if self._wants_register and self.register.there:
            self._units(found, rows)
        if self.dataset.table in _LIMITED:
            self._levels(found, rows)
        elif self.dataset.table == "bmrs_fuelhh":
            self._fuels(found, rows)
        return found

    def _units(self, found: dict[date, dict[str, Offence]], rows: pl.DataFrame) -> None:
        since = self.register.units["first"].min()
        key, other = next(f for f in self.dataset.unit_fallback if f[1] == "bmUnit")
        ids = self.register.ids
        known = pl.col(key).is_in(ids.implode()) | pl.col(other).is_in(ids.implode())
        late = pl.col(DAY) >= since - REGISTER_REACH if isinstance(since, date) else pl.lit(False)
        bad = rows.filter(late & ~known.fill_null(False) & pl.coalesce(key, other).is_not_null())
        meaning = "the unit is in no list of the register (ref_bmunits)"
        for day, part in _by_day(bad):
            offence = _add(found, day, UNITS, meaning, part.select(self.dataset.names))
            offence.names = part.select(pl.coalesce(key, other).unique().sort()).to_series().head(_NAMED).to_list()

    def _levels(self, found: dict[date, dict[str, Offence]], rows: pl.DataFrame) -> None:
        unit = pl.coalesce("nationalGridBmUnit", "bmUnit").alias(_UNIT)
        ends = ("settlementPeriod",) if self.dataset.has_period else ("settlementPeriodFrom", "settlementPeriodTo")
        judged = rows.with_columns(unit, *(pl.col(e).alias(f"_p{n}") for n, e in enumerate(ends)))
        high, low = self._limits("bmrs_mels", rows, _HIGH), self._limits("bmrs_mils", rows, _LOW)
        for n in range(len(ends)):
            left, right = ["settlementDate", f"_p{n}", _UNIT], [*_PERIOD, _UNIT]
            for limit in (high, low):
                judged = judged.join(limit, left_on=left, right_on=right, how="left", suffix=str(n))
        if len(ends) > 1:
            judged = judged.with_columns(
                pl.max_horizontal(_HIGH, f"{_HIGH}1").alias(_HIGH), pl.min_horizontal(_LOW, f"{_LOW}1").alias(_LOW)
            )
        judged = self._with_capacity(judged)
        top, bottom = pl.max_horizontal("levelFrom", "levelTo"), pl.min_horizontal("levelFrom", "levelTo")
        over, under = top > pl.col(_HIGH) + LEVEL_TOLERANCE_MW, bottom < pl.col(_LOW) - LEVEL_TOLERANCE_MW
        bad = judged.filter((over | under).fill_null(False))
        meaning = "a level beyond the unit's MEL or MIL of the period, or without these its registered capacity"
        for day, part in _by_day(bad):
            shown = part.select(*self.dataset.names, limit_high_mw=_HIGH, limit_low_mw=_LOW)
            _add(found, day, LEVELS, meaning, shown)

    def _limits(self, table: str, rows: pl.DataFrame, name: str) -> pl.DataFrame:
        """Of each settlement period and unit the widest limit: settlementDate, settlementPeriod, _unit, `name`."""
        both = ["levelFrom", "levelTo"]
        widest = pl.max_horizontal(both).max() if name == _HIGH else pl.min_horizontal(both).min()
        held = self._read(table, rows, [*_PERIOD, "nationalGridBmUnit", "bmUnit", *both])
        unit = pl.coalesce("nationalGridBmUnit", "bmUnit").alias(_UNIT)
        return held.group_by(*_PERIOD, unit).agg(widest.cast(pl.Float64).alias(name))

    def _with_capacity(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows without a limit get the registered capacity, widened by CAPACITY_SHARE."""
        if not self.register.there:
            return rows
        units = self.register.units
        caps = pl.concat(
            units.select(pl.col(n).alias(_UNIT), pl.col(_HIGH, _LOW).name.suffix("_cap")).drop_nulls(_UNIT)
            for n in ("nationalGridBmUnit", "elexonBmUnit")
        ).unique(_UNIT, keep="first", maintain_order=True)
        joined = rows.join(caps, on=_UNIT, how="left")
        return joined.with_columns(
            pl.coalesce(_HIGH, pl.col(f"{_HIGH}_cap") * CAPACITY_SHARE).alias(_HIGH),
            pl.coalesce(_LOW, pl.col(f"{_LOW}_cap") * CAPACITY_SHARE).alias(_LOW),
        )

    def _fuels(self, found: dict[date, dict[str, Offence]], rows: pl.DataFrame) -> None:
        """Generation and imports against ITSDO, which counts exports and pumping as demand; where there is none, all
        fuels against INDO, which does not."""
        output = pl.col("generation")
        sums = rows.group_by(DAY, *_PERIOD).agg(
            positive_mw=output.clip(lower_bound=0).sum().cast(pl.Float64), net_mw=output.sum().cast(pl.Float64)
        )
        for table, name in (("bmrs_itsdo", "itsdo_mw"), ("bmrs_indo", "indo_mw")):
            demand = self._read(table, rows, [*_PERIOD, "publishTime", "demand"], after=1)
            newest = demand.sort("publishTime", nulls_last=False).unique(_PERIOD, keep="last", maintain_order=True)
            newest = newest.select(*_PERIOD, pl.col("demand").cast(pl.Float64).alias(name))
            sums = sums.join(newest, on=_PERIOD, how="left")
        total = pl.when(pl.col("itsdo_mw").is_null()).then(pl.col("net_mw")).otherwise(pl.col("positive_mw"))
        demand_mw = pl.coalesce("itsdo_mw", "indo_mw")
        off = (total - demand_mw).abs() > FUEL_DEMAND_SHARE * demand_mw.abs()
        meaning = f"the fuels of a period are more than {FUEL_DEMAND_SHARE:.0%} off its demand (ITSDO, else INDO)"
        for day, part in _by_day(sums.filter(off.fill_null(False)).sort(*_PERIOD)):
            _add(found, day, FUELS, meaning, part.drop(DAY))

    def _read(self, table: str, rows: pl.DataFrame, columns: Sequence[str], after: int = 0) -> pl.DataFrame:
        """Those columns of another table's days: of the rows' days, and so many after; no rows where it has none."""
        other = DATASETS[table]
        wanted = {d + timedelta(days=n) for d in rows[DAY].unique().to_list() for n in range(after + 1)}
        there = sorted(wanted & self._held[table].keys())
        if not there:
            return pl.DataFrame(schema={c: frame_schema(other)[c] for c in columns})
        held = self.warehouse.read(other, there[0], there[-1], columns=[DAY, *columns])
        return held.filter(pl.col(DAY).is_in(there)).select(columns)


def _by_day(bad: pl.DataFrame) -> list[tuple[date, pl.DataFrame]]:
    parts = bad.partition_by(DAY, as_dict=True, maintain_order=True)
    return [(day, part) for (day,), part in parts.items() if isinstance(day, date)]


def _add(found: dict[date, dict[str, Offence]], day: date, name: str, meaning: str, bad: pl.DataFrame) -> Offence:
    offence = found.setdefault(day, {}).setdefault(name, Offence(WARN, meaning))
    offence.add(bad.height, plain(bad.head(SAMPLE).iter_rows(named=True)))
    return offence
