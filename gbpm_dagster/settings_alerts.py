"""The settings of alerts: who is told, over which channels, how eagerly. Part of `settings.Settings`.

Belongs here: these fields and what makes them valid. Not here: reading the environment (`settings`).
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gbpm_dagster.elexon.address import wrong


class AlertSettings(BaseSettings):
    """Nothing configured = nothing sent. Secrets are SecretStr, which `settings.shown` hides."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    alert_email_to: tuple[str, ...] = Field(
        (),
        validation_alias="GBPM_ALERT_EMAIL_TO",
        description="addresses that get alerts by mail (comma or space between); empty = none",
    )
    alert_email_from: str = Field(
        "",
        validation_alias="GBPM_ALERT_EMAIL_FROM",
        description="sender of the mails; empty = the first of those who get it",
    )
    smtp_host: str = Field("", validation_alias="GBPM_SMTP_HOST", description="mail server the mails go to")
    smtp_port: int = Field(
        587, ge=1, le=65_535, validation_alias="GBPM_SMTP_PORT", description="port of the mail server"
    )
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        validation_alias="GBPM_SMTP_SECURITY",
        description="how the way to the mail server is encrypted: starttls, tls (often port 465) or none",
    )
    smtp_user: str = Field(
        "", validation_alias="GBPM_SMTP_USER", description="name at the mail server; empty = no login"
    )
    smtp_password: SecretStr = Field(
        SecretStr(""), validation_alias="GBPM_SMTP_PASSWORD", description="password at the mail server; never shown"
    )
    slack_webhook_url: SecretStr = Field(
        SecretStr(""),
        validation_alias="GBPM_SLACK_WEBHOOK_URL",
        description="Slack's incoming webhook that gets alerts; never shown; empty = none",
    )
    webhook_url: SecretStr = Field(
        SecretStr(""),
        validation_alias="GBPM_WEBHOOK_URL",
        description="address that gets alerts as JSON by POST; never shown; empty = none",
    )
    alert_severity: Literal["error", "warn"] = Field(
        "error",
        validation_alias="GBPM_ALERT_SEVERITY",
        description="the least that is told: error, or warn for warnings too",
    )
    alert_interval_s: int = Field(
        60,
        ge=5,
        le=86_400,
        validation_alias="GBPM_ALERT_INTERVAL_SECONDS",
        description="seconds between two looks for what is to be told",
    )
    alert_wait_s: float = Field(
        1800.0,
        ge=0,
        le=604_800,
        validation_alias="GBPM_ALERT_WAIT_SECONDS",
        description="seconds a failed check (not freshness) must last before it is told: the healer mends most",
    )
    alert_remind_s: float = Field(
        21_600.0,
        ge=60,
        le=2_592_000,
        validation_alias="GBPM_ALERT_REMIND_SECONDS",
        description="seconds between two messages of an alert that goes on",
    )
    alert_cooldown_s: float = Field(
        3600.0,
        ge=0,
        le=604_800,
        validation_alias="GBPM_ALERT_COOLDOWN_SECONDS",
        description="least seconds between two first messages of one alert that comes and goes",
    )

    @field_validator("slack_webhook_url", "webhook_url")
    @classmethod
    def _web_address(cls, value: SecretStr) -> SecretStr:
        address = value.get_secret_value()
        if address and (wrong(address.split("?")[0]) or re.search(r"[\s\x00-\x1f]", address)):
            raise ValueError("must be an http or https address with a host")
        return value

    @field_validator("alert_email_to", "alert_email_from")
    @classmethod
    def _mail_address(cls, value: Any) -> Any:
        for address in [value] if isinstance(value, str) else value:
            if address and not re.fullmatch(r"[^\s@<>,]+@[^\s@<>,]+", address):
                raise ValueError(f"{address!r} is no mail address")
        return value

    @model_validator(mode="after")
    def _mail_server(self) -> AlertSettings:
        if self.alert_email_to and not self.smtp_host:
            raise ValueError("GBPM_ALERT_EMAIL_TO is set and GBPM_SMTP_HOST is not: name the mail server")
        if self.smtp_password.get_secret_value() and not self.smtp_user:
            raise ValueError("GBPM_SMTP_PASSWORD is set and GBPM_SMTP_USER is not: name who logs in")
        return self

    @field_validator("alert_email_to", mode="before")
    @classmethod
    def _addresses(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value
