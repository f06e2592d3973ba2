"""Every name of the warehouse before leads somewhere: against naming.md, a copy of the list worked out by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from gbpm_dagster import cli
from gbpm_dagster.catalogue import DATASETS, UnknownTable, get
from gbpm_dagster.catalogue.derived import DERIVED
from gbpm_dagster.catalogue.legacy import Became, former_names
from gbpm_dagster.catalogue.registry import became
from gbpm_dagster.catalogue.views import VIEWS
from gbpm_dagster.warehouse.lake import Lake
from gbpm_dagster.warehouse.protocol import QueryError

NAMING = (Path(__file__).parents[1] / "data" / "naming.md").read_text()
KINDS = {"unified view": "unified", "snapshot": "alias"}
"""Kinds of naming.md that are called otherwise in the list."""


@dataclass(frozen=True)
class Stated:
    """What naming.md says of one old name. tables: what it maps to; "" and () where to nothing."""

    name: str
    kind: str
    tables: tuple[str, ...]
    doubtful: bool


def _rows(heads: str) -> list[list[str]]:
    """The cells of the Markdown table with that head."""
    lines = NAMING.split(f"| {heads} |\n")[1].splitlines()[1:]
    end = next((n for n, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


def _names(cell: str) -> list[str]:
    """The names in a cell: `bmrs_sel, sil` is bmrs_sel and bmrs_sil, `bmrs_x, x_y` are two names as they stand."""
    names = [name.strip() for name in cell.split(",")]
    short = names[0].startswith("bmrs_")
    return [f"bmrs_{name}" if short and "_" not in name else name for name in names]


def _stated() -> list[Stated]:
    found = []
    for cell, new, kind, maps, _ in _rows("old table | becomes | kind | maps to in datasets.csv | note"):
        tables = tuple(re.findall(r"\bbmrs_\w+", maps if kind != "raw" else new))
        found.append(Stated(cell, KINDS.get(kind, kind), tables, "?" in maps))
    for cell, _, unified_with, _ in _rows("old table | IRIS code | unified with | note"):
        found.append(Stated(cell, "stream", (unified_with,), False))
    later = re.search(r"Later stream tables .*?for (.*?)\)", NAMING, re.DOTALL)
    assert later
    for code in later[1].replace("\n", " ").lower().split(", "):
        found.append(Stated(f"bmrs_{code}_iris", "stream", (f"bmrs_{code}",), False))
    for cell, table, _ in _rows("name | alias of | note"):
        for name in _names(cell):
            found.append(Stated(name, "stream" if name.endswith("_iris") else "alias", (table,), False))
    for cell, new, kind, _ in _rows("old name | becomes | kind | note"):
        names, to = _names(cell), [part.strip() for part in new.split(",")]
        for n, name in enumerate(names):
            target = to[n] if len(to) > 1 else {"same": name, "–": ""}.get(to[0], to[0])
            bare = target.rstrip("?")
            if kind == "view":
                bare = "bmrs_remit"  # the one view of this table: of bmrs_remit, by its note
            plain = "alias" if kind == "raw" and bare != name else KINDS.get(kind, kind.rstrip("?"))
            found.append(Stated(name, plain, (bare,) if bare else (), "?" in target + kind))
    return found


STATED = _stated()


def test_the_list_has_every_old_name_and_no_other() -> None:
    assert sorted(s.name for s in STATED) == sorted(former_names())
    assert len(STATED) == 158
    # every word of the page that looks like an old table is one, or is ours
    ours = {"bmrs_x", "bmrs_x_iris", "bmrs_x_unified", "bmrs_x_vintages", "bmrs_boalf_complete_pairs", *DATASETS}
    said = set(re.findall(r"\bbmrs_[a-z0-9_]*[a-z0-9]\b", NAMING))
    assert said - ours <= set(former_names())


@pytest.mark.parametrize("stated", STATED, ids=lambda s: s.name)
def test_kind_target_and_doubt_are_those_of_naming_md(stated: Stated) -> None:
    former = former_names()[stated.name]
    assert former.kind.value == stated.kind
    assert former.doubtful == stated.doubtful
    if stated.name == "bmrs_demand_forecast":  # NDF and TSDF are what the second table is made of
        assert former.tables == ("bmrs_datl", "bmrs_demand_forecast_latest") == stated.tables[:2]
    else:
        assert former.tables == stated.tables


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(tmp_path_factory.mktemp("lake"))


@pytest.mark.parametrize("name", former_names())
def test_an_old_name_leads_somewhere(lake: Lake, name: str) -> None:
    """To a table, a view, or one sentence that says what to name instead; in commands and in SQL."""
    former = former_names()[name]
    query = f"SELECT * FROM uk_energy.{name}"
    if former.kind in (Became.RAW, Became.ALIAS):
        assert get(name) is DATASETS[former.tables[0]]
    else:
        with pytest.raises(UnknownTable, match=f"^{name} ") as refused:
            get(name.upper())
        named = [t for t in former.tables if not t.endswith("_iris")]
        assert all(table in str(refused.value) for table in named), refused.value
    streamed = former.kind in (Became.STREAM, Became.UNIFIED)
    if (
        name in (*VIEWS, *DERIVED)
        or streamed
        or (former.kind in (Became.RAW, Became.ALIAS) and name != "demand_outturn")
    ):
        assert lake.sql(query).is_empty() and lake.sql(query, dialect="bigquery").is_empty()
    else:
        with pytest.raises(QueryError) as told:
            lake.sql(query)
        assert str(told.value) == became(name) and str(told.value).startswith(f"{name} ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bmrs_indgen_iris", "is what the IRIS stream brought, for SQL alone (`gbpm sql`)"),
        ("bmrs_lolpdrm_iris", "is what the IRIS stream brought"),  # no old name, but of the pattern
        ("bmrs_costs_unified", "is bmrs_costs and the IRIS stream in one, for SQL alone"),
        ("bmrs_boalf_complete", "derived from bmrs_boalf + bmrs_pn + bmrs_bod"),
        ("bmrs_b1510", "(not certain): retired: unavailability of generation units; today bmrs_remit"),
        ("bmrs_fuelinst_dedup", "a view, for SQL alone (`gbpm sql`): to fetch or check, name bmrs_fuelinst"),
        ("boalf_with_prices", "a view over bmrs_boalf_complete, which is not built yet"),
        ("elexon_p114_s0142_bpi", "licensed P114 files"),
    ],
)
def test_what_a_name_became_is_said_in_one_sentence(name: str, said: str) -> None:
    assert said in became(name)
    assert "\n" not in became(name)


def test_names_that_were_never_used_get_suggestions() -> None:
    assert became("bmrs_mdi") == became("bmrs_mid") == became("bmrs_mid_series_iris") == became("") == ""
    with pytest.raises(UnknownTable, match="did you mean bmrs_mid_series"):
        get("bmrs_mid_serie_iris")


def test_a_command_says_what_an_old_name_became(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GBPM_HOME", str(tmp_path))
    for args in (["plan", "bmrs_b1510"], ["sql", "SELECT * FROM bmrs_b1510"]):
        assert cli.run(args) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("gbpm: bmrs_b1510 has no table any more") and printed.err.count("\n") == 1
        assert printed.out == ""


def test_an_alias_in_the_entries_is_in_the_list() -> None:
    aliases = {alias: d.table for d in DATASETS.values() for alias in d.aliases}
    listed = {f.name: f.tables[0] for f in former_names().values() if f.kind is Became.ALIAS}
    assert aliases == {name: table for name, table in listed.items() if name != "demand_outturn"}
