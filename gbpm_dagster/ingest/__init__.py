"""plan -> fetch -> check -> write one set of partitions. No Dagster."""
