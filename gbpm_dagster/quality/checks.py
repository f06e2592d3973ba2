"""The checks every table has, run set-based over many tables.

Belongs here: running checks and what to do when one cannot run. Not here: any rule (one module a check).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.quality import frequency, learned
from gbpm_dagster.quality.cross import Register
from gbpm_dagster.quality.duplicates import check_duplicates
from gbpm_dagster.quality.freshness import check_freshness
from gbpm_dagster.quality.gaps import check_gaps
from gbpm_dagster.quality.judged import Judged
from gbpm_dagster.quality.result import ALL, DUPLICATES, ERROR, FRESHNESS, GAPS, VALIDITY, CheckResult
from gbpm_dagster.quality.runs import runs_in_words
from gbpm_dagster.quality.states import PROOF_SPAN
from gbpm_dagster.quality.survey import survey
from gbpm_dagster.quality.validity import check_validity
from gbpm_dagster.warehouse.protocol import Warehouse, WarehouseError

__all__ = [
    "ALL",
    "CheckResult",
    "check_duplicates",
    "check_freshness",
    "check_gaps",
    "check_validity",
    "run_checks",
]


def run_checks(
    warehouse: Warehouse,
    datasets: Sequence[Dataset],
    wanted: Mapping[str, Sequence[date]],
    now: datetime,
    which: Collection[str] = ALL,
    recorded: bool = False,
    judged: Judged | None = None,
    anew: bool = False,
    pinned: bool = False,
    nightly: Collection[str] = (),
    proof: timedelta = PROOF_SPAN,
    vintages: pl.DataFrame | None = None,
) -> list[CheckResult]:
    """Checks of many tables, table by table in the order of ALL.

    wanted: the days of each table. recorded: the home is about recordings. judged, anew: see `check_validity`.
    pinned: `now` is not the clock's, so that a value after it is no fault of the clock (decision 18). nightly: the
    tables that only the schedules feed. proof: see `coverage`. vintages: runs.COMPLETENESS_SCHEMA, said of gaps.
    A check that cannot read its table fails with the reason; the others still run.
    ValueError if `which` names a check there is not.
    """
    unknown = sorted(set(which) - set(ALL))
    if unknown:
        raise ValueError(f"there is no check {unknown[0]!r}: the checks are {', '.join(ALL)}")
    states = {}
    if GAPS in which:
        states = {d.table: frame for d, frame in survey(warehouse, datasets, wanted, now, recorded, proof)}
    found: list[CheckResult] = []
    register = Register(warehouse)
    for dataset in datasets:
        days = wanted.get(dataset.table, ())
        if GAPS in which:
            frame = states[dataset.table]
            more = frequency.details(warehouse, dataset, frame) if dataset.completeness.grid else {}
            if dataset.table in learned.TABLES:
                more |= learned.details(warehouse, dataset, frame)
            found.append(check_gaps(dataset, frame, more | runs_in_words(vintages, dataset)))
        readers: dict[str, Callable[[], CheckResult]] = {
            DUPLICATES: partial(check_duplicates, warehouse, dataset, days, judged, anew),
            VALIDITY: partial(check_validity, warehouse, dataset, days, recorded, judged, anew, register),
            FRESHNESS: partial(
                check_freshness, warehouse, dataset, now, days, recorded or pinned, dataset.table in nightly
            ),
        }
        found += [_tried(dataset, check, run) for check, run in readers.items() if check in which]
    return found


def _tried(dataset: Dataset, check: str, run: Callable[[], CheckResult]) -> CheckResult:
    try:
        return run()
    except WarehouseError as error:
        return CheckResult(dataset.table, check, False, ERROR, f"could not be checked: {error}")
