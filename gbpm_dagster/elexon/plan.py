"""The windows planner: which requests serve a set of London days, as few as the caps allow.

Belongs here: pure arithmetic from (dataset, days) to windows and from a window to a request. Not here: sending it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Style
from gbpm_dagster.market.calendar import HALF_HOUR, day_bounds, periods_in_day, sp_bounds

UNKNOWN_CAP = timedelta(days=1)
"""Where no cap is known a window spans at most this (rest-api.md section 4: start at one day)."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """What one request asks for: `[start, end)` in UTC.

    days: the wanted London days it serves, wholly or in part. period: the settlement period, of Style.PERIOD only.
    """

    table: str
    start: datetime
    end: datetime
    days: tuple[date, ...]
    period: int = 0

    def __str__(self) -> str:
        period = f" (period {self.period})" if self.period else ""
        return f"{instant_text(self.start)} to {instant_text(self.end)}{period}"


@dataclass(frozen=True, slots=True)
class Request:
    """A path under the base address, its parts filled in, and its query parameters in order."""

    path: str
    params: tuple[tuple[str, str], ...]


def plan(dataset: Dataset, days: Collection[date], cap: timedelta | None = None) -> list[Window]:
    """The fewest windows that ask for every instant of those London days exactly once, in order of time.

    A window may bridge days that are not wanted when that saves a request. `cap` (learnt from the source) stands in
    for the catalogue's. Caps count both ends (rest-api.md section 4), so a window of exactly the cap is allowed.
    Paths without a window give one for the newest day. Raises ValueError for a cap that is not positive.
    """
    wanted = sorted(set(days))
    if not wanted:
        return []
    match dataset.endpoint.style:
        case Style.RANGE:
            return _cut(dataset.table, [(*day_bounds(day), day) for day in wanted], _span_cap(dataset, cap))
        case Style.DATES:
            return _group(dataset.table, wanted, _positive(cap or dataset.endpoint.cap or UNKNOWN_CAP).days)
        case Style.DATE:
            return [Window(dataset.table, *day_bounds(day), (day,)) for day in wanted]
        case Style.PERIOD:
            return [
                Window(dataset.table, *sp_bounds(day, period), (day,), period)
                for day in wanted
                for period in range(1, periods_in_day(day) + 1)
            ]
        case Style.NONE:
            return [Window(dataset.table, *day_bounds(wanted[-1]), (wanted[-1],))]


def narrower(dataset: Dataset, window: Window, cap: timedelta) -> list[Window]:
    """That window as windows within a smaller cap; `[window]` when its style cannot be asked in smaller pieces."""
    if dataset.endpoint.style is Style.DATES:
        return _group(window.table, list(window.days), _positive(cap).days)
    if dataset.endpoint.style is not Style.RANGE:
        return [window]
    spans = [
        (max(start, window.start), min(end, window.end), day)
        for day in window.days
        for start, end in (day_bounds(day),)
    ]
    return _cut(window.table, [span for span in spans if span[0] < span[1]], _span_cap(dataset, cap))


def request(dataset: Dataset, window: Window) -> Request:
    """The request that asks for a window: path parts substituted, fixed parameters added, times as `...T00:00Z`."""
    endpoint = dataset.endpoint
    asked = (*zip(endpoint.params, _values(endpoint.style, window), strict=True), *endpoint.fixed)
    path = endpoint.path
    query = []
    for name, value in asked:
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", value)
        else:
            query.append((name, value))
    return Request(path, tuple(query))


def instant_text(instant: datetime) -> str:
    """`2024-01-03T00:00Z`, with seconds only where there are any."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ" if instant.second or instant.microsecond else "%Y-%m-%dT%H:%MZ")


def _values(style: Style, window: Window) -> tuple[str, ...]:
    match style:
        case Style.RANGE:
            return instant_text(window.start), instant_text(window.end)
        case Style.DATES:
            return window.days[0].isoformat(), window.days[-1].isoformat()
        case Style.DATE:
            return (window.days[0].isoformat(),)
        case Style.PERIOD:
            return window.days[0].isoformat(), str(window.period)
        case Style.NONE:
            return ()


def _cut(table: str, spans: list[tuple[datetime, datetime, date]], cap: timedelta) -> list[Window]:
    """Greedy from the left, which is the fewest: each window begins at the first instant not yet asked for."""
    windows: list[Window] = []
    first, start = 0, spans[0][0]
    while first < len(spans):
        start = max(start, spans[first][0])
        limit = start + cap
        last = first
        while last + 1 < len(spans) and spans[last + 1][0] < limit:
            last += 1
        end = min(spans[last][1], limit)
        windows.append(Window(table, start, end, tuple(day for _, _, day in spans[first : last + 1])))
        first = last if end < spans[last][1] else last + 1
        start = end
    return windows


def _group(table: str, days: list[date], most: int) -> list[Window]:
    """Windows of at most so many dates, first and last included."""
    windows: list[Window] = []
    while days:
        served = [day for day in days if (day - days[0]).days < max(most, 1)]
        windows.append(Window(table, day_bounds(served[0])[0], day_bounds(served[-1])[1], tuple(served)))
        days = days[len(served) :]
    return windows


def _span_cap(dataset: Dataset, cap: timedelta | None) -> timedelta:
    span = _positive(cap or dataset.endpoint.cap or UNKNOWN_CAP)
    # A path that selects whole settlement periods must not be cut within one: both halves would answer it.
    return span // HALF_HOUR * HALF_HOUR if dataset.endpoint.selects == PERIOD_START and span > HALF_HOUR else span


def _positive(cap: timedelta) -> timedelta:
    if cap <= timedelta():
        raise ValueError(f"a window cap must be positive, not {cap}")
    return cap
