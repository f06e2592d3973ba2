"""The scorecard of a home: `gbpm scorecard`, and the asset `gbpm_scorecard` that keeps it for SQL every morning.

Belongs here: reading what the score is made of, the asset, its job and schedule. Not here: the score
(quality.scorecard), the picture (quality.scorechart), printing (console.scorecard).
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.market.calendar import LONDON, days
from gbpm_dagster.orchestration.ask import days_of, open_runtime
from gbpm_dagster.orchestration.describe import OWNERS
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.judged import Judged
from gbpm_dagster.quality.result import VALIDITY
from gbpm_dagster.quality.rules import print_of
from gbpm_dagster.quality.scorecard import PARTS, WEIGHTS, by_table, importance, platform, scorecard, worst
from gbpm_dagster.quality.scorechart import heat_map, markdown
from gbpm_dagster.quality.survey import survey
from gbpm_dagster.warehouse.ledger import SCORECARD
from gbpm_dagster.warehouse.protocol import SCORE_SCHEMA

JOB = "scorecard"
SHOWN_DAYS = 28
"""Days in the picture, and of the figures beside it."""

MEANING = {
    "table": "the table",
    "day": "London day",
    "completeness": "of what is due, the share that is there (0 to 1)",
    "timeliness": "the share that was there when it should have been; empty: nobody watched, or too early to say",
    "uniqueness": "1 less exact copies by rows received",
    "validity": "rows that break no rule by rows received; empty: the check has not read the day",
    "score": "100 x the weighted mean of those four that are known",
    "grade": "A from 98, B from 95, C from 90, else D",
}

DESCRIPTION = f"""How good the data are, a row a table and day.

* weights: {", ".join(f"{part} {WEIGHTS[part]}" for part in PARTS)}; a part that is not known drops out
* the platform's score weights each table by its importance
* `gbpm scorecard` says it as of now; in SQL it is the table `gbpm_scorecard`, as of the last morning"""


def scores(runtime: Runtime, wanted: Mapping[str, Sequence[date]]) -> pl.DataFrame:
    """SCORE_SCHEMA of those days; reads evidence, attempts and what validity remembers, no rows."""
    settings, lake = runtime.settings, runtime.lake
    datasets = runtime.named(list(wanted)) if wanted else ()
    now, recorded = settings.clock(), runtime.scope is not None
    judged = Judged(settings.home / "state" / "judged", settings.today())
    evidence, attempts = lake.evidence(list(wanted)), lake.attempts(list(wanted))
    found = [pl.DataFrame(schema=SCORE_SCHEMA)]
    for dataset, coverage in survey(lake, datasets, wanted, now, recorded):
        held, tried = (f.filter(pl.col("table") == dataset.table) for f in (evidence, attempts))
        known = judged.known(VALIDITY, dataset.table, print_of(dataset), held)
        nightly = dataset.table in runtime.nightly
        found.append(scorecard(dataset, coverage, held, tried, known, now, nightly))
    return pl.concat(found)


def asked(names: Sequence[str], first: str | None, last: str | None) -> dict[str, Any]:
    """What `gbpm scorecard` says: days, scores (SCORE_SCHEMA), tables (`by_table`), platform, worst.

    Without days: the last SHOWN_DAYS whole ones. Raises UsageError, UnknownTable.
    """
    runtime = open_runtime()
    datasets = runtime.named(names)
    if first is None and last is None:
        wanted = _last_days(runtime, datasets)
    else:
        wanted = days_of(runtime, datasets, bool(names), first, last)
        wanted = {t: list(d) for t, d in wanted.items()}
    return _judged(datasets, scores(runtime, wanted))


def _last_days(runtime: Runtime, datasets: Sequence[Dataset]) -> dict[str, list[date]]:
    """The last SHOWN_DAYS wanted whole days of each table; where a home is about a scope, the last of that."""
    today = runtime.settings.today()
    return {d.table: [day for day in runtime.wanted(d) if day < today][-SHOWN_DAYS:] for d in datasets}


def _judged(datasets: Sequence[Dataset], found: pl.DataFrame) -> dict[str, Any]:
    tables = by_table(found)
    return {
        "days": sorted(set(found["day"])),
        "scores": found,
        "tables": tables,
        "platform": platform(tables, importance(datasets)),
        "worst": worst(tables),
    }


def build_scorecard() -> tuple[dg.AssetsDefinition, dg.ScheduleDefinition]:
    """The asset, and the schedule of its job: 09:00 London, when the healer has had its hour after the gap check."""
    job = dg.define_asset_job(JOB, selection=[SCORECARD], description="Scores every table and day of the home.")
    schedule = dg.ScheduleDefinition(
        name="scorecard_0900",
        job=job,
        cron_schedule="0 9 * * *",
        execution_timezone=LONDON.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="09:00 London: score every table and day.",
    )
    return _asset(), schedule


def _asset() -> dg.AssetsDefinition:
    schema = {"String": "string", "Date": "date", "Float64": "number"}
    columns = [dg.TableColumn(n, schema[str(k())], description=MEANING[n]) for n, k in SCORE_SCHEMA.items()]

    @dg.asset(
        name=SCORECARD,
        group_name="quality",
        kinds={"deltalake"},
        owners=OWNERS,
        description=DESCRIPTION,
        metadata={"dagster/table_name": SCORECARD, "dagster/column_schema": dg.TableSchema(columns=columns)},
        required_resource_keys={"gbpm"},
    )
    def gbpm_scorecard(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata=keep(context.resources.gbpm))

    return gbpm_scorecard


def keep(runtime: Runtime) -> dict[str, Any]:
    """Score the whole history, store it, and say how the last SHOWN_DAYS whole days are."""
    today = runtime.settings.today()
    wanted = {d.table: [day for day in runtime.wanted(d) if day <= today] for d in runtime.datasets}
    found = scores(runtime, wanted)
    runtime.lake.ledger.put_scorecard(found)
    shown = _last_days(runtime, runtime.datasets)
    last = max((d[-1] for d in shown.values() if d), default=today - timedelta(days=1))
    span = days(last - timedelta(days=SHOWN_DAYS - 1), last)
    recent = _judged(runtime.datasets, found.filter(pl.col("day").is_in(span)))
    metadata: dict[str, Any] = {"dagster/row_count": found.height, "first day shown": span[0].isoformat()}
    metadata |= {"last day shown": last.isoformat()}
    if recent["platform"] is not None:
        metadata["platform score"] = round(recent["platform"], 2)
    metadata["worst"] = (
        ", ".join(f"{t} {s:.1f}" for t, s in recent["worst"]) or "every table that has a score has 100"
    )
    title = f"Scores by table and day, {span[0]} to {last}"
    picture = heat_map(title, cells(recent["scores"], recent["tables"]["table"].to_list()), span)
    return {**metadata, "chart": dg.MetadataValue.md(markdown(picture, title))}


def cells(found: pl.DataFrame, order: Sequence[str]) -> dict[str, dict[date, tuple[float | None, str | None]]]:
    """table -> day -> (score, grade), tables in that order."""
    made: dict[str, dict[date, tuple[float | None, str | None]]] = {table: {} for table in order}
    for table, day, points, letter in found.select("table", "day", "score", "grade").iter_rows():
        made[table][day] = (points, letter)
    return made
