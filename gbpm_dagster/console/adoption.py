"""What `gbpm adopt` prints.

Belongs here: wording and tables. Not here: the work (orchestration.adoption).
"""

from __future__ import annotations

from typing import Any

from gbpm_dagster.console import show


def events(found: dict[str, Any], as_json: bool) -> None:
    """Days told, a table that had any, and what was left alone."""
    if as_json:
        show.print_json(found)
        return
    tables = found["tables"]
    told = [(name, t["told"], t["known"]) for name, t in tables.items() if t["told"]]
    if told:
        show.narrow("told to Dagster", ("table", "days told", "known before"), told)
    known, flying, unwanted = (sum(t[name] for t in tables.values()) for name in ("known", "in_flight", "unwanted"))
    n = found["told"]
    text = f"{n:,} day{'' if n == 1 else 's'} told to Dagster in {found['seconds']:.0f} s; {known:,} were known"
    if flying:
        text += f"; {flying:,} are being fetched and left alone"
    if unwanted:
        text += f"; {unwanted:,} are stored and not wanted in this home (GBPM_HISTORY_START, scope)"
    show.out.print(text, highlight=False, soft_wrap=True)
