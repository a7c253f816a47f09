"""Bring artifacts to the company index."""
