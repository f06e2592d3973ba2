"""Homes, the replay and the faulty source that the tests of the commands share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster_tests.console.driver import Gbpm, environment
from gbpm_dagster_tests.console.faults import FaultySource, faulty

MakeGbpm = Callable[..., Gbpm]


@pytest.fixture(scope="session")
def replay(recordings: Path) -> Iterator[ReplayServer]:
    """The recordings of the few tables used here, over HTTP."""
    with ReplayServer(recordings) as server:
        yield server


@pytest.fixture(scope="module")
def source(replay: ReplayServer) -> Iterator[FaultySource]:
    with faulty(replay.base_url) as found:
        yield found


@pytest.fixture(scope="module")
def make_gbpm(tmp_path_factory: pytest.TempPathFactory, new_instance: Path) -> MakeGbpm:
    """make_gbpm(base_url, **environment) -> Gbpm on a new home, or (home=Gbpm) on a copy of another's."""

    def make(base_url: str = "", *, home: Gbpm | None = None, **more: str) -> Gbpm:
        folder = tmp_path_factory.mktemp("gbpm")
        gbpm = Gbpm(environment(folder, base_url, **more) if base_url else environment(folder, **more))
        if home:
            shutil.copytree(home.home, gbpm.home)
        else:
            shutil.copytree(new_instance, gbpm.home / "dagster")
        return gbpm

    return make
