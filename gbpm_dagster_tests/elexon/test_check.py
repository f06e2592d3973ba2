"""Which rows of an answer belong to the window asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.elexon.check import Sorted, sort_rows
from gbpm_dagster.elexon.decode import decode
from gbpm_dagster.elexon.plan import Window, plan
from gbpm_dagster.market.calendar import day_bounds
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


# --- publications as of an instant, ids, margins

AHEAD, WEEKLY = get("bmrs_indicated_day_ahead"), get("bmrs_margin_weekly")


def publication(at: str, **more: Any) -> dict[str, Any]:
    row = dict.fromkeys(AHEAD.names) | {"boundary": "N", "startTime": "2024-01-04T00:00:00Z", "publishTime": at}
    return {**row, "settlementDate": "2024-01-04", "settlementPeriod": 1, **more}


def test_an_earlier_publication_that_is_still_in_force_is_another_steps() -> None:
    """The newest publication as of 09:59:59 may be of 09:10, of 08:50 or of the day before: one step keeps each."""
    step = plan(AHEAD, [JAN3])[19]
    assert (step.start, step.end) == (datetime(2024, 1, 3, 9, 30, tzinfo=UTC), datetime(2024, 1, 3, 10, tzinfo=UTC))
    for at, kept in (
        ("2024-01-03T09:30:00Z", 1),
        ("2024-01-03T09:59:59Z", 1),
        ("2024-01-03T09:29:59Z", 0),
        ("2024-01-03T08:50:00Z", 0),
        ("2024-01-02T23:50:00Z", 0),
        ("2023-12-01T00:00:00Z", 0),
    ):
        found = sort(AHEAD, step, [publication(at)])
        assert (found.rows.height, found.outside, found.strays) == (kept, 1 - kept, 0), at


@pytest.mark.parametrize("at", ["2024-01-03T10:00:00Z", "2024-01-03T10:10:00Z", "2026-01-01T00:00:00Z"])
def test_a_publication_after_the_instant_asked_for_is_a_stray(at: str) -> None:
    step = plan(AHEAD, [JAN3])[19]
    assert sort(AHEAD, step, [publication("2024-01-03T09:40:00Z"), publication(at)]).strays == 1


def test_a_bad_row_of_a_publication_in_force_is_reported_by_its_own_step_only() -> None:
    bad = publication("2024-01-03T09:40:00Z", settlementPeriod="x")
    steps = plan(AHEAD, [JAN3])
    reported = [len(sort(AHEAD, step, [bad]).quarantined) for step in steps[19:24]]
    assert reported == [1, 0, 0, 0, 0]


@given(
    st.lists(st.integers(-300, 1439), min_size=1, max_size=12),
    st.sampled_from([date(2024, 1, 3), date(2024, 3, 31), date(2024, 10, 27)]),
    st.sampled_from([timedelta(minutes=30), timedelta(hours=1), timedelta(days=1)]),
)
def test_of_what_the_steps_of_a_day_answer_each_publication_is_kept_once(
    minutes: list[int], day: date, step: timedelta
) -> None:
    """As the API answers: the newest publication at the instant; of several in a step the newest only is seen."""
    dataset = replace(AHEAD, endpoint=replace(AHEAD.endpoint, step=step))
    start = day_bounds(day)[0]
    published = sorted({start + timedelta(minutes=m) for m in minutes})
    kept: list[datetime] = []
    for asked in plan(dataset, [day]):
        seen = [at for at in published if at < asked.end]
        answer = [publication(seen[-1].strftime("%Y-%m-%dT%H:%M:%SZ"))] if seen else []
        found = sort(dataset, asked, answer)
        assert found.strays == 0
        kept += found.rows["publishTime"].to_list()
    due = []
    for asked in plan(dataset, [day]):
        inside = [at for at in published if asked.start <= at < asked.end]
        due += inside[-1:]
    assert kept == due


def message(ident: int, at: str) -> dict[str, Any]:
    return {"mrid": f"M-{ident}", "revisionNumber": 1, "publishTime": at, "createdTime": at, "id": str(ident)}


def test_a_message_belongs_to_the_day_of_its_list() -> None:
    remit = get("remit_messages")
    rows = [
        message(7, "2024-01-03T00:00:00Z"),
        message(8, "2024-01-03T23:59:59Z"),
        message(9, "2024-01-04T00:00:00Z"),
    ]
    (asked,) = plan(remit, [JAN3], ids={JAN3: ["7", "8", "9"]})
    found = sort(remit, asked, rows)
    assert found.rows["mrid"].to_list() == ["M-7", "M-8"]
    assert (found.outside, found.strays) == (0, 0), "an answer by id has no window"
    ((day, reason, record),) = found.quarantined
    assert (day, json.loads(record)["mrid"]) == (JAN3, "M-9")
    assert reason == (
        "publishTime is of 2024-01-04, but the list of its id is of 2024-01-03: the row belongs to two days"
    )


def test_revisions_of_a_listed_message_are_kept_whenever_they_were_published() -> None:
    revisions = get("remit_revisions")
    (asked, _) = plan(revisions, [JAN3], ids={JAN3: ["7", "8"]})
    rows = [{"id": 7, "mrid": "M", "publishTime": at} for at in ("2017-06-01T00:00:00Z", "2024-01-03T10:00:00Z")]
    assert sort(revisions, asked, rows).rows.height == 2


def test_what_two_windows_with_margins_both_answer_is_kept_by_both() -> None:
    """Which time selects is not settled: a row may be answered by one window of its day, the other, or both."""
    soso = get("bmrs_soso_series")
    row = {
        "contractIdentification": "EG_1",
        "tradeQuantity": 25.0,
        "tradePrice": 30.4,
        "settlementDate": "2024-01-03",
    }
    first, second = plan(soso, [JAN3])
    shared = [row | {"startTime": "2024-01-03T21:00:00Z"}]
    assert sort(soso, first, shared).rows.height == sort(soso, second, shared).rows.height == 1
    before = [row | {"startTime": "2024-01-02T22:00:00Z", "settlementDate": "2024-01-02"}]
    assert (sort(soso, first, before).rows.height, sort(soso, first, before).outside) == (0, 1)
    beyond = [row | {"startTime": "2024-01-02T17:00:00Z", "settlementDate": "2024-01-02"}]
    assert sort(soso, first, beyond).strays == 1


def test_dates_within_the_margin_are_outside_and_beyond_it_strays() -> None:
    watl = get("bmrs_watl_series")
    rows = [{"publishTime": "2024-01-01T09:00:00Z", "forecastDate": d, "forecastWeek": 1} for d in ("2024-01-03",)]
    asked = window(watl, JAN3)
    assert sort(watl, asked, rows).rows.height == 1
    for day, strays in (("2024-01-02", 0), ("2024-01-04", 0), ("2024-01-09", 1), ("2023-12-30", 1)):
        found = sort(watl, asked, [*rows, rows[0] | {"forecastDate": day}])
        assert (found.strays, found.outside) == (strays, 1 - strays), day
