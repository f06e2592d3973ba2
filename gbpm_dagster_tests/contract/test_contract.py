"""Every table of the catalogue as Elexon's document describes it: served, planned, fetched, decoded, stored, checked.

What is expected is read from the document and data/datasets.csv by the tests themselves (`facts`, `rows`, `days`).
`pytest -k bmrs_boav` runs one table.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from gbpm_dagster.catalogue import DATASETS
from gbpm_dagster.catalogue.model import Rule, Style
from gbpm_dagster.elexon.errors import RowsOutsideWindow
from gbpm_dagster.elexon.plan import Window, plan
from gbpm_dagster.quality.checks import ALL, check_gaps, run_checks
from gbpm_dagster.quality.coverage import coverage
from gbpm_dagster_tests.contract.days import STEP
from gbpm_dagster_tests.contract.facts import MEANT, london_day, midnight
from gbpm_dagster_tests.contract.harness import Bench, Loaded, bench, by_day
from gbpm_dagster_tests.contract.rows import Row, flat, key_of, typed
from gbpm_dagster_tests.contract.server import RANGES, Asked

NOW = datetime(2025, 3, 1, tzinfo=UTC)
"""Long after the last day: nothing is due any more."""

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("contract")) as made:
        yield made


@pytest.fixture(scope="class", params=DATASETS)
def loaded(request: pytest.FixtureRequest, tables: Bench) -> Loaded:
    return tables.load(request.param)


# --- what ought to come of the served rows


def lacks_key(found: Loaded, row: dict[str, Any]) -> bool:
    """Whether a column of the key is null that may not be."""
    key = dict(zip(found.facts.key, key_of(found.facts, row), strict=True))
    return any(value is None for name, value in key.items() if name not in found.dataset.nullable_key)


@cache
def expected(found: Loaded, day: date) -> list[dict[str, Any]]:
    """The typed rows the lake must hold of that day, in no order."""
    rows = [f for row in found.cases.of(day) for f in flat(found.facts, row) if not lacks_key(found, f)]
    once = {json.dumps(row, sort_keys=True): row for row in rows}
    return [typed(found.facts, row) for row in once.values()]


def bodies(found: Loaded, row: Row) -> list[dict[str, Any]]:
    """The row as it came, set aside whole; where rows are nested in others the outer fields are repeated."""
    nest = found.facts.nest
    body = {k: v for k, v in row.body.items() if v is not None} if found.holding.without_nulls else row.body
    if not nest:
        return [body]
    return [{**{k: v for k, v in body.items() if k != nest}, **element} for element in body[nest]]


def unordered(rows: Sequence[dict[str, Any]]) -> list[tuple[tuple[str, Any], ...]]:
    return sorted((tuple(sorted(row.items())) for row in rows), key=repr)


def days_served(found: Loaded, asked: Asked) -> list[date]:
    """The wanted days that a request is about, by its own parameters."""
    given = dict(asked.params)
    wanted, margin = found.cases.days.wanted, found.dataset.endpoint.margin
    for first, last in RANGES:
        if first in given:
            if "T" in given[first]:
                low, high = datetime.fromisoformat(given[first]), datetime.fromisoformat(given[last])
                return [d for d in wanted if midnight(d) - margin < high and midnight(d + DAY) + margin > low]
            low_day, high_day = date.fromisoformat(given[first]) + margin, date.fromisoformat(given[last]) - margin
            return [day for day in wanted if low_day <= day <= high_day]
    if "publishTime" in given:
        return [london_day(datetime.fromisoformat(given["publishTime"]))]
    if day := given.get("settlementDate") or given.get("date"):
        return [date.fromisoformat(day)]
    if season := given.get("triadSeason") or given.get("triadSeasonStartYear"):
        first_day, end = date(int(season), 11, 1), date(int(season) + 1, 3, 1)
        return [day for day in wanted if first_day <= day < end]
    if "messageId" in given:
        return [day for day in wanted if any(row in asked.rows for row in found.cases.of(day))]
    return []


class TestContract:
    def test_each_request_has_the_parameters_the_document_wants(self, loaded: Loaded) -> None:
        facts = loaded.facts
        required = {name for name, p in facts.operation.parameters.items() if p.required}
        meant = MEANT.get(facts.table, {})
        names = {*facts.window, *required, *meant}
        names |= {facts.choice} & {*facts.operation.parameters}
        for asked in loaded.asked:
            assert {name for name, _ in asked.params} == names
            assert meant.items() <= dict(asked.params).items()
            assert asked.status == 200 or (asked.status == 404 and facts.operation.envelope == "object")
        if loaded.dataset.endpoint.style is not Style.NONE:
            assert len({(a.path, *a.params) for a in loaded.asked}) == len(loaded.asked), "asked twice"

    def test_every_moment_of_the_days_is_asked_for_once(self, loaded: Loaded) -> None:
        wanted = loaded.cases.days.wanted
        for choice in loaded.facts.choices or ("",):
            asked = [
                a
                for a in loaded.asked
                if not choice or choice in (*a.path.split("/"), dict(a.params).get(loaded.facts.choice))
            ]
            _each_once(loaded, asked, wanted)
        ids = {day: sorted({row.ident for row in loaded.cases.of(day)}) for day in wanted}
        if loaded.dataset.endpoint.style is not Style.NONE:
            assert len(loaded.asked) == len(plan(loaded.dataset, wanted, ids=ids))

    @pytest.mark.parametrize(("kind", "periods"), [("ordinary", 48), ("spring", 46), ("autumn", 50)])
    def test_a_whole_day_is_stored_as_it_was_served(self, loaded: Loaded, kind: str, periods: int) -> None:
        day = getattr(loaded.cases.days, kind)
        rows = expected(loaded, day)
        assert unordered(loaded.stored.get(day, [])) == unordered(rows)
        assert loaded.outcomes[day].outcome == ("written" if rows else "empty")
        by_period = loaded.facts.home == "settlementDate" and "settlementPeriod" in loaded.facts.fields
        if by_period and not loaded.cases.once_a_day:
            assert {row["settlementPeriod"] for row in loaded.stored[day]} == set(range(1, periods + 1))

    def test_odd_rows_are_rows_all_the_same(self, loaded: Loaded) -> None:
        day = loaded.cases.days.odd
        assert unordered(loaded.stored[day]) == unordered(expected(loaded, day))
        rows = [f for row in loaded.cases.of(day) for f in flat(loaded.facts, row)]
        if not loaded.dataset.endpoint.margin:  # two windows that reach beyond their days answer the same rows
            kept = len(rows) - loaded.evidence[day]["quarantined"]
            assert loaded.evidence[day]["exact_duplicates"] == kept - len(expected(loaded, day))
        assert loaded.evidence[day]["superseded"] == 0
        nulls = next(row for row, oddity in loaded.cases.odd() if oddity == "nulls")
        for row in flat(loaded.facts, nulls):
            assert typed(loaded.facts, row) in loaded.stored[day]
            assert [name for name in loaded.cases.nullable() if row[name] is not None] == []

    def test_an_unknown_field_is_kept_aside_and_its_row_stored(self, loaded: Loaded) -> None:
        day = loaded.cases.days.broken
        assert unordered(loaded.stored[day]) == unordered(expected(loaded, day))
        odd = [f for row, wrong in loaded.cases.broken() if wrong == "surprise" for f in flat(loaded.facts, row)]
        assert [(d["day"], d["column"]) for d in loaded.drift] == [(day, "surprise")] * len(odd)
        for kept in loaded.drift:
            record = json.loads(kept["record"])
            assert record["surprise"] == {"is": 1}
            assert any(all(record[k] == row[k] for k in loaded.facts.key if k != loaded.facts.added) for row in odd)
        assert loaded.evidence[day]["unknown_columns"] == (["surprise"] if odd else [])

    def test_a_row_without_its_key_is_set_aside_with_the_reason(self, loaded: Loaded) -> None:
        day, word = loaded.cases.days.broken, "absent" if loaded.holding.without_nulls else "null"
        due: Counter[str] = Counter()
        for row, column in loaded.cases.broken():
            if column not in ("", "surprise"):
                names = f"{column} and bmUnit are" if column == loaded.facts.unit_key else f"{column} is"
                due[f"{names} {word}"] += len(flat(loaded.facts, row))
        assert Counter(q["reason"] for q in loaded.quarantine) == due
        assert {q["day"] for q in loaded.quarantine} <= {day}
        assert loaded.evidence[day]["quarantined"] == due.total()
        served = [body for row, column in loaded.cases.broken() for body in bodies(loaded, row)]
        assert all(json.loads(kept["record"]) in served for kept in loaded.quarantine)

    def test_an_empty_day_is_known_to_be_empty(self, loaded: Loaded) -> None:
        day = loaded.cases.days.empty
        assert loaded.outcomes[day].outcome == "empty"
        assert day not in loaded.stored
        evidence = loaded.evidence[day]
        assert (evidence["rows"], evidence["distinct_keys"], evidence["fetched"]) == (0, 0, 0)
        assert evidence["windows_answered"] == evidence["windows_asked"]

    def test_every_row_that_came_is_accounted_for(self, loaded: Loaded) -> None:
        served = sum(len(flat(loaded.facts, row)) for asked in loaded.asked for row in asked.rows)
        outside = sum(
            len(flat(loaded.facts, row))
            for asked in loaded.asked
            for row in asked.rows
            if _is_outside(loaded, asked, row)
        )
        assert sum(report.fetched for report in loaded.reports) == served
        assert sum(report.outside for report in loaded.reports) == outside
        assert sum(row["fetched"] for row in loaded.evidence.values()) == served - outside
        for day, row in loaded.evidence.items():
            account = row["written"] + row["superseded"] + row["exact_duplicates"] + row["quarantined"]
            assert row["fetched"] == account, day

    def test_the_evidence_counts_what_is_there(self, loaded: Loaded) -> None:
        assert sorted(loaded.evidence) == loaded.cases.days.wanted
        windows = Counter(day for asked in loaded.asked for day in days_served(loaded, asked))
        for day, row in loaded.evidence.items():
            stored = loaded.stored.get(day, [])
            keys = {json.dumps(key_of(loaded.facts, r), default=str) for r in stored}
            assert len(keys) == len(stored) == row["rows"] == row["distinct_keys"], day
            if loaded.dataset.endpoint.style not in (Style.NONE, Style.IDS):
                assert row["windows_asked"] == row["windows_answered"] == windows[day], day
            assert (row["bytes"] > 0) == bool(stored), day
        assert sum(row["requests"] for row in loaded.evidence.values()) == len(loaded.asked)

    def test_the_states_of_the_days_follow_the_rule(self, loaded: Loaded) -> None:
        days, rule = loaded.cases.days, loaded.dataset.completeness.rule
        frame = coverage(loaded.dataset, days.wanted, loaded.evidence_frame, loaded.attempts, NOW)
        states = dict(frame.select("day", "state").iter_rows())
        assert [day for day in days.whole if states[day] != "complete"] == []
        counted = rule in (Rule.PERIODS, Rule.DAILY)
        assert states[days.empty] == ("missing" if counted else "complete")
        if rule is Rule.EVENTS:
            assert states[days.broken] == "partial", "rows in quarantine are not stored"
        failing = {day for day, state in states.items() if state in ("missing", "partial", "late")}
        assert set(check_gaps(loaded.dataset, frame).missing) == failing

    def test_the_checks_pass_on_whole_days(self, loaded: Loaded) -> None:
        table = loaded.dataset.table
        whole = [day for day in loaded.cases.days.whole if loaded.stored.get(day)]
        found = run_checks(loaded.lake, [loaded.dataset], {table: whole}, NOW)
        # Made codes of fuels are none that anybody lists, which is worth a warning.
        made_up = {"fuelType known", "psrType known"}
        fails = [r for r in found if not r.passed and r.details.get("offences", {"": 0}).keys() - made_up]
        assert [(r.check, r.summary) for r in fails] == []
        assert [r.check for r in found] == [*ALL]

    def test_a_later_answer_moves_the_older_vintage(self, loaded: Loaded) -> None:
        again, day = loaded.cases.again(), loaded.cases.days.ordinary
        if not loaded.facts.version or again is None:
            return  # by the time of receipt then: the same rule for every table (warehouse/test_replace.py)
        new, old = flat(loaded.facts, again.new), flat(loaded.facts, again.old)
        report = loaded.once_more(day, again.rows)
        assert report.outcomes[day].outcome == "written"
        stored = by_day(loaded.dataset, loaded.lake.read(loaded.dataset, day, day))[day]
        changed = [typed(loaded.facts, row) for row in new]
        kept = [row for row in expected(loaded, day) if row not in [typed(loaded.facts, o) for o in old]]
        assert unordered(stored) == unordered(kept + changed)
        superseded = [typed(loaded.facts, o) for o, n in zip(old, new, strict=True) if o != n]
        late = flat(loaded.facts, again.late) if again.late else []
        vintages = by_day(loaded.dataset, loaded.lake.vintages(loaded.dataset, day, day))[day]
        assert unordered(vintages) == unordered(superseded + [typed(loaded.facts, row) for row in late])
        evidence = loaded.lake.evidence([loaded.dataset.table], day, day).row(0, named=True)
        assert evidence["superseded"] == len(late)
        assert evidence["rows"] == len(stored) == loaded.evidence[day]["rows"]

    def test_rows_of_another_day_are_refused(self, loaded: Loaded) -> None:
        style, days = loaded.dataset.endpoint.style, loaded.cases.days
        if style in (Style.NONE, Style.IDS):
            return  # no window, so that no row can be outside it
        astray = loaded.cases.of(days.autumn)[-2:]
        if style is Style.SEASON:
            astray = [loaded.cases.of(days.ordinary)[0].but(settlementDate="2022-12-12")]
        holding = loaded.bench.api.hold(replace(loaded.holding, astray=astray, asked=[]))
        with pytest.raises(RowsOutsideWindow, match="lie outside the window asked for"):
            asyncio.run(_fetch(loaded, plan(loaded.dataset, [days.stray])[0]))
        assert [a.rows for a in holding.asked] == [astray, astray], "asked once more before it is refused"


async def _fetch(loaded: Loaded, window: Window) -> None:
    async with loaded.bench.source() as source:
        await source.fetch(loaded.dataset, window)


def _each_once(found: Loaded, asked: Sequence[Asked], wanted: Sequence[date]) -> None:
    """Every moment of the wanted days is asked for, none twice, no window longer than the stated cap."""
    style, params = found.dataset.endpoint.style, [dict(a.params) for a in asked]
    match style:
        case Style.RANGE:
            first, last = found.facts.window
            spans = sorted((datetime.fromisoformat(p[first]), datetime.fromisoformat(p[last])) for p in params)
            assert all(a[1] <= b[0] for a, b in pairwise(spans)), "windows overlap"
            for day in wanted:
                reached = midnight(day)
                for low, high in spans:
                    if low <= reached < high:
                        reached = high
                assert reached >= midnight(day + DAY), f"{day} is not asked for from {reached}"
            assert all(high - low <= found.facts.cap for low, high in spans if found.facts.cap)
        case Style.DATES | Style.SPAN | Style.DATE | Style.SEASON:
            in_season = [day for day in wanted if style is not Style.SEASON or day.month in (11, 12, 1, 2)]
            assert sorted(day for a in asked for day in days_served(found, a)) == in_season
        case Style.PERIOD:
            pairs = sorted((date.fromisoformat(p["settlementDate"]), int(p["settlementPeriod"])) for p in params)
            due = [
                (day, n + 1) for day in wanted for n in range(int((midnight(day + DAY) - midnight(day)) / DAY * 48))
            ]
            assert pairs == due
        case Style.INSTANT:
            at = sorted(datetime.fromisoformat(p["publishTime"]) for p in params)
            seen = {max((i for i in found.cases.instants(london_day(t)) if i <= t), default=None) for t in at}
            assert seen == {i for day in wanted for i in found.cases.instants(day)}, "not every publication"
            step = STEP[found.dataset.table]
            assert len(at) == sum(-((midnight(day) - midnight(day + DAY)) // step) for day in wanted)
        case Style.IDS:
            ids = [value for a in asked for name, value in a.params if name == "messageId"]
            listed = {row.ident for day in wanted for row in found.cases.of(day)}
            assert sorted(ids) == sorted(listed)
        case Style.NONE:
            assert len(asked) == len(wanted)


def _is_outside(found: Loaded, asked: Asked, row: Row) -> bool:
    """Whether a served row is another window's: on the inclusive end, of a day nobody asked for, or seen before."""
    if any(lacks_key(found, f) for f in flat(found.facts, row)):
        return False
    style = found.dataset.endpoint.style
    if style in (Style.NONE, Style.IDS):
        return False
    if row.home not in days_served(found, asked):
        return True
    if style is Style.RANGE and not found.dataset.endpoint.margin:
        return row.at >= datetime.fromisoformat(asked.get(found.facts.window[1]))
    if style is Style.INSTANT:
        at, step = datetime.fromisoformat(asked.get("publishTime")), STEP[found.dataset.table]
        start = midnight(london_day(at))
        return row.at < start + (at - start) // step * step
    return False
