"""Elexon's stored document with something changed in it, as a service might change it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from gbpm_dagster.catalogue import document
from gbpm_dagster.catalogue.document import Document

Json = dict[str, Any]
Mutation = Callable[[Json], object]


def content() -> Json:
    """The stored document as JSON, a copy of its own."""
    packed = (resources.files("gbpm_dagster.catalogue") / "openapi" / document.STORED).read_bytes()
    found: Json = json.loads(gzip.decompress(packed))
    return found


def mutated(*mutations: Mutation, name: str = "the new document") -> Document:
    """The stored document after these mutations, with our additions."""
    return document.with_additions(Document.parse(as_bytes(*mutations), name))


def as_bytes(*mutations: Mutation) -> bytes:
    """The same as the service would send it."""
    changed = content()
    for mutation in mutations:
        mutation(changed)
    return json.dumps(changed).encode()


def row(found: Json, path: str) -> Json:
    """The properties of the rows that a `/datasets` path answers, by following its references by hand."""
    schema = found["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    inner = _component(found, schema)["properties"]["data"]["items"]
    properties: Json = _component(found, inner)["properties"]
    return properties


def parameter(found: Json, path: str, name: str) -> Json:
    parameters: list[Json] = found["paths"][path]["get"]["parameters"]
    return next(p for p in parameters if p["name"] == name)


def _component(found: Json, schema: Json) -> Json:
    component: Json = found["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return component
