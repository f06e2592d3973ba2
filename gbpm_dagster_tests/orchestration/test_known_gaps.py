"""The register in Dagster: its asset, and schedules that leave excluded days alone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.orchestration import known_gaps_asset
from gbpm_dagster.orchestration.launch import QUIET
from gbpm_dagster.orchestration.partitions import RANGE_END, RANGE_START
from gbpm_dagster.quality.register import Status, new_entry
from gbpm_dagster.warehouse.protocol import Arrival, frame_schema
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker, days

KEY = dg.AssetKey("gbpm_known_gaps")
SAID = datetime(2024, 1, 7, 9, tzinfo=UTC)


def enter(here: Home, table: str, first: str, last: str | None, status: str, by: str = "person") -> None:
    end = date.fromisoformat(last) if last else None
    entry = new_entry(table, date.fromisoformat(first), end, Status(status), f"{status} by {by}", by, SAID)
    here.runtime.lake.put_known_gaps([entry.row()])


def tick(here: Home, name: str, at: datetime) -> list[dg.RunRequest]:
    context = dg.build_schedule_context(
        scheduled_execution_time=at, instance=here.instance, repository_def=here.defs.get_repository_def()
    )
    return list(here.defs.resolve_schedule_def(name).evaluate_tick(context).run_requests or [])


def materialise(here: Home) -> dict[str, object]:
    job = here.defs.resolve_job_def("known_gaps")
    assert job.execute_in_process(instance=here.instance, run_config=QUIET).success
    event = here.instance.get_latest_materialization_event(KEY)
    assert event is not None and event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_the_asset_shows_the_register_strongest_first_with_counts(home: HomeMaker) -> None:
    here = home(replay=False)
    assert materialise(here) == {"dagster/row_count": 0}
    enter(here, "bmrs_mid", "2024-01-01", None, "suspected", "seed")
    enter(here, "bmrs_indo", "2024-01-03", "2024-01-03", "missing_at_source", "healer")
    enter(here, "bmrs_costs", "2024-01-01", "2024-01-02", "resolved")
    enter(here, "bmrs_mid", "2024-01-05", "2024-01-06", "excluded")
    shown = materialise(here)
    assert {k: v for k, v in shown.items() if k != "known gaps"} == {
        "dagster/row_count": 4, "excluded": 1, "missing_at_source": 1, "suspected": 1, "resolved": 1,
    }  # fmt: skip
    table = shown["known gaps"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [(r.data["table"], r.data["days"], r.data["status"], r.data["by"]) for r in table.records] == [
        ("bmrs_mid", "2024-01-05 to 2024-01-06", "excluded", "person"),
        ("bmrs_indo", "2024-01-03", "missing_at_source", "healer"),
        ("bmrs_mid", "2024-01-01 on", "suspected", "seed"),
    ]
    assert table.records[0].data["since"] == "2024-01-07"
    assert table.records[0].data["reason"] == "excluded by person"


def test_a_long_register_is_shown_in_part_and_says_so(home: HomeMaker, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(known_gaps_asset, "SHOWN", 2)
    here = home(replay=False)
    for n in range(1, 6):
        enter(here, "bmrs_mid", f"2024-01-0{n}", None, "suspected")
    shown = materialise(here)
    assert len(shown["known gaps"].records) == 2  # type: ignore[attr-defined]
    assert shown["not shown"] == "3 more: `gbpm known-gaps list`"


def test_it_is_in_the_group_quality_and_shown_every_morning(home: HomeMaker) -> None:
    here = home(replay=False)
    spec = here.defs.resolve_asset_graph().get(KEY)
    assert spec.group_name == "quality"
    assert "gbpm known-gaps" in (spec.description or "")
    columns = spec.metadata["dagster/column_schema"].columns
    assert [c.name for c in columns][:5] == ["id", "table", "first", "last", "status"]
    assert [(c.name, c.type) for c in columns if c.type != "string"] == [
        ("first", "date"), ("last", "date"), ("recoverable", "boolean"), ("since", "timestamp"),
        ("changed_at", "timestamp"), ("retry_at", "timestamp"),
    ]  # fmt: skip
    schedule = here.defs.resolve_schedule_def("known_gaps_0830")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 8 * * *", "Europe/London")


def test_the_night_leaves_an_excluded_yesterday_alone(home: HomeMaker) -> None:
    here = home(replay=False, GBPM_DATASETS="bmrs_mid,bmrs_indo")
    enter(here, "bmrs_mid", "2024-01-07", "2024-01-07", "excluded")
    enter(here, "bmrs_indo", "2024-01-07", "2024-01-07", "suspected")
    found = tick(here, "daily_backfill_0200", datetime(2024, 1, 8, 2, tzinfo=ZoneInfo("Europe/London")))
    assert [(r.partition_key, [k.to_user_string() for k in r.asset_selection or ()]) for r in found] == [
        ("2024-01-07", ["bmrs_indo"])
    ]


def test_a_settlement_run_leaves_excluded_days_alone(home: HomeMaker) -> None:
    """1 to 4 January 2024 were asked for on the 5th; II of the 1st and 2nd has come on the 12th (test_settlement)."""
    here = home(replay=False, GBPM_NOW="2024-01-12T12:00:00Z", GBPM_DATASETS="bmrs_costs")
    costs = DATASETS["bmrs_costs"]
    nothing = pl.DataFrame(schema=frame_schema(costs))
    early = datetime(2024, 1, 5, 12, tzinfo=UTC)
    answers = [
        Arrival(d, nothing, early, windows_asked=1, windows_answered=1) for d in days("2024-01-01", "2024-01-04")
    ]
    here.runtime.lake.replace(costs, answers)

    def asked() -> list[tuple[str, str]]:
        at = datetime(2024, 1, 12, 5, tzinfo=ZoneInfo("Europe/London"))
        return [(r.tags[RANGE_START], r.tags[RANGE_END]) for r in tick(here, "settlement_runs_0500", at)]

    before = asked()
    assert before[0][0] == "2024-01-01" and len(before) == 1
    enter(here, "bmrs_costs", "2024-01-02", None, "excluded")
    assert asked() == [("2024-01-01", "2024-01-01")]
