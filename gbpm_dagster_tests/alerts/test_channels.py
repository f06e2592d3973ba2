"""Every channel against a real server on loopback: what arrives, and what is said when it does not."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gbpm_dagster.alerts.channels import PLAIN, STARTTLS, ChannelError, Email, Sender, Slack, Webhook
from gbpm_dagster.alerts.engine import FRESHNESS, RAISED, Alert, Notice
from gbpm_dagster_tests.alerts.servers import HANG, RESET, Mailbox, hook, mailbox
from gbpm_dagster_tests.quality.helpers import utc

SENDER = Sender("1.2.3", "/srv/gbpm")
PASSWORD = "hush-hush"
ALERT = Alert(
    "freshness/bmrs_freq", FRESHNESS, "bmrs_freq", since=utc("2024-07-02 08:00"), what="26 h old", next_step="do this"
)
NOTICE = Notice("0123456789abcdef", RAISED, utc("2024-07-02 09:00"), (ALERT,))


def email(box: Mailbox, security: str = PLAIN, user: str = "", host: str = "127.0.0.1") -> Email:
    to = ("ops@example.org", "night@example.org")
    password = PASSWORD if user else ""
    return Email(SENDER, to, "gbpm@example.org", host, box.port, security, user, password, timeout_s=2)


def test_a_mail_arrives_whole() -> None:
    with mailbox(Mailbox()) as box:
        email(box).send(NOTICE)
        email(box).send(NOTICE)
    assert box.envelopes[0] == ("gbpm@example.org", ["ops@example.org", "night@example.org"])
    mail = box.mails[0]
    assert mail["Subject"] == "[gbpm] 1 stale table: bmrs_freq"
    assert mail["To"] == "ops@example.org, night@example.org"
    assert mail["Message-ID"] == box.mails[1]["Message-ID"] == "<gbpm-0123456789abcdef@example.org>"
    said = mail.get_content()  # type: ignore[attr-defined]
    assert "26 h old" in said and "since 2024-07-02 08:00 UTC" in said and "next: do this" in said


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return file


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_starttls_and_login(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mailbox(Mailbox(tls=server_context(certificate), login=("me", PASSWORD))) as box:
        email(box, STARTTLS, "me", "localhost").send(NOTICE)
    assert (box.encrypted, box.logins, len(box.mails)) == ([True], [("me", PASSWORD)], 1)


def test_a_server_whose_certificate_nobody_knows_gets_neither_password_nor_mail(certificate: Path) -> None:
    with (
        mailbox(Mailbox(tls=server_context(certificate), login=("me", PASSWORD))) as box,
        pytest.raises(ChannelError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        email(box, STARTTLS, "me", "localhost").send(NOTICE)
    assert (box.logins, box.mails) == ([], [])


def test_a_server_without_starttls_gets_neither_password_nor_mail() -> None:
    with (
        mailbox(Mailbox(login=("me", PASSWORD))) as box,
        pytest.raises(ChannelError, match="STARTTLS extension not supported"),
    ):
        email(box, STARTTLS, "me").send(NOTICE)
    assert (box.logins, box.mails) == ([], [])


def test_a_password_does_not_leave_the_machine_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    with mailbox(Mailbox(login=("me", PASSWORD))) as box:
        email(box, PLAIN, "me").send(NOTICE)
        monkeypatch.setattr("gbpm_dagster.alerts.channels._is_here", lambda host: False)
        with pytest.raises(ChannelError, match="GBPM_SMTP_SECURITY"):
            email(box, PLAIN, "me").send(NOTICE)
    assert box.logins == [("me", PASSWORD)]


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ({"RCPT": ["550 no such user", "550 no such user"]}, "550 no such user"),
        ({"DATA": ["451 try later"]}, "451 try later"),
        ({"MAIL": ["452 full"]}, "452 full"),
        ({"DATA": [RESET]}, "127.0.0.1"),
    ],
)
def test_what_a_mail_server_refuses_is_said(replies: dict[str, list[str]], said: str) -> None:
    with mailbox(Mailbox(replies)) as box:
        with pytest.raises(ChannelError, match=said):
            email(box).send(NOTICE)
        assert box.mails == []
        email(box).send(NOTICE)
        assert len(box.mails) == 1


def test_a_refused_login_is_said_without_the_password() -> None:
    with (
        mailbox(Mailbox(login=("me", "another"))) as box,
        pytest.raises(ChannelError, match="535 not you") as refused,
    ):
        email(box, PLAIN, "me").send(NOTICE)
    assert PASSWORD not in str(refused.value) and refused.value.__cause__ is None
    assert PASSWORD not in repr(email(box, PLAIN, "me"))


def test_nobody_there() -> None:
    with mailbox(Mailbox()) as box:
        pass
    with pytest.raises(ChannelError, match="refused"):
        email(box).send(NOTICE)
    with pytest.raises(ChannelError, match="refused"):
        Webhook(SENDER, f"http://127.0.0.1:{box.port}/hush").send(NOTICE)


def test_a_webhook_gets_the_notice_as_json() -> None:
    with hook() as at:
        Webhook(SENDER, at.url).send(NOTICE)
    (post,) = at.posts
    assert post.key == "0123456789abcdef"
    assert post.headers["content-type"] == "application/json"
    assert post.headers["user-agent"] == "gbpm/1.2.3"
    assert {k: v for k, v in post.body.items() if k != "text"} == {
        "id": "0123456789abcdef",
        "event": "raised",
        "at": "2024-07-02T09:00:00+00:00",
        "subject": "1 stale table: bmrs_freq",
        "alerts": [
            {
                "key": "freshness/bmrs_freq",
                "kind": "freshness",
                "subject": "bmrs_freq",
                "what": "26 h old",
                "since": "2024-07-02T08:00:00+00:00",
                "next": "do this",
            }
        ],
        "version": "1.2.3",
        "home": "/srv/gbpm",
    }


def test_slack_gets_its_text() -> None:
    with hook() as at:
        Slack(SENDER, at.url).send(NOTICE)
    assert set(at.posts[0].body) == {"text"}
    assert "bmrs_freq" in at.posts[0].body["text"]


@pytest.mark.parametrize(
    ("fault", "said", "wait"),
    [
        (500, "answered 500: refused", 0),
        (404, "answered 404", 0),
        ((429, 90), "answered 429", 90),
        ((503, "Fri, 31 Dec 2027 23:59:59 GMT"), "answered 503", 0),
        (302, "answered 302", 0),
        (RESET, "127.0.0.1", 0),
        (HANG, "timed out", 0),
    ],
)
def test_what_a_webhook_refuses_is_said_without_its_address(fault: object, said: str, wait: int) -> None:
    with hook(fault) as at:
        channel = Webhook(SENDER, at.url + "?token=hush-hush-token", timeout_s=1)
        with pytest.raises(ChannelError, match=said) as failed:
            channel.send(NOTICE)
        assert at.posts == []
        assert "hush" not in str(failed.value) + repr(channel) + channel.where
        assert failed.value.retry_after == timedelta(seconds=wait)
        channel.send(NOTICE)
        assert len(at.posts) == 1
