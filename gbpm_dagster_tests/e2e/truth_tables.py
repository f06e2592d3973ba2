"""Which rows the stand-in's truth holds for a London day of each table of the catalogue.

Belongs here: the road from a table to `/_truth`, in plain loops and without any of the package's decoding. Not here:
comparing (`truth`). Tables whose rows the truth does not serve (lists, schema-driven paths) are read from the path
itself, one narrow request at a time.
"""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gbpm_dagster.catalogue.model import Dataset, Grain, Kind
from gbpm_dagster.market.calendar import day_bounds, london_day, periods_in_day

Row = dict[str, Any]
Get = Callable[[str], Any]

CODES = {
    "bmrs_settlement_messages": "SETTLEMENTMESSAGES",
    "bmrs_boalf_priced": "HISTORICACCEPTANCES",
    "bmrs_market_depth": "MARKETDEPTH",
    "bmrs_disbsad_summary": "DISBSAD_SUMMARY",
    "bmrs_demand_outturn": "_OUTTURN",
    "bmrs_interconnector_flows": "_INTHH",
    "bmrs_generation_total": "_ROLLING",
    "bmrs_generation_summary": "FUELHH",
    "bmrs_dci": "DCI",
}
"""The truth's own names where they are not the dataset's code."""

BY_TARGET = {
    "bmrs_dag_series": "DAG",
    "bmrs_datl_series": "DATL",
    "bmrs_dgws_series": "DGWS",
    "bmrs_watl_series": "WATL",
    "bmrs_soso_series": "SOSO",
    "bmrs_lolp_horizons": "LOLPDRM",
    "bmrs_demand_forecast_latest": "_NDFTSDF",
    "bmrs_demand_forecast_earliest": "_NDFTSDF",
    "bmrs_windfor_latest": "WINDFOR",
    "bmrs_windfor_earliest": "WINDFOR",
}
"""Publications selected by what they are for: they lie up to three days before."""

IN_FORCE = {
    "bmrs_indicated_day_ahead": "_INDIC",
    "bmrs_margin_weekly": "OCNMFW2",
    "bmrs_surplus_weekly": "OCNMFW",
    "bmrs_availability_daily": "_AVAILD",
    "bmrs_availability_weekly": "_AVAIL3Y",
}
"""Publications in force at an instant."""

PHYSICAL = ("PN", "QPN", "MELS", "MILS")
DYNAMIC = {
    "SEL": "level",
    "SIL": "level",
    "MZT": "periodMin",
    "MNZT": "periodMin",
    "MDV": "volumeMax",
    "MDP": "periodMax",
    "NTB": "notice",
    "NTO": "notice",
    "NDZ": "notice",
}
RATES = ("RURE", "RURI", "RDRE", "RDRI")

FROM_THE_PATH = {
    "bmrs_settlement_summary",
    "saa_total_exempt_volume",
    "lss_load_shape_period",
    "lss_load_shape_totals",
    "bmrs_demand_peak",
    "bmrs_demand_peak_settlement",
    "bmrs_demand_peak_operational",
    "bmrs_triad_peaks",
    "bmrs_demand_forecast_peak",
    "bmrs_windfor_peak",
    "meta_data_status",
}
"""Schema-driven at the stand-in, or not in its truth."""

API = "/bmrs/api/v1"
MESSAGE = "https://data.elexon.co.uk/bmrs/api/v1/remit/{id}"
"""Where a message of the list is: the path says so, the truth does not."""


def rows_of(dataset: Dataset, day: date, get: Get, query: str = "") -> list[Row]:
    """The true rows of a London day of the table's partition field: one row a key, the newest vintage."""
    found = [as_in_path(dataset, row) for row in _rows(dataset, day, get, query)]
    return newest(dataset, found)


def _rows(dataset: Dataset, day: date, get: Get, query: str) -> Iterable[Row]:
    table, code = dataset.table, dataset.code
    if table == "remit_revisions":  # the chain of each message listed that day
        listed = sorted({r["id"] for r in _truth("REMIT", day, get, "publish")})
        return [r for i in listed for r in _list(get, f"{API}{dataset.endpoint.path}?messageId={i}")]
    if dataset.grain is Grain.SNAPSHOT or table in FROM_THE_PATH:
        return _from_the_path(dataset, day, get)
    if table in BY_TARGET:
        return _by_target(dataset, day, get)
    if table in IN_FORCE:
        return _in_force(dataset, day, get)
    if table == "bmrs_physical_all":
        return [{**r, "dataset": c} for c in PHYSICAL for r in _truth(c, day, get)]
    if table == "bmrs_dynamic_all":
        return [{**r, "value": r[field]} for c, field in DYNAMIC.items() for r in _truth(c, day, get)]
    if table == "bmrs_dynamic_rates_all":
        return [r for c in RATES for r in _truth(c, day, get)]
    basis = "publish" if dataset.partition_field == "publishTime" else "settlement"
    if dataset.partition_field == "timeFrom":  # BOALF: a window selects by it, the settlement date does not
        start, end = (_text(at) for at in day_bounds(day))
        return get(f"/_truth/{code}/window?field=start&closed=left&from={start}&to={end}{_more(query)}")["rows"]  # type: ignore[no-any-return]
    return _truth(CODES.get(table, code), day, get, basis, query)


def _truth(code: str, day: date, get: Get, basis: str = "settlement", query: str = "") -> list[Row]:
    sided = ("BOAV", "DISPTAV", "EBOCF")
    if code in sided:
        sides = [(side, get(f"/_truth/{code}?date={day}&side={side}{_more(query)}")) for side in ("bid", "offer")]
        return [{**row, "bidOffer": side} for side, answer in sides for row in answer["rows"]]
    rows: list[Row] = get(f"/_truth/{code}?date={day}&basis={basis}{_more(query)}")["rows"]
    if code == "REMIT":
        return [{**row, "url": MESSAGE.format(id=row["id"])} for row in rows]
    return [{**row, "bidOffer": row["_side"]} for row in rows] if code == "ISPSTACK" else rows


def _by_target(dataset: Dataset, day: date, get: Get) -> list[Row]:
    """Of the publications before: the rows for this day; `earliest` tables hold the first of each target."""
    code = BY_TARGET[dataset.table]
    rows = [r for back in range(4) for r in _truth(code, day - timedelta(days=back), get) if _target(r) == day]
    if dataset.table == "bmrs_lolp_horizons":
        rows = [r for r in rows if r["forecastHorizon"] in (1, 2, 4, 8, 12)]
    if dataset.table.endswith("_earliest"):
        first: dict[Any, Row] = {}
        for row in sorted(rows, key=lambda r: str(r["publishTime"]), reverse=True):
            first[(row["startTime"], row.get("boundary"))] = row
        rows = list(first.values())
    return rows


def _target(row: Mapping[str, Any]) -> date:
    start = row.get("startTime")
    return london_day(_instant(start)) if start else date.fromisoformat(row["forecastDate"])


def _in_force(dataset: Dataset, day: date, get: Get) -> list[Row]:
    """The publications of the day that were the newest at the end of one of its steps."""
    start, end = day_bounds(day)
    rows = _truth(IN_FORCE[dataset.table], day, get, "publish")
    times = sorted({_instant(r["publishTime"]) for r in rows})
    kept = set()
    at = start
    while at < end:
        at = min(at + dataset.endpoint.step, end)
        before = [t for t in times if t <= at - timedelta(seconds=1)]
        kept |= set(before[-1:])
    return [r for r in rows if _instant(r["publishTime"]) in kept]


def _from_the_path(dataset: Dataset, day: date, get: Get) -> list[Row]:
    """What the path answers, asked one value and one period at a time."""
    endpoint = dataset.endpoint
    path, params = API + endpoint.path, endpoint.params
    fixed = "".join(f"&{k}={v}" for k, v in endpoint.fixed)
    values = endpoint.each.values if endpoint.each else ("",)
    found: list[Row] = []
    for value in values:
        name = endpoint.each.param if endpoint.each else ""
        here = path.replace(f"{{{name}}}", value)
        given = {endpoint.each.column: value} if endpoint.each and endpoint.each.column else {}
        for address in _addresses(endpoint.style.value, here, params, day):
            joint = "&" if "?" in address else "?"
            found += [{**given, **row} for row in _list(get, f"{address}{joint}{fixed.lstrip('&')}")]
    field = dataset.partition_field
    return [r for r in found if not field or str(r.get(field)) == day.isoformat()]


def _addresses(style: str, path: str, params: tuple[str, ...], day: date) -> list[str]:
    if style == "period":
        return [
            path.replace("{settlementDate}", str(day)).replace("{settlementPeriod}", str(sp))
            for sp in range(1, periods_in_day(day) + 1)
        ]
    if style == "dates":
        return [f"{path}?{params[0]}={day}&{params[1]}={day}"]
    if style == "date":
        return [path.replace("{settlementDate}", str(day)) if "{" in path else f"{path}?{params[0]}={day}"]
    if style == "season":
        if 3 <= day.month <= 10:
            return []
        year = day.year if day.month >= 11 else day.year - 1
        return [path.replace("{triadSeason}", str(year)) if "{" in path else f"{path}?{params[0]}={year}"]
    return [path]


def _list(get: Get, address: str) -> list[Row]:
    try:
        answer = get(address)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return []
        raise
    rows = answer.get("data", [answer]) if isinstance(answer, dict) else answer
    return [row if isinstance(row, dict) else {"value": row} for row in rows]


def as_in_path(dataset: Dataset, row: Mapping[str, Any]) -> Row:
    """The row with the columns of the table, members of nested objects as `outer.member`."""
    flat = dict(row)
    if "weekStartDate" in dataset.names and row.get("week"):
        flat["weekStartDate"] = str(date.fromisocalendar(row["year"], row["week"], 1))
    for name in dataset.names:
        outer, dot, inner = name.partition(".")
        if dot:
            flat[name] = (row.get(outer) or {}).get(inner)
    instants = [c.name for c in dataset.columns if c.kind is Kind.INSTANT and flat.get(c.name)]
    flat |= {name: _text(_instant(flat[name])) for name in instants}
    return {name: flat.get(name) for name in dataset.names}


def newest(dataset: Dataset, rows: Iterable[Row]) -> list[Row]:
    """One row a natural key: the greatest version (null lowest); among equals the last that was told."""
    fallback = dict(dataset.unit_fallback)
    best: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(row[k] if row[k] is not None else row.get(fallback.get(k, ""), None) for k in dataset.key)
        there = best.get(key)
        if there is None or _stamp(dataset, row) >= _stamp(dataset, there):
            best[key] = row
    return list(best.values())


def _stamp(dataset: Dataset, row: Mapping[str, Any]) -> tuple[Any, ...]:
    order = dataset.version_order
    parts: list[Any] = []
    for name in dataset.version:
        value = row[name]
        if order and dataset.column(name).kind is Kind.STRING:
            value = order.index(value) if value in order else -1
        parts.append((value is not None, value if value is not None else 0))
    return tuple(parts)


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _more(query: str) -> str:
    return f"&{query}" if query else ""
