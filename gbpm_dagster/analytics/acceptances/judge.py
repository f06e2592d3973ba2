"""What stored days of acceptances are worth: reconciled with Elexon's figures, and priced.

Belongs here: reading stored rows of days, verdicts in words. Not here: tolerances (reconcile), Dagster's checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from gbpm_dagster.analytics.acceptances import reconcile
from gbpm_dagster.analytics.acceptances.day import BOAV, EBOCF, published
from gbpm_dagster.analytics.acceptances.flags import NO_BOD, NO_PN, UNMATCHED
from gbpm_dagster.analytics.acceptances.segments import UNIT
from gbpm_dagster.catalogue.derived import ACCEPTANCE_PAIRS, ACCEPTANCES
from gbpm_dagster.warehouse.protocol import Warehouse

VOLUMES, CASHFLOWS, PRICED = "reconciled_volumes", "reconciled_cashflows", "priced"
CHECKS = (VOLUMES, CASHFLOWS, PRICED)
PRICED_SHARE = 0.99
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Judgement:
    """One check over some days. unknown: it could not be judged, which is no pass and no fault of the rows.
    details: JSON-able."""

    check: str
    passed: bool
    unknown: bool
    summary: str
    details: Mapping[str, Any] = field(default_factory=dict)


def judge(warehouse: Warehouse, days: Sequence[date], which: Sequence[str] = CHECKS) -> list[Judgement]:
    """Those checks over those days of bmrs_boalf_complete as it is stored; raises what reading raises."""
    run: dict[str, Callable[[Warehouse, Sequence[date]], Judgement]] = {
        VOLUMES: _volumes,
        CASHFLOWS: _cashflows,
        PRICED: _priced,
    }
    if not days:
        return [Judgement(name, False, True, "no day of acceptances is stored yet") for name in which]
    return [run[name](warehouse, sorted(days)) for name in which]


def _volumes(warehouse: Warehouse, days: Sequence[date]) -> Judgement:
    """By acceptance and by pair; both must pass, as an acceptance's sum can be right with the wrong pairs."""
    rows = warehouse.read_derived(ACCEPTANCES, days[0], days[-1])
    pairs = warehouse.read_derived(ACCEPTANCE_PAIRS, days[0], days[-1])
    theirs = published(warehouse, BOAV, days)
    return _reconciled(
        VOLUMES,
        "MWh",
        days,
        theirs,
        {"acceptances": reconcile.volumes(rows, theirs), "pairs": reconcile.pair_volumes(pairs, theirs)},
    )


def _cashflows(warehouse: Warehouse, days: Sequence[date]) -> Judgement:
    rows = warehouse.read_derived(ACCEPTANCES, days[0], days[-1])
    theirs = published(warehouse, EBOCF, days)
    return _reconciled(CASHFLOWS, "GBP", days, theirs, {"cashflows": reconcile.cashflows(rows, theirs)})


def _reconciled(
    check: str, unit: str, days: Sequence[date], theirs: pl.DataFrame, compared: Mapping[str, pl.DataFrame]
) -> Judgement:
    counts = dict(theirs.group_by("settlementDate").len().iter_rows())
    absent = [d for d in days if not counts.get(d)]
    failed: list[date] = []
    table: list[dict[str, Any]] = []
    for day in days:
        for name, frame in compared.items():
            said = reconcile.verdict(frame.filter(pl.col("settlementDate") == day), counts.get(day, 0))
            table.append(
                {
                    "day": day.isoformat(), "what": name, "rows": said.rows, "published": said.published,
                    **said.outcomes, f"ours {unit}": said.ours, f"theirs {unit}": said.theirs,
                    "rows matched": said.rows_share, "size matched": said.size_share,
                    "implied loss multiplier": said.median_ratio, "passed": said.passed,
                }
            )  # fmt: skip
            if counts.get(day) and not said.passed and day not in failed:
                failed.append(day)
    first = next(iter(compared.values()))
    units = reconcile.differences(first.filter(~pl.col("settlementDate").is_in(absent))).head(SHOWN)
    details = {
        "days": table,
        "units": units.rename({UNIT: "unit"}).to_dicts(),
        "not published": [d.isoformat() for d in absent],
        "unmatched rows": _shown(first),
    }
    good = len(days) - len(failed) - len(absent)
    parts = [f"{good} of {len(days)} day(s) agree with Elexon's figures"] if good else []
    parts += [f"{len(failed)} differ: {_listed(failed)}"] if failed else []
    parts += [f"nothing is published, or stored, to reconcile {_listed(absent)} with"] if absent else []
    return Judgement(check, not failed and not absent, not failed and bool(absent), "; ".join(parts), details)


def _shown(compared: pl.DataFrame) -> list[dict[str, Any]]:
    """The largest rows that do not match, with the reason we have."""
    odd = compared.filter(pl.col("outcome") != reconcile.MATCH)
    largest = pl.max_horizontal(pl.col("ours").abs(), pl.col("theirs").abs())
    rows = odd.sort(largest, descending=True).head(SHOWN).rename({UNIT: "unit"})
    return rows.with_columns(pl.col("settlementDate").cast(pl.String)).to_dicts()


def _priced(warehouse: Warehouse, days: Sequence[date]) -> Judgement:
    """At least 99 % of the acceptances that have PN and BOD are not Unmatched (domain.md 4.7).

    An acceptance has them when all its periods have; it is Unmatched when one of its rows is.
    """
    rows = warehouse.read_derived(ACCEPTANCES, days[0], days[-1])
    key = ("nationalGridBmUnit", "bmUnit", "acceptanceNumber", "acceptanceTime")
    lacking = pl.col("unmatched_reason").is_in([NO_PN, NO_BOD])
    acceptances = rows.group_by(key).agg(
        lacking.fill_null(value=False).any().alias("lacking"),
        (pl.col("validation_flag") == UNMATCHED).any().alias("unmatched"),
        pl.col("unmatched_reason").drop_nulls().first(),
    )
    judged = acceptances.filter(~pl.col("lacking"))
    good = judged.filter(~pl.col("unmatched")).height
    share = good / judged.height if judged.height else None
    reasons = acceptances.drop_nulls("unmatched_reason").group_by("unmatched_reason").len().sort("unmatched_reason")
    details = {
        "acceptances": acceptances.height,
        "with PN and BOD": judged.height,
        "not Unmatched": good,
        "share": share,
        "with a reason, whatever their flag": dict(reasons.iter_rows()),
    }
    if share is None:
        why = "have neither PN nor BOD" if acceptances.height else "there are none"
        return Judgement(PRICED, False, True, f"no acceptance could be priced: {why}", details)
    summary = f"{good:,} of {judged.height:,} acceptances with PN and BOD are priced ({share:.2%})"
    if judged.height < acceptances.height:
        summary += f"; {acceptances.height - judged.height:,} lack PN or BOD"
    return Judgement(PRICED, share >= PRICED_SHARE, False, summary, details)


def _listed(days: Sequence[date]) -> str:
    shown = ", ".join(d.isoformat() for d in days[:5])
    return f"{shown} and {len(days) - 5} more" if len(days) > 5 else shown
