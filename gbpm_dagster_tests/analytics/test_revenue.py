"""Revenue of a unit and price events: the worked examples vlp-01 and vlp-02."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.analytics.acceptances import flags
from gbpm_dagster.analytics.revenue import price_events, unit_revenue
from gbpm_dagster_tests.examples import example


def _rows(rows: list[dict[str, Any]]) -> pl.DataFrame:
    yes = pl.lit(value=True)
    return (
        pl.DataFrame(rows)
        .rename({"sp": "settlementPeriod"})
        .with_columns(
            pl.col("date").str.to_date().alias("settlementDate"),
            pl.lit(datetime(2025, 1, 15, tzinfo=UTC)).alias("acceptanceTime"),
            flags.is_payable(yes, yes, pl.col("volume_mwh")).alias("is_payable"),
        )
    )


def test_bids_subtract_unless_their_price_is_negative() -> None:
    """vlp-01."""
    problem, expected = example("vlp-01")
    days = [date.fromisoformat(d) for d in problem["days"]]
    found = unit_revenue(_rows(problem["rows"]), days, power_mw=problem["power_mw"], energy_mwh=problem["energy_mwh"])
    got = asdict(found)
    assert {k: got[k] for k in expected} == pytest.approx(expected, abs=1e-6)


def test_what_is_not_known_is_null() -> None:
    problem, _ = example("vlp-01")
    rows, day = _rows(problem["rows"]), date(2025, 1, 15)
    found = unit_revenue(rows, [day])
    assert (found.revenue_gbp_per_mw, found.equivalent_full_cycles, found.cycle_depth) == (None, None, None)
    quiet = unit_revenue(rows, [date(2025, 1, 16)])
    assert (quiet.revenue_gbp, quiet.offer_vwap_gbp_per_mwh, quiet.bid_vwap_gbp_per_mwh) == (0.0, None, None)
    assert (quiet.acceptances_per_day, quiet.dispatch_sp_share) == (0.0, 0.0)


def test_energy_without_a_price_is_counted() -> None:
    rows = _rows(example("vlp-01")[0]["rows"]).with_columns(
        cashflow_gbp=pl.when(pl.col("acceptanceNumber") != 1).then("cashflow_gbp")
    )
    found = unit_revenue(rows, [date(2025, 1, 15)])
    assert (found.unpriced_rows, found.offer_mwh) == (1, pytest.approx(14.5))
    assert found.revenue_gbp == pytest.approx(1536.06 - 1142.06)


def test_a_missing_price_ends_an_event_and_the_threshold_counts() -> None:
    """vlp-02."""
    problem, expected = example("vlp-02")
    labels = [label for label, _ in problem["prices"]]
    found = price_events([price for _, price in problem["prices"]], problem["threshold"])
    assert [
        {
            "start": labels[e.first],
            "end": labels[e.last],
            "periods": e.periods,
            "max": e.highest_gbp_per_mwh,
            "mean": e.mean_gbp_per_mwh,
        }
        for e in found
    ] == [{**e, "mean": pytest.approx(e["mean"])} for e in expected]
