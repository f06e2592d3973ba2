"""What keeps the stream small: packing, and forgetting what history has confirmed.

Belongs here: which days of a stream table may go, and the order of the nightly work. Not here: packs (iris), deleting
(warehouse).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.streams import STREAMED, stream_of
from gbpm_dagster.iris.landing import Landing
from gbpm_dagster.iris.packs import Packs
from gbpm_dagster.market.calendar import day_bounds, london_day
from gbpm_dagster.warehouse import merge
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import DAY


@dataclass(slots=True)
class Kept:
    """packed: messages; expired: days of a subject that left the raw archive; forgotten: days by stream table."""

    packed: int = 0
    expired: int = 0
    forgotten: dict[str, list[date]] = field(default_factory=dict)


def upkeep(
    lake: Lake,
    landing: Landing,
    now: datetime,
    *,
    keep: timedelta,
    raw_days: int,
    datasets: Collection[Dataset] = tuple(STREAMED.values()),
) -> Kept:
    """Pack what was loaded, remove raw messages older than `raw_days`, forget confirmed days of the tables.

    datasets: entries of the history. Again changes nothing. Raises WarehouseError, OSError.
    """
    packs, done = Packs(landing), Kept()
    done.packed = packs.pack()
    done.expired = packs.expire(raw_days, london_day(now))
    landing.tidy()
    for dataset in datasets:
        days = confirmed(lake, dataset, now, keep)
        if days:
            lake.streams.forget(stream_of(dataset), days)
            done.forgotten[stream_of(dataset).table] = days
    lake.ledger.forget_messages(now - timedelta(days=raw_days))
    return done


def confirmed(lake: Lake, dataset: Dataset, now: datetime, keep: timedelta) -> list[date]:
    """The London days of `<table>_iris` that history has had for longer than `keep`, so that they may go.

    The history was asked after the day had ended and after the stream's last row of it was enqueued, that is longer
    ago than `keep`, and it has every key that the stream has. Where it has not (a gap at the source, rows in
    quarantine there) the stream's rows stay, as they are the only ones.
    """
    stream = stream_of(dataset)
    newest = lake.streams.newest(stream)
    if not newest:
        return []
    evidence = lake.evidence([dataset.table], min(newest), max(newest))
    asked: dict[date, datetime] = dict(evidence.select("day", "fetched_at").iter_rows())
    return [
        day
        for day, last in sorted(newest.items())
        if day in asked
        and asked[day] >= max(day_bounds(day)[1], last)
        and now - asked[day] >= keep
        and _has_all(lake, dataset, stream, day)
    ]


def _has_all(lake: Lake, dataset: Dataset, stream: Dataset, day: date) -> bool:
    """Whether the history has every key the stream has; where their keys differ, of every period some row."""
    if stream.key != dataset.key:
        named = ["settlementDate", "settlementPeriod"]
        mine, theirs = lake.streams.read(stream, day, day).select(named), lake.read(dataset, day, day, named)
        return mine.join(theirs, on=named, how="anti").height == 0
    key = [DAY, *merge.key_names(dataset)]
    mine = merge.with_keys(lake.streams.read(stream, day, day), dataset).select(key)
    theirs = merge.with_keys(lake.read(dataset, day, day, [DAY, *dataset.key_columns]), dataset).select(key)
    return mine.join(theirs, on=key, how="anti", nulls_equal=True).height == 0
