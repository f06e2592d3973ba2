"""What a unit earned in the balancing mechanism: energy, cash, dispatch, cycles, and price events (domain.md 6.1).

Belongs here: pure functions over rows of bmrs_boalf_complete and prices. Not here: reading tables, which units are a
party's. Balancing mechanism only: a unit also trades its FPN, settles deviations, and may be paid for availability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from gbpm_dagster.analytics.acceptances.flags import SMALL_MWH
from gbpm_dagster.market.calendar import periods_in_day

HIGH_PRICE_GBP_PER_MWH = 70.0


@dataclass(frozen=True, slots=True)
class Revenue:
    """Of some settlement days. None where there is nothing to divide by, or power or energy is not known."""

    offer_mwh: float
    bid_mwh: float
    revenue_gbp: float
    offer_vwap_gbp_per_mwh: float | None
    bid_vwap_gbp_per_mwh: float | None
    revenue_gbp_per_mwh_throughput: float | None
    revenue_gbp_per_mw: float | None
    acceptances_per_day: float | None
    dispatch_sp_share: float | None
    equivalent_full_cycles: float | None
    cycle_depth: float | None
    unpriced_rows: int


def unit_revenue(
    rows: pl.DataFrame, days: Sequence[date], *, power_mw: float | None = None, energy_mwh: float | None = None
) -> Revenue:
    """One unit's revenue over those days, from its rows of bmrs_boalf_complete.

    Only rows with `is_payable` count (a system-flagged action is paid); bids subtract unless their price is negative.
    Payable rows whose pair has no price add energy and no cash: `unpriced_rows` says how many there are. energy_mwh:
    of the battery; depth is of its offers a day.
    """
    paid = rows.filter(pl.col("is_payable") & pl.col("settlementDate").is_in(list(days)))
    offers, bids = (paid.filter(pl.col("side") == side) for side in ("OFFER", "BID"))
    offer, bid = (float(f["volume_mwh"].sum()) for f in (offers, bids))
    offer_cash, bid_cash = (float(f["cashflow_gbp"].sum()) for f in (offers, bids))
    revenue, throughput = offer_cash + bid_cash, offer - bid
    active = paid.filter(pl.col("volume_mwh").abs() >= SMALL_MWH)
    acceptances = active.select("acceptanceNumber", "acceptanceTime").n_unique() if active.height else 0
    periods = active.select("settlementDate", "settlementPeriod").n_unique() if active.height else 0
    in_all = sum(periods_in_day(d) for d in days)
    return Revenue(
        offer,
        bid,
        revenue,
        _per(offer_cash, offer),
        _per(bid_cash, bid),
        _per(revenue, throughput),
        _per(revenue, power_mw),
        _per(acceptances, len(days)),
        _per(periods, in_all),
        _per(throughput, 2 * energy_mwh if energy_mwh else None),
        min(1.0, offer / len(days) / energy_mwh) if energy_mwh and days else None,
        paid["cashflow_gbp"].null_count(),
    )


def _per(value: float, of: float | None) -> float | None:
    return value / of if of else None


@dataclass(frozen=True, slots=True)
class PriceEvent:
    """A maximal run of prices at or above the threshold; first, last: places in the series, both included."""

    first: int
    last: int
    highest_gbp_per_mwh: float
    mean_gbp_per_mwh: float

    @property
    def periods(self) -> int:
        return self.last - self.first + 1


def price_events(prices: Sequence[float | None], threshold: float = HIGH_PRICE_GBP_PER_MWH) -> list[PriceEvent]:
    """The events of a series of consecutive settlement periods, in order; a missing price ends an event."""
    found: list[PriceEvent] = []
    begun: list[float] = []
    for place, price in enumerate([*prices, None]):
        if price is not None and price >= threshold:
            begun.append(price)
        elif begun:
            found.append(PriceEvent(place - len(begun), place - 1, max(begun), sum(begun) / len(begun)))
            begun = []
    return found
