"""Which tables a command is about, and what asking for them takes: tiers, groups within groups, ids, own limits."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from gbpm_dagster.catalogue import DATASETS, get
from gbpm_dagster_tests.console.conftest import MakeGbpm
from gbpm_dagster_tests.console.driver import Gbpm

DAY = ("--from", "2024-01-03", "--to", "2024-01-03")


@pytest.fixture(scope="module")
def gbpm(make_gbpm: MakeGbpm) -> Gbpm:
    """A home of all tables; nobody would answer."""
    return make_gbpm(GBPM_DATASETS="", GBPM_TIER="optional")


def planned(gbpm: Gbpm, *args: str, **more: str) -> dict[str, Any]:
    done = gbpm("plan", *args, *DAY, "--json", **more)
    assert done.code == 0, done
    found: dict[str, Any] = done.json["tables"]
    return found


@pytest.mark.parametrize(
    ("tier", "tiers", "tables"),
    [
        ("", {"core"}, 41),
        ("core", {"core"}, 41),
        ("standard", {"core", "standard"}, 41 + 54),
        ("optional", {"core", "standard", "optional"}, 151),
    ],
)
def test_a_tier_has_the_tables_of_those_before_it(gbpm: Gbpm, tier: str, tiers: set[str], tables: int) -> None:
    """Decision 20; datasets.csv: 41 core, 54 standard, 56 optional."""
    found = gbpm("tables", "--json", GBPM_TIER=tier).json["tables"]
    here = [t for t in found if t["here"]]
    assert (len(here), {t["tier"] for t in here}) == (tables, tiers)
    assert len(found) == 151, "all are listed"


def test_named_tables_go_before_the_tier(gbpm: Gbpm) -> None:
    chosen = gbpm.runtime(GBPM_TIER="core", GBPM_DATASETS="bmrs_yafm, MID").datasets
    assert [d.table for d in chosen] == ["bmrs_yafm", "bmrs_mid"]


def test_a_tier_there_is_not_is_one_clear_line(gbpm: Gbpm) -> None:
    done = gbpm("tables", GBPM_TIER="everything")
    assert (done.code, done.out) == (2, "")
    assert len(done.err.strip().splitlines()) == 1
    assert "GBPM_TIER" in done.err and "'core', 'standard' or 'optional'" in done.err


def test_a_group_has_the_groups_within_it(gbpm: Gbpm) -> None:
    families = Counter(d.family for d in DATASETS.values())
    within = [family for family in families if family.startswith("forecasts/")]
    assert len(within) >= 3
    assert len(planned(gbpm, "--group", "forecasts")) == sum(families[f] for f in within)
    for written in (within[0], f"{within[0]}/", within[0].upper()):
        found = planned(gbpm, "--group", written)
        assert {get(t).family for t in found} == {within[0]}
        assert len(found) == families[within[0]]
    both = planned(gbpm, "--group", "balancing")
    assert {"bmrs_bod", "bmrs_disbsad"} <= set(both), "the group's own tables and those of its groups"


def test_a_group_is_of_the_tables_of_this_home(gbpm: Gbpm) -> None:
    core = planned(gbpm, "--group", "forecasts", GBPM_TIER="core")
    assert core and {get(t).tier for t in core} == {"core"}


@pytest.mark.parametrize("wrong", ["forecast", "fore", "forecasts/dem", "balancin"])
def test_a_part_of_a_groups_name_is_not_that_group(gbpm: Gbpm, wrong: str) -> None:
    done = gbpm("plan", "--group", wrong, *DAY)
    assert (done.code, done.out) == (2, "")
    assert f"there is no group '{wrong}' in this home" in done.err


def test_what_is_asked_by_ids_is_planned_for_a_typical_days_ids(gbpm: Gbpm) -> None:
    typical = DATASETS["remit_message_list"].rows_per_day
    assert typical > 50
    found = planned(gbpm, "remit_message_list", "remit_messages")
    assert found["remit_message_list"]["requests"] == 1
    assert found["remit_messages"]["requests"] == -(-typical // 50), "fifty messages a call"
    week = gbpm("plan", "remit_messages", "--from", "2024-01-01", "--to", "2024-01-07", "--json").json
    assert week["tables"]["remit_messages"]["requests"] == 7 * found["remit_messages"]["requests"]


def test_a_path_with_a_limit_of_its_own_takes_its_time(gbpm: Gbpm) -> None:
    """100 requests a minute whatever the setting allows; a slower setting counts."""
    quick = planned(gbpm, "bmrs_uou2t3yw", "bmrs_uou2t14d", ELEXON_MAX_REQUESTS_PER_SECOND="10")
    assert quick["bmrs_uou2t3yw"]["requests"] == quick["bmrs_uou2t14d"]["requests"] == 6
    assert quick["bmrs_uou2t3yw"]["seconds"] == pytest.approx(6 * 0.6)
    assert quick["bmrs_uou2t14d"]["seconds"] == pytest.approx(0.6)
    slow = planned(gbpm, "bmrs_uou2t3yw", ELEXON_MAX_REQUESTS_PER_SECOND="0.5")
    assert slow["bmrs_uou2t3yw"]["seconds"] == pytest.approx(12)


@pytest.mark.parametrize(
    ("table", "requests"),
    [
        ("bmrs_boav", 2),  # bids and offers
        ("bmrs_ispstack", 96),  # each in 48 periods
        ("meta_data_status", 12),  # datasets with a count
        ("bmrs_indicated_day_ahead", 48),
        ("bmrs_availability_daily", 24),
        ("bmrs_margin_weekly", 1),
        ("bmrs_triad_peaks", 1),
        ("bmrs_tudm", 1),
        ("bmrs_bod", 24),
        ("ref_bmunits", 1),
    ],
)
def test_requests_of_an_ordinary_day(gbpm: Gbpm, table: str, requests: int) -> None:
    assert planned(gbpm, table)[table]["requests"] == requests


def test_out_of_season_nothing_is_planned(gbpm: Gbpm) -> None:
    now = {"GBPM_NOW": "2024-07-08T12:00:00Z"}
    done = gbpm("plan", "bmrs_triad_peaks", "--from", "2024-07-01", "--to", "2024-07-07", "--json", **now)
    assert done.json["tables"]["bmrs_triad_peaks"]["requests"] == 0
