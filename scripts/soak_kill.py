"""Kill writers of the lake with SIGKILL at hundreds of random moments; exit 1 if any leaves an inconsistent lake.

    python scripts/soak_kill.py --kills 300 [--seed N] [--root DIR]

Called by `make soak`. The writer and the judge are gbpm_dagster_tests/warehouse/killing.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gbpm_dagster_tests.warehouse.killing import Tally, series

FRESH_AFTER = 50  # kills; a new lake now and then also meets the moments in which tables are made


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill lake writers at random moments and check what they leave.")
    parser.add_argument("--kills", type=int, default=300, help="how many writers to kill (default 300)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of the moments (default: the clock)")
    parser.add_argument("--root", type=Path, default=None, help="folder for the lakes (default: a temporary one)")
    asked = parser.parse_args()
    total, begun = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        root = asked.root or Path(scratch)
        done = 0
        while done < asked.kills and not total.wrong:
            part = series(root / f"lake-{done}", min(FRESH_AFTER, asked.kills - done), asked.seed + done)
            done += FRESH_AFTER
            total.kills += part.kills
            total.writes += part.writes
            total.torn += part.torn
            total.wrong += part.wrong
    for line in total.wrong:
        print(line, file=sys.stderr)
    verdict = "consistent after each" if not total.wrong else f"INCONSISTENT: {len(total.wrong)} problems"
    print(
        f"soak_kill: {total.kills} kills in {time.monotonic() - begun:.0f} s, {total.writes} generations written, "
        f"{total.torn} kills in the middle of one, {verdict} (seed {asked.seed})"
    )
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
