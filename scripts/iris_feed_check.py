"""Load a folder that the stand-in's iris_feed.py wrote, and hold what ends in the lake against its expected.json.

    python scripts/iris_feed_check.py FOLDER [--home DIR] [--again]

FOLDER: bodies, manifest.ndjson, expected.json (`iris_feed.py --dir`). --again: land and load all of it a second time,
which must change nothing. Exit code 0: all of it is met; 1: the differences are printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from gbpm_dagster.ingest.stream import Loader
from gbpm_dagster.iris.landing import Landing
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.iris.feed import Feed, differences, land


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", type=Path, help="keep landing and lake there (default: a temporary folder)")
    parser.add_argument("--again", action="store_true", help="land and load everything twice")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gbpm-feed-") as temporary:
        home = asked.home or Path(temporary)
        feed, landing, lake = Feed.read(asked.folder), Landing(home / "landing"), Lake(home / "lake")
        for _ in range(2 if asked.again else 1):
            begun = time.perf_counter()
            land(feed, landing)
            landed = time.perf_counter()
            loaded = Loader(landing, lake).drain()
            took = time.perf_counter() - landed
            print(f"{loaded.took} messages: landed in {landed - begun:.2f} s, loaded in {took:.2f} s")
            print(f"  {dict(loaded.messages)} {dict(loaded.rows)} unknown {dict(loaded.unknown)}")
        wrong = differences(feed, lake, landing)
    print("\n".join(wrong) if wrong else f"expected.json is met ({len(feed.expected['codes'])} codes)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
