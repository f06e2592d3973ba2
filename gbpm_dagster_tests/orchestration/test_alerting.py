"""The sensor `alerts` with a real instance and a real webhook: what Dagster says is told once, and what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from gbpm_dagster import __version__
from gbpm_dagster.alerts.engine import RAISED, RECOVERED
from gbpm_dagster.orchestration import alerting
from gbpm_dagster.orchestration.checks import store
from gbpm_dagster.quality.checks import CheckResult
from gbpm_dagster.quality.register import Entry, Status, new_entry
from gbpm_dagster.quality.result import ERROR, WARN
from gbpm_dagster_tests.alerts.servers import Hook, hook
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker

QUICK = {"GBPM_ALERT_WAIT_SECONDS": "0", "GBPM_ALERT_COOLDOWN_SECONDS": "0"}


def tick(here: Home) -> str:
    context = dg.build_sensor_context(here.instance, repository_def=here.defs.get_repository_def())
    found = here.defs.resolve_sensor_def("alerts")(context)
    assert isinstance(found, dg.SkipReason), found
    return str(found.skip_message)


def judge(here: Home, check: str, *tables: str, passed: bool = False, severity: str = ERROR) -> None:
    details = {} if passed else {"next step": f"gbpm backfill {tables[0]}"}
    store(here.instance, [CheckResult(t, check, passed, severity, "26 h old", details=details) for t in tables])


def told(at: Hook) -> list[tuple[str, list[str]]]:
    return [(p.body["event"], [a["subject"] for a in p.body["alerts"]]) for p in at.posts]


def test_nothing_configured_nothing_sent_and_the_sensor_is_off(home: HomeMaker) -> None:
    here = home(replay=False)
    assert here.defs.resolve_sensor_def("alerts").default_status is dg.DefaultSensorStatus.STOPPED
    judge(here, "gaps", "bmrs_mid")
    assert tick(here) == alerting.NOTHING
    assert not (here.settings.home / "state" / "alerts.sqlite").exists()


def test_stale_tables_are_one_message_after_two_failures_and_one_recovery(home: HomeMaker) -> None:
    with hook() as at:
        here = home(replay=False, GBPM_WEBHOOK_URL=at.url, **QUICK)
        assert here.defs.resolve_sensor_def("alerts").default_status is dg.DefaultSensorStatus.RUNNING
        tables = ("bmrs_costs", "bmrs_indo", "bmrs_mid")
        judge(here, "freshness", *tables)
        assert [tick(here), tick(here)] == ["nothing new"] * 2
        judge(here, "freshness", *tables)
        assert tick(here) == f"raised: {', '.join(tables)}; 1 message(s) sent"
        judge(here, "freshness", *tables)
        assert tick(here) == "nothing new"
        for _ in range(2):
            judge(here, "freshness", *tables, passed=True)
            tick(here)
    assert told(at) == [(RAISED, list(tables)), (RECOVERED, list(tables))]
    first = at.posts[0].body
    assert first["version"] == __version__
    assert first["home"] == str(here.settings.home)
    assert first["alerts"][0]["next"] == "gbpm backfill bmrs_costs"
    assert abs(datetime.fromisoformat(first["alerts"][0]["since"]) - datetime.now(UTC)) < timedelta(minutes=2)


def test_a_failed_check_is_told_when_it_lasts_a_warning_is_not(
    home: HomeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hook() as at:
        here = home(replay=False, GBPM_WEBHOOK_URL=at.url)
        judge(here, "gaps", "bmrs_mid")
        judge(here, "validity", "bmrs_indo", severity=WARN)
        assert tick(here) == "nothing new"
        later = datetime.now(UTC) + timedelta(minutes=31)

        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return later

        monkeypatch.setattr(alerting, "datetime", Later)
        assert tick(here).startswith("raised: bmrs_mid")
    assert told(at) == [(RAISED, ["bmrs_mid"])]
    assert at.posts[0].body["alerts"][0]["what"] == "gaps: 26 h old"


def run(here: Home, fails: bool) -> None:
    @dg.op(name="work")
    def work() -> None:
        if fails:
            raise dg.Failure("the disk is full: free some space\nand more", allow_retries=False)

    @dg.job(name="upkeep")
    def upkeep() -> None:
        work()

    upkeep.execute_in_process(instance=here.instance, raise_on_error=False)


def test_a_failed_run_is_told_with_its_reason_and_recovers_with_the_next(home: HomeMaker) -> None:
    with hook() as at:
        here = home(replay=False, GBPM_WEBHOOK_URL=at.url, **QUICK)
        run(here, fails=True)
        assert tick(here) == "raised: upkeep; 1 message(s) sent"
        assert tick(here) == "nothing new"
        run(here, fails=False)
        assert tick(here) == "recovered: upkeep; 1 message(s) sent"
    assert told(at) == [(RAISED, ["upkeep"]), (RECOVERED, ["upkeep"])]
    assert "failed: the disk is full: free some space" in at.posts[0].body["alerts"][0]["what"]


def test_days_that_could_not_be_fetched_are_told_by_table(home: HomeMaker) -> None:
    with hook() as at:
        here = home(replay=False, GBPM_WEBHOOK_URL=at.url, **QUICK)
        here.run("bmrs_mid", "2024-01-03")
        tick(here)
    (event, subjects), *_ = told(at)
    assert (event, subjects) == (RAISED, ["bmrs_mid", "bmrs_mid"]), "its gaps and its run"
    said = {a["kind"]: a["what"] for a in at.posts[0].body["alerts"]}
    assert "bmrs_mid: 1 day(s) not stored: 2024-01-03" in said["run"]


def enter(here: Home, entry: Entry) -> None:
    here.runtime.lake.put_known_gaps([entry.row()])


def test_what_the_healer_gave_up_and_what_the_source_lacks_is_told(home: HomeMaker) -> None:
    now, day = datetime.now(UTC), date(2024, 1, 3)
    with hook() as at:
        here = home(replay=False, GBPM_WEBHOOK_URL=at.url, **QUICK)
        entry = new_entry("bmrs_mid", day, day, Status.GIVEN_UP, "6 tries in 12 days", "healer", now)
        lost = new_entry("bmrs_indo", day, day, Status.MISSING_AT_SOURCE, "two empty answers", "healer", now)
        old = now - timedelta(days=2)
        known = new_entry("bmrs_costs", day, day, Status.MISSING_AT_SOURCE, "long known", "healer", old)
        noted = new_entry("bmrs_costs", day, None, Status.SUSPECTED, "a note", "seed", now)
        for each in (entry, lost, known, noted):
            enter(here, each)
        assert tick(here) == "raised: bmrs_mid, bmrs_indo; 1 message(s) sent"
        assert tick(here) == "nothing new"
        enter(here, replace(entry, status=Status.RESOLVED, by="person", changed_at=now + timedelta(minutes=1)))
        assert tick(here) == "recovered: bmrs_mid; 1 message(s) sent"
    given_up, at_source = at.posts[0].body["alerts"]
    assert given_up["what"] == "2024-01-03: 6 tries in 12 days"
    assert given_up["next"].startswith("`gbpm known-gaps list bmrs_mid`")
    assert at_source["kind"] == "missing_at_source"


def test_a_table_that_left_the_home_is_nobodys_alert(home: HomeMaker) -> None:
    with hook() as at:
        here = home(replay=False, GBPM_WEBHOOK_URL=at.url, **QUICK)
        judge(here, "gaps", "bmrs_mid")
        tick(here)
        keys: Sequence[dg.AssetCheckKey] = [dg.AssetCheckKey(dg.AssetKey("bmrs_indo"), "gaps")]
        channels = alerting.channels_of(here.settings)
        alerting.tell_people(here.runtime, here.instance, keys, channels, datetime.now(UTC))
        assert alerting.outbox_of(here.settings).alerts() == {}


def test_what_no_channel_takes_waits_over_a_restart(home: HomeMaker) -> None:
    with hook(500) as at:
        here = home(replay=False, GBPM_WEBHOOK_URL=at.url, **QUICK)
        run(here, fails=True)
        assert tick(here).startswith(
            "raised: upkeep; 1 waiting to be sent again; webhook: 127.0.0.1 answered 500: refused /***"
        )
        again = Home(here.settings, here.instance, None)
        assert tick(again) == "nothing new; 1 waiting to be sent again"
        outbox = alerting.outbox_of(again.settings)
        done = outbox.deliver(
            alerting.channels_of(again.settings),
            lambda: datetime.now(UTC) + timedelta(minutes=2),
            timedelta(seconds=30),
        )
        assert done.sent == 1
    assert told(at) == [(RAISED, ["upkeep"])]
