"""The GB market's rules, as pure functions."""
