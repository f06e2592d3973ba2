"""Members that a table has had in most periods and that have fallen silent (market/domain.md 2.2).

Belongs here: what the gap check says of tables whose members nobody declares. Not here: declared members, which are
counted in the slots of the evidence, and the state of a day, which this never changes: units open, close and rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.market.calendar import periods_in_day
from gbpm_dagster.quality import sql
from gbpm_dagster.quality.result import LISTED_DAYS
from gbpm_dagster.quality.states import State
from gbpm_dagster.warehouse.protocol import Warehouse, WarehouseError

TABLES = frozenset({"bmrs_b1610", "bmrs_pn", "bmrs_boav"})
"""Learned sets are spoken of for these (domain.md 2.2)."""

SHARE = 0.8
"""Of the periods of the days before: a member in so many is expected (choice of domain.md 2.2)."""

DAYS_BEFORE = 28
LEAST_DAYS = 7
"""With fewer of the days before stored nothing is learned."""


def learned(periods: Mapping[str, Mapping[date, int]], days: Mapping[date, int]) -> dict[str, float]:
    """Members in at least SHARE of the periods of those days, and their share.

    periods: periods a member has rows in, by member and day. days: the days learned from, and their periods.
    """
    slots = sum(days.values())
    shares = {m: sum(min(n, days[d]) for d, n in own.items() if d in days) / slots for m, own in periods.items()}
    return {member: share for member, share in shares.items() if share >= SHARE}


def silent(
    periods: Mapping[str, Mapping[date, int]], days: Mapping[date, int], day: date
) -> list[tuple[str, float, int]]:
    """Learned members that lack a period on `day`: (member, share before, periods on the day), the most silent first.

    A member that is there in as large a share of the day as is expected of it (SHARE) is not silent.
    """
    due = SHARE * periods_in_day(day)
    found = [(m, share, periods[m].get(day, 0)) for m, share in learned(periods, days).items()]
    return sorted((f for f in found if f[2] < due), key=lambda f: (f[2], -f[1], f[0]))


def details(warehouse: Warehouse, dataset: Dataset, coverage_frame: pl.DataFrame) -> dict[str, Any]:
    """`silent members` of the newest complete day with rows; empty where nothing is learned or nobody is silent.

    coverage_frame: COVERAGE_SCHEMA. A table that cannot be read is spoken of by the other checks.
    """
    whole = (pl.col("state") == State.COMPLETE.value) & (pl.col("rows") > 0)
    held = coverage_frame.filter(whole)["day"].to_list()
    if not held:
        return {}
    day = max(held)
    before = {d: periods_in_day(d) for d in held if day - timedelta(days=DAYS_BEFORE) <= d < day}
    if len(before) < LEAST_DAYS:
        return {}
    try:
        counted = warehouse.sql(sql.member_periods(dataset, [*before, day]))
    except WarehouseError:
        return {}
    periods: dict[str, dict[date, int]] = {}
    for at, member, n in counted.select("day", "member", "periods").iter_rows():
        if member is not None:
            periods.setdefault(member, {})[at] = n
    found = silent(periods, before, day)
    if not found:
        return {}
    return {
        f"silent members on {day}": len(found),
        "silent members, the first": [
            {"member": member, "periods before": f"{share:.0%}", "periods on the day": n}
            for member, share, n in found[:LISTED_DAYS]
        ],
    }
