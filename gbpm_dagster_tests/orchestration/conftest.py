"""A home on a folder of the test, fed by the replay server over real HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.demo.withhold import Withholding
from gbpm_dagster.orchestration.assets import REASON_TAG
from gbpm_dagster.orchestration.build import build_definitions
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster.orchestration.launch import QUIET, RANGE_END, RANGE_START
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings

TABLES = "bmrs_costs,bmrs_mid,bmrs_indo"
NOW = "2024-01-08T12:00:00Z"


def days(first: str, last: str | None = None) -> list[date]:
    """London days from first to last, both included."""
    begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]


@dataclass
class Home:
    """One home: its settings, runtime, instance, definitions and source."""

    settings: Settings
    instance: dg.DagsterInstance
    replay: ReplayServer | None
    runtime: Runtime = field(init=False)
    defs: dg.Definitions = field(init=False)

    def __post_init__(self) -> None:
        self.runtime = Runtime(self.settings)
        self.defs = build_definitions(self.settings)

    def run(
        self,
        table: str,
        first: str,
        last: str | None = None,
        *,
        reason: str = "test",
        tags: Mapping[str, str] | None = None,
        **config: Any,
    ) -> dg.ExecuteInProcessResult:
        """One run of one table over a range of days, as the daemon would start it."""
        settings = {"ops": {table: {"config": config}}} if config else {}
        return self.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(table)],
            tags={RANGE_START: first, RANGE_END: last or first, REASON_TAG: reason, **(tags or {})},
            run_config={**QUIET, **settings},
            raise_on_error=False,
        )

    def load(self, table: str, first: str, last: str | None = None) -> None:
        """Fill the warehouse without Dagster."""
        dataset = self.runtime.named([table])[0]
        for _ in self.runtime.load(dataset, days(first, last), run_id="test", reason="test"):
            pass


HomeMaker = Callable[..., Home]


@pytest.fixture
def home(tmp_path: Path, new_instance: Path, recordings: Path) -> Iterator[HomeMaker]:
    """home(withheld rules, **environment) -> Home; replay=False: no source answers; lake: a folder to begin with."""
    with ExitStack() as stack:

        def make(
            withheld: list[Mapping[str, Any]] | None = None,
            *,
            replay: bool = True,
            lake: Path | None = None,
            **environ: str,
        ) -> Home:
            server = ReplayServer(recordings, Withholding.of(withheld or [])) if replay else None
            if server:
                stack.enter_context(server)
            settings = Settings.load(
                {
                    "GBPM_HOME": str(tmp_path / "home"),
                    "GBPM_STATE_DIR": str(tmp_path / "state"),
                    "ELEXON_BASE_URL": server.base_url if server else "http://127.0.0.1:9",
                    "ELEXON_MAX_REQUESTS_PER_SECOND": "1000",
                    "ELEXON_BACKOFF_SECONDS": "0",
                    "ELEXON_MAX_ATTEMPTS": "2",
                    "GBPM_DATASETS": TABLES,
                    "GBPM_HISTORY_START": "2024-01-01",
                    "GBPM_NOW": NOW,
                    **environ,
                }
            )
            shutil.copytree(new_instance, settings.dagster_home, dirs_exist_ok=True)
            if lake:
                shutil.copytree(lake, settings.lake, dirs_exist_ok=True)
            return Home(settings, stack.enter_context(open_instance(settings)), server)

        yield make
