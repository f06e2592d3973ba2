"""The weekly look at the service's document: fetched, kept, judged; red on drift, and out of everybody's way."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from gbpm_dagster.demo.replay_recordings import RECORDINGS
from gbpm_dagster.elexon.openapi import PATH
from gbpm_dagster.orchestration.build import build_definitions
from gbpm_dagster.orchestration.launch import QUIET
from gbpm_dagster.orchestration.openapi_asset import keep
from gbpm_dagster.settings import Settings
from gbpm_dagster_tests.catalogue.mutate import Json, as_bytes, parameter, row
from gbpm_dagster_tests.elexon.documents import Documents, serving
from gbpm_dagster_tests.elexon.scripted import Answer
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker

LONDON = ZoneInfo("Europe/London")
WHOLE = as_bytes()
KEY = dg.AssetKey("elexon_openapi")


def drifted(found: Json) -> None:
    row(found, "/datasets/MID")["price"].update(type="integer", format="int32")
    del row(found, "/datasets/FREQ")["frequency"]
    found["paths"]["/datasets/NEW"] = found["paths"]["/datasets/MID"]
    parameter(found, "/datasets/BOALF", "from")["name"] = "since"


def only_more(found: Json) -> None:
    row(found, "/datasets/MID")["currency"] = {"type": "string"}
    found["paths"]["/datasets/NEW"] = found["paths"]["/datasets/BOD"]


@pytest.fixture
def source() -> Iterator[Documents]:
    with serving({PATH: Answer(WHOLE)}) as found:
        yield found


@pytest.fixture
def here(home: HomeMaker, source: Documents) -> Home:
    return home(replay=False, ELEXON_BASE_URL=source.base_url, ELEXON_TIMEOUT_SECONDS="5")


def look(here: Home) -> dg.ExecuteInProcessResult:
    """One run of the job, as the schedule would start it."""
    job = here.defs.resolve_job_def("catalogue_verify")
    return job.execute_in_process(instance=here.instance, run_config=QUIET, raise_on_error=False)


def judged(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = result.get_asset_check_evaluations()
    assert (found.asset_key, found.check_name) == (KEY, "catalogue")
    return found


def account(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = [e for e in result.all_events if e.is_step_materialization]
    made = event.step_materialization_data.materialization
    assert made.asset_key == KEY
    return {name: value.value for name, value in made.metadata.items()}


def rows(table: dg.MetadataValue) -> list[dict[str, Any]]:
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def kept(here: Home) -> list[Path]:
    return sorted((here.settings.home / "state" / "openapi").iterdir())


def test_a_document_that_agrees_is_kept_and_passes(here: Home, source: Documents) -> None:
    result = look(here)
    assert result.success
    assert source.asked == [PATH]
    (file,) = kept(here)
    assert gzip.decompress(file.read_bytes()) == WHOLE
    sha256 = hashlib.sha256(WHOLE).hexdigest()
    today = datetime.now(UTC).astimezone(LONDON).date()
    assert file.name == f"openapi-{today}-{sha256[:12]}.json.gz"
    assert account(result) == {
        "source": f"{source.root}{PATH}",
        "file": str(file),
        "new": True,
        "sha256": sha256,
        "bytes": len(WHOLE),
        "requests": 1,
        "paths": 312,
        "schemas": 295,
        "differences": 0,
        "changes since the stored document": 0,
        "inferred paths": "/datasets/MDB, /datasets/MDB/stream, /datasets/MDO, /datasets/MDO/stream",
    }
    check = judged(result)
    assert check.passed
    assert str(check.description).startswith("151 tables and 65 paths left out agree with the document at http")


def test_each_version_is_kept_once(here: Home, source: Documents) -> None:
    look(here)
    again = account(look(here))
    assert again["new"] is False
    assert [Path(again["file"])] == kept(here)
    source.publish(as_bytes(only_more))
    assert account(look(here))["new"] is True
    assert len(kept(here)) == 2


def test_a_catalogued_field_that_changed_turns_the_check_red(here: Home, source: Documents) -> None:
    source.publish(as_bytes(drifted))
    result = look(here)
    assert result.success  # the look was taken; the check is what fails
    check = judged(result)
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    said = str(check.description)
    assert "5 differences between the catalogue and the document at http" in said
    assert "2 added, 2 removed, 1 changed" in said
    assert "bmrs_mid: column 'price' is number, the document says integer" in said
    assert "and 2 more. Next: a newer gbpm may know it; else correct the entries" in said
    assert "has no table" not in said  # what breaks is named first
    diff = rows(check.metadata["diff"])
    told = {(r["change"], r["what"], r["table"] or r["path"], r["catalogue"], r["document"]) for r in diff}
    assert told == {
        ("changed", "field price", "bmrs_mid", "number", "integer"),
        ("removed", "field frequency", "bmrs_freq", "number", ""),
        ("removed", "parameter from", "bmrs_boalf", "given", ""),
        ("added", "parameter since", "bmrs_boalf", "", "required"),
        ("added", "path", "/datasets/NEW", "", "Market Index Data (MID)"),
    }
    made = account(result)
    assert (made["differences"], made["changes since the stored document"]) == (5, 5)
    (event,) = [e for e in result.all_events if e.is_step_materialization]
    changes = rows(event.step_materialization_data.materialization.metadata["changes"])
    assert {r["what"] for r in changes} >= {"field price", "field frequency"}

    source.publish(WHOLE)  # the service takes it back: green again
    assert judged(look(here)).passed


def test_only_new_paths_and_fields_are_a_warning(here: Home, source: Documents) -> None:
    source.publish(as_bytes(only_more))
    check = judged(look(here))
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert "2 added" in str(check.description)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(b"<html>We'll be back soon</html>", type="text/html"), "is HTML or XML, not JSON"),
        (Answer(b"{}", status=404), "404 Not Found"),
        (Answer(b"later", status=503), "503 Service Unavailable"),
        (Answer(WHOLE[:5_000]), "cut short or broken, 5,000 bytes of it"),
    ],
    ids=["HTML", "404", "503", "cut"],
)
def test_no_document_fails_the_run_in_words_and_judges_nothing(
    here: Home, source: Documents, answer: Answer, words: str
) -> None:
    source.answers[PATH] = answer
    result = look(here)
    assert not result.success
    assert result.get_asset_check_evaluations() == []
    failure = result.failure_data_for_node("elexon_openapi")
    assert failure is not None and failure.user_failure_data is not None
    said = str(failure.user_failure_data.description)
    assert words in said
    assert said.endswith(
        "The catalogue was not checked; the next look is on Monday, or launch the job catalogue_verify."
    )
    assert not (here.settings.home / "state" / "openapi").exists()


def test_a_home_that_cannot_be_written_is_named(here: Home) -> None:
    state = here.settings.home / "state"
    state.mkdir(parents=True, exist_ok=True)
    (state / "openapi").write_text("in the way")
    result = look(here)
    failure = result.failure_data_for_node("elexon_openapi")
    assert failure is not None and failure.user_failure_data is not None
    assert "the document cannot be kept" in str(failure.user_failure_data.description)
    assert str(state / "openapi") in str(failure.user_failure_data.description)


def test_a_login_is_in_no_event(home: HomeMaker, source: Documents) -> None:
    address = source.base_url.replace("://", "://me:hush-hush@")
    here = home(replay=False, ELEXON_BASE_URL=address)
    result = look(here)
    assert result.success
    assert "" not in source.logins
    assert "hush" not in repr(
        [record.event_log_entry for record in here.instance.get_records_for_run(result.run_id).records]
    )


def test_it_leaves_the_tables_their_checks_and_the_healer_alone(here: Home, source: Documents) -> None:
    source.publish(as_bytes(drifted))
    look(here)
    graph = here.defs.get_repository_def().asset_graph
    assert {d.table for d in here.runtime.datasets} == {"bmrs_costs", "bmrs_mid", "bmrs_indo"}
    assert {k.to_user_string() for k in graph.get_all_asset_keys()} == {
        *(d.table for d in here.runtime.datasets),
        "elexon_openapi",
        "gbpm_known_gaps",
        "gbpm_scorecard",
    }
    assert graph.get(KEY).pools == set()
    context = dg.build_sensor_context(here.instance, repository_def=here.defs.get_repository_def())
    skipped = here.defs.resolve_sensor_def("heal")(context)
    assert isinstance(skipped, dg.SkipReason)
    assert "no gap check fails; 3 table(s) have none yet" in str(skipped.skip_message)
    night = datetime(2024, 1, 8, 2, tzinfo=LONDON)
    schedule = here.defs.resolve_schedule_def("daily_backfill_0200")
    ticked = dg.build_schedule_context(
        scheduled_execution_time=night, instance=here.instance, repository_def=here.defs.get_repository_def()
    )
    asked = {k for r in schedule.evaluate_tick(ticked).run_requests or [] for k in r.asset_selection or ()}
    assert asked and KEY not in asked
    before = judged_ids(here)
    here.defs.resolve_job_def("all_checks").execute_in_process(instance=here.instance, run_config=QUIET)
    assert judged_ids(here) == before


def judged_ids(here: Home) -> list[int]:
    key = dg.AssetCheckKey(KEY, "catalogue")
    return [r.id for r in here.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)]


@pytest.mark.parametrize(
    ("at", "utc"),
    [
        ("2024-01-08T06:00", "2024-01-08T06:00"),
        ("2024-07-08T06:00", "2024-07-08T05:00"),  # 06:00 BST
    ],
)
def test_the_schedule_is_on_and_starts_the_job_on_mondays(here: Home, at: str, utc: str) -> None:
    schedule = here.defs.resolve_schedule_def("catalogue_verify_weekly")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "catalogue_verify"
    tick = datetime.fromisoformat(at).replace(tzinfo=LONDON)
    assert date.fromisoformat(at[:10]).isoweekday() == 1
    upcoming = schedule_execution_time_iterator(
        tick.timestamp() - 3600, str(schedule.cron_schedule), schedule.execution_timezone
    )
    first, second = next(upcoming), next(upcoming)
    assert first.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") == utc
    assert (second.date() - first.date()).days == 7
    context = dg.build_schedule_context(
        scheduled_execution_time=tick, instance=here.instance, repository_def=here.defs.get_repository_def()
    )
    (request,) = schedule.evaluate_tick(context).run_requests or []
    assert not request.asset_selection  # all of the job


def test_a_home_of_recorded_days_does_not_look() -> None:
    scope = {"GBPM_SCOPE_FILE": str(RECORDINGS / "scope.json"), "GBPM_NOW": "2026-03-30T12:00:00Z"}
    repository = build_definitions(Settings.load(scope)).get_repository_def()
    assert KEY not in repository.asset_graph.get_all_asset_keys()
    assert "catalogue_verify_weekly" not in {s.name for s in repository.schedule_defs}


def test_a_document_is_kept_under_the_london_day_whole_or_not_at_all(tmp_path: Path) -> None:
    late = datetime(2024, 6, 30, 23, 30, tzinfo=UTC)
    packed = gzip.compress(WHOLE)
    file, new = keep(tmp_path / "new", packed, "ab" * 32, late)
    assert (file.name, new) == ("openapi-2024-07-01-abababababab.json.gz", True)
    assert file.read_bytes() == packed
    assert keep(tmp_path / "new", WHOLE, "ab" * 32, datetime(2025, 1, 1, tzinfo=UTC)) == (file, False)
    assert list(file.parent.iterdir()) == [file]
