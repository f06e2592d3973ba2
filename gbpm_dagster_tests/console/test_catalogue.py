"""`gbpm catalogue verify`: the stored document, files, addresses, the live one; what it prints, its exit codes."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gbpm_dagster.elexon.openapi import PATH
from gbpm_dagster_tests.catalogue.mutate import Json, as_bytes, parameter, row
from gbpm_dagster_tests.console.driver import DEAD, Gbpm, environment
from gbpm_dagster_tests.elexon.documents import Documents, serving
from gbpm_dagster_tests.elexon.scripted import Answer

NAME, PASSWORD = "me-at-work", "hush-hush"
VERIFY = ("catalogue", "verify")
WHOLE = as_bytes()


def drifted(found: Json) -> None:
    """As a service may come back after a holiday."""
    fields = row(found, "/datasets/MID")
    fields["price"].update(type="integer", format="int32")
    fields["volume"]["nullable"] = True
    fields["currency"] = {"type": "string", "nullable": True}
    del row(found, "/datasets/FREQ")["frequency"]
    parameter(found, "/datasets/BOALF", "from")["name"] = "since"
    found["paths"]["/datasets/NEW"] = found["paths"]["/datasets/MID"]
    del found["paths"]["/datasets/BOD"], found["paths"]["/system/frequency"]
    found["paths"]["/datasets/INDO"]["get"]["deprecated"] = True


DRIFTED = as_bytes(drifted)


@pytest.fixture(scope="module")
def source() -> Iterator[Documents]:
    with serving() as found:
        yield found


@pytest.fixture
def gbpm(tmp_path: Path, source: Documents) -> Gbpm:
    source.answers.clear()
    source.asked.clear()
    return Gbpm(environment(tmp_path, source.base_url))


def test_the_stored_document_is_clean_and_nobody_is_asked(gbpm: Gbpm, source: Documents) -> None:
    done = gbpm(*VERIFY, ELEXON_BASE_URL=DEAD)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == (
        "151 tables and 65 paths left out agree with Elexon's document of 2026-06-13 (316 paths): "
        "nothing added, removed or changed"
    )
    assert "not in it, inferred: /datasets/MDB, /datasets/MDB/stream, /datasets/MDO," in done.out
    assert source.asked == []
    assert not gbpm.home.exists()


def test_json_of_a_clean_document_is_the_contract(gbpm: Gbpm) -> None:
    done = gbpm(*VERIFY, "--json")
    assert done.code == 0
    assert done.out.count("\n") == 1
    said = done.json
    assert len(said["document"].pop("sha256")) == 64
    assert said == {
        "document": {
            "name": "Elexon's document of 2026-06-13",
            "paths": 316,
            "schemas": 295,
            "inferred": ["/datasets/MDB", "/datasets/MDB/stream", "/datasets/MDO", "/datasets/MDO/stream"],
        },
        "tables": 151,
        "left_out": 65,
        "clean": True,
        "differences": [],
        "changes": [],
    }


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("where", ["a file", "an address", "live"])
def test_a_document_is_taken_from_anywhere(
    gbpm: Gbpm, source: Documents, tmp_path: Path, where: str, packed: bool
) -> None:
    body = gzip.compress(WHOLE) if packed else WHOLE
    if where == "a file":
        (tmp_path / "document").write_bytes(body)
        done = gbpm(*VERIFY, "--document", str(tmp_path / "document"))
    elif where == "an address":
        source.answers["/kept/document.json.gz"] = Answer(body, type="application/octet-stream")
        done = gbpm(*VERIFY, "--document", f"{source.root}/kept/document.json.gz")
        assert source.asked == ["/kept/document.json.gz"]
    else:
        source.publish(body)
        done = gbpm(*VERIFY, "--live")
        assert source.asked == [PATH]
    assert done.code == 0, done
    assert "nothing added, removed or changed" in done.out
    assert not gbpm.home.exists()


def _told(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((r["change"], r["part"], r["table"] or "", r["name"] or r["path"]) for r in records)


def test_drift_is_told_to_scripts_and_is_3(gbpm: Gbpm, source: Documents) -> None:
    source.publish(DRIFTED)
    done = gbpm(*VERIFY, "--live", "--json")
    assert (done.code, done.err) == (3, "")
    said = done.json
    assert said["clean"] is False
    assert said["document"]["name"] == f"the document at {source.root}{PATH}"
    assert _told(said["differences"]) == [
        ("added", "field", "bmrs_mid", "currency"),
        ("added", "parameter", "bmrs_boalf", "since"),
        ("added", "path", "", "/datasets/NEW"),
        ("changed", "field", "bmrs_mid", "price"),
        ("changed", "field", "bmrs_mid", "volume"),
        ("changed", "path", "bmrs_indo", "/datasets/INDO"),
        ("removed", "field", "bmrs_freq", "frequency"),
        ("removed", "left out", "", "/system/frequency"),
        ("removed", "parameter", "bmrs_boalf", "from"),
        ("removed", "path", "bmrs_bod", "/datasets/BOD"),
    ]
    (price,) = (d for d in said["differences"] if d["name"] == "price")
    assert price == {
        "change": "changed",
        "part": "field",
        "table": "bmrs_mid",
        "path": "/datasets/MID",
        "name": "price",
        "catalogue": "number",
        "document": "integer",
        "text": "bmrs_mid: column 'price' is number, the document says integer",
        "breaks": True,
    }
    assert {d["name"] or d["path"] for d in said["differences"] if not d["breaks"]} == {
        "currency",
        "/datasets/NEW",
        "/system/frequency",
    }
    changes = {(c["change"], c["name"] or c["path"], c["before"], c["after"]) for c in said["changes"]}
    assert ("changed", "price", "number (double), never null", "integer (int32), never null") in changes
    assert ("removed", "/datasets/BOD", "Bid Offer Data (BOD)", None) in changes
    assert len(changes) == 10


def test_drift_is_shown_to_people(gbpm: Gbpm, tmp_path: Path) -> None:
    (tmp_path / "new.json").write_bytes(DRIFTED)
    done = gbpm.finish(*VERIFY, "--document", str(tmp_path / "new.json"), COLUMNS="400")
    assert done.code == 3
    lines = [" ".join(line.replace("│", " ").split()) for line in done.out.splitlines()]
    assert "changed bmrs_mid field price number integer" in lines
    assert "added bmrs_mid field currency - string, nullable" in lines
    assert "removed bmrs_freq field frequency number -" in lines
    assert any(
        line.startswith("added /datasets/NEW /datasets/NEW (Market Index Data (MID)) has no") for line in lines
    )
    assert any(line.startswith("removed /datasets/BOD bmrs_bod: the document ") for line in lines)
    assert "changed since Elexon's document of 2026-06-13" in lines
    assert any(line.endswith("(315 paths): 3 added, 4 removed, 3 changed") for line in lines)
    assert lines[-1].startswith("Next: a newer gbpm may know it; else correct the entries in gbpm_dagster/catalogue")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><title>Login</title></html>", "is HTML or XML, not JSON"),
        (b"", "is empty"),
        (WHOLE[:70_000], "cut short or broken, 70,000 bytes"),
        (gzip.compress(WHOLE)[:7_000], "gzip that is cut short or broken"),
        (b'{"data": []}', "is JSON, but no OpenAPI document"),
    ],
    ids=["HTML", "empty", "cut", "cut gzip", "other JSON"],
)
def test_a_file_that_is_no_document_is_1_and_one_line(gbpm: Gbpm, tmp_path: Path, body: bytes, words: str) -> None:
    (tmp_path / "document").write_bytes(body)
    done = gbpm(*VERIFY, "--document", str(tmp_path / "document"), "--json")
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert words in done.err
    assert str(tmp_path / "document") in done.err


@pytest.mark.parametrize("name", ["nowhere.json", "."])
def test_a_file_that_cannot_be_read_is_1(gbpm: Gbpm, tmp_path: Path, name: str) -> None:
    done = gbpm(*VERIFY, "--document", str(tmp_path / name))
    assert (done.code, done.out) == (1, "")
    assert str(tmp_path / name) in done.err
    assert "check the path and its rights" in done.err


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, ("404 Not Found", "Resource not found", "Check the address")),
        (Answer(b"<html>We'll be back soon</html>", type="text/html"), ("is HTML or XML, not JSON", "tried 2 times")),
        (Answer(b"busy", status=503), ("503 Service Unavailable", "tried 2 times")),
        (Answer(WHOLE[:9_000]), ("cut short or broken, 9,000 bytes",)),
        (Answer(WHOLE[:9_000], declare=len(WHOLE)), ("the connection to http", "broke")),
    ],
    ids=["404", "HTML", "503", "cut JSON", "cut HTTP"],
)
def test_a_source_without_a_document_is_1_and_one_line(
    gbpm: Gbpm, source: Documents, answer: Answer | None, words: tuple[str, ...]
) -> None:
    if answer:
        source.answers[PATH] = answer
    done = gbpm(*VERIFY, "--live")
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert all(word in done.err for word in (*words, source.root)), done.err


def test_a_source_that_hangs_ends_at_the_deadline(gbpm: Gbpm, source: Documents) -> None:
    source.answers[PATH] = Answer(WHOLE, hang=60)
    began = time.monotonic()
    done = gbpm(*VERIFY, "--live", ELEXON_TIMEOUT_SECONDS="0.3", ELEXON_DEADLINE_SECONDS="1", ELEXON_MAX_ATTEMPTS="9")
    assert time.monotonic() - began < 5
    assert done.code == 1
    assert "no whole answer from" in done.err


def test_a_source_that_is_down_is_1(gbpm: Gbpm) -> None:
    done = gbpm(*VERIFY, "--live", ELEXON_BASE_URL=DEAD)
    assert done.code == 1
    assert "no connection to http://127.0.0.1:9/swagger/v1/swagger.json" in done.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--live", "--document", "x.json"), "--document or --live: one of the two"),
        (("--document", ""), "--document is empty"),
        (("--document", "ftp://host.test/x.json"), "--document is no readable address"),
        (("--document", "http:///x.json"), "--document is no readable address"),
        (("--documents", "x.json"), "--documents"),
        (("x.json",), "x.json"),
    ],
)
def test_bad_usage_is_2(gbpm: Gbpm, args: tuple[str, ...], words: str) -> None:
    done = gbpm(*VERIFY, *args)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_a_bad_base_address_is_2_and_names_the_variable(gbpm: Gbpm) -> None:
    done = gbpm(*VERIFY, "--live", ELEXON_BASE_URL="http://:80/x")
    assert done.code == 2
    assert "ELEXON_BASE_URL" in done.err


def test_a_login_is_sent_and_not_shown(gbpm: Gbpm, source: Documents) -> None:
    source.publish(DRIFTED)
    source.logins.clear()
    with_login = source.base_url.replace("://", f"://{NAME}:{PASSWORD}@")
    done = [
        gbpm(*VERIFY, "--live", ELEXON_BASE_URL=with_login),
        gbpm(*VERIFY, "--live", "--json", ELEXON_BASE_URL=with_login),
        gbpm(*VERIFY, "--document", f"{with_login}/none.json"),
    ]
    assert [d.code for d in done] == [3, 3, 1]
    assert "" not in source.logins
    assert not [d for d in done if PASSWORD in d.out + d.err]


def test_the_sub_commands_are_listed(gbpm: Gbpm) -> None:
    done = gbpm("catalogue", "--help")
    assert done.code == 0
    assert "verify" in done.out


def test_the_program_prints_json_alone(gbpm: Gbpm) -> None:
    done = gbpm.finish(*VERIFY, "--json", PYTHONWARNINGS="default")
    assert done.code == 0, done.err
    assert json.loads(done.out)["clean"] is True
