"""Recorded days and the replay server that serves them."""
