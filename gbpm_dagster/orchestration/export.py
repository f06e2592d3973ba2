"""What `gbpm export` does: judge the days, write the rows, tell both. No Dagster: it starts fast.

Belongs here: joining a reader of the lake, coverage and a file. Not here: printing, exit codes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from gbpm_dagster import __version__
from gbpm_dagster.console.args import UsageError, check_range, parse_day
from gbpm_dagster.console.failures import Interrupted
from gbpm_dagster.console.show import day_progress
from gbpm_dagster.orchestration.ask import open_runtime
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.lacking import Lack, lacking, stored_span, wanted_between
from gbpm_dagster.warehouse import export as files
from gbpm_dagster.warehouse.reading import Piece, Reader

STDOUT = "-"
FORMS = {".csv": files.CSV, ".parquet": files.PARQUET}


def export(
    table: str,
    out: str,
    first: str | None,
    last: str | None,
    *,
    form: str | None = None,
    columns: str | None = None,
    where: str | None = None,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write a table's rows; returns the shape of docs/contract.md, with `fails`: whether the gap check would.

    Raises UsageError, UnknownTable, QueryError, NothingStored, ExportError, OSError.
    """
    runtime = open_runtime()
    form = _form(out, form)
    begin, end = parse_day(first, "--from"), parse_day(last, "--to")
    check_range(begin, end, runtime.settings.today())
    names = [c.strip() for c in columns.split(",") if c.strip()] if columns is not None else None
    reader = runtime.lake.reader(table, begin, end, names, where)
    target = None if out == STDOUT else Path(out).expanduser().absolute()
    if target is not None:
        files.check_target(target, form, force, reader.source.name)
    span, days, lacks = _judge(runtime, reader)
    written = _write(reader, target, form, _facts(reader, span, where, lacks), span, quiet)
    return {
        "table": reader.source.name,
        "out": out if target is None else str(target),
        "format": form,
        "from": span[0],
        "to": span[1],
        "rows": written.rows,
        "bytes": written.bytes,
        "days": days,
        "not_complete": {k.day.isoformat(): f"{k.state.value}: {k.reason}" for k in lacks},
        "lacks": lacks,
    }


def _form(out: str, form: str | None) -> str:
    """The format asked for, else the one the name says."""
    found = form or FORMS.get(Path(out).suffix.lower()) or (files.CSV if out == STDOUT else None)
    if found is None:
        raise UsageError(f"{out} does not say which format: add --format csv or --format parquet")
    if out == STDOUT and found != files.CSV:
        raise UsageError("the standard output takes csv only: name a file or a folder for parquet")
    return found


Span = tuple[date | None, date | None]


def _judge(runtime: Runtime, reader: Reader) -> tuple[Span, int, list[Lack]]:
    """The days of the rows, how many of them the source can have, and those that are not complete."""
    dataset, asked = reader.judged, (reader.start, reader.end)
    if dataset is None:
        return asked, 0, []
    first, last = stored_span(runtime.lake, dataset, *asked, runtime.settings.home)
    if dataset.partition_field == "":
        return asked, 0, []
    now = runtime.settings.clock()
    wanted = wanted_between(dataset, first, last, now, runtime.scope)
    return (first, last), len(wanted), lacking(runtime.lake, dataset, wanted, now, runtime.scope is not None)


def _facts(reader: Reader, span: Span, where: str | None, lacks: list[Lack]) -> Mapping[str, str]:
    """What a Parquet file says of itself."""
    asked = {"from": span[0] and span[0].isoformat(), "to": span[1] and span[1].isoformat(), "where": where}
    said = {name: value for name, value in asked.items() if value}
    if lacks:
        said["not_complete"] = ", ".join(f"{k.day} {k.state.value}" for k in lacks)
    said["version"] = __version__
    return files.file_facts(reader, reader.source.dataset, said, datetime.now(UTC))


def _write(
    reader: Reader, target: Path | None, form: str, facts: Mapping[str, str], span: Span, quiet: bool
) -> files.Written:
    first, last = span
    total = (last - first).days + 1 if first and last else 0
    with day_progress(f"exporting {reader.source.name}", total, quiet) as advance:

        def told(piece: Piece) -> None:
            if first and piece.last:
                advance((piece.last - first).days + 1)

        if target is None:
            return files.to_stream(reader, _Out(), told)
        try:
            return files.to_file(reader, target, form, facts, told)
        except KeyboardInterrupt:
            raise Interrupted(f"nothing was written, {target} is as it was") from None


class _Out:
    """Standard output as bytes, also where it is a text stream of a test."""

    def write(self, data: bytes) -> None:
        binary = getattr(sys.stdout, "buffer", None)
        if binary is None:
            sys.stdout.write(data.decode())
            return
        binary.write(data)
        binary.flush()
