"""The real planner and client against the replay: every scope day arrives whole, nothing quarantined, no drift."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gbpm_dagster.catalogue import registry
from gbpm_dagster.catalogue.model import Grain
from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.demo.replay_recordings import scope
from gbpm_dagster.elexon.plan import plan
from gbpm_dagster.elexon.source import Batch, ElexonSource


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


@pytest.mark.parametrize("table", sorted(scope()))
def test_the_client_gets_every_recorded_row_of_the_scope(server: ReplayServer, tmp_path: Path, table: str) -> None:
    dataset = registry.get(table)
    days = [a + timedelta(days=n) for a, b in scope()[table] for n in range((b - a).days + 1)]
    source = ElexonSource(base_url=server.base_url, max_requests_per_second=1000, max_attempts=1, state_dir=tmp_path)

    async def fetch() -> list[Batch]:
        async with source:
            return [await source.fetch(dataset, window) for window in plan(dataset, days)]

    batches = asyncio.run(fetch())
    frame = server.frames[table]
    recorded = frame if dataset.grain is Grain.SNAPSHOT else frame.filter(frame["day"].is_in(days))
    per_record = 11 if table == "bmrs_agpt_series" else 1  # eleven types nested in each record
    assert sum(b.rows.height for b in batches) == recorded.height * per_record
    assert not any(b.quarantined or b.drift or b.unknown_columns for b in batches)
