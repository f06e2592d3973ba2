"""`gbpm alerts`: what is on, a test of the channels, muting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gbpm_dagster.alerts.engine import FAIL, RUN, Finding, Policy, advance
from gbpm_dagster.orchestration.alerting import outbox_of
from gbpm_dagster_tests.alerts.servers import Mailbox, hook, mailbox
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import Gbpm


@pytest.fixture(scope="module")
def gbpm(make_gbpm: MakeGbpm) -> Gbpm:
    return make_gbpm()


def test_without_a_channel_nobody_is_told_and_that_is_said(gbpm: Gbpm) -> None:
    done = gbpm("alerts", "test")
    assert (done.code, "GBPM_ALERT_EMAIL_TO" in done.out) == (1, True)
    listed = gbpm("alerts", "list")
    assert listed.code == 0
    assert "nobody is told" in listed.out and "no alert is on" in listed.out


def test_a_test_message_reaches_each_channel(gbpm: Gbpm) -> None:
    with hook() as slack, hook() as web, mailbox(Mailbox()) as box:
        mail = {"GBPM_ALERT_EMAIL_TO": "ops@example.org", "GBPM_SMTP_HOST": "127.0.0.1", "GBPM_SMTP_SECURITY": "none"}
        done = gbpm(
            "alerts", "test",
            GBPM_SLACK_WEBHOOK_URL=slack.url, GBPM_WEBHOOK_URL=web.url, GBPM_SMTP_PORT=str(box.port), **mail,
        )  # fmt: skip
    assert done.code == 0
    assert done.words.count("the test message was taken") == 3
    assert "This is a test" in slack.posts[0].body["text"]
    assert web.posts[0].body["subject"] == "test message"
    assert (box.mails[0]["Subject"], box.mails[0]["From"]) == ("[gbpm] test message", "ops@example.org")


def test_what_is_on_and_what_waits_is_listed(gbpm: Gbpm) -> None:
    now = datetime.now(UTC)
    found = [Finding("run/upkeep", RUN, "upkeep", FAIL, now, "1", "run 1 failed: the disk is full", "free some")]
    outbox = outbox_of(gbpm.runtime().settings)
    outbox.change(lambda alerts, muted: advance(alerts, found, now, Policy(), muted), ["webhook"], now)
    with hook(500) as at:
        environ = {"GBPM_WEBHOOK_URL": at.url}
        listed = gbpm("alerts", "list", "--json", **environ).json
        assert [a["key"] for a in listed["alerts"]] == ["run/upkeep"]
        assert (listed["waiting"], listed["channels"]) == (1, [{"channel": "webhook", "to": "127.0.0.1"}])
        shown = gbpm("alerts", "list", **environ)
    assert "told by webhook (127.0.0.1)" in shown.words
    assert "upkeep" in shown.words and "the disk is full" in shown.words
    assert "1 message(s) waiting to be sent" in shown.words


def test_mute_and_its_end(gbpm: Gbpm) -> None:
    done = gbpm("alerts", "mute", "bmrs_mid", "--for", "12h", "--json").json
    until = datetime.fromisoformat(done["until"])
    assert abs(until - datetime.now(UTC) - timedelta(hours=12)) < timedelta(minutes=1)
    assert list(gbpm("alerts", "list", "--json").json["muted"]) == ["bmrs_mid"]
    assert "bmrs_mid is muted until" in gbpm("alerts", "list").words
    assert "told again" in gbpm("alerts", "mute", "bmrs_mid", "--for", "0h").words
    assert gbpm("alerts", "list", "--json").json["muted"] == {}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("bmrs_mid", "--for", "soon"), "--for is 'soon'"),
        (("bmrs_mid", "--for", "-1h"), "--for is '-1h'"),
        (("bmrs_mdi", "--for", "1h"), "bmrs_m"),
        (("bmrs_mid",), "--for"),
    ],
)
def test_bad_muting(gbpm: Gbpm, args: tuple[str, ...], said: str) -> None:
    done = gbpm("alerts", "mute", *args)
    assert (done.code, said in done.words) == (2, True), done


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"GBPM_ALERT_EMAIL_TO": "ops@example.org"}, "GBPM_SMTP_HOST is not: name the mail server"),
        ({"GBPM_ALERT_EMAIL_TO": "ops", "GBPM_SMTP_HOST": "x"}, "'ops' is no mail address"),
        ({"GBPM_SMTP_PORT": "0"}, "GBPM_SMTP_PORT"),
        ({"GBPM_SLACK_WEBHOOK_URL": "hooks.slack.com/x"}, "GBPM_SLACK_WEBHOOK_URL"),
        ({"GBPM_ALERT_SEVERITY": "loud"}, "GBPM_ALERT_SEVERITY"),
    ],
)
def test_bad_settings(gbpm: Gbpm, environ: dict[str, str], said: str) -> None:
    done = gbpm("alerts", "list", **environ)
    assert (done.code, said in done.words) == (2, True), done
