"""Example values of a table's columns, as Elexon's stored OpenAPI document gives them.

Belongs here: reading `example` out of the packaged document, for docs_catalogue.py. Not here: types and nullability,
which catalogue.document holds the entries to.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib import resources
from typing import Any

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.vocabulary import example as shared_example

SPELLED_OTHERWISE = {"LOLPDRM": "LOLPDM"}
"""The code that rows carry, where it is not the dataset's (rest-api.md section 8)."""


def example(dataset: Dataset, column: str) -> str:
    """A value of that column in one line: the table's own in the document, else the field's in any; "" if neither.

    Of column `dataset` the table's code: the document's schemas are shared by datasets and name one of them.
    """
    if column == "dataset" and dataset.code:
        code = dataset.code.split("+")[0]
        return SPELLED_OTHERWISE.get(code, code)
    path = _path(dataset)
    own = _examples(path, dataset.endpoint.rows_at).get(column) if path in _document()["paths"] else None
    return " ".join((own if own is not None else shared_example(column)).split())


def _path(dataset: Dataset) -> str:
    each = dataset.endpoint.each
    if each and dataset.endpoint.path not in _document()["paths"]:
        return dataset.endpoint.path.replace(f"{{{each.param}}}", each.values[0])
    return dataset.endpoint.path


@cache
def _document() -> dict[str, dict[str, Any]]:
    """Paths and schemas of the document and its additions."""
    found: dict[str, dict[str, Any]] = {"paths": {}, "schemas": {}}
    for file in sorted((resources.files("gbpm_dagster.catalogue") / "openapi").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json.gz"):
            part = json.loads(gzip.decompress(file.read_bytes()))
            found["paths"] |= part["paths"]
            found["schemas"] |= part.get("components", {}).get("schemas", {})
    return found


@cache
def _examples(path: str, rows_at: str) -> dict[str, str]:
    content = _document()["paths"][path]["get"]["responses"]["200"]["content"]
    body = next((content[kind]["schema"] for kind in ("application/json", "text/plain") if kind in content), {})
    found: dict[str, str] = {}
    for name, part in _row(_whole(body)).items():
        if name == rows_at:
            found |= _texts(_row(_whole(part)))
        elif members := _whole(part).get("properties"):
            found |= {f"{name}.{inner}": text for inner, text in _texts(members).items()}
        else:
            found |= _texts({name: part})
    return found


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = _document()["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _row(body: dict[str, Any]) -> dict[str, Any]:
    """Properties of a row in an array, or in an object with `data`."""
    if body.get("type") != "array" and "data" in body.get("properties", {}):
        body = _whole(body["properties"]["data"])
    if body.get("type") == "array":
        body = _whole(body["items"])
    found: dict[str, Any] = body.get("properties", {})
    return found


def _texts(properties: dict[str, Any]) -> dict[str, str]:
    given = {name: _whole(part).get("example", part.get("example")) for name, part in properties.items()}
    return {n: v if isinstance(v, str) else json.dumps(v) for n, v in given.items() if v is not None}
