"""The project as a whole: its files, what its code may not contain, and that its pages tell the truth."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import sqlglot
import yaml

from gbpm_dagster.catalogue import DATASETS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gbpm_dagster"
MODULES = sorted(PACKAGE.rglob("*.py"))

MODULE_LINES, FUNCTION_LINES = 400, 60

FORBIDDEN_TEXT = {
    "an index URL": r"[-]-(extra-)?index-url|index[_]url\s*=|pypi\.org/simpl[e]|files\.pythonhosted\.or[g]",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KE[Y]",
    "a cloud key": r"\bAKIA[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}\b|SharedAccessKey=[A-Za-z0-9+/]{20}",
    "a token": r"\bgh[pousr]_[A-Za-z0-9]{30}|\bglpat-[A-Za-z0-9_-]{20}|\bxox[abp]-[0-9]{8}|\bsk-[A-Za-z0-9]{32}",
    "a URL with a password": r"https?://[^/\s:@{}<>]+:[^/\s:@{}<>]+@",
}

DATE_ROOMS = ("elexon", "ingest", "orchestration")
ROW_ROOMS = ("ingest", "warehouse", "elexon")
MAY_USE_RANDOM = {"elexon/source.py": "jitter of retries"}


@cache
def tracked_files() -> tuple[Path, ...]:
    """Files git would commit; without git, everything outside the folders .gitignore names."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return tuple(p for name in done.stdout.split("\0") if name and (p := ROOT / name).is_file())
    ignored = {"build", "dist", "__pycache__"}
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(
            part in ignored or part.endswith(".egg-info") or (part.startswith(".") and part not in (".ci", ".github"))
            for part in path.relative_to(ROOT).parent.parts
        )
    )


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def in_rooms(*rooms: str) -> list[Path]:
    return [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in rooms]


# --- files at the top


def test_the_top_level_is_what_the_project_promises() -> None:
    wanted = (
        *(
            "pyproject.toml",
            "workspace.yaml",
            "dagster.yaml",
            "README.md",
            "Makefile",
            "constraints.txt",
            "CHANGELOG.md",
        ),
        *("CONTRIBUTING.md", "LICENSE", ".ci/run", ".pre-commit-config.yaml", ".github/workflows/ci.yml"),
        *(f"docs/{page}.md" for page in ("index", "quick-start", "concepts", "operations", "decisions", "contract")),
    )
    assert [name for name in wanted if not (ROOT / name).is_file()] == []


def test_the_licence_names_the_data() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License")
    assert "Contains BMRS data © Elexon Limited copyright and database right" in text


def test_no_index_and_no_secret_in_the_tree() -> None:
    found = []
    for path in tracked_files():
        if path.stat().st_size > 2_000_000:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for what, pattern in FORBIDDEN_TEXT.items():
            found += [f"{path.relative_to(ROOT)}: {what}: {m.group()[:30]}" for m in re.finditer(pattern, text)]
    assert found == []


def test_the_shipped_data_stay_small() -> None:
    """Recordings kept in the repository: at most 15 MB compressed (issue 3, section 6)."""
    data = [p for p in tracked_files() if p.suffix in {".gz", ".parquet", ".zst", ".csv", ".ndjson"}]
    assert sum(p.stat().st_size for p in data) <= 15_000_000


def test_every_data_file_of_the_package_is_installed_with_it() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "gbpm_dagster"
    ]
    shipped = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    data = {p for p in tracked_files() if p.is_relative_to(PACKAGE) and p.suffix != ".py"}
    assert sorted(str(p.relative_to(PACKAGE)) for p in data - shipped) == []


def test_constraints_are_exact_and_cover_what_is_needed() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)  # fails on anything but name==version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    names = {_plain(re.split(r"[<>=!~\[; ]", requirement)[0]) for requirement in needed}
    assert names - {_plain(name) for name in pinned} == set()
    assert "gbpm-dagster" not in {_plain(name) for name in pinned}


def test_every_file_of_the_package_is_packed() -> None:
    """A wheel holds modules by itself, other files only where package-data names them."""
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = setup["package-data"]["gbpm_dagster"]
    files = [p.relative_to(PACKAGE) for p in tracked_files() if p.is_relative_to(PACKAGE) and p.suffix != ".py"]
    assert len(files) > 10
    assert [str(f) for f in files if not any(f.match(pattern) for pattern in patterns)] == []


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_make_alone_lists_its_targets() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory"], capture_output=True, text=True, check=True
    )
    listed = {line.split()[1]: line.split(maxsplit=2)[2] for line in done.stdout.splitlines()}
    assert {"install", "demo", "run", "test", "check", "soak", "bench", "clean"} <= set(listed)
    assert all(listed.values())


def test_ci_and_hooks_call_the_make_targets() -> None:
    assert re.search(r"^exec make test$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert (ROOT / ".ci/run").stat().st_mode & 0o100
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert ".ci/run" in runs
    assert all(run == ".ci/run" or run.startswith("make ") for run in runs)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert "make check" in [hook["entry"] for repo in hooks for hook in repo["hooks"]]


@pytest.mark.parametrize(
    ("pythons", "words"),
    [
        (["no-such-python"], "needs Python 3.11 or newer, found none of: no-such-python"),
        (
            ["no-such-python", "./bare"],
            "./bare has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv)",
        ),
    ],
)
def test_a_missing_prerequisite_gets_one_line(pythons: list[str], words: str, tmp_path: Path) -> None:
    bare = tmp_path / "bare"  # a Python that is new enough and cannot make environments, as Debian ships it
    bare.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexit 0\n')
    bare.chmod(0o755)
    command = ["sh", str(ROOT / "scripts" / "make_venv.sh"), *pythons]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


# --- Dagster's files


def test_dagster_yaml_is_the_packaged_template() -> None:
    assert (ROOT / "dagster.yaml").read_bytes() == (PACKAGE / "orchestration" / "dagster.yaml").read_bytes()


def test_dagster_takes_the_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster import DagsterInstance

    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with DagsterInstance.get() as instance:
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
        assert type(instance.run_storage).__name__ == "SqliteRunStorage"
        assert instance.root_directory == str(tmp_path)
        assert Path(instance.storage_directory()).is_relative_to(tmp_path)
        assert instance.run_monitoring_enabled
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        pools = instance.get_concurrency_config().pool_config
        assert (pools.pool_granularity.value, pools.default_pool_limit) == ("run", 2)
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 3


def test_the_workspace_names_the_definitions() -> None:
    places = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dagster"]["module_name"]
    assert places == [{"python_module": configured}]


# --- code


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_says_what_belongs_in_it(path: Path) -> None:
    assert ast.get_docstring(tree(path)), f"{path.relative_to(ROOT)} has no docstring"


def test_modules_and_functions_stay_readable() -> None:
    long = []
    for path in MODULES:
        lines = len(path.read_text().splitlines())
        if lines > MODULE_LINES:
            long.append(f"{path.relative_to(ROOT)}: {lines} lines")
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    long.append(f"{where(path, node)}: {node.name} has {length} lines")
    assert long == []


def test_nothing_is_printed() -> None:
    printed = [
        where(path, node)
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printed == []


DATE_TEXT = re.compile(r"^(19[89]|20)\d\d-\d\d(-\d\d)?(T.*)?$|'(19[89]|20)\d\d-\d\d-\d\d")
"""A string that is a date, or SQL that holds one."""


def _docstrings(module: ast.Module) -> set[int]:
    """Ids of the string nodes that are documentation, not values."""
    found = set()
    for node in ast.walk(module):
        for child in getattr(node, "body", []) if isinstance(getattr(node, "body", None), list) else []:
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                found.add(id(child.value))
    return found


def _date_constants(module: ast.Module) -> Iterator[ast.AST]:
    documentation = _docstrings(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            numbers = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, int)]
            if name in {"date", "datetime", "Timestamp"} and len(numbers) >= 3 and numbers[0] != 1970:
                yield node
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield from [node] if DATE_TEXT.search(node.value) else []


def test_no_date_constant_where_rows_are_planned_fetched_or_written() -> None:
    """OPS-13: a range comes from a person or the catalogue, never from a script."""
    assert [where(path, node) for path in in_rooms(*DATE_ROOMS) for node in _date_constants(tree(path))] == []


def test_the_date_lint_sees_dates() -> None:
    module = ast.parse(
        'a = date(2024, 1, 3)\nb = "2024-01-03T00:00Z"\nc = "SELECT 1 WHERE day > \'2025-10-30\'"\n'
        'd = datetime(1970, 1, 1)\ne = "must be yyyy-mm-dd, for example 2024-01-03"\nf = date(year, 1, 1)\n'
    )
    assert [node.lineno for node in _date_constants(module)] == [1, 2, 3]  # type: ignore[attr-defined]


def test_no_random_value_can_become_a_row() -> None:
    """OPS-14: no synthetic value in a table, ever. Jitter of retries is none."""
    found = []
    for path in in_rooms(*ROW_ROOMS):
        if str(path.relative_to(PACKAGE)) in MAY_USE_RANDOM:
            continue
        for node in ast.walk(tree(path)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Attribute) and node.attr == "random":
                names.append("random")
            found += [where(path, node) for n in names if n.split(".")[-1] in {"random", "faker", "hypothesis"}]
    assert found == []


# --- pages


def test_the_readme_names_exactly_two_commands() -> None:
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    commands = [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]
    assert commands == ["make demo", "make test"]


def test_links_between_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    broken = []
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if not target.startswith(("http://", "https://")) and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert broken == []


def test_the_contract_lists_the_present_settings() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "docs_settings.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_statements_in_the_pages_are_sql_over_tables_there_are() -> None:
    known = {*DATASETS, *(f"{table}_{what}" for table in DATASETS for what in ("vintages", "history"))}
    known |= {
        "gbpm_evidence",
        "gbpm_attempts",
        "gbpm_quarantine",
        "gbpm_drift",
        "gbpm_settlement_runs",
        "gbpm_known_gaps",
        "gbpm_scorecard",
    }
    seen = 0
    for page in sorted((ROOT / "docs").glob("*.md")):
        for quoted in re.findall(r'gbpm sql "((?:[^"\\]|\\.)*)"', page.read_text()):
            if "..." in quoted:
                continue
            statement = sqlglot.parse_one(quoted.replace('\\"', '"'), read="duckdb")
            assert {table.name for table in statement.find_all(sqlglot.exp.Table)} <= known, quoted
            seen += 1
    assert seen >= 2


def test_the_contract_names_the_commands_there_are() -> None:
    from typer.main import get_command

    from gbpm_dagster.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    groups = {name: group.commands for name, group in commands.items() if hasattr(group, "commands")}
    commands = {name: command for name, command in commands.items() if name not in groups}
    commands |= {f"{group} {name}": c for group, inner in groups.items() for name, c in inner.items()}
    known = "|".join(sorted(commands, key=len, reverse=True))
    lines = re.findall(r"^\| `gbpm (.*?)` \|", (ROOT / "docs" / "contract.md").read_text(), re.MULTILINE)
    rows = [re.fullmatch(rf"({known})(?![a-z])(.*)", line) for line in lines]
    assert [line for line, row in zip(lines, rows, strict=True) if row is None] == []
    assert sorted(row[1] for row in rows if row) == sorted(commands)
    for name, usage in (row.groups() for row in rows if row):
        options = {
            option for parameter in commands[name].params for option in parameter.opts if option.startswith("--")
        }
        assert set(re.findall(r"--[a-z-]+", usage)) == options, name
