"""Every catalogue entry against Elexon's own document; a wrong entry and a changed document are found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gbpm_dagster.catalogue import DATASETS, Dataset, get
from gbpm_dagster.catalogue.compare import Change, Difference, Part, compare
from gbpm_dagster.catalogue.document import stored
from gbpm_dagster.catalogue.model import Column, Each, Kind, Style
from gbpm_dagster_tests.catalogue.mutate import Json, Mutation, mutated, parameter, row


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda d: d.table)
def test_the_entry_agrees_with_the_document(dataset: Dataset) -> None:
    assert compare(dataset, stored()) == []


@pytest.mark.parametrize(
    "dataset",
    [d for d in DATASETS.values() if d.endpoint.path.endswith("/stream")],
    ids=lambda d: d.table,
)
def test_a_stream_answers_the_rows_of_its_base_path(dataset: Dataset) -> None:
    base = dataset.endpoint.path.removesuffix("/stream")
    assert stored().row_schema(dataset.endpoint.path) == stored().row_schema(base)


def _swap(dataset: Dataset, name: str, column: Column | None) -> Dataset:
    columns = [column if c.name == name else c for c in dataset.columns]
    return replace(dataset, columns=tuple(c for c in columns if c is not None))


MID, COSTS, FREQ = get("bmrs_mid"), get("bmrs_costs"), get("bmrs_freq")
PHYSICAL, STATUS, SUMMARY = get("bmrs_physical_all"), get("meta_data_status"), get("bmrs_generation_summary")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            _swap(MID, "price", replace(MID.column("price"), kind=Kind.INTEGER)),
            "'price' is integer, the document says number",
        ),
        (
            _swap(MID, "price", replace(MID.column("price"), nullable=True)),
            "'price' is nullable, the document says never null",
        ),
        (_swap(MID, "volume", None), "field 'volume' of the answer is not a column"),
        (_swap(MID, "volume", None), "completeness names 'volume'"),
        (_swap(MID, "dataset", replace(MID.column("dataset"), name="datasets")), "'datasets' is not a field"),
        (replace(MID, columns=(*MID.columns, MID.columns[0])), "'dataset' is declared twice"),
        (replace(MID, key=("dataProvider", "settlementDay")), "key names 'settlementDay'"),
        (replace(MID, partition_field="publishTime"), "partition field names 'publishTime'"),
        (replace(MID, endpoint=replace(MID.endpoint, path="/datasets/MIDI")), "has no path /datasets/MIDI"),
        (replace(MID, endpoint=replace(MID.endpoint, path="/CDN")), "describes no JSON answer"),
        (replace(MID, endpoint=replace(MID.endpoint, params=("from", "until"))), "takes no parameter 'until'"),
        (replace(MID, endpoint=replace(MID.endpoint, params=("from", "until"))), "requires parameter 'to'"),
        (replace(MID, endpoint=replace(MID.endpoint, style=Style.DATES)), "'from' is a date-time, not a date"),
        (replace(MID, endpoint=replace(MID.endpoint, style=Style.DATE)), "needs 1 window parameters, not 2"),
        (replace(MID, endpoint=replace(MID.endpoint, fixed=(("provider", "APX"),))), "no parameter 'provider'"),
        (
            replace(PHYSICAL, endpoint=replace(PHYSICAL.endpoint, each=Each("dataset", ("PN", "QPN", "MELS")))),
            "parameter 'dataset' takes 'MILS' too, which the entry does not ask for",
        ),
        (
            replace(PHYSICAL, endpoint=replace(PHYSICAL.endpoint, fixed=(("dataset", "BOD"),), each=None)),
            "parameter 'dataset' does not take 'BOD' (it takes PN, QPN, MILS, MELS)",
        ),
        (
            replace(FREQ, endpoint=replace(FREQ.endpoint, params=("publishDateTimeFrom", "publishDateTimeTo"))),
            "takes no parameter 'publishDateTimeFrom'",
        ),
        (
            replace(COSTS, endpoint=replace(COSTS.endpoint, params=(), style=Style.NONE)),
            "requires parameter 'settlementDate'",
        ),
    ],
)
def test_a_wrong_entry_is_found_out(wrong: Dataset, words: str) -> None:
    problems = [str(difference) for difference in compare(wrong, stored())]
    assert any(words in problem for problem in problems), problems
    assert all(problem.startswith(f"{wrong.table}: ") for problem in problems)


def _field(path: str, change: Callable[[Json], object]) -> Mutation:
    return lambda found: change(row(found, path))


def _parameter(path: str, which: str, /, **changes: Any) -> Mutation:
    return lambda found: parameter(found, path, which).update(changes)


A, R, C = Change.ADDED, Change.REMOVED, Change.CHANGED
FIELD, PARAMETER, PATH = Part.FIELD, Part.PARAMETER, Part.PATH
DAY = "/balancing/settlement/system-prices/{settlementDate}"

MUTATIONS: dict[str, tuple[Dataset, Mutation, list[tuple[Change, Part, str, bool]]]] = {
    "a field is gone": (
        MID,
        _field("/datasets/MID", lambda r: r.pop("volume")),
        [(R, FIELD, "bmrs_mid: column 'volume' is not a field of the answer", True)],
    ),
    "a field is new": (
        MID,
        _field("/datasets/MID", lambda r: r.update(currency={"type": "string", "nullable": True})),
        [(A, FIELD, "bmrs_mid: field 'currency' of the answer is not a column", False)],
    ),
    "a field is called otherwise": (
        MID,
        _field("/datasets/MID", lambda r: r.update(cost=r.pop("price"))),
        [
            (R, FIELD, "bmrs_mid: column 'price' is not a field of the answer", True),
            (A, FIELD, "bmrs_mid: field 'cost' of the answer is not a column", False),
        ],
    ),
    "a type is another": (
        MID,
        _field("/datasets/MID", lambda r: r["price"].update(type="integer", format="int32")),
        [(C, FIELD, "bmrs_mid: column 'price' is number, the document says integer", True)],
    ),
    "a type nobody has mapped": (
        MID,
        _field("/datasets/MID", lambda r: r["price"].update(format="decimal")),
        [(C, FIELD, "bmrs_mid: column 'price' is number, the document says number (decimal)", True)],
    ),
    "null is allowed": (
        MID,
        _field("/datasets/MID", lambda r: r["price"].update(nullable=True)),
        [(C, FIELD, "bmrs_mid: column 'price' is never null, the document says nullable", True)],
    ),
    "null is not allowed any more": (
        FREQ,
        _field("/datasets/FREQ", lambda r: r["dataset"].pop("nullable")),
        [(C, FIELD, "bmrs_freq: column 'dataset' is nullable, the document says never null", True)],
    ),
    "a parameter is called otherwise": (
        MID,
        _parameter("/datasets/MID", "from", name="since"),
        [
            (
                R,
                PARAMETER,
                "bmrs_mid: /datasets/MID takes no parameter 'from' (it takes since, to, settlementPeriodFrom, "
                "settlementPeriodTo, dataProviders, format)",
                True,
            ),
            (
                A,
                PARAMETER,
                "bmrs_mid: /datasets/MID requires parameter 'since', which the entry does not give",
                True,
            ),
        ],
    ),
    "a parameter takes another form": (
        MID,
        _parameter("/datasets/MID", "from", schema={"type": "string", "format": "date"}),
        [(C, PARAMETER, "bmrs_mid: parameter 'from' is a date, not a date-time", True)],
    ),
    "an optional parameter is required": (
        MID,
        _parameter("/datasets/MID", "dataProviders", required=True),
        [
            (
                A,
                PARAMETER,
                "bmrs_mid: /datasets/MID requires parameter 'dataProviders', which the entry does not give",
                True,
            )
        ],
    ),
    "a parameter has moved": (
        COSTS,
        _parameter(DAY, "settlementDate", **{"in": "query"}),
        [(C, PARAMETER, "bmrs_costs: parameter 'settlementDate' is in the query of the request", True)],
    ),
    "a value is new": (
        PHYSICAL,
        lambda d: parameter(d, "/balancing/physical/all", "dataset")["schema"]["enum"].append("SIL"),
        [
            (
                A,
                PARAMETER,
                "bmrs_physical_all: parameter 'dataset' takes 'SIL' too, which the entry does not ask for",
                False,
            )
        ],
    ),
    "a value is gone": (
        PHYSICAL,
        lambda d: parameter(d, "/balancing/physical/all", "dataset")["schema"]["enum"].remove("QPN"),
        [
            (
                R,
                PARAMETER,
                "bmrs_physical_all: parameter 'dataset' does not take 'QPN' (it takes PN, MILS, MELS)",
                True,
            )
        ],
    ),
    "the path is gone": (
        MID,
        lambda d: d["paths"].pop("/datasets/MID"),
        [(R, PATH, "bmrs_mid: the new document has no path /datasets/MID", True)],
    ),
    "the path takes POST only": (
        MID,
        lambda d: d["paths"].update({"/datasets/MID": {"post": d["paths"]["/datasets/MID"]["get"]}}),
        [(R, PATH, "bmrs_mid: the new document has no path /datasets/MID", True)],
    ),
    "one of the spelt-out paths is gone": (
        STATUS,
        lambda d: d["paths"].pop("/data-status/BOAV"),
        [(R, PATH, "meta_data_status: the new document has no path /data-status/BOAV", True)],
    ),
    "all of the spelt-out paths are gone": (
        STATUS,
        lambda d: [d["paths"].pop(p) for p in list(d["paths"]) if p.startswith("/data-status/")],
        [(R, PATH, "meta_data_status: the new document has no path /data-status/{code}", True)],
    ),
    "the path is deprecated": (
        MID,
        lambda d: d["paths"]["/datasets/MID"]["get"].update(deprecated=True),
        [(C, PATH, "bmrs_mid: /datasets/MID is deprecated", True)],
    ),
    "the path is called obsolete": (
        MID,
        lambda d: d["paths"]["/datasets/MID"]["get"].update(summary="This endpoint is OBSOLETE"),
        [(C, PATH, "bmrs_mid: /datasets/MID is deprecated", True)],
    ),
    "the answer is not described any more": (
        MID,
        lambda d: d["paths"]["/datasets/MID"]["get"].update(responses={"200": {}}),
        [(C, PATH, "bmrs_mid: the new document describes no JSON answer of /datasets/MID", True)],
    ),
    "a schema is missing": (
        FREQ,
        lambda d: d["components"]["schemas"].clear(),
        [
            (
                C,
                PATH,
                "bmrs_freq: the new document names a schema it does not have: Insights.Api.Models.Responses."
                "DatasetResponse-1_Insights.Api.Models.Responses.Misc.DatasetRows.SystemFrequency",
                True,
            )
        ],
    ),
    "the nested list is gone": (
        SUMMARY,
        lambda d: [
            s["properties"].update(rows=s["properties"].pop("data"))
            for n, s in d["components"]["schemas"].items()
            if {"startTime", "data"} <= set(s.get("properties", {}))
        ],
        [(C, PATH, "bmrs_generation_summary: /generation/outturn/summary: rows have no list 'data'", True)],
    ),
}


@pytest.mark.parametrize("case", MUTATIONS)
def test_each_change_of_the_document_has_its_sentence(case: str) -> None:
    dataset, mutation, expected = MUTATIONS[case]
    found = compare(dataset, mutated(mutation))
    assert [(d.change, d.part, str(d), d.breaks) for d in found] == expected
    assert all(d.table == dataset.table for d in found)


def test_a_difference_says_what_each_side_has() -> None:
    _, mutation, _ = MUTATIONS["a type is another"]
    text = "column 'price' is number, the document says integer"
    assert compare(MID, mutated(mutation)) == [
        Difference(C, FIELD, "/datasets/MID", text, "price", "number", "integer", "bmrs_mid", breaks=True)
    ]


def test_what_makes_no_difference_is_not_reported() -> None:
    def harmless(found: Json) -> None:
        row(found, "/datasets/MID")["price"].update(description="GBP/MWh", example=1.5)
        parameters = found["paths"]["/datasets/MID"]["get"]["parameters"]
        parameters.append({"name": "limit", "in": "query", "schema": {"type": "integer"}})
        parameters.reverse()
        found["info"]["version"] = "2.0"

    assert compare(MID, mutated(harmless)) == []


def test_no_window_is_wider_than_a_stated_cap() -> None:
    """The caps the document or the service state (rest-api.md 4), worked out by hand, not from the entries."""
    hours = {"bmrs_bod": 1, "bmrs_boalf": 24, "bmrs_remit": 24, "bmrs_freq": 24, "bmrs_mid": 7 * 24}
    assert {t: get(t).endpoint.cap for t in hours} == {t: timedelta(hours=h) for t, h in hours.items()}
