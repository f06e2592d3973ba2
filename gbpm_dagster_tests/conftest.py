"""What all tests share: property tests without a deadline (machines are shared), the same examples in each run; a new
Dagster instance, and a few recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from gbpm_dagster.demo.replay_recordings import RECORDINGS
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.settings import Settings

FEW = ("bmrs_costs", "bmrs_mid", "bmrs_indo", "bmrs_itsdo", "ref_bmunits")

settings.register_profile("gbpm", deadline=None, derandomize=True)
settings.load_profile("gbpm")


@pytest.fixture(scope="session")
def new_instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new home's `dagster` folder: its tables take a second to make, and no time to copy."""
    folder = tmp_path_factory.mktemp("instance")
    with open_instance(Settings.load({"GBPM_HOME": str(folder)})) as instance:
        instance.get_runs()
    return folder / "dagster"


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recordings of a few small tables: a replay of all of them takes longer to start than most tests."""
    folder = tmp_path_factory.mktemp("recordings")
    for file in RECORDINGS.glob("*.ndjson.gz"):
        if file.name.split(".")[0] in FEW:
            (folder / file.name).symlink_to(file)
    return folder
