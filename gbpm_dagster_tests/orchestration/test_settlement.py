"""The schedule of settlement runs: what it asks for, in how few runs, and that nobody asks twice.

Worked by hand (England & Wales, 1 January a bank holiday): of 1 January 2024 II is on the 8th and SF on the 23rd, of
5 January II is on the 12th; each is due at 05:00 of the working day after.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl
import pytest

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.orchestration.assets import REASON_TAG
from gbpm_dagster.orchestration.internal import days_in_flight
from gbpm_dagster.orchestration.partitions import RANGE_END, RANGE_START
from gbpm_dagster.orchestration.settlement import _runs
from gbpm_dagster.quality.runs import Refetch
from gbpm_dagster.warehouse.protocol import Arrival, frame_schema
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker, days

COSTS = DATASETS["bmrs_costs"]
AFTER_SF = "2024-01-24T05:00:00Z"
ANSWERED = datetime(2024, 1, 12, 12, tzinfo=UTC)

Held = Callable[..., Home]


@pytest.fixture
def held(home: HomeMaker) -> Held:
    """A home that asked for 1 to 5 January 2024 on the 12th: II of the first four had come, of the 5th not."""

    def make(**environ: str) -> Home:
        here = home(**{"GBPM_NOW": AFTER_SF, **environ})
        nothing = pl.DataFrame(schema=frame_schema(COSTS))
        answers = [
            Arrival(d, nothing, ANSWERED, windows_asked=1, windows_answered=1)
            for d in days("2024-01-01", "2024-01-05")
        ]
        here.runtime.lake.replace(COSTS, answers)
        return here

    return make


def tick(here: Home, at: str = "2024-01-24T05:00") -> list[dg.RunRequest]:
    schedule = here.defs.resolve_schedule_def("settlement_runs_0500")
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/London")),
        instance=here.instance,
        repository_def=here.defs.get_repository_def(),
    )
    found = schedule.evaluate_tick(context)
    assert found.run_requests or "no settlement run has come" in str(found.skip_message)
    return list(found.run_requests or [])


def asked(requests: list[dg.RunRequest]) -> list[tuple[str, set[str], str, str]]:
    return [
        (
            r.tags[REASON_TAG],
            {k.to_user_string() for k in r.asset_selection or ()},
            r.tags[RANGE_START],
            r.tags[RANGE_END],
        )
        for r in requests
    ]


SECOND_RUN = ("settlement run II", {"bmrs_costs"}, "2024-01-05", "2024-01-05")
FIRST_DAY = ("settlement run SF", {"bmrs_costs"}, "2024-01-01", "2024-01-01")


def test_it_asks_for_what_is_due_and_says_why_newest_first(held: Held) -> None:
    requests = tick(held())
    assert asked(requests) == [SECOND_RUN, FIRST_DAY]
    assert len({r.run_key for r in requests}) == 2
    assert [r.run_key for r in tick(held())] == [r.run_key for r in requests], "a tick that is retried repeats none"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"GBPM_NOW": "2024-01-24T04:59:59Z"}, [SECOND_RUN]),
        ({"GBPM_RUNS_DUE_HOUR": "6"}, [SECOND_RUN]),
        ({"GBPM_NOW": "2024-01-15T04:59:59Z"}, []),
        ({"GBPM_RUNS_MAX_PARTITIONS": "1"}, [SECOND_RUN]),
    ],
)
def test_not_before_its_hour_and_within_the_bound(
    held: Held, environ: dict[str, str], expected: list[tuple[str, set[str], str, str]]
) -> None:
    assert asked(tick(held(**environ))) == expected


def test_days_in_flight_are_left_alone_and_its_own_are_in_flight_for_the_healer(held: Held) -> None:
    here = held()
    first, second = tick(here)
    job = here.defs.resolve_implicit_global_asset_job_def()
    here.instance.create_run_for_job(
        job,
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset(first.asset_selection or ()),
        tags=dict(first.tags),
    )
    assert days_in_flight(here.instance) == {"bmrs_costs": {date(2024, 1, 5)}}
    assert asked(tick(here)) == asked([second])


def test_its_runs_fetch_the_days_once_and_the_log_says_why(held: Held) -> None:
    here = held()
    for request in tick(here):
        result = here.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=here.instance, asset_selection=list(request.asset_selection or ()), tags=dict(request.tags)
        )
        assert result.success
    assert here.replay is not None and len(here.replay.requests) == 2
    tries = here.runtime.lake.attempts(["bmrs_costs"]).filter(pl.col("reason") != "")
    assert tries.select("day", "outcome", "reason").rows() == [
        (date(2024, 1, 1), "written", "settlement run SF"), (date(2024, 1, 5), "written", "settlement run II"),
    ]  # fmt: skip
    assert tick(here) == []


def test_tables_that_want_the_same_days_share_a_run_and_a_range_is_one_run(held: Held) -> None:
    mid = DATASETS["bmrs_mid"]
    week = tuple(days("2024-01-02", "2024-01-05"))
    found = [
        Refetch("bmrs_costs", "SF", week, week),
        Refetch("bmrs_mid", "SF", week, week),
        Refetch("bmrs_mid", "II", week[:1], (week[0], *week[2:])),
    ]
    told = _runs(held().runtime, [COSTS, mid], found)
    assert [(run, span, [d.table for d in group]) for run, span, group in told] == [
        ("SF", list(week), ["bmrs_costs", "bmrs_mid"]),
        ("II", [week[0]], ["bmrs_mid"]),
        ("II", list(week[2:]), ["bmrs_mid"]),
    ]
