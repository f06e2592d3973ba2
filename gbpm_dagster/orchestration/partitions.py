"""London days as Dagster partitions.

Belongs here: the partitions definition of a dataset, neighbours in it. Not here: which days a home wants (quality).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import cache

import dagster as dg

from gbpm_dagster.catalogue.model import Dataset, Grain
from gbpm_dagster.quality.expected import Scope, wanted_days
from gbpm_dagster.settings import Settings

ONE = timedelta(days=1)
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Tags of a run that covers a range of days."""


@cache
def london_days(first: date, last: date | None) -> dg.DailyPartitionsDefinition:
    """London days from `first` to `last`, or to today (in progress) when that is None."""
    if last is None:
        return dg.DailyPartitionsDefinition(start_date=first.isoformat(), timezone="Europe/London", end_offset=1)
    end = last + timedelta(days=1)
    return dg.DailyPartitionsDefinition(
        start_date=first.isoformat(), end_date=end.isoformat(), timezone="Europe/London", end_offset=0
    )


@cache
def only_days(days: tuple[date, ...]) -> dg.StaticPartitionsDefinition:
    """Those days and no others: of a home that has a scope, so that no day is called missing that nobody wants."""
    return dg.StaticPartitionsDefinition([d.isoformat() for d in days])


Partitions = dg.DailyPartitionsDefinition | dg.StaticPartitionsDefinition


def partitions_of(dataset: Dataset, settings: Settings, scope: Scope | None = None) -> Partitions | None:
    """The partitions of a table; None for snapshots.

    London days from the later of GBPM_HISTORY_START and the table's first day; with a scope, the days of it.
    """
    if dataset.grain is Grain.SNAPSHOT:
        return None
    if scope is not None:
        return only_days(tuple(wanted_days(dataset, settings.history_start, settings.today(), scope)))
    first = max(settings.history_start, dataset.first_day)
    return london_days(first, settings.today() if settings.now else None)


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
