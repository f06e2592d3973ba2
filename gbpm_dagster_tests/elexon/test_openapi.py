"""Fetching an OpenAPI document from a scripted server: what is retried, what is refused, what is said."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
from pathlib import Path

import pytest

from gbpm_dagster import __version__
from gbpm_dagster.catalogue.document import stored
from gbpm_dagster.elexon.errors import BadAnswer, RequestRefused, SourceError, SourceUnavailable
from gbpm_dagster.elexon.openapi import Fetched, Limits, document_url, fetch_document, readable
from gbpm_dagster.elexon.ratelimit import state_file
from gbpm_dagster_tests.catalogue.mutate import as_bytes
from gbpm_dagster_tests.elexon.scripted import Answer, Server, serve

LOGIN = "me:hush%2Dhush@"
WHOLE = as_bytes()
GOOD = Answer(WHOLE)
HTML = Answer(b"<html><body>We'll be back soon</body></html>", type="text/html")
DOWN = Answer(b'{"message":"later"}', status=503)


class Naps:
    """Stands in for sleeping between tries: keeps what was asked for and returns at once."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)


class Asked:
    """One fetch against a script: what came of it, what the server saw, how long was slept."""

    def __init__(self, tmp_path: Path, *script: Answer, login: str = "", path: str = "", **limits: float) -> None:
        self.naps, self.error, self.fetched = Naps(), None, None
        asyncio.run(self._fetch(tmp_path, script, login, path, limits))

    async def _fetch(
        self, tmp_path: Path, script: tuple[Answer, ...], login: str, path: str, limits: dict[str, float]
    ) -> None:
        async with serve(*script) as self.server:
            address = self.server.base_url.replace("http://", f"http://{login}")
            url = document_url(address) + path
            hard = Limits(state_dir=tmp_path, **{"max_requests_per_second": 1000, "max_attempts": 3, **limits})  # type: ignore[arg-type]
            self.began = time.monotonic()
            try:
                self.fetched: Fetched | None = await fetch_document(url, hard, sleep=self.naps)
            except SourceError as error:
                self.error: SourceError | None = error
            self.seconds = time.monotonic() - self.began

    server: Server


def test_the_document_lies_off_the_root_of_the_site(tmp_path: Path) -> None:
    asked = Asked(tmp_path, GOOD)
    assert asked.server.asked == ["/swagger/v1/swagger.json"]
    assert asked.server.headers[0]["user-agent"] == f"gbpm_dagster/{__version__}"
    assert asked.fetched is not None
    assert (asked.fetched.body, asked.fetched.requests) == (WHOLE, 1)
    assert asked.fetched.url == asked.server.base_url.replace("/bmrs/api/v1", "/swagger/v1/swagger.json")
    assert len(asked.fetched.document.paths) == 312
    assert asked.fetched.document.row_schema("/datasets/MID") == stored().row_schema("/datasets/MID")


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://data.elexon.co.uk/bmrs/api/v1", "https://data.elexon.co.uk/swagger/v1/swagger.json"),
        ("http://127.0.0.1:8700/bmrs/api/v1", "http://127.0.0.1:8700/swagger/v1/swagger.json"),
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700/swagger/v1/swagger.json"),
        (f"https://{LOGIN}host.test/x?y#z", f"https://{LOGIN}host.test/swagger/v1/swagger.json"),
    ],
)
def test_its_address_follows_from_the_base_address(base: str, url: str) -> None:
    assert document_url(base) == url


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "http://host:99999/x", "http://[::1/x", "ftp://host/x", "host"]
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ValueError, match="is no readable address"):
        readable(url)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(WHOLE, zipped=True),
        Answer(gzip.compress(WHOLE), type="application/gzip"),
        Answer(WHOLE, type="application/octet-stream"),
        Answer(WHOLE, type=""),
    ],
    ids=["packed on the wire", "a gzip file", "a file", "no type"],
)
def test_it_is_read_in_every_packing(tmp_path: Path, answer: Answer) -> None:
    asked = Asked(tmp_path, answer)
    assert asked.fetched is not None, asked.error
    assert len(asked.fetched.document.schemas) == 295


@pytest.mark.parametrize(
    "fault",
    [
        DOWN,
        Answer(b"", status=429),
        HTML,
        Answer(WHOLE[:100_000]),
        Answer(WHOLE[:100_000], declare=len(WHOLE)),
        Answer(reset=True),
        Answer(b"\x1f\x8b broken", headers={"Content-Encoding": "gzip"}),
        Answer(b""),
    ],
    ids=["503", "429", "HTML", "cut JSON", "cut HTTP", "reset", "broken gzip", "empty"],
)
def test_a_fault_that_may_pass_is_asked_again(tmp_path: Path, fault: Answer) -> None:
    asked = Asked(tmp_path, fault, fault, GOOD)
    assert asked.error is None
    assert asked.fetched is not None
    assert asked.fetched.requests == len(asked.server.asked) == 3
    assert len(asked.naps.asked) == 2
    assert 0.5 <= asked.naps.asked[0] <= 1.0 <= asked.naps.asked[1] <= 1.5


def test_the_source_is_given_the_time_it_asks_for(tmp_path: Path) -> None:
    asked = Asked(tmp_path, Answer(b"", status=503, headers={"Retry-After": "17"}), GOOD)
    assert asked.naps.asked == [17.0]


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (DOWN, SourceUnavailable, ("the source answered 503 Service Unavailable to http", "later", "tried 3 times")),
        (HTML, BadAnswer, ("the document at http", "is HTML or XML, not JSON", "tried 3 times", "maintenance page")),
        (Answer(WHOLE[:999]), BadAnswer, ("cut short or broken, 999 bytes of it", "tried 3 times")),
        (Answer(WHOLE[:999], declare=len(WHOLE)), SourceUnavailable, ("the connection to http", "broke")),
        (
            Answer(b'{"data":[]}'),
            BadAnswer,
            ("is JSON, but no OpenAPI document (an object with data, no `paths`). Check the address http",),
        ),
        (
            Answer(b'{"statusCode":404,"message":"Resource not found"}', status=404),
            RequestRefused,
            ("404 Not Found", "Resource not found", "Check the address http", "/swagger/v1/swagger.json under its"),
        ),
        (
            Answer(b"", status=301, headers={"Location": "https://other.test/doc.json"}),
            RequestRefused,
            ("301 Moved Permanently", "pointing to https://other.test/doc.json", "Check the address"),
        ),
    ],
    ids=["503", "HTML", "cut JSON", "cut HTTP", "other JSON", "404", "redirect"],
)
def test_what_stays_wrong_is_one_readable_error(
    tmp_path: Path, fault: Answer, kind: type[SourceError], words: tuple[str, ...]
) -> None:
    asked = Asked(tmp_path, fault)
    assert type(asked.error) is kind
    said = str(asked.error)
    assert said.startswith("the OpenAPI document: ")
    assert all(word in said for word in words), said
    assert len(asked.server.asked) == (3 if asked.error.error_class == "transient" else 1)


def test_a_source_that_hangs_is_given_up_in_time(tmp_path: Path) -> None:
    asked = Asked(tmp_path, Answer(WHOLE, hang=30), request_timeout_s=0.2, request_deadline_s=0.5, max_attempts=100)
    assert isinstance(asked.error, SourceUnavailable)
    assert "no whole answer from http" in str(asked.error)
    assert 0.2 <= asked.seconds < 10  # of 30
    assert len(asked.server.asked) <= 4


def test_where_nobody_listens_it_says_so(tmp_path: Path) -> None:
    limits = Limits(state_dir=tmp_path, max_attempts=1)
    with pytest.raises(
        SourceUnavailable, match=r"no connection to http://127\.0\.0\.1:9/swagger.*this machine is online"
    ):
        asyncio.run(fetch_document("http://127.0.0.1:9/swagger/v1/swagger.json", limits))


def test_it_keeps_the_limit_that_all_requests_to_the_site_share(tmp_path: Path) -> None:
    asked = Asked(tmp_path, DOWN, DOWN, GOOD, max_requests_per_second=20)
    state = json.loads(state_file(asked.server.base_url, tmp_path).read_text())  # the file that the rows' client uses
    assert asked.seconds >= 2 / 20
    assert state["origin"] == asked.server.base_url.removesuffix("/bmrs/api/v1")


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    asked = Asked(tmp_path / "file", GOOD)
    assert asked.error is not None
    assert asked.error.error_class == "ours"
    assert "GBPM_STATE_DIR" in str(asked.error)
    assert asked.server.asked == []


def test_a_name_and_password_are_sent_and_not_shown(tmp_path: Path) -> None:
    asked = Asked(tmp_path, GOOD, login=LOGIN)
    assert asked.fetched is not None
    expected = "Basic " + base64.b64encode(b"me:hush-hush").decode()
    assert asked.server.headers[0]["authorization"] == expected
    refused = Asked(tmp_path, Answer(b"{}", status=404), login=LOGIN)
    for said in (asked.fetched.url, asked.fetched.document.name, str(refused.error)):
        assert "hush" not in said and "me:" not in said


@pytest.mark.parametrize(
    "answer", [Answer(b"{}", status=404), Answer(b"<html>", status=200), Answer(b"", status=503)]
)
def test_a_query_is_sent_and_not_shown(tmp_path: Path, answer: Answer) -> None:
    asked = Asked(tmp_path, answer, path="?key=hush-hush", max_attempts=1)
    assert asked.server.asked[0].endswith("?key=hush-hush")
    assert asked.error is not None
    assert "hush" not in str(asked.error) + repr(asked.error)
