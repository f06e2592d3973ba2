"""How values are written as text: JSON that any parser takes, and CSV.

Belongs here: the form of a value. Not here: files (export), a terminal (console.show).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


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


def one_value(value: Any) -> str:
    """A value as a cell of a table or CSV: lists and structures as JSON, numbers in full."""
    shown = value if isinstance(value, float) else plain(value)
    return json.dumps(shown, ensure_ascii=False) if isinstance(shown, dict | list) else str(shown)


def csv_text(found: pl.DataFrame, *, header: bool = True, line_end: str = "\n") -> str:
    """CSV: instants with Z, floats as the shortest text that reads back as they are, null empty (and "" quoted)."""
    import polars as pl

    columns = []
    for column in found.iter_columns():
        kind = column.dtype
        if kind.is_nested():
            texts = [None if v is None else one_value(v) for v in column.to_list()]
            column = pl.Series(column.name, texts, dtype=pl.String)
        elif isinstance(kind, pl.Datetime):
            zone = "Z" if kind.time_zone else ""
            column = column.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.f{zone}")
        columns.append(column)
    if not columns:
        return line_end
    return pl.DataFrame(columns).write_csv(include_header=header, line_terminator=line_end)
