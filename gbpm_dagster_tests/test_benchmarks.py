"""The benchmarks at their smallest: what is compared brings the same rows, what is printed is kept in its place."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from benchmarks import bench_adopt, bench_gaps, bench_history, figures, made, postgres
from benchmarks.server import Bodies, serving, targets
from benchmarks.ways import WARM_DAY, WAYS, Job, Taken, _once
from gbpm_dagster.catalogue import get
from gbpm_dagster.elexon import fast
from gbpm_dagster.elexon.check import sort_rows
from gbpm_dagster.elexon.decode import decode
from gbpm_dagster.elexon.plan import plan
from gbpm_dagster.market.calendar import days, periods_in_day
from gbpm_dagster.orchestration.runtime import Runtime
from gbpm_dagster.settings import Settings

SPRING = date(2024, 3, 31)
ROWS_A_PERIOD = {"bmrs_bod": 5625, "bmrs_mid": 2, "bmrs_costs": 1, "bmrs_freq": 120}


@pytest.mark.parametrize("table", made.TABLES)
def test_what_is_made_up_is_of_the_form_of_the_real(table: str) -> None:
    """It goes the fast way, lies in its window, and a clock-change day has its 46 periods."""
    dataset = get(table)
    found = 0
    for window in plan(dataset, [SPRING]):
        body = made.body(table, window.start, window.end)
        assert fast.read(dataset, body) is not None
        placed = sort_rows(dataset, window, decode(dataset, body))
        assert (placed.strays, placed.quarantined, placed.drift) == (0, [], [])
        found += placed.rows.height
    each = ROWS_A_PERIOD.get(table, 6 * len(made.FUELS))
    assert found == made.rows_of(table, SPRING, SPRING) == each * periods_in_day(SPRING)


def test_the_server_answers_what_the_planner_asks(tmp_path: Path) -> None:
    asked = {"table": "bmrs_costs", "first": "2024-01-03", "last": "2024-01-05"}
    bodies = Bodies()
    assert bodies.prepare(asked)["requests"] == len(targets(asked)) == 3
    assert sorted(bodies.kept) == sorted(targets(asked))
    assert bodies.get("/datasets/NOPE?from=x") is None


def test_the_ways_bring_the_same_rows_by_the_same_requests(tmp_path: Path) -> None:
    with serving() as server:
        planned = server.prepare("bmrs_costs", WARM_DAY, WARM_DAY + timedelta(1))
        for name in ("ours", "plain loop", "bare"):
            server.count()
            folder = tmp_path / name.replace(" ", "-")
            folder.mkdir()
            taken = _once(WAYS[name], Job("bmrs_costs", WARM_DAY, WARM_DAY + timedelta(1), server.url, folder))
            assert taken.seconds > 0
            assert server.count() == planned + 1  # and the day of MID that warms


def test_the_gate_opens_at_twice_the_bare_cost() -> None:
    def taken(ours: float) -> dict[str, list[Taken]]:
        times = {"ours": ours, "bare": 1.0, "bare, a thread a processor": 0.5}
        return {name: [Taken(t, t, 1.0)] * 3 for name, t in times.items()}

    assert bench_history.gate(taken(2.0))[0]
    good, said = bench_history.gate(taken(2.1))
    assert not good
    assert "2.10 x the bare cost" in said and "4.20 x" in said


def test_figures_are_put_in_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# P\n<!-- a: written by make bench -->\nold\n<!-- a: end -->\nrest\n")
    monkeypatch.setattr(figures, "PAGE", page)
    figures.keep("a", figures.table(["way", "s"], [["ours", "1"], ["a loop", "22"]]))
    text = page.read_text()
    assert "| ours   | 1  |\n| a loop | 22 |" in text
    assert "old" not in text and text.startswith("# P\n") and text.endswith("<!-- a: end -->\nrest\n")
    assert "Python" in text and "load average" in text
    with pytest.raises(SystemExit, match="has no marks"):
        figures.keep("b", "x")


def test_the_page_has_a_place_for_every_benchmark() -> None:
    text = figures.PAGE.read_text()
    for name in ("history", "runs", "memory", "memory-year", "interface", "parts"):
        assert f"<!-- {name}: written by make bench -->" in text
        assert f"<!-- {name}: end -->" in text


def test_a_machine_without_postgresql_gets_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "programs", lambda: None)
    with postgres.server() as address:
        assert address is None
    assert "\n" not in postgres.LACKING and "apt-get install postgresql" in postgres.LACKING


def test_an_adoption_tells_every_day_once(tmp_path: Path) -> None:
    row = bench_adopt.measure("SQLite", "", tmp_path, tables=3, days=5, kill=False)
    assert row[:3] == ["SQLite", "0", "15"]


def test_the_gap_check_and_the_plain_loop_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 days of generation by fuel: a day in 40 never asked, one in 25 without three periods."""
    for name, value in {"HOME": str(tmp_path), "NOW": "2025-12-31T00:00:00Z", "HISTORY_START": "2025-09-01"}.items():
        monkeypatch.setenv(f"GBPM_{name}", value)
    runtime, fuelhh = Runtime(Settings.load()), get("bmrs_fuelhh")
    wanted = days(date(2025, 9, 1), date(2025, 10, 30))
    held = bench_gaps.fill(runtime, [fuelhh], wanted)
    assert 0 < held < len(wanted)
    states = runtime.coverage(fuelhh, wanted)["state"].to_list()
    plain = bench_gaps.plain(runtime, fuelhh, wanted, runtime.settings.clock())
    lost = [i for i, state in enumerate(states) if state == "missing_at_source"]
    assert [s for i, s in enumerate(states) if i not in lost] == [s for i, s in enumerate(plain) if i not in lost]
    assert {"complete", "partial", "missing"} <= set(states)
