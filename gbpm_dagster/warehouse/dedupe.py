"""Which of the rows that share a natural key stays (domain.md 3.2): pure functions over rows that are stored.

Belongs here: the fate of each row, and the account. Not here: an answer against what is stored (merge), any storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse.merge import SUPERSEDED_AT, key_names, rank_names, with_keys, with_ranks
from gbpm_dagster.warehouse.protocol import DAY, FETCHED_AT, INSTANT, SOURCE, stored_schema

FATE, CONFLICT = "_fate", "_conflict"
CURRENT, SUPERSEDED, EXACT = "current", "superseded", "exact"
"""Fates: the row of its key that stays; an older or unlike content, which goes to the vintages; a copy."""

COUNTED = ("rows", "current", "superseded", "exact_duplicates", "conflicts")
"""Of each day: rows = current + superseded + exact_duplicates; conflicts: keys whose stamp decided nothing."""

_ROW, _SIG, _PLACE, _FIRST, _LAST, _REST, _OTHER = "_row", "_sig", "_place", "_first", "_last", "_rest", "_other"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Rows with every key once.

    current: stored_schema, sorted by day and key. superseded: stored_schema and `_superseded_at`. copies: the exact
    duplicates that go, stored_schema. counts: one row a day: `_day` and COUNTED.
    """

    current: pl.DataFrame
    superseded: pl.DataFrame
    copies: pl.DataFrame
    counts: pl.DataFrame


def resolve(dataset: Dataset, rows: pl.DataFrame) -> Resolved:
    """One row a (day, key) out of stored_schema rows in any order; of equal content the first received is kept."""
    names = list(stored_schema(dataset))
    fates = judge(dataset, rows)
    judged = pl.concat([rows.select(names), fates], how="horizontal")
    current = with_keys(judged.filter(pl.col(FATE) == CURRENT).select(names), dataset)
    superseded = judged.filter(pl.col(FATE) == SUPERSEDED).select(*names, SUPERSEDED_AT)
    return Resolved(
        current.sort(DAY, *key_names(dataset)).select(names),
        superseded.sort(DAY, *dataset.names, FETCHED_AT),
        judged.filter(pl.col(FATE) == EXACT).select(names),
        count(judged),
    )


def count(judged: pl.DataFrame, by: str | pl.Expr = DAY) -> pl.DataFrame:
    """Rows with their FATE and CONFLICT, counted: `by` and COUNTED, ascending."""

    def of(fate: str, name: str) -> pl.Expr:
        return (pl.col(FATE) == fate).sum().cast(pl.Int64).alias(name)

    found = judged.group_by(by).agg(
        pl.len().cast(pl.Int64).alias("rows"),
        of(CURRENT, "current"),
        of(SUPERSEDED, "superseded"),
        of(EXACT, "exact_duplicates"),
        (pl.col(CONFLICT) & (pl.col(FATE) == CURRENT)).sum().cast(pl.Int64).alias("conflicts"),
    )
    return found.sort(found.columns[0])


def judge(dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    """The fate of each row, in the order of `rows`: FATE, CONFLICT, `_superseded_at`.

    rows: `_day`, the dataset's columns, `_fetched_at`, `_source`. Rows of equal content (all columns of Elexon's) are
    one: all but one are EXACT. Of unlike contents of a key the greatest (vintage stamp, receipt, REST before IRIS)
    is CURRENT, a null stamp being lowest; the others are SUPERSEDED, at the receipt of the one that took their place
    (their own if that was there before). CONFLICT: of the key's contents two share the winning stamp, or it is null;
    where the receipt is the stamp (a table without `version`): two came at one time. The later received is kept.
    """
    key = [DAY, *key_names(dataset)]
    keyed = with_keys(rows, dataset).with_row_index(_ROW)
    several = keyed.filter(pl.struct(key).is_duplicated())
    fates = keyed.select(_ROW)
    if several.is_empty():
        plain = fates.with_columns(_fate_columns(pl.lit(CURRENT), pl.lit(False), pl.lit(None, INSTANT)))
        return plain.drop(_ROW)
    several = _numbered(dataset, with_ranks(several, dataset))
    contents = _contents(dataset, several, key)
    kept = _kept(several, contents)
    found = (
        several.join(contents.select(_SIG, _PLACE, CONFLICT), on=_SIG)
        .join(_superseded(contents, kept, key), on=_SIG, how="left")
        .join(kept.select(_ROW, pl.lit(True).alias("_kept")), on=_ROW, how="left")
    )
    fate = (
        pl.when(pl.col("_kept").is_null())
        .then(pl.lit(EXACT))
        .when(pl.col(_PLACE) == 0)
        .then(pl.lit(CURRENT))
        .otherwise(pl.lit(SUPERSEDED))
    )
    known = found.select(_ROW, *_fate_columns(fate, pl.col(CONFLICT), pl.col(SUPERSEDED_AT)))
    return fates.join(known, on=_ROW, how="left", maintain_order="left").select(
        pl.col(FATE).fill_null(CURRENT), pl.col(CONFLICT).fill_null(False), SUPERSEDED_AT
    )


def samples(dataset: Dataset, rows: pl.DataFrame, fates: pl.DataFrame, limit: int) -> list[dict[str, Any]]:
    """The first repeated keys: key, rows, exact_duplicates, kept and superseded (stamp, receipt of each), why."""
    judged = pl.concat([with_keys(rows, dataset), fates], how="horizontal")
    key = [DAY, *key_names(dataset)]
    several = judged.filter(pl.struct(key).is_duplicated())
    firsts = several.select(key).unique(maintain_order=True).sort(key).head(limit)
    found = []
    for wanted in firsts.iter_rows(named=True):
        group = several.filter(*(pl.col(k).eq_missing(pl.lit(wanted[k], several.schema[k])) for k in key))
        found.append(_sample(dataset, group.sort(FETCHED_AT), wanted))
    return found


def _sample(dataset: Dataset, group: pl.DataFrame, wanted: dict[str, Any]) -> dict[str, Any]:
    stamps = [*dataset.version, FETCHED_AT]
    kept = group.filter(pl.col(FATE) == CURRENT)
    gone = group.filter(pl.col(FATE) == SUPERSEDED)
    exact = group.filter(pl.col(FATE) == EXACT).height
    conflict = bool(group[CONFLICT].any())
    why = [f"{exact} exact"] if exact else []
    if gone.height:
        by = "the later received wins: no stamp decides" if conflict else f"the greatest {stamps[0]} wins"
        why.append(f"{gone.height} superseded, {by}")
    return {
        "day": wanted[DAY],
        "key": {k: wanted[n] for k, n in zip(dataset.key, key_names(dataset), strict=True)},
        "rows": group.height,
        "exact_duplicates": exact,
        "kept": kept.select(stamps).row(0, named=True),
        "superseded": gone.select(stamps).to_dicts(),
        "vintage_conflict": conflict,
        "why": "; ".join(why),
    }


def _fate_columns(fate: pl.Expr, conflict: pl.Expr, superseded_at: pl.Expr) -> Sequence[pl.Expr]:
    gone = pl.when(fate == SUPERSEDED).then(superseded_at).otherwise(pl.lit(None, INSTANT))
    return fate.alias(FATE), conflict.alias(CONFLICT), gone.cast(INSTANT).alias(SUPERSEDED_AT)


def _numbered(dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with a number that those of equal content share."""
    content = [DAY, *dataset.names]
    ordered = rows.sort(content)
    fresh = pl.any_horizontal(pl.col(c).ne_missing(pl.col(c).shift(1)) for c in content)
    return ordered.with_columns((fresh | (pl.int_range(pl.len()) == 0)).cum_sum().alias(_SIG))


def _contents(dataset: Dataset, several: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """One row a content: its place within its key (0 wins), conflict of the key, and _OTHER: when an unlike content
    with the winner's stamp was last received."""
    ranks = rank_names(dataset)
    found = several.group_by(_SIG).agg(
        pl.col(*dict.fromkeys([*key, *ranks, *dataset.names])).first(),
        pl.col(FETCHED_AT).min().alias(_FIRST),
        pl.col(FETCHED_AT).max().alias(_LAST),
        (pl.col(SOURCE) == "REST").any().alias(_REST),
    )
    by = [*ranks, _LAST, _REST, *dataset.names]
    falling = [False] * len(key) + [True] * len(by)
    found = found.sort([*key, *by], descending=falling, nulls_last=falling)
    deciding = ranks or [_LAST]
    tied = pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).first().over(key)) for c in deciding)
    found = found.with_columns(pl.int_range(pl.len()).over(key).alias(_PLACE), tied.alias("_tied"))
    beside = pl.col("_tied") & (pl.col(_PLACE) > 0)
    rivals = beside if ranks else pl.col(_PLACE) > 0
    other = pl.col(_LAST).filter(rivals).max().over(key)
    return found.with_columns(beside.any().over(key).alias(CONFLICT), other.alias(_OTHER))


def _superseded(contents: pl.DataFrame, kept: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """(_sig, _superseded_at) of the contents that lose: the first receipt of a greater one after their own."""
    arrived = kept.select(_SIG, pl.col(FETCHED_AT).alias("_at"))
    greater = contents.select(*key, _SIG, pl.col(_PLACE).alias("_p")).join(arrived, on=_SIG).drop(_SIG)
    pairs = contents.filter(pl.col(_PLACE) > 0).join(greater, on=key, nulls_equal=True)
    after = (pl.col("_p") < pl.col(_PLACE)) & (pl.col("_at") > pl.col(_FIRST))
    return pairs.group_by(_SIG).agg(
        pl.coalesce(pl.col("_at").filter(after).min(), pl.col(_FIRST).first()).alias(SUPERSEDED_AT)
    )


def _kept(several: pl.DataFrame, contents: pl.DataFrame) -> pl.DataFrame:
    """The row that stays of each content: the first received; the first since, of a winner that came back."""
    rows = several.join(contents.select(_SIG, _PLACE, _LAST, _OTHER), on=_SIG)
    back = (pl.col(_PLACE) > 0) | pl.col(_OTHER).is_null() | (pl.col(FETCHED_AT) > pl.col(_OTHER))
    rows = rows.with_columns((back | (pl.col(FETCHED_AT) == pl.col(_LAST))).fill_null(True).alias("_back"))
    ordered = rows.sort(
        [_SIG, "_back", FETCHED_AT, pl.col(SOURCE) == "REST", _ROW],
        descending=[False, True, False, True, False],
        nulls_last=True,
    )
    return ordered.unique(subset=[_SIG], keep="first", maintain_order=True)
