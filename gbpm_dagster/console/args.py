"""Reading what a person typed: days, tables. Every refusal says what is wrong and what is allowed.

Belongs here: checking arguments. Not here: acting on them.
"""

from __future__ import annotations

from datetime import date

from gbpm_dagster.catalogue.model import Dataset


class UsageError(ValueError):
    """The command line asks for something that makes no sense; exit code 2."""


def parse_day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} is {text!r}: give a date as yyyy-mm-dd, for example 2024-01-03") from None


def check_range(first: date | None, last: date | None, today: date) -> None:
    if first and last and first > last:
        raise UsageError(f"--from {first} is after --to {last}: swap them")
    for option, day in (("--from", first), ("--to", last)):
        if day and day > today:
            raise UsageError(f"{option} {day} is in the future: the newest day there can be is {today} (London)")


def check_begin(datasets: tuple[Dataset, ...], first: date | None, history_start: date) -> None:
    """Refuse days before a table, or the home, begins."""
    for dataset in datasets:
        if first and first < dataset.first_day:
            raise UsageError(
                f"--from {first} is before {dataset.table} begins: the source has it from {dataset.first_day} on"
            )
        if first and first < history_start:
            raise UsageError(
                f"--from {first} is before this home's history begins ({history_start}): "
                "set GBPM_HISTORY_START to an earlier day to have it"
            )
