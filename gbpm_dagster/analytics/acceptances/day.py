"""A day's acceptances from the lake: what is read, whether it is there, and the reconciliation of the stored result.

Belongs here: which rows of which tables a day needs. Not here: the rules (engine, reconcile), storing (warehouse).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from gbpm_dagster.analytics.acceptances.engine import Priced, priced_acceptances
from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.warehouse.protocol import FETCHED_AT, Warehouse

PN, BOALF, BOD, BOAV, EBOCF = "bmrs_pn", "bmrs_boalf", "bmrs_bod", "bmrs_boav", "bmrs_ebocf"
INPUTS = (PN, BOALF, BOD)
MARGIN = timedelta(days=1)
"""Levels are kept by the day they begin on; one that reaches into a day began at most so much before (choice)."""

_UNIT = ("nationalGridBmUnit", "bmUnit")
_LINE = ("timeFrom", "timeTo", "levelFrom", "levelTo")
_NEEDED: dict[str, tuple[str, ...]] = {
    PN: (*_UNIT, "settlementDate", "settlementPeriod", *_LINE, FETCHED_AT),
    BOD: (*_UNIT, "settlementDate", "settlementPeriod", *_LINE, "pairId", "offer", "bid", FETCHED_AT),
    BOALF: (
        *_UNIT, *_LINE, "acceptanceNumber", "acceptanceTime", "soFlag", "storFlag", "rrFlag", "deemedBoFlag",
        "amendmentFlag", FETCHED_AT,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sources:
    """What a day would be computed from.

    digest: changes when rows of an input do. missing: partitions (table, day) that have no evidence: never answered.
    """

    day: date
    digest: str
    missing: tuple[tuple[str, date], ...]

    @property
    def computable(self) -> bool:
        """False without acceptance levels of the day itself: there is nothing to price."""
        return (BOALF, self.day) not in self.missing


def needs(day: date) -> tuple[tuple[str, date], ...]:
    """The partitions a day is computed from."""
    return ((PN, day), (BOALF, day - MARGIN), (BOALF, day), (BOD, day))


def sources(warehouse: Warehouse, days: Sequence[date]) -> dict[date, Sources]:
    """What each of those days would be computed from, by the evidence of its inputs."""
    if not days:
        return {}
    evidence = warehouse.evidence(INPUTS, min(days) - MARGIN, max(days))
    hashes = {(t, d): h for t, d, h in evidence.select("table", "day", "content_hash").iter_rows()}
    found = {}
    for day in days:
        parts = [(table, d, hashes.get((table, d))) for table, d in needs(day)]
        text = json.dumps([(table, d.isoformat(), said) for table, d, said in parts])
        lacking = tuple((table, d) for table, d, _ in parts if (table, d) not in hashes)
        found[day] = Sources(day, hashlib.sha256(text.encode()).hexdigest()[:32], lacking)
    return found


def priced_day(warehouse: Warehouse, day: date) -> Priced:
    """The day's acceptances from the stored rows; raises what `Warehouse.read` raises."""

    def rows(table: str, start: date) -> pl.DataFrame:
        return warehouse.read(DATASETS[table], start, day, _NEEDED[table])

    return priced_acceptances(rows(PN, day), rows(BOALF, day - MARGIN), rows(BOD, day), day)


def published(warehouse: Warehouse, table: str, days: Collection[date]) -> pl.DataFrame:
    """Elexon's own rows (BOAV or EBOCF) of those days."""
    columns: Any = [c for c in DATASETS[table].names if c not in ("leadPartyName", "bmUnitType")]
    found = warehouse.read(DATASETS[table], min(days), max(days), columns)
    return found.filter(pl.col("settlementDate").is_in(list(days)))
