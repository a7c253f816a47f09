"""Enforce policies: on pages, on files and their metadata, also where nginx serves them; say why."""
