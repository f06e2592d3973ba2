"""Energy by fuel and carbon intensity: worked examples ci-*, and the recorded day against plain arithmetic."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.analytics.generation import carbon_intensity, generation_mix
from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.market.carbon import FACTORS, Factor, factor_of, factors_on
from gbpm_dagster_tests.analytics.day import recorded
from gbpm_dagster_tests.examples import example


def megawatts(*samples: dict[str, Any]) -> pl.DataFrame:
    rows = [(fuel, mw) for sample in samples for fuel, mw in sample.items()]
    return pl.DataFrame(rows, schema={"fuelType": pl.String, "generation": pl.Int64}, orient="row")


@pytest.mark.parametrize("name", ["ci-01", "ci-02"])
def test_one_sample(name: str) -> None:
    given_, expected = example(name)
    found = carbon_intensity(megawatts(given_["mw"]), interval_min=given_["interval_min"])
    assert found.gco2_per_kwh == pytest.approx(expected["carbon_intensity_gco2_per_kwh"], abs=1e-6)
    assert found.tco2 == pytest.approx(expected["emissions_tco2"], abs=1e-6)
    assert found.supply_mwh == pytest.approx(expected["supply_mwh"], abs=1e-6)
    assert found.assumed_share == 0 and not found.warns


def test_mw_are_not_mwh() -> None:
    given_, expected = example("ci-02")
    found = carbon_intensity(megawatts(given_["mw"]), interval_min=given_["interval_min"])
    assert found.tco2 == pytest.approx(expected["wrong_if_mw_taken_as_mwh_tco2"] / 12)


def test_energy_is_summed_before_it_is_divided() -> None:
    given_, expected = example("ci-03")
    found = carbon_intensity(megawatts(*given_["samples"]), interval_min=given_["interval_min"])
    assert found.gco2_per_kwh == pytest.approx(expected["carbon_intensity_gco2_per_kwh"], abs=1e-6)
    assert found.gco2_per_kwh != pytest.approx(expected["mean_of_ratios_is_wrong"], abs=1)


def test_no_positive_flow_has_no_intensity() -> None:
    found = carbon_intensity(megawatts({"PS": -400, "INTFR": -1000, "WIND": 0}), interval_min=30)
    assert (found.gco2_per_kwh, found.tco2, found.supply_mwh, found.assumed_share) == (None, 0, 0, None)


def test_nothing_is_null_and_not_zero() -> None:
    for frame in (megawatts(), megawatts({"WIND": None})):
        found = carbon_intensity(frame, interval_min=30)
        assert (found.gco2_per_kwh, found.tco2, found.supply_mwh) == (None, None, None)
        assert generation_mix(frame).is_empty()


def test_an_unknown_code_counts_as_other_and_is_assumed() -> None:
    found = carbon_intensity(megawatts({"WIND": 900, "FUSION": 100}), interval_min=30)
    assert found.gco2_per_kwh == pytest.approx(30) and found.assumed_share == pytest.approx(0.1) and found.warns
    assert not carbon_intensity(megawatts({"WIND": 990, "FUSION": 10}), interval_min=30).warns  # 1 % is not more


def test_less_than_half_of_the_samples_has_no_intensity() -> None:
    frame = megawatts({"CCGT": 100, "WIND": None}, {"CCGT": 300, "WIND": 100})
    half = carbon_intensity(frame, interval_min=30, expected_rows=6)
    assert half.coverage == 0.5 and half.gco2_per_kwh == pytest.approx(394 * 0.8)
    less = carbon_intensity(frame, interval_min=30, expected_rows=7)
    assert (less.gco2_per_kwh, less.tco2) == (None, None)
    assert less.supply_mwh == 250  # what there is, not scaled up


def test_a_factor_holds_from_its_day_on() -> None:
    factors = (*FACTORS, Factor("CCGT", 100.0, "a test", 2026, effective=date(2026, 1, 1)))
    days = pl.Series("settlementDate", [date(2025, 12, 31), date(2026, 1, 1)])
    frame = megawatts({"CCGT": 100}, {"CCGT": 300}).with_columns(days)
    found = carbon_intensity(frame, interval_min=60, factors=factors)
    assert found.gco2_per_kwh == pytest.approx((100 * 394 + 300 * 100) / 400)
    assert factors_on(date(2025, 12, 31), factors)["CCGT"].gco2_per_kwh == 394


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="minutes, not 0"):
        generation_mix(megawatts({"WIND": 1}), interval_min=0)
    with pytest.raises(ValueError, match="at least one row"):
        carbon_intensity(megawatts({"WIND": 1}), interval_min=30, expected_rows=0)
    with pytest.raises(LookupError, match="OTHER"):
        factor_of("FUSION", {})


def test_every_fuel_of_the_catalogue_has_one_sourced_factor() -> None:
    known = factors_on(date(2024, 1, 3))
    assert {m.name for m in DATASETS["bmrs_fuelhh"].completeness.members} == set(known)
    assert all(f.source and f.year > 2000 for f in FACTORS)
    assert {f.fuel for f in FACTORS if f.assumed} == {"INTNSL", "INTVKL"}  # domain.md 6.4
    assert len({(f.fuel, f.effective) for f in FACTORS}) == len(FACTORS)


def test_the_recorded_day() -> None:
    rows = recorded("bmrs_fuelhh").select("fuelType", "generation").rows()
    energy: dict[str, float] = {}
    for fuel, mw in rows:
        energy[fuel] = energy.get(fuel, 0.0) + max(mw, 0) / 2
    mix = generation_mix(recorded("bmrs_fuelhh"))
    assert dict(mix.select("fuelType", "energy_mwh").iter_rows()) == energy
    assert mix["energy_mwh"].sum() == 777431.5 and mix["share_of_supply"].sum() == pytest.approx(1)
    assert mix["fuelType"][0] == "CCGT" and mix["energy_mwh"][0] == 242028.5
    assert mix["outside_mwh"].sum() == sum(min(mw, 0) for _, mw in rows) / 2
    found = carbon_intensity(recorded("bmrs_fuelhh"), interval_min=30, expected_rows=len(rows))
    known = factors_on(date(2024, 1, 3))
    kilograms = sum(mwh * known[fuel].gco2_per_kwh for fuel, mwh in energy.items())
    assert found.gco2_per_kwh == pytest.approx(kilograms / 777431.5)
    assert found.assumed_share == pytest.approx((energy["INTNSL"] + energy["INTVKL"]) / 777431.5)
    assert found.coverage == 1 and found.warns


FUELS = st.sampled_from(["CCGT", "WIND", "PS", "INTFR", "COAL", "UNHEARD"])


@given(st.lists(st.tuples(FUELS, st.integers(-5000, 20000)), max_size=30))
def test_intensity_lies_between_the_factors_and_shares_add_up(rows: list[tuple[str, int]]) -> None:
    frame = pl.DataFrame(rows, schema={"fuelType": pl.String, "generation": pl.Int64}, orient="row")
    mix, found = generation_mix(frame), carbon_intensity(frame, interval_min=30)
    assert found.supply_mwh == (pytest.approx(mix["energy_mwh"].sum()) if rows else None)
    assert mix["energy_mwh"].sum() + mix["outside_mwh"].sum() == pytest.approx(sum(mw for _, mw in rows) / 2)
    if any(mw > 0 for _, mw in rows):
        assert found.gco2_per_kwh is not None and -1e-9 <= found.gco2_per_kwh <= 937 + 1e-9
        assert mix["share_of_supply"].sum() == pytest.approx(1)
    else:
        assert found.gco2_per_kwh is None and mix["share_of_supply"].null_count() == mix.height
