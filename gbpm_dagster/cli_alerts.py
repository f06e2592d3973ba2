"""`gbpm alerts`: what is told to people, on the command line.

Belongs here: commands and their options. Not here: any work (orchestration.alert_actions), printing (console.alerts).
"""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="What is told to people: what is on, a test of the channels, muting.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]


@app.command("list")
def list_(json: Json = False) -> None:
    """The alerts that are on, since when, whom they were told to, and messages that wait."""
    from gbpm_dagster.console import alerts as shown
    from gbpm_dagster.orchestration import alert_actions

    shown.listed(alert_actions.listed(), json)


@app.command()
def test(json: Json = False) -> None:
    """Send a test message to each channel and say what came of it."""
    from gbpm_dagster.console import alerts as shown
    from gbpm_dagster.orchestration import alert_actions

    raise typer.Exit(shown.tested(alert_actions.test(), json))


@app.command()
def mute(
    table: Annotated[str, typer.Argument(help="table (see `gbpm tables`)")],
    span: Annotated[str, typer.Option("--for", help="how long: 30m, 12h, 7d; 0h = tell again")],
    json: Json = False,
) -> None:
    """Tell nothing of a table for a while; its checks and the healer go on."""
    from gbpm_dagster.console import alerts as shown
    from gbpm_dagster.orchestration import alert_actions

    shown.muted(alert_actions.mute(table, span), json)
