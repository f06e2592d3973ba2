"""Every catalogue entry against Elexon's own OpenAPI document, and that a wrong entry is found out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gbpm_dagster.catalogue import DATASETS, Dataset, document, get
from gbpm_dagster.catalogue.model import Column, Kind, Style


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda d: d.table)
def test_the_entry_agrees_with_the_document(dataset: Dataset) -> None:
    assert document.compare(dataset) == []


@pytest.mark.parametrize(
    "dataset",
    [d for d in DATASETS.values() if d.endpoint.path.endswith("/stream")],
    ids=lambda d: d.table,
)
def test_a_stream_answers_the_rows_of_its_base_path(dataset: Dataset) -> None:
    base = dataset.endpoint.path.removesuffix("/stream")
    assert document.row_schema(dataset.endpoint.path) == document.row_schema(base)


def test_the_document_is_the_whole_one() -> None:
    assert len(document.paths()) == 312 + 4
    assert len(document.schemas()) == 295
    assert {"/datasets/MDB", "/datasets/MDO/stream"} <= set(document.paths())


def test_a_row_is_found_in_every_envelope() -> None:
    bare_array = document.row_schema("/reference/bmunits/all")
    with_data = document.row_schema("/datasets/FREQ")
    with_metadata = document.row_schema("/balancing/settlement/system-prices/{settlementDate}")
    assert bare_array["elexonBmUnit"] == document.Property("elexonBmUnit", Kind.STRING, nullable=True)
    assert with_data["frequency"] == document.Property("frequency", Kind.NUMBER, nullable=False)
    assert with_metadata["settlementDate"] == document.Property("settlementDate", Kind.DATE, nullable=False)


def test_a_nested_list_becomes_rows_only_when_asked() -> None:
    path = "/generation/actual/per-type"
    assert document.row_schema(path)["data"].kind is Kind.JSON
    assert list(document.row_schema(path, "data")) == [
        "startTime",
        "settlementPeriod",
        "businessType",
        "psrType",
        "quantity",
    ]
    with pytest.raises(document.DocumentError, match="no list 'rows'"):
        document.row_schema(path, "rows")


def test_every_described_path_has_readable_rows() -> None:
    """Only paths without a body may refuse."""
    refused = {}
    for path in document.paths():
        try:
            document.row_schema(path)
        except document.DocumentError as error:
            refused[path] = str(error)
    assert all("describes no" in reason for reason in refused.values()), refused
    assert len(refused) == 12  # rest-api.md 6: no body described


def _swap(dataset: Dataset, name: str, column: Column | None) -> Dataset:
    columns = [column if c.name == name else c for c in dataset.columns]
    return replace(dataset, columns=tuple(c for c in columns if c is not None))


MID, COSTS, FREQ = get("bmrs_mid"), get("bmrs_costs"), get("bmrs_freq")


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
    problems = document.compare(wrong)
    assert any(words in problem for problem in problems), problems
    assert all(problem.startswith(f"{wrong.table}: ") for problem in problems)


def test_a_deprecated_path_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    retired = {**document.operation("/datasets/MID"), "deprecated": True}
    monkeypatch.setattr(document, "operation", lambda path: retired)
    assert document.compare(MID) == ["bmrs_mid: /datasets/MID is deprecated"]


def test_no_window_is_wider_than_a_stated_cap() -> None:
    """The caps the document or the service state (rest-api.md 4), worked out by hand, not from the entries."""
    stated = {
        "bmrs_bod": timedelta(hours=1),
        "bmrs_boalf": timedelta(hours=24),
        "bmrs_remit": timedelta(days=1),
        "bmrs_freq": timedelta(hours=24),
        "bmrs_mid": timedelta(days=7),
    }
    assert {t: get(t).endpoint.cap for t in stated} == stated
