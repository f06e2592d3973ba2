"""The stand-in of Elexon's API, where it lies beside the project: starting it, and talking to its control paths.

Belongs here: one process on a free port and its levers. Not here: what is compared with it (`truth`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("GBPM_STANDIN", REPOSITORY.parent / "shared" / "standins" / "elexon"))
NEEDS = ("aiohttp", "orjson", "numpy")
START_S = 60.0


def absent() -> str:
    """Why the stand-in cannot run here, in one line; empty if it can."""
    if not (FOLDER / "elexon_standin.py").is_file():
        return f"the stand-in of Elexon's API is not at {FOLDER} (GBPM_STANDIN names another folder)"
    lacking = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    return f"the stand-in needs {', '.join(lacking)}: `make dev` installs them" if lacking else ""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A running stand-in: its address and its levers."""

    root: str  # http://127.0.0.1:PORT

    @property
    def base_url(self) -> str:
        """What ELEXON_BASE_URL must be."""
        return f"{self.root}/bmrs/api/v1"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.root + path, timeout=120) as answer:
            return json.loads(answer.read())

    def control(self, what: str, body: Mapping[str, Any]) -> Any:
        """POST /_control/<what>."""
        asked = urllib.request.Request(f"{self.root}/_control/{what}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(asked, timeout=120) as answer:
            return json.loads(answer.read())

    def faults(self, *rules: Mapping[str, Any]) -> None:
        """These fault rules and no others."""
        self.control("faults", {"clear": True, "add": list(rules)})

    def log(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/_control/log")
        return found

    def reset(self) -> None:
        """As it was when it started: no faults, holes or overrides, run II, an empty log."""
        self.control("faults", {"clear": True})
        self.control("holes", {"clear": True})
        self.control("overrides", {"clear": True})
        self.control("run", {"run": "II"})
        self.control("log/reset", {})


@contextlib.contextmanager
def running(log: Path, first: str, last: str, *, seed: int = 1) -> Iterator[StandIn]:
    """A stand-in of small scale with the data of those days, on a free port of 127.0.0.1; ended with the block."""
    port = _free_port()
    arguments = ["--port", port, "--seed", seed, "--scale", "small", "--from", first, "--to", last, "--cache-mb", 64]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "elexon_standin.py", *map(str, arguments)], cwd=FOLDER, stdout=out, stderr=out
        )
    try:
        found = StandIn(f"http://127.0.0.1:{port}")
        _wait(found, process, log)
        yield found
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: StandIn, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError, ValueError):
            server.get("/_control/now")
            return
        time.sleep(0.1)
    raise RuntimeError(f"the stand-in did not start: {log.read_text(errors='replace')[-500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
