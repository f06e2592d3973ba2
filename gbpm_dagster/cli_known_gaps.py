"""`gbpm known-gaps`: the register of known gaps on the command line.

Belongs here: commands and their options. Not here: any work (orchestration.known_gaps), printing
(console.known_gaps).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(help="The register of known gaps: what is known of days that lack.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]


class Said(StrEnum):
    """What a person may say of days."""

    SUSPECTED = "suspected"
    EXCLUDED = "excluded"


class Wanted(StrEnum):
    EXCLUDED = "excluded"
    MISSING_AT_SOURCE = "missing_at_source"
    GIVEN_UP = "given_up"
    SUSPECTED = "suspected"
    RESOLVED = "resolved"


@app.command("list")
def list_(
    tables: Annotated[list[str] | None, typer.Argument(help="only of these tables", show_default=False)] = None,
    status: Annotated[Wanted | None, typer.Option(help="only these; without it all but the resolved")] = None,
    json: Json = False,
) -> None:
    """Show the register."""
    from gbpm_dagster.console import known_gaps as shown
    from gbpm_dagster.console import show
    from gbpm_dagster.orchestration import known_gaps

    found = known_gaps.known_gaps(tables or [], status and status.value)
    if json:
        show.print_json({"known_gaps": [known_gaps.as_record(e) for e in found["entries"]]})
    else:
        shown.listed(found["entries"], found["left_out"])


@app.command()
def add(
    table: Annotated[str, typer.Argument(help="table (see `gbpm tables`)")],
    reason: Annotated[str, typer.Option(help="why, in a few words")],
    first: Annotated[str | None, typer.Option("--from", help="first London day of the gap, yyyy-mm-dd")] = None,
    last: Annotated[str | None, typer.Option("--to", help="last London day of the gap, yyyy-mm-dd")] = None,
    open_: Annotated[bool, typer.Option("--open", help="in place of --to: the gap has no end yet")] = False,
    status: Annotated[
        Said, typer.Option(help="suspected: to be looked for; excluded: not wanted, never asked, passes")
    ] = Said.SUSPECTED,
    evidence: Annotated[str | None, typer.Option(help="what shows it: a link, a ticket, a sentence")] = None,
    json: Json = False,
) -> None:
    """Enter a gap."""
    from gbpm_dagster.console import known_gaps as shown
    from gbpm_dagster.console import show
    from gbpm_dagster.orchestration import known_gaps, known_gaps_asset

    entry, before = known_gaps.add(table, first, last, open_, reason, status.value, evidence)
    known_gaps_asset.tell()
    if json:
        show.print_json({"known_gaps": [known_gaps.as_record(entry)]})
    else:
        shown.added(entry, before)


@app.command()
def resolve(
    entry: Annotated[str, typer.Argument(metavar="ID", help="an entry's id, or how it begins")],
    reason: Annotated[str | None, typer.Option(help="why it is over; without it the entry keeps its reason")] = None,
    json: Json = False,
) -> None:
    """End an entry; days that were missing at the source, or excluded, count as missing again if they lack."""
    from gbpm_dagster.console import known_gaps as shown
    from gbpm_dagster.console import show
    from gbpm_dagster.orchestration import known_gaps, known_gaps_asset

    ended, before = known_gaps.resolve(entry, reason)
    if before:
        known_gaps_asset.tell()
    if json:
        show.print_json({"known_gaps": [known_gaps.as_record(ended)]})
    else:
        shown.resolved(ended, before)


@app.command()
def seed(json: Json = False) -> None:
    """Enter the gaps that the legacy warehouse's documents state: for a home that adopts one."""
    from gbpm_dagster.console import known_gaps as shown
    from gbpm_dagster.console import show
    from gbpm_dagster.orchestration import known_gaps, known_gaps_asset

    found = known_gaps.seed()
    if found["added"]:
        known_gaps_asset.tell()
    if json:
        show.print_json(found)
    else:
        shown.seeded(found)
