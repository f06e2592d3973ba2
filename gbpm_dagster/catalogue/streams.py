"""Which datasets the IRIS stream carries, under which names, and how their tables differ from those of the history.

Belongs here: the stream's codes, their spellings, the entry of `<table>_iris`. Not here: messages (iris), loading
(ingest), views (warehouse).
"""

from __future__ import annotations

from dataclasses import replace

from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import DATASETS

IRIS, UNIFIED = "_iris", "_unified"
"""Endings of the names of the stream's tables and of the views over history and stream."""

DECLARED = ("MELS", "MILS")
"""Codes whose stream carries declarations, not the resolved position that the history has (iris.md 7)."""

DECLARATION_KEY = ("nationalGridBmUnit", "timeFrom", "timeTo", "notificationTime", "notificationSequence")

SIDELESS = ("EBOCF",)
"""Codes whose stream does not say whether a row is of a bid or an offer, and whose numbers do not tell it either: a
cashflow may have any sign. `bidOffer` is null there, and every row that was sent is kept."""

SIDELESS_KEY = ("settlementDate", "settlementPeriod", "nationalGridBmUnit", "createdDateTime", "totalCashflow")

_SPELLINGS = {
    "MIBM_MID": "MID",
    "IMBALANGC": "IMBALNGC",
    "SYSWARN": "SYS_WARN",
    "CDN": "E0361",
    "LOLPDRM": "LOLPDM",
}
"""Other spellings that were seen on the stream, in the archive or in `/datasets/metadata/latest` (iris.md 6)."""

_LOWER = {"MID": ("mibm_mid",)}
"""Spellings that are not upper case; the archive's tags are told apart by case."""

STREAM_ONLY = frozenset({"sourceFileDateTime", "sourceFileSerialNumber"})
"""Fields that the stream adds to rows of MID; the raw archive keeps them."""


def _by_code() -> dict[str, Dataset]:
    found: dict[str, Dataset] = {}
    for dataset in DATASETS.values():
        if dataset.iris_code:
            found.setdefault(dataset.iris_code, dataset)  # E0361: bmrs_cdn, before the older path of the same notices
    return found


STREAMED: dict[str, Dataset] = _by_code()
"""The history's entry of every code of the stream, in the order of the catalogue."""


def code_of(subject: str) -> str:
    """The code that a subject means, whatever its case and spelling; "" if the catalogue has none of it."""
    name = subject.strip().upper()
    code = _SPELLINGS.get(name, name)
    return code if code in STREAMED else ""


def spellings(code: str) -> tuple[str, ...]:
    """Every way in which a subject or an archive may write that code."""
    return (code, *(other for other, meant in _SPELLINGS.items() if meant == code), *_LOWER.get(code, ()))


def stream_of(dataset: Dataset) -> Dataset:
    """The entry of `<table>_iris`: the same columns, key and versions, but for DECLARED and SIDELESS codes."""
    named = replace(
        dataset,
        table=f"{dataset.table}{IRIS}",
        aliases=tuple(f"{a}{IRIS}" for a in dataset.aliases),
        settlement=False,
    )
    if dataset.iris_code in DECLARED:
        return replace(named, key=DECLARATION_KEY, version=(), version_order=())
    if dataset.iris_code in SIDELESS:
        return replace(named, key=SIDELESS_KEY, version=(), version_order=(), nullable_key=("totalCashflow",))
    return named
