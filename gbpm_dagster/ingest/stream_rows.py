"""A streamed message as typed rows of its table, and all of it that cannot be one.

Belongs here: joining the message's form (iris) with the decoding of rows (elexon). Not here: batches, storing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon.decode import NotRows, decode, partition_days
from gbpm_dagster.iris import body
from gbpm_dagster.iris.message import Message
from gbpm_dagster.market.calendar import london_day
from gbpm_dagster.warehouse.protocol import (
    DAY,
    FETCHED_AT,
    INSTANT,
    LOADED_AT,
    MONTH,
    SOURCE,
    SOURCE_FILE,
    stream_schema,
)

IRIS = "IRIS"


@dataclass(frozen=True, slots=True)
class Read:
    """A decoded message. rows: `stream_schema`; fetched = rows + quarantined.

    quarantined, drift: records of QUARANTINE_SCHEMA and DRIFT_SCHEMA. problem: why the body is no rows, else "".
    """

    message: Message
    rows: pl.DataFrame
    fetched: int = 0
    quarantined: tuple[dict[str, Any], ...] = ()
    drift: tuple[dict[str, Any], ...] = ()
    problem: str = ""


def read(dataset: Dataset, message: Message, run_id: str = "") -> Read:
    """The rows of a message for a stream entry (catalogue.streams.stream_of); never raises for what came."""
    try:
        array = body.adapted(dataset, body.array(message.body))
        found = decode(dataset, array)
    except (body.BadBody, NotRows) as error:
        return Read(message, pl.DataFrame(schema=stream_schema(dataset)), problem=str(error))
    of_message = london_day(message.at)
    common = {"table": dataset.table, "fetched_at": message.at, "run_id": run_id}
    quarantined = tuple(
        {**common, "day": day or of_message, "reason": reason, "record": record, "window": message.name}
        for day, reason, record in found.quarantined
    )
    drift = tuple(
        {**common, "day": day or of_message, "column": column, "record": record}
        for day, column, record in found.drift
    )
    return Read(message, _placed(dataset, found.rows, message), found.fetched, quarantined, drift)


def _placed(dataset: Dataset, rows: pl.DataFrame, message: Message) -> pl.DataFrame:
    day = partition_days(dataset, rows).alias(DAY)
    return rows.with_columns(
        day,
        day.dt.strftime("%Y-%m").alias(MONTH),
        pl.lit(message.at, INSTANT).alias(FETCHED_AT),
        pl.lit(IRIS).alias(SOURCE),
        pl.lit(message.name).alias(SOURCE_FILE),
        pl.lit(datetime.now(UTC), INSTANT).alias(LOADED_AT),
    ).select(list(stream_schema(dataset)))
