"""The coverage of many tables at once: the ledger is read once for all of them.

Belongs here: what the gap check and `gbpm gaps` start from. Not here: how a day gets its state (`coverage`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.quality.coverage import coverage
from gbpm_dagster.quality.states import PROOF_SPAN
from gbpm_dagster.quality.witness import COUNTS_SCHEMA, counts
from gbpm_dagster.warehouse.protocol import ATTEMPT_SCHEMA, EVIDENCE_SCHEMA, Warehouse


def survey(
    warehouse: Warehouse,
    datasets: Sequence[Dataset],
    wanted: Mapping[str, Sequence[date]],
    now: datetime,
    recorded: bool = False,
    proof: timedelta = PROOF_SPAN,
    known: pl.DataFrame | None = None,
) -> Iterator[tuple[Dataset, pl.DataFrame]]:
    """Each table with its COVERAGE_SCHEMA frame over its wanted days, in the order given; WarehouseError at once.

    now, recorded, proof: as for `coverage`. known: in place of the warehouse's register of known gaps.
    """
    if not datasets:
        return
    tables = [d.table for d in datasets]
    evidence = _by("table", warehouse.evidence(tables))
    attempts = _by("table", warehouse.attempts(tables))
    said = _by("code", counts(warehouse, datasets))
    register = _by("table", warehouse.known_gaps(tables) if known is None else known)
    nothing, untried, uncounted = (
        pl.DataFrame(schema=schema) for schema in (EVIDENCE_SCHEMA, ATTEMPT_SCHEMA, COUNTS_SCHEMA)
    )
    for dataset in datasets:
        yield (
            dataset,
            coverage(
                dataset,
                wanted.get(dataset.table, ()),
                evidence.get(dataset.table, nothing),
                attempts.get(dataset.table, untried),
                now,
                recorded,
                said.get(dataset.oracle, uncounted),
                register.get(dataset.table),
                proof,
            ),
        )


def _by(column: str, frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = frame.partition_by(column, as_dict=True, maintain_order=True)
    return {str(name): part for (name,), part in parts.items()}
