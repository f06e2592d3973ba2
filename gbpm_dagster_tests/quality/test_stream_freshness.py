"""Freshness of the stream's tables: fs-01 on messages, and the connection where nothing flows steadily."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from gbpm_dagster.catalogue.streams import STREAMED, stream_of
from gbpm_dagster.quality.result import CheckResult
from gbpm_dagster.quality.stream_freshness import check_stream_freshness, is_steady
from gbpm_dagster.warehouse.protocol import MESSAGE_SCHEMA
from gbpm_dagster_tests.examples import example
from gbpm_dagster_tests.quality.helpers import utc

NOW = utc("2024-07-02 12:00")
FREQ, PN, WARNINGS, WEEKLY = (stream_of(STREAMED[code]) for code in ("FREQ", "PN", "SYS_WARN", "NDFW"))


def messages(*came: tuple[str, datetime], status: str = "loaded") -> pl.DataFrame:
    """Each a minute under way."""
    rows = [
        {
            **dict.fromkeys(MESSAGE_SCHEMA),
            "table": table,
            "status": status,
            "enqueued_at": at,
            "landed_at": at + timedelta(minutes=1),
        }
        for table, at in came
    ]
    return pl.DataFrame(rows, schema=MESSAGE_SCHEMA)


def band(result: CheckResult) -> str:
    return "ok" if result.passed else {"WARN": "warn", "ERROR": "fail"}[result.severity]


def test_fs_01() -> None:
    given, expected = example("fs-01")
    old = (PN.table, NOW - timedelta(hours=30))  # the stream began long ago
    found = [
        check_stream_freshness([FREQ], messages(old, (FREQ.table, NOW - timedelta(minutes=age))), NOW)[0]
        for age in given["ages_min"]
    ]
    assert [band(r) for r in found] == expected


def test_each_table_by_its_own_limits_and_the_others_by_the_connection() -> None:
    """Half-hourly 45/90; warnings and weekly forecasts may be silent as long as something comes."""
    began = (FREQ.table, NOW - timedelta(hours=30))
    came = messages(began, (PN.table, NOW - timedelta(minutes=50)), (FREQ.table, NOW - timedelta(minutes=2)))
    found = check_stream_freshness([FREQ, PN, WARNINGS, WEEKLY], came, NOW)
    assert [band(r) for r in found] == ["ok", "warn", "ok", "ok"]
    assert [is_steady(d) for d in (FREQ, PN, WARNINGS, WEEKLY)] == [True, True, False, False]
    later = check_stream_freshness([WARNINGS], came, NOW + timedelta(minutes=59))
    assert band(later[0]) == "fail"
    assert later[0].details["next step"] == "gbpm iris status"


def test_a_stream_that_has_just_begun_is_given_its_time() -> None:
    came = messages((FREQ.table, NOW - timedelta(minutes=40)))
    assert [band(r) for r in check_stream_freshness([FREQ, PN], came, NOW)] == ["warn", "ok"]
    assert [band(r) for r in check_stream_freshness([PN], came, NOW + timedelta(minutes=60))] == ["fail"]


@pytest.mark.parametrize("status", ["failed", "undecodable", "unknown", "not_wanted"])
def test_what_could_not_be_loaded_is_no_sign_of_life(status: str) -> None:
    (result,) = check_stream_freshness([FREQ], messages((FREQ.table, NOW), status=status), NOW)
    assert (band(result), result.summary[:23]) == ("fail", "no message of any table")


def test_without_any_message_all_are_red() -> None:
    found = check_stream_freshness([FREQ, WARNINGS], messages(), NOW)
    assert [band(r) for r in found] == ["fail", "fail"]
    assert [r.table for r in found] == ["bmrs_freq_iris", "bmrs_syswarn_iris"]
