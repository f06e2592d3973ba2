"""What `gbpm known-gaps` prints.

Belongs here: wording and tables. Not here: the register (orchestration.known_gaps).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from gbpm_dagster.console import show
from gbpm_dagster.quality.register import Entry, Status

STYLE = {
    Status.EXCLUDED: "blue",
    Status.MISSING_AT_SOURCE: "magenta",
    Status.GIVEN_UP: "red",
    Status.SUSPECTED: "yellow",
    Status.RESOLVED: "dim",
}


def listed(found: Sequence[Entry], left_out: int) -> None:
    """The register, and how many resolved entries are not shown."""
    if found:
        show.narrow(
            "known gaps",
            ("id", "table", "London days", "status", "reason"),
            [(e.id, e.table, e.span, _status(e.status), e.reason) for e in found],
            wraps="reason",
        )
    said = f"{count(len(found))}"
    if left_out:
        said += f"; {left_out:,} resolved ones are not shown (--status resolved)"
    say(said)


def added(entry: Entry, before: Status | None) -> None:
    """before: the status it had, if it was there and open."""
    was = f" (it was {words(before)})" if before and before is not entry.status else ""
    say(f"{entry.id}: {entry.table} {entry.span} is {words(entry.status)}{was}: {entry.reason}")


def resolved(entry: Entry, before: Status | None) -> None:
    """before: the status it had until this command; None if it was resolved already."""
    if not before:
        say(f"{entry.id}: {entry.table} {entry.span} is resolved already; nothing changed")
        return
    say(f"{entry.id}: {entry.table} {entry.span} is resolved; it was {words(before)}")
    if before in (Status.EXCLUDED, Status.MISSING_AT_SOURCE):
        say(f"days that lack count as missing again: `gbpm check {entry.table}` says which")


def seeded(found: Mapping[str, int]) -> None:
    say(f"{count(found['added'])} added, {found['there']:,} there already")


def summary(found: Mapping[str, Any]) -> str:
    """'3 excluded, 12 suspected' of counts by status."""
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in found.items())


def count(n: int) -> str:
    return f"{n:,} known gap{'' if n == 1 else 's'}"


def words(status: Status) -> str:
    return status.value.replace("_", " ")


def say(text: str) -> None:
    show.out.print(text, markup=False, highlight=False, soft_wrap=True)


def _status(status: Status) -> Text:
    return Text(words(status), STYLE[status])
