"""Decoding: rows as the live API gave them, every oddity named, and the fast path equal to the exact one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gbpm_dagster.catalogue.model import Column, Dataset, Kind
from gbpm_dagster.catalogue.registry import DATASETS, get
from gbpm_dagster.elexon import decode as decode_module
from gbpm_dagster.elexon import exact, fast
from gbpm_dagster.elexon.decode import SMALL, Decoded, NotRows, decode, partition_days
from gbpm_dagster.warehouse.protocol import frame_schema
from gbpm_dagster_tests.elexon.scripted import mid_day

SAMPLES = Path(__file__).parent.parent / "data" / "elexon"
MID, COSTS, BOALF, REMIT = get("bmrs_mid"), get("bmrs_costs"), get("bmrs_boalf"), get("bmrs_remit")
JAN3 = date(2024, 1, 3)


@pytest.fixture(autouse=True, scope="module")
def fast_first() -> Iterator[None]:
    """The few rows of these tests are offered to the fast path too, as many rows would be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode_module, "SMALL", 0)
        yield


def body(rows: Any) -> bytes:
    return orjson.dumps({"data": rows})


def mid(**changes: Any) -> dict[str, Any]:
    return {**mid_day(JAN3)[0], **changes}


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {n: v for n, v in row.items() if n not in names}


def adds_up(found: Decoded) -> bool:
    return found.fetched == found.rows.height + len(found.quarantined)


# --- recorded rows -------------------------------------------------------------------------------------------------


def test_system_prices_as_the_live_api_gave_them() -> None:
    found = decode(COSTS, (SAMPLES / "DISEBSP_2026-08-08_head.json").read_bytes())
    first = found.rows.row(0, named=True)
    assert found.rows.schema == pl.Schema(frame_schema(COSTS))
    assert (found.fetched, found.rows.height, found.quarantined, found.absent_columns) == (4, 4, [], ())
    assert first["settlementDate"] == date(2026, 8, 8)
    assert first["startTime"] == datetime(2026, 8, 7, 23, tzinfo=UTC)
    assert first["netImbalanceVolume"] == -18.117487996100632
    assert first["bsadDefaulted"] is False
    assert first["totalSystemTaggedAdjustmentSellVolume"] is None
    assert partition_days(COSTS, found.rows).unique().to_list() == [date(2026, 8, 8)]


@pytest.mark.parametrize("table", ["bmrs_boalf", "bmrs_costs", "bmrs_itsdo", "bmrs_freq"])
def test_live_rows_of_2026_keep_every_value_on_both_paths(table: str) -> None:
    dataset = get(table)
    rows = json.loads((SAMPLES / "api_rows_2026-05.json").read_text())[dataset.code]
    quick, slow = fast.read(dataset, body(rows)), exact.read(dataset, body(rows))
    assert quick is not None
    assert_frame_equal(quick.rows, slow.rows)
    assert slow.quarantined == [] and slow.drift == [] and slow.absent_columns == ()
    for row, back in zip(rows, slow.rows.iter_rows(named=True), strict=True):
        for name, value in row.items():
            again = back[name]
            if isinstance(again, datetime):
                again = again.strftime("%Y-%m-%dT%H:%M:%SZ")
            assert (again.isoformat() if isinstance(again, date) else again) == value, name


def test_freq_is_measured_on_its_london_day() -> None:
    freq = get("bmrs_freq")
    rows = json.loads((SAMPLES / "api_rows_2026-05.json").read_text())["FREQ"]  # 2026-05-08T00:00Z and 15 s before
    assert partition_days(freq, decode(freq, body(rows)).rows).to_list() == [date(2026, 5, 8), date(2026, 5, 8)]


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2024-03-30T23:59:59Z", date(2024, 3, 30)),
        ("2024-03-31T00:00:00Z", date(2024, 3, 31)),
        ("2024-03-31T22:59:59Z", date(2024, 3, 31)),
        ("2024-03-31T23:00:00Z", date(2024, 4, 1)),
        ("2024-10-27T23:59:59Z", date(2024, 10, 27)),
        ("2024-10-28T00:00:00Z", date(2024, 10, 28)),
    ],
)
def test_the_london_day_around_the_clock_changes(instant: str, day: date) -> None:
    freq = get("bmrs_freq")
    ends = ("2024-03-01T00:00:00Z", "2024-11-30T00:00:00Z")  # so that the look-up spans both changes
    rows = [{"dataset": "FREQ", "measurementTime": t, "frequency": 50.0} for t in (instant, *ends)]
    assert partition_days(freq, decode(freq, body(rows)).rows)[0] == day
    far = [*rows, {"dataset": "FREQ", "measurementTime": "1999-01-01T00:00:00Z", "frequency": 50.0}]
    assert partition_days(freq, decode(freq, body(far)).rows)[0] == day


# --- envelopes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "around",
    [
        b'{"data":%s}',
        b"%s",
        b' {"metadata":{"datasets":["MID"]},"data":%s}\n',
        b'{"data":%s,"metadata":{}}',
        b'{"metadata":{"data":[]},"data":%s}',
        b'{"metadata":{"datasets":[]}, "data": %s}',
    ],
)
def test_all_envelopes_hold_the_same_rows(around: bytes) -> None:
    found = decode(MID, around % orjson.dumps(mid_day(JAN3)))
    assert_frame_equal(found.rows, decode(MID, body(mid_day(JAN3))).rows)
    assert found.fetched == 96


def test_pretty_printed_json_is_read() -> None:
    assert decode(MID, json.dumps({"data": mid_day(JAN3)}, indent=2).encode()).rows.height == 96


@pytest.mark.parametrize("empty", [b'{"data":[]}', b"[]", b'{"metadata":{},"data":[]}'])
@pytest.mark.parametrize("table", DATASETS)
def test_an_empty_answer_is_no_rows_of_the_right_types(table: str, empty: bytes) -> None:
    found = decode(DATASETS[table], empty)
    assert found.rows.schema == pl.Schema(frame_schema(DATASETS[table]))
    assert (found.fetched, found.rows.height, found.absent_columns) == (0, 0, ())


@pytest.mark.parametrize(
    ("junk", "says"),
    [
        (b"", "an empty body"),
        (b"<html><body><h1>Maintenance</h1></body></html>", "HTML or XML.*Maintenance"),
        (body(mid_day(JAN3))[:-40], "cut short"),
        (b'{"data":null}', "null where the list"),
        (b'{"data":{"a":1}}', "an object where the list"),
        (b'{"data":"x"}', "a text where the list"),
        (b'{"statusCode":429}', "without `data`"),
        (b"17", "a number where the list"),
        (b"hello", "no JSON"),
        (b'{"data":[1,2', "cut short"),
        (b"\xff\xfe\x00", "no JSON"),
    ],
)
def test_what_is_no_list_of_rows_says_what_it_is(junk: bytes, says: str) -> None:
    with pytest.raises(NotRows, match=says):
        decode(MID, junk)


# --- oddities ------------------------------------------------------------------------------------------------------


def test_an_unknown_column_is_kept_aside_with_the_rows_key() -> None:
    found = decode(MID, body([mid(), mid(newField="x", settlementPeriod=2)]))
    assert found.rows.height == 2 and found.unknown_columns == ("newField",)
    ((day, column, record),) = found.drift
    assert (day, column) == (JAN3, "newField")
    assert json.loads(record) == {
        "dataProvider": "APXMIDP",
        "settlementDate": "2024-01-03",
        "settlementPeriod": 2,
        "newField": "x",
    }


@pytest.mark.parametrize("name", ["price", "dataset"])
def test_a_column_that_no_row_has_is_null_and_reported(name: str) -> None:
    found = decode(MID, body([without(mid(), name)] * 3))
    assert found.absent_columns == (name,) and found.quarantined == []
    assert found.rows[name].null_count() == 3


def test_a_column_that_some_rows_lack_is_null_if_it_may_be_else_those_rows_are_set_aside() -> None:
    # dataset is nullable in Elexon's document, price is not
    found = decode(MID, body([mid(), without(mid(), "dataset")]))
    assert found.absent_columns == () and found.rows["dataset"].to_list() == ["MID", None]
    for damaged in (without(mid(settlementPeriod=2), "price"), mid(settlementPeriod=2, price=None)):
        found = decode(MID, body([mid(), damaged, mid(settlementPeriod=3)]))
        assert found.rows["settlementPeriod"].to_list() == [1, 3] and found.absent_columns == ()
        assert [(d, r) for d, _, r in found.quarantined] == [(JAN3, body([damaged]).decode()[9:-2])]
        assert found.quarantined[0][1].startswith("price has no value") and adds_up(found)


def test_a_column_null_in_every_row_that_is_never_null_counts_as_absent() -> None:
    found = decode(MID, body([mid(price=None)] * 2))
    assert (found.absent_columns, found.rows.height, found.quarantined) == (("price",), 2, [])
    assert fast.read(MID, body([without(mid(), "price")])) is not None, "absent everywhere is no reason to go slow"


def test_a_renamed_column_is_both() -> None:
    found = decode(MID, body([{**without(mid(), "price"), "prices": 1.5}]))
    assert (found.absent_columns, found.unknown_columns) == (("price",), ("prices",))


def test_a_column_renamed_only_in_a_later_row_is_seen_though_the_counts_of_names_agree() -> None:
    found = decode(MID, body([mid(), {**without(mid(), "price"), "prices": 1.5}, mid()]))
    assert (found.absent_columns, found.unknown_columns) == ((), ("prices",))
    assert found.rows["price"].to_list() == [50.5, 50.5] and len(found.quarantined) == 1
    assert found.drift_rows == [None] and adds_up(found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"settlementPeriod": None}, "settlementPeriod is null"),
        ({"dataProvider": None}, "dataProvider is null"),
        ({"startTime": None}, "startTime is null"),
        ({"price": "n/a"}, 'price: "n/a" is not a number'),
        ({"price": "nan"}, "price: .* is not a number"),
        ({"price": True}, "price: true is not a number"),
        ({"price": [1]}, r"price: \[1\] is not a number"),
        ({"settlementPeriod": 1.5}, "settlementPeriod: 1.5 is not an integer"),
        ({"settlementPeriod": 2**63}, "settlementPeriod: 9223372036854775808 is not a 64-bit integer"),
        ({"settlementDate": "2024-02-30"}, "settlementDate: .* is not a date"),
        ({"settlementDate": "03/01/2024"}, "settlementDate: .* is not a date"),
        ({"startTime": "soon"}, "startTime: .* is not an instant"),
        ({"startTime": "2024-01-03"}, "startTime: .* is not an instant"),
        ({"startTime": 1704240000}, "startTime: .* is not an instant"),
        ({"dataProvider": {"a": 1}}, "dataProvider: .* is not a text"),
    ],
)
def test_a_row_that_cannot_be_one_is_set_aside_whole_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    bad = mid(settlementPeriod=7) | changes
    found = decode(MID, body([mid(), bad, mid(settlementPeriod=3)]))
    assert found.rows["settlementPeriod"].to_list() == [1, 3]
    ((day, why, record),) = found.quarantined
    assert json.loads(record) == bad
    assert day == (None if "settlementDate" in changes else JAN3)
    assert re.match(reason, why), why
    assert adds_up(found)


def test_a_key_column_that_is_absent_sets_all_rows_aside() -> None:
    found = decode(MID, body([without(row, "dataProvider") for row in mid_day(JAN3)]))
    assert found.rows.height == 0 and len(found.quarantined) == 96
    assert found.quarantined[0][:2] == (JAN3, "dataProvider is absent")
    assert found.absent_columns == ("dataProvider",)


def test_either_unit_id_is_enough_and_neither_is_not() -> None:
    (live, *_) = json.loads((SAMPLES / "api_rows_2026-05.json").read_text())["BOALF"]
    rows = [
        live,
        live | {"bmUnit": None},
        live | {"nationalGridBmUnit": None},
        without(live, "nationalGridBmUnit"),
        live | {"nationalGridBmUnit": None, "bmUnit": None},
    ]
    found = decode(BOALF, body(rows))
    assert found.rows.height == 4
    assert [why for _, why, _ in found.quarantined] == ["nationalGridBmUnit and bmUnit are null"]
    quick = fast.read(BOALF, body(rows[:3]))
    assert quick is not None and quick.rows.height == 3, "an id that is null is no reason to go slow"


def test_rows_that_are_no_objects_are_set_aside() -> None:
    found = decode(MID, body([mid(), 7, None, [mid()], "x"]))
    assert found.rows.height == 1
    assert [r for _, _, r in found.quarantined] == ["7", "null", orjson.dumps([mid()]).decode(), '"x"']
    assert adds_up(found)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-03T06:30:00Z", datetime(2024, 1, 3, 6, 30, tzinfo=UTC)),
        ("2024-01-03T06:30:00.250Z", datetime(2024, 1, 3, 6, 30, 0, 250_000, tzinfo=UTC)),
        ("2024-01-03T06:30:00.1234567Z", datetime(2024, 1, 3, 6, 30, 0, 123_456, tzinfo=UTC)),
        ("2024-01-03 06:30:00Z", datetime(2024, 1, 3, 6, 30, tzinfo=UTC)),
        ("2024-01-03T06:30Z", datetime(2024, 1, 3, 6, 30, tzinfo=UTC)),
        ("2024-01-03T06:30:00+00:00", datetime(2024, 1, 3, 6, 30, tzinfo=UTC)),
        ("2024-07-03T07:30:00+01:00", datetime(2024, 7, 3, 6, 30, tzinfo=UTC)),
        ("2024-01-03T06:30:00", datetime(2024, 1, 3, 6, 30, tzinfo=UTC)),  # SOSO's endTime has no Z
    ],
)
def test_instants_in_every_form_that_was_seen(text: str, instant: datetime) -> None:
    for rows in ([mid(startTime=text)] * 2, [mid(), mid(startTime=text)]):
        found = decode(MID, body(rows))
        assert found.quarantined == []
        assert found.rows["startTime"].to_list()[-1] == instant


def test_numbers_in_texts_lose_nothing() -> None:
    found = decode(MID, body([mid(price="96.79", settlementPeriod="12"), mid(price="-1e2"), mid(price=" 7 ")]))
    assert found.rows["price"].to_list() == [96.79, -100.0, 7.0]
    assert found.rows["settlementPeriod"].to_list() == [12, 1, 1]
    assert found.quarantined == []


def test_an_integer_written_as_a_float_counts_and_large_ones_stay_exact() -> None:
    found = decode(BOALF, body([_boalf(acceptanceNumber=12.0), _boalf(acceptanceNumber=2**53 + 1)]))
    assert found.rows["acceptanceNumber"].to_list() == [12, 2**53 + 1]


def _boalf(**changes: Any) -> dict[str, Any]:
    return {**json.loads((SAMPLES / "api_rows_2026-05.json").read_text())["BOALF"][0], **changes}


def test_a_text_with_quotes_and_colons_does_not_upset_the_counting() -> None:
    odd = 'said "x": null, "y":true \\ end\nnext'
    rows = [_boalf(amendmentFlag=odd), _boalf(amendmentFlag=":null"), _boalf(amendmentFlag=":")]
    assert decode(BOALF, body(rows)).rows["amendmentFlag"].to_list() == [odd, ":null", ":"]


def test_nested_parts_are_kept_as_compact_json() -> None:
    profile = [{"startTime": "2024-01-03T00:00:00Z", "endTime": "2024-01-04T00:00:00Z", "capacity": 120.5}]
    row: dict[str, Any] = {c.name: None for c in REMIT.columns} | {
        "mrid": "48X000000000-NGET-RMT-1",
        "revisionNumber": 2,
        "publishTime": "2024-01-03T10:00:00Z",
        "createdTime": "2024-01-03T09:59:00Z",
        "outageProfile": profile,
        "id": 17,
    }
    found = decode(REMIT, body([row, {**row, "revisionNumber": 3, "outageProfile": None}]))
    assert found.quarantined == [] and found.unknown_columns == ("id",)
    assert found.rows["outageProfile"].to_list() == [orjson.dumps(profile).decode(), None]


def test_rows_nested_in_rows_repeat_the_outer_fields() -> None:
    agpt = get("bmrs_agpt_series")
    inner = [
        {"businessType": "Production", "psrType": "Biomass", "quantity": 961},
        {"businessType": "Production", "psrType": "Fossil Gas", "quantity": 3293.5},
    ]
    outer = {"startTime": "2024-01-03T00:00:00Z", "settlementPeriod": 1, "data": inner}
    found = decode(
        agpt, orjson.dumps({"data": [outer, {**outer, "data": []}, {**outer, "data": None}, {**outer, "data": [3]}]})
    )
    assert found.rows.select("settlementPeriod", "psrType", "quantity").rows() == [
        (1, "Biomass", 961.0),
        (1, "Fossil Gas", 3293.5),
    ]
    assert [why for _, why, _ in found.quarantined] == ["data is not a list", "the row is not an object"]
    assert adds_up(found)


def test_days_of_snapshots_are_null() -> None:
    units = get("ref_bmunits")
    rows = [{"elexonBmUnit": "T_A-1", "nationalGridBmUnit": None}]
    found = decode(units, orjson.dumps(rows))
    assert found.rows.height == 1, "either id may be missing there"
    assert partition_days(units, found.rows).to_list() == [None]


# --- the two paths agree -------------------------------------------------------------------------------------------

KINDS = Dataset(
    **{
        **{f: getattr(MID, f) for f in MID.__dataclass_fields__},
        "key": ("s", "i"),
        "partition_field": "d",
        "endpoint": replace(MID.endpoint, selects="t"),
        "columns": (
            Column("s", Kind.STRING, "text"),
            Column("u", Kind.STRING, "text"),
            Column("i", Kind.INTEGER, "integer"),
            Column("n", Kind.NUMBER, "number"),
            Column("b", Kind.BOOLEAN, "truth"),
            Column("d", Kind.DATE, "date"),
            Column("t", Kind.INSTANT, "instant"),
        ),
        "unit_fallback": (("s", "u"),),
    }
)

_text = st.one_of(
    st.sampled_from(["", "a", ":", '":null', "null", "\\", '"', "é", "12", "a:true"]), st.text(max_size=6)
)
_number = st.one_of(
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False, width=64),
    st.sampled_from([0, -0.0, 1.0, 2**53, 2**53 + 1, 2**63, -(2**63), 1e300, 5e-324]),
)
_day = st.dates(date(2015, 1, 1), date(2035, 1, 1)).map(date.isoformat)
_time = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)).map(  # noqa: DTZ001
    lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ")
)
_odd = st.one_of(
    st.none(),
    st.booleans(),
    _number,
    _text,
    st.just([]),
    st.just({"n": None}),
    _time,
    _day,
    st.just("2024-01-03T06:30Z"),
)
_clean = {
    "s": st.sampled_from(["A", "B"]),
    "u": st.one_of(st.none(), st.sampled_from(["A", "x:y"])),
    "i": st.integers(-(10**6), 10**6),
    "n": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-1000, 1000)),
    "b": st.one_of(st.none(), st.booleans()),
    "d": _day,
    "t": _time,
}


@st.composite
def _answers(draw: st.DrawFn) -> list[Any]:
    rows: list[Any] = draw(st.lists(st.fixed_dictionaries(_clean), max_size=6))
    for _ in range(draw(st.integers(0, 2))):
        if not rows:
            break
        at, name = draw(st.integers(0, len(rows) - 1)), draw(st.sampled_from([*"suinbdt", "x"]))
        if draw(st.booleans()):
            rows[at] = {**rows[at], name: draw(_odd)}
        else:
            rows[at] = without(rows[at], name)
    return rows


@given(_answers(), st.booleans())
@example([{"s": "A", "u": None, "i": 1, "n": True, "b": None, "d": "2024-01-03", "t": "2024-01-03T00:00:00Z"}], False)
@example([{"s": 1, "u": None, "i": 1, "n": 1, "b": None, "d": "2024-01-03", "t": "2024-01-03T00:00:00Z"}], False)
@example([{"s": "A", "u": "B", "i": 1, "n": 1, "b": 1, "d": "2024-01-03", "t": "2024-01-03T00:00:00Z"}], False)
@settings(max_examples=200, deadline=None)
def test_the_fast_path_gives_exactly_what_the_exact_path_gives_or_declines(rows: list[Any], pretty: bool) -> None:
    text = json.dumps({"data": rows}, indent=1).encode() if pretty else body(rows)
    slow = exact.read(KINDS, text)
    assert adds_up(slow) and slow.fetched == len(rows)
    quick = fast.read(KINDS, text)
    if quick is None:
        return
    assert_frame_equal(quick.rows, slow.rows)
    assert (quick.fetched, quick.quarantined, quick.drift) == (slow.fetched, slow.quarantined, slow.drift)
    assert (quick.absent_columns, quick.unknown_columns) == (slow.absent_columns, slow.unknown_columns)


@given(st.lists(st.fixed_dictionaries(_clean), max_size=8))
@settings(max_examples=100, deadline=None)
def test_clean_rows_go_the_fast_way(rows: list[Any]) -> None:
    assert fast.read(KINDS, body(rows)) is not None


def test_a_small_body_is_spared_polars_and_a_large_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of events is a few rows, or none: read one by one in a fraction of the time polars needs to begin."""
    sizes: list[int] = []

    def seen(dataset: Dataset, text: bytes, given: Mapping[str, str]) -> Decoded | None:
        sizes.append(len(text))
        return fast_read(dataset, text, given)

    fast_read = fast.read
    monkeypatch.setattr(decode_module, "SMALL", SMALL)
    monkeypatch.setattr(fast, "read", seen)
    one = body([mid(settlementPeriod=1)])
    many = body([mid(settlementPeriod=i % 48 + 1, price=i / 8) for i in range(200)])
    assert len(one) < SMALL < len(many)
    assert decode(MID, body([])).rows.height == 0 and decode(MID, one).rows.height == 1
    whole = decode(MID, many)
    assert sizes == [len(many)]
    assert_frame_equal(whole.rows, exact.read(MID, many).rows)


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=200, deadline=None)
def test_every_float_comes_back_as_it_was(value: float) -> None:
    quick = fast.read(MID, body([mid(price=value)]))
    assert quick is not None
    assert quick.rows["price"][0] == value
