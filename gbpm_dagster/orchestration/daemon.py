"""Dagster's own daemon, told how often to look at backfills.

Belongs here: that one number. Not here: anything the daemon does. Run as `python -m`, arguments as `dagster-daemon`.
"""

from __future__ import annotations

from dagster._daemon.cli import main as dagster_daemon

from gbpm_dagster.orchestration.internal import look_at_backfills_every
from gbpm_dagster.settings import Settings


def main() -> None:
    look_at_backfills_every(Settings.load().backfill_interval_s)
    dagster_daemon()


if __name__ == "__main__":
    main()
