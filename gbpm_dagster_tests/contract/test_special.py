"""What only some tables do: spans of periods, seasons, ids, learnt caps, own limits; and the server itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.ingest.caps import CapStore
from gbpm_dagster_tests.contract.facts import midnight, operations, periods
from gbpm_dagster_tests.contract.harness import Bench, HastySource, bench
from gbpm_dagster_tests.contract.test_contract import expected, unordered

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("special")) as made:
        yield made


def test_a_span_of_date_and_period_ends_with_the_last_period_of_its_day(tables: Bench) -> None:
    loaded = tables.load("bmrs_tudm")
    ends = {(a.get("settlementDateTo"), a.get("settlementPeriodTo")) for a in loaded.asked}
    assert ends == {(day.isoformat(), str(periods(day))) for day in loaded.cases.days.wanted}
    assert {("2024-03-31", "46"), ("2024-10-27", "50"), ("2024-10-08", "48")} <= ends
    assert {a.get("settlementPeriodFrom") for a in loaded.asked} == {"1"}


def test_a_value_of_the_request_becomes_a_column(tables: Bench) -> None:
    loaded = tables.load("bmrs_ebocf")
    day = loaded.cases.days.ordinary
    sides = [row["bidOffer"] for row in loaded.stored[day]]
    assert (sides.count("bid"), sides.count("offer")) == (96, 96)  # two units in 48 periods
    assert [a.get("bidOffer") for a in loaded.asked].count("bid") == len(loaded.cases.days.wanted)
    assert all("bidOffer" not in row.body for a in loaded.asked for row in a.rows)
    assert loaded.evidence[day]["requests"] == loaded.evidence[day]["windows_asked"] == 2


@pytest.mark.parametrize("table", ["bmrs_triad_peaks", "bmrs_demand_peak_settlement", "bmrs_demand_peak_operational"])
def test_out_of_season_there_is_nothing_to_ask(tables: Bench, table: str) -> None:
    loaded = tables.load(table)
    season = {"bmrs_triad_peaks": "triadSeasonStartYear"}.get(table, "triadSeason")
    assert [a.get(season) for a in loaded.asked] == ["2023"], "one call for the season of December to January"
    for day in (loaded.cases.days.spring, loaded.cases.days.autumn):
        evidence = loaded.evidence[day]
        assert loaded.outcomes[day].outcome == "empty"
        assert [evidence[n] for n in ("requests", "windows_asked", "rows", "fetched", "bytes")] == [0] * 5


def test_messages_are_asked_by_the_ids_of_the_list_fifty_at_once(tables: Bench) -> None:
    loaded = tables.load("remit_messages")
    whole = [len([v for n, v in a.params if n == "messageId"]) for a in loaded.asked]
    assert sorted(whole, reverse=True)[:4] == [50, 50, 50, 5] and max(whole) == 50
    assert {a.path for a in loaded.asked} == {"/remit"}
    day = loaded.cases.days.ordinary
    assert (loaded.evidence[day]["rows"], loaded.evidence[day]["windows_asked"]) == (52, 2)


@pytest.mark.parametrize("table", ["remit_messages", "remit_revisions"])
def test_without_its_list_a_day_fails_and_says_what_to_run(tables: Bench, table: str) -> None:
    tables.load(table)
    unlisted = date(2024, 10, 15)
    report = tables.ingest(DATASETS[table], [unlisted])
    outcome = report.outcomes[unlisted]
    assert (outcome.outcome, outcome.requests, report.requests) == ("failed", 0, 0)
    assert outcome.message.startswith(f"{table}: the ids of 2024-10-15 are not known: remit_message_list does not")
    assert "gbpm backfill remit_message_list --from 2024-10-15 --to 2024-10-15" in outcome.message
    assert tables.lake(table).evidence([table], unlisted, unlisted).is_empty()


def test_an_id_the_source_does_not_know_is_an_empty_answer(tables: Bench) -> None:
    """`/remit` answers 404 where there is no such message."""
    loaded = tables.load("remit_messages")
    day = loaded.cases.days.unwanted
    listed = tables.hold("remit_message_list")
    listed.holding.rows = [row for row in listed.cases.extras() if row.home == day]
    assert tables.ingest(listed.dataset, [day]).outcomes[day].rows == 1
    holding = tables.api.hold(replace(loaded.holding, rows=[], asked=[]))
    outcome = tables.ingest(loaded.dataset, [day]).outcomes[day]
    assert (outcome.outcome, outcome.rows, len(holding.asked)) == ("empty", 0, 1)


def test_a_message_of_another_day_than_its_lists_is_set_aside(tables: Bench) -> None:
    loaded = tables.load("remit_messages")
    day = loaded.cases.days.ordinary
    rows = loaded.cases.of(day)
    moved = rows[7].but(publishTime="2024-10-11T09:00:00Z")
    loaded.once_more(day, [moved if row is rows[7] else row for row in rows])
    lake = tables.lake("remit_messages")
    evidence = lake.evidence(["remit_messages"], day, day).row(0, named=True)
    assert (evidence["quarantined"], evidence["fetched"]) == (0, 52)
    (attempt,) = lake.attempts(["remit_messages"]).filter(day=day).sort("at").tail(1).to_dicts()
    assert attempt["outcome"] == "held", "one message fewer than before: kept until a second answer confirms it"
    loaded.once_more(day, [moved if row is rows[7] else row for row in rows])
    aside = lake.quarantine(["remit_messages"]).filter(day=day).to_dicts()
    assert [q["reason"] for q in aside] == [
        "publishTime is of 2024-10-11, but the list of its id is of 2024-10-08: the row belongs to two days"
    ]


@pytest.mark.parametrize("table", ["bmrs_mid", "bmrs_fuelhh", "bmrs_tudm", "bmrs_costs", "bmrs_triad_peaks"])
def test_of_a_day_whose_answer_holds_another_days_rows_nothing_is_stored(tables: Bench, table: str) -> None:
    """A table of each way to be asked. One window is answered wrongly; the day fails with it, and only that day."""
    loaded = tables.hold(table)
    days = loaded.cases.days
    wrong = loaded.cases.of(days.ordinary)[-2:]
    if table == "bmrs_triad_peaks":
        wrong = [wrong[0].but(settlementDate="2022-12-12")]
    loaded.holding.astray = wrong
    # One at a time, so that the first request to arrive, which is answered wrongly, is that of the first day.
    outcomes = tables.ingest(loaded.dataset, [days.stray, days.stray + 10 * DAY], concurrency=1).outcomes
    outcome = outcomes[days.stray]
    assert (outcome.outcome, outcome.error_class) == ("failed", "permanent")
    assert f"{table}, " in outcome.message and "lie outside the window asked for" in outcome.message
    assert loaded.lake.evidence([table], days.stray, days.stray).is_empty()
    assert loaded.lake.read(loaded.dataset, days.stray, days.stray).is_empty()
    (attempt,) = loaded.lake.attempts([table]).filter(day=days.stray).to_dicts()
    assert (attempt["outcome"], attempt["message"]) == ("failed", outcome.message)
    together = table == "bmrs_triad_peaks"  # both days are of one season, which is one call
    assert outcomes[days.stray + 10 * DAY].ok is not together


def test_a_path_with_a_limit_of_its_own_waits_for_it(tables: Bench) -> None:
    """UOU2T3YW: 100 requests a minute (the document says so), so one each 0.6 s."""
    loaded = tables.load("bmrs_uou2t3yw")
    waits = sorted(HastySource.waits["bmrs_uou2t3yw"])
    assert len(waits) == len(loaded.asked) - 1
    assert waits == pytest.approx([0.6 * n for n in range(1, len(waits) + 1)])


@pytest.mark.parametrize(
    ("table", "cap", "days", "at_first", "then"),
    [
        # London days of 23, 24 and 25 hours; what was asked as 24 hours and one is cut within these
        ("bmrs_mid", 12 * HOUR, ("spring", "ordinary", "autumn"), (2, 2, 3), (2, 2, 3)),
        ("bmrs_pn", 5 * HOUR, ("spring", "ordinary", "autumn"), (5, 5, 6), (5, 5, 5)),
        ("bmrs_fuelhh", DAY, ("ordinary", "odd"), (1, 1), (1, 1)),
    ],
)
def test_a_cap_that_the_source_names_is_learnt_and_the_day_still_whole(
    tables: Bench, table: str, cap: timedelta, days: tuple[str, ...], at_first: tuple[int, ...], then: tuple[int, ...]
) -> None:
    loaded = tables.hold(table)
    loaded.holding.cap = cap
    wanted = [getattr(loaded.cases.days, day) for day in days]
    caps = f"caps-{table}"
    report = tables.ingest(loaded.dataset, wanted, caps)
    loaded.look()
    assert all(outcome.ok for outcome in report.outcomes.values())
    assert [unordered(loaded.stored[day]) for day in wanted] == [unordered(expected(loaded, day)) for day in wanted]
    assert tuple(loaded.evidence[day]["windows_asked"] for day in wanted) == at_first
    refused = [a for a in loaded.asked if a.status == 400]
    assert 1 <= len(refused) <= 4, "as many as were in flight at once"
    assert report.requests == len(loaded.asked) == len(refused) + sum(at_first)
    assert CapStore(tables.folder / f"{caps}.json").get(loaded.dataset.endpoint.path) == report.learnt_cap == cap
    loaded.holding.asked.clear()
    tables.ingest(loaded.dataset, wanted, caps)
    assert [a.status for a in loaded.holding.asked] == [200] * sum(then), "no window is refused again"


# --- the server itself


def get(api_url: str) -> tuple[int, object]:
    try:
        with urllib.request.urlopen(api_url) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_server_refuses_what_the_api_refuses(tables: Bench) -> None:
    tables.hold("bmrs_mid")
    mid = f"{tables.api.base_url}/datasets/MID"
    window = "from=2024-10-08T00:00Z&to=2024-10-09T00:00Z"
    assert get(f"{mid}?{window}")[0] == 200
    for wrong in (
        f"{mid}?publishDateTimeFrom=2024-10-08T00:00Z&{window}",
        f"{mid}?from=2024-10-08T00:00Z",
        f"{mid}S?{window}",
    ):
        assert get(wrong) == (404, {"statusCode": 404, "message": "Resource not found"})
    for unreadable in ("from=2024-10-08&to=2024-10-09", "from=2024-10-08T00:00%2B01:00&to=2024-10-09T00:00Z"):
        assert get(f"{mid}?{unreadable}")[0] == 400
    status, problem = get(f"{mid}?from=2024-10-01T00:00Z&to=2024-10-08T00:01Z")
    assert status == 400 and "must not exceed 7 days" in json.dumps(problem)
    assert get(f"{mid}?from=2024-10-01T00:00Z&to=2024-10-08T00:00Z")[0] == 200, "both ends count"


def test_the_server_includes_both_ends_and_takes_the_documents_envelope(tables: Bench) -> None:
    loaded = tables.hold("bmrs_freq")
    day = loaded.cases.days.ordinary
    loaded.holding.rows = loaded.cases.whole(day) + loaded.cases.whole(day + DAY)
    start, end = (at.strftime("%Y-%m-%dT%H:%MZ") for at in (midnight(day), midnight(day + DAY)))
    query = f"measurementDateTimeFrom={start}&measurementDateTimeTo={end}"
    plain, stream = (get(f"{tables.api.base_url}/datasets/FREQ{s}?{query}")[1] for s in ("", "/stream"))
    assert isinstance(plain, dict) and len(plain["data"]) == 5761  # rest-api.md 4: as the service answers 24 hours
    assert stream == [], "another path, which holds nothing"
    fuels = get(f"{tables.api.base_url}/reference/fueltypes/all")[1]
    assert fuels == []


def test_the_server_answers_every_path_of_the_document(tables: Bench) -> None:
    examples = {
        "date": "2024-10-08",
        "date-time": "2024-10-08T00:00Z",
        "integer": "5",
        "boolean": "true",
        "string": "x",
    }
    for path, operation in operations().items():
        parameters = [p for p in operation.parameters.values() if p.required]
        value = {p.name: p.values[0] if p.values else examples[p.type] for p in parameters}
        query = "&".join(f"{p.name}={value[p.name]}" for p in parameters if p.place == "query")
        status, _ = tables.api.answer(path.format(**value) + (f"?{query}" if query else ""))
        assert status == (404 if operation.envelope == "object" else 200), path
