"""plan -> fetch -> check -> write: each day by itself, the account of rows, learnt caps, giving up, faults of ours.

The source is a fake that holds MID rows and answers windows; the lake is real.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType

import polars as pl
import pytest

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon.check import sort_rows
from gbpm_dagster.elexon.decode import decode
from gbpm_dagster.elexon.errors import RequestRefused, SourceUnavailable, WindowTooLong
from gbpm_dagster.elexon.plan import Window
from gbpm_dagster.elexon.source import Batch
from gbpm_dagster.ingest import run as ingest_run
from gbpm_dagster.ingest.caps import CapStore
from gbpm_dagster.ingest.run import Allowance, Report, ingest
from gbpm_dagster.market.calendar import days, periods_in_day
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival, Outcome, WarehouseError
from gbpm_dagster_tests.elexon.scripted import mid_day

MID = DATASETS["bmrs_mid"]
INDO = DATASETS["bmrs_indo"]
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
Fault = Callable[[Window], Exception | None]


@dataclass
class FakeSource:
    """Answers a window with every MID row in [start, end] of its days and the day after, as the API does."""

    fault: Fault = lambda window: None
    spoil: Callable[[Batch], Batch] = lambda batch: batch
    asked: list[Window] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    left: bool = False
    windows_ahead: int = 0

    async def __aenter__(self) -> FakeSource:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left = True

    async def fetch(self, dataset: Dataset, window: Window) -> Batch:
        self.asked.append(window)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(0)
        self.open -= 1
        error = self.fault(window)
        if error is not None:
            raise error
        start, end = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (window.start, window.end))
        held = [r for day in days(window.days[0], window.days[-1] + timedelta(days=1)) for r in mid_day(day)]
        body = json.dumps({"data": [r for r in held if start <= r["startTime"] <= end]}).encode()
        decoded = decode(dataset, body)
        placed = sort_rows(dataset, window, decoded)
        return self.spoil(
            Batch.of(
                window,
                decoded,
                placed,
                requests=1,
                bytes=len(body),
                received_at=NOON + timedelta(seconds=len(self.asked)),
                url=f"fake {window}",
            )
        )


@dataclass
class Bench:
    lake: Lake
    caps: CapStore
    told: list[Outcome] = field(default_factory=list)

    def ingest(
        self,
        source: FakeSource,
        wanted: Sequence[date],
        dataset: Dataset = MID,
        allowance: Allowance | None = None,
    ) -> Report:
        return ingest(
            dataset,
            wanted,
            source=lambda: source,
            warehouse=self.lake,
            caps=self.caps,
            run_id="r",
            reason="test",
            on_outcome=self.told.append,
            allowance=allowance,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Lake(tmp_path / "lake"), CapStore(tmp_path / "caps.json"))


def down(window: Window) -> SourceUnavailable:
    return SourceUnavailable(table=window.table, window=window, detail="no connection to http://x", status=None)


@pytest.mark.parametrize(
    ("first", "last"),
    [("2024-01-01", "2024-01-20"), ("2024-03-25", "2024-04-05"), ("2024-10-20", "2024-11-03")],
    ids=["winter", "46 periods", "50 periods"],
)
def test_every_day_once_and_the_account_adds_up(bench: Bench, first: str, last: str) -> None:
    """Decision 8, over weeks whose windows are cut within a day (the cap is 7 x 24 h, not 7 London days)."""
    wanted = days(date.fromisoformat(first), date.fromisoformat(last))
    source = FakeSource()
    report = bench.ingest(source, wanted)
    assert sorted(report.outcomes) == wanted
    assert sorted(o.day for o in bench.told) == wanted
    assert {o.outcome for o in bench.told} == {"written"}
    evidence = bench.lake.evidence(["bmrs_mid"])
    assert evidence["rows"].to_list() == [2 * periods_in_day(d) for d in wanted]
    assert report.fetched == evidence["fetched"].sum() + report.outside
    assert report.requests == len(source.asked) == sum(o.requests for o in report.outcomes.values())
    assert source.most_open <= 4
    assert source.left
    true = sorted(r["startTime"] for d in wanted for r in mid_day(d))
    stored = bench.lake.read(MID)["startTime"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").sort().to_list()
    assert stored == true


def test_a_failing_window_costs_the_days_it_serves_and_no_others(bench: Bench) -> None:
    wanted = days(date(2024, 3, 25), date(2024, 4, 14))

    def second_fails(window: Window) -> Exception | None:
        lost = date(2024, 4, 3) in window.days
        return RequestRefused(table="bmrs_mid", window=window, detail="404", status=404) if lost else None

    source = FakeSource(second_fails)
    report = bench.ingest(source, wanted)
    lost = sorted({d for w in source.asked if date(2024, 4, 3) in w.days for d in w.days})
    assert 1 < len(lost) < len(wanted)
    assert [o.day for o in report.failed] == lost
    assert all(o.error_class == "permanent" and "404" in o.message and "bmrs_mid" in o.message for o in report.failed)
    assert bench.lake.evidence(["bmrs_mid"])["day"].to_list() == [d for d in wanted if d not in lost]
    tries = bench.lake.attempts(["bmrs_mid"]).filter(outcome="failed")
    assert tries["day"].to_list() == lost
    assert set(tries["reason"]) == {"test"}
    assert report.requests == len(source.asked) == sum(o.requests for o in report.outcomes.values())

    again = bench.ingest(FakeSource(), lost)
    assert {o.outcome for o in again.outcomes.values()} == {"written"}


def test_a_learnt_cap_serves_this_run_and_the_next(bench: Bench) -> None:
    wanted = days(date(2024, 1, 1), date(2024, 1, 21))
    cap = timedelta(days=2)

    def refuse(window: Window) -> Exception | None:
        if window.end - window.start <= cap:
            return None
        return WindowTooLong(table="bmrs_mid", window=window, detail="400", status=400, cap=cap)

    source = FakeSource(refuse)
    report = bench.ingest(source, wanted)
    assert report.failed == []
    assert bench.lake.evidence(["bmrs_mid"])["rows"].to_list() == [96] * 21
    assert report.requests == len(source.asked) == sum(o.requests for o in report.outcomes.values())
    refused = [w for w in source.asked if w.end - w.start > cap]
    assert 1 <= len(refused) <= 4  # those in flight when the cap was learnt
    assert bench.caps.get(MID.endpoint.path) == cap
    later = FakeSource(refuse)
    bench.ingest(later, wanted)
    assert len(later.asked) == 11
    assert all(w.end - w.start <= cap for w in later.asked)


def test_a_source_that_is_down_is_given_up_and_the_rest_is_said_to_be_not_asked(bench: Bench) -> None:
    wanted = days(date(2023, 1, 1), date(2023, 12, 31))
    source = FakeSource(down)
    report = bench.ingest(source, wanted)
    assert len(report.failed) == len(wanted)
    assert len(source.asked) <= 3 + 4  # three in a row, and those in flight
    untried = [o for o in report.failed if o.message.startswith("not asked: the source stopped answering")]
    assert len(untried) > 300
    assert all("no connection to http://x" in o.message for o in report.failed)
    assert bench.lake.attempts(["bmrs_mid"]).height == len(wanted)
    assert bench.lake.evidence().is_empty()


@pytest.mark.parametrize(("requests", "tries", "answered"), [(3, 1, 3), (8, 6, 3), (5, 6, 0), (99, 6, 5)])
def test_a_run_never_makes_more_requests_than_it_may(bench: Bench, requests: int, tries: int, answered: int) -> None:
    """The last window is asked for only if all its tries are within what is left (8 of 6 a window: 1, 2, 3)."""
    wanted = days(date(2024, 1, 1), date(2024, 1, 31))  # five windows of seven days
    source = FakeSource()
    report = bench.ingest(source, wanted, allowance=Allowance(requests, tries))
    assert len(source.asked) == report.requests == answered
    assert sorted(report.outcomes) == wanted
    left = report.failed
    assert [o.day for o in left] == wanted[7 * answered :]
    assert all(o.message.startswith("not asked: ") for o in left)
    assert all(o.error_class == "transient" and not o.requests for o in left)


def test_failures_with_answers_between_them_are_not_a_source_that_is_down(bench: Bench) -> None:
    wanted = days(date(2023, 1, 1), date(2023, 6, 30))
    source = FakeSource(lambda window: down(window) if window.days[0].toordinal() // 7 % 2 else None)
    report = bench.ingest(source, wanted)
    assert len(source.asked) == 26
    assert not any("not asked" in o.message for o in report.failed)
    assert 0 < len(report.failed) < len(wanted)


def test_an_account_that_does_not_add_up_writes_nothing_of_the_answer(bench: Bench) -> None:
    source = FakeSource(spoil=lambda batch: replace(batch, fetched=batch.fetched + 1))
    with pytest.raises(WarehouseError, match="does not add up: 97 rows fetched, 96 kept"):
        bench.ingest(FakeSource(spoil=_one_more), [date(2024, 1, 3)])
    with pytest.raises(WarehouseError, match="does not add up"):
        bench.ingest(source, days(date(2024, 1, 1), date(2024, 1, 7)))
    assert bench.lake.evidence().is_empty()
    assert bench.lake.tables() == []


def _one_more(batch: Batch) -> Batch:
    return replace(batch, fetched=97, outside=0)


class FullDisk(Lake):
    """A lake whose n-th replace fails."""

    writes = 2

    def replace(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> list[Outcome]:
        self.writes -= 1
        if self.writes < 0:
            raise WarehouseError("the disk is full")
        return super().replace(dataset, arrivals)


def test_a_fault_of_ours_is_raised_and_what_was_written_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_run, "FLUSH_DAYS", 7)
    bench = Bench(FullDisk(tmp_path / "lake"), CapStore(tmp_path / "caps.json"))
    source = FakeSource()
    with pytest.raises(WarehouseError, match="the disk is full"):
        bench.ingest(source, days(date(2024, 1, 1), date(2024, 3, 31)))
    assert source.left
    evidence = bench.lake.evidence(["bmrs_mid"])
    assert 14 <= evidence.height < 91
    assert set(evidence["rows"]) == {96}
    assert sorted(o.day for o in bench.told) == evidence["day"].to_list()


def test_days_are_written_as_they_come_not_at_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_run, "FLUSH_ROWS", 96)
    seen: list[int] = []
    source = FakeSource(lambda window: seen.append(len(bench.told)))  # type: ignore[func-returns-value]
    bench.ingest(source, days(date(2024, 1, 1), date(2024, 2, 29)))
    assert seen[0] == 0
    assert seen[-1] > 0
    assert seen == sorted(seen)


def test_it_works_where_a_loop_runs_already(bench: Bench) -> None:
    """A notebook, or a server, calls it from within its own loop."""

    async def notebook() -> Report:
        return bench.ingest(FakeSource(), [date(2024, 1, 3)])

    assert asyncio.run(notebook()).outcomes[date(2024, 1, 3)].rows == 96


def test_nothing_wanted_is_nothing_asked(bench: Bench) -> None:
    source = FakeSource()
    assert bench.ingest(source, []).outcomes == {}
    assert source.asked == []


def test_rows_in_quarantine_are_in_the_account(bench: Bench) -> None:
    def set_aside(batch: Batch) -> Batch:
        gone = [(date(2024, 1, 3), "price: no number", '{"price":"x"}')]
        return replace(batch, rows=batch.rows.slice(1), quarantined=gone)

    report = bench.ingest(FakeSource(spoil=set_aside), [date(2024, 1, 3)])
    outcome = report.outcomes[date(2024, 1, 3)]
    assert (outcome.rows, outcome.quarantined) == (95, 1)
    evidence = bench.lake.evidence().row(0, named=True)
    assert report.fetched == evidence["fetched"] + report.outside
    assert evidence["fetched"] == evidence["written"] + evidence["quarantined"] == 96
    assert bench.lake.quarantine().select("day", "reason", "record").rows() == [
        (date(2024, 1, 3), "price: no number", '{"price":"x"}')
    ]


def test_a_second_time_is_unchanged(bench: Bench) -> None:
    wanted = days(date(2024, 1, 1), date(2024, 1, 3))
    bench.ingest(FakeSource(), wanted)
    before = bench.lake.read(MID)
    report = bench.ingest(FakeSource(), wanted)
    assert {o.outcome for o in report.outcomes.values()} == {"unchanged"}
    assert bench.lake.read(MID).equals(before)
    assert bench.lake.attempts().group_by("outcome").len().sort("outcome").rows() == [
        ("unchanged", 3),
        ("written", 3),
    ]


def test_the_frame_of_the_tests_is_what_the_api_would_give() -> None:
    """The fake includes the edge row of the next day, so that `outside` is not always zero."""
    window = Window(
        "bmrs_mid", datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC), (date(2024, 1, 3),)
    )
    batch = asyncio.run(FakeSource().fetch(MID, window))
    assert (batch.fetched, batch.rows.height, batch.outside) == (98, 96, 2)
    assert isinstance(batch.rows, pl.DataFrame)
