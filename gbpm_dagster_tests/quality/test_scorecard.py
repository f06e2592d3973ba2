"""The scorecard against the worked example, days worked out by hand, and what holds of any parts."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.quality.coverage import coverage
from gbpm_dagster.quality.judged import Judgement, Offence
from gbpm_dagster.quality.known import stored_by
from gbpm_dagster.quality.result import ERROR
from gbpm_dagster.quality.scorecard import (
    PARTS,
    WEIGHTS,
    by_table,
    grade,
    importance,
    platform,
    score,
    scorecard,
    worst,
)
from gbpm_dagster.quality.scorechart import COLOURS, UNKNOWN, heat_map, markdown
from gbpm_dagster.warehouse.protocol import SCORE_SCHEMA
from gbpm_dagster_tests.examples import example
from gbpm_dagster_tests.quality.helpers import answer, attempt, attempts, evidence, slots_of, utc

COSTS, BOALF = DATASETS["bmrs_costs"], DATASETS["bmrs_boalf"]
DAY = date(2024, 1, 3)
NIGHT = utc("2024-01-04 02:10")
NOW = utc("2024-01-10 12:00")
SHARE = st.none() | st.floats(0, 1)


def test_sc_01() -> None:
    given_, expected = example("sc-01")
    found = [score(parts, given_["weights"]) for parts in given_["components"]]
    assert found == pytest.approx([points for points, _ in expected], abs=1e-9)
    assert [grade(points) for points in found] == [letter for _, letter in expected]
    assert list(WEIGHTS.values()) == given_["weights"]


@given(st.lists(SHARE, min_size=4, max_size=4))
def test_a_score_lies_between_its_worst_and_its_best_part(parts: list[float | None]) -> None:
    points, known = score(parts), [p for p in parts if p is not None]
    if not known:
        assert points is None and grade(points) is None
    else:
        assert points is not None
        assert 100 * min(known) - 1e-9 <= points <= 100 * max(known) + 1e-9


def test_grades_begin_at_their_limit() -> None:
    assert [grade(p) for p in (100, 98, 97.999, 95, 94.9, 90, 89.999, 0)] == list("AABBCCDD")


def card(
    dataset: Dataset, held: Mapping[str, Any] | None, tried: list[dict[str, Any]], now: datetime = NOW, **more: Any
) -> dict[str, Any]:
    """The row of DAY. The home has asked for the table since 2 January."""
    rows = [] if held is None else [answer(dataset, DAY, **held)]
    since = attempt(dataset, date(2024, 1, 1), utc("2024-01-02 02:10"), "written", distinct_keys=48)
    log = attempts(*more.pop("before", [since]), *tried)
    frame = coverage(dataset, [DAY], evidence(*rows), log, now)
    judged = more.pop("judged", {})
    found = scorecard(dataset, frame, evidence(*rows), log, judged, now, **more)
    assert found.schema == pl.Schema(SCORE_SCHEMA)
    return found.row(0, named=True)


def whole(**more: Any) -> dict[str, Any]:
    return {"fetched_at": NIGHT, "slots": slots_of(DAY, 1), "fetched": 48, "exact_duplicates": 0, **more}


def parts_of(row: Mapping[str, Any]) -> list[float | None]:
    return [row[part] for part in PARTS]


def test_a_day_without_fault() -> None:
    on_time = [attempt(COSTS, DAY, NIGHT, "written", distinct_keys=48)]
    row = card(COSTS, whole(), on_time, judged={DAY: Judgement("", {}, DAY)})
    assert (parts_of(row), row["score"], row["grade"]) == ([1, 1, 1, 1], 100, "A")


def test_three_periods_lack_copies_came_and_two_rows_break_a_rule() -> None:
    """45 of 48 periods; 45 keys at night; 5 copies among 50 rows received; 2 of 45 rows broken:
    0.4 x 0.9375 + 0.2 x 0.9375 + 0.2 x 0.9 + 0.2 x (1 - 2/45)."""
    held = whole(slots=slots_of(DAY, 1, without=(1, 2, 3)), fetched=50, exact_duplicates=5)
    said = {DAY: Judgement("", {"range": Offence(ERROR, "out of range", 2)}, DAY)}
    row = card(COSTS, held, [attempt(COSTS, DAY, NIGHT, "written", distinct_keys=45)], judged=said)
    assert parts_of(row) == pytest.approx([0.9375, 0.9375, 0.9, 1 - 2 / 45])
    assert row["score"] == pytest.approx(93.3611111111)
    assert row["grade"] == "C"


def test_what_came_by_healing_is_complete_and_not_on_time() -> None:
    """12 of 48 keys by night, the others three days later."""
    tried = [
        attempt(COSTS, DAY, NIGHT, "written", distinct_keys=12),
        attempt(COSTS, DAY, utc("2024-01-07 08:10"), "written", distinct_keys=48),
    ]
    assert parts_of(card(COSTS, whole(), tried))[:2] == [1, 0.25]


def test_what_came_too_late_altogether_has_no_timeliness_what_nobody_watched_has_none_known() -> None:
    later = [attempt(COSTS, DAY, utc("2024-01-09 10:00"), "written", distinct_keys=48)]
    assert card(COSTS, whole(), later)["timeliness"] == 0
    assert card(COSTS, whole(), later, before=[])["timeliness"] is None, "the home began on 9 January"
    failed = [attempt(COSTS, DAY, NIGHT, "failed"), *later]
    assert card(COSTS, whole(), failed)["timeliness"] == 0, "a failed try is no answer"


def test_before_its_time_has_come_nothing_is_said_of_it() -> None:
    row = card(COSTS, None, [], now=utc("2024-01-03 23:00"))
    assert row["timeliness"] is None
    assert card(COSTS, None, [], now=utc("2024-01-04 03:59"))["timeliness"] is None
    assert card(COSTS, None, [], now=utc("2024-01-04 04:00"))["timeliness"] == 0


def test_a_day_of_which_nothing_is_there_is_all_noughts_that_can_be_known() -> None:
    row = card(COSTS, None, [])
    assert (parts_of(row), row["score"], row["grade"]) == ([0, 0, None, None], 0, "D")


def test_events_may_be_empty_and_perfect() -> None:
    """Class E: answered windows / windows due; no row is no lack."""
    held = {"fetched_at": NIGHT, "fetched": 0, "exact_duplicates": 0}
    row = card(BOALF, held, [attempt(BOALF, DAY, NIGHT, "empty", distinct_keys=0)])
    assert (parts_of(row), row["grade"]) == ([1, 1, None, None], "A")


def test_rows_in_quarantine_are_rows_that_do_not_pass() -> None:
    held = whole(quarantined=2, fetched=50)
    row = card(COSTS, held, [], judged={DAY: Judgement("", {}, DAY)})
    assert row["validity"] == pytest.approx(48 / 50)


def test_no_more_rows_are_broken_than_there_are() -> None:
    said = {DAY: Judgement("", {"a": Offence(ERROR, "", 48), "b": Offence(ERROR, "", 48)}, DAY)}
    assert card(COSTS, whole(), [], judged=said)["validity"] == 0


@pytest.mark.parametrize(
    ("table", "by"),
    [
        ("bmrs_costs", "2024-01-04 04:00"),
        ("bmrs_freq", "2024-01-04 04:00"),
        ("ref_bmunits", "2024-01-04 00:00"),  # the day's own list, a day of grace
        ("bmrs_b1610", "2024-01-13 10:00"),  # late 9 days after it ended: found at 08:00, healed by 10:00
    ],
)
def test_when_a_day_should_be_there(table: str, by: str) -> None:
    assert stored_by(DATASETS[table], DAY) == utc(by)
    freq = DATASETS["bmrs_freq"]
    assert stored_by(freq, DAY, nightly=False) == utc("2024-01-04 00:15"), "lag 5 min, grace 10"


def made(**by_table_: list[float | None]) -> pl.DataFrame:
    rows = [
        {"table": t, "day": DAY + timedelta(days=i), **dict.fromkeys(PARTS), "score": s, "grade": grade(s)}
        for t, scores in by_table_.items()
        for i, s in enumerate(scores)
    ]
    return pl.DataFrame(rows, schema=SCORE_SCHEMA)


def test_tables_the_worst_first_and_the_platform_weighted_by_importance() -> None:
    """bmrs_costs weighs 9 (importance 1), bmrs_freq 8, bmrs_default_notices 2: (9x100 + 8x80 + 2x50) / 19."""
    scores = made(bmrs_costs=[100, 100], bmrs_freq=[70, 90, None], bmrs_default_notices=[50], bmrs_bod=[None])
    tables = by_table(scores)
    assert tables.select("table", "days", "score", "grade").rows() == [
        ("bmrs_default_notices", 1, 50, "D"),
        ("bmrs_freq", 2, 80, "D"),
        ("bmrs_costs", 2, 100, "A"),
        ("bmrs_bod", 0, None, None),
    ]
    weights = importance(DATASETS.values())
    assert (weights["bmrs_costs"], weights["bmrs_freq"], weights["bmrs_default_notices"]) == (1, 2, 8)
    assert platform(tables, weights) == pytest.approx((9 * 100 + 8 * 80 + 2 * 50) / 19)
    assert worst(tables) == [("bmrs_default_notices", 50), ("bmrs_freq", 80)]
    assert platform(by_table(made()), weights) is None


def test_the_picture_has_a_square_for_each_table_and_day_and_is_sound_xml() -> None:
    span = [DAY + timedelta(days=i) for i in range(10)]
    cells = {"bmrs_mid": {DAY: (99.5, "A"), span[1]: (80.0, "D")}, 'odd <&"': dict[date, tuple[float, str]]()}
    svg = heat_map("Scores & days", cells, span)
    root = ET.fromstring(svg)
    rects = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    titled = {t.text: r.get("fill") for r in rects for t in r}
    assert len([r for r in rects if len(r)]) == 20
    assert titled["2024-01-03: 99.5 A"] == COLOURS["A"]
    assert titled["2024-01-04: 80.0 D"] == COLOURS["D"]
    assert titled["2024-01-05: no score"] == UNKNOWN
    shown = markdown(svg, "Scores")
    assert base64.b64decode(shown.partition("base64,")[2].rstrip(")")).decode() == svg
