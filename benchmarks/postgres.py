"""A PostgreSQL server of our own in a temporary folder, where one is installed.

Belongs here: finding, starting, stopping it. Not here: what it is asked.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LACKING = (
    "PostgreSQL storage not measured: no server is installed here (Debian, Ubuntu: apt-get install postgresql; "
    "macOS: brew install postgresql)"
)


def programs() -> Path | None:
    """The folder with initdb and pg_ctl, the newest there is; None where no server is installed."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql*/bin")]
    on_path = shutil.which("initdb")
    found += [Path(on_path).resolve().parent] if on_path else []
    whole = [folder for folder in found if (folder / "initdb").exists() and (folder / "pg_ctl").exists()]
    return max(whole, key=lambda folder: [int(n) for n in folder.parent.name.split(".") if n.isdigit()], default=None)


@contextmanager
def server() -> Iterator[str | None]:
    """The address of a fresh server while the block lasts, or None where there is no PostgreSQL.

    As root it runs as the user `postgres`, as it must not run as root.
    """
    folder = programs()
    user = _user()
    if folder is None or (os.geteuid() == 0 and user is None):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="gbpm-pg-") as name:
        data = Path(name)
        if user is not None:
            os.chown(data, user.pw_uid, user.pw_gid)
        as_user = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]

        def call(*command: str) -> None:
            subprocess.run(
                command, check=True, cwd=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_user
            )

        call(str(folder / "initdb"), "-D", str(data / "db"), "-U", "gbpm", "-A", "trust", "--no-instructions")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data}"
        control = (str(folder / "pg_ctl"), "-D", str(data / "db"), "-w")
        call(*control, "-l", str(data / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg2://gbpm@127.0.0.1:{port}/postgres"
        finally:
            call(*control, "-m", "immediate", "stop")


def _user() -> pwd.struct_passwd | None:
    """Whom the server runs as, where that is not us."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None
