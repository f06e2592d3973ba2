"""A warehouse that was filled without Dagster is told to it whole, once, in pieces that may be interrupted."""

from __future__ import annotations

from collections import Counter

import dagster as dg
import pytest

from gbpm_dagster.orchestration import telling
from gbpm_dagster.orchestration.adoption import adopt
from gbpm_dagster.orchestration.launch import RANGE_END, RANGE_START
from gbpm_dagster.orchestration.telling import BRIEF, tell
from gbpm_dagster_tests.orchestration.conftest import Home, HomeMaker, days

MID = dg.AssetKey("bmrs_mid")
WEEK = [d.isoformat() for d in days("2024-01-01", "2024-01-07")]


def events(here: Home, table: str = "bmrs_mid") -> list[tuple[str | None, dict[str, object]]]:
    """Every materialisation of the table, oldest first: its day and metadata."""
    records = here.instance.fetch_materializations(dg.AssetKey(table), limit=100).records
    found = []
    for record in reversed(records):
        told = record.asset_materialization
        assert told is not None
        found.append((told.partition, {name: value.value for name, value in told.metadata.items()}))
    return found


def adopted(here: Home, *tables: str) -> dict[str, dict[str, int]]:
    datasets = here.runtime.named(list(tables))
    evidence = here.runtime.lake.evidence([d.table for d in datasets], columns=BRIEF)
    heard: list[int] = []
    found = adopt(here.instance, here.runtime, datasets, evidence, heard.append)
    assert sum(heard) == evidence.height  # the bar ends at its end
    return found


def test_every_stored_day_is_told_once_and_says_that_it_was_adopted(home: HomeMaker) -> None:
    here = home()
    here.run("bmrs_mid", "2024-01-02")  # this one Dagster knows
    here.load("bmrs_mid", "2024-01-01", "2024-01-07")
    here.load("bmrs_indo", "2024-01-03")
    nothing = {"told": 0, "known": 0, "in_flight": 0, "unwanted": 0}
    assert adopted(here) == {
        "bmrs_mid": {**nothing, "told": 6, "known": 1},
        "bmrs_indo": {**nothing, "told": 1},
        "bmrs_costs": nothing,
    }
    assert {t: n["told"] for t, n in adopted(here).items()} == {"bmrs_mid": 0, "bmrs_indo": 0, "bmrs_costs": 0}
    assert Counter(day for day, _ in events(here)) == dict.fromkeys(WEEK, 1)
    metadata = dict(events(here))["2024-01-03"]
    fetched = here.runtime.lake.evidence(["bmrs_mid"]).filter(rows=96)["fetched_at"][2].timestamp()
    assert metadata == {
        "dagster/partition_row_count": 96,
        "status": "adopted",
        "source": "REST",
        "fetched": pytest.approx(fetched),
    }
    assert tell(here.instance, here.runtime, here.runtime.datasets) == 0  # nor does a check tell of them again


def test_an_interrupted_adoption_goes_on_where_it_was(home: HomeMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are whole: what was told before the interrupt is known, what was not is told by the next."""
    monkeypatch.setattr(telling, "EVENTS_AT_ONCE", 2)
    here = home(GBPM_DATASETS="bmrs_mid")
    here.load("bmrs_mid", "2024-01-01", "2024-01-07")
    evidence, heard = here.runtime.lake.evidence(columns=BRIEF), []

    def interrupt(told: int) -> None:
        heard.append(told)
        if sum(heard) >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adopt(here.instance, here.runtime, here.runtime.datasets, evidence, interrupt)
    assert [day for day, _ in events(here)] == WEEK[:4]
    assert adopted(here)["bmrs_mid"] == {"told": 3, "known": 4, "in_flight": 0, "unwanted": 0}
    assert [day for day, _ in events(here)] == WEEK


def test_a_batch_that_fails_leaves_none_of_its_days(home: HomeMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    here = home(GBPM_DATASETS="bmrs_mid")
    here.load("bmrs_mid", "2024-01-01", "2024-01-07")
    log = here.instance.event_log_storage

    def dies(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(log, "_store_asset_event", dies)  # the last step of a batch's transaction
        adopted(here)
    assert events(here) == []
    assert adopted(here)["bmrs_mid"]["told"] == 7


def test_days_in_flight_and_days_nobody_wants_are_left_alone_and_counted(home: HomeMaker) -> None:
    here = home(GBPM_DATASETS="bmrs_mid")
    here.load("bmrs_mid", "2023-12-30", "2024-01-03")  # the home begins on 1 January
    here.instance.create_run_for_job(
        here.defs.resolve_implicit_global_asset_job_def(),
        asset_selection=frozenset({MID}),
        status=dg.DagsterRunStatus.STARTED,
        tags={RANGE_START: "2024-01-02", RANGE_END: "2024-01-03"},
    )
    assert adopted(here)["bmrs_mid"] == {"told": 1, "known": 0, "in_flight": 2, "unwanted": 2}
    assert [day for day, _ in events(here)] == ["2024-01-01"]


def test_a_reference_table_is_told_by_its_newest_list(home: HomeMaker) -> None:
    here = home(GBPM_DATASETS="ref_bmunits", GBPM_NOW="2026-03-30T12:00:00Z", GBPM_HISTORY_START="2026-03-30")
    here.load("ref_bmunits", "2026-03-30")
    assert adopted(here)["ref_bmunits"] == {"told": 1, "known": 0, "in_flight": 0, "unwanted": 0}
    assert adopted(here)["ref_bmunits"] == {"told": 0, "known": 1, "in_flight": 0, "unwanted": 0}
    ((day, metadata),) = events(here, "ref_bmunits")
    assert (day, metadata["dagster/partition_row_count"]) == (None, 2732)


def test_the_partitions_page_shows_adopted_days_as_materialised(home: HomeMaker) -> None:
    """The caching that the UI reads follows: a day told of in a batch is a materialised one."""
    here = home(GBPM_DATASETS="bmrs_mid")
    here.load("bmrs_mid", "2024-01-01", "2024-01-07")
    adopted(here)
    assert sorted(here.instance.get_materialized_partitions(MID)) == WEEK
    statuses = here.instance.get_status_by_partition(
        MID, [*WEEK, "2024-01-08"], here.defs.resolve_asset_graph().get(MID).partitions_def
    )
    assert statuses is not None
    shown = {day: status and status.value for day, status in statuses.items()}
    assert {shown[day] for day in WEEK} == {"MATERIALIZED"}
    assert shown.get("2024-01-08") is None
