"""An OpenAPI document of Elexon's API: the one kept beside us, or any other, and what it says of a path.

Belongs here: reading a document, resolving a path's parameters and rows. Not here: comparing it with the entries
(`compare`, `verify`), any network (`elexon.openapi`).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import resources
from typing import Any

from gbpm_dagster.catalogue.document_bytes import UnreadableDocument, openapi, unpacked
from gbpm_dagster.catalogue.model import Kind

__all__ = ["Document", "DocumentError", "Parameter", "Property", "UnreadableDocument", "stored", "with_additions"]

DOCUMENT_DATE = "2026-06-13"
"""When the stored document was taken from the service."""

STORED, ADDITIONS = f"openapi-{DOCUMENT_DATE}.json.gz", "additions.json.gz"

LISTED_TEXT = "value"
"""The column that the texts of a bare list become."""

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


class DocumentError(LookupError):
    """The document has no such path, or describes no rows for it."""


@dataclass(frozen=True, slots=True)
class Property:
    """One field of a row as the document has it. kind: None where its type and format (`said`) are none we know."""

    name: str
    kind: Kind | None
    nullable: bool
    said: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a path. where: path, query or header. said: its type; form: its format, else "".

    values: all that it takes, where the document lists them.
    """

    name: str
    where: str
    required: bool
    form: str
    said: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Document:
    """A document. name: what messages call it. sha256: of its JSON. inferred: paths it lacks and `additions` supply."""

    name: str
    paths: Mapping[str, Any]
    components: Mapping[str, Any]
    sha256: str = ""
    inferred: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, body: bytes, name: str) -> Document:
        """The document in these bytes, gzip or plain JSON; raises UnreadableDocument."""
        text = unpacked(body, name)
        found = openapi(text, name)
        return cls(name, found["paths"], _mapping(found.get("components")), hashlib.sha256(text).hexdigest())

    @cached_property
    def schemas(self) -> Mapping[str, Any]:
        """Every schema of the document, by name."""
        return _mapping(self.components.get("schemas"))

    def has(self, path: str) -> bool:
        """Whether the path (with its placeholders) can be asked by GET."""
        return "get" in _mapping(self.paths.get(path))

    def operation(self, path: str) -> Mapping[str, Any]:
        """The GET operation of a path (with its placeholders); raises DocumentError."""
        if not self.has(path):
            like = next((p for p in self.paths if p != path and _shape(p) == _shape(path) and self.has(p)), "")
            hint = f" (it has {like})" if like else ""
            raise DocumentError(f"{self.name} has no path {path}{hint}")
        return _mapping(self.paths[path]["get"])

    def deprecated(self, path: str) -> bool:
        """Whether the document says so, by its mark or (as Elexon does) in the summary; raises DocumentError."""
        found = self.operation(path)
        return bool(found.get("deprecated")) or "obsolete" in str(found.get("summary", "")).lower()

    def summary(self, path: str) -> str:
        """The path's title in one line; raises DocumentError."""
        return " ".join(str(self.operation(path).get("summary", "")).split())

    def parameters(self, path: str) -> dict[str, Parameter]:
        """The path's parameters by name; raises DocumentError."""
        listed = [
            *_list(_mapping(self.paths.get(path)).get("parameters")),
            *_list(self.operation(path).get("parameters")),
        ]
        found = {}
        for part in listed:
            whole, _ = self._whole(_mapping(part))
            schema, _ = self._whole(_mapping(whole.get("schema")))
            name, (kind, form) = str(whole.get("name", "")), _type(schema)
            where, required = str(whole.get("in", "")), bool(whole.get("required"))
            values = tuple(str(v) for v in _list(schema.get("enum")))
            found[name] = Parameter(name, where, required, form, _said(kind, form), values)
        return found

    def row_schema(self, path: str, rows_at: str = "") -> dict[str, Property]:
        """Fields of one row that the path answers, by name, in the document's order.

        The envelope (`data`, or a bare array) is taken off; members of nested objects are fields of their own, named
        `outer.member`; a list of texts has the one field `value`. rows_at: a list nested in each row whose elements
        are the table's rows; their fields join those of the outer row. Raises DocumentError.
        """
        content = self.operation(path)
        for part in ("responses", "200", "content"):
            content = _mapping(content.get(part))
        body = next((_mapping(content[kind]).get("schema") for kind in _JSON_TYPES if kind in content), None)
        if body is None:
            raise DocumentError(f"{self.name} describes no JSON answer of {path}")
        members = _mapping(self._row(_mapping(body), path).get("properties"))
        fields: dict[str, Property] = {}
        for name, part in members.items():
            if name == rows_at:
                inner = _mapping(self._row(_mapping(part), path).get("properties"))
                fields.update((n, self._property(n, _mapping(p))) for n, p in inner.items())
            else:
                fields.update((p.name, p) for p in self._flattened(name, _mapping(part)))
        if rows_at and rows_at not in members:
            raise DocumentError(f"{path}: rows have no list {rows_at!r}")
        return fields

    def _whole(self, part: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
        """What stands behind references, and whether null is allowed on the way there.

        Null is `nullable` in OpenAPI 3.0, and in 3.1 a type of its own in a list or beside the one reference.
        """
        nullable, seen = False, set()
        while True:
            kind, among = (
                part.get("type"),
                [*_list(part.get("allOf")), *_list(part.get("oneOf") or part.get("anyOf"))],
            )
            others = [_mapping(p) for p in among if _mapping(p).get("type") != "null"]
            null_type = isinstance(kind, list) and "null" in kind
            nullable = nullable or bool(part.get("nullable")) or null_type or len(others) < len(among)
            reference = str(part.get("$ref", ""))
            if reference:
                if reference in seen:
                    raise DocumentError(f"{self.name} has a schema that refers to itself: {reference}")
                seen.add(reference)
                room, _, name = reference.removeprefix("#/components/").partition("/")
                part = _mapping(_mapping(self.components.get(room)).get(name))
                if not part:
                    raise DocumentError(f"{self.name} names a schema it does not have: {name or reference}")
            elif len(others) == 1 and "properties" not in part:
                part = others[0]
            else:
                return part, nullable

    def _row(self, part: Mapping[str, Any], path: str) -> Mapping[str, Any]:
        """The schema of one row in an answer that is a bare array or an object with `data`."""
        body, _ = self._whole(part)
        inner = _mapping(body.get("properties")).get("data")
        if _type(body)[0] != "array" and inner is not None:
            body, _ = self._whole(_mapping(inner))
        if _type(body)[0] == "array":
            body, _ = self._whole(_mapping(body.get("items")))
        if _type(body)[0] == "string":  # a list of texts
            return {"properties": {LISTED_TEXT: {"type": "string"}}}
        if not isinstance(body.get("properties"), dict):
            raise DocumentError(f"{self.name} describes no fields in the rows of {path}")
        return body

    def _flattened(self, name: str, part: Mapping[str, Any]) -> Iterator[Property]:
        """The field, or the members of a nested object as `name.member`."""
        whole, nullable = self._whole(part)
        members = _mapping(whole.get("properties"))
        if not members:
            yield self._property(name, part)
        for member, inner in members.items():
            found = self._property(f"{name}.{member}", _mapping(inner))
            yield replace(found, nullable=found.nullable or nullable)

    def _property(self, name: str, part: Mapping[str, Any]) -> Property:
        whole, nullable = self._whole(part)
        kind, form = _type(whole)
        return Property(name, _KINDS.get((kind, form)), nullable, _said(kind, form))


@cache
def stored() -> Document:
    """The document kept in the package, with what `additions` supply."""
    return with_additions(Document.parse(_packaged(STORED), f"Elexon's document of {DOCUMENT_DATE}"))


def with_additions(document: Document) -> Document:
    """The document, and of our additions the paths that it does not have itself."""
    missing = {path: item for path, item in _additions().items() if path not in document.paths}
    return (
        replace(document, paths={**missing, **document.paths}, inferred=frozenset(missing)) if missing else document
    )


@cache
def _additions() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(gzip.decompress(_packaged(ADDITIONS)))["paths"]
    return found


def _packaged(name: str) -> bytes:
    return (resources.files("gbpm_dagster.catalogue") / "openapi" / name).read_bytes()


def _type(schema: Mapping[str, Any]) -> tuple[str, str]:
    """Type and format; a type of OpenAPI 3.1 is a list, with null as one of it."""
    kind = schema.get("type", "object")
    kinds = [str(k) for k in kind if k != "null"] if isinstance(kind, list) else [str(kind)]
    return " or ".join(kinds), str(schema.get("format", ""))


def _said(kind: str, form: str) -> str:
    return f"{kind} ({form})" if form else kind


def _shape(path: str) -> str:
    """A path without the names of its placeholders and without its case."""
    return re.sub(r"\{[^}]*\}", "{}", path).lower()


def _mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object; what is none says nothing, and its lack is reported where it is needed."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
