"""Failures as one clear line and an exit code; never a traceback for what a person can cause.

Belongs here: the list of known failures. Not here: the work that raises them.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator

from rich.markup import escape

from gbpm_dagster.console.args import UsageError
from gbpm_dagster.console.show import err

FULL = ("no space left", "disk is full", "disk quota exceeded", "database or disk is full")
INTERRUPTED = 130
FULL_CODES = (errno.ENOSPC, errno.EDQUOT)


class CannotWork(RuntimeError):
    """The command could not do its work; exit code 1."""


class Interrupted(RuntimeError):
    """Ctrl-C, with something to say about what goes on; exit code 130."""


def explain(error: Exception) -> int:
    """Print the failure on stderr; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        return _reader_gone()
    click_error = getattr(error, "exit_code", None)
    if click_error is not None and hasattr(error, "show"):
        error.show()
        return int(click_error)
    if isinstance(error, Interrupted):
        return interrupted(str(error))
    if isinstance(error, _bad_usage()):
        return _say(_text(error), 2)
    if disk_is_full(error):
        return _say(_full(error), 1)
    if isinstance(error, _known()):
        return _say(_text(error), 1)
    if isinstance(error, OSError):
        return _say(_os(error), 1)
    err.print(
        f"[red]gbpm failed in a way it does not know:[/red] {escape(type(error).__name__)}: {escape(str(error))}"
    )
    err.print("please report it with what follows:")
    sys.stderr.write("".join(traceback.format_exception(error)))
    return 1


def interrupted(said: str = "what was stored is whole, `gbpm backfill --missing` goes on from there") -> int:
    """Say that Ctrl-C ended the command, and how to go on."""
    return _say(f"interrupted: {said}", INTERRUPTED)


def fault(text: str) -> None:
    """Say what could not be done, while the command goes on."""
    _say(text, 1)


def disk_is_full(error: BaseException) -> bool:
    """Whether an error, or one that led to it, is a full disk or quota: by its number, or the words of SQLite, Arrow
    and Delta, which have none."""
    return any(
        getattr(e, "errno", None) in FULL_CODES or any(word in str(e).lower() for word in FULL) for e in _chain(error)
    )


def _bad_usage() -> tuple[type[Exception], ...]:
    from gbpm_dagster.catalogue import UnknownTable
    from gbpm_dagster.settings import SettingsError
    from gbpm_dagster.warehouse.protocol import QueryError

    return UsageError, SettingsError, UnknownTable, QueryError


def _known() -> tuple[type[Exception], ...]:
    from gbpm_dagster.elexon.errors import SourceError
    from gbpm_dagster.warehouse.home import HomeError
    from gbpm_dagster.warehouse.protocol import WarehouseError

    loaded = sys.modules.get("gbpm_dagster.orchestration.services")  # a room above: never imported from here
    service = (loaded.ServiceError,) if loaded else ()
    return CannotWork, SourceError, WarehouseError, HomeError, *service


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _text(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)


def _say(text: str, code: int) -> int:
    err.print(f"[red]gbpm:[/red] {escape(text)}", soft_wrap=True, highlight=False)
    return code


def _full(error: Exception) -> str:
    if isinstance(error, _known()):
        return _text(error)
    names = (getattr(e, "filename", None) for e in _chain(error))
    where = next((f" (writing {name})" for name in names if name), "")
    return f"the disk is full{where}: free some space and run the command again; what was stored is whole"


def _os(error: OSError) -> str:
    where = error.filename or "a file"
    return f"{where}: {os.strerror(error.errno) if error.errno else error}: check the path and its rights"


def _reader_gone() -> int:
    """The reader of our output has ended (`gbpm tables | head`): nothing to say, and nothing more can be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
