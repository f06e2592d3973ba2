"""The base address of the source: what is asked and printed of it, and the login it may carry.

Belongs here: taking an address apart. Not here: sending (`source`). Whatever is logged, stored or shown of an address
is its `printable` form; the client asks that form too and sends the login in a header, so no request's URL has it.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(.*)", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


def printable(url: str, hidden: str = "") -> str:
    """A URL without name and password, query and fragment, however it is spelt; never raises.

    hidden: stands where name and password were. Of what is no URL, all before its last `@` counts as such.
    """
    found = _SCHEME.fullmatch(url)
    scheme, rest = (found[1], found[2]) if found else ("", url)
    _, login, rest = rest.rpartition("@")
    return scheme + (hidden if login else "") + re.split(r"[?#]", rest, maxsplit=1)[0]


def login(url: str) -> tuple[str, str] | None:
    """The name and password in a URL, percent-decoded; None if it has neither."""
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    name, _, password = user.partition(":")
    return (unquote(name), unquote(password)) if at else None


def wrong(url: str) -> str:
    """What keeps a text from being a base address, in words that do not repeat it; '' if nothing does."""
    if not url.startswith(("http://", "https://")):
        return "must begin with http:// or https://"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "has no readable host and port; / ? # @ in a name or password are written %2F %3F %23 %40"
    if "@" in parts.path + parts.query + parts.fragment:
        return "has an @ after its host; / ? # @ in a name or password are written %2F %3F %23 %40"
    if "?" in url or "#" in url:
        return "must end with its path: no ? and no #"
    if ":" in (login(url) or ("",))[0]:
        return "has a name with a colon, which basic authentication cannot send"
    if not _HOST.fullmatch(host) or re.search(r"[\s\x00-\x1f\x7f]", url):
        return "must name a host, without blanks"
    return ""
