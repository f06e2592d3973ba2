"""Reading OpenAPI documents: the stored one whole, any other in whatever state, and the rows of a path."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from gbpm_dagster.catalogue import document_bytes
from gbpm_dagster.catalogue.document import Document, DocumentError, Property, UnreadableDocument, stored
from gbpm_dagster.catalogue.model import Kind
from gbpm_dagster_tests.catalogue.mutate import as_bytes, content, mutated, row


def test_the_document_is_the_whole_one() -> None:
    """rest-api.md: 312 paths and 295 schemas, and the four paths that openapi-additions.json supplies."""
    assert len(stored().paths) == 312 + 4
    assert len(stored().schemas) == 295
    assert stored().inferred == {"/datasets/MDB", "/datasets/MDB/stream", "/datasets/MDO", "/datasets/MDO/stream"}


def test_a_row_is_found_in_every_envelope() -> None:
    bare_array = stored().row_schema("/reference/bmunits/all")
    with_data = stored().row_schema("/datasets/FREQ")
    with_metadata = stored().row_schema("/balancing/settlement/system-prices/{settlementDate}")
    assert bare_array["elexonBmUnit"] == Property("elexonBmUnit", Kind.STRING, nullable=True)
    assert with_data["frequency"] == Property("frequency", Kind.NUMBER, nullable=False)
    assert with_metadata["settlementDate"] == Property("settlementDate", Kind.DATE, nullable=False)


def test_a_nested_list_becomes_rows_only_when_asked() -> None:
    path = "/generation/actual/per-type"
    assert stored().row_schema(path)["data"].kind is Kind.JSON
    assert list(stored().row_schema(path, "data")) == [
        "startTime",
        "settlementPeriod",
        "businessType",
        "psrType",
        "quantity",
    ]
    with pytest.raises(DocumentError, match="no list 'rows'"):
        stored().row_schema(path, "rows")


def test_every_described_path_has_readable_rows_of_known_types() -> None:
    """Only paths without a body may refuse."""
    refused = {}
    for path in stored().paths:
        try:
            assert all(field.kind for field in stored().row_schema(path).values()), path
        except DocumentError as error:
            refused[path] = str(error)
    assert all("describes no" in reason for reason in refused.values()), refused
    assert len(refused) == 12  # rest-api.md 6: no body described


def test_deprecated_paths_are_known_by_mark_or_summary() -> None:
    """rest-api.md section 1 lists them; `/lolpdrm/forecast/evolution` is the one without the word in its summary."""
    assert {path for path in stored().paths if stored().deprecated(path)} == {
        *(
            "/CDN",
            "/demand",
            "/demand/stream",
            "/demand/summary",
            "/demand/total/actual",
            "/demand/rollingSystemDemand",
        ),
        *("/generation/outturn/halfHourlyInterconnector", "/generation/outturn/FUELINSTHHCUR"),
        *("/interop/MessageListRetrieval", "/interop/MessageDetailRetrieval", "/lolpdrm/forecast/evolution"),
    }
    only_said = mutated(lambda d: d["paths"]["/demand"]["get"].pop("deprecated"))
    assert only_said.deprecated("/demand")


def test_parameters_of_a_path() -> None:
    found = stored().parameters("/balancing/physical/all")
    assert list(found) == ["dataset", "settlementDate", "settlementPeriod", "bmUnit", "format"]
    assert found["dataset"].values == ("PN", "QPN", "MILS", "MELS")
    assert (found["settlementDate"].form, found["settlementDate"].required) == ("date", True)
    assert (found["bmUnit"].said, found["bmUnit"].required, found["bmUnit"].where) == ("array", False, "query")


def test_additions_yield_to_the_documents_own_paths() -> None:
    def has_its_own(found: dict[str, Any]) -> None:
        found["paths"]["/datasets/MDO/stream"] = {"get": {"summary": "of the service"}}

    ours = mutated(has_its_own)
    assert ours.summary("/datasets/MDO/stream") == "of the service"
    assert ours.inferred == {"/datasets/MDB", "/datasets/MDB/stream", "/datasets/MDO"}
    assert ours.row_schema("/datasets/MDB/stream") == stored().row_schema("/datasets/MDB/stream")


def test_a_path_whose_placeholder_is_called_otherwise_is_named() -> None:
    path = "/balancing/settlement/system-prices/{settlementDate}"
    renamed = mutated(lambda d: d["paths"].update({path.replace("settlementDate", "date"): d["paths"].pop(path)}))
    with pytest.raises(DocumentError) as caught:
        renamed.operation(path)
    assert str(caught.value.args[0]) == (
        f"the new document has no path {path} (it has /balancing/settlement/system-prices/{{date}})"
    )


# --- bytes


WHOLE = as_bytes()


@pytest.mark.parametrize("body", [WHOLE, gzip.compress(WHOLE), b"\xef\xbb\xbf" + WHOLE], ids=["plain", "gzip", "BOM"])
def test_a_document_is_read_plain_and_packed(body: bytes) -> None:
    found = Document.parse(body, "it")
    assert len(found.paths) == 312
    assert len(found.schemas) == 295


def test_a_document_is_known_by_its_content_not_its_packing() -> None:
    assert Document.parse(WHOLE, "one").sha256 == Document.parse(gzip.compress(WHOLE), "other").sha256
    assert Document.parse(WHOLE, "one").sha256 != Document.parse(WHOLE + b"\n", "other").sha256


@pytest.mark.parametrize(
    ("body", "words", "whole"),
    [
        (b"", "it is empty", False),
        (b" \n ", "it is empty", False),
        (b"<!DOCTYPE html><title>Maintenance</title>", "it is HTML or XML, not JSON", False),
        (WHOLE[:500_000], "it is JSON that is cut short or broken, 500,000 bytes of it", False),
        (gzip.compress(WHOLE)[:20_000], "it is gzip that is cut short or broken", False),
        (b"\x1f\x8b nothing of the sort", "it is gzip that is cut short or broken", False),
        (gzip.compress(b"openapi: 3.0.4", mtime=0), "it is not JSON", False),
        (b"\xff\xfe\x00\x00 no text", "it is not JSON", False),
        (b"[" * 100_000, "it is JSON that is cut short or broken", False),
        (b"[]", "it is JSON, but no OpenAPI document (a value, no `paths`)", True),
        (b"{}", "no OpenAPI document (an object with nothing, no `paths`)", True),
        (b'{"data": [], "metadata": {}}', "no OpenAPI document (an object with data, metadata, no `paths`)", True),
        (b'{"openapi": "3.0.4", "paths": []}', "no OpenAPI document (an object with openapi, paths", True),
        (b'{"swagger": "2.0", "paths": {}}', "no OpenAPI document of version 3 (version: 2.0)", True),
        (b'{"paths": {}}', "no OpenAPI document of version 3 (version: not stated)", True),
    ],
)
def test_what_is_no_document_is_said(body: bytes, words: str, whole: bool) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        Document.parse(body, "it")
    assert words in str(caught.value)
    assert caught.value.whole is whole


def test_a_packed_document_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_bytes, "LARGEST", 1_000_000)
    with pytest.raises(UnreadableDocument, match="unpacks to more than 1,000,000 bytes"):
        Document.parse(gzip.compress(b" " * 1_000_001), "it")


# --- forms that Elexon's document does not have today


def _tiny(row_part: dict[str, Any], **schemas: Any) -> Document:
    answer = {"200": {"content": {"application/json": {"schema": {"type": "array", "items": row_part}}}}}
    found = {"openapi": "3.1.0", "paths": {"/x": {"get": {"responses": answer}}}, "components": {"schemas": schemas}}
    return Document.parse(json.dumps(found).encode(), "tiny")


@pytest.mark.parametrize(
    ("part", "kind", "nullable"),
    [
        ({"type": ["string", "null"], "format": "date"}, Kind.DATE, True),
        ({"type": ["null", "number"], "format": "double"}, Kind.NUMBER, True),
        ({"type": ["integer"], "format": "int32"}, Kind.INTEGER, False),
        ({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Text"}]}, Kind.STRING, True),
        ({"anyOf": [{"$ref": "#/components/schemas/Text"}, {"type": "null"}]}, Kind.STRING, True),
        ({"allOf": [{"$ref": "#/components/schemas/Text"}], "nullable": True}, Kind.STRING, True),
        ({"allOf": [{"$ref": "#/components/schemas/Text"}]}, Kind.STRING, False),
        ({"type": ["string", "integer"]}, None, False),
        ({"type": "number", "format": "float"}, None, False),
    ],
)
def test_null_in_both_versions_of_openapi_and_types_nobody_mapped(
    part: dict[str, Any], kind: Kind | None, nullable: bool
) -> None:
    found = _tiny({"type": "object", "properties": {"field": part}}, Text={"type": "string"})
    assert found.row_schema("/x") == {"field": Property("field", kind, nullable)}


@pytest.mark.parametrize(
    ("schemas", "words"),
    [
        ({"Row": {"$ref": "#/components/schemas/Row"}}, "a schema that refers to itself: #/components/schemas/Row"),
        ({"Row": {"allOf": [{"$ref": "#/components/schemas/Row"}]}}, "refers to itself"),
        ({}, "tiny names a schema it does not have: Row"),
        ({"Row": {"type": "number"}}, "tiny describes no fields in the rows of /x"),
        ({"Row": "?"}, "names a schema it does not have: Row"),
    ],
)
def test_schemas_that_lead_nowhere_are_named(schemas: dict[str, Any], words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        _tiny({"$ref": "#/components/schemas/Row"}, **schemas).row_schema("/x")
    assert words in str(caught.value.args[0])


def test_parameters_may_stand_at_the_path_and_behind_references() -> None:
    found = content()
    item = found["paths"]["/datasets/MID"]
    found["components"]["parameters"] = {"From": item["get"]["parameters"].pop(0)}
    item["parameters"] = [{"$ref": "#/components/parameters/From"}]
    moved = Document.parse(json.dumps(found).encode(), "moved")
    assert moved.parameters("/datasets/MID") == stored().parameters("/datasets/MID")


def test_the_fields_come_in_the_documents_order() -> None:
    assert list(stored().row_schema("/datasets/MID")) == list(row(content(), "/datasets/MID"))
