"""`gbpm heal --explain`, `--now`, `--pause`, `--resume`: what a person reads and may say."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.warehouse.protocol import Outcome
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import Gbpm

DAY = date(2024, 1, 5)
SETTINGS = {"GBPM_DATASETS": "bmrs_itsdo, bmrs_mid", "GBPM_HEAL_DELAYS_SECONDS": "3600", "GBPM_HEAL_JITTER": "0"}


@pytest.fixture(scope="module")
def filled(make_gbpm: MakeGbpm, replay: ReplayServer) -> Gbpm:
    """A home of two tables that lack all days from the 5th on; the source answers."""
    made = make_gbpm(replay.base_url, **SETTINGS)
    done = made("backfill", "bmrs_itsdo", "bmrs_mid", "--from", "2024-01-01", "--to", "2024-01-04")
    assert done.code == 0, done.out
    return made


@pytest.fixture
def gbpm(make_gbpm: MakeGbpm, replay: ReplayServer, filled: Gbpm) -> Gbpm:
    return make_gbpm(replay.base_url, home=filled, **SETTINGS)


def test_explain_says_what_would_be_asked_and_asks_nobody(gbpm: Gbpm) -> None:
    tries = gbpm.runtime().lake.attempts().height
    found = gbpm("heal", "--explain", "--json").json
    assert found["waits"] == ""
    assert found["source"] == {"up": True, "since": None, "probe_at": None, "text": "the source is up"}
    assert found["requests"]["a_day"] == 5000
    assert (found["requests"]["used"], found["requests"]["left"]) == (0, 5000)
    lacking = {t: f["classes"]["now"]["ranges"][0][0] for t, f in found["tables"].items()}
    assert set(lacking.values()) == {"2024-01-05"}
    assert set(lacking) == {"bmrs_itsdo", "bmrs_mid"}
    one = gbpm("heal", "bmrs_mid", "--explain")
    assert one.code == 0
    assert "the healer may launch a backfill" in one.out
    assert "requests of healing today: 0 of 5,000 used, 5,000 left" in one.out
    assert "bmrs_mid" in one.out
    assert "bmrs_itsdo" not in one.out
    assert gbpm.runtime().lake.attempts().height == tries


def test_a_waiting_day_says_until_when_and_now_does_not_wait(gbpm: Gbpm) -> None:
    refused = Outcome("bmrs_mid", DAY, "failed", error_class="permanent", requests=1)
    gbpm.runtime().lake.record_failures([refused], reason="heal")
    found = gbpm("heal", "bmrs_mid", "--explain", "--json").json
    waiting = found["tables"]["bmrs_mid"]["classes"]["waiting"]
    until = datetime.fromisoformat(waiting["until"])
    assert 3500 < (until - datetime.now(UTC)).total_seconds() <= 3600
    assert found["next_at"] == waiting["until"]
    assert "2024-01-05" not in gbpm("heal", "bmrs_mid", "--json").json["asked"]["bmrs_mid"]
    asked = gbpm("heal", "bmrs_mid", "--now", "--json").json["asked"]
    assert "2024-01-05" in asked["bmrs_mid"]
    assert set(asked) == {"bmrs_mid"}


def test_pause_and_resume_are_kept_and_said(gbpm: Gbpm) -> None:
    paused = gbpm("heal", "--pause")
    assert (paused.code, paused.out.startswith("the healer is paused since ")) == (0, True)
    assert gbpm("heal", "--explain").out.startswith("the healer waits: paused by a person at ")
    assert gbpm("heal", "--resume").code == 0
    assert gbpm("heal", "--explain").out.startswith("the healer may launch a backfill")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--now"], "--now needs tables"),
        (["--pause", "--resume"], "choose one"),
        (["bmrs_middle", "--explain"], "bmrs_mid"),
    ],
)
def test_bad_words_get_one_line(gbpm: Gbpm, words: list[str], said: str) -> None:
    done = gbpm("heal", *words)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.strip().splitlines()) == 1
    assert said in done.err
