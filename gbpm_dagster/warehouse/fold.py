"""The rule of duplicates and vintages for rows that come a few at a time: the same result in any order of arrival.

Belongs here: what a batch changes, given what is stored of its keys; pure. Not here: storage (stream).

Of each content (key and values) the first time of enqueue is kept, wherever it stands. The current row of a key is
then a function of the set of contents seen, whatever came first, twice or again after a crash: greatest stamp, then
the later enqueue, then the content itself (merge.resolve).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.warehouse.merge import key_names, resolve, with_keys
from gbpm_dagster.warehouse.protocol import DAY, FETCHED_AT

_FROM, _NUMBER = "_from", "_number"
_HELD, _LOST, _NEW = 0, 1, 2

WRITTEN, SUPERSEDED, DUPLICATE = "written", "superseded", "exact_duplicates"


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch of rows changes.

    fresh: rows of keys that were not held. changed: rows that take the place of the held row of their key. vintages:
    superseded rows that are not stored yet. retaken: all superseded rows of the batch's keys, where those stored have
    to be replaced by them (one came back, or was enqueued earlier than was known); else None. verdicts: of each row
    of the batch, in its order: written, superseded or exact_duplicates.
    """

    fresh: pl.DataFrame
    changed: pl.DataFrame
    vintages: pl.DataFrame
    retaken: pl.DataFrame | None
    verdicts: pl.Series


def keys_of(dataset: Dataset) -> list[str]:
    """The day and the resolved key columns, as `with_keys` names them."""
    return [DAY, *key_names(dataset)]


def of_keys(dataset: Dataset, stored: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The stored rows whose key is among those of `rows`."""
    key = keys_of(dataset)
    asked = with_keys(rows.select(DAY, *dataset.key_columns), dataset).select(key).unique()
    return with_keys(stored, dataset).join(asked, on=key, how="semi", nulls_equal=True).select(stored.columns)


def fold(dataset: Dataset, rows: pl.DataFrame, held: pl.DataFrame, lost: pl.DataFrame) -> Folded:
    """What `rows` change; held, lost: the current and the superseded rows of their keys (`of_keys`).

    All three have the same columns, among them stored_schema.
    """
    signature = [DAY, *dataset.names]
    parts = [(held, _HELD), (lost, _LOST), (rows, _NEW)]
    every = pl.concat([f.with_columns(pl.lit(n, pl.Int8).alias(_FROM)) for f, n in parts])
    answer = resolve(dataset, every)
    winners, losers = answer.winners, answer.losers
    known = pl.concat([held.select(signature), lost.select(signature)])
    was_held, new = _is_in(dataset, winners, held), winners[_FROM] != _HELD
    times, names = [*signature, FETCHED_AT], rows.columns
    gone = lost.join(losers.select(times), on=times, how="anti", nulls_equal=True).height > 0
    unsaved = losers.filter(pl.col(_FROM) != _LOST).join(lost.select(times), on=times, how="anti", nulls_equal=True)
    return Folded(
        winners.filter(new & ~was_held).select(names),
        winners.filter(new & was_held).select(names),
        unsaved.select(names),
        losers.select(names) if gone else None,
        _verdicts(rows, known, winners, signature),
    )


def _is_in(dataset: Dataset, frame: pl.DataFrame, other: pl.DataFrame) -> pl.Series:
    """Whether the key of each row of `frame` is one of `other`'s."""
    if not other.height:
        return pl.Series([False], dtype=pl.Boolean).new_from_index(0, frame.height)
    key = keys_of(dataset)
    there = with_keys(other, dataset).select(key).unique().with_columns(pl.lit(True).alias("_there"))
    asked = with_keys(frame, dataset).select(key)
    joined = asked.join(there, on=key, how="left", nulls_equal=True, maintain_order="left")
    return joined["_there"].fill_null(False)


def _verdicts(rows: pl.DataFrame, known: pl.DataFrame, winners: pl.DataFrame, signature: list[str]) -> pl.Series:
    numbered = rows.with_row_index(_NUMBER)
    unseen = numbered.join(known, on=signature, how="anti", nulls_equal=True) if known.height else numbered
    first = unseen.sort(FETCHED_AT, _NUMBER).unique(subset=signature, keep="first", maintain_order=True)
    won = first.join(winners.select(signature), on=signature, how="semi", nulls_equal=True)[_NUMBER]
    words = (
        pl.when(pl.col(_NUMBER).is_in(won.implode()))
        .then(pl.lit(WRITTEN))
        .when(pl.col(_NUMBER).is_in(first[_NUMBER].implode()))
        .then(pl.lit(SUPERSEDED))
        .otherwise(pl.lit(DUPLICATE))
    )
    return numbered.select(words.alias("verdict")).to_series()
