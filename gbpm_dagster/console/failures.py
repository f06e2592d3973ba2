"""Failures as one clear line and an exit code; never a traceback for what a person can cause.

Belongs here: the list of known failures. Not here: the work that raises them.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback

from rich.markup import escape

from gbpm_dagster.catalogue import UnknownTable
from gbpm_dagster.console.args import UsageError
from gbpm_dagster.console.show import err
from gbpm_dagster.elexon.errors import SourceError
from gbpm_dagster.settings import SettingsError
from gbpm_dagster.warehouse.home import HomeError
from gbpm_dagster.warehouse.protocol import QueryError, WarehouseError

BAD_USAGE = (UsageError, SettingsError, UnknownTable, QueryError)


class CannotWork(RuntimeError):
    """The command could not do its work; exit code 1."""


def explain(error: Exception) -> int:
    """Print the failure on stderr; returns the exit code."""
    click_error = getattr(error, "exit_code", None)
    if click_error is not None and hasattr(error, "show"):
        error.show()
        return int(click_error)
    if type(error).__name__ in ("Abort", "DagsterExecutionInterruptedError"):
        err.print("interrupted; what was stored is whole")
        return 130
    if isinstance(error, BAD_USAGE):
        return _say(error, 2)
    if isinstance(error, CannotWork | SourceError | WarehouseError | HomeError) or _is_service(error):
        return _say(error, 1)
    if isinstance(error, OSError):
        return _say(RuntimeError(_os(error)), 1)
    err.print(
        f"[red]gbpm failed in a way it does not know:[/red] {escape(type(error).__name__)}: {escape(str(error))}"
    )
    err.print("please report it with what follows:")
    sys.stderr.write("".join(traceback.format_exception(error)))
    return 1


def _is_service(error: Exception) -> bool:
    return type(error).__name__ in ("ServiceError", "HomeInUse")


def _say(error: Exception, code: int) -> int:
    text = str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
    err.print(f"[red]gbpm:[/red] {escape(text)}", soft_wrap=True)
    return code


def _os(error: OSError) -> str:
    where = error.filename or "a file"
    if error.errno == errno.ENOSPC:
        return (
            f"the disk is full (writing {where}): free some space and run the command again; what was stored is whole"
        )
    return f"{where}: {os.strerror(error.errno) if error.errno else error}: check the path and its rights"
