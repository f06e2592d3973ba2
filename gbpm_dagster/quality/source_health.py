"""Is the source up, read from the tries that were recorded: a pure state machine, up -> down -> up.

Belongs here: when a source counts as down, when to probe it, when it is up again. Not here: what to ask (`healing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

DOWN_AFTER = 3
"""So many requests without an answer since the last answer, each after all its retries: the source is down."""


@dataclass(frozen=True, slots=True)
class Health:
    """The source as the last tries left it.

    failures: requests without an answer since the last one that had it. since: the first of these. probes: times it
    was asked, bursts as one. probe_at: when to ask next (None while it is up).
    """

    failures: int = 0
    since: datetime | None = None
    probes: int = 0
    probe_at: datetime | None = None

    @property
    def up(self) -> bool:
        return self.probe_at is None

    def sentence(self, now: datetime) -> str:
        if self.probe_at is None or self.since is None:
            return "the source is up"
        text = f"the source is down since {clock(self.since)}: {self.failures} requests without an answer"
        return text + ("; time to probe it" if self.probe_at <= now else f"; next probe at {clock(self.probe_at)}")


UP = Health()


def health(attempts: pl.DataFrame, first_wait_s: float, longest_wait_s: float) -> Health:
    """The state of the source (or of one table's path) after those tries, of any reason and order: ATTEMPT_SCHEMA.

    Any answer, also one that refuses (400), shows that it is up. Days that were never asked (no requests) say
    nothing. The wait before a probe doubles with each probe without an answer, up to `longest_wait_s`.
    """
    silent = pl.col("error_class").fill_null("") == "transient"
    answered = attempts.filter(~silent)["at"].max()
    failed = attempts.filter(silent & (pl.col("requests").fill_null(1) > 0))
    if answered is not None:
        failed = failed.filter(pl.col("at") > answered)
    return fold(failed["at"].sort().to_list(), first_wait_s, longest_wait_s)


def fold(failures: Sequence[datetime], first_wait_s: float, longest_wait_s: float) -> Health:
    """Health after failures at those instants, ascending, with no answer between or since."""
    probes, probe_at = 0, None
    for at in failures:
        # The runs of one backfill fail one after the other: they are one burst, and lengthen no wait.
        if probe_at is None or at >= probe_at:
            probes += 1
        probe_at = at + timedelta(seconds=min(first_wait_s * 2.0 ** min(probes - 1, 60), longest_wait_s))
    if len(failures) < DOWN_AFTER:
        return Health(len(failures), failures[0] if failures else None)
    return Health(len(failures), failures[0], probes, probe_at)


def clock(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%MZ")
