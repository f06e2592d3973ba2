"""`gbpm iris`: the commands of the stream.

Belongs here: their options and exit codes. Not here: the work (orchestration.stream), what is printed (console.iris).
"""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The stream IRIS: draining the queue, loading, replaying, how it is.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]


@app.command()
def drain(
    seconds: Annotated[float | None, typer.Option(min=1, help="go on for so long; else until all is taken")] = None,
    json: Json = False,
) -> None:
    """Receive from the queue (or take over a folder) and load; 3 = something waits or could not be read."""
    from gbpm_dagster.console import iris as shown
    from gbpm_dagster.console.failures import fault
    from gbpm_dagster.orchestration.stream_job import drain_once

    raise typer.Exit(shown.drained(drain_once(seconds, fault), json))


@app.command()
def load(json: Json = False) -> None:
    """Load what has landed, without asking the queue; 3 = something waits or could not be read."""
    from gbpm_dagster.console import iris as shown
    from gbpm_dagster.console.failures import fault
    from gbpm_dagster.orchestration.stream_replay import load_once

    raise typer.Exit(shown.drained(load_once(fault), json))


@app.command()
def replay(
    codes: Annotated[
        list[str] | None, typer.Argument(help="codes; without any those of IRIS_CODES", show_default=False)
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="first UTC day of upload, yyyy-mm-dd")] = None,
    last: Annotated[str | None, typer.Option("--to", help="last UTC day; without it today")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="from this home's own raw messages, not Elexon's archive")
    ] = False,
    json: Json = False,
) -> None:
    """Load messages of the past once more; what was received before changes nothing."""
    from gbpm_dagster.console import iris as shown
    from gbpm_dagster.console.failures import fault
    from gbpm_dagster.orchestration import stream_replay

    raise typer.Exit(shown.replayed(stream_replay.replay(first, last, codes or [], raw=raw, log=fault), json))


@app.command()
def status(json: Json = False) -> None:
    """What came when, lag, what waits, quarantine, dead letters."""
    from gbpm_dagster.console import iris as shown
    from gbpm_dagster.orchestration import ask
    from gbpm_dagster.orchestration import stream_status as asking

    shown.status(asking.stream_status(ask.open_runtime()), json)
