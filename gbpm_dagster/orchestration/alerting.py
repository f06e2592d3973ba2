"""Alerts of a home: what Dagster and the register say goes through the engine into the outbox, and from there out.

Belongs here: reading findings, the channels of the settings, the sensor `alerts`. Not here: what is told and when
(`alerts.engine`), keeping and sending (`alerts.outbox`, `alerts.channels`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus, RunsFilter

from gbpm_dagster import __version__
from gbpm_dagster.alerts.channels import Channel, Email, Sender, Slack, Webhook
from gbpm_dagster.alerts.engine import (
    AT_SOURCE,
    CHECK,
    FAIL,
    FRESHNESS,
    GIVEN_UP,
    OK,
    RUN,
    WARN,
    Alert,
    Finding,
    Notice,
    Policy,
    advance,
)
from gbpm_dagster.alerts.outbox import Outbox, Round
from gbpm_dagster.alerts.words import names
from gbpm_dagster.orchestration.internal import CheckRecord, CheckStatus
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.quality.register import Entry, Status, entries
from gbpm_dagster.quality.result import FRESHNESS as FRESHNESS_CHECK
from gbpm_dagster.settings import Settings

RUNS_LOOKED_AT = 100
SINCE = timedelta(days=1)
"""A home whose alerts are switched on today is not told of the runs that failed last month, nor of all that the
source is known to lack."""

BUDGET = timedelta(seconds=30)
"""Of the minute Dagster gives a sensor."""

NOTHING = (
    "nobody is told: set GBPM_ALERT_EMAIL_TO (with GBPM_SMTP_HOST), GBPM_SLACK_WEBHOOK_URL or GBPM_WEBHOOK_URL "
    "and start `gbpm up` again"
)


def channels_of(settings: Settings) -> list[Channel]:
    """The channels that are configured; none by default."""
    sender = Sender(__version__, str(settings.home))
    found: list[Channel] = []
    if settings.alert_email_to:
        found.append(
            Email(
                sender,
                settings.alert_email_to,
                settings.alert_email_from or settings.alert_email_to[0],
                settings.smtp_host,
                settings.smtp_port,
                settings.smtp_security,
                settings.smtp_user,
                settings.smtp_password.get_secret_value(),
            )
        )
    if slack := settings.slack_webhook_url.get_secret_value():
        found.append(Slack(sender, slack))
    if webhook := settings.webhook_url.get_secret_value():
        found.append(Webhook(sender, webhook))
    return found


def outbox_of(settings: Settings) -> Outbox:
    return Outbox(settings.home / "state" / "alerts.sqlite")


def policy_of(settings: Settings) -> Policy:
    seconds = (settings.alert_wait_s, settings.alert_remind_s, settings.alert_cooldown_s)
    minimum = FAIL if settings.alert_severity == "error" else WARN
    return Policy(minimum, *(timedelta(seconds=s) for s in seconds))


def findings(
    instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey], register: Sequence[Entry], now: datetime
) -> Iterator[Finding]:
    """The last verdict of each check, how the last run of each kind ended, and what the healer wrote down."""
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(checks))
    for key, record in records.items():
        yield _of_check(key, record)
    yield from _of_runs(instance, now)
    for entry in register:
        yield from _of_entry(entry, now)


def _of_check(key: dg.AssetCheckKey, record: CheckRecord) -> Finding:
    table = key.asset_key.to_user_string()
    kind = FRESHNESS if key.name == FRESHNESS_CHECK else CHECK
    evaluation = record.evaluation if record.status in (CheckStatus.SUCCEEDED, CheckStatus.FAILED) else None
    value: float | None = None
    what = next_step = ""
    if evaluation:
        bad = FAIL if evaluation.severity is dg.AssetCheckSeverity.ERROR else WARN
        value = OK if evaluation.passed else bad
        what = f"{key.name}: {evaluation.description}" if kind == CHECK else evaluation.description or ""
        step = evaluation.metadata.get("next step")
        next_step = str(step.value) if step else f"gbpm check {table}"
    at = datetime.fromtimestamp(record.event.timestamp if record.event else record.create_timestamp, UTC)
    return Finding(_key(key), kind, table, value, at, str(record.id), what, next_step)


def _key(check: dg.AssetCheckKey) -> str:
    return f"{check.name}/{check.asset_key.to_user_string()}"


def _of_entry(entry: Entry, now: datetime) -> Iterator[Finding]:
    """Days the healer gave up on, as long as they are; days the source was found to lack, when that is news."""
    days = f"{entry.first}" if entry.last == entry.first else f"{entry.first} to {entry.last or 'now'}"
    what, seen = f"{days}: {entry.reason}", f"{entry.status} {entry.changed_at.isoformat()}"
    step = f"`gbpm known-gaps list {entry.table}`; `gbpm backfill {entry.table} --from {entry.first}` asks again"
    for kind, status in ((GIVEN_UP, Status.GIVEN_UP), (AT_SOURCE, Status.MISSING_AT_SOURCE)):
        value: float | None = FAIL if entry.status is status else OK
        if value == FAIL and kind == AT_SOURCE and now - entry.changed_at > SINCE:
            value = None
        yield Finding(f"{kind}/{entry.id}", kind, entry.table, value, entry.changed_at, seen, what, step)


def _of_runs(instance: dg.DagsterInstance, now: datetime) -> Iterator[Finding]:
    """The newest run that ended well or badly of each job and choice of assets; a cancelled one says nothing."""
    ended = RunsFilter(statuses=[DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE], updated_after=now - SINCE)
    seen: set[str] = set()
    for record in instance.get_run_records(filters=ended, limit=RUNS_LOOKED_AT):
        run = record.dagster_run
        what = _what_ran(run)
        if what in seen:
            continue
        seen.add(what)
        failed = run.status is DagsterRunStatus.FAILURE
        at = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
        why = f"run {run.run_id[:8]} failed: {_why(instance, run.run_id)}" if failed else ""
        step = f"the page of run {run.run_id[:8]} in the web UI"
        yield Finding(f"run/{what}", RUN, what, FAIL if failed else OK, at, run.run_id, why, step)


def _what_ran(run: dg.DagsterRun) -> str:
    tables = sorted(key.to_user_string() for key in run.asset_selection or ())
    if not tables:
        return run.job_name
    return ", ".join(tables[:3]) + (f" and {len(tables) - 3} more" if len(tables) > 3 else "")


def _why(instance: dg.DagsterInstance, run_id: str) -> str:
    """The first line of the first failed step's reason."""
    for kind in (DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE):
        for entry in instance.get_records_for_run(run_id, of_type=kind, limit=1).records:
            event = entry.event_log_entry.dagster_event
            if event is None:
                continue
            if kind is DagsterEventType.STEP_FAILURE:
                data = event.step_failure_data
                said = data.user_failure_data.description if data.user_failure_data else None
                said = said or (data.error.message if data.error else None)
            else:
                said = event.message
            if said:
                return said.strip().splitlines()[0][:400]
    return "its log says why"


def tell_people(
    runtime: Runtime,
    instance: dg.DagsterInstance,
    checks: Sequence[dg.AssetCheckKey],
    channels: Sequence[Channel],
    now: datetime,
) -> tuple[Sequence[Notice], Round]:
    """One look: what is new goes into the outbox, and what waits there is sent. Safe to end at any point."""
    outbox, policy = outbox_of(runtime.settings), policy_of(runtime.settings)
    register = entries(runtime.lake.known_gaps([d.table for d in runtime.datasets]))
    found = list(findings(instance, checks, register, now))
    judged = {_key(key) for key in checks}

    def change(alerts: Mapping[str, Alert], muted: Collection[str]) -> tuple[dict[str, Alert], list[Notice]]:
        # What the home does not hold any more is nobody's alert.
        here = {k: a for k, a in alerts.items() if a.kind not in (CHECK, FRESHNESS) or k in judged}
        return advance(here, found, now, policy, muted)

    notices = outbox.change(change, [c.name for c in channels], now)
    return notices, outbox.deliver(channels, lambda: datetime.now(UTC), BUDGET)


def build_alerts(runtime: Runtime, checks: Sequence[dg.AssetCheckKey]) -> dg.SensorDefinition:
    """The sensor `alerts`; it runs by itself where a channel is configured."""
    settings = runtime.settings
    channels = channels_of(settings)

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=settings.alert_interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING if channels else dg.DefaultSensorStatus.STOPPED,
        description=(
            "Tells people once what failed or is stale, reminds them while it lasts and says when it is over: by "
            "mail, Slack or a webhook, if one is configured (GBPM_ALERT_...)."
        ),
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if not channels:
            return dg.SkipReason(NOTHING)
        notices, done = tell_people(runtime, context.instance, checks, channels, datetime.now(UTC))
        for error in done.errors:
            context.log.warning(error)
        return dg.SkipReason(sentence(notices, done))

    return alerts


def sentence(notices: Sequence[Notice], done: Round) -> str:
    """What a look did, for the sensor's ticks."""
    said = [f"{n.event}: {names(n.alerts)}" for n in notices] or ["nothing new"]
    said += [f"{done.sent} message(s) sent"] if done.sent else []
    said += [f"{done.waiting} waiting to be sent again"] if done.waiting else []
    said += [f"{done.dropped} given up"] if done.dropped else []
    return "; ".join([*said, *done.errors])
