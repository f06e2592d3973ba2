"""Every knob, typed, from the environment, with its default, unit and meaning.

Belongs here: reading and checking settings. Not here: acting on them. Nothing is read at import.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_state_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from gbpm_dagster.elexon.address import printable, wrong
from gbpm_dagster.market.calendar import london_day
from gbpm_dagster.settings_alerts import AlertSettings
from gbpm_dagster.settings_iris import IrisSettings

LIVE_BASE_URL = "https://data.elexon.co.uk/bmrs/api/v1"


class SettingsError(ValueError):
    """A setting has a bad value; the message names the variable, the value and what is allowed."""


class Settings(AlertSettings, IrisSettings):
    """Settings of one home. Each field's `validation_alias` is its environment variable."""

    home: Path = Field(
        Path(".gbpm"),
        validation_alias="GBPM_HOME",
        description="folder of the lake, Dagster's storage, logs and state",
    )
    base_url: str = Field(
        LIVE_BASE_URL,
        validation_alias="ELEXON_BASE_URL",
        description="base address of the Elexon API (http or https); a name and password in it are sent, never shown",
        repr=False,
    )
    max_requests_per_second: float = Field(
        5.0,
        gt=0,
        le=10_000,
        validation_alias="ELEXON_MAX_REQUESTS_PER_SECOND",
        description="requests a second to one base address, over all processes of this user",
    )
    max_concurrency: int = Field(
        4,
        ge=1,
        le=64,
        validation_alias="ELEXON_MAX_CONCURRENCY",
        description="requests in flight at once in a process",
    )
    request_timeout_s: float = Field(
        60.0, gt=0, le=3600, validation_alias="ELEXON_TIMEOUT_SECONDS", description="seconds one request may take"
    )
    request_deadline_s: float = Field(
        300.0,
        gt=0,
        le=86_400,
        validation_alias="ELEXON_DEADLINE_SECONDS",
        description="seconds one request may take with all its retries",
    )
    max_attempts: int = Field(
        6,
        ge=1,
        le=100,
        validation_alias="ELEXON_MAX_ATTEMPTS",
        description="tries of one request before it has failed",
    )
    backoff_base_s: float = Field(
        0.5,
        ge=0,
        le=600,
        validation_alias="ELEXON_BACKOFF_SECONDS",
        description="first wait before a retry, doubled each time",
    )
    history_start: date = Field(
        date(2022, 1, 1),
        validation_alias="GBPM_HISTORY_START",
        description="first day wanted (yyyy-mm-dd); a table begins at the later of this and its own first day",
    )
    now: datetime | None = Field(
        None,
        validation_alias="GBPM_NOW",
        description="an instant (ISO 8601 with offset) at which partitions and checks end; empty = the clock",
    )
    tier: Literal["core", "standard", "optional"] = Field(
        "core",
        validation_alias="GBPM_TIER",
        description="the tables of this home: core, standard (with core), or optional (all)",
    )
    datasets: tuple[str, ...] = Field(
        (),
        validation_alias="GBPM_DATASETS",
        description="limit to these tables (comma or space between); empty = those of GBPM_TIER",
    )
    scope_file: Path | None = Field(
        None,
        validation_alias="GBPM_SCOPE_FILE",
        description="JSON {table: [[first day, last day], ...]}: the only days this home is about (the demo's)",
    )
    port: int = Field(
        3000, ge=0, le=65_535, validation_alias="GBPM_PORT", description="port of the web UI; 0 = a free one"
    )
    host: str = Field("127.0.0.1", validation_alias="GBPM_HOST", description="address the web UI listens on")
    heal: bool = Field(
        True, validation_alias="GBPM_HEAL", description="whether failed gap checks launch backfills by themselves"
    )
    heal_interval_s: int = Field(
        60,
        ge=5,
        le=86_400,
        validation_alias="GBPM_HEAL_INTERVAL_SECONDS",
        description="seconds between two looks of the healer",
    )
    heal_cooldown_s: float = Field(
        600.0,
        ge=0,
        le=604_800,
        validation_alias="GBPM_HEAL_COOLDOWN_SECONDS",
        description="seconds between two healing backfills",
    )
    heal_delays_s: tuple[float, ...] = Field(
        (3600.0, 14_400.0, 86_400.0, 259_200.0, 604_800.0),
        validation_alias="GBPM_HEAL_DELAYS_SECONDS",
        description="waits before the 2nd, 3rd, ... attempt at a day (comma between); so many retries there are",
    )
    heal_max_partitions: int = Field(
        200,
        ge=1,
        le=100_000,
        validation_alias="GBPM_HEAL_MAX_PARTITIONS",
        description="days one healing backfill may ask for",
    )
    heal_max_runs: int = Field(
        20,
        ge=1,
        le=1000,
        validation_alias="GBPM_HEAL_MAX_RUNS",
        description="runs (ranges of days) one healing backfill may need",
    )
    heal_requests_a_day: int = Field(
        5_000,
        ge=1,
        le=10_000_000,
        validation_alias="GBPM_HEAL_REQUESTS_A_DAY",
        description="requests healing may make between two London midnights",
    )
    heal_join_days: int = Field(
        3,
        ge=0,
        le=31,
        validation_alias="GBPM_HEAL_JOIN_DAYS",
        description="missing days parted by at most so many complete days share a run, which leaves those alone",
    )
    heal_jitter: float = Field(
        0.1,
        ge=0,
        le=1,
        validation_alias="GBPM_HEAL_JITTER",
        description="share by which a wait before another attempt may be longer, so that tables part",
    )
    heal_probe_s: float = Field(
        300.0,
        gt=0,
        le=86_400,
        validation_alias="GBPM_HEAL_PROBE_SECONDS",
        description="seconds before a source that is down is asked for one day; doubled each time",
    )
    heal_probe_max_s: float = Field(
        21_600.0,
        gt=0,
        le=604_800,
        validation_alias="GBPM_HEAL_PROBE_MAX_SECONDS",
        description="longest wait between two such probes, seconds",
    )
    heal_after_cancel_s: float = Field(
        86_400.0,
        ge=0,
        le=31_536_000,
        validation_alias="GBPM_HEAL_AFTER_CANCEL_SECONDS",
        description="seconds for which days of a healing backfill that a person cancelled are left alone",
    )
    heal_ask_again_s: float = Field(
        604_800.0,
        gt=0,
        le=31_536_000,
        validation_alias="GBPM_HEAL_ASK_AGAIN_SECONDS",
        description="seconds between two askings for what is missing at the source, four times; then settlement runs",
    )
    proof_span_s: float = Field(
        86_400.0,
        gt=0,
        le=31_536_000,
        validation_alias="GBPM_PROOF_SPAN_SECONDS",
        description="least seconds between two answers that prove what the source lacks (a day, but in tests)",
    )
    settlement_calendar: Path | None = Field(
        None,
        validation_alias="GBPM_SETTLEMENT_CALENDAR",
        description="CSV settlementDate,run,date: published dates of settlement runs, in place of the computed ones",
    )
    runs_due_hour: int = Field(
        5,
        ge=0,
        le=23,
        validation_alias="GBPM_RUNS_DUE_HOUR",
        description="London hour of the working day after a settlement run from which its days are due again",
    )
    runs_max_partitions: int = Field(
        600,
        ge=1,
        le=100_000,
        validation_alias="GBPM_RUNS_MAX_PARTITIONS",
        description="days of tables the schedule of settlement runs may ask for at a time, newest first",
    )
    backfill_interval_s: int = Field(
        10,
        ge=1,
        le=3600,
        validation_alias="GBPM_BACKFILL_INTERVAL_SECONDS",
        description="seconds between two looks of Dagster's daemon at the backfills that are asked for or under way",
    )
    max_runs: int = Field(2, ge=1, le=64, validation_alias="GBPM_MAX_RUNS", description="Dagster runs at a time")
    backup_days: int = Field(
        30,
        ge=1,
        le=3650,
        validation_alias="GBPM_BACKUP_DAYS",
        description="days that a backup of deduplicated days is kept; the nightly upkeep removes older ones",
    )
    state_dir: Path = Field(
        default_factory=lambda: user_state_path("gbpm"),
        validation_alias="GBPM_STATE_DIR",
        description="folder of what is shared by all homes of this user: the rate limit of each base address",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Settings from the environment (empty values count as not set); raises SettingsError."""
        env = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for name, info in fields().items():
            text = env.get(variable(info), "").strip()
            if text:
                values[name] = text
        values.update(overrides)
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError(_explain(error, values)) from None

    @field_validator("base_url")
    @classmethod
    def _url(cls, value: str) -> str:
        if problem := wrong(value):
            raise ValueError(problem)
        return value.rstrip("/")

    @field_validator("now", mode="after")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("must carry an offset, for example 2024-01-10T12:00:00Z")
        return value.astimezone(UTC) if value else None

    @field_validator("datasets", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("heal_delays_s", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("home", "state_dir", "scope_file", "settlement_calendar", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else None

    def clock(self) -> datetime:
        """Now, aware UTC: GBPM_NOW where it is set (decision 18), else the clock."""
        return self.now or datetime.now(UTC)

    def today(self) -> date:
        """The London day of `clock()`."""
        return london_day(self.clock())

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def backups(self) -> Path:
        return self.home / "backups"

    @property
    def archive(self) -> Path:
        return self.home / "archive"

    @property
    def logs(self) -> Path:
        return self.home / "logs"


def variable(info: FieldInfo) -> str:
    """The environment variable of a settings field."""
    return str(info.validation_alias)


def fields() -> dict[str, FieldInfo]:
    """Every field by name: those above, then those of other modules, which pydantic would put first."""
    every, own = Settings.model_fields, Settings.__annotations__
    return {n: i for n, i in every.items() if n in own} | {n: i for n, i in every.items() if n not in own}


HIDDEN = "(set, hidden)"
SECRETS = frozenset(n for n, i in Settings.model_fields.items() if i.annotation is SecretStr)
"""Fields whose values are never shown: passwords, and addresses that are one."""


def shown(name: str, value: Any) -> Any:
    """The value of a settings field as it may be printed: an address without the name and password in it."""
    if name in SECRETS:
        return HIDDEN if (value.get_secret_value() if isinstance(value, SecretStr) else value) else ""
    return printable(value, hidden="***@") if name == "base_url" and isinstance(value, str) else value


def _explain(error: ValidationError, values: Mapping[str, Any]) -> str:
    lines = []
    for problem in error.errors():
        place = str(problem["loc"][0]) if problem["loc"] else ""
        name = next((n for n, i in Settings.model_fields.items() if place in (n, variable(i))), place)
        info = Settings.model_fields.get(name)
        said = problem["msg"].removeprefix("Value error, ")
        if info is None:  # of several settings together: the sentence names them
            lines.append(said)
            continue
        label = variable(info)
        meaning = f" ({info.description})" if info.description else ""
        lines.append(f"{label} is {shown(name, values.get(name))!r}: {said[:1].lower()}{said[1:]}{meaning}")
    return "; ".join(lines)
