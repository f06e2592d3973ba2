"""The volumes of one unit by sampling every second: slow and plain, shares nothing with the engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from gbpm_dagster.market.calendar import sp_bounds

Key = tuple[int, int, str, int]
"""(acceptanceNumber, settlementPeriod, side, pair id)."""


def _level(segments: Sequence[Mapping[str, Any]], at: np.ndarray, origin: datetime) -> np.ndarray:
    """Level at each second, NaN where no segment is."""
    found = np.full(len(at), np.nan)
    for s in sorted(segments, key=lambda s: s["timeFrom"], reverse=True):
        t0, t1 = ((_instant(s[k]) - origin).total_seconds() for k in ("timeFrom", "timeTo"))
        inside = (at >= t0) & (at < t1)
        found[inside] = s["levelFrom"] + (s["levelTo"] - s["levelFrom"]) * (at[inside] - t0) / (t1 - t0)
    return found


def _instant(value: Any) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def sampled(problem: Mapping[str, Any], day: date) -> tuple[dict[Key, float], dict[tuple[int, int], float]]:
    """({key: MWh}, {(acceptanceNumber, period): residual MWh}) of every period that has pairs."""
    volumes: dict[Key, float] = defaultdict(float)
    residuals: dict[tuple[int, int], float] = defaultdict(float)
    order = sorted(problem["acceptances"], key=lambda a: (a["acceptanceTime"], a["acceptanceNumber"]))
    for entry in problem["bod"]:
        period = entry["settlementPeriod"]
        origin, end = sp_bounds(day, period)
        seconds = (end - origin).total_seconds()
        at = np.arange(0.5, seconds)
        share = at / seconds
        levels = [_level(problem["pn"], at, origin)]
        for acceptance in order:
            own = _level(acceptance["levels"], at, origin)
            levels.append(np.where(np.isnan(own), levels[-1], own))
        bands, top, bottom = {}, levels[0], levels[0]
        for pair in sorted(entry["pairs"], key=lambda p: abs(p["pairId"])):
            first, last = pair.get("levelFrom", pair.get("level")), pair.get("levelTo", pair.get("level"))
            size = first + (last - first) * share
            if pair["pairId"] > 0:
                bands[pair["pairId"]] = (top, top + size)
                top = top + size
            else:
                bands[pair["pairId"]] = (bottom + size, bottom)
                bottom = bottom + size
        for k, acceptance in enumerate(order, 1):
            number = acceptance["acceptanceNumber"]
            for pair_id, (low, high) in bands.items():
                change = np.clip(levels[k], low, high) - np.clip(levels[k - 1], low, high)
                volumes[number, period, "OFFER", pair_id] += float(np.maximum(change, 0).sum() / 3600)
                volumes[number, period, "BID", pair_id] += float(np.minimum(change, 0).sum() / 3600)
            outside = [x - np.clip(x, bottom, top) for x in (levels[k], levels[k - 1])]
            residuals[number, period] += float(np.abs(outside[0] - outside[1]).sum() / 3600)
    return dict(volumes), dict(residuals)
