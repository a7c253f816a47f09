"""Policies in mirror.toml: the settings, and what `mirror policy` and `mirror why` show."""
