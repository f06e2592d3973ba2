"""What the demo says, stage by stage.

Belongs here: words and tables. Not here: the show itself (run.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from gbpm_dagster.analytics.answers import answers as ask
from gbpm_dagster.console.show import out, rows, state
from gbpm_dagster.demo.replay import ReplayServer
from gbpm_dagster.orchestration.launch import Launched
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.warehouse.protocol import Warehouse

ANSWER_DAY = date(2024, 1, 3)
Key = tuple[str, date]


def opening(base_url: str, home: Path, environ: Mapping[str, str]) -> None:
    out.rule("[bold]GB Power Market: the demo")
    out.print(
        "Recorded real days of the GB electricity market, served by a replay of Elexon's API on this machine. Same "
        "assets, client, checks and healer as live. What the recordings had to rebuild is called restored in "
        "gbpm_dagster/demo/recordings/SOURCES.md. Contains BMRS data © Elexon Limited copyright and database right."
    )
    out.print(f"source {base_url}\nhome   {home}")
    shown = {k: v for k, v in environ.items() if k.startswith(("GBPM_HEAL", "ELEXON_MAX", "GBPM_NOW"))}
    out.print("settings of this home only: " + ", ".join(f"{k}={v}" for k, v in sorted(shown.items())))


def stage(text: str) -> None:
    out.print(f"\n[bold cyan]>[/bold cyan] [bold]{text}[/bold]")


def backfilled(done: Launched, replay: ReplayServer) -> None:
    lost = [o for o in done.outcomes.values() if not o.ok]
    out.print(f"{len(done.outcomes) - len(lost)} days stored, {len(lost)} not; {len(done.runs)} runs")


def found_missing(missing: Mapping[Key, str]) -> None:
    stage(f"The gap checks failed: {len(missing)} day(s) were not complete")
    rows(
        "red in the UI",
        ("table", "day", "what the check said"),
        [(table, str(day), _short(why)) for (table, day), why in sorted(missing.items())],
    )
    if missing:
        stage("The healer asks for exactly those days")


def healing(backfill_id: str, why: str) -> None:
    out.print(f"  backfill {backfill_id}: {why}")


def healed(key: Key) -> None:
    out.print(f"  [green]healed[/green] {key[0]} {key[1]}")


def results(
    runtime: Runtime, missing: Collection[Key], why: Mapping[Key, str], healed_at: Mapping[Key, datetime]
) -> None:
    stage("What is there")
    found = []
    for dataset in runtime.datasets:
        states = runtime.coverage(dataset)
        worst = "complete" if set(states["state"]) <= {"complete"} else ", ".join(sorted(set(states["state"])))
        found.append((dataset.table, dataset.title, states.height, int(states["rows"].sum() or 0), state(worst)))
    rows("tables x rows x state", ("table", "what", "days", "rows", "state"), found)
    rows(
        "what was missing, why, and when it was healed",
        ("table", "day", "the first answer", "healed at (UTC)"),
        [(t, str(d), _short(why.get((t, d), "")), _when(healed_at.get((t, d)))) for t, d in sorted(missing)],
    )


def answers(lake: Warehouse) -> None:
    """Three answers from real data."""
    stage(f"Three answers for {ANSWER_DAY} (prices and generation restored, see SOURCES.md)")
    found: dict[str, Any] = ask(lake, ANSWER_DAY)
    for line in say(found):
        out.print(line)


def say(found: Mapping[str, Any]) -> list[str]:
    """The answers as lines for a person."""
    return [*_generation(found["generation"]), *_prices(found["prices"]), *_extremes(found["extremes"])]


def _generation(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return ["generation mix: no rows"]
    lines = ["[bold]1. What kept the lights on?[/bold] (bmrs_fuelhh, transmission-metered)"]
    widest = found["mix"][0]["share_of_supply"]
    for part in found["mix"][:8]:
        bar = "█" * round(30 * part["share_of_supply"] / widest)
        lines.append(
            f"   {part['fuelType']:8} {part['energy_mwh'] / 1000:7.1f} GWh {part['share_of_supply']:6.1%} {bar}"
        )
    carbon = found["carbon"]
    lines.append(
        f"   supply {found['supply_mwh'] / 1000:,.1f} GWh; carbon intensity {carbon['gco2_per_kwh']:.0f} gCO2/kWh "
        f"({carbon['tco2']:,.0f} tCO2; {carbon['assumed_share']:.1%} of supply under assumed factors)"
    )
    return lines


def _prices(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return ["wholesale and imbalance: no rows"]
    return [
        "[bold]2. Was it dearer to be out of balance, or to buy ahead?[/bold] (bmrs_costs, bmrs_mid)",
        f"   imbalance dearer in {found['imbalance_dearer']} of {found['periods']} periods, wholesale in "
        f"{found['wholesale_dearer']}, equal in {found['equal']}, unmatched {found['unmatched']}",
        f"   mean system price {found['mean_system_price']:.3f} GBP/MWh; market index "
        f"{found['mean_market_index']:.3f} (volume weighted {found['weighted_market_index']:.3f})",
    ]


def _extremes(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return ["dearest and cheapest periods: no rows"]
    lines = ["[bold]3. When was it dearest and cheapest?[/bold] (bmrs_costs)"]
    for word in ("dearest", "cheapest"):
        shown = ", ".join(
            f"SP{p['settlement_period']} ({p['clock']}) {p['price_gbp_per_mwh']:.2f}" for p in found[word]
        )
        lines.append(f"   {word} GBP/MWh: {shown}")
    return lines


def ending(url: str, home: Path, seconds: float, healed_all: bool) -> None:
    word = "[green]all healed[/green]" if healed_all else "[red]not all healed[/red]"
    stage(f"{word} in {seconds:.0f} s. Look at it: {url}")
    out.print(f"  asset graph     {url}/asset-groups")
    out.print(f"  a table         {url}/assets/bmrs_costs?view=partitions   (its checks: ?view=checks)")
    out.print(f"  the backfills   {url}/runs?view=backfills")
    query = "SELECT fuelType, avg(generation) AS mean_mw FROM bmrs_fuelhh GROUP BY 1 ORDER BY 2 DESC"
    out.print(f'  ask it          GBPM_HOME={home} .venv/bin/gbpm sql "{query}"', soft_wrap=True)


def _short(reason: str) -> str:
    """A reason without addresses; the whole of it stands in the run and in gbpm_attempts."""
    words = " ".join(re.sub(r"(?: to)? https?://\S+?(?=:?(?:\s|$))", "", reason).split())
    return words if len(words) <= 150 else words[:147] + "..."


def _when(instant: datetime | None) -> str:
    return f"{instant:%H:%M:%S}" if instant else "NOT HEALED"
