"""The client against a server that answers as scripted: what it retries, what it refuses, what it says."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from gbpm_dagster import __version__
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.elexon.errors import (
    BadAnswer,
    RequestRefused,
    RowsOutsideWindow,
    SourceError,
    SourceUnavailable,
    WindowTooLong,
)
from gbpm_dagster.elexon.plan import narrower, plan
from gbpm_dagster.elexon.source import Batch, ElexonSource
from gbpm_dagster_tests.elexon.scripted import JSON, Answer, Server, mid_day, rows, serve

MID = get("bmrs_mid")
JAN3 = date(2024, 1, 3)
GOOD = rows(mid_day(JAN3, edge=True))
HTML = Answer(b"<html><body>We'll be back soon</body></html>", type="text/html")
BUSY, DOWN = (
    Answer(b'{"message":"slow down"}', status=429),
    Answer(b"<html>down</html>", status=503, type="text/html"),
)
CAP = Answer(
    b'{"errors":{"":["The date range must not exceed 1 hour"]}}', status=400, type="application/problem+json"
)


class Naps:
    """Stands in for sleeping between tries: keeps what was asked for and returns at once."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)


Made = Callable[..., ElexonSource]


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def make(tmp_path: Path, naps: Naps) -> Made:
    def made(base_url: str, **knobs: Any) -> ElexonSource:
        usual = {"max_requests_per_second": 5000.0, "max_attempts": 4, "state_dir": tmp_path / "state", "sleep": naps}
        return ElexonSource(base_url=base_url, **(usual | knobs))

    return made


def fetch(
    make: Made, *script: Answer, dataset: Dataset = MID, day: date = JAN3, **knobs: Any
) -> tuple[Batch, Server]:
    async def run() -> tuple[Batch, Server]:
        async with serve(*script) as server, make(server.base_url, **knobs) as source:
            return await source.fetch(dataset, plan(dataset, [day])[0]), server

    return asyncio.run(run())


def refused(make: Made, *script: Answer, **knobs: Any) -> tuple[SourceError, Server]:
    async def run() -> tuple[SourceError, Server]:
        async with serve(*script) as server, make(server.base_url, **knobs) as source:
            with pytest.raises(SourceError) as caught:
                await source.fetch(MID, plan(MID, [JAN3])[0])
            return caught.value, server

    return asyncio.run(run())


def whole(batch: Batch) -> bool:
    return batch.fetched == batch.rows.height + batch.outside + len(batch.quarantined)


def test_a_good_answer_is_asked_for_once_and_accounted_for(make: Made) -> None:
    urls: list[str] = []
    before = datetime.now(UTC)
    batch, server = fetch(make, GOOD, on_request=urls.append)
    assert (batch.fetched, batch.rows.height, batch.outside) == (98, 96, 2)
    assert (batch.requests, batch.retries, batch.quarantined, batch.drift) == (1, 0, [], [])
    assert batch.bytes == len(GOOD.body) and before <= batch.received_at <= datetime.now(UTC)
    assert server.asked == ["/bmrs/api/v1/datasets/MID?from=2024-01-03T00%3A00Z&to=2024-01-04T00%3A00Z"]
    assert urls == [batch.url] == [server.base_url.removesuffix("/bmrs/api/v1") + server.asked[0]]
    assert server.headers[0]["user-agent"] == f"gbpm_dagster/{__version__}"
    assert "gzip" in server.headers[0]["accept-encoding"]


def test_gzip_is_unpacked(make: Made) -> None:
    batch, _ = fetch(make, Answer(GOOD.body, zipped=True))
    assert batch.rows.height == 96 and batch.bytes == len(GOOD.body)


def test_an_empty_answer_is_an_answer(make: Made) -> None:
    batch, server = fetch(make, Answer())
    assert (batch.fetched, batch.rows.height, len(server.asked)) == (0, 0, 1)


@pytest.mark.parametrize(
    "fault",
    [
        BUSY,
        Answer(status=408),
        Answer(status=500),
        DOWN,
        HTML,
        Answer(GOOD.body[:-200]),
        Answer(b'{"data":null}'),
        Answer(b""),
        Answer(GOOD.body, type="text/plain"),
        Answer(b"<html></html>", type=JSON),
        Answer(GOOD.body, reset=True),
        Answer(GOOD.body[:1000], declare=len(GOOD.body)),
        Answer(b"this is no gzip", headers={"Content-Encoding": "gzip"}),
    ],
    ids=lambda a: f"{a.status}-{a.body[:12]!r}-{a.type[:9]}",
)
def test_what_may_pass_is_tried_again_until_it_has_passed(make: Made, naps: Naps, fault: Answer) -> None:
    batch, server = fetch(make, fault, fault, GOOD)
    assert batch.rows.height == 96 and (batch.requests, batch.retries, len(server.asked)) == (3, 2, 3)
    assert len(naps.asked) == 2
    assert 0.25 <= naps.asked[0] <= 0.75 and 0.5 <= naps.asked[1] <= 1.5, "doubled, with jitter"


@pytest.mark.parametrize(("fault", "kind"), [(DOWN, SourceUnavailable), (BUSY, SourceUnavailable), (HTML, BadAnswer)])
def test_a_storm_ends_with_the_attempts_and_says_so(make: Made, fault: Answer, kind: type[SourceError]) -> None:
    error, server = refused(make, fault)
    assert type(error) is kind and error.error_class == "transient"
    assert len(server.asked) == 4 and error.tries == 4
    said = str(error)
    assert said.startswith("bmrs_mid, 2024-01-03T00:00Z to 2024-01-04T00:00Z: the source answered")
    assert "tried 4 times" in said and "--missing" in said


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_not_asked_again(make: Made, naps: Naps, status: int) -> None:
    error, server = refused(make, Answer(b'{"statusCode":404,"message":"Resource not found"}', status=status))
    assert type(error) is RequestRefused and error.error_class == "permanent" and error.status == status
    assert len(server.asked) == 1 and naps.asked == []
    assert "Resource not found" in str(error)


def test_a_redirect_is_not_followed_but_named(make: Made) -> None:
    error, server = refused(make, Answer(status=301, headers={"Location": "https://new.test/"}))
    assert "https://new.test/" in str(error) and "ELEXON_BASE_URL" in str(error) and len(server.asked) == 1


def test_a_smaller_cap_is_learnt_from_the_refusal(make: Made) -> None:
    error, server = refused(make, CAP)
    assert isinstance(error, WindowTooLong) and error.cap == timedelta(hours=1) and error.error_class == "permanent"
    assert len(server.asked) == 1 and error.window is not None
    assert len(narrower(MID, error.window, error.cap)) == 24


def test_retry_after_in_seconds_is_waited_for(make: Made, naps: Naps) -> None:
    fetch(make, Answer(status=429, headers={"Retry-After": "7"}), GOOD)
    assert 7 <= naps.asked[0] <= 7.5


def test_retry_after_as_a_date_is_waited_for(make: Made, naps: Naps) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    fetch(make, Answer(status=503, headers={"Retry-After": until}), GOOD)
    assert 35 <= naps.asked[0] <= 41


def test_a_wait_beyond_the_deadline_is_not_begun(make: Made, naps: Naps) -> None:
    error, server = refused(make, Answer(status=429, headers={"Retry-After": "3600"}), request_deadline_s=60)
    assert len(server.asked) == 1 and naps.asked == []
    assert error.error_class == "transient" and "asking to wait 3600 s" in str(error)


def test_a_server_that_hangs_is_given_up_in_time(make: Made) -> None:
    start = time.monotonic()
    error, server = refused(make, Answer(hang=30), request_timeout_s=0.15, max_attempts=2)
    assert time.monotonic() - start < 10
    assert isinstance(error, SourceUnavailable) and error.status is None and len(server.asked) == 2
    assert "no whole answer from" in str(error) and "within 0.15 s" in str(error)


def test_the_deadline_bounds_all_tries_together(make: Made) -> None:
    start = time.monotonic()
    error, _ = refused(make, Answer(hang=30), request_timeout_s=60, request_deadline_s=0.3, max_attempts=50)
    assert time.monotonic() - start < 10 and error.error_class == "transient"


def test_no_server_is_named_with_what_to_do(make: Made) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody answers there
        base = f"http://127.0.0.1:{taken.getsockname()[1]}/bmrs"

        async def run() -> None:
            async with make(base) as source:
                await source.fetch(MID, plan(MID, [JAN3])[0])

        with pytest.raises(SourceUnavailable) as caught:
            asyncio.run(run())
    said = str(caught.value)
    assert caught.value.status is None and caught.value.error_class == "transient"
    assert f"no connection to {base}" in said and "ELEXON_BASE_URL" in said and "tried 4 times" in said


def test_rows_outside_the_window_are_asked_for_once_more(make: Made) -> None:
    stray = rows([*mid_day(JAN3), *mid_day(date(2024, 1, 9))])
    batch, server = fetch(make, stray, GOOD)
    assert batch.rows.height == 96 and len(server.asked) == 2 and batch.retries == 1


def test_rows_outside_the_window_twice_fail_the_load(make: Made) -> None:
    todays = rows(mid_day(date(2025, 6, 1)))
    error, server = refused(make, todays)
    assert isinstance(error, RowsOutsideWindow) and error.error_class == "permanent" and len(server.asked) == 2
    assert "96 of 96 rows" in str(error) and "2025-05-31 23:00:00" in str(error) and "startTime" in str(error)


def test_drift_and_garbage_are_kept_aside_and_add_up(make: Made) -> None:
    odd = mid_day(JAN3, edge=True)
    odd[3] = {**odd[3], "price": "n/a"}
    odd[5] = {**odd[5], "newField": "x"}
    odd[97] = {**odd[97], "price": "n/a"}  # on the edge: the next window's
    batch, _ = fetch(make, rows(odd))
    assert whole(batch) and (batch.rows.height, batch.outside, len(batch.quarantined)) == (95, 2, 1)
    assert [(day, column) for day, column, _ in batch.drift] == [(JAN3, "newField")]
    assert batch.unknown_columns == ("newField",)


def test_no_more_requests_are_open_at_once_than_allowed(make: Made) -> None:
    async def run() -> Server:
        async with serve(Answer(GOOD.body, hang=0.05)) as server, make(server.base_url, max_concurrency=2) as source:
            window = plan(MID, [JAN3])[0]
            await asyncio.gather(*(source.fetch(MID, window) for _ in range(8)))
            return server

    server = asyncio.run(run())
    assert len(server.asked) == 8 and server.most_open == 2


def test_the_limit_holds_for_retries_too(make: Made, tmp_path: Path) -> None:
    start = time.monotonic()
    fetch(make, DOWN, DOWN, GOOD, max_requests_per_second=20.0)
    assert time.monotonic() - start >= 0.1, "three requests at 20 a second take two intervals"
    assert len(list((tmp_path / "state").glob("rate-*.json"))) == 1


def test_a_state_folder_that_cannot_be_written_says_so(make: Made, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error, server = refused(make, GOOD, state_dir=tmp_path / "file")
    assert error.error_class == "ours" and "GBPM_STATE_DIR" in str(error) and server.asked == []


def test_a_fetch_that_is_cancelled_frees_its_place(make: Made) -> None:
    async def run() -> Batch:
        async with serve(Answer(hang=30), GOOD) as server, make(server.base_url, max_concurrency=1) as source:
            window = plan(MID, [JAN3])[0]
            hanging = asyncio.create_task(source.fetch(MID, window))
            while not server.asked:
                await asyncio.sleep(0.005)
            hanging.cancel()
            return await asyncio.wait_for(source.fetch(MID, window), 10)

    assert asyncio.run(run()).rows.height == 96


def test_a_source_must_be_entered(make: Made) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(make("http://127.0.0.1:1").fetch(MID, plan(MID, [JAN3])[0]))
