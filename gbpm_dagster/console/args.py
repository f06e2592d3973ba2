"""Reading what a person typed: days, tables. Every refusal says what is wrong and what is allowed.

Belongs here: checking arguments. Not here: acting on them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from gbpm_dagster.catalogue.model import Dataset


class UsageError(ValueError):
    """The command line asks for something that makes no sense; exit code 2."""


def parse_day(text: str | None, option: str) -> date | None:
    """A day as typed; raises UsageError. Only yyyy-mm-dd: Python would read `2024W101` too, nobody means it."""
    if text is None:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip()):
            return date.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{option} is {text!r}: there is no such day in the calendar") from None
    raise UsageError(f"{option} is {text!r}: give a day as yyyy-mm-dd, for example 2024-01-03")


def check_range(first: date | None, last: date | None, today: date) -> None:
    """Refuse a range that runs backwards or into the future."""
    if first and last and first > last:
        raise UsageError(f"--from {first} is after --to {last}: swap them")
    for option, day in (("--from", first), ("--to", last)):
        if day and day > today:
            raise UsageError(f"{option} {day} is in the future: the newest day there can be is {today} (London)")


def check_begin(datasets: Sequence[Dataset], first: date | None, last: date | None, history_start: date) -> None:
    """Refuse days before the home's history, or before one of these tables, begins."""
    for option, day in (("--from", first), ("--to", last)):
        if day is None:
            continue
        for dataset in datasets:
            if day < dataset.first_day:
                raise UsageError(
                    f"{option} {day} is before {dataset.table} begins: the source has it from {dataset.first_day} on"
                )
        if day < history_start:
            raise UsageError(
                f"{option} {day} is before this home's history begins ({history_start}): "
                "set GBPM_HISTORY_START to an earlier day to have it"
            )
