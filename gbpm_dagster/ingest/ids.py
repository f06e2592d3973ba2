"""Ids that a path is asked by, out of the table that lists them.

Belongs here: reading that list from the warehouse. Not here: asking (`run`), planning (`elexon`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from gbpm_dagster.catalogue import get
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon.errors import SourceError
from gbpm_dagster.warehouse.protocol import Warehouse


@dataclass(frozen=True, slots=True)
class Listed:
    """The ids of each day, ascending; and the days whose list nobody has fetched yet, with what to do."""

    ids: dict[date, list[str]] = field(default_factory=dict)
    lacking: dict[date, SourceError] = field(default_factory=dict)


def listed_ids(dataset: Dataset, days: Sequence[date], warehouse: Warehouse) -> Listed:
    """What `Endpoint.ids` names for each London day; nothing where the path is not asked by ids."""
    source = dataset.endpoint.ids
    found = Listed()
    if source is None:
        return found
    there = set(warehouse.evidence([source.table]).get_column("day").to_list())
    for day in days:
        if day in there:
            rows = warehouse.read(get(source.table), day, day, [source.column]).to_series().unique().sort()
            found.ids[day] = [str(value) for value in rows.to_list()]
        else:
            found.lacking[day] = SourceError(
                table=dataset.table,
                window=None,
                detail=f"the ids of {day} are not known: {source.table} does not have that day",
                advice=f"Run `gbpm backfill {source.table} --from {day} --to {day}`, then this again",
            )
    return found
