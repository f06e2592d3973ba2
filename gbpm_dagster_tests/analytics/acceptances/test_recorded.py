"""The recorded wind day: what the engine says of it against a plain minute-by-minute reckoning and common sense."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from functools import lru_cache
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.analytics.acceptances.engine import Priced, priced_acceptances
from gbpm_dagster.catalogue.derived import BMRS_BOALF_COMPLETE
from gbpm_dagster.market.calendar import day_bounds
from gbpm_dagster_tests.analytics.acceptances.recorded import DAY, recorded

GRAIN = BMRS_BOALF_COMPLETE.key


@lru_cache(maxsize=1)
def _found() -> Priced:
    return priced_acceptances(recorded("bmrs_pn"), recorded("bmrs_boalf"), recorded("bmrs_bod"), DAY)


def _by_minute(rows: list[dict[str, Any]]) -> dict[int, float]:
    """Level in the middle of each minute of the day that the lines cover: every edge is a whole minute."""
    begin, end = day_bounds(DAY)
    found: dict[int, float] = {}
    for r in rows:
        minutes = (r["timeTo"] - r["timeFrom"]) / timedelta(minutes=1)
        first = (r["timeFrom"] - begin) // timedelta(minutes=1)
        for i in range(int(minutes)):
            if 0 <= first + i < (end - begin) // timedelta(minutes=1):
                found.setdefault(first + i, r["levelFrom"] + (r["levelTo"] - r["levelFrom"]) * (i + 0.5) / minutes)
    return found


def test_each_units_energy_is_that_from_its_notified_to_its_last_accepted_level() -> None:
    """Over all acceptances of a unit the changes telescope: sum of volumes = energy of (last level - FPN), where the
    stack reaches; the one unit instructed beyond its stack differs by its residual."""
    levels, notified = (
        recorded(t).partition_by("nationalGridBmUnit", as_dict=True) for t in ("bmrs_boalf", "bmrs_pn")
    )
    net = dict(_found().rows.group_by("nationalGridBmUnit").agg(pl.col("volume_mwh").sum()).iter_rows())
    beyond: dict[str, float] = defaultdict(float)
    for (unit,), rows in levels.items():
        last: dict[int, float] = {}
        for _, own in sorted(rows.group_by("acceptanceTime", "acceptanceNumber", maintain_order=True)):
            last |= _by_minute(own.sort("timeFrom").to_dicts())
        fpn = _by_minute(notified[(unit,)].sort("timeFrom").to_dicts())
        energy = sum(level - fpn[m] for m, level in last.items()) / 60
        beyond[str(unit)] = energy - net[unit]
    outside = _found().rows.filter(pl.col("unmatched_reason") == "outside_stack")["nationalGridBmUnit"].unique()
    assert outside.to_list() == ["BRYBW-1"]
    for unit, rest in beyond.items():
        if unit not in outside.to_list():
            assert rest == pytest.approx(0, abs=1e-6), unit
    assert len(beyond) > 50


def test_wind_is_turned_down_and_paid_for_it() -> None:
    """New Year's Day 2022 was windy: some 3 GW curtailed on average, at negative bid prices below subsidy levels."""
    rows = _found().rows
    down = rows.filter(pl.col("side") == "BID")
    assert 40_000 < -down["volume_mwh"].sum() < 100_000
    assert (down["acceptancePrice"] < 0).mean() > 0.99
    paid = down["cashflow_gbp"].sum() / -down["volume_mwh"].sum()
    assert 40 < paid < 120
    assert rows.filter(pl.col("side") == "OFFER")["volume_mwh"].sum() < -down["volume_mwh"].sum() / 20


def test_nothing_is_turned_down_further_than_it_was_to_run() -> None:
    """MW is not MWh: a unit's accepted bids of a period cannot exceed half its highest notified level."""
    highest = (
        recorded("bmrs_pn")
        .group_by("nationalGridBmUnit", "settlementPeriod")
        .agg(pl.max_horizontal("levelFrom", "levelTo").max().alias("top"))
    )
    net = _found().rows.group_by("nationalGridBmUnit", "settlementPeriod").agg(pl.col("volume_mwh").sum())
    joined = net.join(highest, on=["nationalGridBmUnit", "settlementPeriod"])
    assert joined.height == net.height
    assert joined.filter(-pl.col("volume_mwh") > pl.col("top") / 2 + 1).is_empty()


def test_the_table_has_its_grain_and_all_have_a_price() -> None:
    rows = _found().rows
    assert rows.select(GRAIN).is_unique().all()
    assert _found().pairs.select(*GRAIN, "pair_id").is_unique().all()
    assert rows.filter(pl.col("unmatched_reason").is_in(["no_pn", "no_bod"])).is_empty()
    by_pair = _found().pairs.group_by(GRAIN).agg(pl.col("volume_mwh", "cashflow_gbp").sum())
    both = rows.filter(pl.col("side") != "NONE").join(by_pair, on=GRAIN, nulls_equal=True, suffix="_pairs")
    assert both.height == rows.filter(pl.col("side") != "NONE").height
    for name in ("volume_mwh", "cashflow_gbp"):
        assert (both[name] - both[f"{name}_pairs"]).abs().max() < 1e-6
