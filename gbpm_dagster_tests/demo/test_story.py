"""What the demo tells of a reason."""

from __future__ import annotations

import pytest

from gbpm_dagster.demo.story import _short

URL = "http://127.0.0.1:36239/bmrs/api/v1/datasets/INDO?publishDateTimeFrom=2024-01-06T00:00Z"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            f"the source answered 503 to {URL}: 'busy' (tried 6 times)",
            "the source answered 503: 'busy' (tried 6 times)",
        ),
        (f"no connection to {URL} (refused)", "no connection (refused)"),
        ("answered with 45 rows", "answered with 45 rows"),
    ],
)
def test_a_reason_is_told_without_addresses(reason: str, said: str) -> None:
    assert _short(reason) == said


def test_a_long_reason_is_cut() -> None:
    assert _short("word " * 100) == ("word " * 100)[:147] + "..."
