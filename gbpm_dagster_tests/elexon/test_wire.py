"""One GET and its body: packings, cut bodies, a connection that broke, proxies; and nothing asked twice by itself."""

from __future__ import annotations

import asyncio
import base64
import gzip
import ssl
import zlib
from typing import Any

import pytest

from gbpm_dagster.elexon import wire
from gbpm_dagster.elexon.wire import CannotUnpack, Reply, Wire, WireError, unpack
from gbpm_dagster_tests.elexon.scripted import Answer, Server, serve

TEXT = b'{"data":[1,2,3]}' * 50


def get(*script: Answer, times: int = 1, login: tuple[str, str] | None = None) -> tuple[list[Reply], Server]:
    async def run() -> tuple[list[Reply], Server]:
        async with (
            serve(*script) as server,
            Wire(server.base_url, connections=1, agent="test", login=login) as wire,
        ):
            return [await wire.get(f"{server.base_url}/x?from=a%3Ab") for _ in range(times)], server

    return asyncio.run(run())


def raw_deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(text) + packer.flush()


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (TEXT, ""),
        (TEXT, "identity"),
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (gzip.compress(TEXT, mtime=0), "x-gzip"),
        (gzip.compress(TEXT[:40], mtime=0) + gzip.compress(TEXT[40:], mtime=0), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (raw_deflate(TEXT), "deflate"),
    ],
)
def test_what_was_packed_is_unpacked(packed: bytes, encoding: str) -> None:
    assert unpack(packed, encoding) == TEXT


@pytest.mark.parametrize(
    ("packed", "encoding", "said"),
    [
        (gzip.compress(TEXT, mtime=0)[:-10], "gzip", "ends before its end"),
        (gzip.compress(TEXT, mtime=0) + b"rubbish", "gzip", "incorrect header"),
        (b"no gzip at all", "gzip", "incorrect header"),
        (b"", "gzip", "ends before its end"),
        (b"no deflate either", "deflate", "invalid"),
        (TEXT, "br", "not asked for"),
    ],
)
def test_what_cannot_be_unpacked_says_why(packed: bytes, encoding: str, said: str) -> None:
    with pytest.raises(CannotUnpack, match=said):
        unpack(packed, encoding)


def test_the_url_is_sent_as_it_stands_and_connections_are_kept() -> None:
    replies, server = get(Answer(TEXT, zipped=True), times=3)
    assert {(r.status, r.encoding, r.body()) for r in replies} == {(200, "gzip", TEXT)}
    assert server.asked == ["/bmrs/api/v1/x?from=a%3Ab"] * 3
    assert server.headers[0]["accept-encoding"] == "gzip, deflate"
    assert "authorization" not in server.headers[0] and "cookie" not in server.headers[2]


def test_a_login_is_sent_with_every_request() -> None:
    _, server = get(Answer(TEXT), times=2, login=("name", "pässword"))
    want = "Basic " + base64.b64encode("name:pässword".encode()).decode()
    assert [h["authorization"] for h in server.headers] == [want, want]


def test_a_kept_connection_that_breaks_is_an_error_and_not_asked_again_behind_our_back() -> None:
    async def run() -> Server:
        async with serve(Answer(TEXT), Answer(reset=True), Answer(TEXT)) as server:
            async with Wire(server.base_url, connections=1, agent="test") as wire:
                await wire.get(server.base_url)
                with pytest.raises(WireError) as caught:
                    await wire.get(server.base_url)
                assert caught.value.connected
            return server

    assert len(asyncio.run(run()).asked) == 2


def test_a_body_cut_short_is_an_error() -> None:
    with pytest.raises(WireError) as caught:
        get(Answer(TEXT, declare=10_000))
    assert caught.value.connected


def test_a_redirect_is_an_answer() -> None:
    replies, server = get(Answer(b"", status=301, headers={"Location": "/elsewhere"}))
    assert replies[0].status == 301 and len(server.asked) == 1
    assert replies[0].response().headers["location"] == "/elsewhere"


def test_an_answer_as_the_code_that_judges_it_sees_it() -> None:
    reply = Reply("http://x.test/a", 400, {"Content-Encoding": "gzip", "content-length": "3"}, gzip.compress(b"no"))
    response = reply.response()
    assert (response.status_code, response.content, str(response.url)) == (400, b"no", "http://x.test/a")


def test_a_proxy_of_the_environment_is_used_unless_it_is_not_for_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked(proxy: str) -> int:
        async with serve(Answer(TEXT)) as behind:
            port = behind.base_url.split(":")[2].split("/")[0]
            monkeypatch.setenv("http_proxy", f"127.0.0.1:{port}" if proxy == "bare" else f"http://127.0.0.1:{port}")
            monkeypatch.setenv("no_proxy", "elsewhere.test" if proxy == "not for it" else "")
            async with Wire("http://elsewhere.test/", connections=1, agent="test") as wire:
                try:
                    await wire.get("http://elsewhere.test/x")
                except WireError as error:
                    assert not error.connected
            return len(behind.asked)

    assert [asyncio.run(asked(p)) for p in ("whole", "bare", "not for it")] == [1, 1, 0]


def test_a_wire_must_be_entered() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(Wire("http://127.0.0.1:1", connections=1, agent="test").get("http://127.0.0.1:1"))


def test_certificates_are_read_once_however_many_sources_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backfill of 151 tables opens as many sources; each read took 30 to 100 ms of the event loop."""
    made, real = [], ssl.create_default_context

    def context(**options: Any) -> ssl.SSLContext:
        made.append(real(**options))
        return made[-1]

    async def opened() -> None:
        for _ in range(3):
            async with Wire("https://127.0.0.1:1", connections=1, agent="test"):
                pass

    wire._certificates.cache_clear()
    monkeypatch.setattr(wire.ssl, "create_default_context", context)
    asyncio.run(opened())
    wire._certificates.cache_clear()
    assert len(made) == 1
