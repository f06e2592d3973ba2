"""The whole definitions graph as a readable page; what changes in it shows in the diff of definitions.snapshot.txt.

Update it: `.venv/bin/python -m gbpm_dagster_tests.orchestration.snapshot`
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from gbpm_dagster.orchestration.build import build_definitions
from gbpm_dagster.settings import Settings

FILE = Path(__file__).with_name("definitions.snapshot.txt")
ENVIRONMENT = {"GBPM_HOME": "/nonexistent/never-opened", "GBPM_NOW": "2024-01-10T12:00:00Z"}


def render() -> str:
    """Groups, assets, checks, jobs, schedules and sensors of a home with default settings at a fixed now."""
    defs = build_definitions(Settings.load(ENVIRONMENT))
    repository = defs.get_repository_def()
    lines = [f"# {' '.join((__doc__ or '').split())}", "", *_assets(repository.asset_graph), *_jobs(repository)]
    return "\n".join(lines) + "\n"


def _assets(graph: dg.AssetGraph) -> Iterator[str]:
    groups: dict[str, list[dg.AssetKey]] = {}
    for key in graph.get_all_asset_keys():
        groups.setdefault(graph.get(key).group_name, []).append(key)
    for group in sorted(groups):
        yield f"group {group}"
        for key in sorted(groups[group]):
            yield from _asset(graph, key)
        yield ""


def _asset(graph: dg.AssetGraph, key: dg.AssetKey) -> Iterator[str]:
    node = graph.get(key)
    yield f"  asset {key.to_user_string()}"
    yield f"    kinds {', '.join(sorted(node.kinds))}; owners {', '.join(node.owners)}"
    tags = [f"{k}={v}" for k, v in sorted(node.tags.items()) if not k.startswith("dagster/")]
    yield f"    tags {', '.join(tags) or 'none'}"
    yield f"    depends on {', '.join(sorted(k.to_user_string() for k in node.parent_keys)) or 'nothing'}"
    yield f"    pool {', '.join(sorted(node.pools or ())) or 'none'}; {_partitions(node.partitions_def)}"
    schema = node.metadata.get("dagster/column_schema")
    columns = schema.columns if schema else []
    yield f"    columns {len(columns)}: {', '.join(f'{c.name} {c.type}' for c in columns)}".rstrip()
    undocumented = [c.name for c in columns if not c.description]
    yield f"    described: {'yes' if node.description else 'NO'}; columns without a meaning: {undocumented or 'none'}"
    yield f"    checks {', '.join(sorted(check.name for check in node.check_keys))}"


def _partitions(definition: dg.PartitionsDefinition[str] | None) -> str:
    if definition is None:
        return "no partitions"
    keys = definition.get_partition_keys()
    assert isinstance(definition, dg.DailyPartitionsDefinition)
    return f"days {keys[0]} to {keys[-1]} ({len(keys)}) in {definition.timezone}"


def _jobs(repository: dg.RepositoryDefinition) -> Iterator[str]:
    for job in sorted(repository.get_all_jobs(), key=lambda j: j.name):
        if not job.name.startswith("__"):
            yield f"job {job.name}: {job.description}"
    for schedule in sorted(repository.schedule_defs, key=lambda s: s.name):
        when = f"{schedule.cron_schedule} {schedule.execution_timezone}, {schedule.default_status.value}"
        yield f"schedule {schedule.name}: {when}: {schedule.description}"
    for sensor in sorted(repository.sensor_defs, key=lambda s: s.name):
        every = f"every {sensor.minimum_interval_seconds} s, {sensor.default_status.value}"
        yield f"sensor {sensor.name}: {every}: {sensor.description}"


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
