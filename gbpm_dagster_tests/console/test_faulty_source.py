"""A source that misbehaves: each day succeeds or fails by itself, and says what happened and what to do."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import DEAD, WEEK, Done, Gbpm, rows_of
from gbpm_dagster_tests.console.faults import FOREVER, FaultySource, Spoil
from gbpm_dagster_tests.elexon.scripted import Answer

HTML = b"<!DOCTYPE html><html><head><title>Scheduled maintenance</title></head></html>"
MISSING = ("backfill", "bmrs_indo", *WEEK, "--missing", "--json")


@pytest.fixture(scope="module")
def whole(make_gbpm: MakeGbpm, source: FaultySource) -> Gbpm:
    """A home filled in one go from the source without faults."""
    source.clear()
    gbpm = make_gbpm(source.base_url)
    assert gbpm("backfill", "--all", *WEEK).code == 0
    return gbpm


@pytest.fixture
def clean(source: FaultySource, whole: Gbpm) -> FaultySource:
    """The source without faults, when the undisturbed home is there."""
    source.clear()
    return source


def reasons(done: Done, table: str = "bmrs_indo") -> dict[str, str]:
    found: dict[str, str] = done.json["tables"][table]["missing"]
    return found


def test_seven_days_with_six_faults_one_run(whole: Gbpm, make_gbpm: MakeGbpm, clean: FaultySource) -> None:
    """HTML, cut JSON, 404, 429, another day's rows, a broken connection: six days named, one stored; then healed."""
    clean.fault("2024-01-02", Answer(HTML, 200, "text/html"), times=FOREVER)
    clean.fault("2024-01-03", Spoil(cut=0.6), times=FOREVER)
    clean.fault("2024-01-04", Answer(b'{"message":"Resource not found"}', 404), times=FOREVER)
    clean.fault("2024-01-05", Answer(b"slow down", 429, "text/plain"), times=FOREVER)
    clean.fault("2024-01-06", Spoil(shift=("2024-01-06", "2024-03-06")), times=FOREVER)
    clean.fault("2024-01-07", Answer(reset=True), times=FOREVER)
    gbpm = make_gbpm(clean.base_url)
    done = gbpm("backfill", "bmrs_indo", *WEEK, "--json")
    assert done.code == 3
    said = reasons(done)
    assert list(said) == [f"2024-01-0{n}" for n in range(2, 8)]
    for day, words in {
        "2024-01-02": ("text/html where JSON was due", "Scheduled maintenance", "--missing"),
        "2024-01-03": ("JSON that is cut short or broken", "--missing"),
        "2024-01-04": ("404 Not Found", "Resource not found", "Asking again will not help"),
        "2024-01-05": ("429 Too Many Requests", "slow down", "--missing"),
        "2024-01-06": ("outside the window", "Nothing of it was stored"),
        "2024-01-07": (clean.base_url, "ELEXON_BASE_URL"),
    }.items():
        for each in ("bmrs_indo", day, *words):
            assert each in said[day], (day, each, said[day])
    assert done.json["tables"]["bmrs_indo"] | {"missing": {}} == {"complete": 1, "rows": 48, "missing": {}}
    _only_whole_days(gbpm, whole)
    shown = gbpm("check", "bmrs_indo", *WEEK)
    assert shown.code == 3
    assert "1 of 7 days complete" in shown.words

    asked = [day for day, _ in clean.asked]
    assert asked.count("2024-01-04") == 1  # permanent: once
    assert asked.count("2024-01-02") == 2  # transient: ELEXON_MAX_ATTEMPTS
    assert done.json["requests"] == len(asked)

    clean.clear()
    healed = gbpm(*MISSING)
    assert (healed.code, reasons(healed)) == (0, {})
    assert sorted({day for day, _ in clean.asked}) == list(said)
    assert rows_of(gbpm, "bmrs_indo") == rows_of(whole, "bmrs_indo")


def _only_whole_days(gbpm: Gbpm, whole: Gbpm) -> None:
    """What is stored is stored whole: day by day the rows of the undisturbed home, or none and no evidence."""
    table = gbpm.runtime().named(["bmrs_indo"])[0]
    mine, theirs = (g.runtime().lake.read(table).drop("_fetched_at") for g in (gbpm, whole))
    evidence = gbpm.runtime().lake.evidence(["bmrs_indo"])
    assert mine["_day"].unique().sort().to_list() == evidence["day"].to_list()
    for day in mine["_day"].unique():
        assert mine.filter(_day=day).equals(theirs.filter(_day=day))


def test_faults_that_pass_are_retried_and_leave_no_trace(
    whole: Gbpm, make_gbpm: MakeGbpm, clean: FaultySource
) -> None:
    clean.fault("2024-01-01", Answer(b"", 429, headers={"Retry-After": "1"}))
    clean.fault("2024-01-02", Answer(b"", 429))
    clean.fault("2024-01-03", Answer(HTML, 503, "text/html"))
    clean.fault("2024-01-04", Spoil(cut=0.3))
    clean.fault("2024-01-05", Spoil(shift=("2024-01-05", "2024-03-05")))  # mixed up once, by a cache
    gbpm = make_gbpm(clean.base_url)
    began = time.monotonic()
    done = gbpm("backfill", "bmrs_indo", *WEEK, "--json")
    assert (done.code, reasons(done)) == (0, {})
    assert time.monotonic() - began >= 1  # Retry-After was waited for
    assert done.json["requests"] == len(clean.asked) == 12
    assert rows_of(gbpm, "bmrs_indo") == rows_of(whole, "bmrs_indo")


def test_a_server_that_is_down_fails_every_day_by_name_and_quickly(make_gbpm: MakeGbpm) -> None:
    gbpm = make_gbpm(DEAD)
    done = gbpm("backfill", "--all", *WEEK, "--json")
    assert done.code == 3  # the run was made and recorded; what it was for is missing
    assert len(done.json["runs"]) == 2
    for table in ("bmrs_mid", "bmrs_indo"):
        said = reasons(done, table)
        assert len(said) == 7
        assert all(DEAD in why and "ELEXON_BASE_URL" in why for why in said.values())
    assert done.json["requests"] <= 2 + 2 * 7
    shown = gbpm("backfill", "bmrs_mid", *WEEK)
    assert shown.code == 3
    assert "no connection to" in shown.words


def test_a_window_the_source_finds_too_long_is_asked_in_pieces(
    whole: Gbpm, make_gbpm: MakeGbpm, clean: FaultySource
) -> None:
    gbpm = make_gbpm(clean.base_url)
    assert gbpm("plan", "bmrs_mid", *WEEK, "--json").json["tables"]["bmrs_mid"]["requests"] == 1
    clean.refuse_longer_than(2)
    done = gbpm("backfill", "bmrs_mid", *WEEK, "--json")
    assert done.code == 0, done.out
    statuses = [status for _, status in clean.asked]
    assert (statuses.count(400), statuses.count(200)) == (1, 4)
    assert done.json["tables"]["bmrs_mid"] == {"complete": 7, "rows": 672, "missing": {}}
    assert rows_of(gbpm, "bmrs_mid") == rows_of(whole, "bmrs_mid")
    clean.asked.clear()
    again = gbpm("backfill", "bmrs_mid", *WEEK, "--json")  # the cap is remembered
    assert (again.code, again.json["requests"]) == (0, 4)
    assert {status for _, status in clean.asked} == {200}
    assert gbpm("plan", "bmrs_mid", *WEEK, "--json").json["tables"]["bmrs_mid"]["requests"] == 4


def test_a_window_refused_for_another_reason_is_not_cut(make_gbpm: MakeGbpm, clean: FaultySource) -> None:
    body = b'{"errors":{"from":["The value is not valid."]},"title":"One or more validation errors occurred."}'
    clean.fault("2024-01-01", Answer(body, 400, "application/problem+json"), times=FOREVER)
    gbpm = make_gbpm(clean.base_url)
    done = gbpm("backfill", "bmrs_mid", "--from", "2024-01-01", "--to", "2024-01-03", "--json")
    assert done.code == 3
    assert set(reasons(done, "bmrs_mid")) == {"2024-01-01", "2024-01-02", "2024-01-03"}
    assert "The value is not valid" in reasons(done, "bmrs_mid")["2024-01-02"]
    assert len(clean.asked) == 1


@pytest.mark.parametrize(("keep", "left"), [(40, 40), (0, 0)], ids=["smaller", "empty"])
def test_a_smaller_answer_is_held_until_it_is_confirmed(
    whole: Gbpm, make_gbpm: MakeGbpm, clean: FaultySource, keep: int, left: int
) -> None:
    gbpm = make_gbpm(clean.base_url, home=whole)
    before = rows_of(gbpm)
    clean.fault("2024-01-03", Spoil(keep=keep), times=2)
    asks = ("backfill", "bmrs_indo", "--from", "2024-01-02", "--to", "2024-01-04", "--json")
    done = gbpm(*asks)
    assert done.code == 3
    assert list(reasons(done)) == ["2024-01-03"]
    said = reasons(done)["2024-01-03"]
    assert said.startswith("kept as it was: ")
    assert f"has {keep} distinct keys, fewer than the 48" in said
    assert "the same answer to a later request will replace it" in said
    assert done.json["tables"]["bmrs_indo"]["complete"] == 3  # the old day is whole
    assert rows_of(gbpm) == before

    confirmed = gbpm(*asks)
    rows = {r["_day"].isoformat(): r["n"] for r in _counts(gbpm)}
    assert rows.get("2024-01-03", 0) == left
    assert rows["2024-01-02"] == rows["2024-01-04"] == 48
    assert confirmed.code == 3  # accepted, and now named as what it is: not whole
    assert list(reasons(confirmed)) == ["2024-01-03"]
    assert "kept as it was" not in reasons(confirmed)["2024-01-03"]

    healed = gbpm(*MISSING)
    assert healed.code == 0
    assert rows_of(gbpm) == before


def _counts(gbpm: Gbpm) -> list[dict[str, Any]]:
    table = gbpm.runtime().named(["bmrs_indo"])[0]
    found: list[dict[str, Any]] = gbpm.runtime().lake.read(table).group_by("_day").len("n").to_dicts()
    return found
