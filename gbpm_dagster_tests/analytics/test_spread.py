"""Market index and spread: worked examples sp-*, and the recorded day's known numbers."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.analytics.spread import market_index, spread, summarise
from gbpm_dagster_tests.analytics.day import frame, recorded
from gbpm_dagster_tests.examples import example

DAY = "2025-01-15"


def mid(rows: dict[int, list[tuple[str, float | None, float | None]]]) -> pl.DataFrame:
    return frame(
        "bmrs_mid",
        [
            {"settlementDate": DAY, "settlementPeriod": sp, "dataProvider": who, "price": price, "volume": volume}
            for sp, each in rows.items()
            for who, price, volume in each
        ],
    )


def costs(prices: dict[int, float | None]) -> pl.DataFrame:
    return frame(
        "bmrs_costs",
        [{"settlementDate": DAY, "settlementPeriod": sp, "systemSellPrice": p} for sp, p in prices.items()],
    )


def test_market_index_examples() -> None:
    given_, expected = example("sp-01")
    found = market_index(mid(dict(enumerate(given_["cases"], 1))))
    values: list[Any] = found.select("market_index_gbp_per_mwh", "volume_mwh", "method").rows()
    assert len(values) == len(expected)
    for (price, volume, method), (p, v, m) in zip(values, expected, strict=True):
        assert price == (None if p is None else pytest.approx(p, abs=1e-9))
        assert (volume, method) == (v, m)


def test_a_null_on_either_side_drops_the_row() -> None:
    found = market_index(mid({1: [("APXMIDP", None, 5.0), ("N2EXMIDP", 7.0, None)], 2: [("APXMIDP", None, None)]}))
    assert found["market_index_gbp_per_mwh"].to_list() == [None, None]
    assert found["method"].to_list() == ["none", "none"]


def test_spread_example() -> None:
    given_, expected = example("sp-02")
    system = {int(k): v for k, v in given_["system_price"].items()}
    index = {int(k): [("APXMIDP", v, 10.0)] for k, v in given_["market_index"].items()}
    found = spread(costs(system), mid(index))
    got = {str(sp): gap for sp, gap in found.select("settlementPeriod", "spread_gbp_per_mwh").iter_rows()}
    assert got == {k: None if v is None else pytest.approx(v, abs=1e-9) for k, v in expected.items()}
    summary = summarise(found)
    assert (summary.imbalance_dearer, summary.wholesale_dearer, summary.equal, summary.unmatched) == (1, 2, 0, 1)
    assert summary.mean_spread == pytest.approx((15 - 10 - 2.5) / 3)
    assert summary.share_imbalance_dearer == pytest.approx(1 / 3)


def test_a_period_of_one_side_only_is_unmatched_and_kept() -> None:
    found = spread(costs({1: 50.0, 3: 60.0}), mid({1: [("APXMIDP", 50.0, 3.3)], 2: [("APXMIDP", 40.0, 1.0)]}))
    assert found["settlementPeriod"].to_list() == [1, 2, 3]
    assert found["spread_gbp_per_mwh"].to_list() == [0, None, None]
    summary = summarise(found)
    assert (summary.periods, summary.equal, summary.unmatched) == (3, 1, 2)
    assert summary.mean_system_price == 55 and summary.mean_market_index == 45


def test_rounding_of_the_quotient_is_not_a_difference() -> None:
    price, volume = next((p / 100, 1576.4) for p in range(1, 9999) if (p / 100 * 1576.4) / 1576.4 != p / 100)
    summary = summarise(spread(costs({1: price}), mid({1: [("APXMIDP", price, volume)]})))
    assert (summary.equal, summary.imbalance_dearer, summary.wholesale_dearer) == (1, 0, 0)


def test_nothing_at_all_is_null_and_not_zero() -> None:
    summary = summarise(spread(costs({}), mid({})))
    assert summary.periods == 0
    assert summary.mean_spread is None and summary.weighted_spread is None and summary.weighted_market_index is None
    assert summary.share_imbalance_dearer is None


def test_two_prices_of_one_period_are_refused() -> None:
    twice = pl.concat([costs({1: 50.0}), costs({1: 51.0})])
    with pytest.raises(ValueError, match="two system prices"):
        spread(twice, mid({}))


def test_the_recorded_day() -> None:
    """2024-01-03: volume-weighted APXMIDP price 78.921, mean SSP 78.159 (README of the recordings)."""
    found = spread(recorded("bmrs_costs"), recorded("bmrs_mid"))
    summary = summarise(found)
    assert summary.weighted_market_index == pytest.approx(78.921, abs=5e-4)
    assert summary.mean_system_price == pytest.approx(78.159, abs=5e-4)
    assert (summary.periods, summary.unmatched) == (48, 0)
    apx = {
        r["settlementPeriod"]: r["price"] for r in recorded("bmrs_mid").to_dicts() if r["dataProvider"] == "APXMIDP"
    }
    gaps = [r["systemSellPrice"] - apx[r["settlementPeriod"]] for r in recorded("bmrs_costs").to_dicts()]
    assert summary.imbalance_dearer == sum(g > 1e-6 for g in gaps)
    assert summary.wholesale_dearer == sum(g < -1e-6 for g in gaps)
    assert summary.mean_spread == pytest.approx(sum(gaps) / 48)
    assert found["settlementDate"].unique().to_list() == [date(2024, 1, 3)]


PRICE = st.one_of(st.none(), st.integers(-500, 3000).map(float))


@given(st.dictionaries(st.integers(1, 48), PRICE), st.dictionaries(st.integers(1, 48), PRICE))
def test_every_period_is_counted_once(system: dict[int, float | None], index: dict[int, float | None]) -> None:
    found = spread(costs(system), mid({sp: [("APXMIDP", p, 4.0), ("N2EXMIDP", 0.0, 0.0)] for sp, p in index.items()}))
    summary = summarise(found)
    assert summary.periods == len({*system, *index})
    counted = summary.imbalance_dearer + summary.wholesale_dearer + summary.equal + summary.unmatched
    assert counted == summary.periods
    both = [sp for sp in system if system[sp] is not None and index.get(sp) is not None]
    assert summary.unmatched == summary.periods - len(both)
