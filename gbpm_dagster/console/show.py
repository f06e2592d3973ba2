"""Rich tables, bars and JSON for the `gbpm` commands.

Belongs here: rendering. Not here: finding anything out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gbpm_dagster.warehouse.rendering import csv_text, one_value, plain

if TYPE_CHECKING:
    import polars as pl

    from gbpm_dagster.quality.checks import CheckResult
    from gbpm_dagster.warehouse.protocol import Outcome

out = Console()
err = Console(stderr=True)

STATE_STYLE = {
    "complete": "green",
    "partial": "yellow",
    "late": "yellow",
    "missing": "red",
    "missing_at_source": "magenta",
    "excluded": "blue",
    "due": "cyan",
    "not_due": "dim",
}
UNBOUNDED = 100_000
"""Columns of a table that goes to a file or a pipe: as wide as its content."""


def say(text: str) -> None:
    """One line to a person, as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document and a line end on standard output."""
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def said(text: str) -> None:
    """A line, as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def rows(title: str, columns: Sequence[str], records: Sequence[Sequence[Any]]) -> None:
    """One table; numbers to the right. Text is shown as it is: only rich's own Text has style."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for i, column in enumerate(columns):
        numeric = all(isinstance(r[i], int | float) for r in records) and bool(records)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for record in records:
        table.add_row(*map(_cell, record))
    out.print(table)


def narrow(title: str, columns: Sequence[str], records: Sequence[Sequence[Any]], wraps: str = "") -> None:
    """A table with many columns for a terminal of 80: no frame; only the column `wraps` gives way."""
    table = Table(
        title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, padding=(0, 0), pad_edge=False
    )
    for i, column in enumerate(columns):
        numeric = all(isinstance(r[i], int | float) for r in records) and bool(records)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=column != wraps)
    for record in records:
        table.add_row(*map(_cell, record))
    out.print(table)


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    return Text(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))


def state(name: str) -> Text:
    return Text(name, STATE_STYLE.get(name, ""))


def checks(results: Sequence[CheckResult]) -> None:
    """The results, failures first."""
    ordered = sorted(results, key=lambda r: (r.passed, r.severity != "ERROR", r.table, r.check))
    rows(
        "checks",
        ("table", "check", "result", "summary"),
        [(r.table, r.check, _mark(r), r.summary) for r in ordered],
    )


def _mark(result: CheckResult) -> Text:
    if result.passed:
        return Text("passed", "green")
    return Text("failed", "red") if result.severity == "ERROR" else Text("warning", "yellow")


@contextmanager
def day_bars(wanted: Mapping[str, int], quiet: bool = False) -> Iterator[Any]:
    """A bar a table, filled day by day, on stderr; yields a listener for outcomes. Nothing is drawn when quiet."""
    if quiet or not err.is_terminal:
        yield _plain_lines(wanted, quiet)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("days"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[failed]}"),
        console=err,
    )
    with bars:
        tasks = {table: bars.add_task(table, total=n, failed="") for table, n in wanted.items()}
        failed = dict.fromkeys(wanted, 0)

        def listen(outcome: Outcome) -> None:
            failed[outcome.table] += not outcome.ok
            note = f"{failed[outcome.table]} failed" if failed[outcome.table] else ""
            bars.update(tasks[outcome.table], advance=1, failed=note)

        yield listen


@contextmanager
def day_progress(what: str, total: int, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """One bar of days on stderr, where that is a terminal; yields what sets how many are done."""
    if quiet or not err.is_terminal or total <= 0:
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    said = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("days"))
    with Progress(*said, TimeRemainingColumn(), console=err, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=min(done, total))


def _plain_lines(wanted: Mapping[str, int], quiet: bool) -> Any:
    """Without a terminal: a line a table at each quarter."""
    done = dict.fromkeys(wanted, 0)

    def listen(outcome: Outcome) -> None:
        done[outcome.table] += 1
        n, total = done[outcome.table], wanted[outcome.table]
        if not quiet and (n == total or n % max(1, total // 4) == 0):
            err.print(f"{outcome.table}: {n} of {total} days", highlight=False)

    return listen


def frame(found: pl.DataFrame, form: str) -> None:
    """A query's answer as a table, CSV or JSON (an array of objects)."""
    if form == "json":
        print_json(found.to_dicts())
    elif form == "csv":
        sys.stdout.write(csv_text(found))
        sys.stdout.flush()
    else:
        table = Table(header_style="bold")
        for name, kind in found.schema.items():
            table.add_column(Text(name), justify="right" if kind.is_numeric() else "left", overflow="fold")
        for row in found.iter_rows():
            table.add_row(*(Text("" if v is None else one_value(v)) for v in row))
        (out if out.is_terminal else Console(width=UNBOUNDED)).print(table)
        out.print(f"[dim]{found.height} row{'' if found.height == 1 else 's'}[/dim]", highlight=False)
