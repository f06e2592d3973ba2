"""The worked examples of the market's rules (data/worked_examples.json), by id."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "data" / "worked_examples.json"


@lru_cache(maxsize=1)
def _all() -> dict[str, dict[str, Any]]:
    return {e["id"]: e for e in json.loads(_FILE.read_text(encoding="utf-8"))}


def example(name: str) -> tuple[Any, Any]:
    """(input, expected) of the example of that id."""
    found = _all()[name]
    return found["input"], found["expected"]


def instant(text: str) -> datetime:
    """An aware instant from ISO 8601 with Z."""
    return datetime.fromisoformat(text)
