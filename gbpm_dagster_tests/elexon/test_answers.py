"""What an answer without rows means: caps, waits, classes of failure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from gbpm_dagster.catalogue.registry import get
from gbpm_dagster.elexon import answers
from gbpm_dagster.elexon.errors import BadAnswer, RequestRefused, SourceError, SourceUnavailable, WindowTooLong
from gbpm_dagster.elexon.plan import plan

MID = get("bmrs_mid")
WINDOW = plan(MID, [date(2024, 1, 3), date(2024, 1, 4)])[0]

# The refusal that was seen, rest-api.md section 4.
PROBLEM = (
    '{"type":"https://tools.ietf.org/html/rfc9110#section-15.5.1","title":"One or more validation errors occurred.",'
    '"status":400,"errors":{"":["The date range between PublishDateTimeFrom and PublishDateTimeTo inclusive '
    'must not exceed %s"]}}'
)


def response(status: int, body: str = "", **headers: str) -> httpx.Response:
    head = {"content-type": "application/json", **{n.replace("_", "-"): v for n, v in headers.items()}}
    return httpx.Response(status, text=body, headers=head, request=httpx.Request("GET", "http://x.test/datasets/MID"))


@pytest.mark.parametrize(
    ("words", "cap"),
    [
        ("1 hour", timedelta(hours=1)),
        ("24 hours", timedelta(days=1)),
        ("1 day", timedelta(days=1)),
        ("7 days", timedelta(days=7)),
        ("12 months", timedelta(days=365)),
        ("1 month", timedelta(days=28)),
        ("20 years", timedelta(days=7300)),
    ],
)
def test_the_cap_is_read_out_of_the_refusal(words: str, cap: timedelta) -> None:
    assert answers.cap_named((PROBLEM % words).encode()) == cap


@pytest.mark.parametrize(
    "body", [b"", b"must not exceed many days", b"must not exceed 0 days", b"the value must not be 3"]
)
def test_no_cap_is_invented(body: bytes) -> None:
    assert answers.cap_named(body) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        ("0", 0.0),
        ("Wed, 03 Jan 2024 12:00:30 GMT", 30.0),
        ("Wed, 03 Jan 2024 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    now = datetime(2024, 1, 3, 12, tzinfo=UTC)
    assert answers.retry_after(httpx.Headers({"Retry-After": header}), now) == seconds


@pytest.mark.parametrize(
    ("status", "kind", "error_class"),
    [
        (408, SourceUnavailable, "transient"),
        (429, SourceUnavailable, "transient"),
        (500, SourceUnavailable, "transient"),
        (502, SourceUnavailable, "transient"),
        (503, SourceUnavailable, "transient"),
        (504, SourceUnavailable, "transient"),
        (204, BadAnswer, "transient"),
        (301, RequestRefused, "permanent"),
        (400, RequestRefused, "permanent"),
        (401, RequestRefused, "permanent"),
        (403, RequestRefused, "permanent"),
        (404, RequestRefused, "permanent"),
        (410, RequestRefused, "permanent"),
        (422, RequestRefused, "permanent"),
    ],
)
def test_each_status_has_its_class_and_a_whole_message(
    status: int, kind: type[SourceError], error_class: str
) -> None:
    error = answers.failure(MID, WINDOW, response(status, '{"message":"Because."}'))
    assert type(error) is kind and error.error_class == error_class and error.status == status
    assert str(error).startswith("bmrs_mid, 2024-01-03T00:00Z to 2024-01-05T00:00Z: the source answered")
    assert error.advice in str(error)


def test_json_is_no_failure_and_other_types_are() -> None:
    assert answers.failure(MID, WINDOW, response(200, "[]")) is None
    bare = httpx.Response(200, content=b"[]", request=httpx.Request("GET", "http://x.test/"))
    assert answers.failure(MID, WINDOW, bare) is None
    page = answers.failure(MID, WINDOW, response(200, "<html><h1>Down</h1></html>", content_type="text/html"))
    assert isinstance(page, BadAnswer) and "text/html where JSON was due: 'Down'" in str(page)


def test_a_cap_below_the_window_can_be_met_and_one_above_cannot() -> None:
    short = answers.failure(MID, WINDOW, response(400, PROBLEM % "1 day"))
    assert isinstance(short, WindowTooLong) and short.cap == timedelta(days=1)
    assert "must not exceed 1 day" in str(short)
    long = answers.failure(MID, WINDOW, response(400, PROBLEM % "7 days"))
    assert type(long) is RequestRefused and "cannot be made smaller" in str(long)


def test_a_date_path_cannot_be_narrowed_for_ever() -> None:
    costs = get("bmrs_costs")
    error = answers.failure(costs, plan(costs, [date(2024, 1, 3)])[0], response(400, PROBLEM % "1 hour"))
    assert type(error) is RequestRefused


def test_what_the_problem_says_is_quoted_and_kept_short() -> None:
    error = answers.failure(MID, WINDOW, response(400, '{"errors":{"to":["To must not be before From"]}}'))
    assert "'To must not be before From'" in str(error)
    assert len(str(answers.failure(MID, WINDOW, response(500, "x" * 100_000)))) < 900
