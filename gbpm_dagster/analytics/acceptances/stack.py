"""The bid-offer stack of a unit around its FPN, interval by interval (domain.md 4.2), and the energy in its bands.

Belongs here: band edges, prices, exact integrals over bands. Not here: what a volume is called or paid (pricing).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from gbpm_dagster.analytics.acceptances.profiles import Steps
from gbpm_dagster.analytics.acceptances.segments import Bools, Floats, Grid, Lines

PAIRS = (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6)
"""Pair ids in the order of their bands from the lowest up; band i lies between edges i and i + 1."""
_ZERO = 6
"""The edge that is FPN itself."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Of every interval of a grid: `edges` (n, 13, 2) in MW above FPN at its two ends, ascending; `offer` and `bid`
    (n, 12) in GBP/MWh, NaN where the pair has none; `there` (n): whether any pair is."""

    edges: Floats
    offer: Floats
    bid: Floats
    there: Bools


@dataclass(frozen=True, slots=True)
class Volumes:
    """Of every step: `pairs` (n, 12), MWh, signed; `residual` (n), signed: the change beyond the stack's two ends."""

    pairs: Floats
    residual: Floats


def known_pairs(bod: pl.DataFrame) -> pl.DataFrame:
    """The rows whose pairId is one there is."""
    return bod.filter(pl.col("pairId").is_in(PAIRS))


def stack(grid: Grid, lines: Lines, bod: pl.DataFrame) -> Stack:
    """Bands stacked outward from FPN. lines: those of `bod` (its pairId, offer, bid); a missing pair counts as 0 MW.

    A level of the wrong sign (a positive pair below zero) is no band and counts as 0 MW (choice). Of overlapping rows
    of one pair the one that starts first counts. Prices of any size stay: without their pair every band would shift.
    """
    n, m = len(grid.cuts), len(PAIRS)
    place = np.searchsorted(PAIRS, bod.get_column("pairId").to_numpy())[lines.row]
    interval, which = grid.covered(lines)
    order = np.lexsort((-lines.end[which], -lines.start[which]))
    interval, which = interval[order], which[order]
    pair, row = place[which], lines.row[which]
    size = np.zeros((n, m, 2))
    size[interval, pair] = np.column_stack(lines.values_at(which, grid.start[interval], grid.end[interval]))
    size[:, :_ZERO] = np.minimum(size[:, :_ZERO], 0)
    size[:, _ZERO:] = np.maximum(size[:, _ZERO:], 0)
    edges = np.zeros((n, m + 1, 2))
    edges[:, _ZERO + 1 :] = np.cumsum(size[:, _ZERO:], axis=1)
    edges[:, :_ZERO] = np.cumsum(size[:, :_ZERO][:, ::-1], axis=1)[:, ::-1]
    prices = []
    for name in ("offer", "bid"):
        price = np.full((n, m), np.nan)
        price[interval, pair] = bod.get_column(name).cast(pl.Float64).fill_null(np.nan).to_numpy()[row]
        prices.append(price)
    there = np.zeros(n, dtype=bool)
    there[interval] = True
    return Stack(edges, prices[0], prices[1], there)


def volumes(steps: Steps, found: Stack) -> Volumes:
    """Energy of each step in each band: the integral of clamp(A_k, band) - clamp(A_{k-1}, band), exact.

    The steps' changes must have one sign each (`cut_at_crossings`). Clamping to [a, b] adds relu(x - a) - relu(x - b)
    to a, and the mean of relu over a straight line is known in closed form: no cut at a band's edge is needed. What
    has no FPN gives NaN.
    """
    first, last = found.edges[steps.band, :, 0], found.edges[steps.band, :, 1]
    # Bands may slope: of a part of an interval the edges are those at its own ends.
    rise = last - first
    low, high = first + rise * steps.share[:, :1], first + rise * steps.share[:, 1:]
    low += steps.notified[:, :1]
    high += steps.notified[:, 1:]
    above = [_mean_above(level[:, :1] - low, level[:, 1:] - high) for level in (steps.after, steps.before)]
    gain = (above[0] - above[1]) * steps.hours[:, None]
    change = (steps.after - steps.before).mean(axis=1) * steps.hours
    return Volumes(gain[:, :-1] - gain[:, 1:], gain[:, -1] + change - gain[:, 0])


def _mean_above(first: Floats, last: Floats) -> Floats:
    """Mean of max(x, 0) along straight lines from `first` to `last`."""
    mean = (np.maximum(first, 0) + np.maximum(last, 0)) / 2
    crossing = np.nonzero(first * last < 0)
    p, q = first[crossing], last[crossing]
    mean[crossing] = np.maximum(p, q) ** 2 / (2 * np.abs(p - q))
    return mean
