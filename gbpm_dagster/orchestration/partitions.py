"""London days as Dagster partitions.

Belongs here: the partitions definition of a dataset. Not here: which of them a home wants (quality.expected).
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import dagster as dg

from gbpm_dagster.catalogue.model import Dataset, Grain
from gbpm_dagster.settings import Settings


@cache
def london_days(first: date, last: date | None) -> dg.DailyPartitionsDefinition:
    """London days from `first` to `last`, or to today (in progress) when that is None."""
    if last is None:
        return dg.DailyPartitionsDefinition(start_date=first.isoformat(), timezone="Europe/London", end_offset=1)
    end = last + timedelta(days=1)
    return dg.DailyPartitionsDefinition(
        start_date=first.isoformat(), end_date=end.isoformat(), timezone="Europe/London", end_offset=0
    )


def partitions_of(dataset: Dataset, settings: Settings) -> dg.DailyPartitionsDefinition | None:
    """The partitions of a table: from the later of GBPM_HISTORY_START and its first day; None for snapshots."""
    if dataset.grain is Grain.SNAPSHOT:
        return None
    first = max(settings.history_start, dataset.first_day)
    return london_days(first, settings.today() if settings.now else None)


def ranges(days: list[date]) -> list[tuple[date, date]]:
    """Maximal runs of neighbouring days, in order."""
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
