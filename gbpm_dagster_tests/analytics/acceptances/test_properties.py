"""What must hold of any problem: energy is conserved, cutting lines changes nothing, scale, order, sampling."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.analytics.acceptances.engine import Priced, priced_acceptances
from gbpm_dagster.analytics.acceptances.profiles import Steps, cut_at_crossings
from gbpm_dagster.analytics.acceptances.stack import PAIRS, Stack, volumes
from gbpm_dagster_tests.analytics.acceptances.made import levels, notifications, pairs, priced
from gbpm_dagster_tests.analytics.acceptances.sampled import sampled

DAY = date(2025, 1, 15)
START = datetime(2025, 1, 15, 10, tzinfo=UTC)
PERIODS = (21, 22, 23)
MINUTES = 30 * len(PERIODS)
FEW = settings(max_examples=30, deadline=None)


def _line(minutes: list[int], heights: list[int]) -> list[dict[str, Any]]:
    return [
        {
            "timeFrom": START + timedelta(minutes=a),
            "timeTo": START + timedelta(minutes=b),
            "levelFrom": heights[2 * i],
            "levelTo": heights[2 * i + 1],
        }
        for i, (a, b) in enumerate(pairwise(minutes))
    ]


@st.composite
def lines(draw: st.DrawFn, first: int, last: int, whole: bool) -> list[dict[str, Any]]:
    inner = draw(st.lists(st.integers(first + 1, last - 1), max_size=3, unique=True))
    ends = (
        [first, last]
        if whole
        else sorted(draw(st.lists(st.integers(first, last), min_size=2, max_size=2, unique=True)))
    )
    minutes = sorted({*ends, *(m for m in inner if ends[0] < m < ends[1])})
    heights = draw(st.lists(st.integers(-150, 300), min_size=2 * len(minutes), max_size=2 * len(minutes)))
    return _line(minutes, heights)


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    """One unit, three periods: FPN throughout, up to four acceptances, some with a hole, pairs of any slope."""
    acceptances = []
    for number in draw(st.permutations(range(draw(st.integers(1, 4))))):
        own = draw(lines(0, MINUTES, whole=False))
        if len(own) > 2 and draw(st.booleans()):
            own = [own[0], *own[2:]]
        acceptances.append(
            {
                "acceptanceNumber": 100 + number,
                "acceptanceTime": START - timedelta(minutes=draw(st.integers(0, 2))),
                "levels": own,
            }
        )
    bod = []
    for period in PERIODS:
        ids = draw(st.lists(st.sampled_from(PAIRS), min_size=1, max_size=6, unique=True))
        size = st.integers(0, 120)
        bod.append(
            {
                "settlementDate": DAY.isoformat(),
                "settlementPeriod": period,
                "pairs": [
                    {
                        "pairId": n,
                        "levelFrom": draw(size) * (1 if n > 0 else -1),
                        "levelTo": draw(size) * (1 if n > 0 else -1),
                        "offer": 50 + 7 * n,
                        "bid": 40 + 5 * n,
                    }
                    for n in ids
                ],
            }
        )
    return {"pn": draw(lines(0, MINUTES, whole=True)), "acceptances": acceptances, "bod": bod}


def same(a: pl.DataFrame, b: pl.DataFrame, scale: float = 1.0) -> None:
    """Equal rows; volumes, cash and levels of `b` are `scale` times those of `a`."""
    assert a.height == b.height
    for name in a.columns:
        if a.schema[name] != pl.Float64:
            assert a[name].equals(b[name]), name
        else:
            priced_in = name in ("acceptancePrice", "price_gbp_per_mwh", "loss_multiplier")
            factor = 1.0 if priced_in else scale
            assert (a[name].is_null() == b[name].is_null()).all(), name
            np.testing.assert_allclose(b[name].to_numpy(), a[name].to_numpy() * factor, rtol=1e-6, atol=1e-6)


@given(problems())
@FEW
def test_sampling_every_second_gives_the_same_energy(problem: dict[str, Any]) -> None:
    found = priced(problem, DAY)
    volumes_, residuals = sampled(problem, DAY)
    got = {
        tuple(r[:4]): r[4]
        for r in found.pairs.select(
            "acceptanceNumber", "settlementPeriod", "side", "pair_id", "volume_mwh"
        ).iter_rows()
    }
    for key in volumes_.keys() | got.keys():
        assert got.get(key, 0.0) == pytest.approx(volumes_.get(key, 0.0), abs=3e-3), key
    for number, period, residual in found.rows.select(
        "acceptanceNumber", "settlementPeriod", "residual_mwh"
    ).iter_rows():
        assert residual == pytest.approx(residuals[number, period], abs=3e-3)


@given(st.integers(0, 2**32 - 1))
@FEW
def test_energy_of_pairs_and_residual_is_the_energy_of_the_change(seed: int) -> None:
    """Identity of domain.md 4.3: over all pairs and the signed residual, the change from A_{k-1} to A_k."""
    random = np.random.default_rng(seed)
    n = 20
    found = cut_at_crossings(
        Steps(
            np.arange(n),
            np.zeros(n, dtype=np.int64),
            random.uniform(-300, 300, (n, 2)),
            random.uniform(-300, 300, (n, 2)),
            random.uniform(-100, 100, (n, 2)),
            np.tile([0.0, 1.0], (n, 1)),
            random.uniform(0.01, 0.5, n),
            np.arange(n),
        )
    )
    edges = np.sort(random.uniform(-200, 200, (n, 13, 2)), axis=1)
    edges -= edges[:, 6:7]
    nothing = np.zeros((n, 12))
    energy = volumes(found, Stack(edges, nothing, nothing, np.ones(n, dtype=bool)))
    change = (found.after - found.before).mean(axis=1) * found.hours
    np.testing.assert_allclose(energy.pairs.sum(axis=1) + energy.residual, change, atol=1e-9)
    assert ((energy.pairs >= -1e-9) | (change[:, None] <= 1e-9)).all()
    assert found.hours.sum() == pytest.approx(found.hours[:n].sum() + found.hours[n:].sum())


@given(problems(), st.integers(1, MINUTES - 1))
@FEW
def test_cutting_every_line_at_an_instant_changes_nothing(problem: dict[str, Any], minute: int) -> None:
    at = START + timedelta(minutes=minute)
    cut = {
        **problem,
        "pn": _cut(problem["pn"], at),
        "acceptances": [{**a, "levels": _cut(a["levels"], at)} for a in problem["acceptances"]],
    }
    before, after = priced(problem, DAY), priced(cut, DAY)
    same(before.rows.drop("pn_fetched_at"), after.rows.drop("pn_fetched_at"))
    same(before.pairs, after.pairs)


def _cut(segments: list[dict[str, Any]], at: datetime) -> list[dict[str, Any]]:
    found = []
    for s in segments:
        if s["timeFrom"] < at < s["timeTo"]:
            share = (at - s["timeFrom"]) / (s["timeTo"] - s["timeFrom"])
            level = s["levelFrom"] + (s["levelTo"] - s["levelFrom"]) * share
            found += [{**s, "timeTo": at, "levelTo": level}, {**s, "timeFrom": at, "levelFrom": level}]
        else:
            found.append(s)
    return found


@given(problems(), st.integers(2, 5))
@FEW
def test_levels_times_a_factor_give_volumes_times_it_at_the_same_prices(problem: dict[str, Any], factor: int) -> None:
    def scaled(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**s, "levelFrom": s["levelFrom"] * factor, "levelTo": s["levelTo"] * factor} for s in segments]

    large = {
        "pn": scaled(problem["pn"]),
        "acceptances": [{**a, "levels": scaled(a["levels"])} for a in problem["acceptances"]],
        "bod": [{**b, "pairs": scaled(b["pairs"])} for b in problem["bod"]],
    }
    labels = ["validation_flag", "is_payable", "unmatched_reason"]  # of fixed thresholds
    one, many = priced(problem, DAY), priced(large, DAY)
    same(one.rows.drop(labels), many.rows.drop(labels), factor)
    same(one.pairs, many.pairs, factor)


@given(problems(), st.randoms(use_true_random=False))
@FEW
def test_order_of_rows_does_not_matter_and_units_do_not_touch_each_other(
    problem: dict[str, Any], random: Any
) -> None:
    alone = priced(problem, DAY)
    frames = [
        pl.concat([make(part, unit) for unit in ("UNIT-1", "UNIT-2")]).sample(
            fraction=1.0, shuffle=True, seed=random.randrange(1000)
        )
        for make, part in ((notifications, problem["pn"]), (levels, problem["acceptances"]), (pairs, problem["bod"]))
    ]
    both = priced_acceptances(*frames, DAY)
    for unit in ("UNIT-1", "UNIT-2"):
        own = Priced(*(f.filter(pl.col("nationalGridBmUnit") == unit) for f in (both.rows, both.pairs)))
        named = ["bmUnit", "nationalGridBmUnit"]
        same(alone.rows.drop(named), own.rows.drop(named))
        same(alone.pairs.drop(named), own.pairs.drop(named))
