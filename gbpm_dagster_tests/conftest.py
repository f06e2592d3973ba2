"""What all tests share: property tests without a deadline (machines are shared), the same examples in each run."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("gbpm", deadline=None, derandomize=True)
settings.load_profile("gbpm")
