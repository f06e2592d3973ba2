"""The pages of docs/catalogue are the catalogue's, whole and linked; the script that makes them says when not."""

from __future__ import annotations

import csv
import importlib
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from gbpm_dagster.catalogue import DATASETS, FAMILIES, describe
from gbpm_dagster.catalogue.legacy import former_names
from gbpm_dagster.catalogue.views import VIEWS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "catalogue"
PAGES = {page.name: page.read_text() for page in sorted(FOLDER.glob("*.md"))}
FIELDS = list(csv.DictReader((Path(__file__).parent / "data" / "fields.csv").open()))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("docs_catalogue")


def test_the_pages_are_the_present_ones() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "docs_catalogue.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_script_names_what_is_not_present_and_mends_it(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    assert script.main(["--write"]) == 0 and script.main([]) == 0
    (tmp_path / "prices.md").write_text("edited by hand")
    (tmp_path / "demand.md").unlink()
    (tmp_path / "gone.md").write_text("of a family there is no more")
    capsys.readouterr()
    assert script.main([]) == 1
    said = capsys.readouterr().out
    assert "demand.md, gone.md, prices.md" in said and "--write" in said
    assert script.main(["--write"]) == 0 and script.main([]) == 0
    assert sorted(p.name for p in tmp_path.glob("*")) == sorted(PAGES)


def section(table: str) -> str:
    """What stands of a table, on the one page that has it."""
    found = [
        part for page in PAGES.values() for part in re.findall(rf"^## {table}\n.*?(?=^## |\Z)", page, re.M | re.S)
    ]
    assert len(found) == 1, table
    return found[0]


def test_every_page_shows_the_licence_and_what_the_mark_means() -> None:
    assert len(PAGES) == len(FAMILIES) + 2
    for name, page in PAGES.items():
        assert f"\n{describe.LICENCE}.\n" in page, name
        assert describe.DOUBTED in page, name


@pytest.mark.parametrize("table", DATASETS)
def test_a_table_is_described_whole(table: str) -> None:
    dataset, text = DATASETS[table], section(table)
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert [row[0].strip("| `") for row in cells] == list(dataset.names)
    plain = re.sub(r"\[(\w+)\]\([\w.-]+#\w+\)", r"\1", text)
    assert dataset.title in plain and dataset.description in plain
    assert all(f"- {note}" in plain for note in dataset.notes)
    for label, fact in describe.facts(dataset).items():
        assert f"| {label} | {fact.replace('|', chr(92) + '|')} |" in plain, label
    assert all(f"`{alias}`" in plain for alias in dataset.aliases)
    assert f"| tier | {dataset.tier.value} |" in plain
    leading_here = [f.name for f in former_names().values() if table in f.tables and f.name != table]
    assert all(name in plain for name in leading_here)


@pytest.mark.parametrize("table", DATASETS)
def test_columns_say_what_the_worked_out_list_says(table: str) -> None:
    stated = {row["json_field"]: row for row in FIELDS if row["table"] == table}
    for line in section(table).splitlines():
        if not line.startswith("| `"):
            continue
        name, _, unit, null, meaning, derived, example = (c.strip() for c in line.strip("|").split(" | "))
        row = stated[name.strip("`")]
        assert (unit, derived.strip("`")) == (row["unit"], row["derived_name"])
        assert re.sub(r"\[(\w+)\]\([^)]*\)", r"\1", meaning) == row["description"]
        assert null == "" or row["nullable"] == "yes"
        if row["example"] and row["json_field"] != "dataset":
            assert example.removesuffix("...").lower() == row["example"].lower()[: len(example.removesuffix("..."))]


def test_the_index_has_every_table_in_its_family_with_its_tier() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(([\w-]+\.md)#\1\) \|.*\| (core|standard|optional) \|", PAGES["index.md"], re.M)
    assert Counter(tier for _, _, tier in rows) == {"core": 41, "standard": 54, "optional": 56}
    assert {table: page for table, page, _ in rows} == {
        d.table: f"{f.name.replace('/', '-')}.md" for f in FAMILIES for d in f.datasets
    }


def test_the_questions_of_a_family_are_those_that_run_in_the_tests() -> None:
    for family in FAMILIES:
        page = PAGES[f"{family.name.replace('/', '-')}.md"]
        assert re.findall(r"```sql\n(.*?)\n```", page, re.S) == [sql.strip() for _, sql in family.examples]
        assert all(f"{question}:" in page for question, _ in family.examples)


def test_every_old_name_and_view_is_on_its_page() -> None:
    page = PAGES["old-names.md"]
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == list(former_names())
    assert re.findall(r"```sql\n(.*?)\n```", page, re.S) == [view.select.strip() for view in VIEWS.values()]
    doubtful = {f.name for f in former_names().values() if f.doubtful}
    assert {line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and "?" in line} == doubtful


def test_links_and_their_anchors_lead_somewhere() -> None:
    anchors = {name: set(re.findall(r"^##+ (\w+)$", page, re.M)) for name, page in PAGES.items()}
    broken = []
    for name, page in PAGES.items():
        for target, anchor in re.findall(r"\]\(([\w./-]*)#?([\w-]*)\)", page):
            if target.startswith("../"):
                good = (FOLDER / target).is_file()
            else:
                good = (target or name) in PAGES and (not anchor or anchor in anchors[target or name])
            broken += [] if good else [f"{name} -> {target}#{anchor}"]
    assert broken == []
