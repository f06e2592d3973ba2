"""The pages of docs/catalogue, made from the catalogue: an index, one page a family, the old names and views.

usage: docs_catalogue.py [--write]    without it: exits 1 and names the pages that are not the present ones
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

from document_examples import example

from gbpm_dagster.catalogue import DATASETS, FAMILIES, describe
from gbpm_dagster.catalogue.legacy import Became, Former, former_names
from gbpm_dagster.catalogue.model import Column, Dataset, Family, Tier
from gbpm_dagster.catalogue.views import VIEWS
from gbpm_dagster.elexon.plan import plan
from gbpm_dagster.market.calendar import days

FOLDER = Path(__file__).parents[1] / "docs" / "catalogue"
INDEX, OLD_NAMES = "index.md", "old-names.md"
MADE = "<!-- made by scripts/docs_catalogue.py from gbpm_dagster/catalogue: change it there -->"
YEAR = (date(2023, 1, 1), date(2023, 12, 31))
"""An ordinary year with both clock changes, to count the calls of."""
LONGEST_EXAMPLE = 60
DIRECT = (Became.RAW, Became.ALIAS)
"""Kinds of old names that are the table itself: by its own name or among its other names."""


def pages() -> dict[str, str]:
    """Every page by file name."""
    made = {INDEX: index(), OLD_NAMES: old_names()}
    return made | {file_of(family): family_page(family) for family in FAMILIES}


def file_of(family: Family) -> str:
    return f"{family.name.replace('/', '-')}.md"


PAGE_OF = {d.table: file_of(f) for f in FAMILIES for d in f.datasets}


def page(title: str, *parts: str) -> str:
    """A page with what every page has: its origin, its title, the licence and the line on marks."""
    return "\n\n".join([MADE, f"# {title}", describe.LICENCE + ".", *(p for p in parts if p)]) + "\n"


def linked(text: str) -> str:
    """Names of tables and views lead to where they are described."""

    def link(found: re.Match[str]) -> str:
        name = found.group()
        if name in VIEWS:
            return f"[{name}]({OLD_NAMES}#{name})"
        return f"[{name}]({PAGE_OF[name]}#{name})" if name in PAGE_OF else name

    return re.sub(r"(?<![\w`/#\[])[a-z]+_[a-z0-9_]+(?!`)", link, text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def index() -> str:
    """All tables by family and tier."""
    tiers = [f"{sum(d.tier is t for d in DATASETS.values())} {t.value}" for t in Tier]
    intro = (
        f"The {len(DATASETS)} tables by family: {', '.join(tiers)}. A home holds the core tables unless `GBPM_TIER` "
        "or `GBPM_DATASETS` say otherwise ([contract](../contract.md#settings)). What partition, vintage and "
        "complete mean: [concepts](../concepts.md). Views, and names of the warehouse before: "
        f"[old names]({OLD_NAMES})."
    )
    return page("The tables", intro, describe.DOUBTED, *(_family_of_index(f) for f in FAMILIES))


def _family_of_index(family: Family) -> str:
    tiers = list(Tier)
    rows = [
        (
            f"[{d.table}]({file_of(family)}#{d.table})",
            d.title,
            d.code.replace("+", " + "),
            describe.a_row_is(d),
            describe.rows_a_day(d).removeprefix("about "),
            d.tier.value,
            describe.complete_in_short(d),
        )
        for d in sorted(family.datasets, key=lambda d: tiers.index(d.tier))
    ]
    heads = ("table", "title", "code", "one row a", "rows a day", "tier", "complete")
    about = f"{linked(family.about)} Group `{family.name}`: [{file_of(family)}]({file_of(family)})."
    return f"## {family.title}\n\n{about}\n\n{table(heads, rows)}"


def family_page(family: Family) -> str:
    """What belongs together, questions in SQL, then each table."""
    asked = [f"{question}:\n\n```sql\n{sql.strip()}\n```" for question, sql in family.examples]
    members = ", ".join(f"[{d.table}](#{d.table})" for d in family.datasets)
    return page(
        family.title,
        f"{linked(family.about)} Group `{family.name}`; [all tables]({INDEX}).",
        f"Here: {members}.",
        describe.DOUBTED,
        "## Ask it",
        "Each runs with `gbpm sql`, in BigQuery's dialect as well.",
        *asked,
        *(_table_section(d) for d in family.datasets),
    )


def _table_section(dataset: Dataset) -> str:
    known = describe.facts(dataset)
    known["calls"] = f"{calls_a_year(dataset):,} for the year {YEAR[0].year}"
    known["tier"] = dataset.tier.value
    if dataset.aliases:
        known["other names"] = ", ".join(f"`{a}`{_doubt_of(a)}" for a in dataset.aliases)
    others = [f for f in former_names().values() if dataset.table in f.tables and f.kind not in DIRECT]
    if others:
        known["see also"] = ", ".join(f"[{f.name}]({OLD_NAMES}) ({f.kind.value})" for f in others)
    notes = "\n".join(f"- {linked(n)}" for n in dataset.notes)
    parts = [
        f"## {dataset.table}",
        f"**{dataset.title}.** {linked(dataset.description)}",
        table(("", ""), [(label, linked(text)) for label, text in known.items()]),
        f"Mind:\n\n{notes}" if notes else "",
        _columns(dataset),
    ]
    return "\n\n".join(p for p in parts if p)


def _doubt_of(alias: str) -> str:
    former = former_names().get(alias)
    return " ?" if former and former.doubtful else ""


def calls_a_year(dataset: Dataset) -> int:
    """Requests the planner needs for a whole year under the entry's cap; a list is taken each day."""
    year = days(*YEAR)
    ids = dataset.endpoint.ids
    typical = [str(n) for n in range(DATASETS[ids.table].rows_per_day)] if ids else []
    if not dataset.partition_field:
        return len(year) * len(plan(dataset, year[-1:], None, {year[-1]: typical}))
    return len(plan(dataset, year, None, dict.fromkeys(year, typical)))


def _columns(dataset: Dataset) -> str:
    heads = ("column", "type", "unit", "null", "meaning", "in derived tables", "example")
    return table(heads, [_column(c, dataset) for c in dataset.columns])


def _column(column: Column, dataset: Dataset) -> tuple[str, ...]:
    never_null = not column.nullable or (column.name in dataset.key and column.name not in _may_be_null(dataset))
    return (
        f"`{column.name}`",
        column.kind.value,
        column.unit,
        "" if never_null else "yes",
        linked(column.meaning),
        f"`{column.derived_name}`",
        _short(example(dataset, column.name)),
    )


def _may_be_null(dataset: Dataset) -> set[str]:
    return {*dataset.nullable_key, *(name for pair in dataset.unit_fallback for name in pair)}


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[: LONGEST_EXAMPLE - 3]}..."


def old_names() -> str:
    """Every name of the warehouse before, and the views that keep some of them."""
    intro = (
        "Names of the warehouse this one replaces. A query or command that names one finds the table (raw, alias), "
        "the view, or is told in one sentence what became of it. Column names stayed Elexon's."
    )
    rows = [(f"`{f.name}`", _kind(f), linked(f.target), linked(f.note)) for f in former_names().values()]
    return page(
        "Old names and views",
        intro,
        describe.DOUBTED,
        "## Names",
        table(("old name", "kind", "leads to", "note"), rows),
        "## Views",
        "Views are for SQL alone: nothing of them is fetched or stored.",
        *(_view(name) for name in VIEWS),
    )


def _kind(former: Former) -> str:
    return f"{former.kind.value} ?" if former.doubtful and not former.target else former.kind.value


def _view(name: str) -> str:
    view = VIEWS[name]
    doubt = f"\n\nNot certain `?`: {linked(view.doubt)}." if view.doubt else ""
    return f"### {name}\n\n{linked(view.description)}{doubt}\n\n```sql\n{view.select.strip()}\n```"


def stale(folder: Path, made: dict[str, str]) -> list[str]:
    """Names of pages that are not there, not the present ones, or of nothing in the catalogue."""
    there = {p.name: p.read_text(encoding="utf-8") for p in sorted(folder.glob("*.md"))}
    return sorted(name for name in there.keys() | made.keys() if there.get(name) != made.get(name))


def write(folder: Path, made: dict[str, str], names: Iterable[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        act: Callable[[], object] = (folder / name).unlink
        if name in made:
            (folder / name).write_text(made[name], encoding="utf-8")
        else:
            act()


def main(arguments: list[str]) -> int:
    made = pages()
    wrong = stale(FOLDER, made)
    if "--write" in arguments:
        write(FOLDER, made, wrong)
        return 0
    if wrong:
        print(f"docs/catalogue: {', '.join(wrong)} not as the catalogue has it: run")
        print("`.venv/bin/python scripts/docs_catalogue.py --write`")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
