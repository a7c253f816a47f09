"""Serve files: from the cache, or from the one download that all who ask follow."""
