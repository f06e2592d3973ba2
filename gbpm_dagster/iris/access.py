"""Where the queue is and how one gets at it: Elexon's service by client credentials, or a connection string.

Belongs here: the address, the sign-in, errors of these in a person's words. Not here: receiving. A secret is in no
text that this module makes: not in `repr`, not in an error.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass, field
from typing import Any

TENANT = "4203b7a0-7773-4de5-b830-8b263a20426e"
NAMESPACE = "elexon-insights-iris"
ARCHIVE_URL = "https://archive.data.elexon.co.uk/iris-archive"
"""Elexon's own, the same for everybody, of August 2025 (iris.md 1). They have changed before: settings, not facts."""

DOMAIN = ".servicebus.windows.net"


class AccessError(ValueError):
    """The queue cannot be named or reached with these settings; the message says which one lacks or is wrong."""


@dataclass(frozen=True)
class Access:
    """A queue. connection_string, if given, stands for all but the queue; a queue in it (`EntityPath`) will do."""

    queue: str = ""
    connection_string: str = field(default="", repr=False)
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    tenant_id: str = TENANT
    namespace: str = NAMESPACE

    @property
    def wanted(self) -> bool:
        """Whether somebody has asked for a stream at all."""
        return bool(self.queue or self.connection_string or self.client_id or self.client_secret)

    @property
    def host(self) -> str:
        """The host (and port) that is asked; holds no secret. Raises AccessError."""
        if self.connection_string:
            return str(self._parsed().fully_qualified_namespace)
        return self.namespace if "." in self.namespace else self.namespace + DOMAIN

    @property
    def queue_name(self) -> str:
        """The queue, from IRIS_QUEUE or the connection string; "" if neither names one. Raises AccessError."""
        if self.queue or not self.connection_string:
            return self.queue
        return str(self._parsed().entity_path or "")

    def check(self) -> None:
        """Raises AccessError naming what lacks."""
        if self.connection_string:
            self._parsed()
        else:
            lacking = [
                name
                for name, value in (("IRIS_CLIENT_ID", self.client_id), ("IRIS_CLIENT_SECRET", self.client_secret))
                if not value
            ]
            if lacking:
                raise AccessError(
                    f"{' and '.join(lacking)} not set: the client id and secret of your queue on Elexon's Insights "
                    "site, or IRIS_CONNECTION_STRING"
                )
        if not self.queue_name:
            raise AccessError("IRIS_QUEUE is not set: the name of your queue on Elexon's Insights site")

    def client(self, **options: Any) -> Any:
        """A ServiceBusClient, not connected yet. Raises AccessError."""
        from azure.servicebus import ServiceBusClient

        self.check()
        logging.getLogger("azure").setLevel(logging.CRITICAL)  # what fails is raised, and said by `in_words`
        if self.connection_string:
            return ServiceBusClient.from_connection_string(self.connection_string, **options)
        from azure.identity import ClientSecretCredential

        credential = ClientSecretCredential(self.tenant_id, self.client_id, self.client_secret)
        return ServiceBusClient(self.host, credential, **options)

    def hide(self, text: str) -> str:
        """The text without the secrets, whatever put them there."""
        key = self.connection_string.partition("SharedAccessKey=")[2].partition(";")[0]
        signature = self.connection_string.partition("SharedAccessSignature=")[2].partition(";")[0]
        for secret in (self.connection_string, key, signature, self.client_secret):
            if secret:
                text = text.replace(secret, "***")
        return text

    def _parsed(self) -> Any:
        from azure.servicebus import parse_connection_string

        try:
            return parse_connection_string(self.connection_string)
        except ValueError as error:
            raise AccessError(
                f"IRIS_CONNECTION_STRING cannot be read: {self.hide(str(error))} "
                "(Endpoint=sb://HOST;SharedAccessKeyName=...;SharedAccessKey=...)"
            ) from None


def in_words(error: BaseException, access: Access) -> str:
    """What went wrong with the queue and what to do, without a secret."""
    from azure.core.exceptions import ClientAuthenticationError
    from azure.servicebus import exceptions as said

    where = f"queue {access.queue_name} at {access.host}"
    if isinstance(error, said.MessagingEntityNotFoundError):
        return f"there is no {where}: is IRIS_QUEUE right, or was the queue deleted?"
    if isinstance(error, said.ServiceBusAuthenticationError | said.ServiceBusAuthorizationError):
        return f"{where} refuses us: has the secret expired (after two years), or is the client of another queue?"
    if isinstance(error, ClientAuthenticationError):
        return f"the sign-in for {where} failed: check IRIS_TENANT_ID, IRIS_CLIENT_ID and IRIS_CLIENT_SECRET"
    if isinstance(error, said.ServiceBusConnectionError | socket.error):
        return f"{where} cannot be reached: {_short(error, access)}"
    return f"{where}: {_short(error, access)}"


def refused(error: BaseException) -> bool:
    """Whether trying again soon is of no use: wrong secret, no right, no such queue."""
    from azure.core.exceptions import ClientAuthenticationError
    from azure.servicebus import exceptions as said

    kinds = (
        ClientAuthenticationError,
        said.ServiceBusAuthenticationError,
        said.ServiceBusAuthorizationError,
        said.MessagingEntityNotFoundError,
    )
    return isinstance(error, kinds)


def _short(error: BaseException, access: Access) -> str:
    return access.hide(str(error).strip().partition("\n")[0])[:200] or type(error).__name__
