"""Learnt caps: the narrowest stays, several processes, a damaged file."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from gbpm_dagster.ingest.caps import CapStore

PATH = "/datasets/MID"


def test_the_narrowest_cap_stays(tmp_path: Path) -> None:
    store = CapStore(tmp_path / "state" / "caps.json")
    assert store.get(PATH) is None
    store.learn(PATH, timedelta(days=2))
    store.learn(PATH, timedelta(days=7))
    assert store.get(PATH) == CapStore(tmp_path / "state" / "caps.json").get(PATH) == timedelta(days=2)
    store.learn(PATH, timedelta(hours=6))
    assert store.get(PATH) == timedelta(hours=6)
    assert store.get("/datasets/FREQ") is None


@pytest.mark.parametrize("text", ["", "[", "[]", '"x"', '{"/datasets/MID": "soon"}', '{"/datasets/MID": null}'])
def test_a_damaged_file_counts_as_empty_and_is_mended(tmp_path: Path, text: str) -> None:
    file = tmp_path / "caps.json"
    file.write_text(text)
    store = CapStore(file)
    assert store.get(PATH) is None
    store.learn(PATH, timedelta(days=3))
    assert store.get(PATH) == timedelta(days=3)


def test_processes_that_learn_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "caps.json"
    code = (
        "import sys; from pathlib import Path; from datetime import timedelta; "
        "from gbpm_dagster.ingest.caps import CapStore\n"
        "for i in range(20): CapStore(Path(sys.argv[1])).learn(f'/{sys.argv[2]}/{i}', timedelta(days=1 + i))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(file), name]) for name in ("a", "b")]
    assert [p.wait() for p in both] == [0, 0]
    store = CapStore(file)
    assert all(store.get(f"/{n}/{i}") == timedelta(days=1 + i) for n in "ab" for i in range(20))
