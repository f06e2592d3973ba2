"""What a check found on each day it has read, so that a day is read again only when it has changed.

Belongs here: offences, and remembering them in the home. Not here: judging (`validity`, `duplicates`).
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import polars as pl

from gbpm_dagster.quality.result import SAMPLE


@dataclass(slots=True)
class Offence:
    """Rows that break one rule: how many, and the first few. names: what they name that another table lacks."""

    severity: str
    meaning: str
    rows: int = 0
    sample: list[dict[str, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(self, rows: int, sample: list[dict[str, Any]]) -> None:
        self.rows += rows
        self.sample += sample[: SAMPLE - len(self.sample)]


AGE = 28
"""Days after which a judgement no longer counts, and up to twice that, so that not all days come due together: what
changes rows without their evidence (another program, a bad disk) is seen in the end."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One day: the content hash of its evidence when its rows were read, and what they break, by rule."""

    content_hash: str
    offences: Mapping[str, Offence]
    read_on: date


class Judged:
    """`<folder>/<check>.<table>.json`: judgements by day. Losing one costs reading its day again, nothing else."""

    def __init__(self, folder: Path, today: date) -> None:
        self._folder, self._today = folder, today

    def known(self, check: str, table: str, rules: str, evidence: pl.DataFrame) -> dict[date, Judgement]:
        """What is remembered of the days whose content is as it was then, by the same rules and not too long ago.

        rules: a `fingerprint`. evidence: day, content_hash.
        """
        return _unchanged(self._load(check, table, rules), evidence)

    def learn(
        self,
        check: str,
        table: str,
        rules: str,
        found: Mapping[date, Mapping[str, Offence]],
        before: pl.DataFrame,
        after: pl.DataFrame,
    ) -> None:
        """Remember what was found, of the days whose evidence (day, content_hash) is the same before and after their
        rows were read: a writer may have come in between. What cannot be written is judged again next time."""
        hashes = dict(before.select("day", "content_hash").iter_rows())
        judgements = {day: Judgement(hashes.get(day) or "", said, self._today) for day, said in found.items()}
        days = {**self._load(check, table, rules), **_unchanged(judgements, after)}
        file = self._file(check, table)
        partial = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(_packed(rules, days))
            partial.replace(file)

    def _load(self, check: str, table: str, rules: str) -> dict[date, Judgement]:
        try:
            found = orjson.loads(self._file(check, table).read_bytes())
            if found["rules"] != rules:
                return {}
            days = {date.fromisoformat(day): _judgement(*said) for day, said in found["days"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}  # not there yet, or damaged
        return {d: j for d, j in days.items() if self._today - j.read_on < timedelta(AGE + d.toordinal() % AGE)}

    def _file(self, check: str, table: str) -> Path:
        return self._folder / f"{check}.{table}.json"


def fingerprint(modules: Iterable[ModuleType], *facts: object) -> str:
    """Changes with the source of those modules, with polars and with the facts, which must be plain values."""
    code = [inspect.getsource(module) for module in modules]
    return hashlib.sha256(repr((code, pl.__version__, facts)).encode()).hexdigest()


def _unchanged(judgements: Mapping[date, Judgement], evidence: pl.DataFrame) -> dict[date, Judgement]:
    hashes = dict(evidence.select("day", "content_hash").iter_rows())
    return {day: j for day, j in judgements.items() if j.content_hash and j.content_hash == hashes.get(day)}


def _packed(rules: str, days: Mapping[date, Judgement]) -> bytes:
    return orjson.dumps({
        "rules": rules,
        "days": {
            day.isoformat(): [j.content_hash, {name: asdict(o) for name, o in j.offences.items()}, j.read_on]
            for day, j in sorted(days.items())
        },
    })  # fmt: skip


def _judgement(content_hash: str, offences: Mapping[str, Mapping[str, Any]], read_on: str) -> Judgement:
    found = {name: Offence(**said) for name, said in offences.items()}
    return Judgement(content_hash, found, date.fromisoformat(read_on))
