"""WHAT exists: one declarative entry per table.

Belongs here: `Dataset` entries by family, and finding one by name. Not here: anything that fetches, stores or judges.
"""

from __future__ import annotations

from gbpm_dagster.catalogue.model import Dataset, Family
from gbpm_dagster.catalogue.registry import DATASETS, FAMILIES, UnknownTable, get

__all__ = ["DATASETS", "FAMILIES", "Dataset", "Family", "UnknownTable", "get"]
