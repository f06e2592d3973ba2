"""Benchmarks: ratios measured in one run. `python -m benchmarks` runs all; see docs/performance.md."""
