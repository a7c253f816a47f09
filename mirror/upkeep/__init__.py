"""Upkeep of a mirror: remove cached files that nobody uses, check what is stored, shrink the database."""
