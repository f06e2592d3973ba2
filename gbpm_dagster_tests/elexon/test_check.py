"""Which rows of an answer belong to the window asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.elexon.check import Sorted, sort_rows
from gbpm_dagster.elexon.decode import decode
from gbpm_dagster.elexon.plan import Window, plan
from gbpm_dagster_tests.elexon.scripted import mid_day

MID, COSTS, PN = get("bmrs_mid"), get("bmrs_costs"), get("bmrs_pn")
JAN3, JAN4 = date(2024, 1, 3), date(2024, 1, 4)
DAY = timedelta(days=1)


def sort(dataset: Dataset, window: Window, rows: list[Any]) -> Sorted:
    decoded = decode(dataset, orjson.dumps(rows))
    found = sort_rows(dataset, window, decoded)
    if not found.strays:
        assert decoded.fetched == found.rows.height + found.outside + len(found.quarantined)
    return found


def window(dataset: Dataset, *days: date) -> Window:
    (only,) = plan(dataset, days)
    return only


def freq(*times: str) -> list[dict[str, Any]]:
    return [{"dataset": "FREQ", "measurementTime": t, "frequency": 50.0} for t in times]


def pn(day: str, period: Any, **more: Any) -> dict[str, Any]:
    row = dict.fromkeys(PN.names) | {"nationalGridBmUnit": "A-1", "settlementDate": day, "settlementPeriod": period}
    return {**row, "timeFrom": "2024-01-03T00:00:00Z", "timeTo": "2024-01-03T00:30:00Z", **more}


@pytest.mark.parametrize("day", [JAN3, date(2024, 3, 31), date(2024, 7, 3)])
def test_rows_on_the_inclusive_end_are_the_next_windows(day: date) -> None:
    found = sort(MID, window(MID, day), mid_day(day, edge=True))
    assert (found.outside, found.strays, found.quarantined) == (2, 0, [])
    assert set(found.rows["settlementDate"]) == {day}


def test_days_that_a_window_bridges_are_outside() -> None:
    rows = [r for i in range(3) for r in mid_day(JAN3 + i * DAY)]
    found = sort(MID, window(MID, JAN3, JAN3 + 2 * DAY), rows)
    assert (found.rows.height, found.outside) == (192, 96)


def test_one_second_beyond_either_end_is_a_stray() -> None:
    asked = window(get("bmrs_freq"), JAN3)
    assert sort(get("bmrs_freq"), asked, freq("2024-01-03T00:00:00Z", "2024-01-04T00:00:00Z")).strays == 0
    late = sort(get("bmrs_freq"), asked, freq("2024-01-03T00:00:00Z", "2024-01-04T00:00:01Z"))
    assert late.strays == 1
    assert "2024-01-04 00:00:01" in late.stray_span
    assert sort(get("bmrs_freq"), asked, freq("2024-01-02T23:59:59Z")).strays == 1


def test_a_date_that_was_not_asked_for_is_a_stray() -> None:
    row = {"settlementPeriod": 1, "startTime": "2024-01-03T00:00:00Z", "createdDateTime": "2024-01-04T00:00:00Z"}
    assert sort(COSTS, window(COSTS, JAN3), [row | {"settlementDate": "2024-01-03"}]).strays == 0
    assert sort(COSTS, window(COSTS, JAN3), [row | {"settlementDate": "2024-01-04"}]).strays == 1


def test_a_period_counts_by_its_start_and_the_one_at_the_end_is_outside() -> None:
    rows = [pn("2024-01-03", 1), pn("2024-01-03", 48), pn("2024-01-04", 1)]
    found = sort(PN, window(PN, JAN3), rows)
    assert found.rows["settlementPeriod"].to_list() == [1, 48]
    assert (found.outside, found.strays) == (1, 0)
    assert sort(PN, window(PN, JAN3), [pn("2024-01-04", 2)]).strays == 1
    assert sort(PN, window(PN, JAN3), [pn("2024-01-02", 48)]).strays == 1


def test_a_50_period_day_is_cut_at_the_same_period_by_both_its_windows() -> None:
    autumn = date(2024, 10, 27)
    rows = [pn("2024-10-27", p) for p in range(1, 51)]
    first, second = plan(PN, [autumn])
    assert sort(PN, first, rows[:49]).rows["settlementPeriod"].to_list() == list(range(1, 49))
    assert sort(PN, second, rows[48:]).rows["settlementPeriod"].to_list() == [49, 50]


@pytest.mark.parametrize(("day", "period"), [("2024-01-03", 49), ("2024-01-03", 0), ("2024-01-03", 10**15)])
def test_a_period_that_the_day_does_not_have_is_quarantined(day: str, period: int) -> None:
    found = sort(PN, window(PN, JAN3), [pn(day, period), pn(day, 5)])
    assert found.rows.height == 1 and found.strays == 0
    assert found.quarantined[0][:2] == (JAN3, f"settlementPeriod: {day} has no period {period}")


def test_period_47_of_the_46_period_day_is_quarantined() -> None:
    spring = date(2024, 3, 31)
    found = sort(PN, window(PN, spring), [pn("2024-03-31", 47), pn("2024-03-31", 46)])
    assert found.rows["settlementPeriod"].to_list() == [46]
    assert len(found.quarantined) == 1


def test_a_row_of_two_days_is_quarantined_and_not_lost_between_them() -> None:
    wrong = {**mid_day(JAN3)[10], "settlementDate": "2024-01-04"}
    for days in ((JAN3,), (JAN3, JAN4)):
        found = sort(MID, window(MID, *days), [mid_day(JAN3)[0], wrong])
        assert found.rows.height == 1
        ((day, reason, record),) = found.quarantined
        assert day == JAN3 and "belongs to two days" in reason
        assert json.loads(record)["settlementDate"] == "2024-01-04"


def test_a_bad_row_on_the_shared_edge_is_reported_by_one_window_only() -> None:
    bad = {**mid_day(JAN4)[0], "price": "n/a"}
    before = sort(MID, window(MID, JAN3), [mid_day(JAN3)[0], bad])
    assert (before.rows.height, before.outside, before.quarantined) == (1, 1, [])
    after = sort(MID, window(MID, JAN4), [bad])
    assert (after.outside, len(after.quarantined)) == (0, 1)


def test_a_bad_row_whose_place_is_unknown_stays_in_quarantine() -> None:
    for start in (None, "soon", "2031-01-01T00:00:00Z"):
        assert (
            len(sort(MID, window(MID, JAN3), [{**mid_day(JAN3)[0], "price": "x", "startTime": start}]).quarantined)
            == 1
        )


def test_unknown_columns_of_edge_rows_are_reported_by_one_window_only() -> None:
    rows = [{**row, "extra": 1} for row in mid_day(JAN3, edge=True)]
    found = sort(MID, window(MID, JAN3), rows)
    assert (len(found.drift), found.outside) == (96, 2)
    assert {day for day, _, _ in found.drift} == {JAN3}


def test_snapshots_have_no_window() -> None:
    units = get("ref_bmunits")
    assert sort(units, window(units, JAN3), [{"nationalGridBmUnit": "A-1"}]).rows.height == 1


def test_the_neighbour_windows_of_an_hour_share_no_row_and_lose_none() -> None:
    bod = replace(MID, table="bmrs_hourly", endpoint=replace(MID.endpoint, cap=timedelta(hours=1)))
    rows = mid_day(JAN3)
    kept: list[tuple[datetime, str]] = []
    for asked in plan(bod, [JAN3]):
        answer = [
            r for r in rows if asked.start <= datetime.fromisoformat(r["startTime"]).astimezone(UTC) <= asked.end
        ]
        kept += sort(bod, asked, answer).rows.select("startTime", "dataProvider").rows()
    assert len(kept) == len(set(kept)) == 96
