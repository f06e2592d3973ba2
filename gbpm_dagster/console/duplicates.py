"""What `gbpm deduplicate` and `gbpm restore` print.

Belongs here: the shapes of docs/contract.md. Not here: the work (orchestration.cleaning).
"""

from __future__ import annotations

from typing import Any

from gbpm_dagster.console import show
from gbpm_dagster.console.report import DONE, REMAINS
from gbpm_dagster.quality.result import count

SHOWN = 12
"""Months and days listed for people; --json lists all."""


def verdict(found: dict[str, Any], as_json: bool) -> int:
    """3 when duplicates are there still, or days have to be asked for again."""
    gone = found["superseded"] + found["exact_duplicates"]
    if as_json:
        show.print_json(found)
    else:
        _told(found, gone)
    return REMAINS if found["refetch"] or (gone and not found["applied"]) else DONE


def _told(found: dict[str, Any], gone: int) -> None:
    key = ", ".join(found["key"])
    if not gone:
        show.said(f"{found['table']}: {found['looked_at']:,} rows, every ({key}) once")
        return
    columns = ("month", "days", "rows", "stay", "superseded", "exact", "conflicts")
    names = ("month", "days", "rows", "current", "superseded", "exact_duplicates", "conflicts")
    worst = sorted(found["months"], key=lambda m: (m["current"] - m["rows"], m["month"]))
    title = f"{found['table']}: days on which a ({key}) stands more than once, worst months first"
    show.narrow(title, columns, [tuple(m[n] for n in names) for m in worst[:SHOWN]])
    if len(worst) > SHOWN:
        show.said(f"... and {count(len(worst) - SHOWN, 'more month')} (--json lists all)")
    for sample in found["samples"]:
        show.said(f"for example {_sample(sample)}")
    went = "went" if found["applied"] else "would go"
    show.said(
        f"{gone:,} of {found['rows']:,} rows on {count(found['days'], 'day')} {went}: "
        f"{found['exact_duplicates']:,} exact copies, {found['superseded']:,} superseded vintages (kept as history); "
        f"{found['current']:,} stay"
    )
    _next(found)


def _next(found: dict[str, Any]) -> None:
    refetch = list(found["refetch"].items())
    for day, why in refetch[:SHOWN]:
        show.said(f"{day}: {why}: gbpm backfill {found['table']} --from {day} --to {day}")
    if len(refetch) > SHOWN:
        show.said(f"... and {count(len(refetch) - SHOWN, 'more day')} to be fetched again (--json lists all)")
    if found["backup"]:
        show.said(f"as it was: gbpm restore {found['backup']}; `gbpm check {found['table']}` stores how it is now")
    if found["out"]:
        show.said(f"the clean rows: {found['out']}")
    if not found["applied"]:
        show.said("nothing was changed: --apply does it, after a backup (of a path: --out FILE.parquet)")


def _sample(sample: dict[str, Any]) -> str:
    key = ", ".join(f"{k} {show.plain(v)}" for k, v in sample["key"].items())
    kept = ", ".join(f"{k} {show.plain(v)}" for k, v in sample["kept"].items())
    return f"{key}: {sample['rows']} rows: {sample['why']}; stays: {kept}"


def restored(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.print_json(found)
    elif "backups" not in found:
        show.said(
            f"{found['table']}: {count(found['days'], 'day')}, {count(found['rows'], 'row')} are as they were "
            f"({found['from']} to {found['to']})"
        )
    elif not found["backups"]:
        show.said("there is no backup: `gbpm deduplicate TABLE --apply` makes one")
    else:
        columns = ("backup", "days", "rows", "removed on")
        lines = [(b["backup"], b["days"], b["rows"], b["removed_on"]) for b in found["backups"]]
        show.narrow("backups", columns, lines)
