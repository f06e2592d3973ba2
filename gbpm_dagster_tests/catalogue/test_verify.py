"""The whole catalogue against a document, both ways, and what changed between two documents."""

from __future__ import annotations

import csv
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gbpm_dagster.catalogue import DATASETS, get
from gbpm_dagster.catalogue.compare import Change, Difference, Part
from gbpm_dagster.catalogue.document import Document, stored, with_additions
from gbpm_dagster.catalogue.verify import LeftOut, changed, differing, left_out, tables_of, verify
from gbpm_dagster_tests.catalogue.mutate import Json, as_bytes, content, mutated, parameter, row

DATA = Path(__file__).parents[1] / "data"
TABLES = list(csv.DictReader((DATA / "datasets.csv").open()))
FIELDS = list(csv.DictReader((DATA / "fields.csv").open()))
STATED = {r["path"]: r for r in csv.DictReader((DATA / "left_out.csv").open())}
"""Somebody else's list of the paths without a table, made from the document."""

ASKED = {(d.table, d.endpoint.each.column) for d in DATASETS.values() if d.endpoint.each and d.endpoint.each.column}
"""Columns that are no field: they are the value that was asked with."""

TEXT_LISTS = {r["table"] for r in TABLES if r["response_envelope"] == "array_of_string"}
"""Their rows are bare texts, which no schema of the document describes."""

ALL = tuple(DATASETS.values())


def sentences(found: list[Difference]) -> list[str]:
    return [str(d) for d in found]


def test_the_catalogue_is_clean_both_ways() -> None:
    found = verify(stored())
    assert sentences([*found.differences, *found.changes]) == []
    assert not found.breaks


def test_every_path_is_in_the_catalogue_or_left_out_or_the_other_form_of_one_that_is() -> None:
    """Counted without the code under test: 312 paths and 4 of ours, none of them both."""
    ours = {r["path"] for r in TABLES} | {f"/data-status/{code}" for code in _status_codes()}
    streams = {r["path_stream"] for r in TABLES if r["path_stream"]}
    rest = set(stored().paths) - ours - set(STATED)
    twins = {p for p in rest if p.removesuffix("/stream") in ours | set(STATED)}
    assert rest == twins
    assert streams <= twins
    assert set(tables_of(ALL, stored())) <= ours | streams


def _status_codes() -> list[str]:
    return next(r["code"] for r in TABLES if r["table"] == "meta_data_status").split("+")


def test_the_list_of_what_is_left_out_is_the_stated_one() -> None:
    """Without the twelve paths of `meta_data_status`, which the catalogue asks one by one."""
    twelve = {f"/data-status/{code}" for code in _status_codes()}
    assert len(twelve) == 12
    assert twelve <= set(STATED)
    kept = [LeftOut(r["path"], r["codes"], r["reason"]) for r in STATED.values() if r["path"] not in twelve]
    assert list(left_out()) == kept
    assert len({r.path for r in left_out()}) == len(left_out()) == 65


def test_a_reason_names_tables_and_paths_there_are() -> None:
    for entry in left_out():
        assert len(entry.reason) > 10, entry
        for table in re.findall(r"\b(?:bmrs|ref|meta|remit)_\w+", entry.reason):
            assert table in DATASETS, entry
        for path in re.findall(r"(?:moved to|use) (/\S+)", entry.reason):
            assert path in stored().paths or any(p.startswith(path) for p in stored().paths), entry


def test_a_document_without_paths_misses_all_of_them() -> None:
    found = differing(ALL, left_out(), Document.parse(b'{"openapi": "3.0.4", "paths": {}}', "nothing"))
    gone = {d.table for d in found if (d.change, d.part, d.breaks) == (Change.REMOVED, Part.PATH, True)}
    assert gone == set(DATASETS)
    unused = {d.path for d in found if (d.change, d.part, d.breaks) == (Change.REMOVED, Part.LEFT_OUT, False)}
    assert unused == {r.path for r in left_out()}
    assert len(found) == 151 + 65


def test_every_new_path_is_named_once_with_its_title() -> None:
    def doubled(found: Json) -> None:
        paths: Json = found["paths"]
        paths.update({f"/new{path}": item for path, item in list(paths.items())})

    new = mutated(doubled)
    found = differing(ALL, left_out(), new)
    live = [p for p in content()["paths"] if not stored().deprecated(p)]
    assert [d.path for d in found] == [f"/new{p}" for p in live]
    assert {(d.change, d.part, d.breaks, d.table) for d in found} == {(Change.ADDED, Part.PATH, False, "")}
    assert "/new/datasets/MID (Market Index Data (MID)) has no table and is not left out with a reason" in sentences(
        found
    )


def _columns(found: list[Difference], change: Change) -> set[tuple[str, str]]:
    return {(d.table, d.name) for d in found if (d.change, d.part) == (change, Part.FIELD)}


def _described() -> set[tuple[str, str]]:
    """(table, field) of every field that the document describes, as worked out by hand."""
    stated = {(r["table"], r["json_field"]) for r in FIELDS}
    return {(t, f) for t, f in stated - ASKED if t not in TEXT_LISTS}


def test_every_field_that_is_called_otherwise_is_missed_and_found() -> None:
    def renamed(found: Json) -> None:
        for schema in found["components"]["schemas"].values():
            parts = schema.get("properties", {})
            schema["properties"] = {n if n in ("data", "metadata") else f"x{n}": p for n, p in parts.items()}

    found = differing(ALL, left_out(), mutated(renamed))
    assert _columns(found, Change.REMOVED) == _described()
    expected = {(t, ".".join(f"x{part}" for part in f.split("."))) for t, f in _described()}
    assert _columns(found, Change.ADDED) == expected
    assert _columns(found, Change.CHANGED) == set()


def test_every_field_of_another_type_is_found() -> None:
    def retyped(found: Json) -> None:
        for schema in found["components"]["schemas"].values():
            for name, part in schema.get("properties", {}).items():
                if "type" in part and name not in ("data", "metadata"):
                    part.update(type="string" if part["type"] == "boolean" else "boolean", format="")

    found = differing(ALL, left_out(), mutated(retyped))
    assert _columns(found, Change.CHANGED) == _described()
    assert {(d.change, d.part) for d in found} == {(Change.CHANGED, Part.FIELD)}


def test_every_required_parameter_that_nobody_gives_is_found() -> None:
    def demanding(found: Json) -> None:
        for item in found["paths"].values():
            wanted = {"name": "apiKey", "in": "query", "required": True, "schema": {"type": "string"}}
            item["get"].setdefault("parameters", []).append(wanted)

    found = differing(ALL, left_out(), mutated(demanding))
    asked = {d.path for d in found}
    ours = {p for p in tables_of(ALL, stored()) if p not in stored().inferred}
    assert asked == ours
    assert {(d.change, d.part, d.name, d.breaks) for d in found} == {(Change.ADDED, Part.PARAMETER, "apiKey", True)}


# --- paths, streams, what is left out


def test_a_stream_counts_with_its_dataset_while_it_answers_the_same_fields() -> None:
    def other_rows(found: Json) -> None:
        found["paths"]["/datasets/MID/stream"] = found["paths"]["/datasets/FREQ/stream"]
        found["paths"]["/health/stream"] = found["paths"]["/datasets/FREQ/stream"]

    found = differing(ALL, left_out(), mutated(other_rows))
    assert sentences(found) == [
        "/datasets/MID/stream answers other fields than /datasets/MID, and has no table",
        "/health/stream answers other fields than /health, and has no table",
    ]


def test_a_path_counts_with_the_stream_that_the_catalogue_has() -> None:
    """PN is asked by its stream (decision 4): /datasets/PN is no other dataset."""
    assert get("bmrs_pn").endpoint.path == "/datasets/PN/stream"
    without = differing([d for d in ALL if d.table != "bmrs_pn"], left_out(), stored())
    assert [d.path for d in without] == ["/datasets/PN", "/datasets/PN/stream"]


def test_a_stream_that_is_gone_is_missed_only_where_it_is_asked() -> None:
    gone = mutated(lambda d: [d["paths"].pop(f"/datasets/{code}/stream") for code in ("MID", "PN")])
    assert sentences(differing(ALL, left_out(), gone)) == [
        "bmrs_pn: the new document has no path /datasets/PN/stream",
    ]


def test_new_paths_that_bring_no_data_are_not_asked_for() -> None:
    def more(found: Json) -> None:
        item = found["paths"]["/datasets/MID"]["get"]
        found["paths"]["/datasets/OLD"] = {"get": {**item, "deprecated": True}}
        found["paths"]["/subscriptions"] = {"post": item}

    assert differing(ALL, left_out(), mutated(more)) == []


def test_a_path_left_out_for_nothing_is_named() -> None:
    more = [*left_out(), LeftOut("/datasets/MID", "MID", "a test"), LeftOut("/datasets/GONE", "", "a test")]
    found = differing(ALL, more, stored())
    assert sentences(found) == [
        "left_out.csv leaves out /datasets/MID, which bmrs_mid has",
        "left_out.csv leaves out /datasets/GONE, which Elexon's document of 2026-06-13 does not have",
    ]
    assert not any(d.breaks for d in found)


def test_a_path_that_is_not_left_out_any_more_is_asked_for() -> None:
    fewer = [r for r in left_out() if r.path != "/system/frequency"]
    assert sentences(differing(ALL, fewer, stored())) == [
        "/system/frequency (System frequency (FREQ)) has no table and is not left out with a reason",
        "/system/frequency/stream (System frequency (FREQ) stream) has no table and is not left out with a reason",
    ]


def test_the_live_services_own_paths_of_mdb_and_mdo_are_held_too() -> None:
    def of_autumn(found: Json) -> None:
        added = with_additions(Document.parse(as_bytes(), "june")).paths
        for path in ("/datasets/MDB", "/datasets/MDB/stream", "/datasets/MDO", "/datasets/MDO/stream"):
            found["paths"][path] = json.loads(json.dumps(added[path]))

    same = verify(mutated(of_autumn))
    assert sentences(list(same.differences)) == []
    assert same.document.inferred == frozenset()
    assert {str(d) for d in same.changes} == {
        "bmrs_mdb: /datasets/MDB/stream is new (Maximum Delivery Bid (MDB) stream)",
        "bmrs_mdo: /datasets/MDO/stream is new (Maximum Delivery Offer (MDO) stream)",
        "/datasets/MDB is new (Maximum Delivery Bid (MDB))",
        "/datasets/MDO is new (Maximum Delivery Offer (MDO))",
    }

    def otherwise(found: Json) -> None:
        parameter(found, "/datasets/MDO/stream", "from").update(name="settlementDateFrom", required=True)

    other = verify(mutated(of_autumn, otherwise))
    assert {(d.table, d.change, d.name) for d in other.differences} == {
        ("bmrs_mdo", Change.REMOVED, "from"),
        ("bmrs_mdo", Change.ADDED, "settlementDateFrom"),
    }


# --- what changed between two documents


def test_changes_of_a_catalogued_path_are_told_with_both_sides() -> None:
    def change(found: Json) -> None:
        fields = row(found, "/datasets/MID")
        fields["price"].update(type="integer", format="int64")
        fields["volume"]["nullable"] = True
        fields["currency"] = {"type": "string"}
        del fields["dataProvider"]
        found["paths"]["/datasets/MID"]["get"]["deprecated"] = True
        parameter(found, "/datasets/MID", "from")["required"] = False
        parameter(found, "/datasets/MID", "to")["name"] = "until"

    found = list(changed(stored(), mutated(change), [get("bmrs_mid")]))
    assert sentences(found) == [
        "bmrs_mid: /datasets/MID is deprecated now",
        "bmrs_mid: parameter 'from' of /datasets/MID was string (date-time), required, in the query, "
        "is string (date-time), optional, in the query",
        "bmrs_mid: parameter 'to' of /datasets/MID is gone (was string (date-time), required, in the query)",
        "bmrs_mid: parameter 'until' of /datasets/MID is new (string (date-time), required, in the query)",
        "bmrs_mid: field 'dataProvider' of /datasets/MID is gone (was string, nullable)",
        "bmrs_mid: field 'price' of /datasets/MID was number (double), never null, is integer (int64), never null",
        "bmrs_mid: field 'volume' of /datasets/MID was number (double), never null, is number (double), nullable",
        "bmrs_mid: field 'currency' of /datasets/MID is new (string, never null)",
    ]
    back = list(changed(mutated(change), stored(), [get("bmrs_mid")]))
    assert {d.change for d in found} == {d.change for d in back} == set(Change)
    assert "bmrs_mid: /datasets/MID is not deprecated now" in sentences(back)


def test_of_other_paths_only_that_they_came_or_went_is_told() -> None:
    def change(found: Json) -> None:
        row(found, "/datasets/MID")["price"]["nullable"] = True
        found["paths"]["/datasets/NEW"] = found["paths"].pop("/datasets/FREQ")

    found = list(changed(stored(), mutated(change), []))
    assert sentences(found) == [
        "/datasets/NEW is new (System frequency (FREQ))",
        "/datasets/FREQ is gone (System frequency (FREQ))",
    ]


def test_a_format_that_is_the_same_to_us_is_no_difference_but_a_change() -> None:
    found = verify(mutated(lambda d: row(d, "/datasets/MID")["settlementPeriod"].update(format="int64")))
    assert found.differences == ()
    assert sentences(list(found.changes)) == [
        "bmrs_mid: field 'settlementPeriod' of /datasets/MID was integer (int32), never null, "
        "is integer (int64), never null"
    ]


def test_the_fields_of_a_nested_list_are_compared_where_they_are_the_rows() -> None:
    def change(found: Json) -> None:
        for schema in found["components"]["schemas"].values():
            if {"businessType", "psrType", "quantity"} == set(schema.get("properties", {})):
                schema["properties"]["quantity"]["nullable"] = True

    tables = [get("bmrs_agpt_series")]
    assert tables[0].endpoint.rows_at == "data"
    found = list(changed(stored(), mutated(change), tables))
    assert [(d.name, d.ours, d.theirs) for d in found] == [
        ("quantity", "number (double), never null", "number (double), nullable")
    ]


# --- whatever a service may send


SAMPLE = ("bmrs_mid", "bmrs_costs", "bmrs_agpt_series", "bmrs_physical_all", "ref_fueltypes", "bmrs_boav")


def _nodes(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [node for key, inner in items for node in ((value, key), *_nodes(inner))]


@pytest.fixture(scope="module")
def small() -> Json:
    """A document of a few paths and the schemas they need."""
    found = content()
    kept = tables_of([get(t) for t in SAMPLE], stored())
    found["paths"] = {p: i for p, i in found["paths"].items() if p in kept}
    needed: dict[str, Any] = {}
    open_ = [found["paths"]]
    while open_:
        for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(open_.pop())):
            if name not in needed:
                needed[name] = found["components"]["schemas"][name]
                open_.append(needed[name])
    found["components"]["schemas"] = needed
    return found


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "$ref", "properties", "items", "enum", "get", "name"]), inner)
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), values=st.lists(JSONS, min_size=1, max_size=4))
def test_a_document_with_nonsense_in_it_is_compared_to_the_end(small: Json, seed: int, values: list[Any]) -> None:
    """Anything anywhere in the JSON: it is refused in words or compared; nothing else is raised."""
    found = json.loads(json.dumps(small))
    choose = random.Random(seed)
    for value in values:
        container, key = choose.choice(_nodes(found["paths"]) + _nodes(found["components"]) or [(found, "paths")])
        container[key] = value
    document = Document.parse(json.dumps(found).encode(), "nonsense")
    datasets = [get(t) for t in SAMPLE]
    told = [*differing(datasets, [], document), *changed(stored(), document, datasets)]
    assert all(str(d) for d in told)
