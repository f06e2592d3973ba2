"""Acceptance problems as frames: from the worked examples' form, and run through the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from gbpm_dagster.analytics.acceptances.engine import Priced, priced_acceptances
from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.market.calendar import sp_bounds, sp_of
from gbpm_dagster.warehouse.protocol import FETCHED_AT, frame_schema

UNIT = "UNIT-1"
FETCHED = datetime(2025, 1, 16, 12, tzinfo=UTC)


def _frame(table: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Levels are whole MW in Elexon's tables; a problem that is cut or scaled has others."""
    schema = frame_schema(DATASETS[table]) | {"levelFrom": pl.Float64, "levelTo": pl.Float64}
    every = [{c: r.get(c) for c in schema} for r in rows]
    return pl.DataFrame(every, schema=schema).with_columns(
        pl.lit(FETCHED, dtype=pl.Datetime("us", "UTC")).alias(FETCHED_AT)
    )


def _at(value: Any) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _segment(segment: Mapping[str, Any], unit: str) -> dict[str, Any]:
    return {
        "nationalGridBmUnit": unit,
        "bmUnit": f"T_{unit}",
        "timeFrom": _at(segment["timeFrom"]),
        "timeTo": _at(segment["timeTo"]),
        "levelFrom": float(segment["levelFrom"]),
        "levelTo": float(segment["levelTo"]),
    }


def notifications(segments: Sequence[Mapping[str, Any]], unit: str = UNIT) -> pl.DataFrame:
    rows = [_segment(s, unit) for s in segments]
    for row in rows:
        row["settlementDate"], row["settlementPeriod"] = sp_of(row["timeFrom"])
    return _frame("bmrs_pn", rows)


def levels(acceptances: Sequence[Mapping[str, Any]], unit: str = UNIT) -> pl.DataFrame:
    return _frame(
        "bmrs_boalf",
        [
            {
                **_segment(s, unit),
                "acceptanceNumber": a["acceptanceNumber"],
                "acceptanceTime": _at(a["acceptanceTime"]),
                "soFlag": a.get("soFlag", False),
                "deemedBoFlag": False,
            }
            for a in acceptances
            for s in a["levels"]
        ],
    )


def pairs(bod: Sequence[Mapping[str, Any]], unit: str = UNIT) -> pl.DataFrame:
    """bod: one entry a period with its pairs; a pair has `level`, or `levelFrom` and `levelTo`."""
    rows = []
    for entry in bod:
        day = date.fromisoformat(entry["settlementDate"])
        start, end = sp_bounds(day, entry["settlementPeriod"])
        rows += [
            {
                "settlementDate": day,
                "settlementPeriod": entry["settlementPeriod"],
                **_segment(
                    {"timeFrom": start, "timeTo": end, "levelFrom": p.get("level"), "levelTo": p.get("level")}
                    | dict(p),
                    unit,
                ),
                "pairId": p["pairId"],
                "offer": None if p["offer"] is None else float(p["offer"]),
                "bid": None if p["bid"] is None else float(p["bid"]),
            }
            for p in entry["pairs"]
        ]
    return _frame("bmrs_bod", rows)


def priced(problem: Mapping[str, Any], day: date) -> Priced:
    return priced_acceptances(
        notifications(problem["pn"]), levels(problem["acceptances"]), pairs(problem["bod"]), day
    )
