"""The base address: a login in it is sent with every request and stands in no URL, message or log."""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import traceback
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.elexon import address
from gbpm_dagster.elexon.errors import SourceError
from gbpm_dagster.elexon.plan import plan
from gbpm_dagster.elexon.source import ElexonSource
from gbpm_dagster.settings import Settings, SettingsError
from gbpm_dagster_tests.elexon.scripted import Answer, mid_day, rows, serve

MID = get("bmrs_mid")
JAN3 = date(2024, 1, 3)
AT = "@"  # the tree holds no URL with a password
NAME, PASSWORD = "me@work", "hush/hush?#1"
LOGIN = f"{quote(NAME, safe='')}:{quote(PASSWORD, safe='')}@"
TOKEN = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
SECRETS = ("hush", TOKEN, quote(NAME, safe=""), NAME)


def with_login(base_url: str) -> str:
    return base_url.replace("://", f"://{LOGIN}")


@given(
    st.text(st.characters(exclude_characters=":", codec="utf-8"), min_size=1),
    st.text(),
    st.sampled_from(["https://host.test/v1", "http://127.0.0.1:80", "http://[::1]:8/a/b"]),
)
def test_whatever_the_login_is_it_is_decoded_and_not_printed(name: str, password: str, plain: str) -> None:
    scheme, rest = plain.split("://")
    url = f"{scheme}://{quote(name, safe='')}:{quote(password, safe='')}@{rest}"
    assert address.printable(url) == plain
    assert address.printable(url, hidden="***@") == f"{scheme}://***@{rest}"
    assert address.login(url) == (name, password)
    assert address.wrong(url) == ""
    assert (address.printable(plain), address.login(plain), address.wrong(plain)) == (plain, None, "")


@given(st.text(alphabet="pw:/?#@ .é1"), st.sampled_from(["https://", "http://", "ftp://", ""]))
def test_a_password_that_is_not_escaped_is_not_printed_either(password: str, scheme: str) -> None:
    assert address.printable(f"{scheme}me:{password}@host.test/v1?key=secret") == f"{scheme}host.test/v1"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("host.test/v1", "http:// or https://"),
        (f"https://me:hu/sh{AT}host.test/v1", "%2F"),
        (f"https://me:12/34{AT}host.test/v1", "%2F"),
        (f"https://me:12?34{AT}host.test/v1", "%2F"),
        (f"https://me:12#34{AT}host.test/v1", "%2F"),
        ("https://host.test:port/v1", "host and port"),
        ("https://host.test:99999/v1", "host and port"),
        ("https://host.test/v1?key=hush", "no ?"),
        ("https://host.test/v1?", "no ?"),
        ("https://host.test/v1#hush", "no #"),
        ("https:///v1", "name a host"),
        ("https://host test/v1", "without blanks"),
        ("https://[::1/v1", "host and port"),
        (f"https://me%3Ahush:hush{AT}host.test/v1", "name with a colon"),
    ],
)
def test_what_is_no_base_address_is_refused_before_anything_is_asked(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as wrong:
        ElexonSource(base_url=url, state_dir=tmp_path)
    with pytest.raises(SettingsError) as refused:
        Settings.load({"ELEXON_BASE_URL": url})
    for message in (str(wrong.value), str(refused.value)):
        assert said in message
        assert not any(part in message for part in ("hu/sh", "hush", "12", "34@")), message
    assert "ELEXON_BASE_URL" in str(refused.value)


FAILURES = {
    "busy": Answer(status=503),
    "html": Answer(b"<html></html>", type="text/html"),
    "cut": Answer(b'{"data":[{'),
    "not found": Answer(b"{}", status=404),
    "refused": Answer(b"{}", status=401),
    "elsewhere": Answer(
        status=301, headers={"Location": f"https://{LOGIN}new.test/v2?key={quote(PASSWORD, safe='')}"}
    ),
    "strays": rows(mid_day(date(2024, 3, 3))),
    "reset": Answer(reset=True),
    "hanging": Answer(hang=20),
    "no gzip": Answer(b"this is no gzip", headers={"Content-Encoding": "gzip"}),
    "no empty answer": Answer(status=204),
}


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
def test_no_failure_prints_the_login(fault: Answer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)  # below it httpcore writes down the source's own headers
    error, said, sent = asyncio.run(_fails(fault, tmp_path))
    assert set(sent) == {f"Basic {TOKEN}"}
    _no_secret(str(error), repr(error), repr(error.__cause__), caplog.text, *said)
    if fault is FAILURES["elsewhere"]:
        assert "https://new.test/v2" in str(error)


async def _fails(fault: Answer, state: Path) -> tuple[SourceError, list[str], list[str]]:
    said: list[str] = []
    async with serve(fault) as server, _source(with_login(server.base_url), state, on_request=said.append) as source:
        with pytest.raises(SourceError) as caught:
            await source.fetch(MID, plan(MID, [JAN3])[0])
    return caught.value, said, [h.get("authorization", "") for h in server.headers]


def test_a_good_answer_is_had_with_the_login_and_kept_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def run() -> tuple[Any, Any, ElexonSource]:
        async with serve(rows(mid_day(JAN3))) as server, _source(with_login(server.base_url), tmp_path) as source:
            return await source.fetch(MID, plan(MID, [JAN3])[0]), server, source

    batch, server, source = asyncio.run(run())
    assert batch.rows.height == 96
    assert server.headers[0]["authorization"] == f"Basic {TOKEN}"
    assert batch.url == server.base_url.removesuffix("/bmrs/api/v1") + server.asked[0]
    _no_secret(batch.url, source.base_url, caplog.text, *(p.read_text() for p in tmp_path.rglob("*.json")))


def test_nobody_at_the_address_is_said_without_the_login(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody answers there
        plain = f"http://127.0.0.1:{taken.getsockname()[1]}/bmrs"

        async def run() -> None:
            async with _source(with_login(plain), tmp_path) as source:
                await source.fetch(MID, plan(MID, [JAN3])[0])

        with pytest.raises(SourceError) as caught:
            asyncio.run(run())
    assert f"no connection to {plain}" in str(caught.value)
    _no_secret(str(caught.value), repr(caught.value.__cause__))


def test_a_proxy_that_refuses_is_named_without_its_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def run() -> SourceError:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
            plain = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
            monkeypatch.setenv("https_proxy", with_login(plain))
            monkeypatch.setenv("no_proxy", "")
            async with _source("https://host.test/v1", tmp_path) as source:
                with pytest.raises(SourceError) as caught:
                    await source.fetch(MID, plan(MID, [JAN3])[0])
        return caught.value

    error = asyncio.run(run())
    assert seen and all(f"Proxy-Authorization: Basic {TOKEN}" in head for head in seen)
    assert "407" in str(error)
    _no_secret(str(error), str(error.__cause__), *traceback.format_exception(error))


def test_settings_do_not_show_the_login() -> None:
    settings = Settings.load({"ELEXON_BASE_URL": with_login("https://host.test/v1/")})
    assert settings.base_url == with_login("https://host.test/v1")
    _no_secret(repr(settings), str(settings))


def _source(base_url: str, state: Path, on_request: Callable[[str], None] | None = None) -> ElexonSource:
    return ElexonSource(
        base_url=base_url,
        max_requests_per_second=5000,
        request_timeout_s=0.5,
        max_attempts=2,
        backoff_base_s=0,
        state_dir=state,
        on_request=on_request,
    )


def _no_secret(*texts: str) -> None:
    for text in texts:
        assert not [secret for secret in SECRETS if secret in text], text
