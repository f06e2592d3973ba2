"""What the Dagster UI says of a table, made from its catalogue entry.

Belongs here: specs, column metadata, tags, kinds, owners. Not here: the words, which docs/catalogue has too
(catalogue.describe), anything that runs.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from gbpm_dagster.catalogue import describe
from gbpm_dagster.catalogue.model import Dataset, Kind
from gbpm_dagster.quality.known import answered_within

OWNERS = ["team:market-data"]
SHOWN_TYPES = {Kind.INSTANT: "timestamp"}
"""Names the UI knows and has a symbol for, where the catalogue's own is another."""
CHECK_TEXT = {
    "gaps": "Every wanted day is complete, by the calendar and the table's own rule; failing starts the healer.",
    "duplicates": "The natural key is unique, and the evidence claims no more rows than the table holds.",
    "validity": "Types, keys, calendar and market rules hold; offending rows are shown.",
    "freshness": "The newest value is younger than the table's limits.",
}


def column_schema(dataset: Dataset) -> dg.TableSchema:
    """The columns as Dagster's table schema: type, unit, meaning, whether they may be null."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                c.name,
                SHOWN_TYPES.get(c.kind, c.kind.value),
                description=describe.meaning(c),
                constraints=dg.TableColumnConstraints(nullable=c.nullable and c.name not in dataset.key),
                tags={"unit": c.unit.replace("/", "_per_")} if c.unit else None,
            )
            for c in dataset.columns
        ]
    )


def freshness_policy(dataset: Dataset) -> dg.FreshnessPolicy | None:
    """How long after its last materialisation (an answer that was stored) Dagster calls the table stale."""
    limits = answered_within(dataset.freshness)
    return dg.FreshnessPolicy.time_window(warn_window=limits[0], fail_window=limits[1]) if limits else None


def asset_spec(dataset: Dataset, partitions: dg.PartitionsDefinition[str] | None, fed: bool = True) -> dg.AssetSpec:
    """The asset of a table. Skippable: each day's materialisation is reported by itself (decision 17).

    fed: something fetches it day by day, so that its last materialisation may grow too old.
    """
    metadata: dict[str, Any] = {
        "dagster/column_schema": column_schema(dataset),
        "dagster/table_name": dataset.table,
        "source path": dataset.endpoint.path,
        "natural key": ", ".join(dataset.key),
        "licence": describe.LICENCE,
    }
    return dg.AssetSpec(
        dg.AssetKey(dataset.table),
        description=describe.description(dataset),
        group_name=dataset.family,
        owners=OWNERS,
        kinds={"elexon", "deltalake"},
        tags={"gbpm/tier": dataset.tier.value, "gbpm/rule": dataset.completeness.rule.value},
        metadata=metadata,
        partitions_def=partitions,
        deps=[dg.AssetKey(dataset.endpoint.ids.table)] if dataset.endpoint.ids else [],
        skippable=True,
        freshness_policy=freshness_policy(dataset) if fed else None,
    )


def check_specs(dataset: Dataset, names: tuple[str, ...]) -> list[dg.AssetCheckSpec]:
    """The table's checks. They block nothing: a red check starts the healer, it does not stop readers."""
    return [dg.AssetCheckSpec(n, asset=dg.AssetKey(dataset.table), description=CHECK_TEXT[n]) for n in names]
