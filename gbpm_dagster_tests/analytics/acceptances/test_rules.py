"""Single rules: order, midnight, clock changes, what is missing, withdrawn levels, prices of any size."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from gbpm_dagster.analytics.acceptances.engine import ACCEPTANCE_SCHEMA, PAIR_SCHEMA, priced_acceptances
from gbpm_dagster.catalogue.derived import BMRS_BOALF_COMPLETE
from gbpm_dagster.market.calendar import sp_bounds
from gbpm_dagster_tests.analytics.acceptances.made import FETCHED, levels, notifications, pairs, priced
from gbpm_dagster_tests.examples import example

GRAIN = BMRS_BOALF_COMPLETE.key
DAY = date(2025, 1, 15)
MORNING = datetime(2025, 1, 15, 10, tzinfo=UTC)
STACK = [
    {"pairId": -1, "level": -50, "bid": 45, "offer": 55},
    {"pairId": 1, "level": 50, "bid": 60, "offer": 95},
]


def _flat(start: datetime, end: datetime, level: float) -> dict[str, Any]:
    return {"timeFrom": start, "timeTo": end, "levelFrom": level, "levelTo": level}


def _accepted(number: int, at: datetime, *segments: dict[str, Any]) -> dict[str, Any]:
    return {"acceptanceNumber": number, "acceptanceTime": at, "levels": list(segments)}


def _bod(day: date, *periods: int) -> list[dict[str, Any]]:
    return [{"settlementDate": day.isoformat(), "settlementPeriod": n, "pairs": STACK} for n in periods]


def _half_hour(level: float, number: int = 1, given: timedelta = timedelta()) -> dict[str, Any]:
    return _accepted(number, MORNING + given, _flat(MORNING, MORNING + timedelta(minutes=30), level))


def _volumes(found: pl.DataFrame) -> dict[tuple[int, int], float]:
    columns = ("acceptanceNumber", "settlementPeriod", "volume_mwh")
    return {(n, p): v for n, p, v in found.select(columns).iter_rows()}


def test_the_time_of_an_acceptance_orders_before_its_number() -> None:
    """Number 9 was given first and asks for 20 MW more; number 2 then holds that level: all energy is number 9's."""
    problem = {
        "pn": [_flat(MORNING, MORNING + timedelta(hours=1), 100)],
        "acceptances": [_half_hour(120, 2, timedelta(minutes=-5)), _half_hour(120, 9, timedelta(minutes=-20))],
        "bod": _bod(DAY, 21),
    }
    assert _volumes(priced(problem, DAY).rows) == pytest.approx({(9, 21): 10.0, (2, 21): 0.0})


def test_an_acceptance_that_ends_early_leaves_the_one_before_it_in_force() -> None:
    """After 10:15 the later one says nothing: the first one's level stands, and the later one changes nothing."""
    later = _accepted(2, MORNING + timedelta(minutes=1), _flat(MORNING, MORNING + timedelta(minutes=15), 100))
    problem = {
        "pn": [_flat(MORNING, MORNING + timedelta(hours=1), 100)],
        "acceptances": [_half_hour(140), later],
        "bod": _bod(DAY, 21),
    }
    assert _volumes(priced(problem, DAY).rows) == pytest.approx({(1, 21): 20.0, (2, 21): -10.0})


def test_an_acceptance_over_midnight_is_split_between_the_two_days() -> None:
    """40 MW above FPN from 23:45 to 00:20: 10 MWh on the day before, 40 * 20/60 on the day after."""
    midnight = sp_bounds(DAY, 1)[0]
    begin, end = midnight - timedelta(minutes=15), midnight + timedelta(minutes=20)
    accepted = levels([_accepted(7, begin - timedelta(minutes=30), _flat(begin, end, 140))])
    for day, period, energy in ((DAY - timedelta(days=1), 48, 10.0), (DAY, 1, 40 / 3)):
        pn = notifications([_flat(sp_bounds(day, n)[0], sp_bounds(day, n)[1], 100) for n in (1, 48)])
        found = priced_acceptances(pn, accepted, pairs(_bod(day, 1, 48)), day).rows
        assert _volumes(found) == pytest.approx({(7, period): energy})


@pytest.mark.parametrize(("day", "last"), [(date(2024, 10, 27), 50), (date(2024, 3, 31), 46)])
def test_the_last_period_of_a_clock_change_day_is_priced(day: date, last: int) -> None:
    start, end = sp_bounds(day, last)
    found = priced_acceptances(
        notifications([_flat(start, end, 0)]),
        levels([_accepted(1, start - timedelta(minutes=5), _flat(start, end, 20))]),
        pairs(_bod(day, last)),
        day,
    ).rows
    assert found.select("settlementDate", "settlementPeriod", "volume_mwh").row(0) == (day, last, pytest.approx(10.0))


@pytest.mark.parametrize(("lacking", "reason"), [("pn", "no_pn"), ("bod", "no_bod")])
def test_what_cannot_be_known_is_null_and_has_its_reason(lacking: str, reason: str) -> None:
    problem = {
        "pn": [_flat(MORNING, MORNING + timedelta(hours=1), 100)],
        "acceptances": [_half_hour(120)],
        "bod": _bod(DAY, 21),
        lacking: [],
    }
    row = priced(problem, DAY).rows.row(0, named=True)
    assert (row["side"], row["validation_flag"], row["unmatched_reason"]) == ("NONE", "Unmatched", reason)
    assert (row["price_source"], row["is_payable"]) == ("none", False)
    for name in ("volume_mwh", "acceptanceVolume", "acceptancePrice", "cashflow_gbp"):
        assert row[name] is None, name
    assert row["residual_mwh"] == (None if lacking == "pn" else pytest.approx(10.0))


def test_notifications_of_part_of_the_time_are_not_enough() -> None:
    """Ten minutes without FPN: the period's volume is unknown, not smaller."""
    problem = {
        "pn": [_flat(MORNING, MORNING + timedelta(minutes=20), 100)],
        "acceptances": [_half_hour(120)],
        "bod": _bod(DAY, 21),
    }
    row = priced(problem, DAY).rows.row(0, named=True)
    assert (row["volume_mwh"], row["residual_mwh"], row["unmatched_reason"]) == (None, None, "no_pn")


def test_a_pair_without_a_price_gives_volume_and_no_cash() -> None:
    bod = [{"settlementDate": "2025-01-15", "settlementPeriod": 21, "pairs": [{**STACK[1], "offer": None}]}]
    problem = {
        "pn": [_flat(MORNING, MORNING + timedelta(hours=1), 100)],
        "acceptances": [_half_hour(120)],
        "bod": bod,
    }
    row = priced(problem, DAY).rows.row(0, named=True)
    assert row["volume_mwh"] == pytest.approx(10.0)
    assert (row["acceptancePrice"], row["cashflow_gbp"]) == (None, None)


def test_prices_that_mean_do_not_use_me_keep_their_band() -> None:
    """A first pair of 10 MW at 99,999 stays below the second: 5 MWh at it, 5 MWh at 95, labelled, payable."""
    stack = [{"pairId": 1, "level": 10, "bid": -99999, "offer": 99999}, {**STACK[1], "pairId": 2}]
    problem = {
        "pn": [_flat(MORNING, MORNING + timedelta(hours=1), 100)],
        "acceptances": [_half_hour(120)],
        "bod": [{"settlementDate": "2025-01-15", "settlementPeriod": 21, "pairs": stack}],
    }
    found = priced(problem, DAY)
    row = found.rows.row(0, named=True)
    assert dict(found.pairs.select("pair_id", "volume_mwh").iter_rows()) == pytest.approx({1: 5.0, 2: 5.0})
    assert row["acceptancePrice"] == pytest.approx((99999 + 95) / 2)
    assert (row["validation_flag"], row["is_payable"]) == ("Price_Outlier", True)


def test_withdrawn_levels_count_for_nothing_and_lineage_is_kept() -> None:
    accepted = levels([_half_hour(120), _half_hour(140, 2, timedelta(minutes=1))]).with_columns(
        amendmentFlag=pl.when(pl.col("acceptanceNumber") == 2).then(pl.lit("DEL")).otherwise(pl.lit("ORI"))
    )
    pn = notifications([_flat(MORNING, MORNING + timedelta(hours=1), 100)])
    found = priced_acceptances(pn, accepted, pairs(_bod(DAY, 21)), DAY)
    row = found.rows.row(0, named=True)
    assert _volumes(found.rows) == pytest.approx({(1, 21): 10.0})
    assert row["boalf_amendment_flag"] == "ORI"
    assert row["pn_fetched_at"] == row["bod_fetched_at"] == row["boalf_fetched_at"] == FETCHED
    assert (row["bmUnit"], row["nationalGridBmUnit"]) == ("T_UNIT-1", "UNIT-1")


def test_levels_shown_are_those_where_the_acceptance_begins_and_ends_in_the_period() -> None:
    """A line that crosses FPN once, so that the interval is cut: 90 to 120 MW."""
    whole = {**_flat(MORNING, MORNING + timedelta(minutes=30), 90), "levelTo": 120}
    problem = {
        "pn": [_flat(MORNING, MORNING + timedelta(hours=1), 100)],
        "acceptances": [_accepted(1, MORNING, whole)],
        "bod": _bod(DAY, 21),
    }
    rows = priced(problem, DAY).rows
    assert rows.select("side", "level_from_mw", "level_to_mw").rows() == [
        ("BID", 90.0, 120.0),
        ("OFFER", 90.0, 120.0),
    ]


def test_a_day_without_acceptances_has_empty_tables_of_the_right_columns() -> None:
    problem = {"pn": [_flat(MORNING, MORNING + timedelta(hours=1), 100)], "acceptances": [], "bod": _bod(DAY, 21)}
    found = priced(problem, DAY)
    assert (found.rows.height, found.pairs.height) == (0, 0)
    assert (dict(found.rows.schema), dict(found.pairs.schema)) == (ACCEPTANCE_SCHEMA, PAIR_SCHEMA)


def test_system_flagged_actions_are_paid() -> None:
    """OPS-47: soFlag is a label, not a reason to drop the cash."""
    problem, _ = example("bo-01")
    flagged = {**problem, "acceptances": [{**a, "soFlag": True} for a in problem["acceptances"]]}
    found = priced(flagged, DAY).rows
    row = found.row(0, named=True)
    assert (row["validation_flag"], row["is_payable"]) == ("SO_Test", True)
    assert row["cashflow_gbp"] == pytest.approx(950.0)
    assert found.select(GRAIN).is_unique().all()
