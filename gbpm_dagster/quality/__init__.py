"""Is it RIGHT: gaps, duplicates, freshness, validity."""
