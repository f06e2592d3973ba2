"""Days for which there is nothing to ask: out of season, or without ids; and days whose ids nobody has fetched."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType

import polars as pl
import pytest

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon.plan import Window
from gbpm_dagster.elexon.source import Batch
from gbpm_dagster.ingest.caps import CapStore
from gbpm_dagster.ingest.ids import listed_ids
from gbpm_dagster.ingest.run import Report, ingest
from gbpm_dagster.quality.coverage import coverage
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival, frame_schema

PEAKS, MESSAGES, LIST, MID = (
    DATASETS[t] for t in ("bmrs_triad_peaks", "remit_messages", "remit_message_list", "bmrs_mid")
)
JUL3 = date(2024, 7, 3)


class Answering:
    """Answers each window with no rows and remembers it."""

    def __init__(self) -> None:
        self.asked: list[Window] = []

    async def __aenter__(self) -> Answering:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def fetch(self, dataset: Dataset, window: Window) -> Batch:
        self.asked.append(window)
        await asyncio.sleep(0)
        return Batch(
            window=window,
            rows=pl.DataFrame(schema=frame_schema(dataset)),
            fetched=0,
            outside=0,
            quarantined=[],
            drift=[],
            absent_columns=(),
            unknown_columns=(),
            requests=1,
            bytes=11,
            received_at=datetime.now(UTC),
            url=str(window),
            retries=0,
        )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def run(lake: Lake, dataset: Dataset, days: list[date], source: Answering) -> Report:
    return ingest(dataset, days, source=lambda: source, warehouse=lake, caps=CapStore(lake.root / "caps.json"))


def test_a_day_out_of_season_is_known_to_be_empty_without_a_request(lake: Lake) -> None:
    source, before = Answering(), datetime.now(UTC)
    report = run(lake, PEAKS, [JUL3], source)
    assert (source.asked, report.requests, report.fetched) == ([], 0, 0)
    outcome = report.outcomes[JUL3]
    assert (outcome.outcome, outcome.rows, outcome.requests) == ("empty", 0, 0)
    evidence = lake.evidence().row(0, named=True)
    assert before <= evidence["fetched_at"] <= datetime.now(UTC), "known as soon as it was wanted"
    assert [evidence[n] for n in ("rows", "windows_asked", "windows_answered", "requests", "bytes")] == [0] * 5
    (state,) = coverage(PEAKS, [JUL3], lake.evidence(), lake.attempts(), datetime.now(UTC))["state"]
    assert state == "complete", "the rule of events: every window answered, and there was none"


def test_days_in_and_out_of_season_do_not_wait_for_each_other(lake: Lake) -> None:
    source = Answering()
    wanted = [date(2024, 2, 28) + timedelta(n) for n in range(4)]  # to 2 March: the season ends on 29 February
    report = run(lake, PEAKS, wanted, source)
    assert [w.days for w in source.asked] == [(date(2024, 2, 28), date(2024, 2, 29))]
    assert {day: o.outcome for day, o in report.outcomes.items()} == dict.fromkeys(wanted, "empty")
    asked = lake.evidence().select("day", "windows_asked", "requests").rows()
    assert asked == [(wanted[0], 1, 1), (wanted[1], 1, 0), (wanted[2], 0, 0), (wanted[3], 0, 0)]


def listed(lake: Lake, day: date, ids: list[int]) -> None:
    """The list of messages of a day, as fetched."""
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    rows = pl.DataFrame(
        {name: [at if name == "publishTime" else i if name == "id" else None for i in ids] for name in LIST.names},
        schema=frame_schema(LIST),
        strict=False,
    )
    lake.replace(LIST, [Arrival(day, rows, datetime.now(UTC), windows_asked=1, windows_answered=1)])


def test_a_day_whose_list_is_empty_is_empty_too(lake: Lake) -> None:
    listed(lake, JUL3, [])
    source = Answering()
    report = run(lake, MESSAGES, [JUL3], source)
    assert (source.asked, report.outcomes[JUL3].outcome, report.requests) == ([], "empty", 0)


def test_a_day_without_its_list_fails_and_the_others_do_not(lake: Lake) -> None:
    listed(lake, JUL3, [9, 7, 9, 10])
    source, lacking = Answering(), JUL3 + timedelta(1)
    report = run(lake, MESSAGES, [JUL3, lacking], source)
    assert [w.ids for w in source.asked] == [("7", "9", "10")], "by number, each once"
    assert report.outcomes[JUL3].outcome == "empty"
    failed = report.outcomes[lacking]
    assert (failed.outcome, failed.error_class, failed.requests) == ("failed", "ours", 0)
    assert failed.message == (
        "remit_messages: the ids of 2024-07-04 are not known: remit_message_list does not have that day. "
        "Run `gbpm backfill remit_message_list --from 2024-07-04 --to 2024-07-04`, then this again."
    )
    assert lake.evidence(["remit_messages"])["day"].to_list() == [JUL3]


def test_ids_are_read_for_paths_that_are_asked_by_them_only(lake: Lake) -> None:
    listed(lake, JUL3, [3, 1, 2])
    assert listed_ids(MESSAGES, [JUL3], lake).ids == {JUL3: ["1", "2", "3"]}
    assert list(listed_ids(MESSAGES, [JUL3, JUL3 + timedelta(1)], lake).lacking) == [JUL3 + timedelta(1)]
    plain = listed_ids(MID, [JUL3], lake)
    assert (plain.ids, plain.lacking) == ({}, {})


def test_a_list_that_arrives_later_lets_the_day_be_fetched(lake: Lake) -> None:
    source = Answering()
    assert not run(lake, MESSAGES, [JUL3], source).outcomes[JUL3].ok
    listed(lake, JUL3, [5])
    assert run(lake, MESSAGES, [JUL3], source).outcomes[JUL3].ok
    assert [w.ids for w in source.asked] == [("5",)]
    assert lake.attempts(["remit_messages"])["outcome"].to_list() == ["failed", "empty"]
