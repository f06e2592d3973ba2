"""The windows planner: which requests serve a set of London days, as few as the caps allow.

Belongs here: pure arithmetic from (dataset, days) to windows and from a window to a request. Not here: sending it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby

from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Endpoint, Style
from gbpm_dagster.market.calendar import HALF_HOUR, day_bounds, periods_in_day, sp_bounds, triad_season

SECOND = timedelta(seconds=1)

UNKNOWN_CAP = timedelta(days=1)
"""Where no cap is known a window spans at most this (rest-api.md section 4: start at one day)."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """What one request asks for: `[start, end)` in UTC.

    days: the wanted London days it serves, wholly or in part. period: the settlement period, of Style.PERIOD only.
    choice: the value of `Endpoint.each`, where there is one. ids: those asked for, of Style.IDS only.
    """

    table: str
    start: datetime
    end: datetime
    days: tuple[date, ...]
    period: int = 0
    choice: str = ""
    ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"period {self.period}"] if self.period else []
        parts += [self.choice] if self.choice else []
        parts += [f"ids {self.ids[0]} to {self.ids[-1]}"] if self.ids else []
        more = f" ({', '.join(parts)})" if parts else ""
        return f"{instant_text(self.start)} to {instant_text(self.end)}{more}"


@dataclass(frozen=True, slots=True)
class Request:
    """A path under the base address, its parts filled in, and its query parameters in order."""

    path: str
    params: tuple[tuple[str, str], ...]


def plan(
    dataset: Dataset,
    days: Collection[date],
    cap: timedelta | None = None,
    ids: Mapping[date, Sequence[str]] | None = None,
) -> list[Window]:
    """The fewest windows that ask for every instant of those London days exactly once, in order of time.

    A window may bridge days that are not wanted when that saves a request. `cap` (learnt from the source) stands in
    for the catalogue's. Caps count both ends (rest-api.md section 4), so a window of exactly the cap is allowed.
    Paths without a window give one for the newest day; days out of season (Style.SEASON) and days without ids
    (Style.IDS, `ids` by day) none: there is nothing to ask. With `Endpoint.each` there is one window a value.
    Raises ValueError for a cap that is not positive.
    """
    wanted = sorted(set(days))
    windows = _windows(dataset, wanted, cap, ids or {}) if wanted else []
    each = dataset.endpoint.each
    return [replace(w, choice=value) for w in windows for value in each.values] if each else windows


def _windows(
    dataset: Dataset, wanted: list[date], cap: timedelta | None, ids: Mapping[date, Sequence[str]]
) -> list[Window]:
    match dataset.endpoint.style:
        case Style.RANGE:
            return _cut(dataset.table, [(*_span(dataset, day), day) for day in wanted], _span_cap(dataset, cap))
        case Style.DATES | Style.SPAN:
            return _group(dataset.table, wanted, _most_dates(dataset, cap))
        case Style.DATE:
            return [Window(dataset.table, *day_bounds(day), (day,)) for day in wanted]
        case Style.PERIOD:
            return [
                Window(dataset.table, *sp_bounds(day, period), (day,), period)
                for day in wanted
                for period in range(1, periods_in_day(day) + 1)
            ]
        case Style.INSTANT:
            return [w for day in wanted for w in _steps(dataset, day)]
        case Style.SEASON:
            return _seasons(dataset.table, wanted)
        case Style.IDS:
            return [w for day in wanted for w in _batches(dataset, day, ids.get(day, ()))]
        case Style.NONE:
            return [Window(dataset.table, *day_bounds(wanted[-1]), (wanted[-1],))]


def narrower(dataset: Dataset, window: Window, cap: timedelta) -> list[Window]:
    """That window as windows within a smaller cap; `[window]` when its style cannot be asked in smaller pieces."""
    return [replace(w, choice=window.choice) for w in _narrower(dataset, window, cap)]


def _narrower(dataset: Dataset, window: Window, cap: timedelta) -> list[Window]:
    if dataset.endpoint.style in (Style.DATES, Style.SPAN):
        return _group(window.table, list(window.days), _most_dates(dataset, cap))
    if dataset.endpoint.style is not Style.RANGE:
        return [window]
    spans = [
        (max(start, window.start), min(end, window.end), day)
        for day in window.days
        for start, end in (_span(dataset, day),)
    ]
    return _cut(window.table, [span for span in spans if span[0] < span[1]], _span_cap(dataset, cap))


def request(dataset: Dataset, window: Window) -> Request:
    """The request that asks for a window: path parts substituted, fixed parameters added, times as `...T00:00Z`."""
    endpoint = dataset.endpoint
    asked = [*_asked(endpoint, window), *endpoint.fixed]
    if endpoint.each:
        asked.append((endpoint.each.param, window.choice))
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


def span_text(span: timedelta) -> str:
    """`7 days`, `4 hours`, `30 minutes`: a window cap in the largest unit that divides it."""
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        count, rest = divmod(span, length)
        if count and not rest:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{span.total_seconds():g} seconds"


def _asked(endpoint: Endpoint, window: Window) -> list[tuple[str, str]]:
    """The window's parameters with their values; one that takes several ids is repeated."""
    if endpoint.style is Style.IDS:
        return [(endpoint.params[0], value) for value in window.ids]
    return list(zip(endpoint.params, _values(endpoint.style, window, endpoint.margin), strict=True))


def _values(style: Style, window: Window, margin: timedelta) -> tuple[str, ...]:
    first, last = window.days[0] - margin, window.days[-1] + margin
    match style:
        case Style.RANGE:
            return instant_text(window.start), instant_text(window.end)
        case Style.DATES:
            return first.isoformat(), last.isoformat()
        case Style.SPAN:
            return first.isoformat(), "1", last.isoformat(), str(periods_in_day(last))
        case Style.DATE:
            return (first.isoformat(),)
        case Style.PERIOD:
            return first.isoformat(), str(window.period)
        case Style.INSTANT:
            return (instant_text(window.end - SECOND),)
        case Style.SEASON:
            return (str(triad_season(first)),)
        case _:
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
        while first < len(spans) and spans[first][1] <= end:  # with margins days overlap: the earlier may not be done
            first += 1
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


def _span(dataset: Dataset, day: date) -> tuple[datetime, datetime]:
    """The instants asked for the sake of a day: its own, and the endpoint's margin on both sides."""
    start, end = day_bounds(day)
    return start - dataset.endpoint.margin, end + dataset.endpoint.margin


def _most_dates(dataset: Dataset, cap: timedelta | None) -> int:
    """So many days a window of dates may serve, its margins taken off."""
    return (_positive(cap or dataset.endpoint.cap or UNKNOWN_CAP) - 2 * dataset.endpoint.margin).days


def _steps(dataset: Dataset, day: date) -> list[Window]:
    """The day cut into steps: the publication in force at the last second of each is asked for."""
    start, end = day_bounds(day)
    step = dataset.endpoint.step
    count = -((start - end) // step)
    return [Window(dataset.table, start + i * step, min(start + (i + 1) * step, end), (day,)) for i in range(count)]


def _seasons(table: str, days: list[date]) -> list[Window]:
    """One window a Triad season that has one of the days: the whole season, as the path answers it."""
    windows = []
    for season, group in groupby(days, key=triad_season):
        if season is not None:
            start, end = day_bounds(date(season, 11, 1))[0], day_bounds(date(season + 1, 3, 1))[0]
            windows.append(Window(table, start, end, tuple(group)))
    return windows


def _batches(dataset: Dataset, day: date, ids: Sequence[str]) -> list[Window]:
    """The day's ids, as many a call as the path takes."""
    size = dataset.endpoint.ids.at_once if dataset.endpoint.ids else 1
    return [
        Window(dataset.table, *day_bounds(day), (day,), ids=tuple(ids[i : i + size]))
        for i in range(0, len(ids), size)
    ]


def _span_cap(dataset: Dataset, cap: timedelta | None) -> timedelta:
    span = _positive(cap or dataset.endpoint.cap or UNKNOWN_CAP)
    # A path that selects whole settlement periods must not be cut within one: both halves would answer it.
    return span // HALF_HOUR * HALF_HOUR if dataset.endpoint.selects == PERIOD_START and span > HALF_HOUR else span


def _positive(cap: timedelta) -> timedelta:
    if cap <= timedelta():
        raise ValueError(f"a window cap must be positive, not {cap}")
    return cap
