"""Policies: which files an index lists and serves. Pure; knows nothing of devpi's state, asks nobody."""
