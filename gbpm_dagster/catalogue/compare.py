"""Where a catalogue entry and an OpenAPI document differ.

Belongs here: `Difference`, and comparing one entry. Not here: reading the document (`document`), the catalogue as a
whole and what changed between two documents (`verify`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from gbpm_dagster.catalogue.document import Document, DocumentError, Parameter, Property
from gbpm_dagster.catalogue.model import PERIOD_START, Dataset, Endpoint, Style

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


class Change(StrEnum):
    """added: only the newer side has it. removed: only the older one (the catalogue). changed: both, differently."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Part(StrEnum):
    PATH = "path"
    PARAMETER = "parameter"
    FIELD = "field"
    ENTRY = "entry"  # the entry contradicts itself
    LEFT_OUT = "left out"  # the list of paths without a table


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `str()` is a sentence, with the table before it where it is about one.

    name: the field or parameter, "" where it is about the path. ours, theirs: what the catalogue (or the older
    document) and the document say, in words; "" for nothing. breaks: what the catalogue relies on is not so; else
    there is only something new, or something to tidy.
    """

    change: Change
    part: Part
    path: str
    text: str
    name: str = ""
    ours: str = ""
    theirs: str = ""
    table: str = ""
    breaks: bool = True

    def __str__(self) -> str:
        return f"{self.table}: {self.text}" if self.table else self.text


def compare(dataset: Dataset, document: Document) -> list[Difference]:
    """Where an entry and the document differ; empty when they agree.

    Held: the path and that it is not deprecated; its window parameters (names, formats, and that no other one is
    required) and the values of others; columns (each a field, each field a column, same type and nullability); that
    every column which the key, version, partition, window, completeness and freshness name exists.
    """
    endpoint = dataset.endpoint
    found: list[Difference] = []
    for path in paths_of(endpoint, document):
        try:
            document.operation(path)
        except DocumentError as error:
            found.append(Difference(Change.REMOVED, Part.PATH, path, str(error)))
            continue
        for differences in (_operation(endpoint, path, document), _columns(dataset, path, document)):
            try:
                found += differences
            except DocumentError as error:
                found.append(Difference(Change.CHANGED, Part.PATH, path, str(error)))
    found += _entry(dataset)
    return [replace(f, table=dataset.table) for f in found]


def paths_of(endpoint: Endpoint, document: Document) -> tuple[str, ...]:
    """The document's paths of an endpoint: its own, or one for each value where the document spells them out."""
    each = endpoint.each
    if each is None or endpoint.path in document.paths:
        return (endpoint.path,)
    spelt = tuple(dict.fromkeys(endpoint.path.replace(f"{{{each.param}}}", value) for value in each.values))
    return spelt if any(path in document.paths for path in spelt) else (endpoint.path,)


def _operation(endpoint: Endpoint, path: str, document: Document) -> Iterator[Difference]:
    if document.deprecated(path):
        yield Difference(Change.CHANGED, Part.PATH, path, f"{path} is deprecated", theirs="deprecated")
    known = document.parameters(path)
    spelt_out = endpoint.each is not None and path != endpoint.path
    values = {name: {value} for name, value in endpoint.fixed}
    if endpoint.each is not None and not spelt_out:
        values[endpoint.each.param] = set(endpoint.each.values)
    ours = (*endpoint.params, *values)
    for name in ours:
        if name not in known:
            text = f"{path} takes no parameter {name!r} (it takes {', '.join(known) or 'none'})"
            yield Difference(Change.REMOVED, Part.PARAMETER, path, text, name, ours="given")
    yield from _window(endpoint, path, known)
    for name, given in values.items():
        yield from _values(path, known.get(name), given, all_of_them=name not in dict(endpoint.fixed))
    for name, parameter in known.items():
        if parameter.required and name not in ours:
            text = f"{path} requires parameter {name!r}, which the entry does not give"
            yield Difference(Change.ADDED, Part.PARAMETER, path, text, name, theirs="required")
        if (f"{{{name}}}" in path) != (parameter.where == "path"):
            text = f"parameter {name!r} is in the {parameter.where} of the request"
            yield Difference(Change.CHANGED, Part.PARAMETER, path, text, name, theirs=f"in the {parameter.where}")


def _window(endpoint: Endpoint, path: str, known: Mapping[str, Parameter]) -> Iterator[Difference]:
    formats = _PARAMETER_FORMATS[endpoint.style]
    if len(endpoint.params) != len(formats):
        text = f"style {endpoint.style} needs {len(formats)} window parameters, not {len(endpoint.params)}"
        yield Difference(Change.CHANGED, Part.ENTRY, path, text)
    for name, allowed in zip(endpoint.params, formats, strict=False):
        if name in known and known[name].form not in allowed:
            theirs, ours = known[name].form or "text", " or ".join(sorted(allowed))
            text = f"parameter {name!r} is a {theirs}, not a {ours}"
            yield Difference(Change.CHANGED, Part.PARAMETER, path, text, name, ours, theirs)


def _values(path: str, parameter: Parameter | None, given: set[str], *, all_of_them: bool) -> Iterator[Difference]:
    """What we give must be among the values the document lists; and all of them, where each one is to be asked."""
    if parameter is None or not parameter.values:
        return
    name, listed = parameter.name, parameter.values
    for value in sorted(given - set(listed)):
        text = f"parameter {name!r} does not take {value!r} (it takes {', '.join(listed)})"
        yield Difference(Change.REMOVED, Part.PARAMETER, path, text, name, ours=value)
    for value in sorted(set(listed) - given) if all_of_them else ():
        text = f"parameter {name!r} takes {value!r} too, which the entry does not ask for"
        yield Difference(Change.ADDED, Part.PARAMETER, path, text, name, theirs=value, breaks=False)


def _columns(dataset: Dataset, path: str, document: Document) -> Iterator[Difference]:
    endpoint = dataset.endpoint
    fields = document.row_schema(path, endpoint.rows_at)
    asked = endpoint.each.column if endpoint.each else ""
    for column in dataset.columns:
        name, field = column.name, fields.get(column.name)
        if field is None and name == asked:
            continue
        if field is None:
            text = f"column {name!r} is not a field of the answer"
            yield Difference(Change.REMOVED, Part.FIELD, path, text, name, ours=column.kind.value)
            continue
        if column.kind is not field.kind:
            theirs = _kind(field)
            text = f"column {name!r} is {column.kind}, the document says {theirs}"
            yield Difference(Change.CHANGED, Part.FIELD, path, text, name, column.kind.value, theirs)
        if column.nullable != field.nullable:
            ours, theirs = nullability(column.nullable), nullability(field.nullable)
            text = f"column {name!r} is {ours}, the document says {theirs}"
            yield Difference(Change.CHANGED, Part.FIELD, path, text, name, ours, theirs)
    for name, field in fields.items():
        if name not in dataset.names:
            text = f"field {name!r} of the answer is not a column"
            theirs = f"{_kind(field)}, {nullability(field.nullable)}"
            yield Difference(Change.ADDED, Part.FIELD, path, text, name, theirs=theirs, breaks=False)


def _entry(dataset: Dataset) -> Iterator[Difference]:
    rule, path = dataset.completeness, dataset.endpoint.path
    for name in sorted({n for n in dataset.names if dataset.names.count(n) > 1}):
        yield Difference(Change.CHANGED, Part.ENTRY, path, f"column {name!r} is declared twice", name)
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
                yield Difference(Change.CHANGED, Part.ENTRY, path, f"{part} names {name!r}, which is no column", name)


def _kind(field: Property) -> str:
    """Our word for the field's type; the document's own where we have none."""
    return field.kind.value if field.kind else field.said


def nullability(nullable: bool) -> str:
    return "nullable" if nullable else "never null"
