"""A password in ELEXON_BASE_URL is sent to the source and nowhere else: no output, log, file or cell has it."""

from __future__ import annotations

import json
import logging

import pytest

from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import DEAD, WEEK, Done
from gbpm_dagster_tests.console.faults import FOREVER, FaultySource, Spoil
from gbpm_dagster_tests.console.secrets import AUTHORIZATION, PASSWORD, leaks, with_login
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


def test_the_search_finds_a_login(make_gbpm: MakeGbpm) -> None:
    gbpm = make_gbpm()
    gbpm("check")
    (gbpm.home / "logs").mkdir(exist_ok=True)
    (gbpm.home / "logs" / "some.log").write_text(with_login(DEAD))
    assert leaks(gbpm, "fine", AUTHORIZATION) == [f"said: {AUTHORIZATION}", str(gbpm.home / "logs" / "some.log")]
