"""The settings of the stream: where the queue is, how one signs in, what is taken. Part of `settings.Settings`.

Belongs here: these fields and what makes them valid. Not here: reading the environment (`settings`).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gbpm_dagster.catalogue.streams import DECLARED, STREAMED, code_of
from gbpm_dagster.elexon.address import wrong
from gbpm_dagster.iris.access import ARCHIVE_URL, NAMESPACE, TENANT, Access

EVERY = "all"


class IrisSettings(BaseSettings):
    """Nothing configured = no stream. Secrets are SecretStr, which `settings.shown` hides."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    iris_queue: str = Field(
        "", validation_alias="IRIS_QUEUE", description="your queue on Elexon's Insights site; one receiver a queue"
    )
    iris_client_id: str = Field(
        "", validation_alias="IRIS_CLIENT_ID", description="client id of your queue on Elexon's Insights site"
    )
    iris_client_secret: SecretStr = Field(
        SecretStr(""),
        validation_alias="IRIS_CLIENT_SECRET",
        description="client secret of your queue; expires after two years; never shown",
    )
    iris_secret_expires: date | None = Field(
        None,
        validation_alias="IRIS_SECRET_EXPIRES",
        description="day on which the client secret expires (yyyy-mm-dd): `gbpm iris status` warns 60 days before",
    )
    iris_tenant_id: str = Field(
        TENANT, validation_alias="IRIS_TENANT_ID", description="tenant of Elexon's sign-in, the same for everybody"
    )
    iris_namespace: str = Field(
        NAMESPACE,
        validation_alias="IRIS_NAMESPACE",
        description="Service Bus namespace of IRIS, or a whole host name",
    )
    iris_connection_string: SecretStr = Field(
        SecretStr(""),
        validation_alias="IRIS_CONNECTION_STRING",
        description=(
            "connection string of another Service Bus in place of client id, secret and namespace; with "
            "`UseDevelopmentEmulator=true` plain AMQP to its host and port; never shown"
        ),
    )
    iris_folder: Path | None = Field(
        None,
        validation_alias="IRIS_FOLDER",
        description="folder that Elexon's own client fills: its files are taken over and removed",
    )
    iris_codes: tuple[str, ...] = Field(
        (),
        validation_alias="IRIS_CODES",
        description="codes of the stream to load (comma or space between), or `all`; empty = all but MELS and MILS",
    )
    iris_drain_s: int = Field(
        600,
        ge=5,
        le=86_400,
        validation_alias="IRIS_DRAIN_SECONDS",
        description="seconds that one run of the sensor's drain receives and loads before the next takes its place",
    )
    iris_min_free_gib: float = Field(
        2.0,
        ge=0,
        le=10_000,
        validation_alias="IRIS_MIN_FREE_GIB",
        description="GiB that must be free on the home's disk: with less, receiving stops, the queue keeps messages",
    )

    iris_archive_url: str = Field(
        ARCHIVE_URL,
        validation_alias="IRIS_ARCHIVE_URL",
        description="Elexon's public archive of the stream, for `gbpm iris replay`",
    )
    iris_keep_h: float = Field(
        48.0,
        ge=0,
        le=87_600,
        validation_alias="IRIS_KEEP_HOURS",
        description="hours that a day stays in `<table>_iris` after history was found to have all of it",
    )
    iris_raw_days: int = Field(
        30,
        ge=1,
        le=3650,
        validation_alias="IRIS_RAW_DAYS",
        description="days that raw messages are kept, packed, after they were enqueued; of unknown codes for ever",
    )

    @field_validator("iris_archive_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if problem := wrong(value):
            raise ValueError(problem)
        return value.rstrip("/")

    @field_validator("iris_codes", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("iris_codes", mode="after")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [code for code in value if code.lower() != EVERY and not code_of(code)]
        if unknown:
            raise ValueError(f"has no code {', '.join(unknown)}: the stream carries {', '.join(STREAMED)}")
        return value

    @field_validator("iris_folder", mode="after")
    @classmethod
    def _whole(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else None

    @property
    def iris_access(self) -> Access:
        """The queue and the way in; `wanted` is False where nothing is configured."""
        return Access(
            self.iris_queue,
            self.iris_connection_string.get_secret_value(),
            self.iris_client_id,
            self.iris_client_secret.get_secret_value(),
            self.iris_tenant_id,
            self.iris_namespace,
        )

    @property
    def streaming(self) -> bool:
        """Whether this home has a stream: a queue, or a folder that somebody fills."""
        return self.iris_access.wanted or self.iris_folder is not None

    @property
    def iris_wanted(self) -> tuple[str, ...]:
        """The codes whose rows are loaded; of the others only the raw messages are kept."""
        if any(code.lower() == EVERY for code in self.iris_codes):
            return tuple(STREAMED)
        chosen = {code_of(code) for code in self.iris_codes} or set(STREAMED) - set(DECLARED)
        return tuple(code for code in STREAMED if code in chosen)
