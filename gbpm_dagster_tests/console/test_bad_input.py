"""What a person gets wrong: one clear line, the right exit code, nothing changed (issue 3, section 8)."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gbpm_dagster.warehouse.home import open_home, own
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import DEAD, TABLES, Done, Gbpm, environment
from gbpm_dagster_tests.rights import no_permission_in


@pytest.fixture(scope="module")
def gbpm(make_gbpm: MakeGbpm) -> Gbpm:
    return make_gbpm()


def refused(done: Done, code: int, *said: str) -> None:
    """One readable line on stderr with these words, nothing on stdout."""
    assert done.code == code, done
    assert done.out == ""
    assert "Traceback" not in done.err
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("gbpm: ")
    for words in said:
        assert words in done.err


RANGE = ("--from", "2024-01-01", "--to", "2024-01-02")


@pytest.mark.parametrize("command", ["backfill", "plan", "check"])
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["bmrs_mdi", *RANGE], ("there is no table 'bmrs_mdi'", "did you mean bmrs_mid")),
        (["bmrs_mid", "--from", "2024-01-05", "--to", "2024-01-02"], ("--from 2024-01-05 is after --to 2024-01-02",)),
        (["bmrs_mid", "--from", "2024-01-05", "--to", "2024-01-09"], ("--to 2024-01-09 is in the future", "-01-08")),
        (["bmrs_mid", "--from", "2024-01-09"], ("--from 2024-01-09 is in the future",)),
        (["bmrs_mid", "--from", "2015-12-31", "--to", "2024-01-02"], ("before bmrs_mid begins", "2016-01-01")),
        (["bmrs_mid", "--to", "2015-12-31"], ("--to 2015-12-31 is before bmrs_mid begins",)),
        (["bmrs_mid", "--from", "2023-12-31", "--to", "2024-01-02"], ("history begins", "GBPM_HISTORY_START")),
        (["bmrs_mid", "--from", "2024-02-30", "--to", "2024-01-02"], ("'2024-02-30'", "no such day")),
        (["bmrs_mid", "--from", "yesterday", "--to", "2024-01-02"], ("'yesterday'", "yyyy-mm-dd")),
        (["bmrs_mid", "--from", "20240101", "--to", "2024-01-02"], ("'20240101'", "yyyy-mm-dd")),
    ],
)
def test_tables_and_days_that_make_no_sense(gbpm: Gbpm, command: str, args: list[str], said: tuple[str, ...]) -> None:
    refused(gbpm(command, *args), 2, *said)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["backfill", *RANGE], "names, --group G or --all"),
        (["backfill", "bmrs_mid", "--all", *RANGE], "one of the three"),
        (["backfill", "--group", "price", *RANGE], "did you mean prices?"),
        (["backfill", "bmrs_mid"], "--from and --to, or --missing"),
        (["backfill", "bmrs_mid", "--from", "2024-01-01"], "--from and --to, or --missing"),
        (["sql", "SELEC 1"], "could not be read as duckdb"),
        (["sql", "SELECT nosuch FROM bmrs_mid"], "nosuch"),
        (["sql", "SELECT 1; SELECT 2"], "one at a time"),
        (["sql", "DROP TABLE bmrs_mid"], "only SELECT"),
        (["sql", ""], "the query is empty"),
        (["sql", "SELECT * FROM bmrs_midd"], "did you mean bmrs_mid"),
        (["sql", "SELECT * FROM `p.d.bmrs_midd`", "--dialect", "bigquery"], "did you mean bmrs_mid"),
    ],
)
def test_other_bad_usage(gbpm: Gbpm, args: list[str], said: str) -> None:
    refused(gbpm(*args), 2, said)


@pytest.mark.parametrize(
    "args",
    [["backfill", "--frm", "2024-01-01"], ["sql", "SELECT 1", "--format", "xml"], ["up", "--port", "x"], ["nosuch"]],
)
def test_what_is_not_in_the_grammar(gbpm: Gbpm, args: list[str]) -> None:
    done = gbpm(*args)
    assert done.code == 2
    assert args[1 if len(args) > 1 and args[1].startswith("--f") else 0].split("=")[0].strip("-")[:4] in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("ELEXON_BASE_URL", "ftp://example.org", "http:// or https://"),
        ("ELEXON_MAX_REQUESTS_PER_SECOND", "0", "greater than 0"),
        ("ELEXON_MAX_REQUESTS_PER_SECOND", "fast", "number"),
        ("ELEXON_MAX_CONCURRENCY", "65", "less than or equal to 64"),
        ("ELEXON_MAX_CONCURRENCY", "1.5", "integer"),
        ("GBPM_HISTORY_START", "2022-13-01", "month"),
        ("GBPM_HISTORY_START", "2024-02-01", "choose an earlier day"),
        ("GBPM_NOW", "2024-01-08T12:00:00", "offset"),
        ("GBPM_NOW", "noon", "valid datetime"),
        ("GBPM_DATASETS", "bmrs_cost", "bmrs_costs"),
        ("GBPM_SCOPE_FILE", "/nowhere/scope.json", "cannot be read"),
        ("GBPM_SETTLEMENT_CALENDAR", "/nowhere/calendar.csv", "cannot be read"),
        ("GBPM_RUNS_DUE_HOUR", "24", "less than or equal to 23"),
        ("GBPM_RUNS_MAX_PARTITIONS", "0", "greater than or equal to 1"),
        ("GBPM_PORT", "70000", "65535"),
        ("GBPM_HEAL", "perhaps", "boolean"),
        ("GBPM_HEAL_DELAYS_SECONDS", "60,soon", "number"),
    ],
)
def test_a_bad_setting_names_variable_value_and_what_is_allowed(
    gbpm: Gbpm, variable: str, value: str, allowed: str
) -> None:
    for command in (["config"], ["plan", "bmrs_mid", *RANGE]):
        refused(gbpm(*command, **{variable: value}), 2, variable, value, allowed)


def test_a_scope_file_with_a_wrong_table_or_form(gbpm: Gbpm, tmp_path: Path) -> None:
    scope = tmp_path / "scope.json"
    for text, said in (
        ('{"bmrs_mdi": [["2024-01-01", "2024-01-02"]]}', "did you mean bmrs_mid"),
        ('{"bmrs_mid": [["2024-01-05", "2024-01-02"]]}', "is after"),
        ("[", "not JSON"),
    ):
        scope.write_text(text)
        refused(gbpm("plan", "--all", *RANGE, GBPM_SCOPE_FILE=str(scope)), 2, "GBPM_SCOPE_FILE", str(scope), said)


def test_a_settlement_calendar_with_a_bad_line(gbpm: Gbpm, tmp_path: Path) -> None:
    file = tmp_path / "calendar.csv"
    file.write_text("settlementDate,run,date\n2024-01-02,SF,2024-01-24\n2024-01-03,S1,2024-01-25\n")
    for command in (["runs"], ["plan", "bmrs_mid", *RANGE], ["sql", "SELECT 1"]):
        told = gbpm(*command, GBPM_SETTLEMENT_CALENDAR=str(file))
        refused(told, 2, "GBPM_SETTLEMENT_CALENDAR", str(file), "line 3: run is 'S1': allowed are II, SF, R1")


# --- the home


COMMANDS = (["backfill", "bmrs_mid", *RANGE], ["check"], ["heal"], ["status"], ["sql", "SELECT * FROM bmrs_mid"])


@pytest.mark.parametrize("command", [*COMMANDS, ["up", "--port", "0"]], ids=lambda c: c[0])
def test_a_home_that_is_a_file_or_under_one_or_newer_than_gbpm(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    gbpm = Gbpm(environment(tmp_path))
    refused(gbpm(*command, GBPM_HOME=str(file)), 1, str(file), "is a file, not a folder")
    refused(gbpm(*command, GBPM_HOME=str(file / "under")), 1, str(file), "GBPM_HOME")
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "home.json").write_text('{"format": 99}')
    refused(gbpm(*command, GBPM_HOME=str(newer)), 1, "has format 99", "upgrade gbpm")
    assert sorted(p.name for p in newer.iterdir()) == ["home.json"]
    assert file.read_text() == "mine"


def test_a_home_without_rights(tmp_path: Path) -> None:
    gbpm = Gbpm(environment(tmp_path))
    gbpm("config")  # imports what it needs while it may read
    with no_permission_in() as folder:
        refused(gbpm("sql", "SELECT * FROM bmrs_mid", GBPM_HOME=str(folder)), 1, str(folder), "Permission denied")


def test_up_in_a_home_in_use_names_who_holds_it(make_gbpm: MakeGbpm) -> None:
    gbpm = make_gbpm()
    hold = (
        "import sys, pathlib; from gbpm_dagster.warehouse.home import open_home, own\n"
        "with own(open_home(pathlib.Path(sys.argv[1])), 'gbpm up'): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(gbpm.home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused(gbpm("up", "--port", "0"), 1, str(gbpm.home), f"in use by process {holder.pid} (gbpm up)")
        holder.communicate("")
    with own(open_home(gbpm.home)):
        pass  # nothing of ours holds it


def test_up_on_a_port_that_is_taken(make_gbpm: MakeGbpm) -> None:
    gbpm = make_gbpm()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused(gbpm("up", "--port", str(port)), 1, f"port {port} on 127.0.0.1 is taken", "--port or GBPM_PORT")
        refused(gbpm("up", GBPM_PORT=str(port)), 1, f"port {port}")
    assert not (gbpm.home / "state" / "services.json").exists()


# --- the reader of the output, and how commands start


def test_a_reader_that_has_gone_gets_no_traceback(gbpm: Gbpm) -> None:
    program = gbpm.program("sql", "SELECT * FROM range(300000)", "--format", "csv")
    assert program.stdout is not None
    assert program.stdout.readline() == "range\n"
    program.stdout.close()
    assert program.stderr is not None
    assert program.stderr.read() == ""
    program.stderr.close()
    assert program.wait() in (0, 1)  # whether Python sees it depends on how much was written already


def test_commands_that_only_ask_do_not_load_dagster(gbpm: Gbpm) -> None:
    lines = [["version"], ["tables"], ["config", "--json"], ["plan", "--all", *RANGE], ["sql", "SELECT 1"]]
    refusals = [["unit", "DRAXX-1"], ["export", "bmrs_mid", "-", *RANGE]]  # 1: nothing is stored here
    check = f"""
import sys, json
from gbpm_dagster.cli import run
loaded = []
for line in {lines!r} + {refusals!r}:
    assert run(line) == int(line in {refusals!r}), line
    loaded.append([m for m in ("dagster", "pandera", "pandas", "httpx", "duckdb") if m in sys.modules])
print(json.dumps(loaded), file=sys.stderr)
"""
    found = subprocess.run(
        [sys.executable, "-c", check], env=gbpm._whole({}), capture_output=True, text=True, check=True
    )
    assert json.loads(found.stderr.splitlines()[-1]) == [[], [], [], [], ["duckdb"], ["duckdb"], ["duckdb"]]


def test_nothing_of_this_has_asked_anybody_or_made_rows(gbpm: Gbpm) -> None:
    """Runs last: refusals leave the home as it was."""
    assert gbpm.environment["ELEXON_BASE_URL"] == DEAD
    runtime = gbpm.runtime()
    assert runtime.lake.attempts(TABLES.split()).is_empty()
    assert runtime.lake.tables() == []
