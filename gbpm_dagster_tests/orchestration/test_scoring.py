"""The asset `gbpm_scorecard`: what it keeps is what SQL shows, and its picture."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from datetime import date

import dagster as dg
import pytest

from gbpm_dagster.orchestration import scoring
from gbpm_dagster_tests.orchestration.conftest import HomeMaker

TWO = "bmrs_mid,bmrs_indo"


def test_the_asset_keeps_the_scores_of_the_whole_history_for_sql(home: HomeMaker) -> None:
    here = home(GBPM_DATASETS=TWO)
    here.load("bmrs_mid", "2024-01-02", "2024-01-07")
    here.runtime.checks(which=("validity",))
    done = here.defs.resolve_job_def(scoring.JOB).execute_in_process(instance=here.instance)
    assert done.success
    (event,) = done.asset_materializations_for_node("gbpm_scorecard")
    rows = here.runtime.lake.sql("SELECT * FROM gbpm_scorecard WHERE \"table\" = 'bmrs_mid' ORDER BY day").to_dicts()
    assert [r["day"] for r in rows] == [date(2024, 1, d) for d in range(1, 9)]
    # The home began long after these days, so that nobody watched when they came.
    full = {"completeness": 1, "timeliness": None, "uniqueness": 1, "validity": 1, "score": 100, "grade": "A"}
    assert [{k: r[k] for k in full} for r in rows[1:7]] == [full] * 6
    lost = {"completeness": 0, "timeliness": None, "uniqueness": None, "validity": None, "score": 0, "grade": "D"}
    assert {k: rows[0][k] for k in lost} == lost
    assert event.metadata["dagster/row_count"].value == 16
    assert event.metadata["worst"].value == "bmrs_indo 0.0, bmrs_mid 85.7"
    # importance 1 and 4: weights 9 and 6
    weights = {d.table: 10 - d.importance for d in here.runtime.datasets}
    mean = (weights["bmrs_mid"] * 600 / 7) / sum(weights.values())
    assert event.metadata["platform score"].value == pytest.approx(mean, abs=0.01)
    chart = event.metadata["chart"]
    assert isinstance(chart, dg.MarkdownMetadataValue)
    svg = base64.b64decode(str(chart.value).partition("base64,")[2].rstrip(")"))
    titles = [t.text for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert titles.count("2024-01-03: 100.0 A") == 1
    assert titles.count("2024-01-01: 0.0 D") == 2


def test_kept_again_it_replaces_itself(home: HomeMaker) -> None:
    here = home(GBPM_DATASETS=TWO)
    for _ in range(2):
        scoring.keep(here.runtime)
    found = here.runtime.lake.sql('SELECT "table", count(*) AS n FROM gbpm_scorecard GROUP BY ALL ORDER BY 1').rows()
    assert found == [("bmrs_indo", 8), ("bmrs_mid", 8)]
    here.load("bmrs_mid", "2024-01-02")
    scoring.keep(here.runtime)
    assert here.runtime.lake.sql("SELECT count(*) FROM gbpm_scorecard WHERE score = 100").item() == 1


def test_an_empty_home_can_be_scored(home: HomeMaker) -> None:
    here = home(replay=False, GBPM_DATASETS="bmrs_mid", GBPM_HISTORY_START="2024-01-08")
    found = scoring.keep(here.runtime)
    assert found["dagster/row_count"] == 1
    assert "platform score" not in found
