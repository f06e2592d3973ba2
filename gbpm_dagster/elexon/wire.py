"""One GET over kept connections: status, headers and the body as it came, packed or not.

Belongs here: sending, and unpacking a body. Not here: the shared limit, retries, what an answer means.

aiohttp, as its parser is compiled: a request costs a tenth of a millisecond, where httpx takes more than one. A body
is left packed, so that the thread that reads it unpacks it too (docs/performance.md).
"""

from __future__ import annotations

import ssl
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import aiohttp
import certifi
import httpx
from yarl import URL

from gbpm_dagster.elexon import address

GZIP_OR_ZLIB, RAW_DEFLATE = 47, -15
"""Window sizes by which zlib knows the form: gzip and zlib by their headers, or deflate without one."""


class WireError(Exception):
    """No whole answer came. connected: whether there was a connection at all."""

    def __init__(self, reason: str, *, connected: bool) -> None:
        super().__init__(reason)
        self.connected = connected


class CannotUnpack(ValueError):
    """The body is not what its Content-Encoding says."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. packed: the body before any Content-Encoding is undone."""

    url: str
    status: int
    headers: Mapping[str, str]
    packed: bytes

    @property
    def encoding(self) -> str:
        return self.headers.get("Content-Encoding", "").strip().lower()

    @property
    def weight(self) -> int:
        """About how large the body is unpacked."""
        return len(self.packed) * (10 if self.encoding else 1)

    def body(self) -> bytes:
        """The body, unpacked; raises CannotUnpack."""
        return unpack(self.packed, self.encoding)

    def response(self) -> httpx.Response:
        """The same for code that judges answers; raises CannotUnpack."""
        bare = {n: v for n, v in self.headers.items() if n.lower() not in ("content-encoding", "content-length")}
        request = httpx.Request("GET", self.url)
        return httpx.Response(self.status, headers=bare, content=self.body(), request=request)


class _Broken(aiohttp.ClientError):
    """A connection that broke after it was made. No class of its own would be asked again by aiohttp itself."""


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send once. aiohttp asks again by itself when a kept connection broke: a request that nobody would count."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Broken(_reason(error)) from error


class Wire:
    """Connections to one server; an async context manager. login: name and password, sent with every request."""

    def __init__(self, base_url: str, *, connections: int, agent: str, login: tuple[str, str] | None = None) -> None:
        self._base_url, self._connections, self._login = base_url, connections, login
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": agent}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Wire:
        secure = self._base_url.startswith("https:")
        proxy = _proxy(self._base_url)
        self._session = aiohttp.ClientSession(
            auth=_basic(self._login),
            headers=self._headers,
            auto_decompress=False,
            # Without its login: aiohttp prints the address of a proxy that refuses.
            proxy=address.printable(proxy) if proxy else None,
            proxy_auth=_basic(address.login(proxy)) if proxy else None,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                ssl=_certificates() if secure else True,
            ),
            middlewares=(_once,),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, url: str) -> Reply:
        """Send one GET; redirects are answers. Raises WireError; the caller sets the timeout."""
        if self._session is None:
            raise RuntimeError("a Wire must be entered first: `async with Wire(...) as wire`")
        try:
            async with self._session.get(URL(url, encoded=True), allow_redirects=False) as response:
                return Reply(url, response.status, response.headers, await response.read())
        except aiohttp.ClientConnectorError as error:
            raise WireError(_reason(error), connected=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise WireError(_reason(error), connected=True) from error


def _basic(login: tuple[str, str] | None) -> aiohttp.BasicAuth | None:
    return aiohttp.BasicAuth(*login, encoding="utf-8") if login else None


@cache
def _certificates() -> ssl.SSLContext:
    """Whom to trust, read once a process: it takes a twentieth of a second, and a command opens many sources."""
    return ssl.create_default_context(cafile=certifi.where())


def unpack(packed: bytes, encoding: str) -> bytes:
    """The body that a Content-Encoding of gzip or deflate (or none) packs; raises CannotUnpack, also if it is cut."""
    if encoding in ("", "identity"):
        return packed
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise CannotUnpack(f"its encoding is {encoding!r}, which was not asked for")
    try:
        return _inflated(packed, GZIP_OR_ZLIB)
    except zlib.error as error:
        if encoding != "deflate":
            raise CannotUnpack(str(error)) from error
    try:
        return _inflated(packed, RAW_DEFLATE)
    except zlib.error as error:
        raise CannotUnpack(str(error)) from error


def _inflated(packed: bytes, window: int) -> bytes:
    parts: list[bytes] = []
    while packed or not parts:  # gzip may come in several members, one after the other
        unpacker = zlib.decompressobj(window)
        parts.append(unpacker.decompress(packed))
        if not unpacker.eof:
            raise CannotUnpack("it ends before its end")
        packed = unpacker.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _proxy(base_url: str) -> str | None:
    """The proxy that the environment names for this address (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
    parts = urlsplit(base_url)
    if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    known = urllib.request.getproxies()
    found = known.get(parts.scheme) or known.get("all")
    return found if found is None or "://" in found else f"http://{found}"


def _reason(error: BaseException) -> str:
    """What a person can use of it: the system's words if there are any."""
    system = getattr(error, "os_error", None) or error
    return getattr(system, "strerror", None) or str(error) or type(error).__name__
