"""The replay server answers like Elexon's API, with the values that were recorded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from statistics import fmean, median
from typing import Any

import httpx
import pytest

from gbpm_dagster.catalogue import registry
from gbpm_dagster.demo.replay import ReplayError, ReplayServer
from gbpm_dagster.demo.replay_recordings import load
from gbpm_dagster.demo.replay_routes import ROUTES

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


@pytest.fixture(scope="module")
def ask(server: ReplayServer) -> Iterator[Ask]:
    with httpx.Client(base_url=server.base_url) as client:

        def get(path: str, **params: Any) -> httpx.Response:
            return client.get(path, params={k.rstrip("_"): v for k, v in params.items()})

        yield get


def data(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def day_of(start: str = "2024-01-03", end: str = "2024-01-04") -> dict[str, str]:
    return {"from_": f"{start}T00:00Z", "to": f"{end}T00:00Z"}


# ---- values others worked out (recorded/README.md)


def test_prices_of_2024_01_03(ask: Ask) -> None:
    """Mean SSP 78.159; volume-weighted APXMIDP 78.921."""
    prices = data(ask("/balancing/settlement/system-prices/2024-01-03"))
    assert round(fmean(r["systemSellPrice"] for r in prices), 3) == 78.159
    index = [r for r in data(ask("/datasets/MID", **day_of())) if r["settlementDate"] == "2024-01-03"]
    apx = [r for r in index if r["dataProvider"] == "APXMIDP"]
    assert len(apx) == 48
    assert round(sum(r["price"] * r["volume"] for r in apx) / sum(r["volume"] for r in apx), 3) == 78.921
    assert {(r["price"], r["volume"]) for r in index if r["dataProvider"] == "N2EXMIDP"} == {(0.0, 0.0)}


@pytest.mark.parametrize(("day", "periods"), [("2026-03-29", 46), ("2024-10-27", 50), ("2024-01-03", 48)])
def test_settlement_days_have_46_48_or_50_prices(ask: Ask, day: str, periods: int) -> None:
    prices = data(ask(f"/balancing/settlement/system-prices/{day}"))
    assert [r["settlementPeriod"] for r in prices] == list(range(1, periods + 1))


def test_fuels_of_2024_01_03_and_instants_of_the_long_day(ask: Ask) -> None:
    """19 fuel codes in January 2024; 300 five-minute instants of 20 codes on 2024-10-27."""
    day = data(ask("/datasets/FUELINST", settlementDateFrom="2024-01-03", settlementDateTo="2024-01-03"))
    assert len({r["fuelType"] for r in day}) == 19 and len(day) == 5472
    long = data(ask("/datasets/FUELINST", settlementDateFrom="2024-10-27", settlementDateTo="2024-10-27"))
    assert len({r["startTime"] for r in long}) == 300 and len({r["fuelType"] for r in long}) == 20


def test_forecast_of_2024_01_03_is_off_by_379_mw(ask: Ask) -> None:
    forecast = data(ask("/forecast/demand/day-ahead/latest", **day_of()))
    published = {"publishDateTimeFrom": "2024-01-03T00:30Z", "publishDateTimeTo": "2024-01-04T00:00Z"}
    outturn = {r["startTime"]: r["demand"] for r in data(ask("/datasets/INDO", **published))}
    pairs = [
        (r["nationalDemand"], outturn[r["startTime"]])
        for r in forecast
        if r["settlementDate"] == "2024-01-03" and r["nationalDemand"] is not None
    ]
    assert len(pairs) == 47
    assert round(fmean(abs(a - b) for a, b in pairs)) == 379


def test_per_type_series_keeps_its_nested_form(ask: Ask) -> None:
    """528 elements in 48 records; its wind is about 1.4 to 2.4 GW above FUELHH WIND.

    One recorded record is no such thing: period 29 has 219 MW offshore between neighbours of several GW. It is real.
    """
    records = data(ask("/generation/actual/per-type", from_="2024-01-03T00:00Z", to="2024-01-03T23:30Z"))
    assert len(records) == 48 and sum(len(r["data"]) for r in records) == 528
    half_hours = data(ask("/datasets/FUELHH", settlementDateFrom="2024-01-03", settlementDateTo="2024-01-03"))
    metered = {r["settlementPeriod"]: r["generation"] for r in half_hours if r["fuelType"] == "WIND"}
    wind = {
        r["settlementPeriod"]: sum(p["quantity"] for p in r["data"] if p["psrType"].startswith("Wind"))
        for r in records
    }
    assert [p for p in wind if wind[p] < metered[p]] == [29]
    assert 1400 <= median(wind[p] - metered[p] for p in wind) <= 2400


def test_wind_units_of_2022_01_01(ask: Ask) -> None:
    window = {"from_": "2022-01-01T00:00Z", "to": "2022-01-02T00:00Z"}
    assert len(ask("/datasets/PN/stream", **window).json()) == 9027
    assert len(data(ask("/datasets/BOALF", **window))) == 3720
    hours = [
        data(ask("/datasets/BOD", from_=f"2022-01-01T{h:02}:00Z", to=f"2022-01-01T{h:02}:59Z")) for h in range(24)
    ]
    assert sum(map(len, hours)) == 14964
    assert len({r["bmUnit"] for hour in hours for r in hour}) == 156


def test_only_recorded_fields_are_sent(ask: Ask) -> None:
    restored = data(ask("/balancing/settlement/system-prices/2024-01-03"))[0]
    assert len(restored) == 6 and "createdDateTime" not in restored
    native = data(ask("/balancing/settlement/system-prices/2026-03-29"))[0]
    assert set(native) == set(registry.get("bmrs_costs").names)
    assert native["createdDateTime"] == "2026-03-30T00:45:02Z" and native["netImbalanceVolume"] == -60.90822958791209


# ---- envelopes, windows, parameters


def test_envelopes(ask: Ask) -> None:
    assert ask("/datasets/MID", **day_of()).json().keys() == {"data"}
    assert isinstance(ask("/datasets/MID/stream", **day_of()).json(), list)
    assert ask("/balancing/settlement/system-prices/2024-01-03").json()["metadata"] == {"datasets": ["DISEBSP"]}
    assert ask("/forecast/demand/day-ahead/latest", **day_of()).json()["metadata"] == {"datasets": ["NDF", "TSDF"]}
    units = ask("/reference/bmunits/all").json()
    assert len(units) == 2733 and isinstance(units[0]["generationCapacity"], str)


def test_every_recorded_table_has_its_path() -> None:
    paths = {r.path for r in ROUTES}
    assert {registry.DATASETS[table].endpoint.path for table in load()} <= paths


def test_empty_windows_are_200(ask: Ask) -> None:
    assert ask("/datasets/MID", **day_of("2023-05-01", "2023-05-02")).json() == {"data": []}
    assert ask("/datasets/MID/stream", **day_of("2023-05-01", "2023-05-02")).json() == []
    assert data(ask("/balancing/settlement/system-prices/2023-05-01")) == []


def test_windows_include_both_ends(ask: Ask) -> None:
    rows = data(ask("/datasets/MID", from_="2024-01-03T10:00Z", to="2024-01-03T11:00Z", dataProviders="APXMIDP"))
    assert [r["startTime"] for r in rows] == [f"2024-01-03T{t}:00Z" for t in ("10:00", "10:30", "11:00")]
    dates = data(
        ask("/datasets/FUELHH", settlementDateFrom="2024-01-03", settlementDateTo="2024-01-05", fuelType="WIND")
    )
    assert len(dates) == 3 * 48


def test_settlement_periods_turn_from_and_to_into_settlement_dates(ask: Ask) -> None:
    """rest-api.md 2: the London day with periods 1..50; the time of day is ignored. In summer it starts at 23:00Z."""
    day = {"from_": "2024-10-27T15:00Z", "to": "2024-10-27T00:00Z"}
    rows = data(ask("/datasets/MID", **day, settlementPeriodFrom=1, settlementPeriodTo=50))
    assert len(rows) == 100 and rows[0]["startTime"] == "2024-10-26T23:00:00Z"
    part = data(
        ask(
            "/datasets/BOD",
            from_="2022-01-01",
            to="2022-01-01",
            settlementPeriodFrom=3,
            settlementPeriodTo=4,
        )
    )
    assert {r["settlementPeriod"] for r in part} == {3, 4}
    acceptances = data(
        ask("/datasets/BOALF", from_="2022-01-01", to="2022-01-01", settlementPeriodFrom=2, settlementPeriodTo=2)
    )
    assert acceptances and all("2022-01-01T00:30" <= r["timeFrom"] < "2022-01-01T01:00" for r in acceptances)


def test_one_period_forms(ask: Ask) -> None:
    physical = data(ask("/datasets/PN", settlementDate="2022-01-01", settlementPeriod=7))
    assert {r["settlementPeriod"] for r in physical} == {7} and len({r["bmUnit"] for r in physical}) == 156
    price = data(ask("/balancing/settlement/system-prices/2024-10-27/50"))
    assert [r["startTime"] for r in price] == ["2024-10-27T23:30:00Z"]
    assert data(ask("/balancing/settlement/system-prices/2026-03-29/47")) == []


def test_values_can_be_repeated_and_units_named_either_way(ask: Ask) -> None:
    day = {"settlementDateFrom": "2024-01-03", "settlementDateTo": "2024-01-03", "settlementPeriod": 5}
    assert len(data(ask("/datasets/FUELHH", **day, fuelType=["WIND", "CCGT"]))) == 2
    period = {"settlementDate": "2022-01-01", "settlementPeriod": 1}
    by_elexon = data(ask("/datasets/PN", **period, bmUnit="E_BETHW-1"))
    assert by_elexon and by_elexon == data(ask("/datasets/PN", **period, bmUnit="BETHW-1"))


def test_optional_windows_ignore_misspelt_names_and_give_the_latest(ask: Ask) -> None:
    """rest-api.md 3.2: 200 with the wrong data, the trap a client must see."""
    rows = data(ask("/datasets/FUELINST", publishTimeFrom="2024-01-03T00:00Z", to="2024-01-04T00:00Z"))
    assert {r["settlementDate"] for r in rows} == {"2026-03-29"}


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/datasets/NOPE", {}),
        ("/datasets/MID", {"publishDateTimeFrom": "2024-01-01T00:00Z", "publishDateTimeTo": "2024-01-02T00:00Z"}),
        ("/datasets/MID", {"from_": "2024-01-01T00:00Z"}),
        ("/datasets/BOD", {}),
        ("/datasets/PN", {"settlementDate": "2022-01-01"}),
        ("/datasets/REMIT", {"from_": "2024-10-09T00:00Z", "to": "2024-10-10T00:00Z"}),
        ("/datasets/INDO/stream", {}),
        ("/datasets/FREQ", {}),
        ("/balancing/settlement/system-prices", {}),
    ],
)
def test_unknown_path_or_missing_parameter_is_404(ask: Ask, path: str, params: dict[str, str]) -> None:
    answer = ask(path, **params)
    assert answer.status_code == 404
    assert answer.json() == {"statusCode": 404, "message": "Resource not found"}


@pytest.mark.parametrize(
    ("path", "fits", "over", "says"),
    [
        (
            "/datasets/MID",
            {"from_": "2024-01-01T00:00Z", "to": "2024-01-08T00:00Z"},
            {"from_": "2024-01-01T00:00Z", "to": "2024-01-08T00:00:01Z"},
            "The date range between From and To inclusive must not exceed 7 days",
        ),
        (
            "/datasets/BOD",
            {"from_": "2022-01-01T00:00Z", "to": "2022-01-01T01:00Z"},
            {"from_": "2022-01-01T00:00Z", "to": "2022-01-01T01:00:01Z"},
            "The date range between From and To inclusive must not exceed 1 hour",
        ),
        (
            "/datasets/BOALF/stream",
            {"from_": "2022-01-01T00:00Z", "to": "2022-01-02T00:00Z"},
            {"from_": "2022-01-01T00:00Z", "to": "2022-01-02T00:30Z"},
            "The date range between From and To inclusive must not exceed 1 day",
        ),
        (
            "/datasets/REMIT",
            {"publishDateTimeFrom": "2024-10-09T00:00Z", "publishDateTimeTo": "2024-10-10T00:00Z"},
            {"publishDateTimeFrom": "2024-10-09T00:00Z", "publishDateTimeTo": "2024-10-10T01:00Z"},
            "The date range between PublishDateTimeFrom and PublishDateTimeTo inclusive must not exceed 1 day",
        ),
        (
            "/datasets/FUELINST",
            {"settlementDateFrom": "2024-01-01", "settlementDateTo": "2024-01-07"},
            {"settlementDateFrom": "2024-01-01", "settlementDateTo": "2024-01-08"},
            "The date range between SettlementDateFrom and SettlementDateTo inclusive must not exceed 7 days",
        ),
    ],
)
def test_windows_over_the_cap_are_400_in_the_known_words(
    ask: Ask, path: str, fits: dict[str, str], over: dict[str, str], says: str
) -> None:
    assert ask(path, **fits).status_code == 200
    answer = ask(path, **over)
    assert answer.status_code == 400 and answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json() == {
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "errors": {"": [says]},
    }


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/datasets/MID", {"from_": "2024-01-04T00:00Z", "to": "2024-01-03T00:00Z"}, "to"),
        ("/datasets/MID", {"from_": "yesterday", "to": "2024-01-03T00:00Z"}, "from"),
        ("/datasets/PN", {"settlementDate": "2022-01-01", "settlementPeriod": 51}, "settlementPeriod"),
        (
            "/datasets/FUELHH",
            {"settlementDateFrom": "2024-1-3", "settlementDateTo": "2024-01-03"},
            "settlementDateFrom",
        ),
        ("/balancing/settlement/system-prices/20240103", {}, "settlementDate"),
        ("/datasets/MID", {**day_of(), "format": "csv"}, "format"),
        (
            "/datasets/FUELHH",
            {"settlementDateFrom": "2024-01-03", "publishDateTimeFrom": "2024-01-03T00:00Z"},
            "",
        ),
    ],
)
def test_bad_values_are_400_and_name_the_field(ask: Ask, path: str, params: dict[str, Any], field: str) -> None:
    answer = ask(path, **params)
    assert answer.status_code == 400 and list(answer.json()["errors"]) == [field]


# ---- HTTP


def test_prefix_case_and_compression(server: ReplayServer) -> None:
    root = server.base_url.removesuffix("/bmrs/api/v1")
    params = {"FROM": "2024-01-03T00:00Z", "To": "2024-01-03T12:00Z"}
    with httpx.Client() as client:
        with_prefix = client.get(f"{server.base_url}/datasets/mid", params=params)
        bare = client.get(f"{root}/datasets/MID", params=params, headers={"accept-encoding": "identity"})
    assert with_prefix.json() == bare.json() and len(bare.json()["data"]) == 50
    assert with_prefix.headers["content-encoding"] == "gzip" and "content-encoding" not in bare.headers


def test_requests_are_logged_and_the_server_stops() -> None:
    with ReplayServer() as server:
        base = server.base_url
        httpx.get(f"{base}/balancing/settlement/system-prices/2024-01-03?x=1")
        httpx.get(f"{base}/datasets/NOPE")
        log = server.requests
    assert [(r.path, r.status, r.rows, r.table) for r in log] == [
        ("/balancing/settlement/system-prices/2024-01-03", 200, 48, "bmrs_costs"),
        ("/datasets/NOPE", 404, 0, ""),
    ]
    assert log[0].params == (("x", "1"),) and [str(d) for d in log[0].days] == ["2024-01-03"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{base}/datasets/INDO")


def test_a_taken_port_is_named(server: ReplayServer) -> None:
    port = int(server.base_url.split(":")[2].split("/")[0])
    with pytest.raises(ReplayError, match=f"127.0.0.1:{port}"):
        ReplayServer(port=port).start()


def test_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "gbpm_dagster.demo.replay", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base = process.stdout.readline().strip()
            assert base.endswith("/bmrs/api/v1")
            assert httpx.get(f"{base}/balancing/settlement/system-prices/2026-03-29").status_code == 200
        finally:
            process.terminate()
            process.wait(20)
        assert process.stderr is not None and "Traceback" not in process.stderr.read()


def test_frames_are_in_the_order_the_window_selects() -> None:
    for table, frame in load(tables=["bmrs_mid", "bmrs_boalf"]).items():
        assert frame["at"].is_sorted(), table
