"""GB Power Market: a complete, verified, self-healing warehouse of the GB electricity market, on Dagster.

In a notebook: `gbpm_dagster.read`, `.sql` and `.tables` (gbpm_dagster.notebook), loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gbpm_dagster.notebook import IncompleteData, read, sql, tables

__version__ = "0.1.0"
__all__ = ["IncompleteData", "__version__", "read", "sql", "tables"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from gbpm_dagster import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
