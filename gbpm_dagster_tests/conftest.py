"""What all tests share: property tests without a deadline (machines are shared) and the same examples in every run."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("gbpm", deadline=None, derandomize=True)
settings.load_profile("gbpm")
