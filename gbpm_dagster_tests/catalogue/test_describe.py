"""The words about tables: sentences worked out by hand, and that no mark and no fact is lost on the way."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from pathlib import Path

import pytest

from gbpm_dagster.catalogue import DATASETS, Dataset, describe, get
from gbpm_dagster.catalogue.model import DOUBT, INFERABLE, Grain, Rule, Style

TABLES = {row["table"]: row for row in csv.DictReader((Path(__file__).parents[1] / "data" / "datasets.csv").open())}
LABELS = {"first_day": "begins", "rows_per_day": "rows a day", "published": "published"}


@pytest.fixture(params=DATASETS.values(), ids=lambda d: d.table)
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (5, "5 min"), (60, "1 h"), (90, "90 min"), (120, "2 h"), (1440, "24 h"), (2160, "36 h"), (4320, "3 days"),
        (15120, "10.5 days"), (12240, "8.5 days"),
    ],
)  # fmt: skip
def test_lengths_of_time(minutes: int, said: str) -> None:
    assert describe.duration(timedelta(minutes=minutes)) == said


SAID = """
bmrs_costs / one row a: settlement period
bmrs_bod / one row a: settlement period, unit, bid-offer pair, start of validity
bmrs_mid / longest window: 7 days (the API's own refusal)
bmrs_indo / longest window: not known ?: begins with 24 h, and a refusal that names a shorter one is learnt from
bmrs_fuelinst / longest window: 7 days ? (inferred)
bmrs_uou2t14d / longest window: 4 h (the API's own refusal)
bmrs_nonbm_stor / longest window: 24 h ? (inferred from NONBM)
bmrs_pn / asked: two instants (`from` and `to`), both included, select by the start of the settlement period;
  the stream form of the path, which takes longer windows in a call
bmrs_boav / asked: one settlement date a call (`settlementDate`, in the path); once with each `bidOffer`: bid,
  offer (it becomes column `bidOffer`)
remit_messages / asked: by ids (`messageId`), 50 a call: column `id` of remit_message_list for that day; 404
  means no rows here, not a wrong request
bmrs_margin_weekly / asked: the publication in force at an instant (`publishTime`), at the end of a day; always
  with `range=52W`; rows that belong to an earlier day come along and are left to that day
bmrs_triad_peaks / asked: one Triad season a call (`triadSeasonStartYear`), 1 November to the end of February;
  always with `data=operational`
bmrs_nonbm / asked: two instants (`from` and `to`), both included, select by `publishTime`; 1 h beyond both ends,
  and rows of other days left out
bmrs_freq / due: 5 min after the period's end; late 10 min and missing 1 h after that
bmrs_b1610 / due: 7 days after the period's end; late 48 h and missing 14 days after that
bmrs_boalf / due: 15 min after the day's end; late 30 min and missing 4 h after that
bmrs_boav / rows a day: about 8,000 ?
bmrs_fuelhh / rows a day: about 960
bmrs_feib / rows a day: not known ?
bmrs_boalf / partition: the London day of `timeFrom`
bmrs_b1610 / natural key: `settlementDate`, `settlementPeriod`, `nationalGridBmUnitId` (else `bmUnit`)
bmrs_boalf / vintages: current is the row with the greatest `amendmentFlag` (ORI < INS < UPD < DEL, which
  removes it); what it supersedes goes to bmrs_boalf_vintages
bmrs_costs / vintages: current is the row with the greatest `createdDateTime`; what it supersedes goes to
  bmrs_costs_vintages; each settlement run makes a new one, and the source serves the latest only
bmrs_ndf / vintages: every publication is kept, as publishTime is in the key; of repeats current is the row
  received last; what it supersedes goes to bmrs_ndf_vintages
bmrs_fuelinst / complete: each settlement period (46, 48 or 50 a day) has 6 rows of every `fuelType` then in
  service (20 known), with `generation` not null
bmrs_ndf / complete: at least one row each London day
bmrs_bod / complete: every window of the day was answered, even with no rows; fewer than 10,000 rows a day is
  reported as suspicious; a period without rows among periods with rows makes the day doubtful
bmrs_remit / complete: every window of the day was answered, even with no rows; fewer than 1 row a day is
  reported as suspicious
bmrs_freq / fresh: the newest `measurementTime` is at most 30 min old (warning), 1 h (failure)
bmrs_syswarn / fresh: the last answer, with rows or without, is at most 36 h old (warning), 3 days (failure)
bmrs_mid / fresh: a new `startTime` comes within 90 min, and is at most 45 min late (warning), 90 min (failure)
bmrs_yafm / fresh: not judged: nothing says when the next value is due
bmrs_remit / begins: 2017-06-01
bmrs_costs / begins: 2016-01-01 ?
ref_bmunits / begins: the first day this home takes the list
bmrs_lolpdrm / source: `/datasets/LOLPDRM` (code LOLPDRM; LOLPDM on the stream)
"""
"""table / label: text, worked out by hand from datasets.csv and domain.md 2.3 (due), 8.3 (fresh); a line that begins
with blanks goes on with the one before."""


def _said() -> list[tuple[str, str, str]]:
    lines = SAID.strip().replace("\n  ", " ").splitlines()
    return [(table, *rest.split(": ", 1)) for table, rest in (line.split(" / ", 1) for line in lines)]  # type: ignore[misc]


@pytest.mark.parametrize(("table", "label", "said"), _said())
def test_what_is_said_of_a_table(table: str, label: str, said: str) -> None:
    assert describe.facts(get(table))[label] == said


def test_every_mark_is_kept(dataset: Dataset) -> None:
    facts = describe.facts(dataset)
    for fact in INFERABLE:
        if fact == "first_day" and dataset.grain is Grain.SNAPSHOT:
            continue  # a list begins when it is first taken
        marked = facts.get(LABELS[fact], "").endswith(f" {DOUBT}")
        assert marked == (fact in dataset.inferred), fact
    source = TABLES[dataset.table]["window_cap_source"]
    if "longest window" in facts and not dataset.endpoint.path.endswith("/stream"):
        sure = source.startswith(("spec", "API 400"))
        assert (DOUBT in facts["longest window"]) == (not sure), source
    for column in dataset.columns:
        assert (DOUBT in describe.meaning(column)) == column.inferred, column


def test_every_fact_is_said_of_every_table(dataset: Dataset) -> None:
    facts = describe.facts(dataset)
    assert all(text == text.strip() and "  " not in text and "None" not in text for text in facts.values())
    wanted = {
        "one row a",
        "source",
        "asked",
        "published",
        "due",
        "rows a day",
        "partition",
        "natural key",
        "vintages",
    }
    assert wanted | {"complete", "fresh", "begins"} <= facts.keys()
    has_length = dataset.endpoint.style in (Style.RANGE, Style.DATES, Style.SPAN)
    assert ("longest window" in facts) == has_length
    assert all(f"`{name}`" in facts["natural key"] for name in dataset.key)
    assert all(f"`{name}`" in facts["vintages"] for name in dataset.version)
    assert all(f"`{name}`" in facts["asked"] for name in dataset.endpoint.params)


def test_the_rule_in_short_is_of_the_same_kind(dataset: Dataset) -> None:
    short, rule = describe.complete_in_short(dataset), dataset.completeness
    assert len(short) < 40
    if rule.rule is Rule.PERIODS:
        assert short.startswith(f"{rule.rows_per_period} a period")
        assert (" and " in short) == bool(rule.members)


def test_the_ui_says_what_matters_and_is_short(dataset: Dataset) -> None:
    text = describe.description(dataset)
    assert text.startswith(dataset.description) and text.endswith(describe.LICENCE)
    assert all(note in text for note in dataset.notes)
    assert len(text) < 2200 and "|" not in text
    assert (describe.DOUBTED in text) == bool(
        re.search(r" \?$|\? ", text.replace(describe.DOUBTED, ""), re.MULTILINE)
        or any(c.inferred for c in dataset.columns)
    )
