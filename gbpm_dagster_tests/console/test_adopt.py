"""`gbpm adopt events`: what it says, its exit codes, a Ctrl-C, and two at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.orchestration import adoption
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import Gbpm, end
from gbpm_dagster_tests.orchestration.conftest import days

WEEK = days("2024-01-01", "2024-01-07")


@pytest.fixture
def gbpm(make_gbpm: MakeGbpm, replay: ReplayServer) -> Gbpm:
    """A home whose lake was filled without Dagster."""
    made = make_gbpm(replay.base_url)
    runtime = made.runtime()
    for table in ("bmrs_mid", "bmrs_indo"):
        for _ in runtime.load(runtime.named([table])[0], WEEK, run_id="import", reason="import"):
            pass
    return made


def told(gbpm: Gbpm, table: str) -> Counter[str | None]:
    with open_instance(gbpm.runtime().settings) as instance:
        records = instance.fetch_materializations(dg.AssetKey(table), limit=100).records
    return Counter(r.partition_key for r in records)


ONCE = dict.fromkeys((d.isoformat() for d in WEEK), 1)


def test_it_says_what_it_told_and_the_second_time_that_all_is_known(gbpm: Gbpm) -> None:
    done = gbpm("adopt", "events")
    assert done.code == 0, done.err
    assert "bmrs_mid 7 0 bmrs_indo 7 0" in done.words
    assert "14 days told to Dagster in" in done.words and "; 0 were known" in done.words
    again = gbpm("adopt", "events")
    assert again.code == 0
    assert "0 days told to Dagster in" in again.words and "; 14 were known" in again.words
    assert told(gbpm, "bmrs_mid") == told(gbpm, "bmrs_indo") == ONCE


def test_json_and_one_table(gbpm: Gbpm) -> None:
    done = gbpm("adopt", "events", "mid", "--json")
    said = done.json
    assert (done.code, done.err) == (0, "")
    assert said["tables"] == {"bmrs_mid": {"told": 7, "known": 0, "in_flight": 0, "unwanted": 0}}
    assert said["told"] == 7 and said["seconds"] >= 0 and list(said) == ["tables", "told", "seconds"]
    assert told(gbpm, "bmrs_indo") == {}


def test_days_before_the_homes_history_are_counted_and_left(gbpm: Gbpm) -> None:
    done = gbpm("adopt", "events", "bmrs_mid", GBPM_HISTORY_START="2024-01-03")
    assert "5 days told to Dagster" in done.words
    assert "2 are stored and not wanted in this home (GBPM_HISTORY_START, scope)" in done.words


def test_an_empty_home_has_nothing_to_tell(make_gbpm: MakeGbpm) -> None:
    done = make_gbpm()("adopt", "events")
    assert (done.code, done.words.startswith("0 days told to Dagster in")) == (0, True)


def test_what_is_no_table_is_refused(gbpm: Gbpm) -> None:
    done = gbpm("adopt", "events", "bmrs_midd")
    assert (done.code, "there is no table 'bmrs_midd': did you mean bmrs_mid" in done.words) == (2, True)
    assert gbpm("adopt", "nonsense").code == 2


def test_ctrl_c_says_how_far_it_came_and_the_next_goes_on(gbpm: Gbpm, monkeypatch: pytest.MonkeyPatch) -> None:
    real = adoption.report

    def interrupted(*args: Any) -> Iterator[int]:
        instance, dataset, rows, event = args
        yield from real(instance, dataset, rows.head(3), event)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(adoption, "report", interrupted)
        done = gbpm("adopt", "events")
    assert done.code == 130
    assert (
        "interrupted: 3 of 14 stored days are known to Dagster; `gbpm adopt events` goes on from there" in done.words
    )
    assert gbpm("adopt", "events", "--json").json["told"] == 11
    assert told(gbpm, "bmrs_mid") == told(gbpm, "bmrs_indo") == ONCE


def test_two_at_once_tell_each_day_once(gbpm: Gbpm) -> None:
    both = [gbpm.program("adopt", "events", "--json") for _ in range(2)]
    done = [end(program) for program in both]
    assert [d.code for d in done] == [0, 0], [d.err for d in done]
    assert sum(d.json["told"] for d in done) == 14
    assert told(gbpm, "bmrs_mid") == told(gbpm, "bmrs_indo") == ONCE
