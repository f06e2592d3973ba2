"""What an answer says against itself."""

from __future__ import annotations

from typing import Any

from gbpm_dagster.warehouse import merge
from gbpm_dagster.warehouse.contradictions import contradictions
from gbpm_dagster_tests.warehouse.rows import BOALF, BOD, COSTS, DAY, MID, T0, cost_row, later, mid_row
from gbpm_dagster_tests.warehouse.test_merge import stored


def test_unlike_rows_of_one_key_and_version_are_counted_and_vintages_are_not() -> None:
    costs = [
        cost_row(DAY, 1, 80.0, later(1)),
        cost_row(DAY, 1, 90.0, later(2)),  # the next run
        cost_row(DAY, 2, 80.0, later(1)),
        cost_row(DAY, 2, 80.0, later(1)),  # the same again
        cost_row(DAY, 3, 80.0, later(1)),
        cost_row(DAY, 3, 81.0, later(1)),
        cost_row(DAY, 3, 82.0, later(1)),
    ]
    assert contradictions(COSTS, merge.resolve(COSTS, stored(COSTS, costs, T0))) == {DAY: 1}
    mid = [mid_row(DAY, 1), mid_row(DAY, 2), mid_row(DAY, 2, price=9.0)]
    assert contradictions(MID, merge.resolve(MID, stored(MID, mid, T0))) == {DAY: 1}
    assert contradictions(MID, merge.resolve(MID, stored(MID, mid[:2], T0))) == {}
    boalf = {"acceptanceNumber": 1, "acceptanceTime": T0, "timeFrom": T0, "amendmentFlag": None, "bmUnit": "T_A"}
    rows = [{**boalf, "levelTo": level} for level in (1, 2)]
    assert contradictions(BOALF, merge.resolve(BOALF, stored(BOALF, rows, T0))) == {DAY: 1}


def test_a_row_without_an_id_that_its_units_other_rows_have_is_counted() -> None:
    def bod(*units: tuple[str | None, str | None]) -> dict[Any, int]:
        base = {"settlementDate": DAY, "settlementPeriod": 1, "timeFrom": T0}
        rows = [{**base, "pairId": i, "nationalGridBmUnit": ng, "bmUnit": el} for i, (ng, el) in enumerate(units, 1)]
        return contradictions(BOD, merge.resolve(BOD, stored(BOD, rows, T0)))

    assert bod(("A", "T_A"), ("A", "T_A"), ("B", None), ("B", None), (None, "T_C")) == {}  # units with one id only
    assert bod(("A", "T_A"), ("A", None), ("A", None), ("B", None)) == {DAY: 2}
    assert bod(("A", "T_A"), (None, "T_A"), ("B", None)) == {DAY: 1}
    assert bod(("A", "T_A"), (None, "T_A"), ("A", None)) == {DAY: 2}
