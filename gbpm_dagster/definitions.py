"""The one Definitions object; assembles, decides nothing. Loads without secrets and without a network."""

from __future__ import annotations

import dagster as dg

from gbpm_dagster.orchestration.build import build_definitions
from gbpm_dagster.settings import Settings


@dg.definitions
def defs() -> dg.Definitions:
    return build_definitions(Settings.load())
