"""Finding a table by name, and what a wrong name is answered."""

from __future__ import annotations

import pytest

from gbpm_dagster.catalogue import DATASETS, UnknownTable, get


@pytest.mark.parametrize("name", ["bmrs_mid", "BMRS_MID", "mid", "MID", " bmrs_mid "])
def test_a_table_is_found_by_its_names(name: str) -> None:
    assert get(name) is DATASETS["bmrs_mid"]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("bmrs_fuelinzt", "bmrs_fuelinst"),
        ("bmrs_cost", "bmrs_costs"),
        ("frequ", "bmrs_freq"),
        ("ref_bmunit", "ref_bmunits"),
    ],
)
def test_an_unknown_table_suggests_the_nearest(wrong: str, meant: str) -> None:
    with pytest.raises(UnknownTable, match=f"there is no table '{wrong}': did you mean .*{meant}") as caught:
        get(wrong)
    assert meant in caught.value.suggestions


def test_a_name_like_no_other_says_where_to_look() -> None:
    with pytest.raises(UnknownTable, match="`gbpm tables` lists what there is"):
        get("zzzzzzzz")


def test_a_column_that_is_not_there_names_the_table() -> None:
    with pytest.raises(KeyError, match="bmrs_mid has no column 'cost'"):
        DATASETS["bmrs_mid"].column("cost")
