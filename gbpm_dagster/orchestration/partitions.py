"""London days as Dagster partitions.

Belongs here: the partitions definition of a dataset, neighbours in it. Not here: which days a home wants (quality).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache

import dagster as dg

from gbpm_dagster.catalogue.model import Dataset, Grain
from gbpm_dagster.market.calendar import LONDON
from gbpm_dagster.market.calendar import days as all_days
from gbpm_dagster.quality.expected import Scope, wanted_days
from gbpm_dagster.settings import Settings

ONE = timedelta(days=1)
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Tags of a run that covers a range of days."""


@cache
def london_days(first: date, last: date | None, without: tuple[date, ...] = ()) -> dg.DailyPartitionsDefinition:
    """London days from `first` to `last`, or to today (in progress) when that is None, but for those in `without`."""
    return dg.DailyPartitionsDefinition(
        start_date=first.isoformat(),
        end_date=(last + ONE).isoformat() if last else None,
        timezone=LONDON.key,
        end_offset=0 if last else 1,
        exclusions=[datetime.combine(day, time(), LONDON) for day in without],
    )


def partitions_of(
    dataset: Dataset, settings: Settings, scope: Scope | None = None
) -> dg.DailyPartitionsDefinition | None:
    """The partitions of a table; None for snapshots.

    London days from the later of GBPM_HISTORY_START and the table's first day; with a scope, the days of it and no
    others, so that no day is called missing that nobody wants.
    """
    if dataset.grain is Grain.SNAPSHOT:
        return None
    if scope is None:
        first = max(settings.history_start, dataset.first_day)
        return london_days(first, settings.today() if settings.now else None)
    wanted = wanted_days(dataset, settings.history_start, settings.today(), scope)
    if not wanted:
        return london_days(settings.today(), settings.today() - ONE)
    return london_days(wanted[0], wanted[-1], tuple(sorted({*all_days(wanted[0], wanted[-1])} - {*wanted})))


def spans(days: Iterable[date], among: Sequence[date] | None = None) -> list[list[date]]:
    """The days as maximal runs of neighbours, in order: of the calendar, or, where given, in the days `among`."""
    place = {day: n for n, day in enumerate(sorted(among))} if among is not None else None
    found: list[list[date]] = []
    for day in sorted(set(days)):
        if found and (day - found[-1][-1] == ONE if place is None else place[day] - place[found[-1][-1]] == 1):
            found[-1].append(day)
        else:
            found.append([day])
    return found
