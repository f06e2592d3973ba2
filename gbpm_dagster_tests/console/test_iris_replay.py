"""`gbpm iris load` and `gbpm iris replay`: what they print, their exit codes, and what is in SQL afterwards."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gbpm_dagster.iris.landing import Landing
from gbpm_dagster.warehouse.home import hold, open_home
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import Gbpm
from gbpm_dagster_tests.iris.blobs import Container, served
from gbpm_dagster_tests.iris.test_replay import archive

NOW = "2026-07-04T00:00:00Z"
LIMIT = {
    "dataset": "MELS", "settlementDate": "2026-07-02", "settlementPeriod": 21, "timeFrom": "2026-07-02T09:00:00.000Z",
    "timeTo": "2026-07-02T09:30:00.000Z", "levelFrom": 15, "levelTo": 15, "bmUnit": "T_U", "nationalGridBmUnit": "U",
    "notificationTime": "2026-07-01T22:51:00.000Z", "notificationSequence": 7,
}  # fmt: skip


@pytest.fixture
def gbpm(make_gbpm: MakeGbpm) -> Gbpm:
    return make_gbpm(GBPM_NOW=NOW)


@pytest.fixture
def container() -> Container:
    found = archive(12)
    tags = {"Dataset": "MELS", "UploadTime": "2026-07-02T10:00:00Z"}
    found.blobs["data/MELS/mels.json"] = (tags, json.dumps([LIMIT]).encode())
    return found


def test_replay_loads_a_day_once_and_sql_shows_it(gbpm: Gbpm, container: Container) -> None:
    days = ("--from", "2026-07-02", "--to", "2026-07-02")
    with served(container) as url:
        done = gbpm("iris", "replay", *days, "--json", IRIS_ARCHIVE_URL=url)
        assert (done.code, done.json["messages"], done.json["tables"]) == (0, 12, {"bmrs_mid_iris": 12})
        assert done.json["rows"]["written"] == 12
        again = gbpm("iris", "replay", *days, "MID", IRIS_ARCHIVE_URL=url)
        assert again.code == 0
        assert again.out.startswith(f"12 messages of 2026-07-02 to 2026-07-02 from {url}: 0 rows written")
        limits = gbpm("iris", "replay", *days, "mels", "--json", IRIS_ARCHIVE_URL=url)
        assert limits.json["tables"] == {"bmrs_mels_iris": 1}, "a code that is named is loaded though it is off"
    query = "SELECT count(*) AS n, min(_source) AS s FROM bmrs_mid_unified"
    assert gbpm("sql", query, "--format", "csv").out == "n,s\n12,IRIS\n"
    raw = gbpm("iris", "replay", *days, "--raw", "--json")
    assert (raw.json["messages"], raw.json["source"]) == (12, "landing")
    assert raw.json["rows"]["exact_duplicates"] == 12


def test_load_takes_what_has_landed(gbpm: Gbpm) -> None:
    landing = Landing(gbpm.home / "landing")
    at = datetime(2026, 7, 2, 10, tzinfo=UTC)
    landing.land("mels.json", json.dumps([LIMIT]).encode(), {}, subject="MELS", enqueued_at=at)
    landing.land("x.json", b"[]", {}, subject="NEW", enqueued_at=at)
    done = gbpm("iris", "load", "--json", IRIS_CODES="all")
    assert (done.code, done.json["tables"]) == (0, {"bmrs_mels_iris": 1})
    assert done.json["statuses"] == {"loaded": 1, "unknown": 1}
    assert landing.waiting() == []


def test_while_a_drain_goes_on_it_loads_what_is_landed(gbpm: Gbpm, container: Container) -> None:
    home = open_home(gbpm.home)
    with hold(home.state / "iris.lock", "the test"), served(container) as url:
        done = gbpm("iris", "replay", "--from", "2026-07-02", IRIS_ARCHIVE_URL=url)
        assert done.code == 0
        assert "what was landed is loaded elsewhere" in done.out and "the test" in done.out
        refused = gbpm("iris", "load")
        assert (refused.code, refused.out) == (1, "")
        assert "the test" in refused.err
    assert len(Landing(gbpm.home / "landing").waiting()) == 13


@pytest.mark.parametrize(
    ("args", "environ", "code", "words"),
    [
        ((), {}, 2, "which days? Give --from"),
        (("--from", "2026-07-03", "--to", "2026-07-01"), {}, 2, "swap them"),
        (("--from", "2027-01-01"), {}, 2, "in the future"),
        (("--from", "2026-07-01", "NOPE"), {}, 2, "the stream has no code 'NOPE'"),
        (("--from", "2026-07-01"), {"IRIS_ARCHIVE_URL": "ftp://x"}, 2, "IRIS_ARCHIVE_URL"),
    ],
)
def test_bad_usage_is_one_line(
    gbpm: Gbpm, args: tuple[str, ...], environ: dict[str, str], code: int, words: str
) -> None:
    done = gbpm("iris", "replay", *args, **environ)
    assert (done.code, done.out) == (code, "")
    assert words in done.err and len(done.err.splitlines()) == 1


def test_an_archive_that_refuses_is_one_line(gbpm: Gbpm, tmp_path: Path) -> None:
    with served(Container({}, fail=[403])) as url:
        done = gbpm("iris", "replay", "--from", "2026-07-02", IRIS_ARCHIVE_URL=url)
    assert done.code == 1
    assert "the archive could not be read" in done.err and "HTTP 403" in done.err
    assert len(done.err.splitlines()) == 1
