"""Every benchmark, one after the other; the figures go to docs/performance.md (`make bench`).

Run: `.venv/bin/python -m benchmarks [NAME ...]` (history, runs, memory, interface, adopt, parts). Exit 1 if one
failed its own check; the others are run all the same.
"""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.figures import keep
from benchmarks.server import ROOT

MODULES = ("history", "runs", "memory", "interface", "adopt")
PARTS = ("bench_shares", "bench_decode", "bench_events", "bench_checks", "bench_acceptances", "bench_gaps")
"""Benchmarks of a part alone; their own words are kept."""


def run(name: str) -> bool:
    """Whether it ended well."""
    print(f"== benchmarks.bench_{name}", file=sys.stderr, flush=True)
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", f"benchmarks.bench_{name}"], cwd=ROOT, check=False)
    print(f"== {name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return done.returncode == 0


def parts() -> bool:
    """The small benchmarks of single parts, as they print them."""
    said = []
    for name in PARTS:
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return False
        said.append(done.stdout.rstrip())
    keep("parts", "```\n" + "\n".join(said) + "\n```")
    return True


def main() -> None:
    wanted = sys.argv[1:] or [*MODULES, "parts"]
    unknown = set(wanted) - {*MODULES, "parts"}
    if unknown:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join([*MODULES, 'parts'])}")
    failed = [name for name in wanted if not (parts() if name == "parts" else run(name))]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
