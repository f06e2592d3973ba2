"""Volumes of steps summed to rows: acceptance x unit x period x side, and the same by pair (domain.md 4.3 to 4.5).

Belongs here: sums, prices, cash, signs. Not here: levels and bands (profiles, stack), the final columns (engine).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from gbpm_dagster.analytics.acceptances.profiles import Steps
from gbpm_dagster.analytics.acceptances.segments import Bools, Floats, Grid, Ints
from gbpm_dagster.analytics.acceptances.stack import PAIRS, Stack, Volumes

OFFER, BID, NONE = "OFFER", "BID", "NONE"
LEAST_MWH = 1e-9
"""A pair's volume that is smaller is rounding."""

KEY = ("acceptance", "settlementPeriod")


def groups(steps: Steps, grid: Grid, periods: int) -> tuple[Ints, Ints]:
    """(names of the groups, group of each step); a name is acceptance * periods + period - 1."""
    name = steps.acceptance * periods + grid.period[steps.interval]
    found, place = np.unique(name, return_inverse=True)
    return found, place.astype(np.int64)


def by_pair(names: Ints, place: Ints, steps: Steps, volumes: Volumes, stack: Stack, periods: int) -> pl.DataFrame:
    """One row of (acceptance, settlementPeriod, side, pair_id) with a volume: volume_mwh (offers above, bids below
    zero) and cashflow_gbp at a loss multiplier of 1, NaN where the pair has no price.

    The price follows the sign, whatever the pair: up at the offer price, down at the bid price (undo: domain.md 4.3).
    """
    found = []
    for side, part, price in (
        (OFFER, np.maximum(volumes.pairs, 0), stack.offer),
        (BID, np.minimum(volumes.pairs, 0), stack.bid),
    ):
        cash = np.where(part != 0, part * price[steps.band], 0.0)
        volume, value = _sums(place, len(names), part), _sums(place, len(names), cash)
        group, pair = np.nonzero(np.abs(volume) > LEAST_MWH)
        found.append(
            pl.DataFrame(
                {
                    "acceptance": names[group] // periods,
                    "settlementPeriod": names[group] % periods + 1,
                    "side": pl.Series([side], dtype=pl.String).new_from_index(0, len(group)),
                    "pair_id": np.array(PAIRS, dtype=np.int64)[pair],
                    "volume_mwh": volume[group, pair],
                    "cashflow_gbp": value[group, pair],
                }
            )
        )
    return pl.concat(found)


def by_period(names: Ints, place: Ints, steps: Steps, volumes: Volumes, stack: Stack, periods: int) -> pl.DataFrame:
    """One row of (acceptance, settlementPeriod) that a profile overlaps: residual_mwh (unsigned, both sides), has_pn
    (over all of its time in the period), has_bod, level_from_mw, level_to_mw (A_k where it begins and ends)."""
    n, order = len(names), np.argsort(steps.interval, kind="stable")
    first, last = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    # Of an index that is assigned twice the later counts.
    last[place[order]] = order
    first[place[order[::-1]]] = order[::-1]
    notified: Bools = ~np.isnan(steps.notified[:, 0])
    return pl.DataFrame(
        {
            "acceptance": names // periods,
            "settlementPeriod": names % periods + 1,
            "residual_mwh": np.bincount(place, np.abs(volumes.residual), n),
            "has_pn": np.bincount(place[~notified], minlength=n) == 0,
            "has_bod": np.bincount(place[stack.there[steps.band]], minlength=n) > 0,
            "level_from_mw": steps.after[first, 0],
            "level_to_mw": steps.after[last, 1],
        }
    )


def _sums(place: Ints, n: int, values: Floats) -> Floats:
    """Sums of the rows of `values` by group; NaN stays in its group."""
    return np.column_stack([np.bincount(place, column, n) for column in values.T])
