"""The level a unit was to run at, before and after each acceptance (domain.md 4.1).

Belongs here: FPN, the order of acceptances, A_k falling through to A_{k-1} where k says nothing. Not here: prices.

A_{k-1} at an instant is the level of the last earlier acceptance that is defined there, else FPN: the acceptances
over each elementary interval, sorted, hold it, without any loop. An acceptance that began before the day counts where
it has a line; nothing else of it can matter, so that no closure over earlier ones is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gbpm_dagster.analytics.acceptances.segments import Floats, Grid, Ints, Lines


@dataclass(frozen=True, slots=True)
class Steps:
    """One acceptance over one elementary interval or a part of it, in the order (interval, acceptance).

    after, before: A_k and A_{k-1} at the interval's two ends (n, 2), MW; notified: FPN there, NaN where there is
    none. hours: its length. band: interval of the stack's grid whose pairs apply; share: where the two ends lie in
    that (n, 2), 0 to 1.
    """

    interval: Ints
    acceptance: Ints
    after: Floats
    before: Floats
    notified: Floats
    share: Floats
    hours: Floats
    band: Ints

    def __len__(self) -> int:
        return len(self.interval)


def notified_levels(grid: Grid, lines: Lines) -> Floats:
    """FPN at both ends of every interval (n, 2); NaN where no notification covers it. Of overlapping lines the one
    that starts first counts."""
    levels = np.full((len(grid.cuts), 2), np.nan)
    interval, which = grid.covered(lines)
    order = np.lexsort((-lines.end[which], -lines.start[which]))
    interval, which = interval[order], which[order]
    levels[interval, 0], levels[interval, 1] = lines.values_at(which, grid.start[interval], grid.end[interval])
    return levels


def steps(grid: Grid, bands: Grid, lines: Lines, acceptance: Ints, notified: Floats) -> Steps:
    """What each acceptance changes, interval by interval.

    bands: the grid of the bid-offer pairs, none of whose edges `grid` lacks. acceptance: of each line the place of
    its acceptance in the order (acceptanceTime, acceptanceNumber) of its unit. Of overlapping lines of one acceptance
    the one that starts first counts.
    """
    interval, which = grid.covered(lines)
    order = np.lexsort((lines.end[which], lines.start[which], acceptance[which], interval))
    interval, which = interval[order], which[order]
    taken = acceptance[which]
    again = np.zeros(len(which), dtype=bool)
    again[1:] = (interval[1:] == interval[:-1]) & (taken[1:] == taken[:-1])
    interval, which, taken = interval[~again], which[~again], taken[~again]
    after = np.column_stack(lines.values_at(which, grid.start[interval], grid.end[interval]))
    base = notified[interval]
    before = base.copy()
    follows = np.flatnonzero(interval[1:] == interval[:-1]) + 1
    before[follows] = after[follows - 1]
    band, share = bands.within(grid, interval)
    return Steps(interval, taken, after, before, base, share, grid.hours[interval], band)


def cut_at_crossings(found: Steps) -> Steps:
    """The steps, those in which A_k crosses A_{k-1} in two parts: in each the change has one sign.

    The first part stays in its place, the second comes after all others.
    """
    change = found.after - found.before
    crossing = np.flatnonzero(change[:, 0] * change[:, 1] < 0)
    if not len(crossing):
        return found
    z = change[crossing, 0] / (change[crossing, 0] - change[crossing, 1])
    at = {
        name: levels[crossing, 0] + (levels[crossing, 1] - levels[crossing, 0]) * z
        for name, levels in (("after", found.after), ("notified", found.notified), ("share", found.share))
    }
    # A_{k-1} is A_k there by definition; what rounding leaves between them would be a change of its own.
    at["before"] = at["after"]
    hours = found.hours.copy()
    hours[crossing] *= z
    return Steps(
        np.concatenate((found.interval, found.interval[crossing])),
        np.concatenate((found.acceptance, found.acceptance[crossing])),
        _parts(found.after, at["after"], crossing),
        _parts(found.before, at["before"], crossing),
        _parts(found.notified, at["notified"], crossing),
        _parts(found.share, at["share"], crossing),
        np.concatenate((hours, found.hours[crossing] - hours[crossing])),
        np.concatenate((found.band, found.band[crossing])),
    )


def _parts(levels: Floats, at: Floats, crossing: Ints) -> Floats:
    first = levels.copy()
    first[crossing, 1] = at
    return np.concatenate((first, np.column_stack((at, levels[crossing, 1]))))
