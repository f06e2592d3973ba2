"""Secrets of the environment, and the search for them in everything a command leaves behind."""

from __future__ import annotations

import base64
from pathlib import Path

from gbpm_dagster_tests.console.driver import Gbpm

NAME, PASSWORD = "me-at-work", "hush-hush"
AUTHORIZATION = "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
HOOK, MAIL_PASSWORD = "hush-hush-hook", "hush-mail"
SECRETS = (NAME, PASSWORD, AUTHORIZATION.split()[1], HOOK, MAIL_PASSWORD)
TABLES = (
    "gbpm_evidence",
    "gbpm_attempts",
    "gbpm_quarantine",
    "gbpm_drift",
    "gbpm_known_gaps",
    "bmrs_mid",
    "bmrs_indo",
)


def with_login(base_url: str) -> str:
    return base_url.replace("://", f"://{NAME}:{PASSWORD}@")


def leaks(gbpm: Gbpm, *said: str) -> list[str]:
    """Where the login stands: those texts, files of the home and the state folder, cells of (compressed) tables."""
    found = [f"said: {text}" for text in said if _has(text)]
    for folder in (gbpm.home, Path(gbpm.environment["GBPM_STATE_DIR"])):
        found += [str(p) for p in folder.rglob("*") if p.is_file() and _has(p.read_bytes().decode("latin-1"))]
    lake = gbpm.runtime().lake
    found += [table for table in TABLES if _has(*(repr(row) for row in lake.sql(f"SELECT * FROM {table}").rows()))]
    return found


def _has(*texts: str) -> bool:
    return any(secret in text for secret in SECRETS for text in texts)
