"""The list of all entries, and finding one by table name or alias; what became of names that are none."""

from __future__ import annotations

from difflib import get_close_matches

from gbpm_dagster.catalogue import (
    adjustment,
    availability,
    balancing,
    demand,
    demand_forecasts,
    demand_peaks,
    dynamic,
    dynamic_rates,
    frequency,
    generation,
    generation_forecasts,
    load_forecasts,
    margins,
    metering,
    outages,
    prices,
    reference,
    reserves,
    settlement,
)
from gbpm_dagster.catalogue.legacy import Became, Former, former_names, said
from gbpm_dagster.catalogue.model import Dataset, Family

FAMILIES: tuple[Family, ...] = (
    prices.FAMILY,
    settlement.FAMILY,
    metering.FAMILY,
    balancing.FAMILY,
    dynamic.FAMILY,
    dynamic_rates.FAMILY,
    adjustment.FAMILY,
    reserves.FAMILY,
    generation.FAMILY,
    demand.FAMILY,
    demand_peaks.FAMILY,
    frequency.FAMILY,
    demand_forecasts.FAMILY,
    load_forecasts.FAMILY,
    generation_forecasts.FAMILY,
    margins.FAMILY,
    availability.FAMILY,
    outages.FAMILY,
    reference.FAMILY,
)

DATASETS: dict[str, Dataset] = {d.table: d for f in FAMILIES for d in f.datasets}
"""Every entry by table name, in the order of the families."""

_BY_ALIAS: dict[str, Dataset] = {
    name.lower(): d for d in DATASETS.values() for name in (d.table, *d.aliases, d.table.removeprefix("bmrs_"))
}


class UnknownTable(LookupError):
    """No entry has that name; the message says what became of an old one, else suggests the nearest ones."""

    def __init__(self, name: str) -> None:
        near = get_close_matches(name.lower(), _BY_ALIAS, n=3, cutoff=0.5)
        tables = list(dict.fromkeys(_BY_ALIAS[n].table for n in near))
        hint = f"did you mean {' or '.join(tables)}?" if tables else "`gbpm tables` lists what there is."
        super().__init__(became(name) or f"there is no table {name!r}: {hint}")
        self.name = name
        self.suggestions = tables


def became(name: str) -> str:
    """One sentence on a name of the warehouse before this one, or of the streams to come; "" for other names."""
    asked = name.strip().lower()
    former = former_names().get(asked) or _to_come(asked)
    return said(former) if former and former.kind is not Became.RAW else ""


def _to_come(name: str) -> Former | None:
    """`<table>_iris` and `<table>_unified` of tables that are streamed, where the list of old names has none."""
    for ending, kind in (("_iris", Became.STREAM), ("_unified", Became.UNIFIED)):
        dataset = _BY_ALIAS.get(name.removesuffix(ending)) if name.endswith(ending) else None
        if dataset is not None and dataset.iris_code:
            return Former(name, kind, dataset.table)
    return None


def get(name: str) -> Dataset:
    """The entry of that table name, alias or name without its `bmrs_`; raises UnknownTable with suggestions."""
    found = _BY_ALIAS.get(name.strip().lower())
    if found is None:
        raise UnknownTable(name)
    return found
