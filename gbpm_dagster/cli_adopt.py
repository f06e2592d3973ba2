"""`gbpm adopt`: what was there before this home knew of it.

Belongs here: commands and their options. Not here: any work (orchestration.adoption), printing (console.adoption).
"""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Take over what is there already.", no_args_is_help=True)


@app.callback()
def adopt() -> None:
    """Take over what is there already."""


@app.command()
def events(
    tables: Annotated[list[str] | None, typer.Argument(help="only these tables", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON for machines")] = False,
) -> None:
    """Tell Dagster of every stored day that it does not know; interrupted, it goes on where it was."""
    from gbpm_dagster.console import adoption as shown
    from gbpm_dagster.orchestration import adoption

    shown.events(adoption.adopt_events(tables or [], quiet=json), json)
