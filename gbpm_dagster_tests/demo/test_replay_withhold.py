"""What is withheld at first: the rules, when they end, and what the server then answers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import httpx
import pytest

from gbpm_dagster.demo.replay import DEFAULT_RULES, ReplayServer
from gbpm_dagster.demo.replay_recordings import scope
from gbpm_dagster.demo.withhold import Hidden, Verdict, Withholding, WithholdingError
from gbpm_dagster.settings import Settings

DAY = date(2024, 1, 4)


def test_a_day_is_hidden_until_it_was_answered() -> None:
    rules = Withholding.of([{"table": "bmrs_mid", "day": "2024-01-04", "kind": "day", "until_answers": 2}])
    assert rules.visit("bmrs_mid", [date(2024, 1, 3)]) == Verdict()
    assert rules.visit("bmrs_costs", [DAY]) == Verdict()
    assert rules.in_force and rules.state()[0]["used"] == 0
    for _ in range(2):
        assert rules.visit("bmrs_mid", [date(2024, 1, 3), DAY]) == Verdict(hidden=(Hidden(DAY),))
    assert rules.visit("bmrs_mid", [DAY]) == Verdict()
    assert not rules.in_force and rules.state()[0] | {"in_force": False, "used": 2} == rules.state()[0]


def test_a_storm_hits_the_times_given_and_does_not_use_up_other_rules() -> None:
    rules = Withholding.of(
        [
            {"table": "bmrs_indo", "day": "2024-01-04", "periods": [3]},
            {"table": "indo", "day": "2024-01-04", "kind": "storm", "times": 3, "status": 503, "retry_after": 2},
        ]
    )
    for _ in range(3):
        assert rules.visit("bmrs_indo", [DAY]) == Verdict(status=503, retry_after=2)
    assert rules.visit("bmrs_indo", [DAY]) == Verdict(hidden=(Hidden(DAY, (3,)),))
    assert rules.visit("bmrs_indo", [DAY]) == Verdict()


def test_many_threads_share_one_count() -> None:
    rules = Withholding.of([{"table": "bmrs_indo", "day": "2024-01-04", "kind": "storm", "times": 40}])
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda _: rules.visit("bmrs_indo", [DAY]), range(100)))
    assert sum(v.status == 503 for v in verdicts) == 40


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"table": "bmrs_midd", "day": "2024-01-04"}, "bmrs_midd.*did you mean bmrs_mid"),
        ({"table": "bmrs_mid", "day": "4 January"}, "4 January"),
        ({"table": "bmrs_mid"}, "needs table and day"),
        ({"table": "bmrs_mid", "day": "2024-01-04", "hours": 3}, "hours"),
        ({"table": "bmrs_mid", "day": "2024-01-04", "kind": "drought"}, "drought.*day, periods, storm"),
        ({"table": "bmrs_mid", "day": "2024-01-04", "periods": [51]}, "1..50"),
        ({"table": "bmrs_mid", "day": "2024-01-04", "kind": "storm"}, "times is 0"),
        ({"table": "bmrs_mid", "day": "2024-01-04", "kind": "storm", "times": 2, "status": 200}, "400..599"),
        ("bmrs_mid", "must be an object"),
    ],
)
def test_a_bad_rule_is_named(rule: object, says: str) -> None:
    with pytest.raises(WithholdingError, match=f"rule 1.*{says}"):
        Withholding.of([rule])  # type: ignore[list-item]


def test_a_bad_file_is_named(tmp_path) -> None:
    file = tmp_path / "rules.json"
    with pytest.raises(WithholdingError, match=r"rules\.json"):
        Withholding.from_file(file)
    for text in ("{", "{}", '{"rules": [{"table": "x"}]}', "3"):
        file.write_text(text)
        with pytest.raises(WithholdingError, match=r"rules\.json"):
            Withholding.from_file(file)
    file.write_text(json.dumps([{"table": "bmrs_mid", "day": "2024-01-04"}]))
    assert Withholding.from_file(file).rules[0].kind == "day"


def test_the_demo_withholds_a_day_periods_and_a_storm_of_recorded_days() -> None:
    rules, recorded = Withholding.from_file(DEFAULT_RULES), scope()
    assert sorted(r.kind for r in rules.rules) == ["day", "periods", "storm"]
    assert len({r.table for r in rules.rules}) == 3
    for rule in rules.rules:
        assert any(first <= rule.day <= last for first, last in recorded[rule.table])
    storm = next(r for r in rules.rules if r.kind == "storm")
    assert storm.times > Settings.load({}).max_attempts, "one request's retries would ride it out unseen"


def test_the_server_hides_then_heals() -> None:
    """The windows the client plans: seven days of MID at once, one date of prices, one day of INDO."""
    week = {"from": "2024-01-01T00:00Z", "to": "2024-01-08T00:00Z"}
    indo = {"publishDateTimeFrom": "2024-01-06T00:00Z", "publishDateTimeTo": "2024-01-07T00:00Z"}
    before = {"publishDateTimeFrom": "2024-01-05T00:00Z", "publishDateTimeTo": "2024-01-06T00:00Z"}
    with ReplayServer(withhold=Withholding.from_file(DEFAULT_RULES)) as server, httpx.Client() as client:

        def rows(path: str, **params: str) -> list[dict[str, object]]:
            found: list[dict[str, object]] = client.get(server.base_url + path, params=params).json()["data"]
            return found

        first, second = rows("/datasets/MID", **week), rows("/datasets/MID", **week)
        assert (len(first), len(second)) == (6 * 96, 7 * 96)
        assert "2024-01-04" not in {r["settlementDate"] for r in first}

        prices = "/balancing/settlement/system-prices/2024-01-05"
        lacking = set(range(1, 49)) - {r["settlementPeriod"] for r in rows(prices)}
        assert lacking == {17, 18, 35}
        assert len(rows(prices)) == 48

        neighbour = client.get(server.base_url + "/datasets/INDO", params=before)
        assert neighbour.status_code == 200, "a window that only shares the edge with the day is not in the storm"
        codes = [client.get(server.base_url + "/datasets/INDO", params=indo).status_code for _ in range(9)]
        assert codes == [503] * 8 + [200]

        state = client.get(server.base_url.removesuffix("/bmrs/api/v1") + "/_replay/state").json()
    assert not any(rule["in_force"] for rule in state["withheld"])
    assert state["by_status"] == {"200": 6, "503": 8} and state["requests"] == 14
