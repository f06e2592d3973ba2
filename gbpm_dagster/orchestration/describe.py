"""What the Dagster UI says of a table, made from its catalogue entry.

Belongs here: descriptions, column metadata, tags, kinds, owners. Not here: anything that runs.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from gbpm_dagster.catalogue.model import Dataset, Kind, Rule
from gbpm_dagster.catalogue.terms import LICENCE

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
                description=f"{c.meaning}{f' ({c.unit})' if c.unit else ''}",
                constraints=dg.TableColumnConstraints(nullable=c.nullable and c.name not in dataset.key),
                tags={"unit": c.unit.replace("/", "_per_")} if c.unit else None,
            )
            for c in dataset.columns
        ]
    )


def description(dataset: Dataset) -> str:
    """Markdown: what the table is, its keys, its rule, its traps."""
    rule = {
        Rule.PERIODS: f"{dataset.completeness.rows_per_period} row(s) a settlement period"
        + (f" and {dataset.completeness.member_column}" if dataset.completeness.member_column else ""),
        Rule.DAILY: "at least one row each London day",
        Rule.EVENTS: "event driven: complete when every window was answered, even with no rows",
        Rule.SNAPSHOT: "one list a day, each kept",
    }[dataset.completeness.rule]
    lines = [
        dataset.description,
        "",
        f"* source: `{dataset.endpoint.path}`" + (f" (code {dataset.code})" if dataset.code else ""),
        f"* natural key: {', '.join(f'`{k}`' for k in dataset.key)}",
        f"* newest vintage by: {', '.join(f'`{v}`' for v in dataset.version) or 'time of receipt'}",
        f"* complete: {rule}",
        f"* about {dataset.rows_per_day:,} rows a day",
        *(f"* {note}" for note in dataset.notes),
        "",
        LICENCE,
    ]
    return "\n".join(lines)


def asset_spec(dataset: Dataset, partitions: dg.PartitionsDefinition[str] | None) -> dg.AssetSpec:
    """The asset of a table. Skippable: each day's materialisation is reported by itself (decision 17)."""
    metadata: dict[str, Any] = {
        "dagster/column_schema": column_schema(dataset),
        "dagster/table_name": dataset.table,
        "source path": dataset.endpoint.path,
        "natural key": ", ".join(dataset.key),
        "licence": LICENCE,
    }
    return dg.AssetSpec(
        dg.AssetKey(dataset.table),
        description=description(dataset),
        group_name=dataset.family,
        owners=OWNERS,
        kinds={"elexon", "deltalake"},
        tags={"gbpm/tier": dataset.tier.value, "gbpm/rule": dataset.completeness.rule.value},
        metadata=metadata,
        partitions_def=partitions,
        deps=[dg.AssetKey(dataset.endpoint.ids.table)] if dataset.endpoint.ids else [],
        skippable=True,
    )


def check_specs(dataset: Dataset, names: tuple[str, ...]) -> list[dg.AssetCheckSpec]:
    """The table's checks. They block nothing: a red check starts the healer, it does not stop readers."""
    return [dg.AssetCheckSpec(n, asset=dg.AssetKey(dataset.table), description=CHECK_TEXT[n]) for n in names]
