"""What Elexon says of each table, read by the tests themselves: its OpenAPI document and data/datasets.csv.

Nothing here comes from `catalogue.document`, `elexon` or an entry, so that what is held against it is held against a
second reading.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "gbpm_dagster" / "catalogue" / "openapi"
LONDON = ZoneInfo("Europe/London")
HALF_HOUR = timedelta(minutes=30)

TABLES: dict[str, dict[str, str]] = {
    row["table"]: row for row in csv.DictReader((ROOT / "gbpm_dagster_tests" / "data" / "datasets.csv").open())
}

HOME_FIELD = {"bmrs_boalf": "timeFrom", "bmrs_triad_peaks": "settlementDate"}
"""The field whose London day a row is stored under, where datasets.csv proposes another (test_entries says why)."""


@dataclass(frozen=True)
class Field:
    """A field of a JSON object. type: string, integer, number, boolean, date, instant, list or object."""

    name: str
    type: str
    nullable: bool
    members: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Parameter:
    name: str
    place: str  # path or query
    required: bool
    type: str  # date-time, date, integer, boolean, string
    values: tuple[str, ...]


@dataclass(frozen=True)
class Operation:
    """A GET of the document. envelope: data, data+metadata, array, array_of_string, object or "" (none described)."""

    path: str
    parameters: Mapping[str, Parameter]
    envelope: str
    fields: tuple[Field, ...]


@cache
def _whole() -> tuple[dict[str, Any], dict[str, Any]]:
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for file in sorted(DOCUMENT.glob("*.json.gz")):
        part = json.loads(gzip.decompress(file.read_bytes()))
        paths |= part["paths"]
        schemas |= part.get("components", {}).get("schemas", {})
    return paths, schemas


@cache
def operations() -> Mapping[str, Operation]:
    """Every path of the document, by its text with placeholders."""
    return {path: _operation(path, entry["get"]) for path, entry in _whole()[0].items() if "get" in entry}


def _operation(path: str, entry: Mapping[str, Any]) -> Operation:
    content = entry["responses"]["200"].get("content", {})
    envelope, fields = _answer(content["application/json"]["schema"]) if "application/json" in content else ("", ())
    return Operation(path, {p["name"]: _parameter(p) for p in entry.get("parameters", ())}, envelope, fields)


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    schema = entry["schema"]
    whole = schema.get("items", schema) if schema.get("type") == "array" else schema
    kind = {"date": "date", "date-time": "date-time"}.get(whole.get("format", ""), whole.get("type", "string"))
    values = tuple(str(v) for v in whole.get("enum", ()))
    return Parameter(entry["name"], entry["in"], bool(entry.get("required")), kind, values)


def _named(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = _whole()[1][schema["$ref"].split("/")[-1]]
    return schema


def _answer(schema: Mapping[str, Any]) -> tuple[str, tuple[Field, ...]]:
    whole = _named(schema)
    if whole.get("type") == "array":
        item = _named(whole["items"])
        return ("array_of_string", ()) if item["type"] == "string" else ("array", _fields(item))
    properties = whole.get("properties", {})
    if "data" in properties:
        return ("data+metadata" if "metadata" in properties else "data"), _fields(
            _named(_named(properties["data"])["items"])
        )
    return "object", _fields(whole)


def _fields(schema: Mapping[str, Any]) -> tuple[Field, ...]:
    return tuple(_field(name, part) for name, part in schema.get("properties", {}).items())


def _field(name: str, part: Mapping[str, Any]) -> Field:
    whole = _named(part)
    nullable = bool(part.get("nullable") or whole.get("nullable"))
    if whole["type"] == "object":
        return Field(name, "object", nullable, _fields(whole))
    if whole["type"] == "array":
        return Field(name, "list", nullable, _fields(_named(whole["items"])))
    kind = {"date": "date", "date-time": "instant"}.get(whole.get("format", ""), whole["type"])
    return Field(name, kind, nullable)


@dataclass(frozen=True)
class Facts:
    """One table: its path as it is asked, and what datasets.csv has worked out about it.

    nest: the list in each object of the answer whose elements are the rows. added: a field that the rows lack, as it
    is part of the request (bidOffer, code), with its values.
    """

    table: str
    operation: Operation
    window: tuple[str, ...]
    home: str
    key: tuple[str, ...]
    version: tuple[str, ...]
    nest: str
    choice: str
    choices: tuple[str, ...]
    added: str

    @property
    def fields(self) -> dict[str, Field]:
        """The columns a row must become, by name: nested objects as `outer.member`, lists of rows taken apart."""
        found: dict[str, Field] = {}
        for field in self.operation.fields:
            if field.name == self.nest:
                found |= {f.name: f for f in field.members}
            elif field.type == "object":
                for inner in field.members:
                    name = f"{field.name}.{inner.name}"
                    found[name] = Field(name, inner.type, inner.nullable or field.nullable, inner.members)
            else:
                found[field.name] = field
        if self.operation.envelope == "array_of_string":
            found["value"] = Field("value", "string", False)
        if self.added:
            found[self.added] = Field(self.added, "string", False)
        return found

    @property
    def unit_key(self) -> str:
        """The key's unit column, for which bmUnit stands in when it is null (decision 2)."""
        has_other = "bmUnit" in self.fields
        return next((k for k in self.key if k.startswith("nationalGridBmUnit") and has_other), "")

    @property
    def selected_by(self) -> str:
        """The field by which the window's parameters select: "" where there is no window or no such field."""
        first = self.window[0] if self.window else ""
        by_name = {"publishDateTimeFrom": "publishTime", "measurementDateTimeFrom": "measurementTime"}
        if first in ("from", "startTime") and self.operation.parameters[first].type == "date-time":
            return next((n for n in ("startTime", "timeFrom", "time", "publishTime") if n in self.fields), "")
        return "" if first in ("messageId", "") else by_name.get(first, self.home)

    @property
    def cap(self) -> timedelta | None:
        """The cap the source or its document states; None where nobody knows one."""
        stated = re.fullmatch(r"(\d+)(h|d)", TABLES[self.table]["window_cap"])
        return int(stated[1]) * timedelta(hours=1 if stated[2] == "h" else 24) if stated else None


CHOICES = {
    "bidOffer": ("bid", "offer"),
    "dataset": ("PN", "QPN", "MELS", "MILS"),
    "code": (
        *("ISPSTACK", "FREQ", "BOALF", "DISEBSP", "DISPTAV", "DISBSAD"),
        *("NETBSAD", "BOD", "EBOCF", "BOAV", "PN", "REMIT"),
    ),
}
"""Values of the parameters that take one a call (rest-api.md 8 and 10, and the text of /balancing/physical/all)."""

MEANT = {
    "bmrs_netbsad_series": {"includeZero": "true"},
    "bmrs_nonbm_stor": {"includeZero": "true"},
    "bmrs_generation_summary": {"includeNegativeGeneration": "true"},
    "bmrs_dgws_series": {"processType": "all"},
    "bmrs_margin_weekly": {"range": "52W"},
    "bmrs_surplus_weekly": {"range": "52W"},
    "bmrs_triad_peaks": {"data": "operational"},
    "remit_message_list": {"latestRevisionOnly": "false"},
}
"""Parameters without which a path leaves rows out (rest-api.md 8, datasets.csv, the document's texts)."""

WINDOW = {"remit_messages": "messageId", "remit_revisions": "messageId"}
"""Parameters of the window where they are not those of datasets.csv (test_entries says why)."""


@cache
def facts(table: str, path: str) -> Facts:
    """The facts of a table that is asked at that path, which is one of the two that datasets.csv names.

    A path that the document does not have is one it spells out value by value (`/data-status/{code}`).
    """
    row = TABLES[table]
    params = {row["path_stream"]: row["stream_time_params"], row["path"]: row["time_axis_params"]}[path]
    choice = _choice(table, path)
    spelt = path if path in operations() else path.replace(f"{{{choice}}}", CHOICES[choice][0])
    operation = operations()[spelt]
    fields = {f.name: f for f in operation.fields}
    return Facts(
        table=table,
        operation=operation,
        window=tuple(filter(None, WINDOW.get(table, params).split("/"))),
        home=HOME_FIELD.get(table, row["partition_field"]),
        key=tuple(row["natural_key"].split("|")),
        version=tuple(filter(None, row["version"].split("|"))),
        nest="data" if "data" in fields and fields["data"].type == "list" else "",
        choice=choice,
        choices=CHOICES.get(choice, ()),
        added=choice if choice not in fields else "",
    )


def _choice(table: str, path: str) -> str:
    if table == "bmrs_physical_all":
        return "dataset"
    return next((name for name in ("bidOffer", "code") if f"{{{name}}}" in path), "")


# --- the London calendar, from the time zone alone


@cache
def midnight(day: date) -> datetime:
    """The instant a London day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=LONDON).astimezone(UTC)


def periods(day: date) -> int:
    """46, 48 or 50."""
    return int((midnight(day + timedelta(days=1)) - midnight(day)) / HALF_HOUR)


def london_day(at: datetime) -> date:
    return at.astimezone(LONDON).date()


def text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
