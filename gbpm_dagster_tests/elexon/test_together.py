"""Answers read many at a time say the same as each read by itself, whatever is odd in one of them."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.elexon import together
from gbpm_dagster.elexon.check import sort_rows
from gbpm_dagster.elexon.decode import NotRows, decode
from gbpm_dagster.elexon.plan import Window, plan
from gbpm_dagster.elexon.together import Read, Reader, read_together
from gbpm_dagster.elexon.wire import CannotUnpack, Reply
from gbpm_dagster.market.calendar import day_bounds
from gbpm_dagster_tests.elexon.scripted import mid_day, text

MID, FREQ, COSTS, FUELHH = (get(t) for t in ("bmrs_mid", "bmrs_freq", "bmrs_costs", "bmrs_fuelhh"))
FIRST = date(2024, 3, 26)  # so that seven days hold the clock change
Rows = list[dict[str, Any]]


def freq_day(day: date, edge: bool = True) -> Rows:
    start, end = day_bounds(day)
    count = (end - start) // timedelta(minutes=30) + edge
    return [
        {
            "dataset": "FREQ",
            "measurementTime": text(start + i * timedelta(minutes=30)),
            "frequency": 50 + i / 1000,
        }
        for i in range(count)
    ]


def fuel_day(day: date, edge: bool = False) -> Rows:
    return [
        {
            "dataset": "FUELHH",
            "publishTime": text(day_bounds(day)[0] + timedelta(minutes=30 * p)),
            "startTime": text(day_bounds(day)[0] + timedelta(minutes=30 * (p - 1))),
            "settlementDate": day.isoformat(),
            "settlementPeriod": p,
            "fuelType": "CCGT",
            "generation": 100 + p,
        }
        for p in range(1, 47)
    ]


MADE: dict[str, Callable[..., Rows]] = {"bmrs_mid": mid_day, "bmrs_freq": freq_day, "bmrs_fuelhh": fuel_day}


def body(rows: Rows) -> bytes:
    return json.dumps({"data": rows}, separators=(",", ":")).encode()


def reply(content: bytes, encoding: str = "") -> Reply:
    return Reply("http://x.test/", 200, {"Content-Encoding": encoding} if encoding else {}, content)


def alone(dataset: Dataset, window: Window, content: bytes) -> tuple[Any, ...]:
    decoded = decode(dataset, content)
    return said(Read(decoded, sort_rows(dataset, window, decoded), len(content)))


def said(read: Read | ValueError) -> tuple[Any, ...]:
    assert isinstance(read, Read), read
    d, s = read.decoded, read.sorted
    return (
        *(d.fetched, d.quarantined, d.drift, d.absent_columns, d.unknown_columns, d.rows.rows(), d.rows.schema),
        *(s.rows.rows(), s.outside, s.quarantined, s.drift, s.strays, s.stray_span, read.bytes),
    )


def same_together(dataset: Dataset, windows: list[Window], bodies: list[bytes]) -> list[Read | ValueError]:
    found = read_together([(dataset, w, reply(b)) for w, b in zip(windows, bodies, strict=True)])
    assert [said(f) for f in found] == [alone(dataset, w, b) for w, b in zip(windows, bodies, strict=True)]
    return found


@pytest.mark.parametrize("dataset", [MID, FREQ, FUELHH], ids=lambda d: d.table)
def test_good_answers_are_read_as_one(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """And by nothing else: what reads one by one is not called."""
    windows = plan(dataset, [FIRST + timedelta(n) for n in range(9)])
    windows = windows if len(windows) > 2 else [w for n in range(9) for w in plan(dataset, [FIRST + timedelta(n)])]
    bodies = [body([r for d in w.days for r in MADE[dataset.table](d, d == w.days[-1])]) for w in windows]
    expected = [alone(dataset, w, b) for w, b in zip(windows, bodies, strict=True)]
    wrong = [i for i, e in enumerate(expected) if e[11]]  # a window that is cut within a day has strays
    windows = [w for i, w in enumerate(windows) if i not in wrong]
    bodies = [b for i, b in enumerate(bodies) if i not in wrong]
    assert len(windows) > 1
    same_together(dataset, windows, bodies)
    monkeypatch.setattr(together, "_alone", lambda *_: pytest.fail("read by itself"))
    asked = [(dataset, w, reply(b)) for w, b in zip(windows, bodies, strict=True)]
    assert [said(f) for f in read_together(asked)] == [e for i, e in enumerate(expected) if i not in wrong]


def spoil(rows: Rows, how: str) -> Rows:
    rows = [dict(r) for r in rows]
    odd = rows[len(rows) // 2]
    match how:
        case "empty":
            return []
        case "null":
            odd["price"] = None
        case "null key":
            odd["settlementPeriod"] = None
        case "text":
            odd["price"] = "71.5"
        case "garbage":
            odd["price"] = "n/a"
        case "unknown":
            odd["newField"] = "{"
        case "lacking":
            for row in rows:
                del row["volume"]
        case "brace":
            odd["dataProvider"] = "A{B"
        case "stray":
            odd["startTime"] = "2020-01-01T00:00:00Z"
        case "other day":
            odd["settlementDate"] = "2024-01-01"
        case "shuffled":
            rows.reverse()
        case "twice":
            rows.append(odd)
        case "escaped":
            odd["dataProvider"] = 'A"\\B'
    return rows


ODD = (
    *("", "empty", "null", "null key", "text", "garbage", "unknown", "lacking", "brace", "stray", "other day"),
    *("shuffled", "twice", "escaped"),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(ODD), min_size=2, max_size=5), st.booleans())
def test_an_odd_answer_changes_nothing_for_its_neighbours_nor_for_itself(hows: list[str], edge: bool) -> None:
    windows = [plan(MID, [FIRST + timedelta(n)])[0] for n in range(len(hows))]
    bodies = [body(spoil(mid_day(w.days[0], edge), how)) for w, how in zip(windows, hows, strict=True)]
    same_together(MID, windows, bodies)


def test_a_window_that_bridges_a_day_nobody_wants_counts_its_rows_as_outside() -> None:
    wanted = [FIRST, FIRST + timedelta(2)]
    bridging = plan(MID, wanted)
    assert len(bridging) == 1 and bridging[0].days == tuple(wanted)
    windows = [*bridging, plan(MID, [FIRST + timedelta(4)])[0]]
    bodies = [body([r for n in range(3) for r in mid_day(FIRST + timedelta(n))]), body(mid_day(windows[1].days[0]))]
    found = same_together(MID, windows, bodies)
    assert isinstance(found[0], Read) and found[0].sorted.outside == 96


def test_a_body_that_cannot_be_read_is_its_own_fault_only() -> None:
    window = plan(MID, [FIRST])[0]
    good = body(mid_day(FIRST))
    packed = zlib.compress(good, wbits=31)
    asked = [reply(good), reply(b"<html>"), reply(packed[:-20], "gzip"), reply(packed, "gzip"), reply(good, "br")]
    found = read_together([(MID, window, r) for r in asked])
    assert [type(f) for f in found] == [Read, NotRows, CannotUnpack, Read, CannotUnpack]
    assert said(found[0]) == said(found[3]) == alone(MID, window, good)


def test_what_comes_while_another_is_read_is_read_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = read_together

    def counted(asked: Any) -> Any:
        sizes.append(len(asked))
        return real(asked)

    monkeypatch.setattr(together, "read_together", counted)
    windows = [plan(MID, [FIRST + timedelta(n)])[0] for n in range(12)]

    async def run() -> list[Read]:
        reader = Reader()
        return await asyncio.gather(*(reader.read(MID, w, reply(body(mid_day(w.days[0])))) for w in windows))

    found = asyncio.run(run())
    assert [r.sorted.rows.height for r in found] == [len(mid_day(w.days[0])) for w in windows]
    assert sum(sizes) == 12 and len(sizes) < 6


def test_who_stops_waiting_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = [plan(MID, [FIRST + timedelta(n)])[0] for n in range(3)]

    async def run() -> Read:
        reader = Reader()
        tasks = [asyncio.create_task(reader.read(MID, w, reply(body(mid_day(w.days[0]))))) for w in windows]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[1].cancel()
        return await tasks[2]

    assert asyncio.run(run()).decoded.fetched == len(mid_day(windows[2].days[0]))


def test_an_answer_that_comes_as_the_last_reader_goes_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It found a reader that had nothing left to do, and waited for it for ever: backfills hung now and then."""

    async def at_once(function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    monkeypatch.setattr(together.asyncio, "to_thread", at_once)
    window = plan(MID, [FIRST])[0]

    async def run() -> list[Read]:
        reader = Reader()
        # The first answer wakes this task in the step in which its reader ends.
        return [await reader.read(MID, window, reply(body(mid_day(FIRST)))) for _ in range(3)]

    found = asyncio.run(asyncio.wait_for(run(), 10))
    assert [r.decoded.fetched for r in found] == [len(mid_day(FIRST))] * 3


def test_a_fault_of_reading_is_told_to_those_it_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(asked: Any) -> Any:
        raise RuntimeError("a fault of ours")

    windows = [plan(MID, [FIRST + timedelta(n)])[0] for n in range(2)]

    async def run() -> list[Any]:
        reader = Reader()
        monkeypatch.setattr(together, "read_together", broken)
        asked = (reader.read(MID, w, reply(body(mid_day(w.days[0])))) for w in windows)
        said = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)
        monkeypatch.undo()
        return [*said, await asyncio.wait_for(reader.read(MID, windows[0], reply(body(mid_day(FIRST)))), 10)]

    *said, after = asyncio.run(run())
    assert [str(error) for error in said] == ["a fault of ours"] * 2
    assert isinstance(after, Read)


def test_no_more_is_asked_for_while_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST_WAITING", 1000)
    window = plan(MID, [FIRST])[0]

    async def run() -> list[bool]:
        reader = Reader()
        await reader.room()  # nothing waits
        reading = asyncio.create_task(reader.read(MID, window, reply(body(mid_day(FIRST)))))
        await asyncio.sleep(0)
        room = asyncio.create_task(reader.room())
        await asyncio.sleep(0)
        before = room.done()
        await reading
        await asyncio.wait_for(room, 5)
        return [before, room.done()]

    assert asyncio.run(run()) == [False, True]
