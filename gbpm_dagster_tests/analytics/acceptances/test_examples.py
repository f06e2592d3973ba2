"""The worked examples of acceptances: volumes, prices, cash and flags, worked out by exact arithmetic elsewhere."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.analytics.acceptances import flags
from gbpm_dagster_tests.analytics.acceptances.made import priced
from gbpm_dagster_tests.examples import example

IDS = [f"bo-0{n}" for n in range(1, 10)]
PRECISE = 1e-6


@pytest.mark.parametrize("name", IDS)
def test_volumes_prices_and_cash_are_the_worked_ones(name: str) -> None:
    problem, expected = example(name)
    periods = [n for _, n in problem["periods"]]
    found = priced(problem, date.fromisoformat(problem["periods"][0][0]))
    rows = found.rows.filter(pl.col("settlementPeriod").is_in(periods))
    assert rows.height == len(expected["rows"])
    for want in expected["rows"]:
        key = {k: want[k] for k in ("acceptanceNumber", "settlementPeriod", "side")}
        row = rows.filter(*(pl.col(k) == v for k, v in key.items())).row(0, named=True)
        assert row["settlementDate"] == date.fromisoformat(want["settlementDate"])
        assert row["volume_mwh"] == pytest.approx(want["volume_mwh"], abs=PRECISE)
        assert row["acceptanceVolume"] == pytest.approx(abs(want["volume_mwh"]), abs=PRECISE)
        assert row["cashflow_gbp"] == pytest.approx(want["cashflow_gbp"], abs=PRECISE)
        assert row["residual_mwh"] == pytest.approx(want["residual_mwh"], abs=PRECISE)
        assert row["validation_flag"] == want["validation_flag"]
        assert row["acceptanceType"] == want["side"]
        if want["price_gbp_per_mwh"] is None:
            assert row["acceptancePrice"] is None
        else:
            assert row["acceptancePrice"] == pytest.approx(want["price_gbp_per_mwh"], abs=PRECISE)
        child = found.pairs.filter(*(pl.col(k) == v for k, v in key.items()))
        got = {str(n): v for n, v in child.select("pair_id", "volume_mwh").iter_rows()}
        assert got == pytest.approx(want["pair_volumes_mwh"], abs=PRECISE)


def test_exactly_one_flag_by_the_stated_order() -> None:
    """bo-10."""
    problem, expected = example("bo-10")
    assert pl.DataFrame(problem["cases"]).select(_flag()).to_series().to_list() == expected


def _flag() -> pl.Expr:
    reason = flags.unmatched_reason(*(pl.col(c) for c in ("has_pn", "has_bod", "gross_priced_mwh", "residual_mwh")))
    return flags.validation_flag(pl.col("so_flag"), reason, pl.col("side_volume_mwh"), pl.col("price"))


def test_an_undone_offer_is_bought_back_at_the_bid_price_of_its_pair() -> None:
    """bo-05, by pair: -5 MWh of pair 1 at 60 GBP/MWh, not at its offer price 95."""
    problem, _ = example("bo-05")
    undo: dict[str, Any] = (
        priced(problem, date(2025, 1, 15)).pairs.filter(pl.col("acceptanceNumber") == 107).row(0, named=True)
    )
    assert (undo["pair_id"], undo["side"]) == (1, "BID")
    assert undo["volume_mwh"] == pytest.approx(-5.0)
    assert undo["price_gbp_per_mwh"] == pytest.approx(60.0)
    assert undo["cashflow_gbp"] == pytest.approx(-300.0)
