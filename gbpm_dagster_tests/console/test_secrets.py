"""Secrets are sent where they belong and stand nowhere else: in no output, log, file or cell."""

from __future__ import annotations

import json
import logging

import dagster as dg
import pytest

from gbpm_dagster.orchestration.build import build_definitions
from gbpm_dagster.orchestration.instance import open_instance
from gbpm_dagster_tests.alerts.servers import RESET, Mailbox, hook, mailbox
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import DEAD, WEEK, Done
from gbpm_dagster_tests.console.faults import FOREVER, FaultySource, Spoil
from gbpm_dagster_tests.console.secrets import AUTHORIZATION, HOOK, MAIL_PASSWORD, PASSWORD, leaks, with_login
from gbpm_dagster_tests.elexon.scripted import Answer


def _null_price(answer: Answer) -> Answer:
    """The recorded answer with a row that belongs in quarantine and a field nobody knows."""
    found = json.loads(answer.body)
    found["data"][0]["settlementPeriod"] = None
    found["data"][1]["newField"] = 1
    return Answer(json.dumps(found).encode())


def test_the_login_goes_to_the_source_and_nowhere_else(
    make_gbpm: MakeGbpm, source: FaultySource, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source.clear()
    source.fault("2024-01-02", Answer(b"", 503), times=FOREVER)
    source.fault("2024-01-03", Answer(b"<html></html>", 200, "text/html"), times=FOREVER)
    source.fault("2024-01-04", Answer(b"{}", 404), times=FOREVER)
    source.fault(
        "2024-01-05",
        Answer(status=302, headers={"Location": with_login("http://127.0.0.1:9/x?key=1")}),
        times=FOREVER,
    )
    source.fault("2024-01-06", Spoil(shift=("2024-01-06", "2024-03-06")), times=FOREVER)
    source.fault("2024-01-07", Answer(reset=True), times=FOREVER)
    source.fault("2024-01-01", _null_price, times=FOREVER)
    gbpm = make_gbpm(with_login(source.base_url))
    done = [
        gbpm("config"),
        gbpm("config", "--json"),
        gbpm("plan", "--all", *WEEK),
        gbpm("backfill", "bmrs_indo", *WEEK, "--json"),
        gbpm("backfill", "bmrs_mid", *WEEK),
        gbpm("check"),
        gbpm("heal"),
        gbpm("status"),
        gbpm("sql", "SELECT * FROM gbpm_attempts", "--format", "json"),
    ]
    assert source.logins == {AUTHORIZATION}
    source.clear()
    reasons = done[3].json["tables"]["bmrs_indo"]["missing"]
    assert len(reasons) == 7
    assert all(source.base_url in why for day, why in reasons.items() if day != "2024-01-01")
    assert "pointing to http://127.0.0.1:9/x." in reasons["2024-01-05"]
    assert gbpm.runtime().lake.evidence(["bmrs_indo"])["quarantined"].sum() == 1
    assert "gbpm_dagster.elexon.source" in {r.name for r in caplog.records}
    assert leaks(gbpm, caplog.text, *(text for d in done for text in (d.out, d.err))) == []


def test_nor_where_nobody_answers_or_the_address_is_wrong(make_gbpm: MakeGbpm) -> None:
    gbpm = make_gbpm(with_login(DEAD))
    down = gbpm.finish("backfill", "bmrs_mid", *WEEK)
    assert down.code == 3
    assert "no connection to http://127.0.0.1:9/bmrs/api/v1" in down.words
    wrong: list[Done] = []
    for address in (
        with_login("ftp://host.test"),
        with_login("https://host.test") + "?key=x",
        f"https://me:12/{PASSWORD}@host.test",
        f"me:{PASSWORD}@host.test",
    ):
        wrong.append(gbpm("backfill", "bmrs_mid", *WEEK, ELEXON_BASE_URL=address))
        assert wrong[-1].code == 2
        assert "ELEXON_BASE_URL" in wrong[-1].err and "host.test" in wrong[-1].err
    assert leaks(gbpm, *(text for d in (down, *wrong) for text in (d.out, d.err))) == []


def test_webhooks_and_the_mail_password_stand_nowhere(make_gbpm: MakeGbpm, caplog: pytest.LogCaptureFixture) -> None:
    """Not in config, not where a channel refuses a message or a setting is wrong, not in the sensor's ticks."""
    caplog.set_level(logging.DEBUG)
    login = ("me", "another")
    with hook(*[500] * 9) as slack, hook(RESET, *[404] * 9) as web, mailbox(Mailbox(login=login)) as box:
        gbpm = make_gbpm(
            GBPM_SLACK_WEBHOOK_URL=slack.url,
            GBPM_WEBHOOK_URL=f"{web.url}?token={HOOK}",
            GBPM_ALERT_EMAIL_TO="ops@example.org night@example.org",
            GBPM_SMTP_HOST="127.0.0.1",
            GBPM_SMTP_PORT=str(box.port),
            GBPM_SMTP_SECURITY="none",
            GBPM_SMTP_USER="me",
            GBPM_SMTP_PASSWORD=MAIL_PASSWORD,
            GBPM_ALERT_WAIT_SECONDS="0",
        )
        config = gbpm("config", "--json").json["settings"]
        done = [gbpm("config"), gbpm("check"), gbpm("alerts", "test"), gbpm("alerts", "test", "--json")]
        runtime = gbpm.runtime()
        with open_instance(runtime.settings) as instance:
            defs = build_definitions(runtime.settings)
            context = dg.build_sensor_context(instance, repository_def=defs.get_repository_def())
            tick = str(defs.resolve_sensor_def("alerts")(context))
        done.append(gbpm("alerts", "list"))
        done.append(gbpm("alerts", "list", "--json"))
        done.append(gbpm("config", GBPM_WEBHOOK_URL=f"ftp://example.org/{HOOK}"))
        done.append(gbpm("config", GBPM_SMTP_USER="", GBPM_SMTP_PASSWORD=MAIL_PASSWORD))
    assert box.logins == [("me", MAIL_PASSWORD)] * 3, "it was sent where it belongs"
    assert (len(slack.seen), len(web.seen)) == (3, 3)
    hidden = {s["variable"]: s["value"] for s in config if s["value"] == "(set, hidden)"}
    assert sorted(hidden) == ["GBPM_SLACK_WEBHOOK_URL", "GBPM_SMTP_PASSWORD", "GBPM_WEBHOOK_URL"]
    assert done[2].code == 1
    assert "slack (127.0.0.1): 127.0.0.1 answered 500" in done[2].words
    assert "535 not you" in done[2].words
    assert "waiting to be sent again" in tick and "answered 500" in tick
    assert [d.code for d in done[-2:]] == [2, 2]
    assert "GBPM_WEBHOOK_URL is '(set, hidden)': must be an http or https address" in done[-2].words
    assert "GBPM_SMTP_USER is not" in done[-1].words
    assert leaks(gbpm, caplog.text, tick, repr(runtime.settings), *(t for d in done for t in (d.out, d.err))) == []


def test_the_search_finds_a_login(make_gbpm: MakeGbpm) -> None:
    gbpm = make_gbpm()
    gbpm("check")
    (gbpm.home / "logs").mkdir(exist_ok=True)
    (gbpm.home / "logs" / "some.log").write_text(with_login(DEAD))
    assert leaks(gbpm, "fine", AUTHORIZATION) == [f"said: {AUTHORIZATION}", str(gbpm.home / "logs" / "some.log")]
