"""The shipped recordings: their size, their licences, and that every day of the scope is whole."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import date, timedelta
from statistics import fmean

import pytest

from gbpm_dagster.catalogue import registry
from gbpm_dagster.catalogue.model import Grain
from gbpm_dagster.demo.replay_recordings import RECORDINGS, RecordingsError, day_start, index, load, scope, shortfall

LISTING = index()
SCOPE = scope()
FRAMES = load()
DATA = sorted(p.name for p in RECORDINGS.glob("*.gz"))
SCOPE_DAYS = [
    (table, first + timedelta(days=n))
    for table, ranges in SCOPE.items()
    if registry.get(table).grain is Grain.DAILY
    for first, last in ranges
    for n in range((last - first).days + 1)
]

# rows of whole recorded days, as /work/shared/recorded/README.md counts them
README_ROWS = {
    ("bmrs_boalf", "2022-01-01"): 3720,
    ("bmrs_bod", "2022-01-01"): 14964,
    ("bmrs_pn", "2022-01-01"): 9027,
    ("bmrs_costs", "2022-01-01"): 48,
    ("bmrs_fuelhh", "2022-01-01"): 864,
    ("bmrs_fuelinst", "2022-01-01"): 5166,
    ("bmrs_fuelhh", "2024-01-03"): 912,
    ("bmrs_fuelinst", "2024-01-03"): 5472,
    ("bmrs_mid", "2024-01-03"): 96,
    ("bmrs_costs", "2024-01-03"): 48,
    ("bmrs_demand_forecast_latest", "2024-01-03"): 48,
    ("bmrs_agpt_series", "2024-01-03"): 48,  # 528 in 48 records
    ("bmrs_fuelhh", "2024-10-27"): 1000,
    ("bmrs_fuelinst", "2024-10-27"): 6000,
    ("bmrs_mid", "2024-10-27"): 100,
    ("bmrs_costs", "2024-10-27"): 50,
    ("bmrs_fuelhh", "2026-03-29"): 920,
    ("bmrs_fuelinst", "2026-03-29"): 5520,
    ("bmrs_mid", "2026-03-29"): 92,
    ("bmrs_costs", "2026-03-29"): 46,
}


def test_recordings_stay_small() -> None:
    assert sum(p.stat().st_size for p in RECORDINGS.iterdir()) <= 15e6


def test_every_shipped_file_is_listed_with_source_and_licence() -> None:
    listed = {f["file"]: f for f in LISTING["files"]}
    page = (RECORDINGS / "SOURCES.md").read_text(encoding="utf-8")
    assert sorted(listed) == DATA
    assert {p.name for p in RECORDINGS.iterdir()} - set(DATA) == {
        "index.json",
        "scope.json",
        "SOURCES.md",
        "withheld.json",
    }
    for name, entry in listed.items():
        raw = (RECORDINGS / name).read_bytes()
        assert hashlib.sha256(raw).hexdigest() == entry["sha256"], name
        assert len(gzip.decompress(raw).splitlines()) == entry["rows"], name
        assert entry["form"] in ("native", "restored") and f".{entry['form']}." in name
        assert entry["attribution"] == "Contains BMRS data © Elexon Limited copyright and database right"
        assert f"## {name}" in page and entry["sources"]
        for source in entry["sources"]:
            assert all(source[k] for k in ("repo", "path", "commit", "licence", "terms")), name
            assert "GPL" not in source["licence"] and source["terms"] != "copyleft repository", name
            assert source["repo"] in page and source["commit"] in page


def test_restored_files_name_the_fields_their_sources_lacked() -> None:
    listed = {f["file"]: f for f in LISTING["files"]}
    assert len(listed["bmrs_costs.restored.ndjson.gz"]["absent_fields"]) == 16
    assert listed["bmrs_costs.native.ndjson.gz"]["absent_fields"] == []
    assert listed["bmrs_boalf.restored.ndjson.gz"]["absent_fields"] == ["amendmentFlag"]
    assert listed["bmrs_mid.native.ndjson.gz"]["absent_fields"] == ["dataset"]


def test_every_table_with_recorded_answers_is_there() -> None:
    assert set(FRAMES) == set(SCOPE) <= set(registry.DATASETS)
    assert len(FRAMES) == 13, "of the spine's 14 tables FREQ alone has recorded samples only"
    assert SCOPE["ref_bmunits"] == [(date(2026, 3, 30), date(2026, 3, 30))], "a snapshot is of the demo's now"


@pytest.mark.parametrize(("table", "day"), SCOPE_DAYS, ids=lambda v: str(v))
def test_scope_days_are_whole(table: str, day: date) -> None:
    assert shortfall(registry.get(table), FRAMES[table], day) == ""


@pytest.mark.parametrize(("table", "day"), README_ROWS, ids=lambda v: str(v))
def test_days_hold_as_many_rows_as_were_recorded(table: str, day: str) -> None:
    frame = FRAMES[table]
    assert frame.filter(frame["day"] == date.fromisoformat(day)).height == README_ROWS[table, day]


@pytest.mark.parametrize("table", ["bmrs_indo", "bmrs_itsdo"])
def test_days_asked_by_publication_hold_every_half_hour_published_in_them(table: str) -> None:
    """The last period of the day before is published at midnight and belongs to the day."""
    for day, count in ((date(2024, 1, 3), 48), (date(2024, 10, 27), 50), (date(2026, 3, 29), 46)):
        rows = FRAMES[table].filter(FRAMES[table]["day"] == day)
        assert rows.height == count
        assert rows["publishTime"][0] == day_start(day)
        assert rows["settlementDate"][0] == day - timedelta(days=1) and rows["settlementPeriod"][0] == 48


def test_a_day_the_source_lacks_part_of_is_left_out_with_the_reason() -> None:
    """FUELINST of 2022-01-01 lacks one of 288 instants, 01:00 (period 3)."""
    day = date(2022, 1, 1)
    assert all(not first <= day <= last for first, last in SCOPE["bmrs_fuelinst"])
    reason = {(x["table"], x["day"]): x["reason"] for x in LISTING["not_in_scope"]}[("bmrs_fuelinst", "2022-01-01")]
    assert "period 3" in reason
    assert FRAMES["bmrs_fuelinst"].filter(FRAMES["bmrs_fuelinst"]["day"] == day)["startTime"].n_unique() == 287


def test_every_row_with_a_settlement_period_starts_when_that_period_does() -> None:
    for table, frame in FRAMES.items():
        rows = frame.drop_nulls(["settlementDate", "settlementPeriod", "startTime"])
        for day, period, start in rows.select("settlementDate", "settlementPeriod", "startTime").unique().rows():
            assert (
                timedelta(0) <= start - day_start(day) - timedelta(minutes=30) * (period - 1) < timedelta(minutes=30)
            ), (
                table,
                day,
                period,
            )


def test_last_period_of_2022_01_01_is_the_one_fuelinst_shows() -> None:
    """The source labels it a day late; FUELINST, from another source, decides: FUELHH is the mean of its values.

    The mean is good to 1 MW: the API rounds both.
    """
    period = (date(2022, 1, 1), 48)
    values: dict[str, dict[str, list[int]]] = {"bmrs_fuelhh": {}, "bmrs_fuelinst": {}}
    for table, fuels in values.items():
        for body, *slot in FRAMES[table].select("body", "settlementDate", "settlementPeriod").rows():
            if tuple(slot) == period:
                row = json.loads(body)
                fuels.setdefault(row["fuelType"], []).append(row["generation"])
    assert len(values["bmrs_fuelhh"]) == 18
    for fuel, (half_hour,) in values["bmrs_fuelhh"].items():
        assert abs(half_hour - fmean(values["bmrs_fuelinst"][fuel])) <= 1, fuel


def test_missing_recordings_are_named(tmp_path) -> None:
    with pytest.raises(RecordingsError, match=r"no recordings in .*pack_recordings"):
        load(tmp_path)
    (tmp_path / "bmrs_mid.native.ndjson.gz").write_bytes(b"not gzip")
    with pytest.raises(RecordingsError, match=r"bmrs_mid\.native"):
        load(tmp_path)
