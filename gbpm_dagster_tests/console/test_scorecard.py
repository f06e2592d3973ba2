"""`gbpm scorecard` as a person and as a program read it."""

from __future__ import annotations

import csv
import io

import pytest

from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import WEEK, Gbpm
from gbpm_dagster_tests.console.faults import FaultySource


@pytest.fixture(scope="module")
def gbpm(make_gbpm: MakeGbpm, source: FaultySource) -> Gbpm:
    """bmrs_mid of 2 to 7 January, judged; nothing of bmrs_indo."""
    made = make_gbpm(source.base_url)
    assert made("backfill", "bmrs_mid", "--from", "2024-01-02", "--to", "2024-01-07").code == 0
    return made


def test_as_json(gbpm: Gbpm) -> None:
    found = gbpm("scorecard", *WEEK, "--json").json
    assert list(found) == ["platform", "worst", "tables"]
    mid = found["tables"]["bmrs_mid"]
    assert (mid["days"], mid["grade"]) == (7, "D")
    assert mid["score"] == pytest.approx(600 / 7)
    assert mid["by_day"]["2024-01-03"] == {
        "completeness": 1.0,
        "timeliness": None,
        "uniqueness": 1.0,
        "validity": 1.0,
        "score": 100.0,
        "grade": "A",
    }
    assert found["worst"][0] == {"table": "bmrs_indo", "score": 0.0}
    assert 0 < found["platform"] < mid["score"]


def test_as_csv(gbpm: Gbpm) -> None:
    rows = list(csv.DictReader(io.StringIO(gbpm("scorecard", "bmrs_mid", *WEEK, "--csv").out)))
    assert [(r["day"], r["grade"]) for r in rows] == [
        ("2024-01-01", "D"),
        *((f"2024-01-0{n}", "A") for n in range(2, 8)),
    ]


def test_for_a_person_in_80_columns(gbpm: Gbpm) -> None:
    done = gbpm("scorecard")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].rstrip() == "scorecard 2024-01-01 to 2024-01-07"
    assert max(len(line) for line in lines[:-2]) <= 80
    (mid,) = [line for line in lines if line.strip().startswith("bmrs_mid")]
    assert mid.split() == ["bmrs_mid", "85.7", "D", "85.7", "-", "100.0", "100.0", "█" * 7]
    assert "worst: bmrs_indo 0.0, bmrs_mid 85.7" in lines[-1]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("bmrs_mdi",), "bmrs_mdi"),
        (("--from", "2024-13-01"), "--from"),
        (("--json", "--csv"), "choose one"),
    ],
)
def test_bad_usage(gbpm: Gbpm, args: tuple[str, ...], said: str) -> None:
    done = gbpm("scorecard", *args)
    assert (done.code, said in done.words) == (2, True), done
