"""How asking the source can fail: one class a kind of failure, each saying whether another try can help.

Belongs here: the exceptions of this room and their messages. Not here: when they are raised (`answers`, `source`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from gbpm_dagster.elexon.plan import Window

AGAIN = "Run the same command again later, with --missing to fetch only what is not there"
REPORT = "This is a fault of gbpm, not of the data: please report it with this message"


class SourceError(Exception):
    """A window could not be had. `str()` names the table, the window, what happened and what to do.

    error_class: transient (another try may help), permanent (it will not until something changes), ours (a fault
    on this machine). status: the HTTP status, None when nothing was answered. tries, seconds: how long it was tried.
    retry_after: seconds the source asked to wait.
    """

    error_class: str = "ours"
    default_advice: ClassVar[str] = REPORT

    def __init__(
        self,
        *,
        table: str,
        window: Window | None,
        detail: str,
        advice: str = "",
        status: int | None = None,
        error_class: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.table, self.window, self.detail, self.status = table, window, detail, status
        self.advice = advice or self.default_advice
        self.error_class = error_class or type(self).error_class
        self.retry_after = retry_after
        self.tries, self.seconds = 1, 0.0

    def __str__(self) -> str:
        where = f"{self.table}, {self.window}" if self.window else self.table
        tried = f" (tried {self.tries} times in {self.seconds:.1f} s)" if self.tries > 1 else ""
        return f"{where}: {self.detail}{tried}. {self.advice}."


class SourceUnavailable(SourceError):
    """No answer, or one that says to come back later: no connection, a timeout, 408, 429, 5xx."""

    error_class = "transient"
    default_advice = f"The source is busy or down. {AGAIN}"


class NotAsked(SourceError):
    """The window was not asked for: the run may make no more requests."""

    error_class = "transient"
    default_advice = "It is asked for later"


class BadAnswer(SourceError):
    """Status 200 and no rows that can be read: HTML, cut JSON, `{"data": null}`, a content type that is not JSON."""

    error_class = "transient"
    default_advice = (
        f"Something between here and the source (a proxy, a maintenance page) may have answered instead. {AGAIN}"
    )


class RequestRefused(SourceError):
    """The source refuses the request itself (400, 404, other 4xx, a redirect): never "no data"."""

    error_class = "permanent"
    default_advice = (
        "Asking again will not help. Compare the catalogue entry's path and parameters with Elexon's current API "
        "document, and check ELEXON_BASE_URL"
    )


class WindowTooLong(RequestRefused):
    """A 400 that names a smaller window cap: `cap`."""

    default_advice = "Ask in windows within that cap"

    def __init__(self, *, cap: timedelta, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self.cap = cap


class RowsOutsideWindow(SourceError):
    """Twice the answer held rows outside the window asked for: a parameter is ignored, today's data came back."""

    error_class = "permanent"
    default_advice = (
        "Nothing of it was stored. The source ignores parameters it does not know and answers with its latest data: "
        "compare the catalogue entry's parameters and `selects` with Elexon's current API document"
    )
