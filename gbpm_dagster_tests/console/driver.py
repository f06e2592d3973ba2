"""`gbpm` as tests drive it: in this process on a home of their own, or as a program where pids and signals matter."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gbpm_dagster import cli
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings

NOW = "2024-01-08T12:00:00Z"
TABLES = "bmrs_mid bmrs_indo"
WEEK = ("--from", "2024-01-01", "--to", "2024-01-07")
DEAD = "http://127.0.0.1:9/bmrs/api/v1"
"""Nobody listens on the discard port."""


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """Everything it said, folded cells joined by single spaces."""
        return " ".join(f"{self.out} {self.err}".replace("│", " ").split())


@dataclass
class Gbpm:
    """gbpm("backfill", ...) -> Done, with these environment variables and no others of ours."""

    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *args: str, **more: str) -> Done:
        """In this process. more: environment variables of this call."""
        out, err = io.StringIO(), io.StringIO()
        with self._environment(more), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.run(list(args))
        return Done(code, out.getvalue(), err.getvalue())

    def program(self, *args: str, **more: str) -> subprocess.Popen[str]:
        """As a program of its own; nothing is waited for."""
        command = [sys.executable, "-m", "gbpm_dagster.cli", *args]
        return subprocess.Popen(
            command,
            env=self._whole(more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def finish(self, *args: str, **more: str) -> Done:
        """As a program, waited for."""
        return end(self.program(*args, **more))

    def runtime(self, **more: str) -> Runtime:
        return Runtime(Settings.load({**self.environment, **more}))

    @property
    def home(self) -> Path:
        return Path(self.environment["GBPM_HOME"])

    @contextlib.contextmanager
    def _environment(self, more: Mapping[str, str]) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in [n for n in os.environ if n.startswith(("GBPM_", "ELEXON_"))]:
                patch.delenv(name)
            for name, value in {"COLUMNS": "80", **self.environment, **more}.items():
                patch.setenv(name, value)
            yield

    def _whole(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("GBPM_", "ELEXON_"))}
        return {**kept, "COLUMNS": "80", **self.environment, **more}


def end(program: subprocess.Popen[str], timeout_s: float = 120) -> Done:
    out, err = program.communicate(timeout=timeout_s)
    return Done(program.returncode, out, err)


def environment(folder: Path, base_url: str = DEAD, **more: str) -> dict[str, str]:
    """A home in that folder, fed from `base_url` without waits, at a pinned now."""
    return {
        "GBPM_HOME": str(folder / "home"),
        "GBPM_STATE_DIR": str(folder / "state"),
        "ELEXON_BASE_URL": base_url,
        "ELEXON_MAX_REQUESTS_PER_SECOND": "10000",
        "ELEXON_BACKOFF_SECONDS": "0",
        "ELEXON_MAX_ATTEMPTS": "2",
        "ELEXON_TIMEOUT_SECONDS": "20",
        "GBPM_DATASETS": TABLES,
        "GBPM_HISTORY_START": "2024-01-01",
        "GBPM_NOW": NOW,
        **more,
    }


def rows_of(gbpm: Gbpm, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every stored row of those tables, without when it was received."""
    runtime = gbpm.runtime()
    return {
        d.table: runtime.lake.read(d).drop("_fetched_at").rows()
        for d in runtime.named(list(tables) or TABLES.split())
    }
