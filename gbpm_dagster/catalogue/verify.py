"""The whole catalogue against an OpenAPI document, both ways; and what changed between two documents.

Both ways: nothing in the catalogue that the document lacks, and no data path in the document that the catalogue
neither has nor leaves out with a reason (left_out.csv). A data path answers GET and is not deprecated. A path and its
`/stream` are one dataset: having (or leaving out) either is enough while both describe the same fields.

Belongs here: these two comparisons and the list of what is left out. Not here: comparing one entry (`compare`).
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from gbpm_dagster.catalogue.compare import Change, Difference, Part, compare, nullability, paths_of
from gbpm_dagster.catalogue.document import Document, DocumentError, Parameter, Property, stored
from gbpm_dagster.catalogue.model import Dataset
from gbpm_dagster.catalogue.registry import DATASETS

STREAM = "/stream"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path without a table. codes: of the datasets whose rows it shows ("A+B"). reason: why it needs none."""

    path: str
    codes: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of holding the catalogue against `document`.

    differences: between the catalogue and the document. changes: between the document kept in the package and this
    one, on the catalogue's paths, and which paths came or went.
    """

    document: Document
    differences: tuple[Difference, ...]
    changes: tuple[Difference, ...]

    @property
    def breaks(self) -> bool:
        """Whether the catalogue relies on something that is not so any more."""
        return any(d.breaks for d in self.differences)


@cache
def left_out() -> tuple[LeftOut, ...]:
    """The paths that have no table, each with its reason."""
    text = (resources.files("gbpm_dagster.catalogue") / "left_out.csv").read_text(encoding="utf-8")
    return tuple(LeftOut(row["path"], row["codes"], row["reason"]) for row in csv.DictReader(text.splitlines()))


def verify(document: Document) -> Verdict:
    """Hold the catalogue and its list of what is left out against a document, and that against the stored one."""
    datasets = tuple(DATASETS.values())
    differences = differing(datasets, left_out(), document)
    return Verdict(document, tuple(differences), tuple(changed(stored(), document, datasets)))


def differing(datasets: Collection[Dataset], left: Iterable[LeftOut], document: Document) -> list[Difference]:
    """Every difference between these entries and this list on one side, the document on the other."""
    found = [difference for dataset in datasets for difference in compare(dataset, document)]
    tables = tables_of(datasets, document)
    unused = {row.path: row for row in left}
    found += _unasked(document, {*tables, *unused})
    for path in unused:
        if path in tables:
            text = f"left_out.csv leaves out {path}, which {tables[path]} has"
            found.append(Difference(Change.CHANGED, Part.LEFT_OUT, path, text, ours="left out", breaks=False))
        elif not document.has(path):
            text = f"left_out.csv leaves out {path}, which {document.name} does not have"
            found.append(Difference(Change.REMOVED, Part.LEFT_OUT, path, text, ours="left out", breaks=False))
    return found


def tables_of(datasets: Iterable[Dataset], document: Document) -> dict[str, str]:
    """The catalogue's paths as the document spells them, each with its table (or tables)."""
    found: dict[str, str] = {}
    for dataset in datasets:
        for path in paths_of(dataset.endpoint, document):
            found[path] = f"{found[path]}, {dataset.table}" if path in found else dataset.table
    return found


def _unasked(document: Document, known: Collection[str]) -> Iterator[Difference]:
    for path in document.paths:
        if path in known or not document.has(path) or document.deprecated(path):
            continue
        twin = path.removesuffix(STREAM) if path.endswith(STREAM) else path + STREAM
        if twin not in known:
            summary = document.summary(path)
            text = f"{path} ({summary}) has no table and is not left out with a reason"
        elif not _same_fields(document, path, twin):
            summary, text = document.summary(path), f"{path} answers other fields than {twin}, and has no table"
        else:
            continue
        yield Difference(Change.ADDED, Part.PATH, path, text, theirs=summary, breaks=False)


def _same_fields(document: Document, path: str, twin: str) -> bool:
    """Whether both have the same fields of the same types, or the twin is gone (which is reported by itself).

    Nullability is not held: Elexon's document states it differently for the two forms of one dataset.
    """
    if not document.has(twin):
        return True
    try:
        one, other = ({n: p.said for n, p in document.row_schema(p).items()} for p in (path, twin))
    except DocumentError:
        return False
    return one == other


def changed(before: Document, after: Document, datasets: Collection[Dataset]) -> Iterator[Difference]:
    """What the newer document says otherwise: of the paths of these entries; of others, only that they came or went."""
    old, new = _own(before), _own(after)
    tables = {**tables_of(datasets, after), **tables_of(datasets, before)}
    lists = {p: d.endpoint.rows_at for d in datasets if d.endpoint.rows_at for p in paths_of(d.endpoint, before)}
    for path in new:
        table = tables.get(path, "")
        if path not in old:
            summary = after.summary(path)
            text = f"{path} is new ({summary})"
            yield Difference(Change.ADDED, Part.PATH, path, text, theirs=summary, table=table)
        elif table:
            yield from _changed_path(before, after, path, table, lists.get(path, ""))
    for path in old:
        if path not in new:
            summary, table = before.summary(path), tables.get(path, "")
            yield Difference(
                Change.REMOVED, Part.PATH, path, f"{path} is gone ({summary})", ours=summary, table=table
            )


def _own(document: Document) -> list[str]:
    return [path for path in document.paths if document.has(path) and path not in document.inferred]


def _changed_path(before: Document, after: Document, path: str, table: str, rows_at: str) -> Iterator[Difference]:
    if before.deprecated(path) != after.deprecated(path):
        said = [("deprecated" if d.deprecated(path) else "not deprecated") for d in (before, after)]
        yield Difference(Change.CHANGED, Part.PATH, path, f"{path} is {said[1]} now", "", said[0], said[1], table)
    for part in (Part.PARAMETER, Part.FIELD):
        try:
            old, new = (_words(d, path, part, rows_at) for d in (before, after))
        except DocumentError as error:
            yield Difference(Change.CHANGED, Part.PATH, path, f"{path}: {error}", table=table)
            continue
        for name in dict.fromkeys([*old, *new]):
            was, now = old.get(name, ""), new.get(name, "")
            if was == now:
                continue
            change = Change.ADDED if not was else Change.CHANGED if now else Change.REMOVED
            told = {Change.ADDED: f"is new ({now})", Change.REMOVED: f"is gone (was {was})"}
            text = f"{part} {name!r} of {path} {told.get(change, f'was {was}, is {now}')}"
            yield Difference(change, part, path, text, name, was, now, table)


def _words(document: Document, path: str, part: Part, rows_at: str) -> dict[str, str]:
    """What the document says of each parameter or field of a path, in words."""
    if part is Part.PARAMETER:
        return {name: _describe(parameter) for name, parameter in document.parameters(path).items()}
    return {name: _describe(field) for name, field in document.row_schema(path, rows_at).items()}


def _describe(part: Parameter | Property) -> str:
    if isinstance(part, Property):
        return f"{part.said}, {nullability(part.nullable)}"
    values = f", of {'|'.join(part.values)}" if part.values else ""
    return f"{part.said}, {'required' if part.required else 'optional'}, in the {part.where}{values}"
