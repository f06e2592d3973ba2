"""Rich tables, bars and JSON for the `gbpm` commands.

Belongs here: rendering. Not here: finding anything out.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

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
    "due": "cyan",
    "not_due": "dim",
}
UNBOUNDED = 100_000
"""Columns of a table that goes to a file or a pipe: as wide as its content."""


def plain(value: Any) -> Any:
    """A value for JSON: instants as ISO 8601 with Z, days as yyyy-mm-dd, numbers as numbers, what is none as null."""
    if isinstance(value, datetime):
        # Without a zone it is a clock time, not an instant: no Z.
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no NaN and no infinity
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def print_json(value: Any) -> None:
    """One JSON document and a line end on standard output."""
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


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
        sys.stdout.write(_csv(found))
        sys.stdout.flush()
    else:
        table = Table(header_style="bold")
        for name, kind in found.schema.items():
            table.add_column(Text(name), justify="right" if kind.is_numeric() else "left", overflow="fold")
        for row in found.iter_rows():
            table.add_row(*(Text("" if v is None else _one_value(v)) for v in row))
        (out if out.is_terminal else Console(width=UNBOUNDED)).print(table)
        out.print(f"[dim]{found.height} row{'' if found.height == 1 else 's'}[/dim]", highlight=False)


def _one_value(value: Any) -> str:
    shown = value if isinstance(value, float) else plain(value)
    return json.dumps(shown, ensure_ascii=False) if isinstance(shown, dict | list) else str(shown)


def _csv(found: pl.DataFrame) -> str:
    """Instants with Z, lists and structures as JSON; null is empty."""
    import polars as pl

    columns = []
    for column in found.iter_columns():
        kind = column.dtype
        if kind.is_nested():
            texts = [None if v is None else _one_value(v) for v in column.to_list()]
            column = pl.Series(column.name, texts, dtype=pl.String)
        elif isinstance(kind, pl.Datetime):
            zone = "Z" if kind.time_zone else ""
            column = column.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.f{zone}")
        columns.append(column)
    return pl.DataFrame(columns).write_csv() if columns else "\n"
