"""Ways to be asked beyond windows of time: one value a call, spans, publications, seasons, ids, margins, lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Dataset, Each, Endpoint, Ids, Style
from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.elexon.plan import Request, Window, narrower, plan, request, span_text
from gbpm_dagster.market.calendar import day_bounds, periods_in_day

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SPRING, AUTUMN, JUL3 = date(2024, 3, 31), date(2024, 10, 27), date(2024, 7, 3)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def made(style: Style, params: tuple[str, ...], **more: object) -> Dataset:
    """A table asked in that style; only its endpoint matters here."""
    return replace(get("bmrs_mid"), endpoint=Endpoint("/x", style, params, **more))  # type: ignore[arg-type]


DAYS = st.builds(
    lambda first, offsets: sorted({first + DAY * o for o in offsets}),
    st.one_of(
        st.sampled_from([SPRING - DAY, AUTUMN - DAY, date(2024, 2, 27), date(2023, 10, 30)]),
        st.dates(date(2016, 1, 1), date(2034, 12, 1)),
    ),
    st.lists(st.integers(0, 9), min_size=1, max_size=6),
)

STYLED: list[tuple[Style, tuple[str, ...]]] = [
    (Style.RANGE, ("from", "to")),
    (Style.DATES, ("first", "last")),
    (Style.SPAN, ("d1", "p1", "d2", "p2")),
    (Style.DATE, ("day",)),
    (Style.PERIOD, ("day", "sp")),
]


# --- one value a call


@given(DAYS, st.sampled_from(STYLED), st.lists(st.sampled_from("abcd"), min_size=1, unique=True))
def test_each_window_is_asked_once_with_each_value(
    days: list[date], styled: tuple[Style, tuple[str, ...]], values: list[str]
) -> None:
    plain = made(*styled)
    each = made(*styled, each=Each("side", tuple(values), "side"))
    windows = plan(each, days)
    assert windows == [replace(w, choice=v) for w in plan(plain, days) for v in values]
    for window in windows:
        before, asked = request(plain, window), request(each, window)
        assert asked == Request(before.path, (*before.params, ("side", window.choice)))


@given(DAYS, st.sampled_from(STYLED), st.integers(1, 72).map(lambda n: n * HOUR))
def test_a_narrower_window_keeps_the_value_it_was_asked_with(
    days: list[date], styled: tuple[Style, tuple[str, ...]], cap: timedelta
) -> None:
    dataset = made(*styled, each=Each("side", ("bid", "offer")))
    for window in plan(dataset, days, 7 * DAY):
        parts = narrower(dataset, window, cap)
        assert {w.choice for w in parts} == {window.choice}
        assert sorted({d for w in parts for d in w.days}) == list(window.days)
        assert (parts[0].start, parts[-1].end) == (window.start, window.end)


def test_bids_and_offers_of_a_day_are_two_calls_with_the_side_in_the_path() -> None:
    boav = get("bmrs_boav")
    assert [request(boav, w) for w in plan(boav, [JUL3])] == [
        Request("/balancing/settlement/acceptance/volumes/all/bid/2024-07-03", ()),
        Request("/balancing/settlement/acceptance/volumes/all/offer/2024-07-03", ()),
    ]


def test_the_stack_is_a_call_for_each_side_and_period() -> None:
    stack = get("bmrs_ispstack")
    paths = [request(stack, w).path for w in plan(stack, [AUTUMN])]
    assert len(paths) == len(set(paths)) == 100
    assert paths[0] == "/balancing/settlement/stack/all/bid/2024-10-27/1"
    assert paths[-1] == "/balancing/settlement/stack/all/offer/2024-10-27/50"


# --- spans of date and period


@given(DAYS, st.integers(1, 9))
def test_a_span_runs_from_the_first_period_of_its_first_day_to_the_last_of_its_last(
    days: list[date], most: int
) -> None:
    dataset = made(Style.SPAN, ("d1", "p1", "d2", "p2"))
    windows = plan(dataset, days, most * DAY)
    assert [d for w in windows for d in w.days] == days
    assert all((w.days[-1] - w.days[0]).days < most for w in windows)
    for window in windows:
        first, last = window.days[0], window.days[-1]
        asked = dict(request(dataset, window).params)
        assert asked == {
            "d1": first.isoformat(),
            "p1": "1",
            "d2": last.isoformat(),
            "p2": str(periods_in_day(last)),
        }


def test_a_span_is_cut_by_dates_when_a_smaller_cap_is_learnt() -> None:
    dataset = made(Style.SPAN, ("d1", "p1", "d2", "p2"))
    (window,) = plan(dataset, [SPRING - DAY, SPRING, SPRING + 2 * DAY], 7 * DAY)
    assert [w.days for w in narrower(dataset, window, 2 * DAY)] == [(SPRING - DAY, SPRING), (SPRING + 2 * DAY,)]
    assert [w.days for w in narrower(dataset, window, HOUR)] == [(SPRING - DAY,), (SPRING,), (SPRING + 2 * DAY,)]


def test_trading_units_are_asked_with_date_and_period() -> None:
    tudm = get("bmrs_tudm")
    assert request(tudm, plan(tudm, [SPRING])[0]) == Request(
        "/datasets/TUDM/stream",
        (
            ("settlementDateFrom", "2024-03-31"),
            ("settlementPeriodFrom", "1"),
            ("settlementDateTo", "2024-03-31"),
            ("settlementPeriodTo", "46"),
        ),
    )


# --- publications as of an instant


@given(
    DAYS, st.one_of(st.just(HOUR / 2), st.just(HOUR), st.just(DAY), st.integers(7, 2000).map(lambda n: n * MINUTE))
)
@example([SPRING, AUTUMN], DAY)
def test_the_steps_of_a_day_ask_for_every_instant_of_it_once(days: list[date], step: timedelta) -> None:
    dataset = made(Style.INSTANT, ("publishTime",), step=step)
    windows = plan(dataset, days)
    for day in days:
        own = [w for w in windows if w.days == (day,)]
        assert (own[0].start, own[-1].end) == day_bounds(day)
        assert all(a.end == b.start for a, b in pairwise(own))
        assert all(timedelta() < w.end - w.start <= step for w in own)
        # the last second of each step: whatever was published by then, and after the second asked for before
        asked = [datetime.fromisoformat(request(dataset, w).params[0][1]) for w in own]
        assert asked == [w.end - SECOND for w in own]
    assert [w.days[0] for w in windows] == sorted(w.days[0] for w in windows)


@pytest.mark.parametrize(("day", "calls"), [(JUL3, 48), (SPRING, 46), (AUTUMN, 50)])
def test_a_publication_each_half_hour_is_asked_for_as_often_as_the_day_has_periods(day: date, calls: int) -> None:
    assert len(plan(get("bmrs_indicated_day_ahead"), [day])) == calls
    assert len(plan(get("bmrs_availability_daily"), [day])) == calls / 2
    assert len(plan(get("bmrs_margin_weekly"), [day])) == (2 if calls == 50 else 1)


def test_a_publication_is_asked_for_by_the_last_second_of_its_step() -> None:
    weekly = get("bmrs_margin_weekly")
    assert request(weekly, plan(weekly, [JUL3])[0]) == Request(
        "/forecast/margin/weekly/history", (("publishTime", "2024-07-03T22:59:59Z"), ("range", "52W"))
    )


# --- Triad seasons


@given(DAYS)
@example([date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)])
@example([date(2024, 10, 31), date(2024, 11, 1), date(2025, 2, 28), date(2025, 3, 1), date(2025, 11, 1)])
def test_a_season_is_one_call_for_all_its_days_and_none_out_of_it(days: list[date]) -> None:
    dataset = made(Style.SEASON, ("season",), cap=366 * DAY)
    windows = plan(dataset, days)
    assert [d for w in windows for d in w.days] == [d for d in days if d.month in (11, 12, 1, 2)]
    seasons = [int(request(dataset, w).params[0][1]) for w in windows]
    assert seasons == sorted(set(seasons))
    for season, window in zip(seasons, windows, strict=True):
        assert (window.start, window.end) == (utc(season, 11, 1), utc(season + 1, 3, 1))
        assert all(date(season, 11, 1) <= d < date(season + 1, 3, 1) for d in window.days)
        assert narrower(dataset, window, HOUR) == [window]


def test_a_season_stands_in_the_path_or_in_the_query() -> None:
    day = date(2024, 1, 15)
    peaks, settled = get("bmrs_triad_peaks"), get("bmrs_demand_peak_settlement")
    assert request(settled, plan(settled, [day])[0]) == Request("/demand/peak/indicative/settlement/2023", ())
    assert request(peaks, plan(peaks, [day])[0]) == Request(
        "/demand/peak/triad", (("triadSeasonStartYear", "2023"), ("data", "operational"))
    )


# --- ids


@given(DAYS, st.integers(1, 7), st.data())
def test_ids_go_in_batches_each_once_and_in_order(days: list[date], at_once: int, data: st.DataObject) -> None:
    dataset = made(Style.IDS, ("messageId",), ids=Ids("remit_message_list", "id", at_once))
    lists = st.lists(st.integers(1, 10**6).map(str), max_size=20, unique=True)
    ids = {day: data.draw(lists) for day in days if data.draw(st.booleans())}
    windows = plan(dataset, days, ids=ids)
    for day in days:
        own = [w for w in windows if w.days == (day,)]
        assert [i for w in own for i in w.ids] == list(ids.get(day, []))
        assert all(1 <= len(w.ids) <= at_once for w in own)
        assert len(own) == -(-len(ids.get(day, [])) // at_once), "no more calls than it takes"
        assert all((w.start, w.end) == day_bounds(day) for w in own)
    assert plan(dataset, days) == [], "without ids there is nothing to ask"


def test_an_id_is_a_parameter_that_is_repeated() -> None:
    """rest-api.md 2: `bmUnit=A&bmUnit=B`."""
    remit, revisions = get("remit_messages"), get("remit_revisions")
    ids = {JUL3: ["7", "11", "300"]}
    assert [request(remit, w) for w in plan(remit, [JUL3], ids=ids)] == [
        Request("/remit", (("messageId", "7"), ("messageId", "11"), ("messageId", "300")))
    ]
    assert [request(revisions, w).params for w in plan(revisions, [JUL3], ids=ids)] == [
        (("messageId", "7"),),
        (("messageId", "11"),),
        (("messageId", "300"),),
    ]
    (window, *_) = plan(remit, [JUL3], ids=ids)
    assert narrower(remit, window, HOUR) == [window]


# --- margins


def _within(days: list[date], margin: timedelta) -> Callable[[datetime], bool]:
    spans = [(start - margin, end + margin) for start, end in map(day_bounds, days)]
    return lambda at: any(start <= at < end for start, end in spans)


@given(DAYS, st.integers(0, 5).map(lambda n: n * HOUR), st.integers(4, 60).map(lambda n: n * HOUR))
def test_with_a_margin_the_days_and_their_surroundings_are_asked_once(
    days: list[date], margin: timedelta, cap: timedelta
) -> None:
    dataset = made(Style.RANGE, ("from", "to"), margin=margin)
    windows = plan(dataset, days, cap)
    wanted = _within(days, margin)
    asked = [w.start + HOUR / 2 * i for w in windows for i in range((w.end - w.start) // (HOUR / 2))]
    low, high = day_bounds(days[0])[0] - margin, day_bounds(days[-1])[1] + margin
    due = [at for i in range((high - low) // (HOUR / 2)) if wanted(at := low + HOUR / 2 * i)]
    assert len(asked) == len(set(asked)) and set(due) <= set(asked)
    assert all(w.end - w.start <= cap for w in windows)
    for window in windows:  # a day is served by every window that reaches into its surroundings
        near = [
            d for d in days if day_bounds(d)[0] - margin < window.end and day_bounds(d)[1] + margin > window.start
        ]
        assert list(window.days) == near


def test_a_day_is_served_until_the_end_of_its_margin_though_the_next_has_begun() -> None:
    """After a day of 23 hours the next one's margin begins within the first window: the rest of the day was lost."""
    soso = get("bmrs_soso_series")
    assert [(w.end, w.days) for w in plan(soso, [SPRING, SPRING + DAY])] == [
        (utc(2024, 3, 31, 21), (SPRING, SPRING + DAY)),
        (utc(2024, 4, 1, 21), (SPRING, SPRING + DAY)),
        (utc(2024, 4, 2, 2), (SPRING + DAY,)),
    ]


@given(DAYS, st.integers(0, 2), st.integers(5, 9))
def test_with_a_margin_of_days_the_dates_asked_stay_within_the_cap(days: list[date], margin: int, cap: int) -> None:
    dataset = made(Style.DATES, ("from", "to"), margin=margin * DAY)
    windows = plan(dataset, days, cap * DAY)
    assert [d for w in windows for d in w.days] == days
    for window in windows:
        first, last = (date.fromisoformat(value) for _, value in request(dataset, window).params)
        assert (first, last) == (window.days[0] - margin * DAY, window.days[-1] + margin * DAY)
        assert (last - first).days + 1 <= cap


def test_prices_of_trades_are_asked_three_hours_beyond_the_day() -> None:
    soso = get("bmrs_soso_series")
    assert [request(soso, w).params for w in plan(soso, [date(2024, 1, 3)])] == [
        (("from", "2024-01-02T21:00Z"), ("to", "2024-01-03T21:00Z")),
        (("from", "2024-01-03T21:00Z"), ("to", "2024-01-04T03:00Z")),
    ]


# --- as the API wants it


@pytest.mark.parametrize(
    ("table", "day", "asked"),
    [
        # rest-api.md 2: "/datasets/MDO/stream?from=...&to=... over one whole day is in use"
        ("bmrs_mdo", JUL3, "/datasets/MDO/stream?from=2024-07-02T23:00Z&to=2024-07-03T23:00Z"),
        # rest-api.md 2: the five window styles and their parameters
        (
            "bmrs_indo",
            JUL3,
            "/datasets/INDO?publishDateTimeFrom=2024-07-02T23:00Z&publishDateTimeTo=2024-07-03T23:00Z",
        ),
        ("bmrs_mid", JUL3, "/datasets/MID?from=2024-07-02T23:00Z&to=2024-07-03T23:00Z"),
        (
            "bmrs_freq",
            date(2024, 1, 3),
            "/datasets/FREQ?measurementDateTimeFrom=2024-01-03T00:00Z&measurementDateTimeTo=2024-01-04T00:00Z",
        ),
        (
            "bmrs_rzdf",
            date(2025, 1, 3),
            "/datasets/RZDF?submissionDateTimeFrom=2025-01-03T00:00Z&submissionDateTimeTo=2025-01-04T00:00Z",
        ),
        # rest-api.md 2: "streams take from, to" where the dataset takes one period
        ("bmrs_pn", JUL3, "/datasets/PN/stream?from=2024-07-02T23:00Z&to=2024-07-03T23:00Z"),
        # rest-api.md 9: system prices
        ("bmrs_costs", JUL3, "/balancing/settlement/system-prices/2024-07-03"),
        # rest-api.md 10: completeness
        ("meta_data_status", JUL3, "/data-status/ISPSTACK?settlementDateFrom=2024-07-03&settlementDateTo=2024-07-03"),
        # rest-api.md 4: "cap-free ways round the 1 h caps"
        (
            "bmrs_physical_all",
            JUL3,
            "/balancing/physical/all?settlementDate=2024-07-03&settlementPeriod=1&dataset=PN",
        ),
        ("bmrs_bod_all", JUL3, "/balancing/bid-offer/all?settlementDate=2024-07-03&settlementPeriod=1"),
        ("lss_load_shape_period", JUL3, "/lss/load-shape-period?date=2024-07-03"),
        ("lss_load_shape_totals", JUL3, "/lss/load-shape-totals?fromDate=2024-07-03&toDate=2024-07-03"),
        ("ref_fueltypes", JUL3, "/reference/fueltypes/all"),
    ],
)
def test_the_first_request_of_a_day(table: str, day: date, asked: str) -> None:
    dataset = get(table)
    first = request(dataset, plan(dataset, [day])[0])
    query = "&".join(f"{name}={value}" for name, value in first.params)
    assert first.path + (f"?{query}" if query else "") == asked


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window("t", utc(2024, 1, 3), utc(2024, 1, 4), (JUL3,)), "2024-01-03T00:00Z to 2024-01-04T00:00Z"),
        (
            Window("t", utc(2024, 1, 3), utc(2024, 1, 3, 0, 30), (JUL3,), 1, "bid"),
            "2024-01-03T00:00Z to 2024-01-03T00:30Z (period 1, bid)",
        ),
        (
            Window("t", utc(2024, 1, 3), utc(2024, 1, 4), (JUL3,), ids=("7", "11", "300")),
            "2024-01-03T00:00Z to 2024-01-04T00:00Z (ids 7 to 300)",
        ),
        (
            Window("t", utc(2024, 1, 3), utc(2024, 1, 3, 0, 0, 59), (JUL3,), choice="PN"),
            "2024-01-03T00:00Z to 2024-01-03T00:00:59Z (PN)",
        ),
    ],
)
def test_a_window_says_what_it_asks_for(window: Window, words: str) -> None:
    assert str(window) == words


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (7 * DAY, "7 days"),
        (DAY, "1 day"),
        (36 * HOUR, "36 hours"),
        (HOUR, "1 hour"),
        (90 * MINUTE, "90 minutes"),
        (90 * SECOND, "90 seconds"),
    ],
)
def test_a_cap_is_said_in_its_largest_whole_unit(span: timedelta, words: str) -> None:
    assert span_text(span) == words
