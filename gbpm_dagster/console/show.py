"""Rich tables, bars and JSON for the `gbpm` commands.

Belongs here: rendering. Not here: finding anything out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

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
    "due": "cyan",
    "not_due": "dim",
}


def plain(value: Any) -> Any:
    """A value for JSON: instants as ISO 8601 with Z, dates as yyyy-mm-dd, numbers as numbers."""
    if isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value
        return utc.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, float) and value != value:
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False) + "\n")


def rows(title: str, columns: Sequence[str], records: Sequence[Sequence[Any]]) -> None:
    """One table; numbers to the right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for i, column in enumerate(columns):
        numeric = all(isinstance(r[i], int | float) for r in records) and bool(records)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for record in records:
        table.add_row(*(f"{v:,}" if isinstance(v, int) and not isinstance(v, bool) else str(v) for v in record))
    out.print(table)


def state(name: str) -> str:
    style = STATE_STYLE.get(name, "")
    return f"[{style}]{name}[/{style}]" if style else name


def checks(results: Sequence[CheckResult]) -> None:
    """The results, failures first."""
    ordered = sorted(results, key=lambda r: (r.passed, r.severity != "ERROR", r.table, r.check))
    rows(
        "checks",
        ("table", "check", "result", "summary"),
        [(r.table, r.check, _mark(r), r.summary) for r in ordered],
    )


def _mark(result: CheckResult) -> str:
    if result.passed:
        return "[green]passed[/green]"
    return "[red]failed[/red]" if result.severity == "ERROR" else "[yellow]warning[/yellow]"


@contextmanager
def day_bars(wanted: Mapping[str, int], quiet: bool = False) -> Iterator[Any]:
    """A bar a table, filled day by day; yields a listener for outcomes. Nothing is drawn when quiet."""
    if quiet or not out.is_terminal:
        yield _plain_lines(wanted, quiet)
        return
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


def _plain_lines(wanted: Mapping[str, int], quiet: bool) -> Any:
    """Without a terminal: a line a table at each quarter."""
    done = dict.fromkeys(wanted, 0)

    def listen(outcome: Outcome) -> None:
        done[outcome.table] += 1
        n, total = done[outcome.table], wanted[outcome.table]
        if not quiet and (n == total or n % max(1, total // 4) == 0):
            err.print(f"{outcome.table}: {n} of {total} days")

    return listen


def frame(found: pl.DataFrame, form: str) -> None:
    """A query's answer as a table, CSV or JSON (an array of objects)."""
    if form == "json":
        print_json(found.to_dicts())
    elif form == "csv":
        flat = [n for n, t in found.schema.items() if t.is_nested()]
        sys.stdout.write(
            found.with_columns(
                *(pl.col(n).map_elements(lambda v: json.dumps(plain(v)), pl.String) for n in flat)
            ).write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
        )
    else:
        table = Table(header_style="bold")
        for name, kind in found.schema.items():
            table.add_column(name, justify="right" if kind.is_numeric() else "left", overflow="fold")
        for row in found.iter_rows():
            table.add_row(*("" if v is None else str(plain(v)) for v in row))
        out.print(table)
        out.print(f"[dim]{found.height} row(s)[/dim]")
