"""The loader under faults: any order, redelivery, bad rows, a kill at any step; the tables equal the truth."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.streams import STREAMED, stream_of
from gbpm_dagster.ingest import stream, tries
from gbpm_dagster.ingest.stream import BATCH_BYTES, Loader
from gbpm_dagster.iris.landing import FAILED, LOADED, Landing
from gbpm_dagster.iris.packs import Packs
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import WarehouseError

T0 = datetime(2026, 7, 2, 10, tzinfo=UTC)
MID, COSTS, FREQ = (stream_of(STREAMED[c]) for c in ("MID", "DISEBSP", "FREQ"))


def text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def mid(period: int, price: float) -> dict[str, Any]:
    return {
        "dataset": "MID", "startTime": text(T0 + timedelta(minutes=30 * period)), "dataProvider": "APXMIDP",
        "settlementDate": "2026-07-02", "settlementPeriod": period, "price": price, "volume": 1.0,
    }  # fmt: skip


def cost(period: int, created: int, price: float) -> dict[str, Any]:
    return {
        "settlementDate": "2026-07-02", "settlementPeriod": period,
        "startTime": text(T0 + timedelta(minutes=30 * period)),
        "createdDateTime": text(T0 + timedelta(hours=created)),
        "systemSellPrice": price, "systemBuyPrice": price, "bsadDefaulted": False, "priceDerivationCode": "N",
        "reserveScarcityPrice": 0.0, "netImbalanceVolume": 1.0,
    }  # fmt: skip


Sent = tuple[str, int, list[dict[str, Any]]]
"""Subject, seconds of enqueue after T0, rows."""


def put(landing: Landing, sent: Sent, number: int) -> None:
    subject, second, rows = sent
    body = json.dumps(json.dumps(rows)).encode()
    landing.land(f"{subject}_{number}.json", body, {}, subject=subject, enqueued_at=T0 + timedelta(seconds=second))


class Killed(BaseException):
    pass


class Killer:
    """Fails at the n-th step, whichever that is."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.seen: list[str] = []

    def __call__(self, step: str) -> None:
        self.seen.append(step)
        self.left -= 1
        if self.left == 0:
            raise Killed(step)


def load(home: Path, fault: Callable[[str], None] | None = None) -> None:
    landing, lake = Landing(home / "landing", fault=fault), Lake(home / "lake", fault=fault)
    Loader(landing, lake, fault=fault).drain()


def truth(messages: list[Sent]) -> dict[tuple[str, int], tuple[Any, ...]]:
    """The current value of each key: greatest stamp, then the latest of the contents by their first enqueue."""
    seen: dict[tuple[str, int], dict[tuple[Any, ...], int]] = {}
    for subject, second, rows in messages:
        for row in rows:
            if isinstance(row["settlementPeriod"], str):
                continue
            values = (row.get("createdDateTime", ""), row["price" if subject == "MID" else "systemSellPrice"])
            times = seen.setdefault((subject, row["settlementPeriod"]), {})
            times[values] = min(times.get(values, second), second)
    return {key: max(times, key=lambda v, t=times: (v[0], t[v])) for key, times in seen.items()}  # type: ignore[misc]


def held(lake: Lake) -> dict[tuple[str, int], tuple[Any, ...]]:
    found: dict[tuple[str, int], tuple[Any, ...]] = {}
    for code, dataset, price in (("MID", MID, "price"), ("DISEBSP", COSTS, "systemSellPrice")):
        for row in lake.streams.read(dataset).iter_rows(named=True):
            key = (code, row["settlementPeriod"])
            assert key not in found, f"{key} is there twice"
            created = row.get("createdDateTime")
            found[key] = (text(created) if created else "", row[price])
    return found


def vintages(lake: Lake) -> int:
    return sum(lake.streams.read(d, vintages=True).height for d in (MID, COSTS))


prices = st.integers(1, 3).map(float)
row_of = {
    "MID": st.builds(mid, st.integers(1, 4), prices),
    "DISEBSP": st.builds(cost, st.integers(1, 4), st.integers(0, 3), prices),
}
bad_row = st.just({**mid(1, 1.0), "settlementPeriod": "x"})
a_message = st.sampled_from(["MID", "DISEBSP"]).flatmap(
    lambda c: st.lists(row_of[c] if c == "DISEBSP" else st.one_of(row_of[c], row_of[c], bad_row), max_size=5).map(
        lambda rows: (c, rows)
    )
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_happens_the_tables_are_the_truth(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Messages in any order, some twice under other names, loads in between, each killed at some step."""
    made = data.draw(st.lists(a_message, min_size=1, max_size=8))
    # One enqueue time a message: rows of one message with one key and stamp are told apart by content alone.
    messages: list[Sent] = [(c, n + 1, _one_a_key(c, rows)) for n, (c, rows) in enumerate(made)]
    resent = data.draw(st.lists(st.sampled_from(messages), max_size=4))
    order = data.draw(st.permutations(list(enumerate([*messages, *resent]))))
    home = tmp_path_factory.mktemp("home")
    bad = 0
    for number, sent in order:
        put(Landing(home / "landing"), sent, number)
        bad += sum(isinstance(r["settlementPeriod"], str) for r in sent[2])
        if data.draw(st.booleans()):
            with contextlib.suppress(Killed):
                load(home, Killer(data.draw(st.integers(1, 25))))
    load(home)
    lake = Lake(home / "lake")
    expected = truth([*messages, *resent])
    assert held(lake) == expected
    contents = {
        (c, r["settlementPeriod"], r.get("createdDateTime"), r.get("price", r.get("systemSellPrice")))
        for c, _, rows in messages
        for r in rows
        if not isinstance(r["settlementPeriod"], str)
    }
    assert vintages(lake) == len(contents) - len(expected), "each superseded content once"
    assert lake.quarantine().height == bad
    assert Landing(home / "landing").waiting() == []
    assert len(list(Landing(home / "landing").listed(LOADED))) == len(order)
    account = lake.ledger.messages()
    parts = account.select(pl.sum_horizontal("written", "superseded", "exact_duplicates", "quarantined")).to_series()
    assert account["fetched"].equals(parts.alias("fetched"))


def _one_a_key(subject: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of two rows with one key and one stamp the first."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for n, row in enumerate(rows):
        key = (row["settlementPeriod"], row.get("createdDateTime"))
        found.setdefault((*key, n) if isinstance(key[0], str) else key, row)
    return list(found.values())


def test_a_kill_at_every_single_step_loses_and_doubles_nothing(tmp_path: Path) -> None:
    messages: list[Sent] = [
        ("MID", 1, [mid(1, 1.0), mid(2, 1.0)]), ("DISEBSP", 2, [cost(1, 2, 5.0)]), ("MID", 3, [mid(1, 2.0)]),
        ("DISEBSP", 4, [cost(1, 1, 4.0), cost(2, 1, 4.0)]), ("FREQ", 5, []), ("NEW", 6, [{"a": 1}]),
        ("MID", 7, [{**mid(3, 1.0), "volume": "much"}, mid(3, 1.0)]),
    ]  # fmt: skip
    steps: set[str] = set()
    for at in range(1, 60):
        home, killer = tmp_path / str(at), Killer(at)
        for number, sent in enumerate(messages[:4]):
            put(Landing(home / "landing"), sent, number)
        load(home)
        for number, sent in enumerate(messages):  # the first four come again, under other names
            put(Landing(home / "landing"), sent, 10 + number)
        try:
            load(home, killer)
        except Killed as step:
            steps.add(str(step))
        else:
            assert at > 20
            break
        load(home)
        lake = Lake(home / "lake")
        assert held(lake) == {
            ("MID", 1): ("", 2.0), ("MID", 2): ("", 1.0), ("MID", 3): ("", 1.0),
            ("DISEBSP", 1): (text(T0 + timedelta(hours=2)), 5.0),
            ("DISEBSP", 2): (text(T0 + timedelta(hours=1)), 4.0),
        }, killer.seen  # fmt: skip
        assert (vintages(lake), lake.quarantine().height) == (2, 1), killer.seen
    assert {"aside", "rows", "stream_vintages", "stream_rows", "messages", "move", "done"} <= steps


class Refusing:
    """A store that takes no batch with more than `most` rows, and never a row of that price."""

    def __init__(self, lake: Lake, most: int = 10**9, poison: float = -1.0, broken: bool = False) -> None:
        self.lake, self.most, self.poison, self.broken = lake, most, poison, broken
        self.add_aside, self.add_messages = lake.add_aside, lake.add_messages

    def add_stream(self, dataset: Dataset, rows: pl.DataFrame) -> pl.Series:
        if self.broken:
            raise WarehouseError("the disk is full")
        if rows.height > self.most or ("price" in rows.columns and (rows["price"] == self.poison).any()):
            raise TimeoutError(f"{rows.height} rows took too long")
        return self.lake.add_stream(dataset, rows)


def test_a_batch_that_fails_is_halved_and_a_poison_message_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing, lake = Landing(tmp_path / "landing"), Lake(tmp_path / "lake")
    for n in range(20):
        put(landing, ("MID", n, [mid(n + 1, 666.0 if n == 7 else 1.0)]), n)
    put(landing, ("DISEBSP", 1, [cost(1, 1, 1.0)]), 99)
    store = Refusing(lake, most=3, poison=666.0)
    loaded = Loader(landing, store).drain()
    assert loaded.messages == {"loaded": 20}
    assert sum(loaded.waiting.values()) == 1
    assert held(lake).keys() == {("MID", n + 1) for n in range(20) if n != 7} | {("DISEBSP", 1)}
    assert [f.name for f in landing.waiting()] == ["MID_7.json"]
    assert Loader(landing, store).drain().took == 0, "its next try is not due"
    now = [0.0]
    monkeypatch.setattr(tries.time, "time", lambda: T0.timestamp() * 10 + now[0])
    for turn in range(1, 5):
        now[0] += 10_000
        found = Loader(landing, store).drain()
        assert found.messages == ({"failed": 1} if turn == 4 else {})
    assert [f.name for f in landing.listed(FAILED)] == ["MID_7.json"]
    assert landing.waiting() == []
    assert lake.ledger.messages().filter(status="failed")["reason"].to_list() == [
        "TimeoutError: 1 rows took too long"
    ]


def test_when_nothing_can_be_stored_everything_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    landing, lake = Landing(tmp_path / "landing"), Lake(tmp_path / "lake")
    put(landing, ("MID", 1, [mid(1, 1.0)]), 1)
    monkeypatch.setattr(tries.Tries, "can_write", lambda self: False)
    for _ in range(7):
        with pytest.raises(WarehouseError, match=r"all messages wait in .*the disk is full"):
            Loader(landing, Refusing(lake, broken=True)).drain()
    Loader(landing, lake).drain()
    assert held(lake) == {("MID", 1): ("", 1.0)}


def test_no_dataset_waits_for_another(tmp_path: Path) -> None:
    """Round-robin (OPS-25): a backlog of one is loaded a batch at a time, between batches of the others."""
    landing, lake = Landing(tmp_path / "landing"), Lake(tmp_path / "lake")
    for n in range(30):
        rows = [mid(p, float(n)) for p in range(1, 47)]
        landing.land(
            f"big{n}", b" " * (BATCH_BYTES // 4) + json.dumps(rows).encode(), {}, subject="MID", enqueued_at=T0
        )
    put(landing, ("DISEBSP", 1, [cost(1, 1, 1.0)]), 99)
    loader, rounds = Loader(landing, lake), 0

    def stop() -> bool:
        nonlocal rounds
        rounds += 1
        return rounds > 1

    loaded = loader.drain(stop)
    assert loaded.by_table[COSTS.table]["messages"] == 1
    assert loaded.by_table[MID.table]["messages"] <= 4


def test_loaded_messages_are_packed_as_they_become_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PACK_EVERY_S", 0.0)
    monkeypatch.setattr(stream, "PACK_FROM", 5)
    landing, lake = Landing(tmp_path / "landing"), Lake(tmp_path / "lake")
    for n in range(12):
        put(landing, ("MID" if n < 9 else "DISEBSP", n, []), n)
    Loader(landing, lake).drain()
    assert {f.code for f in landing.listed(LOADED)} == {"DISEBSP"}
    assert Packs(landing).usage()[0] == 1


def test_codes_that_are_not_wanted_are_kept_raw(tmp_path: Path) -> None:
    landing, lake = Landing(tmp_path / "landing"), Lake(tmp_path / "lake")
    put(landing, ("MID", 1, [mid(1, 1.0)]), 1)
    loaded = Loader(landing, lake, codes=["FREQ"]).drain()
    assert loaded.messages == {"not_wanted": 1}
    assert held(lake) == {}
    assert [f.name for f in landing.listed(LOADED)] == ["MID_1.json"]


def test_a_day_that_grows_all_day_keeps_few_files(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    landing = Landing(tmp_path / "landing")
    for n in range(60):
        put(landing, ("MID", n, [mid(n % 46 + 1, float(n))]), n)
        Loader(landing, lake).drain()
    assert len(lake.streams.table(MID).files()) <= 41
    assert lake.streams.read(MID).height == 46
    assert lake.streams.read(MID, vintages=True).height == 14
