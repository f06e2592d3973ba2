"""Rows and answers for the tests of the warehouse: small, whole, and easy to recognise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.warehouse.protocol import Arrival, frame_schema

COSTS, MID, FUELINST, FREQ = (DATASETS[t] for t in ("bmrs_costs", "bmrs_mid", "bmrs_fuelinst", "bmrs_freq"))
BOD, BOALF, INDO, BMUNITS = (DATASETS[t] for t in ("bmrs_bod", "bmrs_boalf", "bmrs_indo", "ref_bmunits"))
DAY = date(2024, 1, 3)
T0 = datetime(2024, 2, 1, tzinfo=UTC)


def later(hours: float) -> datetime:
    return T0 + timedelta(hours=hours)


def frame(dataset: Dataset, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of that dataset; fields not given are null."""
    return pl.DataFrame(
        {c: [r.get(c) for r in rows] for c in dataset.names}, schema=frame_schema(dataset), strict=False
    )


def mid_row(day: date, period: int, provider: str = "APXMIDP", price: float = 50.0) -> dict[str, Any]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=30 * (period - 1))
    return {
        "dataset": "MID",
        "startTime": start,
        "dataProvider": provider,
        "settlementDate": day,
        "settlementPeriod": period,
        "price": price,
        "volume": 10.0,
    }


def mid(day: date = DAY, price: float = 50.0, periods: int = 48) -> pl.DataFrame:
    """A winter day of MID, both providers, one price: which answer a row came from can be read off it."""
    every = range(1, periods + 1)
    return frame(MID, [mid_row(day, p, who, price) for who in ("APXMIDP", "N2EXMIDP") for p in every])


def cost_row(
    day: date, period: int, price: float, created: datetime | None, start: datetime | None = None
) -> dict[str, Any]:
    start = start or datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=30 * (period - 1))
    return {
        "settlementDate": day,
        "settlementPeriod": period,
        "startTime": start,
        "createdDateTime": created,
        "systemSellPrice": price,
        "systemBuyPrice": price,
        "bsadDefaulted": False,
        "netImbalanceVolume": 1.0,
    }


def answer(rows: pl.DataFrame, day: date = DAY, at: datetime = T0, **more: Any) -> Arrival:
    return Arrival(day, rows, at, windows_asked=1, windows_answered=1, requests=1, bytes=100, **more)
