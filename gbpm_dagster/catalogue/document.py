"""Elexon's own OpenAPI document, kept beside us, and the differences between it and a catalogue entry.

Belongs here: reading the document, resolving a path's rows, comparing. Not here: the entries; any network.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Endpoint, Kind, Style

DOCUMENT_DATE = "2026-06-13"
"""When the stored document was taken from the service."""

FILES = (f"openapi-{DOCUMENT_DATE}.json.gz", "additions.json.gz")

_JSON_TYPES = ("application/json", "text/json", "text/plain")

_KINDS: dict[tuple[str, str], Kind] = {
    ("string", ""): Kind.STRING,
    ("string", "date"): Kind.DATE,
    ("string", "date-time"): Kind.INSTANT,
    ("integer", "int32"): Kind.INTEGER,
    ("integer", "int64"): Kind.INTEGER,
    ("number", "double"): Kind.NUMBER,
    ("boolean", ""): Kind.BOOLEAN,
    ("array", ""): Kind.JSON,
    ("object", ""): Kind.JSON,
}

_PARAMETER_FORMATS: dict[Style, tuple[frozenset[str], ...]] = {
    Style.RANGE: (frozenset({"date-time"}), frozenset({"date-time"})),
    Style.DATES: (frozenset({"date"}), frozenset({"date"})),
    Style.SPAN: (frozenset({"date"}), frozenset({"int32"}), frozenset({"date"}), frozenset({"int32"})),
    Style.DATE: (frozenset({"date"}),),
    Style.PERIOD: (frozenset({"date"}), frozenset({"int32", ""})),
    Style.INSTANT: (frozenset({"date-time"}),),
    Style.SEASON: (frozenset({"int32"}),),
    Style.IDS: (frozenset({"int32", ""}),),
    Style.NONE: (),
}
"""What a path must say of the window's parameters, in the order of `Endpoint.params`."""


LISTED_TEXT = "value"
"""The column that the texts of a bare list become."""


class DocumentError(LookupError):
    """The document has no such path, or describes no rows for it."""


@dataclass(frozen=True, slots=True)
class Property:
    """One field of a row as the document has it."""

    name: str
    kind: Kind
    nullable: bool


@cache
def paths() -> Mapping[str, Any]:
    """Every path of the document and of its additions, by its text."""
    found: dict[str, Any] = {}
    for part in _documents():
        found.update(part["paths"])
    return found


@cache
def schemas() -> Mapping[str, Any]:
    """Every row schema of the document, by name."""
    found: dict[str, Any] = {}
    for part in _documents():
        found.update(part.get("components", {}).get("schemas", {}))
    return found


def operation(path: str) -> Mapping[str, Any]:
    """The GET operation of a path (with its placeholders); raises DocumentError."""
    entry = paths().get(path)
    if entry is None or "get" not in entry:
        raise DocumentError(f"Elexon's document of {DOCUMENT_DATE} has no path {path}")
    found: Mapping[str, Any] = entry["get"]
    return found


def row_schema(path: str, rows_at: str = "") -> dict[str, Property]:
    """Fields of one row that the path answers, by name, in the document's order.

    The envelope (`data`, or a bare array) is taken off; members of nested objects are fields of their own, named
    `outer.member`; a list of texts has the one field `value`. rows_at: a list nested in each row whose elements are the
    table's rows; their fields join those of the outer row. Raises DocumentError.
    """
    content = operation(path).get("responses", {}).get("200", {}).get("content", {})
    body = next((content[kind]["schema"] for kind in _JSON_TYPES if kind in content), None)
    if body is None:
        raise DocumentError(f"Elexon's document describes no JSON answer of {path}")
    row = _row(_resolve(body), path)
    fields: dict[str, Property] = {}
    for name, part in row.get("properties", {}).items():
        if name == rows_at:
            fields.update((p.name, p) for p in _properties(_row(_resolve(part), path)))
        else:
            fields.update((p.name, p) for p in _flattened(name, part))
    if rows_at and rows_at not in row.get("properties", {}):
        raise DocumentError(f"{path}: rows have no list {rows_at!r}")
    return fields


def compare(dataset: Dataset) -> list[str]:
    """Where an entry and the document differ: one sentence each, empty when they agree.

    Held: the path and that it is not deprecated; its window parameters (names, formats, and that no other one is
    required); columns (each a field, each field a column, same type and nullability); that every column which the
    key, version, partition, window, completeness and freshness name exists.
    """
    endpoint = dataset.endpoint
    problems: list[str] = []
    for path in paths_of(endpoint):
        try:
            found = operation(path)
            fields = row_schema(path, endpoint.rows_at)
        except DocumentError as error:
            problems.append(str(error))
            continue
        problems += [*_compare_operation(endpoint, path, found), *_compare_columns(dataset, fields)]
    problems += _compare_names(dataset)
    return [f"{dataset.table}: {problem}" for problem in problems]


def paths_of(endpoint: Endpoint) -> tuple[str, ...]:
    """The document's paths of an endpoint: its own, or one for each value where the document spells them out."""
    each = endpoint.each
    if each is None or endpoint.path in paths():
        return (endpoint.path,)
    return tuple(endpoint.path.replace(f"{{{each.param}}}", value) for value in each.values)


def _compare_operation(endpoint: Endpoint, path: str, found: Mapping[str, Any]) -> Iterator[str]:
    if found.get("deprecated") or "obsolete" in str(found.get("summary", "")).lower():
        yield f"{path} is deprecated"
    formats = _PARAMETER_FORMATS[endpoint.style]
    if len(endpoint.params) != len(formats):
        yield f"style {endpoint.style} needs {len(formats)} window parameters, not {len(endpoint.params)}"
    known = {p["name"]: p for p in found.get("parameters", ())}
    each = (endpoint.each.param,) if endpoint.each and path == endpoint.path else ()
    ours = (*endpoint.params, *(name for name, _ in endpoint.fixed), *each)
    for name in ours:
        if name not in known:
            yield f"{path} takes no parameter {name!r} (it takes {', '.join(known) or 'none'})"
    for name, allowed in zip(endpoint.params, formats, strict=False):
        stated = str(known.get(name, {}).get("schema", {}).get("format", ""))
        if name in known and stated not in allowed:
            yield f"parameter {name!r} is a {stated or 'text'}, not a {' or '.join(sorted(allowed))}"
    for name, parameter in known.items():
        if parameter.get("required") and name not in ours:
            yield f"{path} requires parameter {name!r}, which the entry does not give"
        in_path = f"{{{name}}}" in path
        if in_path != (parameter.get("in") == "path"):
            yield f"parameter {name!r} is in the {parameter.get('in')} of the request"


def _compare_columns(dataset: Dataset, fields: Mapping[str, Property]) -> Iterator[str]:
    for name in sorted({n for n in dataset.names if dataset.names.count(n) > 1}):
        yield f"column {name!r} is declared twice"
    asked = dataset.endpoint.each.column if dataset.endpoint.each else ""
    for column in dataset.columns:
        field = fields.get(column.name)
        if field is None and column.name == asked:
            continue
        if field is None:
            yield f"column {column.name!r} is not a field of the answer"
            continue
        if column.kind is not field.kind:
            yield f"column {column.name!r} is {column.kind}, the document says {field.kind}"
        if column.nullable != field.nullable:
            yield f"column {column.name!r} is {_null(column.nullable)}, the document says {_null(field.nullable)}"
    for name in fields:
        if name not in dataset.names:
            yield f"field {name!r} of the answer is not a column"


def _compare_names(dataset: Dataset) -> Iterator[str]:
    rule = dataset.completeness
    named = {
        "key": dataset.key_columns,
        "nullable key": dataset.nullable_key,
        "version": dataset.version,
        "partition field": (dataset.partition_field,),
        "window": (dataset.endpoint.selects,),
        "completeness": (rule.member_column, *rule.values),
        "freshness": (dataset.freshness.column,),
    }
    for part, names in named.items():
        for name in names:
            if name and name != PERIOD_START and name not in dataset.names:
                yield f"{part} names {name!r}, which is no column"


@cache
def _documents() -> tuple[Mapping[str, Any], ...]:
    folder = resources.files("gbpm_dagster.catalogue") / "openapi"
    return tuple(json.loads(gzip.decompress((folder / name).read_bytes())) for name in FILES)


def _resolve(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        if name not in schemas():
            raise DocumentError(f"Elexon's document names a schema it does not have: {name}")
        schema = schemas()[name]
    return schema


def _row(body: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The schema of one row in an answer that is a bare array or an object with `data`."""
    inner = body.get("properties", {}).get("data")
    if body.get("type") != "array" and inner is not None:
        body = _resolve(inner)
    if body.get("type") == "array":
        body = _resolve(body["items"])
    if body.get("type") == "string":  # a list of texts
        return {"properties": {LISTED_TEXT: {"type": "string"}}}
    if "properties" not in body:
        raise DocumentError(f"Elexon's document describes no fields in the rows of {path}")
    return body


def _flattened(name: str, part: Mapping[str, Any]) -> Iterator[Property]:
    """The field, or the members of a nested object as `name.member`."""
    members = _resolve(part).get("properties")
    if not members:
        yield _property(name, part)
        return
    for member, inner in members.items():
        found = _property(f"{name}.{member}", inner)
        yield Property(found.name, found.kind, found.nullable or bool(part.get("nullable")))


def _properties(row: Mapping[str, Any]) -> Iterator[Property]:
    for name, part in row.get("properties", {}).items():
        yield _property(name, part)


def _property(name: str, part: Mapping[str, Any]) -> Property:
    whole = _resolve(part)
    shape = (str(whole.get("type", "object")), str(whole.get("format", "")))
    if shape not in _KINDS:
        raise DocumentError(f"field {name!r} has type {shape[0]} and format {shape[1]}, which nobody has mapped")
    return Property(name, _KINDS[shape], bool(part.get("nullable") or whole.get("nullable")))


def _null(nullable: bool) -> str:
    return "nullable" if nullable else "never null"
