"""The ways a notice leaves the house: e-mail, Slack's webhook, a webhook of one's own.

Belongs here: one delivery, and why it failed in words without secrets. Not here: when to try again (`outbox`).
"""

from __future__ import annotations

import email.utils
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from gbpm_dagster.alerts.engine import Notice
from gbpm_dagster.alerts.words import payload, subject, text

TIMEOUT_S = 10.0
SAID = 200
"""So much is kept of what a server answered."""

STARTTLS, TLS, PLAIN = "starttls", "tls", "none"


class ChannelError(Exception):
    """A delivery failed; the message says what the other side answered and has no secret. retry_after: not sooner."""

    def __init__(self, message: str, retry_after: timedelta = timedelta()) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Channel(Protocol):
    """Sends one notice; raises ChannelError. name: as it is listed; where: for people, without secrets."""

    @property
    def name(self) -> str: ...

    @property
    def where(self) -> str: ...

    def send(self, notice: Notice) -> None: ...


@dataclass(frozen=True)
class Sender:
    """What every message says of who sends it."""

    version: str
    home: str


@dataclass(frozen=True)
class Email:
    """Mail over SMTP. security: starttls, tls (from the first byte) or none; a password never goes out in the clear
    but to this machine itself."""

    sender: Sender
    to: tuple[str, ...]
    from_: str
    host: str
    port: int
    security: str = STARTTLS
    user: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = TIMEOUT_S
    name: str = "email"

    @property
    def where(self) -> str:
        return f"{', '.join(self.to)} by {self.host}:{self.port}"

    def send(self, notice: Notice) -> None:
        message = EmailMessage()
        message["Subject"] = f"[gbpm] {subject(notice)}"
        message["From"] = self.from_
        message["To"] = ", ".join(self.to)
        message["Date"] = email.utils.format_datetime(notice.at)
        domain = self.from_.rpartition("@")[2].strip("> ") or "localhost"
        # The same for every copy of one notice, so that mail programs show it once.
        message["Message-ID"] = f"<gbpm-{notice.id}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text(notice, self.sender.version, self.sender.home))
        try:
            self._deliver(message)
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelError(_hidden(f"{self.host}:{self.port}: {_smtp(error)}", self.password)) from None

    def _deliver(self, message: EmailMessage) -> None:
        context = ssl.create_default_context()
        if self.security == TLS:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)
        with server:
            if self.security == STARTTLS:
                server.starttls(context=context)
            if self.user:
                if self.security == PLAIN and not _is_here(self.host):
                    raise ChannelError(
                        f"{self.host}: a password is not sent in the clear: GBPM_SMTP_SECURITY=starttls or tls"
                    )
                server.login(self.user, self.password)
            server.send_message(message, from_addr=self.from_, to_addrs=list(self.to))


@dataclass(frozen=True)
class Webhook:
    """A POST of the notice as JSON (`words.payload`), with its id as Idempotency-Key. The whole address is secret."""

    sender: Sender
    url: str = field(repr=False)
    timeout_s: float = TIMEOUT_S
    name: str = "webhook"

    @property
    def where(self) -> str:
        return urlsplit(self.url).hostname or "?"

    def body(self, notice: Notice) -> dict[str, Any]:
        return payload(notice, self.sender.version, self.sender.home)

    def send(self, notice: Notice) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": f"gbpm/{self.sender.version}"}
        request = urllib.request.Request(
            self.url,
            data=json.dumps(self.body(notice)).encode(),
            headers={**headers, "Idempotency-Key": notice.id},
            method="POST",
        )
        try:
            with _OPENER.open(request, timeout=self.timeout_s) as answer:
                answer.read(SAID)
        except urllib.error.HTTPError as error:
            with error:
                said = _said(error)
            wait = _seconds(error.headers.get("Retry-After"))
            raise ChannelError(self._hidden(f"{self.where} answered {error.code}{said}"), wait) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", "") or str(error) or type(error).__name__
            raise ChannelError(self._hidden(f"{self.where}: {reason}")) from None

    def _hidden(self, words: str) -> str:
        parts = urlsplit(self.url)
        return _hidden(words, self.url, parts.path.strip("/"), parts.query, parts.password or "")


@dataclass(frozen=True)
class Slack(Webhook):
    """Slack's incoming webhook."""

    name: str = "slack"

    def body(self, notice: Notice) -> dict[str, Any]:
        return {"text": text(notice, self.sender.version, self.sender.home)}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A message is not handed on to an address that nobody configured."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


# urllib and not httpx: it logs no address, and these addresses are secrets.
_OPENER = urllib.request.build_opener(_NoRedirect)


def _smtp(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{to}: {code} {_words(why)}" for to, (code, why) in error.recipients.items())
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_words(error.smtp_error)}"
    return str(error) or type(error).__name__


def _words(said: bytes | str) -> str:
    return (said.decode("utf-8", "replace") if isinstance(said, bytes) else said)[:SAID]


def _said(error: urllib.error.HTTPError) -> str:
    try:
        words = " ".join(_words(error.read(SAID)).split())
    except (OSError, HTTPException):
        return ""
    return f": {words}" if words else ""


def _seconds(header: str | None) -> timedelta:
    """Retry-After in seconds, at most a day; its other form, a date, is left to our own delays."""
    return timedelta(seconds=min(int(header), 86_400)) if header and header.isdigit() else timedelta()


def _hidden(words: str, *secrets: str) -> str:
    for secret in secrets:
        if len(secret) > 3:
            words = words.replace(secret, "***")
    return words


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
