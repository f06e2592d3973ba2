"""A folder without write permission, for root too: root may write everywhere, so for a while it is nobody."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65_534


@contextlib.contextmanager
def no_permission_in(prepare: object = None) -> Iterator[Path]:
    """A folder that this process cannot write; `prepare(folder)` may fill it first. Everything is undone after."""
    folder = Path(tempfile.mkdtemp(prefix="gbpm-rights-"))
    try:
        if callable(prepare):
            prepare(folder)
        is_root = os.geteuid() == 0
        folder.chmod(0o555)
        if is_root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o700)
    finally:
        shutil.rmtree(folder)
