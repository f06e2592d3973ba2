"""The table of settings in docs/contract.md, made from gbpm_dagster.settings.

usage: docs_settings.py [--write]    without it: exits 1 and says so when the table in the page is not the present one
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic_core import PydanticUndefined

from gbpm_dagster.settings import fields, variable

PAGE = Path(__file__).parents[1] / "docs" / "contract.md"
BEGIN, END = "<!-- settings: made by scripts/docs_settings.py -->", "<!-- end of settings -->"

SIGNS: dict[type, str] = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}
BOUNDS: dict[type, str] = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt"}


def table() -> str:
    """One row a setting: variable, default, allowed, meaning."""
    lines = ["| variable | default | allowed | meaning |", "|---|---|---|---|"]
    for info in fields().values():
        limits = [
            f"{sign} {getattr(rule, BOUNDS[kind])}"
            for rule in info.metadata
            for kind, sign in SIGNS.items()
            if isinstance(rule, kind)
        ]
        default = "the user's state folder" if info.default is PydanticUndefined else _text(info.default)
        lines.append(f"| `{variable(info)}` | {default} | {', '.join(limits)} | {info.description} |")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if value is None or value == () or not str(value):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(f'{v:g}' if isinstance(v, float) else str(v) for v in value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def page_with_table(text: str) -> str:
    """The page with its block of settings replaced by the present one."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main(arguments: list[str]) -> int:
    old = PAGE.read_text()
    new = page_with_table(old)
    if old == new:
        return 0
    if "--write" in arguments:
        PAGE.write_text(new)
        return 0
    print(
        "docs/contract.md does not have the present settings: run `.venv/bin/python scripts/docs_settings.py --write`"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
