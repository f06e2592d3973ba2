"""Figures as people read them: tables in Markdown, the machine in words, the sections of docs/performance.md.

Belongs here: printing and keeping. Not here: measuring.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
NAMED = ("polars", "deltalake", "aiohttp", "pandas", "requests", "dlt", "dagster")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it reads as text too."""
    lines = [list(head), *(list(r) for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    padded = [" | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(f"| {line} |" for line in [padded[0], " | ".join("-" * w for w in widths), *padded[1:]])


def machine() -> str:
    """One line: processor, memory, system, Python and the versions of what is measured."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    processor = found[1] if found else platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = []
    for name in NAMED:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"no {name}")
    return (
        f"{os.cpu_count()} x {processor}, {memory:.0f} GB, {platform.system()} {platform.release()}, Python "
        f"{platform.python_version()}; {', '.join(versions)}"
    )


def measured_on() -> str:
    """When, and how busy the machine was with other work."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load average {load:.1f} at the end. {machine()}."


def keep(name: str, text: str) -> None:
    """Print a section and put it between its marks in docs/performance.md, in place of the last one."""
    body = f"{text.strip()}\n\n{measured_on()}"
    print(f"{body}\n", flush=True)
    page = PAGE.read_text()
    first, last = f"<!-- {name}: written by make bench -->", f"<!-- {name}: end -->"
    if first not in page or last not in page:
        sys.exit(f"{PAGE} has no marks {first} ... {last}: put them where the figures belong")
    head, rest = page.split(first)
    PAGE.write_text(f"{head}{first}\n{body}\n{last}{rest.split(last)[1]}")


def spread(values: Sequence[float]) -> str:
    """`1.20 (1.10-1.53)`: the median, and the range."""
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
