"""A year of the healer's decisions in a world of random holes and outages: the pure rules together, fake clock.

The world answers as `ingest` does (the planner's windows, six tries of a window that fails, giving up after three,
an allowance a run); states, endings and decisions are the real ones.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from gbpm_dagster.catalogue import get
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.elexon.plan import plan
from gbpm_dagster.market.calendar import london_day
from gbpm_dagster.quality.coverage import coverage
from gbpm_dagster.quality.endings import Rules, due_again, endings, forgiven
from gbpm_dagster.quality.healing import HEAL, Decision, Limits, Situation, decide, hold, near_ranges
from gbpm_dagster.quality.register import Entry, Status, entries, known_days
from gbpm_dagster.quality.states import FAILING
from gbpm_dagster.warehouse.protocol import ATTEMPT_SCHEMA, EVIDENCE_SCHEMA, KNOWN_GAP_SCHEMA
from gbpm_dagster_tests.quality.helpers import answer, attempt, slots_of

TABLES = tuple(get(t) for t in ("bmrs_mid", "bmrs_netbsad", "bmrs_costs"))
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FAILS = {s.value for s in FAILING}
TRIES = 6
LIMITS = Limits(
    (3600, 14_400, 86_400, 259_200, 604_800),
    max_partitions=60,
    max_runs=8,
    requests_a_day=60,
    tries=TRIES,
    join_days=3,
    jitter=0.1,
)
COOLDOWN_S = 600.0
RULES = Rules(cap=5, week_s=7 * 86_400)


def cost(dataset: Dataset, days: Sequence[date]) -> int:
    return len(plan(dataset, days))


@dataclass
class World:
    """Days a table lacks; when the source will have them (None: never); when it is down; what has been recorded."""

    seed: int
    now: datetime = BEGIN
    lacks: dict[tuple[str, date], datetime | None] = field(default_factory=dict)
    holes: list[tuple[datetime, str, date, datetime | None]] = field(default_factory=list)
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    attempts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ATTEMPT_SCHEMA))
    answered: dict[tuple[str, date], dict[str, Any]] = field(default_factory=dict)
    register: dict[str, Entry] = field(default_factory=dict)
    backfills: list[tuple[datetime, datetime, Decision]] = field(default_factory=list)
    filled: set[tuple[str, date]] = field(default_factory=set)
    alone: set[tuple[str, date]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Holes of one to twelve days, now and then of a hundred; one in five for ever, one in ten for a while.

        Two days of one table have no neighbour with rows: nothing proves that the source lacks them.
        """
        chance = random.Random(self.seed)
        for _ in range(50):
            at = BEGIN + timedelta(hours=chance.uniform(0, 300 * 24))
            table = chance.choice(TABLES[:2]).table
            first = date(2023, 1, 1) + timedelta(days=chance.randrange(1000))
            length = 100 if chance.random() < 0.05 else chance.randrange(1, 13)
            fate = chance.random()
            for n in range(length):
                there = at + timedelta(hours=chance.uniform(0, 200)) if 0.2 < fate < 0.3 else at
                self.holes.append((at, table, first + timedelta(days=n), None if fate < 0.2 and n == 0 else there))
        for n in range(40):  # a span of bmrs_costs that nothing stands near
            day = date(2022, 1, 1) + timedelta(days=n)
            self.holes.append((BEGIN, "bmrs_costs", day, None))
            self.alone.add(("bmrs_costs", day))
        self.holes.sort(key=lambda h: h[0])
        first_of = {(t, d): (at, t, d, there) for at, t, d, there in reversed(self.holes)}
        self.holes = sorted(first_of.values(), key=lambda h: h[0])
        for _ in range(25):
            begin = BEGIN + timedelta(hours=chance.uniform(0, 360 * 24))
            self.outages.append((begin, begin + timedelta(hours=chance.choice((0.2, 2, 9, 40)))))

    def down(self, at: datetime) -> bool:
        return any(begin <= at < end for begin, end in self.outages)

    def appear(self) -> None:
        while self.holes and self.holes[0][0] <= self.now:
            _, table, day, there = self.holes.pop(0)
            self.lacks[table, day] = there

    def known(self) -> pl.DataFrame:
        return pl.DataFrame([e.row() for e in self.register.values()], schema=KNOWN_GAP_SCHEMA)

    def situation(self) -> Situation:
        register, missing, given_up = self.known(), {}, {}
        for dataset in TABLES:
            table = dataset.table
            days = sorted(day for t, day in self.lacks if t == table)
            said = known_days(register, table, days)
            missing[table] = [d for d in days if d not in said or said[d].status is not Status.MISSING_AT_SOURCE]
            given_up[table] = {d for d, e in said.items() if e.status is Status.GIVEN_UP}
        return Situation(
            missing,
            self.attempts,
            self.now,
            again=due_again(register, self.now),
            complete={t: {d for u, d in self.filled if u == t} for t in missing},
            given_up=given_up,
            forgiven={k: at for t in missing for k, at in forgiven(register, t, missing[t]).items()},
        )

    def launch(self, decision: Decision) -> None:
        """Run the backfill: its ranges one after the other, each as `ingest` would."""
        at = self.now + timedelta(minutes=1)
        failed_windows = 0
        for table, days in decision.launch.items():
            between = decision.tables[table].bridged
            for some in near_ranges(sorted(days, reverse=True), between, LIMITS.join_days):
                at, failed_windows = self._run(get(table), sorted(some), at, failed_windows)
        self.backfills.append((self.now, at, decision))

    def _run(self, dataset: Dataset, days: list[date], at: datetime, failed: int) -> tuple[datetime, int]:
        left = LIMITS.requests_a_day - self.spent(london_day(at))
        windows = plan(dataset, days)
        asked_of: Counter[date] = Counter(w.days[0] for w in windows)
        rows, lost, made = [], set(), 0
        for window in windows:
            may = failed < 3 and made + TRIES <= left
            if not may:
                lost |= set(window.days)
                asked_of[window.days[0]] -= 1
            elif self.down(at):
                failed, made, lost = failed + 1, made + TRIES, lost | set(window.days)
                asked_of[window.days[0]] += TRIES - 1
                at += timedelta(seconds=20)
            else:
                failed, made, at = 0, made + 1, at + timedelta(seconds=1)
        for day in days:
            said = {"reason": HEAL, "requests": asked_of[day], "run_id": f"{at}"}
            if day in lost:
                rows.append(attempt(dataset, day, at, "failed", **{**said, "error_class": "transient"}))
            else:
                rows.append(self._answer(dataset, day, at, said))
        self.attempts = pl.concat([self.attempts, pl.DataFrame(rows, schema=ATTEMPT_SCHEMA)])
        return at + timedelta(seconds=10), failed

    def _answer(self, dataset: Dataset, day: date, at: datetime, said: dict[str, Any]) -> dict[str, Any]:
        key = (dataset.table, day)
        there = self.lacks[key]
        if there is None or there > at:
            self.answered[key] = answer(dataset, day, at)
            return attempt(dataset, day, at, "empty", **said)
        self.answered[key] = answer(dataset, day, at, slots_of(day, 2))
        del self.lacks[key]
        self.filled.add(key)
        return attempt(dataset, day, at, "written", **said)

    def spent(self, day: date) -> int:
        log = self.attempts.filter(pl.col("at") >= self.now - timedelta(days=2))
        return sum(n for at, n in log.select("at", "requests").iter_rows() if london_day(at) == day)

    def settle(self, decision: Decision) -> None:
        """What the sensor does before it decides again."""
        register = self.known()
        for dataset in TABLES:
            table = dataset.table
            days = decision.launch.get(table)  # an entry changes only if its day was tried
            if not days:
                continue
            tries = self.attempts.filter(pl.col("table") == table)
            near = [] if table == "bmrs_costs" else [d + timedelta(days=k) for d in days for k in (-6, 6)]
            held = [answer(dataset, d, self.now, slots_of(d, 2)) for d in {*near} if (table, d) not in self.lacks]
            held += [row for (t, _), row in self.answered.items() if t == table]
            evidence = pl.DataFrame(held, schema=EVIDENCE_SCHEMA).unique("day", keep="last")
            ended = register.filter(pl.col("status") == Status.RESOLVED.value)
            states = coverage(dataset, days, evidence, tries, self.now, register=ended)
            for entry in endings(dataset, states, tries, evidence, register, self.now, RULES):
                self.register[entry.id] = entry


def live(world: World) -> None:
    """Ticks from new year to new year; where nothing can change before an instant the clock goes there."""
    end = BEGIN + timedelta(days=365)
    while world.now < end:
        world.appear()
        running = ["b"] if world.backfills and world.backfills[-1][1] > world.now else []
        last = world.backfills[-1][0] if world.backfills else None
        if hold(world.now, None, running, last, COOLDOWN_S):
            world.now += timedelta(minutes=5)
            continue
        decision = decide(world.situation(), TABLES, LIMITS, cost)
        if decision.launch:
            world.launch(decision)
            after = world.now
            world.now = world.backfills[-1][1]
            world.settle(decision)
            world.now = after + timedelta(minutes=1)
            continue
        coming = [h[0] for h in world.holes[:1]] + ([decision.next_at] if decision.next_at else [])
        coming += [e.retry_at for e in world.register.values() if e.retry_at is not None and e.retry_at > world.now]
        world.now = max(min([*coming, end]), world.now + timedelta(minutes=1))


def test_a_year_of_decisions() -> None:
    world = World(seed=1)
    outages = list(world.outages)
    wanted = {(t, d): there for _, t, d, there in world.holes}
    live(world)
    a_day: Counter[date] = Counter()
    for at, requests in world.attempts.select("at", "requests").iter_rows():
        a_day[london_day(at)] += requests
    assert max(a_day.values()) <= LIMITS.requests_a_day, "never over the budget"
    for (_, ended, _), (began, _, _) in zip(world.backfills, world.backfills[1:], strict=False):
        assert began >= ended, "never two at once"
    for (began, _, _), (later, _, _) in zip(world.backfills, world.backfills[1:], strict=False):
        assert later - began >= timedelta(seconds=COOLDOWN_S)
    assert all(d.days <= LIMITS.max_partitions for _, _, d in world.backfills)

    recoverable = {key for key, there in wanted.items() if there is not None}
    assert recoverable - world.filled == set(), "every recoverable gap is closed"
    ends = {(e.table, e.first): e for e in entries(world.known()) if e.status is not Status.RESOLVED}
    assert set(ends) == set(world.lacks) == set(wanted) - recoverable
    assert {key for key, e in ends.items() if e.status is Status.GIVEN_UP} == world.alone
    lost = [e for key, e in ends.items() if key not in world.alone]
    assert {e.status for e in lost} == {Status.MISSING_AT_SOURCE}

    tries = world.attempts.filter(pl.col("error_class") != "transient")
    at_days = dict.fromkeys(world.alone, 0)
    for table, day in tries.select("table", "day").iter_rows():
        at_days[table, day] = at_days.get((table, day), 0) + 1
    assert {at_days[key] for key in world.alone} == {1 + len(LIMITS.delays_s)}, "an outage uses up no attempt"
    assert not any(begin <= at < stop for at in tries["at"] for begin, stop in outages if stop - begin > timedelta(1))
    silent = world.attempts.filter((pl.col("error_class") == "transient") & (pl.col("requests") > 0))
    long = [(begin, stop) for begin, stop in outages if stop - begin > timedelta(days=1)]
    for begin, stop in long:
        asked = silent.filter(pl.col("at").is_between(begin, stop))["requests"].sum()
        assert asked <= TRIES * (3 + 3 + 20), "a dead source is probed now and then, not stormed"
