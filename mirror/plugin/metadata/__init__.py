"""Serve the metadata files of wheels (PEP 658)."""
