"""Upkeep of a mirror: remove cached files that nobody uses."""
