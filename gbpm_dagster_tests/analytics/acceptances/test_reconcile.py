"""Reconciliation with Elexon's volumes and cashflows: tolerances, outcomes, verdicts."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.analytics.acceptances import reconcile
from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.warehouse.protocol import frame_schema
from gbpm_dagster_tests.analytics.acceptances.made import priced
from gbpm_dagster_tests.examples import example

DAY = date(2025, 1, 15)


def _outcomes(cases: list[list[float]], *said: pl.Expr) -> list[Any]:
    return pl.DataFrame(cases, schema={"ours": pl.Float64, "theirs": pl.Float64}, orient="row").select(*said).rows()


def test_cash_matches_by_the_implied_loss_multiplier() -> None:
    """bo-11."""
    problem, expected = example("bo-11")
    ours, theirs = pl.col("ours"), pl.col("theirs")
    found = _outcomes(
        problem["ours_published"],
        reconcile.cash_ratio(ours, theirs).alias("ratio"),
        reconcile.cash_outcome(ours, theirs).alias("outcome"),
    )
    assert [o for _, o in found] == [o for _, o in expected]
    for (ratio, _), (want, _) in zip(found, expected, strict=True):
        assert ratio == (None if want is None else pytest.approx(want, abs=1e-9))


def test_volumes_match_within_a_hundredth_or_half_a_percent() -> None:
    """bo-12."""
    problem, expected = example("bo-12")
    found = _outcomes(problem["ours_published"], reconcile.volume_outcome(pl.col("ours"), pl.col("theirs")))
    assert [o for (o,) in found] == expected


def _published(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    base = {"settlementDate": DAY, "settlementPeriod": 21, "nationalGridBmUnit": "UNIT-1"}
    return pl.DataFrame([{**base, **r} for r in rows], schema=frame_schema(DATASETS[table]))


def _boav(number: int, side: str, total: float, **pairs: float) -> dict[str, Any]:
    named = {f"pairVolumes.{k}": v for k, v in pairs.items()}
    return {"acceptanceId": number, "bidOffer": side, "totalVolumeAccepted": total, **named}


def test_an_undone_offer_reconciles_by_acceptance_and_by_pair() -> None:
    """bo-05: 10 MWh up by 106, 5 MWh back by 107 on the same positive pair, both in pair 1."""
    found = priced(example("bo-05")[0], DAY)
    boav = _published(
        "bmrs_boav", [_boav(106, "offer", 10.0, positive1=10.0), _boav(107, "bid", -5.0, positive1=-5.0)]
    )
    for compared in (reconcile.volumes(found.rows, boav), reconcile.pair_volumes(found.pairs, boav)):
        said = reconcile.verdict(compared, boav.height)
        assert said.outcomes == {"match": 2, "mismatch": 0, "missing_ours": 0, "missing_theirs": 0}
        assert said.passed
    ebocf = _published(
        "bmrs_ebocf", [{"bidOffer": "offer", "totalCashflow": 940.5}, {"bidOffer": "bid", "totalCashflow": -297.0}]
    )
    cash = reconcile.verdict(reconcile.cashflows(found.rows, ebocf), 2)
    assert cash.median_ratio == pytest.approx(0.99)
    assert cash.passed


def test_what_one_side_lacks_is_named_and_fails_the_day() -> None:
    found = priced(example("bo-05")[0], DAY)
    boav = _published("bmrs_boav", [_boav(106, "offer", 10.0), _boav(999, "offer", 3.0)])
    compared = reconcile.volumes(found.rows, boav)
    said = dict(compared.select("acceptanceNumber", "outcome").iter_rows())
    assert said == {106: "match", 107: "missing_theirs", 999: "missing_ours"}
    assert not reconcile.verdict(compared, boav.height).passed
    worst = reconcile.differences(compared).row(0, named=True)
    assert (worst["rows"], worst["unmatched"]) == (3, 2)


def test_nothing_published_is_not_a_pass() -> None:
    found = priced(example("bo-01")[0], DAY)
    for compared in (
        reconcile.volumes(found.rows, _published("bmrs_boav", [])),
        reconcile.cashflows(found.rows, _published("bmrs_ebocf", [])),
    ):
        said = reconcile.verdict(compared, 0)
        assert (said.published, said.rows, said.passed) == (0, 1, False)


def test_a_swapped_price_side_shows_in_the_cash_and_not_in_the_volume() -> None:
    """4.9's diagnostics: the volume is right, the cash is the bid price's."""
    found = priced(example("bo-01")[0], DAY)
    boav = _published("bmrs_boav", [_boav(101, "offer", 10.0)])
    ebocf = _published("bmrs_ebocf", [{"bidOffer": "offer", "totalCashflow": 600.0}])
    assert reconcile.verdict(reconcile.volumes(found.rows, boav), 1).passed
    cash = reconcile.cashflows(found.rows, ebocf)
    assert cash.row(0, named=True)["outcome"] == "mismatch"
    assert not reconcile.verdict(cash, 1).passed


def test_why_we_have_no_volume_stands_beside_what_they_have() -> None:
    problem = {**example("bo-01")[0], "bod": []}
    boav = _published("bmrs_boav", [_boav(101, "offer", 10.0)])
    row = reconcile.volumes(priced(problem, DAY).rows, boav).row(0, named=True)
    assert (row["ours"], row["theirs"], row["outcome"], row["unmatched_reason"]) == (
        None, 10.0, "missing_ours", "no_bod",
    )  # fmt: skip
