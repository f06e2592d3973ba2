"""The gaps that the legacy warehouse's own documents state: what the register begins with when one is adopted.

Belongs here: reading known_gap_seeds.csv as entries. Not here: storing them. A fresh home begins with an empty
register.

Source: operations/inventory.md, section 5 (statements of 22 to 28 December 2025); `line` is the row of its table.
Names are ours: bmrs_demand_forecast, a view here, is bmrs_demand_forecast_latest. Of the stream those 13 tables are
named that were there then. An empty `first` is the first day asked, which here is the table's or the home's, the
later one; the others begin no sooner than the home either. An empty `last` is a gap whose end the documents do not
give: it ends on the day of adoption, as what is missing after that is no fault of the legacy warehouse.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from importlib import resources

from gbpm_dagster.catalogue.registry import DATASETS
from gbpm_dagster.quality.register import Entry, Status, new_entry

SOURCE = "inventory of the legacy warehouse, section 5"
STREAM = "_iris"


def seed_entries(at: datetime, today: date, start: date) -> list[Entry]:
    """The seeds as entries made at that instant, on that London day, in a home whose history begins on `start`.

    In the order of the file; ids depend on none of the three. A gap that ends before `start` keeps its days.
    """
    text = (resources.files("gbpm_dagster.quality") / "known_gap_seeds.csv").read_text(encoding="utf-8")
    return [_within(entry, today, start) for row in csv.DictReader(text.splitlines()) for entry in _of(row, at)]


def _within(entry: Entry, today: date, start: date) -> Entry:
    last = entry.last or max(entry.first, today)
    return replace(entry, first=max(entry.first, start) if start <= last else entry.first, last=last)


def _of(row: dict[str, str], at: datetime) -> Iterator[Entry]:
    last = date.fromisoformat(row["last"]) if row["last"] else None
    for table in row["tables"].split():
        begin = DATASETS[table.removesuffix(STREAM)].first_day
        first = max(begin, date.fromisoformat(row["first"])) if row["first"] else begin
        yield new_entry(
            table,
            first,
            last,
            Status(row["status"]),
            row["reason"],
            "seed",
            at,
            evidence={"source": SOURCE, "line": int(row["line"])},
            recoverable=True,
        )
