"""GB Power Market: a complete, verified, self-healing warehouse of the GB electricity market, on Dagster."""

__version__ = "0.1.0"
