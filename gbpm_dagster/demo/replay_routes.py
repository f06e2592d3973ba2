"""Elexon's paths that the replay answers: their windows, required parameters, caps, filters and envelopes.

Belongs here: reading a request as the live API does (elexon/rest-api.md 2 to 4). Not here: rows, HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gbpm_dagster.catalogue import registry
from gbpm_dagster.catalogue.model import Endpoint, Style
from gbpm_dagster.demo.replay_recordings import LONDON, day_start

PREFIX = "/bmrs/api/v1"
HALF_HOUR = timedelta(minutes=30)
TICK = timedelta(microseconds=1)
Query = Mapping[str, Sequence[str]]


class Refused(Exception):
    """The request is answered with an error: status and JSON body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body = status, body


def not_found() -> Refused:
    """404 of an unknown path and of one whose required parameters are missing or misnamed (rest-api.md 3)."""
    return Refused(404, {"statusCode": 404, "message": "Resource not found"})


def invalid(name: str, message: str) -> Refused:
    """400 with an RFC 9110 problem body."""
    body = {
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "errors": {name: [message]},
    }
    return Refused(400, body)


@dataclass(frozen=True, slots=True)
class Form:
    """One set of window parameters a path takes.

    column: what the window selects by. periods: settlementPeriodFrom/To turn from/to into settlement dates.
    """

    style: Style
    params: tuple[str, ...]
    column: str = "at"
    cap: timedelta | None = None
    periods: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One path. `forms` empty = no window; `optional` = without a window the latest recorded day is answered.

    filters: parameter -> columns of the frame of which one must have one of the values given.
    """

    path: str
    table: str
    envelope: str  # data, metadata, array
    forms: tuple[Form, ...] = ()
    optional: bool = False
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def match(self, path: str) -> dict[str, str] | None:
        """Values of the path's parts (names in lower case), or None if it is another path."""
        pattern = re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1].lower()}>[^/]+)", self.path.lower())
        found = re.fullmatch(pattern, path.lower())
        return found.groupdict() if found else None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: instants first..last of a column (both included), or everything, and value filters.

    days: the London days it is about (the edge instant that a window shares with the next does not count).
    """

    column: str = ""
    first: datetime | None = None
    last: datetime | None = None
    latest: bool = False
    days: tuple[date, ...] = ()
    filters: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()


def _window(endpoint: Endpoint, *, periods: bool = False) -> Form:
    return Form(endpoint.style, endpoint.params, cap=endpoint.cap, periods=periods)


def _routes() -> tuple[Route, ...]:
    find = {t: d.endpoint for t, d in registry.DATASETS.items()}
    unit = {"bmunit": ("bmUnit", "nationalGridBmUnit")}
    prices, index = find["bmrs_costs"], find["bmrs_mid"]
    by_date = Form(Style.DATE, ("settlementDate",))
    one_period = Form(Style.PERIOD, ("settlementDate", "settlementPeriod"))
    found = [
        Route(prices.path, "bmrs_costs", "metadata", (by_date,)),
        Route(prices.path + "/{settlementPeriod}", "bmrs_costs", "metadata", (one_period,)),
        *_both(index.path, "bmrs_mid", (_window(index, periods=True),), {"dataproviders": ("dataProvider",)}),
        Route("/datasets/PN", "bmrs_pn", "data", (one_period,), filters=unit),
        Route("/datasets/PN/stream", "bmrs_pn", "array", (_window(find["bmrs_pn"], periods=True),), filters=unit),
        *_both("/datasets/REMIT", "bmrs_remit", (_window(find["bmrs_remit"]),), {}),
        Route(find["ref_bmunits"].path, "ref_bmunits", "array"),
    ]
    for table in ("bmrs_bod", "bmrs_boalf"):
        found += _both(find[table].path, table, (_window(find[table], periods=True),), unit)
    for table in ("bmrs_fuelinst", "bmrs_fuelhh"):
        published = Form(Style.RANGE, PUBLISH, column="publishTime", cap=find[table].cap)
        narrow = {"settlementperiod": ("settlementPeriod",), "fueltype": ("fuelType",)}
        found += _both(find[table].path, table, (_window(find[table]), published), narrow, optional=True)
    for table in ("bmrs_indo", "bmrs_itsdo"):
        found.append(Route(find[table].path, table, "data", (_window(find[table]),), optional=True))
    series, forecast = find["bmrs_agpt_series"], find["bmrs_demand_forecast_latest"]
    found.append(Route(series.path, "bmrs_agpt_series", "metadata", (_window(series, periods=True),)))
    boundary = {"boundary": ("boundary",)}
    found.append(
        Route(forecast.path, "bmrs_demand_forecast_latest", "metadata", (_window(forecast),), filters=boundary)
    )
    return tuple(found)


PUBLISH = ("publishDateTimeFrom", "publishDateTimeTo")


def _both(
    path: str, table: str, forms: tuple[Form, ...], filters: Mapping[str, tuple[str, ...]], optional: bool = False
) -> tuple[Route, Route]:
    """A dataset's path and its stream."""
    return (
        Route(path, table, "data", forms, optional, filters),
        Route(path + "/stream", table, "array", forms, optional, filters),
    )


ROUTES = _routes()


def find(path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request path (with or without the prefix, any case) and its path parts; raises Refused 404."""
    short = path.lower().removeprefix(PREFIX).rstrip("/")
    for route in ROUTES:
        parts = route.match(short)
        if parts is not None:
            return route, parts
    raise not_found()


def read(route: Route, parts: Mapping[str, str], query: Query) -> Asked:
    """What the request asks for; raises Refused as the live API would. `query` has lower-case names."""
    values: dict[str, Sequence[str]] = {**query, **{name: (value,) for name, value in parts.items()}}
    if query.get("format", ("json",))[0].lower() != "json":
        raise invalid("format", "The replay of recorded answers gives JSON only")
    if "settlementperiod" in values:
        for text in values["settlementperiod"]:
            _period("settlementPeriod", text)
    filters = tuple((columns, tuple(values[name])) for name, columns in route.filters.items() if name in values)
    given = [f for f in route.forms if any(p.lower() in values for p in f.params)]
    if len(given) > 1:
        names = " and ".join("/".join(f.params) for f in given)
        raise invalid("", f"The parameters {names} must not be used together")
    if not given:
        if route.forms and not route.optional:
            raise not_found()
        return Asked(latest=bool(route.forms), filters=filters)
    if not route.optional and any(p.lower() not in values for p in given[0].params):
        raise not_found()
    first, last, days = _span(given[0], values)
    return Asked(given[0].column, first, last, days=days, filters=filters)


def _span(form: Form, values: Query) -> tuple[datetime, datetime, tuple[date, ...]]:
    if form.style is Style.RANGE:
        return _instants(form, values)
    if form.style is Style.PERIOD:
        day, period = _date(form.params[0], values), _period(form.params[1], values[form.params[1].lower()][0])
        start = day_start(day) + HALF_HOUR * (period - 1)
        end = min(start + HALF_HOUR, day_start(day + timedelta(days=1)))
        return start, end - TICK, (day,)
    have = [p for p in form.params if p.lower() in values]
    begin, end_day = _date(have[0], values), _date(have[-1], values)
    _ordered(form, begin, end_day)
    length = (end_day - begin).days + 1
    if form.cap and timedelta(days=length) > form.cap:
        raise _too_long(form)
    days = tuple(begin + timedelta(days=n) for n in range(length))
    return day_start(begin), day_start(end_day + timedelta(days=1)) - TICK, days


def _instants(form: Form, values: Query) -> tuple[datetime, datetime, tuple[date, ...]]:
    """from/to as instants, or as settlement dates where the matching settlementPeriodFrom/To is given."""
    a, b = (_instant(p, values) for p in form.params)
    length = form.cap or timedelta(days=1)
    first = a if a is not None else (b or datetime.now(UTC)) - length
    last = b if b is not None else first + length
    tail = timedelta(0)
    if form.periods and "settlementperiodfrom" in values:
        first = _period_start(first, _period("settlementPeriodFrom", values["settlementperiodfrom"][0]))
    if form.periods and "settlementperiodto" in values:
        last = _period_start(last, _period("settlementPeriodTo", values["settlementperiodto"][0]))
        tail = HALF_HOUR - TICK
    _ordered(form, first, last)
    if form.cap and last - first > form.cap:
        raise _too_long(form)
    final = max(first, last + tail - TICK)
    opening, closing = (t.astimezone(LONDON).date() for t in (first, final))
    days = tuple(date.fromordinal(n) for n in range(opening.toordinal(), closing.toordinal() + 1))
    return first, last + tail, days


def _period_start(when: datetime, period: int) -> datetime:
    """Start of a settlement period of the date in `when` (its time of day is ignored); at most the day's last."""
    day = when.astimezone(UTC).date()
    periods = (day_start(day + timedelta(days=1)) - day_start(day)) // HALF_HOUR
    return day_start(day) + HALF_HOUR * (min(period, periods) - 1)


def _ordered(form: Form, first: date | datetime, last: date | datetime) -> None:
    if last < first:
        raise invalid(form.params[-1], f"{_up(form.params[-1])} must not be before {_up(form.params[0])}")


def _too_long(form: Form) -> Refused:
    assert form.cap is not None
    a, b = (_up(p) for p in form.params)
    return invalid("", f"The date range between {a} and {b} inclusive must not exceed {cap_text(form.cap)}")


def cap_text(cap: timedelta) -> str:
    """The cap in Elexon's words: "1 hour", "1 day", "7 days"."""
    days, rest = divmod(cap, timedelta(days=1))
    count, word = (days, "day") if not rest else (cap // timedelta(hours=1), "hour")
    return f"{count} {word}{'' if count == 1 else 's'}"


def _up(name: str) -> str:
    return name[0].upper() + name[1:]


def _instant(name: str, values: Query) -> datetime | None:
    if name.lower() not in values:
        return None
    text = values[name.lower()][0]
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(name, f"The value '{text}' is not valid.") from None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _date(name: str, values: Query) -> date:
    text = values[name.lower()][0]
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(name, f"The value '{text}' is not valid.") from None


def _period(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise invalid(name, f"The value '{text}' is not valid.")
    if not 1 <= int(text) <= 50:
        raise invalid(name, f"{_up(name)} must be between 1 and 50")
    return int(text)
