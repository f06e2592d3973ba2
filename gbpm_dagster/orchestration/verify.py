"""Which OpenAPI document the catalogue is held against, and holding it. No Dagster: the command starts fast.

Belongs here: choosing and getting the document for one home. Not here: comparing (`catalogue.verify`), fetching
(`elexon.openapi`), printing, the weekly asset (`openapi_asset`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from gbpm_dagster.catalogue.document import Document, UnreadableDocument, stored, with_additions
from gbpm_dagster.catalogue.verify import Verdict
from gbpm_dagster.catalogue.verify import verify as hold
from gbpm_dagster.console.args import UsageError
from gbpm_dagster.console.failures import CannotWork
from gbpm_dagster.settings import Settings, SettingsError

if TYPE_CHECKING:
    from gbpm_dagster.elexon.openapi import Fetched


def verify(document: str | None, live: bool) -> Verdict:
    """Hold the catalogue against the stored document, a file, an address, or what the service publishes now.

    Raises UsageError, SettingsError; CannotWork, OSError and SourceError where the document cannot be read.
    """
    if document is not None and live:
        raise UsageError("--document or --live: one of the two")
    if live:
        return hold(with_additions(fetch_live(Settings.load()).document))
    if document is None:
        return hold(stored())
    return hold(with_additions(_given(document.strip())))


def fetch_live(settings: Settings) -> Fetched:
    """The document that the service behind ELEXON_BASE_URL publishes; raises SourceError, SettingsError."""
    from gbpm_dagster.elexon.openapi import document_url

    try:
        url = document_url(settings.base_url)
    except ValueError as error:
        raise SettingsError(f"ELEXON_BASE_URL {error}") from None
    return _fetch(url, settings)


def _given(document: str) -> Document:
    if not document:
        raise UsageError("--document is empty: give a file or an address (http, https)")
    if "://" in document:
        try:
            return _fetch(document, Settings.load()).document
        except SettingsError:
            raise
        except ValueError as error:
            raise UsageError(f"--document {error}, or a file") from None
    try:
        return Document.parse(Path(document).expanduser().read_bytes(), f"the document {document}")
    except UnreadableDocument as error:
        raise CannotWork(f"{error}: give Elexon's OpenAPI document, as JSON or in gzip") from None


def _fetch(url: str, settings: Settings) -> Fetched:
    from gbpm_dagster.elexon.openapi import Limits, fetch_document

    limits = Limits(
        state_dir=settings.state_dir,
        max_requests_per_second=settings.max_requests_per_second,
        request_timeout_s=settings.request_timeout_s,
        request_deadline_s=settings.request_deadline_s,
        max_attempts=settings.max_attempts,
        backoff_base_s=settings.backoff_base_s,
    )
    return asyncio.run(fetch_document(url, limits))
