"""Alerts: what is told to people, when, and over which channel."""
