"""Pack the demo's recordings out of a folder of recorded answers: `pack_recordings.py RECORDED [TARGET]`.

Belongs here: which files and days the demo ships, and the list of their sources. Not here: serving them.
Running it again gives the same bytes.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from gbpm_dagster.catalogue import registry
from gbpm_dagster.demo.replay_recordings import LONDON, RECORDINGS, day_start, load, shortfall

WEEK = tuple(date(2024, 1, d) for d in range(1, 8))
WIND, LONG, SHORT = date(2022, 1, 1), date(2024, 10, 27), date(2026, 3, 29)
DAYS = (WIND, *WEEK, LONG, SHORT)
DEMO_NOW = SHORT + timedelta(days=1)
REMIT_DAYS = tuple(map(date.fromisoformat, ("2024-10-09", "2024-10-14", "2025-06-30", "2025-09-05", "2025-09-06")))
WIDE = "series/FUELHH-INDO-ITSDO_{}.csv.gz"
PORTAL_MID, FORECAST = "series/MID_2024_portal.csv.gz", "series/NDF-TSDF_day-ahead_2024-01-01_2024-12-01.ndjson.gz"
ATTRIBUTION = "Contains BMRS data © Elexon Limited copyright and database right"
MISLABELLED_UNTIL = datetime(2022, 7, 15, tzinfo=UTC)
TERMS = "Data: Elexon BMRS data licence (https://www.elexon.co.uk/bsc/data/balancing-mechanism-reporting-agent/copyright-licence-bmrs-data/)"
Row = dict[str, Any]


@dataclass(frozen=True)
class Packed:
    """One shipped file: the table, its form, the recorded files it is cut from, and the maker of its rows."""

    table: str
    form: str
    sources: tuple[str, ...]
    rows: Callable[[Path, tuple[str, ...]], list[Row]]


def records(path: Path) -> list[Row]:
    """The rows of a recorded JSON or ndjson file, plain or gzipped."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if "ndjson" in path.name:
        return [orjson.loads(line) for line in raw.splitlines()]
    found = orjson.loads(raw)
    return found["data"] if isinstance(found, dict) else found


def as_recorded(root: Path, sources: tuple[str, ...]) -> list[Row]:
    return [row for source in sources for row in records(root / source)]


def period_start(day: date, period: int) -> datetime:
    return day_start(day) + timedelta(minutes=30) * (period - 1)


def stamp(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def prices(root: Path, sources: tuple[str, ...]) -> list[Row]:
    """Settlement days of the long series; only the six fields it kept."""
    frame = pl.read_csv(root / sources[0], infer_schema_length=None)
    wanted = [d.isoformat() for d in DAYS if d != SHORT]
    return frame.filter(pl.col("settlementDate").is_in(wanted)).to_dicts()


def market_index(root: Path, sources: tuple[str, ...]) -> list[Row]:
    """The portal's yearly file in the API's field names; startTime from settlement date and period."""
    text = gzip.decompress((root / sources[0]).read_bytes()).decode("cp1252")
    rows = []
    for line in text.splitlines()[1:]:
        day, period, provider, volume, price = (part.strip() for part in line.split(","))
        when = datetime.strptime(day, "%d %B %Y").replace(tzinfo=UTC).date()
        if when in DAYS:
            start = stamp(period_start(when, int(period)))
            row: Row = {"dataset": "MID", "startTime": start, "dataProvider": provider}
            row |= {"settlementDate": str(when), "settlementPeriod": int(period)}
            rows.append(row | {"price": float(price), "volume": float(volume)})
    return rows


def market_index_csv(root: Path, sources: tuple[str, ...]) -> list[Row]:
    """The API's csv form (PascalCase) in camelCase; it has no `dataset` field."""
    frame = pl.read_csv(root / sources[0])
    return frame.rename({c: c[0].lower() + c[1:] for c in frame.columns}).to_dicts()


def five_minutes(root: Path, sources: tuple[str, ...]) -> list[Row]:
    """FUELINST: one whole day as array, the others from the months, settlement date and period derived."""
    rows = records(root / sources[0])
    for source in sources[1:]:
        for d in DAYS:
            if source.endswith(f"{d:%Y-%m}.parquet"):
                rows += _month_day(pl.read_parquet(root / source), d)
    return rows


def _month_day(month: pl.DataFrame, day: date) -> list[Row]:
    first, last = day_start(day), day_start(day + timedelta(days=1))
    inside = (pl.col("startTime") >= first) & (pl.col("startTime") < last)
    frame = month.filter(inside).with_columns(pl.col("fuelType").cast(pl.String)).sort("startTime", "fuelType")
    return [
        {
            "dataset": "FUELINST",
            "publishTime": stamp(r["publishTime"]),
            "startTime": stamp(r["startTime"]),
            "settlementDate": str(day),
            "settlementPeriod": int((r["startTime"] - first) / timedelta(minutes=30)) + 1,
            "fuelType": r["fuelType"],
            "generation": r["generation"],
        }
        for r in frame.iter_rows(named=True)
    ]


def _wide(root: Path, sources: tuple[str, ...], days: Iterable[date]) -> Iterator[tuple[Row, Row]]:
    """Each period of the wide half-hourly files: the row's head as the API has it, and the cells.

    Settlement date and period follow from the start: until July 2022 the source labels the last period of a day
    as that of the next day, and FUELINST of the same half-hour shows that the start is the right one.
    """
    wanted = set(days)
    for source in sources:
        for cells in pl.read_csv(root / source, infer_schema_length=None).iter_rows(named=True):
            labels = cells.pop("settlement_date"), cells.pop("settlement_period")
            start = datetime.fromisoformat(cells.pop("period_start_utc"))
            day = start.astimezone(LONDON).date()
            period = int((start - day_start(day)) / timedelta(minutes=30)) + 1
            if (str(day), period) != labels and start >= MISLABELLED_UNTIL:
                raise SystemExit(f"{source}: the row labelled {labels} starts {start}, period {period} of {day}")
            if day in wanted:
                head: Row = {"publishTime": stamp(start + timedelta(minutes=30)), "startTime": stamp(start)}
                yield head | {"settlementDate": str(day), "settlementPeriod": period}, cells


def half_hours(root: Path, sources: tuple[str, ...]) -> list[Row]:
    return [
        {"dataset": "FUELHH", **head, "fuelType": fuel, "generation": value}
        for head, cells in _wide(root, sources, DAYS)
        for fuel, value in sorted(cells.items())
        if fuel not in ("INDO", "ITSDO") and value is not None
    ]


def outturn(code: str) -> Callable[[Path, tuple[str, ...]], list[Row]]:
    """INDO or ITSDO of the days and of the period before each range, which is published on its first day."""

    def make(root: Path, sources: tuple[str, ...]) -> list[Row]:
        inside = {str(d) for d in DAYS}
        before = {(str(d - timedelta(days=1)), 48) for d in DAYS}
        near = {d + timedelta(days=o) for d in DAYS for o in (-1, 0)}
        return [
            {"dataset": code, **head, "demand": cells[code]}
            for head, cells in _wide(root, sources, near)
            if (head["settlementDate"] in inside or (head["settlementDate"], head["settlementPeriod"]) in before)
            and cells[code] is not None
        ]

    return make


def forecasts(root: Path, sources: tuple[str, ...]) -> list[Row]:
    return [r for r in records(root / sources[0]) if date.fromisoformat(r["settlementDate"]) in WEEK]


def remit(root: Path, sources: tuple[str, ...]) -> list[Row]:
    """REMIT messages without `id` (a field of /remit, not of /datasets/REMIT)."""
    return [{k: v for k, v in r.items() if k != "id"} for r in records(root / sources[0])]


def remit_cases(root: Path, sources: tuple[str, ...]) -> list[Row]:
    """The messages the native file lacks; outageProfile, kept as Python text, is a list again."""
    native = {(r["mrid"], r["revisionNumber"]) for r in records(root / REMIT_NATIVE)}
    rows = [r for r in remit(root, sources) if (r["mrid"], r["revisionNumber"]) not in native]
    for row in rows:
        if isinstance(row.get("outageProfile"), str):
            row["outageProfile"] = ast.literal_eval(row["outageProfile"])
    return rows


REMIT_NATIVE = "series/REMIT_messages.ndjson.gz"
WIND_DAY = "days/2022-01-01/{}_wind-units.json.gz"
_YEARS = (WIDE.format(2022), WIDE.format(2024), WIDE.format(2026))
_DEMAND_YEARS = (WIDE.format(2021), WIDE.format(2022), WIDE.format(2023), WIDE.format(2024), WIDE.format(2026))
PARTS = (
    Packed("bmrs_costs", "restored", ("series/system-prices_2016-01-01_2025-09-30.csv.gz",), prices),
    Packed("bmrs_costs", "native", ("days/2026-03-29/DISEBSP_system-prices.json",), as_recorded),
    Packed("bmrs_mid", "restored", (PORTAL_MID,), market_index),
    Packed("bmrs_mid", "native", ("days/2026-03-29/MID.csv",), market_index_csv),
    Packed(
        "bmrs_fuelinst",
        "restored",
        (
            "days/2022-01-01/FUELINST.json",
            *(f"series/FUELINST_{m}.parquet" for m in ("2024-01", "2024-10", "2026-03")),
        ),
        five_minutes,
    ),
    Packed("bmrs_fuelhh", "restored", _YEARS, half_hours),
    Packed("bmrs_indo", "restored", _DEMAND_YEARS, outturn("INDO")),
    Packed("bmrs_itsdo", "restored", _DEMAND_YEARS, outturn("ITSDO")),
    Packed("bmrs_agpt_series", "native", ("days/2024-01-01/AGPT.json", "days/2024-01-03/AGPT.json"), as_recorded),
    Packed("bmrs_demand_forecast_latest", "native", (FORECAST,), forecasts),
    Packed("bmrs_pn", "restored", (WIND_DAY.format("PN"),), as_recorded),
    Packed("bmrs_bod", "restored", (WIND_DAY.format("BOD"),), as_recorded),
    Packed("bmrs_boalf", "restored", (WIND_DAY.format("BOALF"),), as_recorded),
    Packed("bmrs_remit", "native", (REMIT_NATIVE,), remit),
    Packed("bmrs_remit", "restored", ("series/REMIT_messages_2023-2024_cases.ndjson",), remit_cases),
    Packed("ref_bmunits", "native", ("reference/bmunits_all_2025-11.json.gz",), as_recorded),
)
UNRECORDED = {
    "bmrs_mid": {WIND: "not recorded"},
    "bmrs_agpt_series": dict.fromkeys((WIND, *(d for d in WEEK if d.day not in (1, 3)), LONG, SHORT), "not recorded"),
    "bmrs_demand_forecast_latest": dict.fromkeys((WIND, LONG, SHORT), "not recorded"),
    **{t: dict.fromkeys((*WEEK, LONG, SHORT), "not recorded") for t in ("bmrs_pn", "bmrs_bod", "bmrs_boalf")},
    "bmrs_remit": dict.fromkeys(DAYS, "no message recorded"),
}
HALF_HOURLY = (
    "publishTime is the end of the period, set and not recorded. Settlement date and period follow from startTime: "
    "until July 2022 the source labels the last period of a day as the next day's."
)
NOTES = {
    "bmrs_costs": "Restored days: SSP from a repository under MIT, SBP and NIV from one without stated terms "
    "(a file with stated terms exists, but is another settlement vintage).",
    "bmrs_pn": "156 wind units only, whole day.",
    "bmrs_bod": "156 wind units only, whole day.",
    "bmrs_boalf": "80 wind units only, whole day.",
    "bmrs_remit": "Messages a research project kept, not every message of a day.",
    "bmrs_indo": HALF_HOURLY,
    "bmrs_itsdo": HALF_HOURLY,
    "bmrs_fuelhh": HALF_HOURLY,
    "ref_bmunits": "The list of November 2025. A snapshot is of the day it is asked for: in scope is the demo's now.",
}


def write(part: Packed, root: Path, target: Path, known: dict[str, Row]) -> Row:
    """Write one shipped file; returns its entry of index.json. Stops if a source is not the file that is listed."""
    for source in part.sources:
        if hashlib.sha256((root / source).read_bytes()).hexdigest() != known[source]["sha256"]:
            raise SystemExit(f"{root / source} is not the file of its index.json (sha256): fetch it again")
        if "GPL" in known[source]["source_licence"] or known[source]["terms"] == "copyleft repository":
            raise SystemExit(f"{source} comes from a GPL repository and may not be shipped")
    rows = part.rows(root, part.sources)
    name = f"{part.table}.{part.form}.ndjson.gz"
    packed = gzip.compress(b"".join(orjson.dumps(r) + b"\n" for r in rows), 9, mtime=0)
    (target / name).write_bytes(packed)
    columns = {c.name for c in registry.get(part.table).columns}
    have = {k for r in rows for k in (*r, *(i for n in (r.get("data") or ()) for i in n))}
    return {
        "file": name,
        "table": part.table,
        "path": registry.get(part.table).endpoint.path,
        "form": part.form,
        "rows": len(rows),
        "bytes": len(packed),
        "sha256": hashlib.sha256(packed).hexdigest(),
        "absent_fields": sorted(columns - have),
        "note": NOTES.get(part.table, ""),
        "attribution": ATTRIBUTION,
        "data_terms": TERMS,
        "sources": [_source(known[s]) for s in part.sources],
    }


def _source(entry: Row) -> Row:
    names = ("source_repo", "source_path", "source_commit", "source_licence", "terms", "form", "caveats", "sha256")
    return {"file": entry["file"]} | {n.removeprefix("source_"): entry[n] for n in names}


def judge(target: Path) -> tuple[dict[str, list[list[str]]], list[Row]]:
    """The ranges of whole London days of each table, and the days left out with the reason."""
    scope: dict[str, list[list[str]]] = {}
    left_out: list[Row] = []
    for table, frame in load(target).items():
        dataset, whole = registry.get(table), []
        for day in sorted({*DAYS, *(REMIT_DAYS if table == "bmrs_remit" else ())}) if dataset.partition_field else ():
            reason = UNRECORDED.get(table, {}).get(day) or shortfall(dataset, frame, day)
            if reason:
                left_out.append({"table": table, "day": str(day), "reason": reason})
            else:
                whole.append(day)
        scope[table] = ranges(whole or [DEMO_NOW])
    return scope, left_out


def ranges(days: list[date]) -> list[list[str]]:
    """Consecutive days as [first, last]."""
    found: list[list[date]] = []
    for day in days:
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1][1] = day
        else:
            found.append([day, day])
    return [[str(a), str(b)] for a, b in found]


def sources_page(files: list[Row], left_out: list[Row]) -> str:
    """SOURCES.md: every shipped file with source, commit, licence, terms and form."""
    lines = ["# Sources of the recordings", "", ATTRIBUTION, "", TERMS, ""]
    lines += [
        "Made by `scripts/pack_recordings.py` from real answers that public repositories hold. **native** = fields"
    ]
    lines += [
        "and values as the API gave them; **restored** = real values put back into the API's field names, with what"
    ]
    lines += [
        "was derived named under caveats. Beyond Elexon's terms the licence of the repository each file was taken"
    ]
    lines += ["from counts; nothing comes from a GPL repository. `index.json` says the same for programs.", ""]
    for f in files:
        lines += [
            f"## {f['file']}",
            "",
            f"`{f['path']}` -> {f['table']}, {f['form']}, {f['rows']:,} rows. {f['note']}".rstrip(),
        ]
        if f["absent_fields"]:
            lines += ["", f"Fields the sources did not keep: {', '.join(f['absent_fields'])}."]
        lines += [""]
        for s in f["sources"]:
            caveats = "; ".join(s["caveats"]) if isinstance(s["caveats"], list) else s["caveats"]
            lines += [f"- {s['repo']}, `{s['path']}` at {s['commit']}; licence of the repository: {s['licence']}"]
            lines += [f"  (terms {s['terms']}); recorded as {s['form']}. {caveats}".rstrip()]
        lines += ["", f"{ATTRIBUTION}", ""]
    lines += ["## Days not in scope.json", ""]
    reasons: dict[tuple[str, str], list[str]] = {}
    for x in left_out:
        reasons.setdefault((x["table"], x["reason"]), []).append(x["day"])
    lines += [f"- {table}: {', '.join(days)}: {reason}" for (table, reason), days in reasons.items()]
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    if not argv:
        print(__doc__)
        return 2
    root, target = Path(argv[0]), Path(argv[1]) if len(argv) > 1 else RECORDINGS
    target.mkdir(parents=True, exist_ok=True)
    known = {f["file"]: f for f in json.loads((root / "index.json").read_text(encoding="utf-8"))["files"]}
    files = [write(part, root, target, known) for part in PARTS]
    scope, left_out = judge(target)
    listing = {"attribution": ATTRIBUTION, "data_terms": TERMS, "files": files, "not_in_scope": left_out}
    (target / "index.json").write_text(json.dumps(listing, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = ",\n".join(f" {json.dumps(t)}: {json.dumps(r)}" for t, r in scope.items())
    (target / "scope.json").write_text("{\n" + lines + "\n}\n", encoding="utf-8")
    (target / "SOURCES.md").write_text(sources_page(files, left_out), encoding="utf-8")
    print(f"{len(files)} files, {sum(f['bytes'] for f in files) / 1e6:.2f} MB in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
