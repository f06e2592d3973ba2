"""What makes a day complete: each of the 151 entries against datasets.csv (`expected_per_day`) and domain.md 2.

The CSV proposes a count in words. `proposed` reads the rule out of them; where an entry differs WHY says what it has
instead, and the reason.
"""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path

import pytest

from gbpm_dagster.catalogue import DATASETS, Dataset, get
from gbpm_dagster.catalogue.model import Lag, Rule

FACTS = Path(__file__).parents[1] / "data" / "datasets.csv"
TABLES = {row["table"]: row for row in csv.DictReader(FACTS.open())}

WHY: dict[str, tuple[Rule, str]] = {
    "units need not submit, and what is zero is left out: no period has a number (domain.md 2.1)": (
        Rule.EVENTS,
        "bmrs_bod bmrs_bod_all bmrs_qpn bmrs_dynamic_all bmrs_dynamic_rates_all bmrs_aobe bmrs_beb "
        "lss_load_shape_period",
    ),
    "the path leaves out what is zero unless it is asked otherwise: a period without a row is no gap": (
        Rule.EVENTS,
        "bmrs_disbsad_summary bmrs_nonbm bmrs_nonbm_stor",
    ),
    "kept by publication: a period's row may be of the next day, so periods are counted over all days": (
        Rule.DAILY,
        "bmrs_agpt bmrs_agws bmrs_atl",
    ),
    "each publication is about the next day: it is the publication that is due, with its horizon": (
        Rule.DAILY,
        "bmrs_datl bmrs_dag bmrs_dgws bmrs_dgws_series",
    ),
    "rows of the season's days only: most days of the year have none": (
        Rule.EVENTS,
        "bmrs_demand_peak_settlement bmrs_demand_peak_operational bmrs_triad_peaks",
    ),
    "the weekday of publication is not settled (`?`): a day without it is no gap, freshness ages it": (
        Rule.EVENTS,
        "bmrs_ndfw bmrs_tsdfw bmrs_ocnmf3y bmrs_ocnmf3y2 bmrs_margin_weekly bmrs_surplus_weekly bmrs_fou2t3yw "
        "bmrs_nou2t3yw bmrs_uou2t3yw bmrs_availability_weekly",
    ),
    "trades of every hour were seen: a day without any is worth asking again": (Rule.DAILY, "bmrs_soso"),
}
"""Why entries differ from the proposal on purpose: the rule they have, and their tables."""

DELIBERATE = {table: (rule, why) for why, (rule, tables) in WHY.items() for table in tables.split()}


@pytest.fixture(params=DATASETS.values(), ids=lambda d: d.table)
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return request.param  # type: ignore[no-any-return]


def proposed(table: str) -> Rule:
    """The rule that the words of `expected_per_day` are about; `as BOD` is that table's."""
    row = TABLES[table]
    words = row["expected_per_day"]
    if other := re.match(r"as ([A-Z0-9]+)", words):
        return proposed(f"bmrs_{other[1].lower()}")
    if row["partition_grain"] == "snapshot" and table != "bmrs_triad_peaks":
        return Rule.SNAPSHOT
    if re.match(r"event|monthly|yearly|weekly|\d+ rows in|down-sampled|load shape categories", words):
        return Rule.EVENTS
    if re.match(r"SP x|at least SP|4 x 60|12 per hour|12 codes", words):
        return Rule.PERIODS
    assert re.search(r"publish", words) or re.match(r"1\b|13 \(|3 per season", words), words
    return Rule.DAILY


def test_the_rule_is_the_proposed_one_or_differs_for_a_reason(dataset: Dataset) -> None:
    meant, _why = DELIBERATE.get(dataset.table, (proposed(dataset.table), ""))
    assert dataset.completeness.rule is meant


@pytest.mark.parametrize("table", DELIBERATE)
def test_a_deliberate_difference_is_one(table: str) -> None:
    assert DELIBERATE[table][0] is not proposed(table), "it no longer differs: take it off the list"


WORDED = re.compile(r"SP x (?:(\d+) (?:fuels|psrTypes|providers|horizons)|(\d+)(?=$| \(|;|\?| with| per boundary))")


def test_rows_of_a_period_are_as_many_as_the_words_say(dataset: Dataset) -> None:
    """`SP x 20 fuels`, `SP x 1`: at the newest clock change in the worked examples, when all fuels are in service."""
    words = TABLES[dataset.table]["expected_per_day"]
    said = WORDED.match(words)
    if dataset.completeness.rule is not Rule.PERIODS or not said:
        return
    assert dataset.completeness.expected_rows(date(2025, 10, 26)) == int(said[1] or said[2])


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("bmrs_freq", 120),  # 4 x 60 an hour
        ("bmrs_fuelinst", 6 * 20),  # 12 an hour of 20 fuels
        ("bmrs_generation_total", 6),
        ("meta_data_status", 12),  # 12 codes
    ],
)
def test_cadences_of_a_period(table: str, rows: int) -> None:
    """Class C, and the codes of data-status."""
    assert get(table).completeness.expected_rows(date(2025, 10, 26)) == rows


LAGS = {
    (5, 10, 60): ("FREQ",),
    (10, 15, 120): ("FUELINST",),
    (30, 60, 1440): ("FUELHH", "INDO", "ITSDO"),
    (60, 120, 2880): ("MID", "COSTS"),
    (15, 30, 240): ("BOALF",),
    (180, 720, 4320): ("AGWS", "AGPT"),
    (1440, 720, 5760): ("EBOCF", "BOAV"),
    (7 * 1440, 2 * 1440, 14 * 1440): ("B1610",),
    (60, 120, 1440): ("NDF", "TSDF", "NDFD", "TSDFD", "NDFW", "WINDFOR", "INDGEN", "INDDEM", "MELNGC", "IMBALNGC",
                      "LOLPDRM", "OCNMFD"),
}  # fmt: skip
"""Lag, grace and missing-after in minutes (domain.md 2.3, defaults), and whose they are."""


@pytest.mark.parametrize(("lag", "code"), [(lag, code) for lag, codes in LAGS.items() for code in codes])
def test_lags_are_those_of_the_domain(lag: tuple[int, int, int], code: str) -> None:
    assert get(f"bmrs_{code.lower()}").lag == Lag.minutes(*lag)


@pytest.mark.parametrize(("table", "floor"), [("bmrs_boalf", 100), ("bmrs_bod", 10_000), ("bmrs_remit", 1)])
def test_floors_are_those_of_the_domain(table: str, floor: int) -> None:
    """domain.md 2.2 E: below is suspicious, not a gap."""
    assert get(table).completeness.floor == floor


@pytest.mark.parametrize(
    ("codes", "a_day"),
    [("LOLPDRM INDDEM MELNGC", 48), ("INDGEN IMBALNGC NDF TSDF NDFD TSDFD", 1), ("OCNMFD", 24), ("WINDFOR", 8)],
)
def test_cadences_of_forecasts_are_those_that_are_published(codes: str, a_day: int) -> None:
    """domain.md 2.2 D; WINDFOR: the eight times of datasets.csv."""
    for code in codes.split():
        assert get(f"bmrs_{code.lower()}").completeness.publications == a_day
    assert len(re.findall(r"\d\d:\d\d", TABLES["bmrs_windfor"]["publication_cadence"])) == 8


def test_what_is_declared_of_publications_can_be_counted(dataset: Dataset) -> None:
    rule = dataset.completeness
    if rule.publications or rule.horizon:
        assert dataset.counts_publications and dataset.counts_periods
        assert not rule.covers, "a half hour is that of the publication or of the row, not both"
    if rule.covers:
        assert dataset.covers_periods and dataset.has_period
    if rule.grid:
        assert rule.rows_per_period * rule.grid.total_seconds() == 1800


def kind(dataset: Dataset) -> str:
    """The row of the table "What complete means" in docs/concepts.md, by its first words."""
    rule = dataset.completeness
    if rule.rule is Rule.PERIODS:
        if rule.grid or rule.rows_per_period == 6:
            return "a fixed cadence"
        return "a row a period and member" if rule.members else "a row a period"
    if rule.rule is Rule.DAILY:
        if rule.covers:
            return "publications about settlement periods"
        return "publications with a declared cadence" if rule.publications else "other daily values"
    return "events" if rule.rule is Rule.EVENTS else "lists"


def test_the_concepts_count_the_tables_of_each_kind() -> None:
    text = (Path(__file__).parents[2] / "docs" / "concepts.md").read_text()
    section = text.split("## What complete means")[1].split("\n## ")[0]
    told = {
        row[1].split(":")[0].strip(): int(row[2]) for row in re.finditer(r"^\| (.*?) \|.*\| (\d+) \|$", section, re.M)
    }
    found: dict[str, int] = {}
    for dataset in DATASETS.values():
        found[kind(dataset)] = found.get(kind(dataset), 0) + 1
    assert told == found
