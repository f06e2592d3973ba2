"""Writers that are killed, and the judge of what they leave: shared by the tests and scripts/soak_kill.py.

A writer replaces ten days over two months, generation after generation: in generation g every row of a day has price
g. A day is whole if all its rows are at one price, and nothing is lost if its vintages are all the earlier ones.
Run as a module it is the writer: `python -m ...killing ROOT`; it says "ready", waits for a line, then writes.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from gbpm_dagster.warehouse import facts
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import Arrival
from gbpm_dagster_tests.warehouse.rows import MID, mid

DAYS = [date(2024, 1, 27) + timedelta(n) for n in range(10)]
ROWS = 96
REPOSITORY = Path(__file__).parents[2]


def arrivals(generation: int, days: list[date] | None = None) -> list[Arrival]:
    """The answers of that generation; each asked a second after the one before."""
    at = datetime(2024, 3, 1, tzinfo=UTC) + timedelta(seconds=generation)
    return [Arrival(d, mid(d, float(generation)), at, windows_asked=1, windows_answered=1) for d in days or DAYS]


def generations(lake: Lake) -> dict[date, int]:
    """The generation each day is at (0 = no rows)."""
    found = dict.fromkeys(DAYS, 0)
    found.update({r[0]: int(r[1]) for r in lake.read(MID).group_by("_day").agg(pl.col("price").max()).iter_rows()})
    return found


def problems(lake: Lake) -> list[str]:
    """Everything that must not be so, whatever moment a writer died at; empty when the lake is consistent."""
    wrong: list[str] = []
    rows = lake.read(MID)
    for (day,), group in rows.group_by("_day"):
        prices = group["price"].unique().to_list()
        if len(prices) != 1:
            wrong.append(f"{day}: half old, half new: prices {prices}")
        if group.height != ROWS or group.select("dataProvider", "settlementPeriod").is_duplicated().any():
            wrong.append(f"{day}: {group.height} rows, not {ROWS} different ones")
    now = generations(lake)
    measured = {r["_day"]: r for r in facts.measure(MID, rows).iter_rows(named=True)}
    evidence = lake.evidence(["bmrs_mid"])
    if evidence["day"].is_duplicated().any():
        wrong.append("two rows of evidence for one day")
    for e in evidence.iter_rows(named=True):
        there = measured.get(e["day"])
        if there is None or any(e[c] != there[c] for c in ("rows", "distinct_keys", "content_hash", "slots")):
            wrong.append(f"{e['day']}: the evidence claims what the data do not hold")
    old = lake.vintages(MID)
    if old.select("_day", *MID.names).is_duplicated().any():
        wrong.append("a vintage is there twice")
    kept = {r[0]: sorted(r[1]) for r in old.group_by("_day").agg(pl.col("price").value_counts()).select(
        "_day", pl.col("price").list.eval(pl.element().struct.field("price"))).iter_rows()}  # fmt: skip
    for day, generation in now.items():
        # A writer killed between vintages and data leaves the current rows among the vintages too: lost is nothing.
        earlier = [float(g) for g in range(1, generation)]
        if [p for p in kept.get(day, []) if p < generation] != earlier or max(kept.get(day, [0])) > generation:
            wrong.append(f"{day}: at generation {generation}, but the vintages are {kept.get(day, [])}")
    if old.height % ROWS:
        wrong.append("part of a day's vintages is missing")
    return wrong


def write_for_ever(root: Path) -> None:
    """The writer: from the generation the slowest day is at, one more after the other."""
    lake = Lake(root)
    print("ready", flush=True)
    sys.stdin.readline()
    generation = min(generations(lake).values())
    while True:
        generation += 1
        lake.replace(MID, arrivals(generation))


@dataclass
class Tally:
    """What a series of kills came to."""

    kills: int = 0
    writes: int = 0
    torn: int = 0  # kills that left days without evidence or at two generations: the crash was in the middle
    wrong: list[str] = field(default_factory=list)


def series(root: Path, kills: int, seed: int) -> Tally:
    """Kill so many writers, each at a random moment, and judge the lake after each; ends with a repair."""
    chance, tally = random.Random(seed), Tally()
    lake = Lake(root)
    longest_s = 2 * _typical_s(root.with_name(root.name + "-clock"))
    waiting = _spawn(root)
    for n in range(kills):
        writer, waiting = waiting, _spawn(root) if n + 1 < kills else None
        assert writer is not None and writer.stdin is not None and writer.stdout is not None
        if writer.stdout.readline() != "ready\n":
            tally.wrong.append("a writer could not start")
            break
        before = max(generations(lake).values())
        writer.stdin.write("go\n")
        writer.stdin.flush()
        time.sleep(chance.uniform(0, longest_s))
        if writer.poll() is not None:
            tally.wrong.append(f"writer {n} ended by itself with {writer.returncode}")
        writer.kill()
        writer.communicate()
        now = generations(lake)
        tally.kills += 1
        tally.writes += max(now.values()) - before
        tally.torn += len(set(now.values())) > 1 or lake.evidence(["bmrs_mid"]).height < sum(
            g > 0 for g in now.values()
        )
        tally.wrong += [f"kill {n}: {p}" for p in problems(lake)]
        if tally.wrong:
            break
    if waiting is not None:
        waiting.kill()
        waiting.communicate()
    if not tally.wrong:
        tally.wrong += repaired(lake)
    return tally


def _typical_s(root: Path) -> float:
    """Seconds one generation takes on this machine now: the kills must fall into it, however busy the machine is."""
    lake = Lake(root)
    begun = time.monotonic()
    for generation in (1, 2):
        lake.replace(MID, arrivals(generation))
    return (time.monotonic() - begun) / 2


def repaired(lake: Lake) -> list[str]:
    """Run the next generation to its end: every day must then be there, whole, with its evidence."""
    target = min(generations(lake).values()) + 1
    for generation in range(target, max(generations(lake).values()) + 2):
        lake.replace(MID, arrivals(generation))
    wrong = problems(lake)
    if len(set(generations(lake).values())) != 1 or lake.evidence(["bmrs_mid"])["day"].to_list() != DAYS:
        wrong.append("running again did not bring every day and its evidence")
    return wrong


def _spawn(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gbpm_dagster_tests.warehouse.killing", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]))
