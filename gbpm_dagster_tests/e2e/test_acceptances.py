"""Acceptances of a clock-change day from the stand-in, through the lake: all of its own figures are met exactly."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from gbpm_dagster.analytics.acceptances import reconcile
from gbpm_dagster.analytics.acceptances.day import BOALF, BOAV, BOD, EBOCF, PN, published
from gbpm_dagster.analytics.acceptances.judge import judge
from gbpm_dagster.catalogue import get
from gbpm_dagster.catalogue.derived import ACCEPTANCE_PAIRS, ACCEPTANCES
from gbpm_dagster.orchestration.acceptances_asset import compute
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings
from gbpm_dagster_tests.e2e.standin import absent, running

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(absent()), reason=absent() or "-")]

DAY = date(2024, 10, 27)  # 50 periods
EXACT = 1e-6


def test_every_volume_pair_and_cashflow_is_that_of_the_source(tmp_path: Path) -> None:
    with running(tmp_path / "log", "2024-10-26", "2024-10-28") as server:
        runtime = Runtime(
            Settings.load(
                {
                    "GBPM_HOME": str(tmp_path / "home"),
                    "GBPM_STATE_DIR": str(tmp_path / "state"),
                    "ELEXON_BASE_URL": server.base_url,
                    "ELEXON_MAX_REQUESTS_PER_SECOND": "1000",
                }
            )
        )
        for table in (PN, BOD, BOALF, BOAV, EBOCF):
            for _ in runtime.load(get(table), [DAY - timedelta(days=1), DAY], run_id="test", reason="test"):
                pass
    (outcome,) = compute(runtime, [DAY], "test")
    assert outcome.outcome == "written" and not outcome.message
    rows, pairs = (runtime.lake.read_derived(name, DAY, DAY) for name in (ACCEPTANCES, ACCEPTANCE_PAIRS))
    boav, ebocf = (published(runtime.lake, table, [DAY]) for table in (BOAV, EBOCF))
    for compared in (
        reconcile.volumes(rows, boav),
        reconcile.pair_volumes(pairs, boav),
        reconcile.cashflows(rows, ebocf),
    ):
        assert compared.height >= 100
        assert set(compared["outcome"]) == {reconcile.MATCH}
        difference = (pl.col("ours").fill_null(0) - pl.col("theirs").fill_null(0)).abs().max()
        assert compared.select(difference).item() < EXACT
    assert [j.passed for j in judge(runtime.lake, [DAY])] == [True, True, True]
