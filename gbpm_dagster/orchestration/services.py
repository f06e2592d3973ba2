"""The services of a home: one code server, the webserver, the daemon; started together, stopped together.

Belongs here: processes and their addresses. Not here: what they run (definitions.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import yaml

from gbpm_dagster.orchestration.instance import TOGETHER, write_dagster_yaml
from gbpm_dagster.settings import Settings
from gbpm_dagster.warehouse.home import own

STATE = "services.json"
READY_S, STOP_S = 180.0, 20.0


class ServiceError(RuntimeError):
    """A service could not start or has ended; the message names it, its log and what to do."""


@dataclass
class Services:
    """Running services. url: the web UI. Logs are in `<home>/logs`."""

    url: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def ended(self) -> str:
        """The name of a service that has ended by itself, or ''."""
        return next((n for n, p in self.processes.items() if p.poll() is not None), "")


@contextlib.contextmanager
def running(settings: Settings, environ: Mapping[str, str] | None = None) -> Iterator[Services]:
    """Own the home and run its services until the block ends; raises HomeInUse, ServiceError."""
    state = settings.home / "state" / STATE
    # The home first: who starts a second `gbpm up` is told of the first one, not of its port.
    with own_home(settings), _ended_by_signals(), contextlib.ExitStack() as stack:
        folder = write_dagster_yaml(settings)
        _end_leftovers(state, folder)
        port = _free_port(settings.host, settings.port)
        services = Services(f"http://{settings.host}:{port}")
        stack.callback(_stop, services)
        env = {**TOGETHER, **os.environ, **(environ or {}), "GBPM_HOME": str(settings.home)}
        env["DAGSTER_HOME"] = str(folder)
        env["DAGSTER_DISABLE_TELEMETRY"] = "1"
        _start_all(settings, services, env, port)
        pids = [p.pid for p in services.processes.values()]
        state.write_text(json.dumps({"url": services.url, "pid": os.getpid(), "services": pids}))
        stack.callback(lambda: state.unlink(missing_ok=True))
        yield services


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that a service manager stops the services too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {s: signal.signal(s, interrupt) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_leftovers(state: Path, folder: Path) -> None:
    """End services of this home whose `gbpm up` was killed: only pids it wrote down, only if they still are ours."""
    try:
        pids = [int(pid) for pid in json.loads(state.read_text())["services"]]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for pid in pids:
        shown = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        if str(folder) in shown.stdout:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    state.unlink(missing_ok=True)


def own_home(settings: Settings) -> contextlib.AbstractContextManager[object]:
    from gbpm_dagster.warehouse.home import open_home

    return own(open_home(settings.home), what="gbpm up")


def address(settings: Settings) -> str | None:
    """The address of the home's running web UI, or None when no `gbpm up` runs there."""
    try:
        found = json.loads((settings.home / "state" / STATE).read_text())
        os.kill(int(found["pid"]), 0)
        return str(found["url"]) if httpx.get(f"{found['url']}/server_info", timeout=5).status_code == 200 else None
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return None


def _start_all(settings: Settings, services: Services, env: dict[str, str], port: int) -> None:
    logs = settings.logs
    socket_file = Path(env["DAGSTER_HOME"]) / f"code-{os.getpid()}.sock"
    workspace = Path(env["DAGSTER_HOME"]) / "workspace.yaml"
    workspace.write_text(
        yaml.safe_dump({"load_from": [{"grpc_server": {"socket": str(socket_file), "location_name": "gbpm"}}]})
    )
    python = [sys.executable, "-m"]
    code = [*python, "dagster", "api", "grpc", "--socket", str(socket_file), "-m", "gbpm_dagster.definitions"]
    # A socket file cannot be shared by accident, as a port can (dagster-notes.md, pitfalls).
    _start(services, "code server", [*code, "--location-name", "gbpm"], env, logs)
    _wait("code server", services, logs, socket_file.exists)
    where = ["-w", str(workspace)]
    _start(services, "daemon", [*python, "gbpm_dagster.orchestration.daemon", "run", *where], env, logs)
    web = [*python, "dagster_webserver", "-h", settings.host, "-p", str(port), *where]
    _start(services, "webserver", web, env, logs)
    _wait("webserver", services, logs, lambda: _answers(services.url))


def _start(services: Services, name: str, command: list[str], env: dict[str, str], logs: Path) -> None:
    log: IO[bytes] = (logs / f"{name.replace(' ', '-')}.log").open("ab")
    with log:
        # A session of its own: Ctrl-C reaches us alone, and we stop the services in order.
        services.processes[name] = subprocess.Popen(
            command, env=env, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )


def _wait(name: str, services: Services, logs: Path, ready: object) -> None:
    assert callable(ready)
    deadline = time.monotonic() + READY_S
    while not ready():
        ended = services.ended()
        if ended or time.monotonic() > deadline:
            log = logs / f"{(ended or name).replace(' ', '-')}.log"
            what = "ended" if ended else f"was not ready after {READY_S:.0f} s"
            raise ServiceError(f"the {ended or name} {what}; its log is {log}: {_last_line(log)}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/server_info", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _stop(services: Services) -> None:
    """Ask each to end, last started first; kill what has not ended after STOP_S. Only our own processes, by pid."""
    for process in reversed(services.processes.values()):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + STOP_S
    for process in services.processes.values():
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port(host: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServiceError(
                f"port {port} on {host} is taken ({error.strerror}): "
                "choose another with --port or GBPM_PORT (0 = a free one)"
            ) from None
        return int(probe.getsockname()[1])


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "(no log)"
    return lines[-1][:300] if lines else "(empty)"
