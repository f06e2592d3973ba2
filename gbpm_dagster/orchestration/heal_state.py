"""What a person told the healer, kept in the home so that it outlives every process: paused, resumed.

Belongs here: that one file. Not here: what follows from it (heal_plan, healing).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gbpm_dagster.console.failures import CannotWork

FILE = "healing.json"


@dataclass(frozen=True, slots=True)
class HealState:
    """paused_at: since when the healer is paused, None if it is not. resumed_at: when a person last let it go on."""

    paused_at: datetime | None = None
    resumed_at: datetime | None = None


def read(home: Path) -> HealState:
    """What was said last; nothing where there is no file. CannotWork if the file is damaged: better no healing than
    healing against a person's word."""
    file = home / "state" / FILE
    try:
        found = json.loads(file.read_text())
        return HealState(*(_instant(found.get(name)) for name in ("paused_at", "resumed_at")))
    except FileNotFoundError:
        return HealState()
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CannotWork(
            f"{file} cannot be read ({error}): `gbpm heal --pause` or `--resume` writes it anew"
        ) from None


def pause(home: Path) -> HealState:
    """From now on the healer launches nothing by itself."""
    return _write(home, HealState(paused_at=datetime.now(UTC)))


def resume(home: Path) -> HealState:
    """It may again, also days of backfills cancelled before now."""
    return _write(home, HealState(resumed_at=datetime.now(UTC)))


def _write(home: Path, state: HealState) -> HealState:
    file = home / "state" / FILE
    partial = file.with_suffix(".partial")
    said = {"paused_at": _text(state.paused_at), "resumed_at": _text(state.resumed_at)}
    partial.write_text(json.dumps(said))
    partial.replace(file)
    return state


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
