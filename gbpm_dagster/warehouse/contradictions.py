"""What one answer says against itself: damage that no row shows alone.

Belongs here: counting contradictions by day. Not here: which row wins (`merge`), what follows (`quality.doubts`).
"""

from __future__ import annotations

from datetime import date

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse.merge import Answer, key_names, rank_names, with_keys, with_ranks
from gbpm_dagster.warehouse.protocol import DAY


def contradictions(dataset: Dataset, answer: Answer) -> dict[date, int]:
    """How often each day's answer contradicts itself; days without are left out.

    Counted are keys that came with unlike rows of one version, of which at most one can be right, and rows without an
    id of their unit that other rows of that unit and day have.
    """
    parts = [_unlike(dataset, answer), *_half_named(dataset, answer.winners)]
    found = [part for part in parts if part is not None and part.height]
    return dict(pl.concat(found).group_by(DAY).len().iter_rows()) if found else {}


def _unlike(dataset: Dataset, answer: Answer) -> pl.DataFrame | None:
    if not answer.losers.height:
        return None
    key = [DAY, *key_names(dataset)]
    same = [*key, *rank_names(dataset)]
    won, lost = (with_ranks(with_keys(f, dataset), dataset).select(same) for f in (answer.winners, answer.losers))
    return lost.join(won, on=same, how="semi", nulls_equal=True).unique(key).select(DAY)


def _half_named(dataset: Dataset, rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Rows that lack one id of a unit (nationalGridBmUnit, bmUnit), where others that have the other id have both."""
    pairs = [pair for one, other in dataset.unit_fallback for pair in ((one, other), (other, one))]
    return [_lacking(rows, has, lacks) for has, lacks in pairs if rows.get_column(lacks).null_count()]


def _lacking(rows: pl.DataFrame, has: str, lacks: str) -> pl.DataFrame:
    bare = rows.filter(pl.col(lacks).is_null() & pl.col(has).is_not_null()).select(DAY, has)
    units = bare.get_column(has).unique()
    both = rows.filter(pl.col(lacks).is_not_null() & pl.col(has).is_in(units.implode())).select(DAY, has)
    return bare.join(both, on=[DAY, has], how="semi").select(DAY)
