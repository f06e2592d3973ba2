"""`gbpm`: a thin shell over the rooms.

Exit codes: 0 done, 1 could not work, 2 bad usage, 3 done but gaps remain, 130 interrupted.

Belongs here: commands, their options, their exit codes. Not here: any work (orchestration, quality, warehouse).
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from enum import StrEnum
from typing import Annotated, Any

import typer

from gbpm_dagster import __version__, cli_adopt, cli_alerts, cli_iris, cli_known_gaps

app = typer.Typer(
    help="GB Power Market: a complete, verified, self-healing warehouse of the GB electricity market.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

catalogue = typer.Typer(help="The tables' declarations, and Elexon's own document.", no_args_is_help=True)
app.add_typer(catalogue, name="catalogue")
app.add_typer(cli_known_gaps.app, name="known-gaps")
app.add_typer(cli_alerts.app, name="alerts")
app.add_typer(cli_adopt.app, name="adopt")
app.add_typer(cli_iris.app, name="iris")

Tables = Annotated[list[str] | None, typer.Argument(help="tables (see `gbpm tables`)", show_default=False)]
From = Annotated[str | None, typer.Option("--from", help="first London day, yyyy-mm-dd")]
To = Annotated[str | None, typer.Option("--to", help="last London day, yyyy-mm-dd")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]
Group = Annotated[str | None, typer.Option("--group", help="all tables of a group (prices, generation, ...)")]
All = Annotated[bool, typer.Option("--all", help="all tables of this home")]


class Form(StrEnum):
    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class FileForm(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"


class Column(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Dialect(StrEnum):
    DUCKDB = "duckdb"
    BIGQUERY = "bigquery"


@app.command()
def up(
    port: Annotated[int | None, typer.Option(help="port of the web UI; 0 = a free one")] = None,
) -> None:
    """Run the web UI and the daemon in the foreground; Ctrl-C stops both."""
    from gbpm_dagster.console.failures import Interrupted
    from gbpm_dagster.console.show import out
    from gbpm_dagster.orchestration import actions

    try:
        with actions.up(port) as services:
            out.print(f"[bold green]GB Power Market is up:[/bold green] {services.url}  (Ctrl-C stops it)")
            while not services.ended():
                time.sleep(0.5)
            raise actions.CannotWork(f"the {services.ended()} has ended by itself: see its log in <home>/logs")
    except KeyboardInterrupt:
        raise Interrupted("the web UI and the daemon have stopped") from None


@app.command()
def plan(
    tables: Tables = None,
    first: From = None,
    last: To = None,
    group: Group = None,
    all_: All = False,
    json: Json = False,
) -> None:
    """How many requests, how long and how large; asks nobody."""
    from gbpm_dagster.console import report
    from gbpm_dagster.orchestration import ask

    report.plan(ask.plan(tables or [], group, all_, first, last), json)


@app.command()
def backfill(
    tables: Tables = None,
    first: From = None,
    last: To = None,
    group: Group = None,
    all_: All = False,
    missing: Annotated[bool, typer.Option("--missing", help="only days that are missing, late or partial")] = False,
    json: Json = False,
) -> None:
    """Fetch days through Dagster runs; days that are there already are fetched again unless --missing."""
    from gbpm_dagster.console import report
    from gbpm_dagster.orchestration import actions

    raise typer.Exit(
        report.backfill(actions.backfill(tables or [], group, all_, first, last, missing, quiet=json), json)
    )


@app.command()
def check(tables: Tables = None, first: From = None, last: To = None, json: Json = False) -> None:
    """Judge the tables now and store the results as Dagster evaluations."""
    from gbpm_dagster.console import report
    from gbpm_dagster.orchestration import actions

    raise typer.Exit(report.checks(actions.check(tables or [], first, last), json))


@app.command()
def gaps(
    tables: Tables = None,
    first: From = None,
    last: To = None,
    group: Group = None,
    ranges: Annotated[bool, typer.Option("--ranges", help="name the days that are not complete, and why")] = False,
    by: Annotated[Column | None, typer.Option(help="what one column is; without it what suits the range")] = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="the ranges of days that are not complete, as CSV")] = False,
) -> None:
    """What is missing, as a map of tables and months, the worst first; asks nobody. 3 = gaps remain."""
    from gbpm_dagster.console import gaps as shown
    from gbpm_dagster.console.args import UsageError
    from gbpm_dagster.orchestration.gap_report import gap_report

    if json + csv + ranges > 1:
        raise UsageError("--json, --csv or --ranges: one of the three")
    found = gap_report(tables or [], group, first, last)
    form = "json" if json else "csv" if csv else "ranges" if ranges else "map"
    raise typer.Exit(shown.report(found.frames, found.home, form, by and by.value))


@app.command()
def heal(
    tables: Tables = None,
    now: Annotated[bool, typer.Option("--now", help="whatever delays, caps and a cancel say (name tables)")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="what would be asked now, and why not the rest")] = False,
    pause: Annotated[bool, typer.Option("--pause", help="launch nothing by itself until --resume")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on, also with what was cancelled")] = False,
    json: Json = False,
) -> None:
    """Once: find what is missing, backfill it, check again. Or say why, pause, resume."""
    from gbpm_dagster.console import healing
    from gbpm_dagster.orchestration import heal_actions

    healing.check_one_of(now, explain, pause, resume)
    if pause or resume:
        healing.said(heal_actions.pause() if pause else heal_actions.resume(), json)
    elif explain:
        healing.explanation(heal_actions.explain(tables or []), json)
    else:
        raise typer.Exit(healing.round_(heal_actions.heal(tables or [], now, quiet=json), json))


@app.command()
def runs(
    tables: Tables = None,
    first: From = None,
    last: To = None,
    json: Json = False,
    fetch: Annotated[bool, typer.Option("--fetch", help="fetch what is due, through Dagster runs")] = False,
) -> None:
    """Which days settlement runs (II, SF, R1, R2, R3, RF) have made due to be fetched again, and why."""
    from gbpm_dagster.console import report

    if fetch:
        from gbpm_dagster.orchestration import actions

        found = actions.fetch_runs(tables or [], first, last, quiet=json)
    else:
        from gbpm_dagster.orchestration import ask

        found = ask.runs(tables or [], first, last)
    raise typer.Exit(report.runs(found, json))


@app.command()
def scorecard(
    tables: Tables = None,
    first: From = None,
    last: To = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="print a line a table and day")] = False,
) -> None:
    """How good the data are: completeness, timeliness, uniqueness, validity, a score; the last 28 days."""
    from gbpm_dagster.console import scorecard as shown
    from gbpm_dagster.console.args import UsageError
    from gbpm_dagster.orchestration import scoring

    if json and csv:
        raise UsageError("--json and --csv both write to standard output: choose one")
    shown.scorecard(scoring.asked(tables or [], first, last), json, csv)


@app.command()
def tables(json: Json = False) -> None:
    """The tables of the catalogue and which of them this home holds."""
    from gbpm_dagster.console import report
    from gbpm_dagster.orchestration import ask

    report.tables(ask.tables(), json)


@app.command()
def status(json: Json = False) -> None:
    """Services, last runs, coverage and freshness of each table, disk."""
    from gbpm_dagster.console import report
    from gbpm_dagster.orchestration import actions

    report.status(actions.status(), json)


@app.command()
def config(json: Json = False) -> None:
    """Every setting, its value and where it comes from; secrets hidden."""
    from gbpm_dagster.console import report
    from gbpm_dagster.orchestration import ask

    report.config(ask.config(), json)


@app.command()
def version() -> None:
    """The version of gbpm and of Dagster."""
    from importlib.metadata import version as installed

    typer.echo(f"gbpm {__version__} (Dagster {installed('dagster')}, Python {sys.version.split()[0]})")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="one SELECT over the tables")],
    format_: Annotated[Form, typer.Option("--format", help="how to print the answer")] = Form.TABLE,
    dialect: Annotated[Dialect, typer.Option(help="the dialect the query is written in")] = Dialect.DUCKDB,
) -> None:
    """Ask the warehouse in SQL."""
    from gbpm_dagster.console.show import frame
    from gbpm_dagster.orchestration import ask

    frame(ask.sql(query, dialect.value), format_.value)


@app.command()
def unit(
    asked: Annotated[str, typer.Argument(metavar="ID", help="any id of a BM unit: Elexon's, National Grid's, EIC")],
    on: Annotated[str | None, typer.Option("--on", help="London day, yyyy-mm-dd; without it the newest list")] = None,
    json: Json = False,
) -> None:
    """A BM unit's entry in the register: fuel, party, capacity, and what changed when."""
    from gbpm_dagster.console import unit_card
    from gbpm_dagster.orchestration import ask

    unit_card.show(ask.unit(asked, on), json)


@app.command()
def export(
    table: Annotated[str, typer.Argument(help="table (see `gbpm tables`) or view")],
    out: Annotated[str, typer.Argument(help="file, - for standard output, or (parquet) a folder: a file a month")],
    first: From = None,
    last: To = None,
    format_: Annotated[FileForm | None, typer.Option("--format", help="without it, what OUT's name says")] = None,
    columns: Annotated[str | None, typer.Option(help="names, comma between; without it all")] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition over the table's columns")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace OUT if it exists")] = False,
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="exit 0 though days are missing")] = False,
    json: Json = False,
) -> None:
    """Write a table's rows to CSV or Parquet."""
    from gbpm_dagster.console import report
    from gbpm_dagster.console.args import UsageError
    from gbpm_dagster.orchestration import export as exporting

    if json and out == "-":
        raise UsageError("--json and - both write to standard output: name a file")
    found = exporting.export(
        table, out, first, last, form=format_ and format_.value, columns=columns, where=where, force=force, quiet=json
    )
    raise typer.Exit(report.export(found, json, allow_gaps))


@app.command()
def deduplicate(
    table: Annotated[str, typer.Argument(help="table (see `gbpm tables`), or with --as a path")],
    first: From = None,
    last: To = None,
    apply: Annotated[bool, typer.Option("--apply", help="do it, after a backup; without it only say")] = False,
    as_: Annotated[str | None, typer.Option("--as", help="the table that TABLE, a path, has the rows of")] = None,
    out: Annotated[str | None, typer.Option(help="with --as: Parquet file for the clean rows")] = None,
    json: Json = False,
) -> None:
    """Rows whose natural key stands more than once: what would go and why; 3 = there are such."""
    from gbpm_dagster.console import duplicates
    from gbpm_dagster.orchestration import cleaning

    if as_ is not None:
        found = cleaning.deduplicate_path(table, as_, first, last, out=out, apply=apply)
    else:
        found = cleaning.deduplicate(table, first, last, apply=apply, out=out, quiet=json)
    raise typer.Exit(duplicates.verdict(found, json))


@app.command()
def restore(
    backup: Annotated[str | None, typer.Argument(help="its name; without it those there are")] = None,
    force: Annotated[bool, typer.Option("--force", help="over days that changed since, too")] = False,
    json: Json = False,
) -> None:
    """Bring the days of a backup back exactly as they were."""
    from gbpm_dagster.console import duplicates
    from gbpm_dagster.orchestration import cleaning

    duplicates.restored(cleaning.restore(backup, force) if backup else cleaning.backups(), json)


@app.command("review-copies")
def review_copies(
    folder: Annotated[str | None, typer.Option("--in", help="a folder of tables; without it the lake")] = None,
    archive: Annotated[bool, typer.Option("--archive", help="move what has that verdict to <home>/archive")] = False,
    json: Json = False,
) -> None:
    """Tables that are copies of one of ours, or unknown: keep, archive or drop, and why; 3 = there are such."""
    from gbpm_dagster.console import copies
    from gbpm_dagster.orchestration import copies as reviewing

    raise typer.Exit(copies.told(reviewing.review(folder, archive=archive), json))


@catalogue.command()
def verify(
    document: Annotated[
        str | None, typer.Option(help="a file or an http(s) address, plain or gzip; none: the stored document")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="the document that the service publishes now")] = False,
    json: Json = False,
) -> None:
    """Hold the catalogue against Elexon's OpenAPI document, both ways; 3 = they differ."""
    from gbpm_dagster.console import drift
    from gbpm_dagster.orchestration import verify as verifying

    raise typer.Exit(drift.verdict(verifying.verify(document, live), json))


def main(args: list[str] | None = None) -> None:
    """Entry point of `gbpm`: runs the command and turns every known failure into one clear line and its exit code."""
    warnings.simplefilter("ignore")
    logging.getLogger("dagster").setLevel(logging.ERROR)
    sys.exit(run(args))


def run(args: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    from gbpm_dagster.console import failures

    try:
        found: Any = app(args=args, standalone_mode=False)
    except KeyboardInterrupt:
        return failures.interrupted()
    except Exception as error:  # noqa: BLE001 - the last line of defence: known failures get a line, others a report
        return failures.explain(error)
    if found == failures.INTERRUPTED:  # Typer's own word for Ctrl-C within a command
        return failures.interrupted()
    return found if isinstance(found, int) else 0


if __name__ == "__main__":
    main()
