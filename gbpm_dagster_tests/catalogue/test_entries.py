"""Every catalogue entry against the worked-out facts of each table (data/fields.csv and data/datasets.csv).

Of the CSVs a trailing `?` marks what was inferred: the entries keep it.
"""

from __future__ import annotations

import csv
import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from gbpm_dagster.catalogue import DATASETS, FAMILIES, Dataset, get
from gbpm_dagster.catalogue.model import PERIOD_START, Grain, Kind, Rule, Style, Tier

DATA = Path(__file__).parents[1] / "data"
TABLES = {row["table"]: row for row in csv.DictReader((DATA / "datasets.csv").open())}
FIELDS = list(csv.DictReader((DATA / "fields.csv").open()))

KINDS = {
    ("string", ""): Kind.STRING,
    ("string", "date"): Kind.DATE,
    ("string", "date-time"): Kind.INSTANT,
    ("integer", "int32"): Kind.INTEGER,
    ("integer", "int64"): Kind.INTEGER,
    ("number", "double"): Kind.NUMBER,
    ("boolean", ""): Kind.BOOLEAN,
    ("array", ""): Kind.JSON,
}

STREAM_LIFTS_CAP = "one call a day in place of one call a period"
SEASONS = "daily, so that every season is kept: a snapshot (datasets.csv) would hold the present one only"

DELIBERATE = {
    ("bmrs_boalf", "partition_field"): (
        "timeFrom",
        "the path selects by timeFrom: an acceptance over midnight answers in the windows of both days, so only the "
        "London day of timeFrom is selected completely (datasets.csv proposes settlementDate)",
    ),
    **{
        (f"bmrs_{code.lower()}", "path"): (f"/datasets/{code}/stream", STREAM_LIFTS_CAP)
        for code in ("PN", "QPN", "B1610", "MDB", "MDO", "TUDM")
    },
    ("bmrs_tudm", "stream_time_params"): (
        "settlementDateFrom/settlementPeriodFrom/settlementDateTo/settlementPeriodTo",
        "the same four, each date followed by its period",
    ),
    ("bmrs_triad_peaks", "partition_grain"): ("daily", SEASONS),
    ("bmrs_triad_peaks", "partition_field"): ("settlementDate", SEASONS),
    ("remit_messages", "time_axis_params"): ("messageId", "the ids of the day, as remit_message_list has them"),
    ("remit_revisions", "time_axis_params"): (
        "messageId",
        "any revision's id gives its whole chain, and ids are what remit_message_list has (datasets.csv: mrid)",
    ),
}
"""Where an entry differs from the proposal on purpose: what it says instead, and why."""


@pytest.fixture(params=DATASETS.values(), ids=lambda d: d.table)
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return request.param  # type: ignore[no-any-return]


def _held(dataset: Dataset, what: str, ours: str) -> bool:
    """Whether ours is the deliberate difference where there is one, else what the table of facts says."""
    meant, _why = DELIBERATE.get((dataset.table, what), (TABLES[dataset.table][what], ""))
    return ours == meant


def test_the_facts_cover_the_catalogue() -> None:
    assert set(TABLES) == set(DATASETS) == {row["table"] for row in FIELDS}


def test_columns_units_and_derived_names(dataset: Dataset) -> None:
    stated = {r["json_field"]: r for r in FIELDS if r["table"] == dataset.table}
    assert set(dataset.names) == set(stated)
    for column in dataset.columns:
        row = stated[column.name]
        assert (column.kind, column.nullable) == (KINDS[row["type"], row["format"]], row["nullable"] == "yes"), column
        assert (column.unit, column.meaning) == (row["unit"], row["description"]), column
        assert column.derived_name == row["derived_name"], column


def test_key_and_version(dataset: Dataset) -> None:
    row = TABLES[dataset.table]
    assert "|".join(dataset.key) == row["natural_key"]
    assert "|".join(dataset.version) == row["version"]
    unit = next((k for k in dataset.key if k.startswith("nationalGridBmUnit")), "")
    if unit and dataset.grain is Grain.DAILY:
        assert dict(dataset.unit_fallback) == {unit: "bmUnit"}
    assert set(dataset.nullable_key) <= {c.name for c in dataset.columns if c.nullable}


def test_path_window_and_partition(dataset: Dataset) -> None:
    row = TABLES[dataset.table]
    assert _held(dataset, "path", dataset.endpoint.path)
    assert _held(dataset, "partition_field", dataset.partition_field)
    assert _held(dataset, "partition_grain", dataset.grain.value)
    form = "stream_time_params" if (dataset.table, "path") in DELIBERATE else "time_axis_params"
    assert _held(dataset, form, "/".join(dataset.endpoint.params))
    given = {*dataset.endpoint.params, *(name for name, _ in dataset.endpoint.fixed)}
    given |= {dataset.endpoint.each.param} if dataset.endpoint.each else set()
    if form == "time_axis_params":
        assert set(filter(None, row["required_params"].split("|"))) <= given


def test_a_partition_is_what_its_windows_select(dataset: Dataset) -> None:
    """A London day must be answered completely by the windows asked for it, or it cannot be replaced whole."""
    selects, field = dataset.endpoint.selects, dataset.partition_field
    if dataset.grain is Grain.SNAPSHOT:
        assert (selects, field) == ("", "")
    elif dataset.endpoint.style is Style.IDS:
        assert selects == ""  # the ids are those that another table lists for that day of publication
    elif selects == PERIOD_START:
        assert dataset.has_period
    elif field == "settlementDate":
        assert selects in ("settlementDate", "startTime", "timeFrom", "time"), "whose London day is that date"
    else:
        assert selects == field
    if selects == "publishTime":
        assert field == "publishTime", "publications do not fall into the settlement days they are about"


def test_tier_code_and_freshness(dataset: Dataset) -> None:
    row = TABLES[dataset.table]
    assert (dataset.tier, dataset.code, dataset.iris_code) == (row["tier"], row["code"], row["iris_code"])
    assert dataset.freshness.rule == row["freshness_rule"]
    if row["freshness_warn_min"]:
        assert dataset.freshness.warn == timedelta(minutes=int(row["freshness_warn_min"]))
        assert dataset.freshness.fail == timedelta(minutes=int(row["freshness_fail_min"]))
    else:
        assert dataset.freshness.judged == (row["freshness_rule"] == "connection")
        assert not dataset.freshness.column, "the age of the answer, never of the last event"
    if row["rows_per_day"].isdigit():
        assert dataset.rows_per_day == int(row["rows_per_day"])
    assert set(filter(None, row["aliases"].split("|"))) <= set(dataset.aliases)


def test_what_is_inferred_says_so(dataset: Dataset) -> None:
    """What shared/ marks with `?`, or does not know, keeps that mark."""
    row = TABLES[dataset.table]
    assert ("first_day" in dataset.inferred) == row["earliest_data_year"].endswith("?")
    assert ("published" in dataset.inferred) == ("?" in row["publication_cadence"])
    assert ("rows_per_day" in dataset.inferred) >= ("?" in row["rows_per_day"] or "unknown" in row["rows_per_day"])
    year = row["earliest_data_year"].rstrip("?")
    if year.isdigit() and dataset.grain is Grain.DAILY:
        assert dataset.first_day.year == max(int(year), 2016), "physical data begin in 2016"
    assert "?" not in dataset.published


def test_caps(dataset: Dataset) -> None:
    """A stated cap is the entry's; an unknown one starts at one day."""
    stated = re.fullmatch(r"(\d+)(h|d|mo)", TABLES[dataset.table]["window_cap"])
    cap, source = dataset.endpoint.cap, dataset.endpoint.cap_source
    if stated and (dataset.table, "path") not in DELIBERATE:
        length = {"h": timedelta(hours=1), "d": timedelta(days=1), "mo": timedelta(days=365) / 12}[stated[2]]
        assert cap == int(stated[1]) * length
        assert not source.startswith("unknown")
    if TABLES[dataset.table]["window_cap"] == "unknown":
        assert cap == timedelta(days=1) and source.startswith(("unknown", "ours"))


def test_windows_have_a_cap_with_its_source(dataset: Dataset) -> None:
    if dataset.endpoint.style in (Style.NONE, Style.IDS):
        assert dataset.endpoint.cap is None
    else:
        assert dataset.endpoint.cap and dataset.endpoint.cap > timedelta(0)
    assert dataset.endpoint.cap_source


def test_due_late_and_missing_come_in_this_order(dataset: Dataset) -> None:
    assert timedelta(0) <= dataset.lag.lag and timedelta(0) < dataset.lag.grace < dataset.lag.missing


def test_words_a_person_reads_are_there(dataset: Dataset) -> None:
    assert dataset.title and dataset.description.endswith(".")
    assert all(note.endswith(".") for note in dataset.notes)
    assert not dataset.description.isupper()


@pytest.mark.parametrize(
    ("table", "day", "members", "rows"),
    [
        ("bmrs_freq", "2024-01-03", 0, 120),  # 4 samples a minute
        ("bmrs_costs", "2024-01-03", 0, 1),
        ("bmrs_mid", "2024-01-03", 2, 2),
        ("bmrs_fuelhh", "2023-07-03", 18, 18),  # recorded: 18 fuels in 2023,
        ("bmrs_fuelhh", "2024-01-03", 19, 19),  # 19 in 2024,
        ("bmrs_fuelhh", "2024-10-27", 20, 20),  # 20 from autumn 2024
        ("bmrs_fuelinst", "2024-10-27", 20, 120),  # 6 instants a period: 300 instants on that day of 50 periods
        ("bmrs_agpt_series", "2024-01-03", 11, 11),  # 528 rows in 48 periods
        ("bmrs_bod", "2022-01-01", 0, 0),
    ],
)
def test_rows_a_period_must_have(table: str, day: str, members: int, rows: int) -> None:
    rule = get(table).completeness
    assert len(rule.members_on(date.fromisoformat(day))) == members
    assert rule.expected_rows(date.fromisoformat(day)) == rows


def test_rules_that_count_nothing_say_what_they_are(dataset: Dataset) -> None:
    snapshot = dataset.grain is Grain.SNAPSHOT
    assert (dataset.completeness.rule is Rule.SNAPSHOT) == snapshot


def test_families_hold_every_table_once() -> None:
    tables = [d.table for family in FAMILIES for d in family.datasets]
    assert sorted(tables) == sorted(set(tables)) == sorted(DATASETS)
    assert all(d.family == family.name for family in FAMILIES for d in family.datasets)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_healing_order_puts_prices_fuel_and_frequency_first() -> None:
    order = sorted(DATASETS.values(), key=lambda d: d.importance)
    first = {d.table for d in order[:5]}
    assert first == {"bmrs_costs", "bmrs_mid", "bmrs_fuelinst", "bmrs_fuelhh", "bmrs_freq"}


def test_the_whole_catalogue_is_there_by_tier() -> None:
    """datasets.csv: 41 core, 54 standard, 56 optional."""
    tiers = [d.tier for d in DATASETS.values()]
    assert [tiers.count(t) for t in (Tier.CORE, Tier.STANDARD, Tier.OPTIONAL)] == [41, 54, 56]


def test_a_family_says_what_it_is_and_gives_an_example() -> None:
    for family in FAMILIES:
        assert family.title and family.about.endswith("."), family.name
        assert family.examples, family.name


def test_settlement_tables_are_those_that_runs_make_and_are_kept_by_settlement_date(dataset: Dataset) -> None:
    """Class G of domain.md 2.1. A run is of a settlement date: that must be the partition."""
    cadence = TABLES[dataset.table]["publication_cadence"]
    latest_run_only = any(words in cadence for words in ("settlement calculation", "II run", "then settlement runs"))
    if dataset.settlement:
        assert latest_run_only or "settlement run" in cadence
        assert dataset.partition_field == "settlementDate" and dataset.grain is Grain.DAILY
        assert dataset.column("settlementDate").kind is Kind.DATE
    else:
        assert not latest_run_only
