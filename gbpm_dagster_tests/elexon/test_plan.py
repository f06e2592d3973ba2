"""The windows planner against rest-api.md and, for small cases, against trying everything."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Style
from gbpm_dagster.catalogue.registry import DATASETS, get
from gbpm_dagster.elexon.plan import Request, Window, narrower, plan, request
from gbpm_dagster.market.calendar import day_bounds

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPRING, AUTUMN = date(2024, 3, 31), date(2024, 10, 27)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def styled(style: Style, params: tuple[str, ...], path: str = "/x") -> Dataset:
    mid = get("bmrs_mid")
    return replace(mid, endpoint=replace(mid.endpoint, style=style, params=params, path=path))


def hours(windows: list[Window]) -> list[datetime]:
    """Every half hour the windows ask for, in their order."""
    return [w.start + HOUR / 2 * i for w in windows for i in range(int((w.end - w.start) / (HOUR / 2)))]


def wanted_half_hours(days: list[date]) -> list[datetime]:
    found = []
    for day in days:
        at, end = day_bounds(day)
        while at < end:
            found.append(at)
            at += HOUR / 2
    return found


def fewest(points: list[datetime], cap: timedelta) -> int:
    """The least number of windows of that length that cover the half hours beginning at these points: by trying each
    point as the last one that the first window serves, with memory."""
    best = {len(points): 0}
    for first in reversed(range(len(points))):
        reach = [i for i in range(first, len(points)) if points[i] + HOUR / 2 - points[first] <= cap]
        best[first] = min(1 + best[last + 1] for last in reach)
    return best[0]


# some days of a span around each clock change, or of any year
SPANS = st.one_of(
    st.sampled_from([SPRING, AUTUMN]).map(lambda d: d - 3 * DAY),
    st.dates(date(2016, 1, 1), date(2034, 12, 1)),
)
DAYS = st.builds(
    lambda first, offsets: sorted({first + DAY * o for o in offsets}),
    SPANS,
    st.lists(st.integers(0, 12), min_size=1, max_size=8),
)
CAPS = st.one_of(st.integers(1, 60).map(lambda n: n * HOUR), st.integers(1, 10).map(lambda n: n * DAY))


@given(DAYS, CAPS)
@settings(max_examples=80, deadline=None)
def test_every_wanted_instant_is_asked_once_within_the_cap_by_the_fewest_requests(
    days: list[date], cap: timedelta
) -> None:
    windows = plan(get("bmrs_mid"), days, cap)
    wanted, asked = wanted_half_hours(days), hours(windows)
    assert len(asked) == len(set(asked))
    assert set(wanted) <= set(asked)
    assert all(timedelta() < w.end - w.start <= cap for w in windows)
    assert all(a.end <= b.start for a, b in pairwise(windows))
    assert len(windows) == fewest(wanted, cap)
    for window in windows:
        inside = [d for d in days if day_bounds(d)[0] < window.end and day_bounds(d)[1] > window.start]
        assert list(window.days) == inside
        # it begins and ends with something wanted
        assert window.start in wanted and window.end - HOUR / 2 in wanted


@given(DAYS, CAPS, CAPS)
@settings(max_examples=80, deadline=None)
def test_a_window_replanned_within_a_smaller_cap_asks_for_the_same_wanted_instants(
    days: list[date], cap: timedelta, smaller: timedelta
) -> None:
    dataset = get("bmrs_mid")
    for window in plan(dataset, days, cap):
        parts = narrower(dataset, window, smaller)
        wanted = [p for p in wanted_half_hours(list(window.days)) if window.start <= p < window.end]
        assert set(wanted) <= set(hours(parts))
        assert len(hours(parts)) == len(set(hours(parts)))
        assert all(window.start <= p.start < p.end <= window.end and p.end - p.start <= smaller for p in parts)
        assert {d for p in parts for d in p.days} == set(window.days)


@given(DAYS, st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_windows_of_dates_hold_each_wanted_date_once_and_span_no_more_dates_than_the_cap(
    days: list[date], most: int
) -> None:
    windows = plan(get("bmrs_fuelinst"), days, most * DAY)
    assert [d for w in windows for d in w.days] == days
    assert all((w.days[-1] - w.days[0]).days < most for w in windows)
    starts = [w.days[0] for w in windows]
    assert all(b - a >= most * DAY for a, b in pairwise(starts)), "the next window could have been joined"


def test_an_autumn_day_of_25_hours_needs_two_windows_of_24_hours_cut_by_utc() -> None:
    assert [(w.start, w.end) for w in plan(get("bmrs_freq"), [AUTUMN])] == [
        (utc(2024, 10, 26, 23), utc(2024, 10, 27, 23)),
        (utc(2024, 10, 27, 23), utc(2024, 10, 28)),
    ]


def test_a_spring_day_of_23_hours_fits_into_one_window_of_24_hours() -> None:
    (window,) = plan(get("bmrs_freq"), [SPRING])
    assert (window.start, window.end, window.days) == (utc(2024, 3, 31), utc(2024, 3, 31, 23), (SPRING,))


def test_seven_days_over_the_autumn_change_are_169_hours_and_need_a_second_window() -> None:
    week = [AUTUMN - 3 * DAY + DAY * i for i in range(7)]
    windows = plan(get("bmrs_mid"), week)
    assert [(w.end - w.start) / HOUR for w in windows] == [168, 1]
    assert len(plan(get("bmrs_mid"), [SPRING - 3 * DAY + DAY * i for i in range(7)])) == 1


def test_four_years_of_mid_take_one_request_a_week() -> None:
    days = [date(2022, 1, 1) + DAY * i for i in range(1400)]
    assert len(plan(get("bmrs_mid"), days)) == 200


def test_days_apart_are_bridged_when_that_saves_a_request() -> None:
    (window,) = plan(get("bmrs_mid"), [date(2024, 1, 3), date(2024, 1, 8)])
    assert (window.start, window.end) == (utc(2024, 1, 3), utc(2024, 1, 9))
    assert window.days == (date(2024, 1, 3), date(2024, 1, 8))


def test_one_hour_of_bod_at_a_time() -> None:
    assert len(plan(get("bmrs_bod"), [date(2024, 1, 3)])) == 24
    assert len(plan(get("bmrs_bod"), [SPRING])) == 23
    assert len(plan(get("bmrs_bod"), [AUTUMN])) == 25


def test_a_path_that_selects_periods_is_not_cut_within_one() -> None:
    pn = get("bmrs_pn")
    assert pn.endpoint.selects == PERIOD_START
    cut = {w.end.minute for w in plan(pn, [date(2024, 1, 3)], timedelta(minutes=100))}
    assert cut == {0, 30}


@pytest.mark.parametrize(("day", "periods"), [(date(2024, 1, 3), 48), (SPRING, 46), (AUTUMN, 50)])
def test_one_window_a_settlement_period(day: date, periods: int) -> None:
    dataset = styled(Style.PERIOD, ("settlementDate", "settlementPeriod"))
    windows = plan(dataset, [day])
    assert [w.period for w in windows] == list(range(1, periods + 1))
    assert (windows[0].start, windows[-1].end) == day_bounds(day)
    assert all(a.end == b.start for a, b in pairwise(windows))
    assert request(dataset, windows[-1]).params == (
        ("settlementDate", day.isoformat()),
        ("settlementPeriod", str(periods)),
    )


def test_a_path_without_a_window_is_asked_once_for_the_newest_day() -> None:
    units = get("ref_bmunits")
    (window,) = plan(units, [date(2024, 1, 3), date(2024, 1, 5), date(2024, 1, 4)])
    assert window.days == (date(2024, 1, 5),)
    assert request(units, window) == Request("/reference/bmunits/all", ())


def test_requests_are_written_as_the_api_wants_them() -> None:
    def first(table: str) -> Request:
        return request(get(table), plan(get(table), [date(2024, 7, 3), date(2024, 7, 4)])[0])

    assert first("bmrs_mid") == Request("/datasets/MID", (("from", "2024-07-02T23:00Z"), ("to", "2024-07-04T23:00Z")))
    assert first("bmrs_costs") == Request("/balancing/settlement/system-prices/2024-07-03", ())
    assert first("bmrs_fuelinst").params == (("settlementDateFrom", "2024-07-03"), ("settlementDateTo", "2024-07-04"))
    assert first("bmrs_indo").params[0] == ("publishDateTimeFrom", "2024-07-02T23:00Z")


def test_fixed_parameters_are_added() -> None:
    mid = get("bmrs_mid")
    fixed = replace(
        mid, endpoint=replace(mid.endpoint, path="/x/{side}", fixed=(("side", "bid"), ("format", "json")))
    )
    asked = request(fixed, plan(fixed, [date(2024, 1, 3)])[0])
    assert asked.path == "/x/bid"
    assert asked.params[-1] == ("format", "json")


@pytest.mark.parametrize("table", DATASETS)
def test_every_entry_can_be_planned_and_asked(table: str) -> None:
    dataset = DATASETS[table]
    days = [AUTUMN - DAY, AUTUMN, AUTUMN + DAY]
    windows = plan(dataset, days, ids={day: ["7", "8"] for day in days})
    if dataset.endpoint.style is Style.SEASON:
        assert windows == [], "October is out of season"
    elif dataset.endpoint.style is not Style.NONE:
        assert sorted({d for w in windows for d in w.days}) == days
    assert all("{" not in request(dataset, w).path for w in windows)
    assert plan(dataset, []) == []


def test_styles_that_cannot_be_narrowed_say_so_by_returning_the_window() -> None:
    costs = get("bmrs_costs")
    (window,) = plan(costs, [SPRING])
    assert narrower(costs, window, HOUR) == [window]


def test_a_cap_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        plan(get("bmrs_mid"), [SPRING], -HOUR)
