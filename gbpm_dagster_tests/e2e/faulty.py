"""Every fault of the stand-in at once, and what a backfill makes of it: shared by the tests and `make soak`.

Belongs here: the faults, the rounds of asking again, the verdicts by table and day. Not here: servers (`standin`),
the comparison of rows (`truth`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from gbpm_dagster.catalogue import get
from gbpm_dagster.market.calendar import days
from gbpm_dagster.quality.witness import TABLE as COUNTS
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster_tests.e2e.standin import StandIn
from gbpm_dagster_tests.e2e.truth import BAD, DayResult, Verdict, compare

TABLES = (
    *("bmrs_mid", "bmrs_costs", "bmrs_fuelinst", "bmrs_freq", "bmrs_indo"),  # their rule counts every row
    *("bmrs_pn", "bmrs_bod", "bmrs_boalf", "bmrs_remit", "bmrs_disbsad"),  # Elexon's own count does
)
"""Ten tables of every kind whose every row is counted by somebody. The others' rows are nobody's to count: see
docs/concepts.md, what is proven of a complete day."""

TRANSPORT: tuple[dict[str, Any], ...] = (
    {"kind": "429", "retry_after": 0.05},
    {"kind": "429"},
    {"kind": "500"},
    {"kind": "502"},
    {"kind": "503"},
    {"kind": "504"},
    {"kind": "reset"},
    {"kind": "truncate"},
    {"kind": "truncate_http"},
    {"kind": "html200"},
    {"kind": "wrong_type"},
    {"kind": "null_data"},
)
"""No answer, or none that can be read."""

HANGING: tuple[dict[str, Any], ...] = (
    {"kind": "hang", "seconds": 60},
    {"kind": "slow", "seconds": 0.2},
    {"kind": "delay", "seconds": 0.2},
)

HARMLESS: tuple[dict[str, Any], ...] = (
    {"kind": "dup_rows"},
    {"kind": "shuffle"},
    {"kind": "schema_drift", "how": "extra_column"},
    {"kind": "schema_drift", "how": "string_number"},
)
"""Answers that say the same in other words."""

HARMFUL: tuple[dict[str, Any], ...] = (
    {"kind": "empty200"},
    {"kind": "drop_rows"},
    {"kind": "out_of_window"},
    {"kind": "schema_drift", "how": "null_in_key"},
    {"kind": "schema_drift", "how": "missing_column"},
    {"kind": "schema_drift", "how": "renamed_column"},
    {"kind": "schema_drift", "how": "garbage_number"},
)
"""Answers that are wrong and look whole."""


def every_fault(p: float, hang_p: float, seed: int = 0) -> list[dict[str, Any]]:
    """A rule a kind, each of which meets a request with probability p (hangs: hang_p); which, the seed says."""
    faults = (*TRANSPORT, *HANGING, *HARMLESS, *HARMFUL)
    rules = [{**fault, "p": hang_p if fault["kind"] == "hang" else p} for fault in faults]
    return [{**rule, "seed": 100 * seed + n} for n, rule in enumerate(rules)]


Named = dict[str, dict[date, str]]
"""Table -> day that is not complete -> why, as `gbpm backfill` says it."""


@dataclass(frozen=True, slots=True)
class Round:
    """One asking: what was named afterwards, and every day against the truth."""

    named: Named
    results: list[DayResult]
    met: Counter[str]  # how many requests each kind of fault has met
    requests: int
    spoilt: int  # requests that met one or more

    @property
    def silent(self) -> list[DayResult]:
        """Days that are not the truth though nothing says so: not the table, nor the count that would have."""
        return [r for r in self.results if r.verdict in BAD and not self.uncounted(r)]

    @property
    def unequal(self) -> list[DayResult]:
        return [r for r in self.results if r.verdict is not Verdict.EQUAL]

    def uncounted(self, result: DayResult) -> bool:
        """Whether the day's rows could not be counted, and the day of the counts is named for it."""
        return get(result.table).counted_elsewhere and result.day in self.named.get(COUNTS, {})

    def tally(self) -> dict[str, Counter[str]]:
        """Days by verdict, of each table."""
        found: dict[str, Counter[str]] = {}
        for r in self.results:
            word = "uncounted, named" if r.verdict in BAD and self.uncounted(r) else str(r.verdict)
            found.setdefault(r.table, Counter())[word] += 1
        return found


Ask = Callable[[Sequence[str], bool], Named]
"""Backfills these tables (True: only what is missing) and says what is named afterwards."""


def one_round(
    ask: Ask,
    lake: Callable[[], Lake],
    server: StandIn,
    span: tuple[date, date],
    *,
    missing: bool = True,
    rules: Sequence[Mapping[str, Any]] = (),
) -> Round:
    """Backfill the tables and the counts of their rows under those faults, then hold each day against the truth."""
    server.faults(*rules)
    server.control("log/reset", {})
    named = ask([*TABLES, COUNTS], missing)
    met, log = _fired(server), server.log()
    server.faults()  # some of the truth is read from the paths themselves
    results = list(_judge(lake(), server, span, named))
    return Round(named, results, met, log["requests"], sum(log["faults"].values()))


def _fired(server: StandIn) -> Counter[str]:
    """How often each kind of fault has met a request."""
    found: Counter[str] = Counter()
    for rule in server.get("/_control/faults")["faults"]:
        found[str(rule.get("how", rule["kind"]))] += rule["fired"]
    return found


def _judge(
    lake: Lake, server: StandIn, span: tuple[date, date], named: Mapping[str, Mapping[date, str]]
) -> Iterable[DayResult]:
    for table in (*TABLES, COUNTS):
        yield from compare(lake, get(table), days(*span), server.get, named.get(table, {}))


def until_nothing_changes(once: Callable[[], Round], at_most: int = 10) -> list[Round]:
    """Rounds until none is named any more, or two rounds running name the same."""
    rounds: list[Round] = []
    while len(rounds) < at_most:
        rounds.append(once())
        still = [{(t, d) for t, found in r.named.items() for d in found} for r in rounds[-3:]]
        if not still[-1] or (len(still) == 3 and still[0] == still[1] == still[2]):
            break
    return rounds
