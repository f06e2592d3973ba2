"""A small HTTP server on 127.0.0.1 that answers every path of Elexon's document with the rows it was given.

As the API does (rest-api.md 2 to 6): a path or parameter it does not know, or a required one that is missing, is a
404; a value that cannot be read a 400; a window over the cap a 400 whose problem body names it; both ends of a window
are included; the envelope is the document's. Unlike the API it never ignores a parameter, unless told to.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gbpm_dagster_tests.contract.facts import Facts, Operation, Parameter, operations
from gbpm_dagster_tests.contract.rows import Row

PREFIX = "/bmrs/api/v1"

RANGES = (
    ("publishDateTimeFrom", "publishDateTimeTo"),
    ("measurementDateTimeFrom", "measurementDateTimeTo"),
    ("submissionDateTimeFrom", "submissionDateTimeTo"),
    ("settlementDateFrom", "settlementDateTo"),
    ("fromDate", "toDate"),
    ("startTime", "endTime"),
    ("from", "to"),
)
"""Pairs of parameters that are the two ends of a window."""


@dataclass
class Asked:
    """One request and what it was answered. params: as they came, path parts included. rows: the objects served."""

    path: str
    params: list[tuple[str, str]]
    status: int
    rows: list[Row] = field(default_factory=list)

    @property
    def asks(self) -> tuple[str, list[tuple[str, str]]]:
        return self.path, self.params

    def get(self, name: str) -> str:
        return dict(self.params)[name]


@dataclass
class Holding:
    """What the server has of one table. cap: the longest window. without_nulls: fields that are null are left out.

    astray: objects that the first request is answered with, whatever it asks for, each time it is asked.
    """

    facts: Facts
    rows: list[Row]
    cap: timedelta | None = None
    without_nulls: bool = False
    astray: list[Row] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)


class Refused(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class Api:
    """The tables held, by path. Not thread-safe beyond appending to a log, which is all that requests do."""

    def __init__(self) -> None:
        self.held: dict[str, Holding] = {}
        self.base_url = ""

    def hold(self, holding: Holding) -> Holding:
        for path in paths_of(holding.facts):
            self.held[path] = holding
        return holding

    def answer(self, target: str) -> tuple[int, Any]:
        """Status and JSON of a GET."""
        split = urlsplit(target)
        query = parse_qsl(split.query, keep_blank_values=True)
        try:
            operation, parts = _found(split.path.removeprefix(PREFIX))
        except Refused as refused:
            return refused.status, refused.body
        params = [*parts, *query]
        holding = self.held.get(operation.path)
        asked = Asked(operation.path, params, 200)
        if holding is not None:
            holding.asked.append(asked)
        try:
            values = _checked(operation, params)
            if holding is None:
                return 200, _enveloped(operation, [], False)
            if holding.astray and asked.asks == holding.asked[0].asks:
                asked.rows = holding.astray
            else:
                _hold_to_cap(values, holding.cap)
                asked.rows = list(_selected(holding, operation, values))
            if operation.envelope == "object":
                del asked.rows[1:]
            return 200, _enveloped(operation, [row.body for row in asked.rows], holding.without_nulls)
        except Refused as refused:
            asked.status = refused.status
            return refused.status, refused.body


def paths_of(facts: Facts) -> tuple[str, ...]:
    """The document's paths of a table: one, or one for each value that is spelt out in them."""
    path = facts.operation.path
    if facts.choice and facts.choice not in facts.operation.parameters:
        return tuple(path.replace(facts.choices[0], value) for value in facts.choices)
    return (path,)


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """The API over HTTP on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            status, found = api.answer(self.path)
            body = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
            self.send_response(status)
            self.send_header("Content-Type", f"application/{'json' if status != 400 else 'problem+json'}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    api.base_url = f"http://127.0.0.1:{server.server_port}{PREFIX}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@cache
def _templates() -> tuple[tuple[re.Pattern[str], str], ...]:
    spelt = sorted(operations(), key=lambda path: path.count("{"))  # a path spelt out before one with placeholders
    return tuple((re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(p))), p) for p in spelt)


def _found(path: str) -> tuple[Operation, list[tuple[str, str]]]:
    if path in operations():
        return operations()[path], []
    for pattern, template in _templates():
        if match := pattern.fullmatch(path):
            return operations()[template], list(match.groupdict().items())
    raise Refused(404, {"statusCode": 404, "message": "Resource not found"})


def _checked(operation: Operation, params: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The parameters' values by name (a list where one is repeated); Refused where a name or value is wrong."""
    values: dict[str, Any] = {}
    for name, value in params:
        known = operation.parameters.get(name)
        if known is None:
            raise Refused(404, {"statusCode": 404, "message": "Resource not found"})
        values.setdefault(name, []).append(_read(known, value))
    for name, known in operation.parameters.items():
        if known.required and name not in values:
            raise Refused(404, {"statusCode": 404, "message": "Resource not found"})
    return values


def _read(known: Parameter, value: str) -> Any:
    """One value of a parameter in its type: instants in UTC with a Z, dates as yyyy-MM-dd (rest-api.md 2)."""
    problem = Refused(400, _problem(known.name, f"The value '{value}' is not valid."))
    if known.values and value not in known.values:
        raise problem
    try:
        match known.type:
            case "date-time":
                if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z", value):
                    raise problem
                return datetime.fromisoformat(value)
            case "date":
                return date.fromisoformat(value) if len(value) == 10 else date.fromisoformat("wrong")
            case "integer":
                return int(value)
    except ValueError:
        raise problem from None
    return value


def _problem(name: str, words: str) -> dict[str, Any]:
    return {
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "errors": {name: [words]},
    }


def _window(values: Mapping[str, Any]) -> tuple[Any, Any] | None:
    return next(((values[a][0], values[b][0]) for a, b in RANGES if a in values and b in values), None)


def _hold_to_cap(values: Mapping[str, Any], cap: timedelta | None) -> None:
    window = _window(values)
    if cap is None or window is None:
        return
    length = window[1] - window[0] + (timedelta() if isinstance(window[0], datetime) else timedelta(days=1))
    if length > cap:
        hours = cap // timedelta(hours=1)
        size = f"{hours // 24} days" if hours % 24 == 0 else f"{hours} hours"
        words = f"The date range between From and To inclusive must not exceed {size}"
        raise Refused(400, _problem("", words))


def _selected(holding: Holding, operation: Operation, values: Mapping[str, Any]) -> Iterator[Row]:
    facts, rows = holding.facts, holding.rows
    if facts.choice:
        value = values[facts.choice][0] if facts.choice in values else operation.path.split("/")[2]
        rows = [row for row in rows if row.choice == value]
    if window := _window(values):
        first, last = window
        at = isinstance(first, datetime)
        yield from (row for row in rows if first <= (row.at if at else row.day) <= last)
    elif "publishTime" in values:
        held = [row for row in rows if row.at <= values["publishTime"][0]]
        newest = max((row.at for row in held), default=None)
        yield from (row for row in held if row.at == newest)
    elif "messageId" in values:
        yield from (row for row in rows if row.ident in [str(i) for i in values["messageId"]])
    elif season := values.get("triadSeason") or values.get("triadSeasonStartYear"):
        low, high = date(season[0], 11, 1), date(season[0] + 1, 3, 1)
        yield from (row for row in rows if low <= row.day < high)
    elif day := values.get("settlementDate") or values.get("date"):
        period = values.get("settlementPeriod", [0])[0]
        yield from (row for row in rows if row.day == day[0] and period in (0, row.period))
    else:
        yield from rows


def _enveloped(operation: Operation, rows: list[Any], without_nulls: bool) -> Any:
    if without_nulls:
        rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
    match operation.envelope:
        case "object":
            if not rows:
                raise Refused(404, {"statusCode": 404, "message": "Resource not found"})
            return rows[0]
        case "data+metadata":
            return {"metadata": {"datasets": ["X"]}, "data": rows}
        case "data":
            return {"data": rows}
        case _:
            return rows
